//! `uses: judge`: each answer is graded against the gold. Answers and questions → verdicts, in the answers' order.

use std::collections::BTreeMap;

use engine::{Ask, Context, Dataset, EachRow, File, ParamMistake, Sections, StageError, ports};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    by_id::ById,
    completion::{Completion, Reply},
    judges::{self, Judge, JudgeKind},
    rows::{Answer, Grade, Outcome, Question, Verdict},
};

/// What stands under `with:`.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Params {
    /// `numeric`, `exact`, or `recorded`.
    judge: String,
    /// The file whose verdicts `recorded` takes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    file: Option<File>,
    /// How far a number may be from the gold, for `numeric`.
    #[serde(default)]
    tolerance: f64,
    /// Texts that say that the model does not know; those of several words count anywhere in an answer.
    #[serde(default = "idk")]
    idk: Vec<String>,
}

fn idk() -> Vec<String> {
    judges::IDK.map(str::to_owned).to_vec()
}

ports! { pub struct Inputs { answers: Dataset<Answer>, questions: Dataset<Question> } }
ports! { pub struct Outputs { verdicts: Dataset<Verdict> } }

/// The stage, with the judge open and the questions at hand.
pub(crate) struct Stage {
    judge: Box<dyn Judge>,
    questions: ById<Question>,
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

    fn settle(params: Params, _: &Sections) -> Result<Params, Vec<ParamMistake>> {
        let mistake = |field: &str, message: String, help: &str| {
            Err(vec![ParamMistake { field: vec![field.to_owned()], message, help: help.to_owned() }])
        };
        match (find(&params), &params.file) {
            (None, _) => {
                let names = judges::ALL.map(|kind| kind.name).join(", ");
                mistake("judge", format!("there is no judge `{}`", params.judge), &format!("the judges are {names}"))
            }
            (Some(kind), None) if kind.reads_file => mistake(
                "judge",
                format!("judge `{}` reads verdicts from a file, and none is named", kind.name),
                "add `file: PATH`",
            ),
            (Some(kind), Some(_)) if !kind.reads_file => {
                mistake("file", format!("judge `{}` reads no file", kind.name), "take `file:` out, or use `judge: recorded`")
            }
            _ if !(params.tolerance >= 0.0 && params.tolerance.is_finite()) => {
                mistake("tolerance", "a tolerance cannot be below nothing".to_owned(), "give 0 for exact comparison")
            }
            _ => Ok(params),
        }
    }

    fn parts(params: &Params) -> BTreeMap<String, u32> {
        find(params).map(|kind| (format!("judge/{}", kind.name), kind.version)).into_iter().collect()
    }

    fn name(answer: &Answer) -> String {
        format!("question `{}`, answer of `{}`", answer.id, answer.model)
    }

    fn open(ctx: &Context, params: &Params, inputs: Inputs) -> Result<(Self, Dataset<Answer>), StageError> {
        let kind = find(params).ok_or_else(|| StageError::failed(format!("there is no judge `{}`", params.judge)))?;
        let settings = judges::Settings { file: params.file.as_ref(), tolerance: params.tolerance, idk: &params.idk };
        let stage = Self {
            judge: (kind.open)(ctx, &settings)?,
            questions: ById::read(&inputs.questions, "question", |question| &question.id)?,
        };
        Ok((stage, inputs.answers))
    }

    fn units(&self, _: &Answer, _: &[Reply]) -> Result<Vec<Ask<Completion>>, StageError> {
        Ok(Vec::new())
    }

    fn rows(&self, answer: Answer, _: Vec<Reply>) -> Result<Vec<Verdict>, StageError> {
        let question = self.questions.get(&answer.id)?;
        let (verdict, reason) = match answer.outcome {
            Outcome::Ok => self.judge.grade(question, &answer)?,
            Outcome::Refused => (Grade::Idk, "refused".to_owned()),
            Outcome::Error => {
                return Err(StageError::failed(format!(
                    "the answer of `{}` to question `{}` is an error",
                    answer.model, answer.id
                ))
                .help("mend what the provider says, and run again"));
            }
            // No answer to judge: such a question is no example, and counts as incorrect where it is measured.
            Outcome::Truncated | Outcome::Blocked | Outcome::Empty | Outcome::ModelSwapped => return Ok(Vec::new()),
        };
        Ok(vec![Verdict { id: answer.id, model: answer.model, verdict, reason, split: question.split }])
    }

    fn outputs(verdicts: Dataset<Verdict>) -> Outputs {
        Outputs { verdicts }
    }
}
