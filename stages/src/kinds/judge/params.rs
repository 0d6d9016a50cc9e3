//! What `judge` takes under `with:` → the same with what the manifest's sections say, or all that is wrong with it.

use std::collections::BTreeMap;

use engine::{File, ParamMistake, Sections};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    grader::{self, JudgeKind},
    llm,
};
use crate::{
    defaults::is_default,
    kinds::unanswered::MissingBy,
    llm::{
        completion::Settings,
        providers::{self, Source},
    },
};

/// What stands under `with:`.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Params {
    /// `numeric`, `exact`, `choice`, `f1`, `squad`, `regex`, `recorded`, or `llm`.
    pub(crate) judge: String,
    /// The file whose verdicts `recorded` takes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) file: Option<File>,
    /// How far a number may be from the gold, for `numeric`.
    #[serde(default)]
    pub(crate) tolerance: f64,
    /// The same as a share of the gold number; the larger of both counts.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(crate) relative_tolerance: f64,
    /// How much of a gold answer has to be said, for `f1` [default: 0.5].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) threshold: Option<f64>,
    /// What `regex` looks for; what its group finds is compared with the gold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) pattern: Option<String>,
    /// The model that judges, as `provider/name`, for `llm`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) model: Option<String>,
    /// The model that is asked where the votes of `llm` tie.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) second: Option<String>,
    /// How often `llm` judges each answer; most votes decide.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub(crate) votes: u32,
    /// How `llm` is asked [default: temperature 0 for a single vote].
    #[serde(default, skip_serializing_if = "is_default")]
    pub(crate) settings: Settings,
    /// The prompt of `llm`, with `{question}`, `{gold}` and `{answer}` in it, and `{choices}` and `{wrong}`; without it, `judge@1`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) prompt: Option<File>,
    /// What of the providers' settings decides the verdicts; filled in by the program.
    #[serde(default, skip_deserializing, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(skip)]
    pub(crate) providers: BTreeMap<String, Source>,
    /// How each model is asked; filled in by the program.
    #[serde(default, skip_deserializing, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(skip)]
    pub(crate) settings_of: BTreeMap<String, Settings>,
    /// Texts that say that the model does not know; those of several words count anywhere in an answer.
    #[serde(default = "idk")]
    pub(crate) idk: Vec<String>,
    /// What counts where there is no answer to judge, by what became of the call: `drop`, `idk` or `incorrect`
    /// [default: `{ refused: idk }`, and `drop` for the rest].
    #[serde(default, skip_serializing_if = "is_default")]
    pub(crate) missing: MissingBy,
}

/// How much of a gold answer `f1` wants where nothing is said.
pub(crate) const THRESHOLD: f64 = 0.5;

fn one() -> u32 {
    1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
fn is_one(votes: &u32) -> bool {
    *votes == 1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
fn is_zero(number: &f64) -> bool {
    *number == 0.0
}

fn idk() -> Vec<String> {
    grader::IDK.map(str::to_owned).to_vec()
}

/// The judge that needs no model.
pub(crate) fn find(params: &Params) -> Option<&'static JudgeKind> {
    super::ALL.into_iter().find(|kind| kind.name == params.judge)
}

/// Fills the params in, and refuses those that do not go together.
pub(crate) fn settle(params: Params, sections: &Sections) -> Result<Params, Vec<ParamMistake>> {
    let mistake = |field: &str, message: String, help: &str| {
        Err(vec![ParamMistake { field: vec![field.to_owned()], message, help: help.to_owned() }])
    };
    if params.judge == llm::NAME {
        return settle_llm(params, sections);
    }
    for (field, given) in [
        ("model", params.model.is_some()),
        ("second", params.second.is_some()),
        ("prompt", params.prompt.is_some()),
        ("votes", params.votes != 1),
    ] {
        if given {
            return mistake(field, format!("judge `{}` asks no model", params.judge), "write `judge: llm`, or take it out");
        }
    }
    if params.threshold.is_some() && params.judge != "f1" {
        return mistake("threshold", format!("judge `{}` has no threshold", params.judge), "write `judge: f1`, or take it out");
    }
    if params.threshold.is_some_and(|threshold| !(0.0..=1.0).contains(&threshold)) {
        return mistake("threshold", "a threshold is between 0 and 1".to_owned(), "for example 0.5");
    }
    match (&params.pattern, params.judge == "regex") {
        (None, true) => {
            return mistake("judge", "judge `regex` looks for a pattern, and none is given".to_owned(), "add `pattern: '…'`");
        }
        (Some(_), false) => {
            return mistake(
                "pattern",
                format!("judge `{}` looks for no pattern", params.judge),
                "write `judge: regex`, or take it out",
            );
        }
        (Some(pattern), true) => {
            if let Err(error) = super::regex::compile(pattern) {
                return mistake(
                    "pattern",
                    format!("the pattern cannot be read: {error}"),
                    "mend it; a backslash needs single quotes around the text",
                );
            }
        }
        (None, false) => {}
    }
    match (find(&params), &params.file) {
        (None, _) => {
            let names = super::ALL.map(|kind| kind.name).join(", ");
            mistake("judge", format!("there is no judge `{}`", params.judge), &format!("the judges are {names}, llm"))
        }
        (Some(kind), None) if kind.reads_file => {
            mistake("judge", format!("judge `{}` reads verdicts from a file, and none is named", kind.name), "add `file: PATH`")
        }
        (Some(kind), Some(_)) if !kind.reads_file => {
            mistake("file", format!("judge `{}` reads no file", kind.name), "take `file:` out, or use `judge: recorded`")
        }
        _ if !(params.relative_tolerance >= 0.0 && params.relative_tolerance.is_finite()) => {
            mistake("relative_tolerance", "a tolerance cannot be below nothing".to_owned(), "give 0 for exact comparison")
        }
        _ if !(params.tolerance >= 0.0 && params.tolerance.is_finite()) => {
            mistake("tolerance", "a tolerance cannot be below nothing".to_owned(), "give 0 for exact comparison")
        }
        _ => Ok(params),
    }
}

fn settle_llm(mut params: Params, sections: &Sections) -> Result<Params, Vec<ParamMistake>> {
    let mistake = |field: &str, message: &str, help: &str| {
        Err(vec![ParamMistake { field: vec![field.to_owned()], message: message.to_owned(), help: help.to_owned() }])
    };
    let Some(model) = &params.model else {
        return mistake("judge", "judge `llm` asks a model, and none is named", "add `model: PROVIDER/NAME`");
    };
    if params.file.is_some() {
        return mistake("file", "judge `llm` reads no file of verdicts", "take `file:` out, or use `judge: recorded`");
    }
    if params.votes == 0 {
        return mistake("votes", "an answer needs at least one vote", "give 1 or more");
    }
    let second = params.second.as_deref().map(|second| ("second", second));
    let models: Vec<_> = [("model", model.as_str())].into_iter().chain(second).collect();
    let settings = llm::settings(&params.settings, params.votes);
    (params.providers, params.settings_of) = providers::settle_called(&models, &settings, sections)?;
    Ok(params)
}
