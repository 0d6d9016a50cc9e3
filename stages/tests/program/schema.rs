//! The JSON Schema of manifests: what `check` takes validates, what it refuses does not, and an editor completes from it.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use serde_json::{Value, json};

use crate::place::Place;

/// Reads the schema and manifests that are named on the command line; prints how many mistakes each has.
const VALIDATE: &str = "
import json, sys, jsonschema, yaml
validator = jsonschema.Draft7Validator(json.load(open(sys.argv[1])))
for path in sys.argv[2:]:
    print(len(list(validator.iter_errors(yaml.safe_load(open(path))))))
";

/// Fragments below `stages:` that are right, with what stands above.
const RIGHT: [(&str, &str); 5] = [
    ("", "c: { uses: command, budget: 2.50, with: { run: 'echo hi > $o', out: { o: o.txt } } }"),
    ("params: { n: 100 }", "q: { uses: benchmark, with: { name: arithmetic, count: '${params.n}' } }"),
    (
        "params: { shares: { train: 1.0, validation: 0.0, test: 0.0 } }",
        "q: { uses: benchmark, budget: none, with: { name: arithmetic, split: '${params.shares}' } }",
    ),
    ("name: mine", "q: { uses: benchmark, in: null, with: { name: arithmetic } }"),
    (
        "",
        "q: { uses: benchmark, with: { name: arithmetic } }
  a: { uses: answer, in: { questions: q.questions }, with: { models: { medium: calculator/pocket } } }",
    ),
];

/// Fragments that `check` refuses, and the schema too.
const WRONG: [&str; 7] = [
    "q: { uses: bench, with: { name: arithmetic } }",
    "q: { uses: benchmark }",
    "q: { uses: benchmark, wiht: { name: arithmetic } }",
    "q: { uses: benchmark, with: { name: arithmetic, count: many } }",
    "v: { uses: judge, with: { judge: exact } }",
    "l: { uses: label, in: { verdicts: } }",
    "l: { uses: label, in: { verdicts: '' } }",
];

fn manifest(above: &str, stages: &str) -> String {
    format!("# yaml-language-server: $schema=./fingerpost.schema.json\nversion: 1\n{above}\nstages:\n  {stages}\n")
}

#[expect(clippy::print_stderr, reason = "a test says what it skips")]
fn skipped(what: &str) {
    eprintln!("skipped: {what} is not on this machine");
}

/// A folder with the schema in it.
fn place() -> Place {
    let place = Place::new();
    let schema = place.good(&["schema"]);
    std::fs::write(place.path("fingerpost.schema.json"), schema).unwrap();
    place
}

/// How many mistakes a validator finds in each file, or nothing where there is no validator.
fn mistakes(place: &Place, files: &[String]) -> Option<Vec<usize>> {
    let there = Command::new("python3").args(["-c", "import jsonschema, yaml"]).output();
    if !there.is_ok_and(|output| output.status.success()) {
        skipped("python3 with jsonschema and yaml");
        return None;
    }
    let output =
        Command::new("python3").args(["-c", VALIDATE]).arg(place.path("fingerpost.schema.json")).args(files).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(String::from_utf8(output.stdout).unwrap().lines().map(|line| line.parse().unwrap()).collect())
}

#[test]
fn no_default_is_null_and_no_type_has_a_title() {
    fn each(value: &Value, at: &str) {
        match value {
            Value::Object(object) => {
                assert_ne!(object.get("default"), Some(&Value::Null), "{at}");
                object.iter().for_each(|(name, value)| each(value, &format!("{at}/{name}")));
            }
            Value::Array(items) => items.iter().for_each(|item| each(item, at)),
            _ => {}
        }
    }
    each(&serde_json::from_str(&Place::new().good(&["schema"])).unwrap(), "");
}

#[test]
fn what_check_takes_validates_and_what_it_refuses_does_not() {
    let place = place();
    let mut files: Vec<_> = std::fs::read_dir("../pipelines").unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| !path.ends_with("prices.yaml"));
    let pipelines = files.len();
    assert!(pipelines >= 8, "{files:?}");
    for (number, text) in RIGHT.map(|(above, stages)| manifest(above, stages)).into_iter().enumerate() {
        let path = place.path(&format!("right-{number}.yaml"));
        std::fs::write(&path, text).unwrap();
        place.good(&["check", path.to_str().unwrap()]);
        files.push(path);
    }
    let right = files.len();
    for (number, text) in WRONG.map(|stages| manifest("", stages)).into_iter().enumerate() {
        let path = place.path(&format!("wrong-{number}.yaml"));
        std::fs::write(&path, text).unwrap();
        assert_eq!(place.call(&["check", path.to_str().unwrap()]).status.code(), Some(2), "{path:?}");
        files.push(path);
    }
    let files: Vec<_> = files.into_iter().map(|path| path.to_str().unwrap().to_owned()).collect();
    let Some(mistakes) = mistakes(&place, &files) else { return };
    for (number, (file, mistakes)) in files.iter().zip(&mistakes).enumerate() {
        assert_eq!(*mistakes == 0, number < right, "{file}: {mistakes}");
    }
}

/// yaml-language-server, spoken to over its standard streams.
struct Server {
    child: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
    id: u64,
}

impl Server {
    fn start() -> Option<Self> {
        let program = std::env::var("YAML_LANGUAGE_SERVER").unwrap_or_else(|_| "yaml-language-server".to_owned());
        let child =
            Command::new(program).arg("--stdio").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
        let Ok(mut child) = child else {
            skipped("yaml-language-server (or the file that YAML_LANGUAGE_SERVER names)");
            return None;
        };
        let (to, from) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        Some(Self { child, to, from, id: 0 })
    }

    fn send(&mut self, mut message: Value) {
        message["jsonrpc"] = json!("2.0");
        let text = message.to_string();
        write!(self.to, "Content-Length: {}\r\n\r\n{text}", text.len()).unwrap();
        self.to.flush().unwrap();
    }

    fn receive(&mut self) -> Value {
        let mut length = 0;
        loop {
            let mut line = String::new();
            assert_ne!(self.from.read_line(&mut line).unwrap(), 0, "the server ended");
            match line.trim().strip_prefix("Content-Length: ") {
                Some(number) => length = number.parse().unwrap(),
                None if line.trim().is_empty() => break,
                None => {}
            }
        }
        let mut bytes = vec![0; length];
        self.from.read_exact(&mut bytes).unwrap();
        serde_json::from_slice(&bytes).unwrap()
    }

    /// Asks, and answers what the server asks meanwhile.
    fn ask(&mut self, method: &str, params: Value) -> Value {
        self.id += 1;
        let id = self.id;
        self.send(json!({ "id": id, "method": method, "params": params }));
        loop {
            let message = self.receive();
            match (message.get("id"), message.get("method")) {
                (Some(theirs), Some(_)) => {
                    let items = message["params"]["items"].as_array().map_or(0, Vec::len);
                    let theirs = theirs.clone();
                    self.send(json!({ "id": theirs, "result": vec![json!({}); items] }));
                }
                (Some(ours), None) if *ours == id => return message["result"].clone(),
                _ => {}
            }
        }
    }

    /// Opens a file; returns the messages of its mistakes.
    fn open(&mut self, path: &Path, text: &str) -> (String, Vec<String>) {
        let uri = format!("file://{}", path.display());
        let document = json!({ "uri": uri, "languageId": "yaml", "version": 1, "text": text });
        self.send(json!({ "method": "textDocument/didOpen", "params": { "textDocument": document } }));
        loop {
            let message = self.receive();
            if message["method"] == "textDocument/publishDiagnostics" && message["params"]["uri"] == json!(uri) {
                let found = message["params"]["diagnostics"].as_array().unwrap().iter();
                return (uri, found.map(|mistake| mistake["message"].as_str().unwrap().to_owned()).collect());
            }
        }
    }

    /// What is offered at a line and column, both from 0.
    fn offered(&mut self, uri: &str, line: usize, character: usize) -> Vec<String> {
        let place = json!({ "textDocument": { "uri": uri }, "position": { "line": line, "character": character } });
        let result = self.ask("textDocument/completion", place);
        let items = result.get("items").unwrap_or(&result).as_array().unwrap();
        items.iter().map(|item| item["label"].as_str().unwrap().to_owned()).collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _reaped = self.child.wait();
    }
}

#[test]
fn an_editor_completes_and_marks() {
    let place = place();
    let Some(mut server) = Server::start() else { return };
    let root = format!("file://{}", place.folder.path().display());
    server.ask(
        "initialize",
        json!({ "processId": std::process::id(), "rootUri": root, "capabilities": {}, "workspaceFolders": null }),
    );
    server.send(json!({ "method": "initialized", "params": {} }));
    let settings = json!({ "yaml": { "validate": true, "completion": true } });
    server.send(json!({ "method": "workspace/didChangeConfiguration", "params": { "settings": settings } }));
    for (number, (above, stages)) in RIGHT.into_iter().enumerate() {
        let (_, found) = server.open(&place.path(&format!("right-{number}.yaml")), &manifest(above, stages));
        assert!(found.is_empty(), "{stages}: {found:?}");
    }
    for (number, stages) in WRONG.into_iter().enumerate() {
        let (_, found) = server.open(&place.path(&format!("wrong-{number}.yaml")), &manifest("", stages));
        assert!(!found.is_empty(), "{stages}");
    }
    let (uri, _) =
        server.open(&place.path("complete.yaml"), &manifest("", "s:\n    uses: sft\n    with:\n      epochs: 3\n      "));
    let offered = server.offered(&uri, 8, 6);
    let schema: Value = serde_json::from_str(&place.good(&["kinds", "sft", "--format", "json"])).unwrap();
    for name in schema["kinds"][0]["params"]["properties"].as_object().unwrap().keys().filter(|name| *name != "epochs") {
        assert!(offered.contains(name), "{name} is not among {offered:?}");
    }
    assert!(server.offered(&uri, 5, 10).contains(&"benchmark".to_owned()));
}
