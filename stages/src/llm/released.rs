//! Released prompts of models that judge and analyse. Takes what stands under `prompt:`; gives a released prompt or a file.
//!
//! A released prompt never changes, so that `prompt: judge@1` asks what it asked when it was the newest one, and its replies are cached.

use std::{borrow::Cow, fmt};

use engine::{File, ParamMistake};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{Error as _, IntoDeserializer as _},
};

/// A prompt that the program brings.
#[derive(Debug, PartialEq)]
pub(crate) struct Released {
    /// The kind of stage that it is for.
    pub kind: &'static str,
    version: u32,
    pub text: &'static str,
    /// Whether its choices have the instruction to name a letter behind them: the first prompts did, though their model is not to answer.
    pub instructed: bool,
}

/// The newest prompt of `judge: llm`.
pub(crate) static JUDGE: Released =
    Released { kind: "judge", version: 2, text: include_str!("../../prompts/judge@2.txt"), instructed: false };

/// The newest prompt of `analyse`.
pub(crate) static ANALYSE: Released =
    Released { kind: "analyse", version: 2, text: include_str!("../../prompts/analyse@2.txt"), instructed: false };

static JUDGE_1: Released =
    Released { kind: "judge", version: 1, text: include_str!("../../prompts/judge@1.txt"), instructed: true };

static ANALYSE_1: Released =
    Released { kind: "analyse", version: 1, text: include_str!("../../prompts/analyse@1.txt"), instructed: true };

static ALL: [&Released; 4] = [&JUDGE_1, &JUDGE, &ANALYSE_1, &ANALYSE];

impl fmt::Display for Released {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}@{}", self.kind, self.version)
    }
}

impl Released {
    /// Returns what a plan says of a stage that asks with this prompt because its manifest names none, if there is an older one.
    pub(crate) fn note(&self) -> Option<String> {
        let before = ALL.iter().rfind(|other| other.kind == self.kind && other.version < self.version)?;
        Some(format!(
            "asked with the prompt `{self}`, so replies to `{before}` do not count; `prompt: {before}` asks as before and takes them"
        ))
    }
}

/// What stands under `prompt:`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Prompt {
    Released(&'static Released),
    File(File),
}

impl Prompt {
    /// Finds that a prompt was released for another kind of stage.
    pub(crate) fn mistake(&self, kind: &str) -> Option<ParamMistake> {
        let Self::Released(released) = self else { return None };
        let other = released.kind != kind;
        other.then(|| ParamMistake::new(&["prompt"], format!("`{released}` is a prompt of `{}`", released.kind), help(kind)))
    }

    /// Returns whether a manifest's prompt, the newest one if it names none, is a released one that shows the mark of the request.
    pub(crate) fn shows_mark(prompt: Option<&Self>, newest: &'static Released) -> bool {
        match prompt {
            None => newest.text.contains("{mark}"),
            Some(Self::Released(released)) => released.text.contains("{mark}"),
            Some(Self::File(_)) => false,
        }
    }
}

fn help(kind: &str) -> String {
    let names: Vec<_> =
        ALL.iter().filter(|released| released.kind == kind).map(|released| format!("`prompt: {released}`")).collect();
    format!("write {}, or the path of a file", names.join(" or "))
}

impl Serialize for Prompt {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Released(released) => serializer.collect_str(released),
            Self::File(file) => file.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Prompt {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let written = String::deserialize(deserializer)?;
        if let Some(released) = ALL.iter().find(|released| released.to_string() == written) {
            return Ok(Self::Released(released));
        }
        if let Some((kind, version)) = written.split_once('@')
            && ALL.iter().any(|released| released.kind == kind)
            && version.parse::<u32>().is_ok()
        {
            return Err(D::Error::custom(format!("there is no prompt `{written}`: {}", help(kind))));
        }
        File::deserialize(written.into_deserializer()).map(Self::File)
    }
}

impl JsonSchema for Prompt {
    fn schema_name() -> Cow<'static, str> {
        "Prompt".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let names: Vec<_> = ALL.iter().map(ToString::to_string).collect();
        let description = format!("A released prompt ({}), or the path of a file, relative to the manifest.", names.join(", "));
        json_schema!({ "type": "string", "description": description })
    }
}
