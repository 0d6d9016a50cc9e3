//! `uses: command`: a program that runs in a folder of its own. Takes any declared inputs; gives any declared outputs.
#![expect(clippy::disallowed_methods, reason = "the values of declared variables are in the key")]

use std::{collections::BTreeMap, fmt, path::PathBuf, process::Stdio};

use engine::{Anything, Context, ParamMistake, Port, Sections, StageError, Type, fingerprint};
use schemars::JsonSchema;
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{
        MapAccess, SeqAccess, Visitor,
        value::{MapAccessDeserializer, SeqAccessDeserializer},
    },
};
use tokio::io::AsyncWriteExt as _;

use crate::rows;

/// What stands under `with:`.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Params {
    /// A line for `sh -c`, or a program and its arguments. Inputs and outputs are paths in variables of their names; in a
    /// list of arguments, `$name` and `${name}` stand for them too.
    run: Program,
    /// The outputs: a path inside the folder, or `{ path, type: dataset<question> }` whose rows are checked.
    out: BTreeMap<String, Out>,
    /// Variables that are passed on; their values are part of the key.
    #[serde(default)]
    env: Vec<String>,
    /// What the values came to, as digests.
    #[serde(default, skip_deserializing)]
    values: BTreeMap<String, Option<String>>,
}

/// A shell line or a list of arguments.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
enum Program {
    Shell(String),
    List(Vec<String>),
}

/// A declared output.
#[derive(Clone, Debug, PartialEq, Serialize)]
struct Out {
    path: String,
    r#type: String,
}

const FILE: &str = "file";

impl<'de> Deserialize<'de> for Program {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;

        impl<'de> Visitor<'de> for Either {
            type Value = Program;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("a shell line or a list of arguments")
            }

            fn visit_str<E>(self, line: &str) -> Result<Program, E> {
                Ok(Program::Shell(line.to_owned()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, arguments: A) -> Result<Program, A::Error> {
                Vec::deserialize(SeqAccessDeserializer::new(arguments)).map(Program::List)
            }
        }

        deserializer.deserialize_any(Either)
    }
}

impl<'de> Deserialize<'de> for Out {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Typed {
            path: String,
            r#type: String,
        }

        struct Either;

        impl<'de> Visitor<'de> for Either {
            type Value = Out;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("a path inside the folder, or `{ path, type }`")
            }

            fn visit_str<E>(self, path: &str) -> Result<Out, E> {
                Ok(Out { path: path.to_owned(), r#type: FILE.to_owned() })
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Out, A::Error> {
                let Typed { path, r#type } = Typed::deserialize(MapAccessDeserializer::new(map))?;
                Ok(Out { path, r#type })
            }
        }

        deserializer.deserialize_any(Either)
    }
}

impl JsonSchema for Program {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Program".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "anyOf": [{ "type": "string" }, { "type": "array", "items": { "type": "string" } }] })
    }
}

impl JsonSchema for Out {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Out".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "anyOf": [
                { "type": "string" },
                {
                    "type": "object",
                    "properties": { "path": { "type": "string" }, "type": { "type": "string" } },
                    "required": ["path", "type"],
                    "additionalProperties": false,
                },
            ]
        })
    }
}

/// The stage `command`.
pub(crate) struct Stage;

impl engine::Kind for Stage {
    const KIND: &'static str = "command";
    const VERSION: u32 = 1;
    const SUMMARY: &'static str = "runs a program on declared inputs, for declared outputs";
    const EXAMPLE: &'static str = "\
stages:
  sorted:
    uses: command
    in: { rows: questions }
    with: { run: 'sort \"$rows\" > \"$sorted\"', out: { sorted: sorted.jsonl } }
";
    type Params = Params;
    type Inputs = BTreeMap<String, Anything>;
    type Outputs = BTreeMap<String, Anything>;

    fn settle(mut params: Params, _: &Sections) -> Result<Params, Vec<ParamMistake>> {
        let mut mistakes = Vec::new();
        let mut mistake = |field: &[&str], message: String, help: &str| {
            mistakes.push(ParamMistake {
                field: field.iter().map(|name| (*name).to_owned()).collect(),
                message,
                help: help.to_owned(),
            });
        };
        if matches!(&params.run, Program::List(list) if list.is_empty()) {
            mistake(&["run"], "there is no program to run".to_owned(), "write a shell line, or a program and its arguments");
        }
        if params.out.is_empty() {
            mistake(&["out"], "the command gives nothing".to_owned(), "write `out: { NAME: path }`");
        }
        for (name, out) in &params.out {
            let path = PathBuf::from(&out.path);
            if out.path.is_empty() || path.is_absolute() || path.components().any(|part| part.as_os_str() == "..") {
                mistake(&["out", name], format!("`{}` is not inside the folder", out.path), "write a path such as `rows.jsonl`");
            }
            if !variable(name) {
                mistake(&["out", name], format!("`{name}` cannot be a variable"), "use letters, digits and `_`");
            }
            if kind(&out.r#type).is_none() {
                mistake(
                    &["out", name, "type"],
                    format!("there is no type `{}`", out.r#type),
                    "write `file`, or `dataset<question>` or another of the row types of `fingerpost schema`",
                );
            }
        }
        if !mistakes.is_empty() {
            return Err(mistakes);
        }
        // The value itself may be a secret. Its digest is enough to see whether it changed.
        let value = |name: &String| std::env::var(name).ok().map(|value| fingerprint(&value));
        params.values = params.env.iter().map(|name| (name.clone(), value(name))).collect();
        Ok(params)
    }

    fn ports(params: &Params, wired: &[String]) -> (Vec<Port>, Vec<Port>) {
        let inputs = wired.iter().map(|name| Port::required(name, Type::plain("any"))).collect();
        let outputs = params.out.iter().filter_map(|(name, out)| Some(Port::required(name, kind(&out.r#type)?)));
        (inputs, outputs.collect())
    }
}

impl engine::Stage for Stage {
    async fn run(
        ctx: &Context,
        params: &Params,
        inputs: BTreeMap<String, Anything>,
    ) -> Result<BTreeMap<String, Anything>, StageError> {
        let folder = ctx.scratch().join("work");
        let sources = ctx.scratch().join("in");
        std::fs::create_dir_all(&folder)?;
        std::fs::create_dir_all(&sources)?;
        let mut variables = BTreeMap::new();
        for (name, input) in &inputs {
            let path = sources.join(name);
            input.copy_to(&path)?;
            variables.insert(name.clone(), path);
        }
        for (name, out) in &params.out {
            let path = folder.join(&out.path);
            if let Some(parent) = path.parent() {
                std::fs::create_dir_all(parent)?;
            }
            variables.insert(name.clone(), path);
        }
        execute(params, &folder, &variables).await?;
        let keep = |(name, out): (&String, &Out)| {
            let path = folder.join(&out.path);
            if !path.is_file() {
                return Err(StageError::failed(format!("the command ended well and left no `{}` for output `{name}`", out.path))
                    .help("write to the path in the variable of the output's name"));
            }
            let kept = match kind(&out.r#type) {
                Some(kind) if kind.row.is_some() => Anything::keep_rows(ctx, &path, &kind)
                    .map_err(|error| StageError::failed(format!("output `{name}`: {error}")))?,
                _ => Anything::keep(ctx, &path)?,
            };
            Ok((name.clone(), kept))
        };
        params.out.iter().map(keep).collect()
    }
}

fn variable(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && name.chars().all(|character| character.is_ascii_alphanumeric() || character == '_')
}

fn kind(name: &str) -> Option<Type> {
    if name == FILE { Some(Type::plain(FILE)) } else { rows::types().into_iter().find(|kind| kind.name == name) }
}

/// The number of lines at the end of a failed program's output that an error shows.
const LAST_LINES: usize = 10;

async fn execute(params: &Params, folder: &std::path::Path, variables: &BTreeMap<String, PathBuf>) -> Result<(), StageError> {
    let (program, arguments) = match &params.run {
        Program::Shell(line) => ("sh".to_owned(), vec!["-c".to_owned(), line.clone()]),
        Program::List(list) => {
            let mut words = list.iter().map(|word| filled(word, variables));
            (words.next().unwrap_or_default(), words.collect())
        }
    };
    let mut command = tokio::process::Command::new(&program);
    command.args(&arguments).current_dir(folder).env_clear().stdin(Stdio::null()).kill_on_drop(true);
    // Without the search path no program would be found. All other variables have to be declared.
    for name in params.env.iter().map(String::as_str).chain(["PATH"]) {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    command.envs(variables);
    // A process group of its own, so that Ctrl-C does not reach the program: the run ends what is running by itself.
    #[cfg(unix)]
    command.process_group(0);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().map_err(|error| {
        StageError::failed(format!("`{program}` cannot be started: {error}")).help("is it installed, and on the PATH?")
    })?;
    let guard = child.id().map(Guard::over).transpose()?;
    let output = child.wait_with_output().await?;
    if let Some(guard) = guard {
        guard.release().await;
    }
    if output.status.success() {
        return Ok(());
    }
    let mut words = String::from_utf8_lossy(&output.stderr).into_owned();
    if words.trim().is_empty() {
        words = String::from_utf8_lossy(&output.stdout).into_owned();
    }
    let lines: Vec<_> = words.trim_end().lines().collect();
    let last = lines[lines.len().saturating_sub(LAST_LINES)..].join("\n");
    Err(StageError::failed(format!("the command ended with {}\n{last}", output.status))
        .help("fix the command and run again; earlier stages stay cached"))
}

/// Ends a command's whole process group if this process ends without releasing it, however it ends: a shell waits for the end of
/// a pipe whose other end only this process has open.
struct Guard {
    shell: tokio::process::Child,
}

impl Guard {
    /// The word that releases the group. The shell reads the end of the pipe instead if this process is gone.
    const RELEASED: &[u8] = b"released\n";

    fn over(group: u32) -> Result<Self, StageError> {
        let script = r#"read -r word || kill -s KILL -- "-$1""#;
        let mut shell = tokio::process::Command::new("sh");
        shell.args(["-c", script, "sh", &group.to_string()]);
        shell.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        // A process group of its own, so that the shell outlives this process for the moment that it needs.
        #[cfg(unix)]
        shell.process_group(0);
        let shell = shell.spawn().map_err(|error| StageError::environment(format!("`sh` cannot be started: {error}")))?;
        Ok(Self { shell })
    }

    async fn release(mut self) {
        if let Some(mut word) = self.shell.stdin.take() {
            // Writing fails only if the shell is gone, and then it cannot end the group.
            let _gone = word.write_all(Self::RELEASED).await;
        }
        let _reaped = self.shell.wait().await;
    }
}

/// Replaces `$name` and `${name}` by paths. Longer names are replaced first, so that `$rows2` is not read as `$rows` and a 2.
fn filled(word: &str, variables: &BTreeMap<String, PathBuf>) -> String {
    let mut names: Vec<_> = variables.keys().collect();
    names.sort_by_key(|name| std::cmp::Reverse(name.len()));
    names.into_iter().fold(word.to_owned(), |word, name| {
        let path = variables[name].to_string_lossy();
        word.replace(&format!("${{{name}}}"), &path).replace(&format!("${name}"), &path)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_take_paths() {
        let variables = BTreeMap::from([("rows".to_owned(), PathBuf::from("/a")), ("rows2".to_owned(), PathBuf::from("/b"))]);
        assert_eq!(filled("--in=$rows2:${rows}", &variables), "--in=/b:/a");
    }

    #[test]
    fn names_that_are_no_variables_are_found() {
        assert!(variable("rows_2") && !variable("2rows") && !variable("a-b") && !variable(""));
    }
}
