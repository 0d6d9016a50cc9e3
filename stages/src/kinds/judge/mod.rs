//! `uses: judge`: each answer is graded against the gold. Answers and questions → verdicts, in the answers' order.

mod choice;
mod exact;
mod grader;
pub(crate) mod llm;
mod numeric;
mod params;
mod recorded;
mod regex;
mod squad;

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use engine::{Ask, Context, Dataset, EachRow, ParamMistake, Sections, StageError, ports};

use super::{join::ById, unanswered::MissingBy};
use crate::{
    llm::{
        calls,
        completion::{Completion, Reply},
        providers::{self, Source},
    },
    rows::{Answer, Outcome, Question, Verdict},
};
use grader::Judge;
use llm::{Llm, Llms};
use params::{Params, THRESHOLD, find};

/// All judges.
pub(crate) const ALL: [&grader::JudgeKind; 7] =
    [&choice::KIND, &exact::KIND, &squad::F1, &numeric::KIND, &recorded::KIND, &regex::KIND, &squad::SQUAD];

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
        params::settle(params, sections)
    }

    fn parts(params: &Params) -> BTreeMap<String, u32> {
        let free = find(params).map(|kind| (format!("judge/{}", kind.name), kind.version));
        let llm = (params.judge == llm::NAME).then(|| ("judge/llm".to_owned(), llm::VERSION));
        free.into_iter().chain(llm).chain(params.providers.values().filter_map(Source::part)).collect()
    }

    fn ready(ctx: &Context, params: &Params) -> Result<(), StageError> {
        providers::ready(ctx, params.model.iter().chain(&params.second), &params.providers)
    }

    fn missing(params: &Params, sections: &Sections) -> Vec<ParamMistake> {
        let models = [("model", &params.model), ("second", &params.second)];
        let named = models.iter().filter_map(|(field, asked)| Some((vec![*field], asked.as_ref()?)));
        providers::missing(named, sections)
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
            let settings = grader::Settings {
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
