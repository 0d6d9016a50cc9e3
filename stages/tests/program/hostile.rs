//! Files that are none, damaged files, and programs that outlive their run.

use std::{fs, path::Path, process::Stdio, time::Duration};

use serde_json::json;

use crate::{benchmarks::parquet, place::Place};

const QUESTIONS: &str = "version: 1\nstages:\n  q: { uses: benchmark, with: { name: NAME, path: PATH } }\n";

fn pipe(path: &Path) {
    assert!(std::process::Command::new("mkfifo").arg(path).status().unwrap().success());
}

#[cfg(unix)]
#[test]
fn devices_and_pipes_are_refused_at_once() {
    let place = Place::new();
    pipe(&place.path("pipe"));
    let manifest =
        |name: &str, path: &str| fs::write(place.path("m.yaml"), QUESTIONS.replace("NAME", name).replace("PATH", path)).unwrap();
    let refused = |words: &[&str]| {
        let output = place.call(words);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{words:?}: {said}");
        assert!(said.contains("is not a regular file"), "{words:?}: {said}");
    };
    for file in ["/dev/zero", "./pipe"] {
        for name in ["jsonl", "csv", "parquet"] {
            manifest(name, file);
            refused(&["check", "m.yaml"]);
        }
        refused(&["check", file]);
        refused(&["plan", file]);
    }
    fs::write(
        place.path("m.yaml"),
        "version: 1\nprices: ./pipe\nstages:\n  q: { uses: benchmark, with: { name: arithmetic } }\n",
    )
    .unwrap();
    refused(&["check", "m.yaml"]);
    fs::write(place.path("m.yaml"), "version: 1\nstages:\n  q: { uses: label, in: { verdicts: ./pipe } }\n").unwrap();
    refused(&["check", "m.yaml"]);
    fs::create_dir(place.path("base")).unwrap();
    fs::write(place.path("base/tokenizer.json"), "{}").unwrap();
    pipe(&place.path("base/config.json"));
    fs::write(
        place.path("m.yaml"),
        "version: 1\nstages:\n  s: { uses: sft, in: { examples: ./base/tokenizer.json }, with: { base: ./base } }\n",
    )
    .unwrap();
    refused(&["check", "m.yaml"]);
    refused(&["cache", "import", "pipe"]);
    refused(&["cache", "export", "pipe"]);
    assert!(!place.path("pipe").is_file(), "the pipe is replaced");
}

#[test]
fn a_damaged_parquet_file_is_an_error_that_names_it() {
    let place = Place::new();
    fs::write(place.path("m.yaml"), QUESTIONS.replace("NAME", "parquet").replace("PATH", "./damaged.parquet")).unwrap();
    let whole = parquet(["B", "C"], ::parquet::basic::Compression::UNCOMPRESSED);
    let mut seen = 0;
    // Every third byte changed in two ways: headers, lengths, levels, footer.
    for (at, change) in (0..whole.len()).step_by(3).flat_map(|at| [(at, 0x01), (at, 0x80)]) {
        let mut bytes = whole.clone();
        bytes[at] ^= change;
        fs::write(place.path("damaged.parquet"), bytes).unwrap();
        let output = place.call(&["run", "m.yaml", "--cache-mode", "off"]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!([Some(0), Some(1)].contains(&output.status.code()), "byte {at}: {said}");
        assert!(!said.contains("panicked") && !said.contains("bug"), "byte {at}: {said}");
        seen += usize::from(said.contains("`./damaged.parquet`"));
    }
    assert!(seen > 10, "{seen}");
}

#[test]
fn a_parquet_file_that_claims_too_much_is_refused() {
    use ::parquet::{basic::Compression, file::writer::SerializedFileWriter, schema::parser::parse_message_type};

    const HUGE: [u8; 5] = [0xfe, 0xff, 0xff, 0xff, 0x0f];
    let place = Place::new();
    fs::write(place.path("m.yaml"), QUESTIONS.replace("NAME", "parquet").replace("PATH", "./damaged.parquet")).unwrap();
    // Writes a huge number over one of a byte that stands after `before`.
    let claim = |compression: Compression, before: &[u8]| {
        let mut bytes = parquet(["B", "C"], compression);
        let at = bytes.windows(before.len()).position(|window| window == before).unwrap() + before.len();
        let footer = bytes.len() - 8;
        let length = u32::from_le_bytes(*bytes[footer..].first_chunk().unwrap());
        if at > footer - length as usize {
            bytes[footer..footer + 4].copy_from_slice(&(length + 4).to_le_bytes());
        }
        bytes.splice(at..=at, HUGE);
        bytes
    };
    let nested = format!("message rows {{ {} required int64 n; {} }}", "required group g { ".repeat(500), "}".repeat(500));
    let nested =
        SerializedFileWriter::new(Vec::new(), parse_message_type(&nested).unwrap().into(), std::sync::Arc::default()).unwrap();
    for (bytes, words) in [
        // The number of values, first in the head of a dictionary.
        (claim(Compression::UNCOMPRESSED, &[0x4c, 0x15]), "cannot hold 2147483647 values"),
        // The size of the first page, behind its kind.
        (claim(Compression::SNAPPY, &[0x15, 0x04, 0x15]), "cannot unpack to 2147483647"),
        // The number of columns, behind the name of all of them.
        (claim(Compression::UNCOMPRESSED, b"rows\x15"), "a group of 2147483647 columns"),
        (nested.into_inner().unwrap(), "more than 64 deep"),
    ] {
        fs::write(place.path("damaged.parquet"), bytes).unwrap();
        let output = place.call(&["run", "m.yaml", "--cache-mode", "off"]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{words}: {said}");
        assert!(said.contains("`./damaged.parquet`") && said.contains(words), "{words}: {said}");
    }
}

#[test]
fn a_damaged_tokenizer_is_an_error_that_names_it() {
    let place = Place::new();
    let model = json!({
        "type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null, "end_of_word_suffix": null,
        "fuse_unk": false, "byte_fallback": false, "vocab": { "a": 0, "b": 1, "ab": 2 }, "merges": ["a b"],
    });
    let whole = json!({ "version": "1.0", "added_tokens": [], "normalizer": null, "pre_tokenizer": null, "model": model });
    // The first damage shows when the file is read, the second at the first text.
    let mut merges = whole.clone();
    merges["model"]["continuing_subword_prefix"] = json!("###");
    let mut template = whole.clone();
    let pieces = json!([{ "SpecialToken": { "id": "<s>", "type_id": 0 } }, { "Sequence": { "id": "A", "type_id": 0 } }]);
    template["post_processor"] = json!({ "type": "TemplateProcessing", "single": pieces, "pair": pieces, "special_tokens": {} });
    // The third shows at a text that ends with what is taken off the end, and nowhere else.
    let mut strip = whole.clone();
    strip["decoder"] = json!({ "type": "Strip", "content": "a", "start": 0, "stop": 9 });
    fs::write(place.path("in.json"), r#"{ "cases": [{ "text": "ab" }, { "text": "a" }] }"#).unwrap();
    for (tokenizer, code) in [(whole, 0), (merges, 2), (template, 2), (strip, 2)] {
        fs::write(place.path("tokenizer.json"), tokenizer.to_string()).unwrap();
        let output =
            place.call(&["debug", "tokenize", "--tokenizer", "tokenizer.json", "--input", "in.json", "--out", "out.json"]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{said}");
        assert_eq!(said.contains("`tokenizer.json`"), code == 2, "{said}");
        assert!(!said.contains("panicked"), "{said}");
    }
}

#[test]
fn export_replaces_only_by_force_and_leaves_nothing_old() {
    let place = Place::new();
    fs::write(place.path("m.yaml"), QUESTIONS.replace(", path: PATH", "").replace("NAME", "arithmetic, count: 3")).unwrap();
    place.good(&["run", "m.yaml"]);
    let refused = |words: &[&str]| {
        let output = place.call(words);
        assert_eq!(output.status.code(), Some(2), "{words:?}");
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    fs::write(place.path("rows.jsonl"), "mine").unwrap();
    let file = ["export", "m.yaml", "q.questions", "rows.jsonl"];
    assert!(refused(&file).contains("--force"));
    assert_eq!(fs::read_to_string(place.path("rows.jsonl")).unwrap(), "mine");
    place.good(&[&file[..], &["--force"]].concat());
    let rows = fs::read_to_string(place.path("rows.jsonl")).unwrap();
    assert_eq!(rows.lines().count(), 3);
    let folder = ["export", "m.yaml", "q", "out"];
    place.good(&folder);
    fs::write(place.path("out/stale"), "").unwrap();
    assert!(refused(&folder).contains("exists"));
    place.good(&[&folder[..], &["--force"]].concat());
    assert!(!place.path("out/stale").exists() && place.path("out/questions.jsonl").is_file());
    assert_eq!(place.good(&["export", "m.yaml", "q.questions", "-"]), rows);
    // What the program itself needs is never replaced.
    let manifest = fs::read_to_string(place.path("m.yaml")).unwrap();
    for path in [".", "m.yaml", "out/.."] {
        assert!(refused(&["export", "m.yaml", "q", path, "--force"]).contains("in it"), "{path}");
    }
    assert_eq!(fs::read_to_string(place.path("m.yaml")).unwrap(), manifest);
    #[cfg(unix)]
    {
        pipe(&place.path("pipe"));
        assert!(refused(&["export", "m.yaml", "q.questions", "pipe", "--force"]).contains("neither a file nor a folder"));
    }
    let left: Vec<_> = fs::read_dir(place.folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(left.iter().all(|name| !name.to_string_lossy().starts_with(".fingerpost-export")), "{left:?}");
}

#[cfg(target_os = "linux")]
#[test]
fn programs_end_with_the_run_that_started_them() {
    for signals in [&["INT", "INT"][..], &["TERM", "TERM"], &["HUP", "INT"], &["KILL"]] {
        let place = Place::new();
        // The program's own number, so that no other one is looked for.
        let line = "sleep 600 & echo $! > $PWD/../../../pid; wait; echo done > $o";
        let line = line.replace("$PWD/../../../pid", place.path("pid").to_str().unwrap());
        let manifest =
            json!({ "version": 1, "stages": { "c": { "uses": "command", "with": { "run": line, "out": { "o": "o.txt" } } } } });
        fs::write(place.path("m.yaml"), manifest.to_string()).unwrap();
        let mut run = place.command(&["run", "m.yaml"]).stderr(Stdio::null()).spawn().unwrap();
        let wait = |until: &dyn Fn() -> bool| {
            for _ in 0..200 {
                if until() {
                    return true;
                }
                std::thread::sleep(Duration::from_millis(50));
            }
            false
        };
        assert!(wait(&|| fs::read_to_string(place.path("pid")).is_ok_and(|pid| pid.ends_with('\n'))));
        let pid = fs::read_to_string(place.path("pid")).unwrap().trim().to_owned();
        for signal in signals {
            assert!(
                std::process::Command::new("kill")
                    .args([&format!("-{signal}"), &run.id().to_string()])
                    .status()
                    .unwrap()
                    .success()
            );
            std::thread::sleep(Duration::from_millis(300));
        }
        run.wait().unwrap();
        assert!(wait(&|| !Path::new(&format!("/proc/{pid}")).exists()), "{signals:?}: process {pid} goes on");
    }
}

#[cfg(unix)]
#[test]
fn a_file_that_is_no_text_is_shown_as_it_is() {
    let place = Place::new();
    let manifest =
        "version: 1\nstages:\n  b: { uses: command, with: { run: \"printf '\\\\377\\\\001\\\\n' > $o\", out: { o: o } } }\n";
    fs::write(place.path("b.yaml"), manifest).unwrap();
    assert!(place.call(&["run", "b.yaml"]).status.success());
    for words in [&["show", "b.yaml", "b"][..], &["export", "b.yaml", "b.o", "-"]] {
        assert_eq!(place.call(words).stdout, b"\xff\x01\n", "{words:?}");
    }
}
