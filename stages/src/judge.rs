//! `uses: judge`: each answer is graded against the gold. Answers and questions → verdicts, in the answers' order.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use engine::{Ask, Context, Dataset, EachRow, File, ParamMistake, Sections, StageError, ports};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    by_id::ById,
    calls,
    completion::{Completion, Reply, Settings},
    judges::{
        self, Judge, JudgeKind,
        llm::{self, Llm, Llms},
    },
    missing::MissingBy,
    providers::{self, Source},
    rows::{Answer, Outcome, Question, Verdict},
};

/// What stands under `with:`.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Params {
    /// `numeric`, `exact`, `choice`, `f1`, `squad`, `regex`, `recorded`, or `llm`.
    judge: String,
    /// The file whose verdicts `recorded` takes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    file: Option<File>,
    /// How far a number may be from the gold, for `numeric`.
    #[serde(default)]
    tolerance: f64,
    /// The same as a share of the gold number; the larger of both counts.
    #[serde(default, skip_serializing_if = "is_zero")]
    relative_tolerance: f64,
    /// How much of a gold answer has to be said, for `f1` [default: 0.5].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    threshold: Option<f64>,
    /// What `regex` looks for; what its group finds is compared with the gold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pattern: Option<String>,
    /// The model that judges, as `provider/name`, for `llm`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    model: Option<String>,
    /// The model that is asked where the votes of `llm` tie.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    second: Option<String>,
    /// How often `llm` judges each answer; most votes decide.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    votes: u32,
    /// How `llm` is asked [default: temperature 0 for a single vote].
    #[serde(default, skip_serializing_if = "is_default")]
    settings: Settings,
    /// The prompt of `llm`, with `{question}`, `{gold}` and `{answer}` in it, and `{choices}` and `{wrong}` [default: `judge@1`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    prompt: Option<File>,
    /// What of the providers' settings decides the verdicts; filled in by the program.
    #[serde(default, skip_deserializing, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(skip)]
    providers: BTreeMap<String, Source>,
    /// How each model is asked; filled in by the program.
    #[serde(default, skip_deserializing, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(skip)]
    settings_of: BTreeMap<String, Settings>,
    /// Texts that say that the model does not know; those of several words count anywhere in an answer.
    #[serde(default = "idk")]
    idk: Vec<String>,
    /// What counts where there is no answer to judge, by what became of the call: `drop`, `idk` or `incorrect`
    /// [default: `{ refused: idk }`, and `drop` for the rest].
    #[serde(default, skip_serializing_if = "is_default")]
    missing: MissingBy,
}

/// How much of a gold answer `f1` wants where nothing is said.
const THRESHOLD: f64 = 0.5;

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

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

fn idk() -> Vec<String> {
    judges::IDK.map(str::to_owned).to_vec()
}

ports! { pub struct Inputs { answers: Dataset<Answer>, questions: Dataset<Question> } }
ports! { pub struct Outputs { verdicts: Dataset<Verdict> } }

/// The stage, with the judge open and the questions at hand.
pub(crate) struct Stage {
    ctx: Context,
    judge: Opened,
    missing: MissingBy,
    questions: ById<Question>,
    /// The models that judge, as long as nobody was told that one of them judges itself.
    judges: Mutex<Vec<String>>,
}

enum Opened {
    Free(Box<dyn Judge>),
    Llm(Box<Llm>),
}

fn find(params: &Params) -> Option<&'static JudgeKind> {
    judges::ALL.into_iter().find(|kind| kind.name == params.judge)
}

impl EachRow for Stage {
    const KIND: &'static str = "judge";
    const VERSION: u32 = 1;
    const SUMMARY: &'static str = "grades each answer: correct, incorrect or idk";
    type Params = Params;
    type Inputs = Inputs;
    type Outputs = Outputs;
    type In = Answer;
    type Out = Verdict;
    type Effect = Completion;

    fn settle(params: Params, sections: &Sections) -> Result<Params, Vec<ParamMistake>> {
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
            return mistake(
                "threshold",
                format!("judge `{}` has no threshold", params.judge),
                "write `judge: f1`, or take it out",
            );
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
                if let Err(error) = judges::regex::compile(pattern) {
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
                let names = judges::ALL.map(|kind| kind.name).join(", ");
                mistake("judge", format!("there is no judge `{}`", params.judge), &format!("the judges are {names}, llm"))
            }
            (Some(kind), None) if kind.reads_file => mistake(
                "judge",
                format!("judge `{}` reads verdicts from a file, and none is named", kind.name),
                "add `file: PATH`",
            ),
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

    fn parts(params: &Params) -> BTreeMap<String, u32> {
        let free = find(params).map(|kind| (format!("judge/{}", kind.name), kind.version));
        let llm = (params.judge == llm::NAME).then(|| ("judge/llm".to_owned(), llm::VERSION));
        free.into_iter().chain(llm).chain(params.providers.values().filter_map(Source::part)).collect()
    }

    fn ready(ctx: &Context, params: &Params) -> Result<(), StageError> {
        providers::ready(ctx, params.model.iter().chain(&params.second), &params.providers)
    }

    fn name(answer: &Answer) -> String {
        format!("question `{}`, answer of `{}`", answer.id, answer.model)
    }

    fn open(ctx: &Context, params: &Params, inputs: Inputs) -> Result<(Self, Dataset<Answer>), StageError> {
        let judge = if let Some(model) = &params.model {
            Opened::Llm(Box::new(Llm::open(
                ctx,
                &Llms {
                    model,
                    second: params.second.as_deref(),
                    votes: params.votes,
                    prompt: params.prompt.as_ref(),
                    providers: &params.providers,
                    settings_of: &params.settings_of,
                },
            )?))
        } else {
            let kind = find(params).ok_or_else(|| StageError::failed(format!("there is no judge `{}`", params.judge)))?;
            let settings = judges::Settings {
                file: params.file.as_ref(),
                tolerance: params.tolerance,
                relative_tolerance: params.relative_tolerance,
                threshold: params.threshold.unwrap_or(THRESHOLD),
                pattern: params.pattern.as_deref(),
                idk: &params.idk,
            };
            Opened::Free((kind.open)(ctx, &settings)?)
        };
        let stage = Self {
            ctx: ctx.clone(),
            judge,
            missing: params.missing,
            judges: Mutex::new(params.model.iter().chain(&params.second).cloned().collect()),
            questions: ById::read(&inputs.questions, "question", |question| &question.id)?,
        };
        Ok((stage, inputs.answers))
    }

    fn units(&self, answer: &Answer, replies: &[Reply]) -> Result<Vec<Ask<Completion>>, StageError> {
        match &self.judge {
            Opened::Llm(llm) if answer.outcome == Outcome::Ok => Ok(llm.units(self.questions.get(&answer.id)?, answer, replies)),
            _ => Ok(Vec::new()),
        }
    }

    fn rows(&self, answer: Answer, replies: Vec<Reply>) -> Result<Vec<Verdict>, StageError> {
        let question = self.questions.get(&answer.id)?;
        let (verdict, reason) = match answer.outcome {
            Outcome::Ok => match &self.judge {
                Opened::Free(judge) => judge.grade(question, &answer)?,
                Opened::Llm(llm) => {
                    self.tell_of_itself(&answer);
                    let Some(verdict) = llm.verdict(question, &answer, &replies) else {
                        self.ctx.warn(format!("the judge gave no verdict that can be read on {}", Self::name(&answer)));
                        return Ok(Vec::new());
                    };
                    verdict
                }
            },
            Outcome::Error => {
                return Err(StageError::failed(format!(
                    "the answer of `{}` to question `{}` is an error",
                    answer.model, answer.id
                ))
                .help("mend what the provider says, and run again"));
            }
            without => match self.missing.grade(without) {
                Some((grade, reason)) => (grade, reason.to_owned()),
                None => return Ok(Vec::new()),
            },
        };
        Ok(vec![Verdict { id: answer.id, model: answer.model, verdict, reason, split: question.split }])
    }

    fn outputs(verdicts: Dataset<Verdict>) -> Outputs {
        Outputs { verdicts }
    }

    fn rows_in_flight(ctx: &Context, params: &Params) -> usize {
        calls::rows_in_flight(ctx, params.providers.keys())
    }
}

impl Stage {
    /// Warns once where a judge is one of the judged: it may be kinder to itself.
    fn tell_of_itself(&self, answer: &Answer) {
        let mut judges = self.judges.lock().unwrap_or_else(PoisonError::into_inner);
        if judges.contains(&answer.asked) {
            self.ctx.warn(format!("the judge `{}` judges its own answers; measure it against another judge", answer.asked));
            judges.clear();
        }
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
