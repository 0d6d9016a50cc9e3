//! `uses: judge`: each answer is graded against the gold. Takes answers and questions; gives verdicts, in the order of the answers.
//!
//! Read `grader` (what a judge is), `list` (all judges) and `params` first, then this file, which runs the judge of the manifest over the
//! answers; `unjudged` counts those that have no verdict. Each of the other files is one judge; read `exact` as the simplest and `llm` as
//! the one that asks models. A judge is added by one file and a word in `list`. `final_answer` finds what an answer marks as its last
//! word, `expression` reads numbers and formulas.

mod choice;
mod contains;
mod exact;
mod expression;
mod f1;
mod final_answer;
mod grader;
mod list;
mod llm;
mod math;
mod numeric;
mod params;
mod recorded;
mod regex;
mod squad;
mod unjudged;

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use engine::{Ask, Context, Dataset, EachRow, Kind, Lack, ParamMistake, Sections, StageError, Surroundings, ports};

use super::{join::ById, unanswered::MissingBy};
use crate::{
    llm::{calls, completion::Completion, model, providers::Source, readable::Readable, request::Reply},
    rows::{Answer, Grade, Outcome, Question, Unclear, Verdict},
};
use grader::{Graded, Grader};
pub(crate) use list::parts;
use params::Params;
use unjudged::Unjudged;

ports! { pub struct Inputs { answers: Dataset<Answer>, questions: Dataset<Question> } }
ports! { pub struct Outputs { verdicts: Dataset<Verdict> } }

/// The stage `judge`, with the judge open and the questions by id.
pub(crate) struct Stage {
    ctx: Context,
    judge: Box<dyn Grader>,
    readable: Readable,
    missing: MissingBy,
    unjudged: Unjudged,
    rows_in_flight: usize,
    questions: ById<Question>,
    /// How many answers could not be read as one, by why.
    unclear: Mutex<BTreeMap<Unclear, usize>>,
    /// The models that judge; emptied once a warning has said that one of them judges itself.
    judges: Mutex<Vec<String>>,
}

impl Kind for Stage {
    const KIND: &'static str = "judge";
    const VERSION: u32 = 2;
    const SUMMARY: &'static str = "grades each answer: correct, incorrect or idk";
    const EXAMPLE: &'static str = "\
stages:
  verdicts:
    uses: judge
    in: { questions: questions, answers: answers }
    with: { judge: llm, model: gemini/gemini-3.8-flash, votes: 3 }
";
    type Params = Params;
    type Inputs = Inputs;
    type Outputs = Outputs;

    fn settle(params: Params, sections: &Sections) -> Result<Params, Vec<ParamMistake>> {
        params.settle(sections)
    }

    fn parts(params: &Params) -> BTreeMap<String, u32> {
        let judge = (format!("judge/{}", params.judge.name), params.judge.version);
        [judge].into_iter().chain(params.providers.values().map(Source::part)).collect()
    }

    fn preflight(params: &Params, surroundings: &Surroundings<'_>) -> Vec<Lack> {
        let models = params.models().into_iter().map(|(field, asked)| (vec![field], asked));
        model::preflight(models, &params.providers, surroundings)
    }
}

impl EachRow for Stage {
    type In = Answer;
    type Out = Verdict;
    type Effect = Completion;

    fn name(answer: &Answer) -> String {
        format!("question `{}`, answer of `{}`", answer.id, answer.model)
    }

    fn open(ctx: &Context, params: &Params, inputs: Inputs) -> Result<(Self, Dataset<Answer>), StageError> {
        let stage = Self {
            ctx: ctx.clone(),
            judge: params.open(ctx)?,
            readable: Readable::new("the judge"),
            unclear: Mutex::default(),
            missing: params.common.missing,
            unjudged: Unjudged::default(),
            rows_in_flight: calls::rows_in_flight(ctx, params.providers.keys()),
            judges: Mutex::new(params.models().into_iter().map(|(_, asked)| asked.to_owned()).collect()),
            questions: ById::read(&inputs.questions, "question", |question| &question.id)?,
        };
        Ok((stage, inputs.answers))
    }

    fn units(&self, answer: &Answer, replies: &[Reply]) -> Result<Vec<Ask<Completion>>, StageError> {
        match answer.outcome {
            Outcome::Ok => Ok(self.judge.units(self.questions.get(&answer.id)?, answer, replies)),
            _ => Ok(Vec::new()),
        }
    }

    fn rows(&self, answer: Answer, replies: Vec<Reply>) -> Result<Vec<Verdict>, StageError> {
        let question = self.questions.get(&answer.id)?;
        let Graded { grade, reason, unclear, .. } = match answer.outcome {
            Outcome::Ok if answer.text.is_none() && self.judge.reads_text() => {
                self.unjudged.textless();
                return Ok(Vec::new());
            }
            Outcome::Ok => {
                self.tell_of_itself(&answer);
                let Some(verdict) = self.judge.grade(question, &answer, &replies)? else {
                    self.readable.unread(&Self::name(&answer), &replies)?;
                    return Ok(Vec::new());
                };
                self.readable.read();
                verdict
            }
            without => {
                let Some((grade, reason)) = self.missing.grade(without) else {
                    self.unjudged.without(without);
                    return Ok(Vec::new());
                };
                self.unjudged.graded(without, grade);
                Graded::new(grade, reason)
            }
        };
        self.unjudged.judged();
        if let Some(unclear) = unclear.filter(|_| grade != Grade::Idk) {
            *self.unclear.lock().unwrap_or_else(PoisonError::into_inner).entry(unclear).or_default() += 1;
        }
        Ok(vec![Verdict { id: answer.id, model: answer.model, verdict: grade, reason, unclear, split: question.split }])
    }

    fn finish(&self) -> Result<(), StageError> {
        self.tell_of_unclear();
        self.unjudged.finish(&self.ctx, &self.readable)
    }

    fn notes(&self) -> Result<Vec<String>, StageError> {
        Ok(self.judge.note().into_iter().collect())
    }

    fn outputs(verdicts: Dataset<Verdict>) -> Outputs {
        Outputs { verdicts }
    }

    fn rows_in_flight(&self) -> usize {
        self.readable.rows_in_flight(self.rows_in_flight)
    }
}

impl Stage {
    /// Warns of the answers that could not be read as one.
    fn tell_of_unclear(&self) {
        let counts = self.unclear.lock().unwrap_or_else(PoisonError::into_inner);
        let said = counts.iter().map(|(why, count)| match why {
            Unclear::Several => format!("{count} give several answers"),
            Unclear::Unreadable => format!("in {count} nothing can be read that the judge compares"),
        });
        let said: Vec<_> = said.collect();
        if !said.is_empty() {
            self.ctx
                .warn(format!("of the answers that count as incorrect, {}: see `unclear` in the verdicts", said.join(" and ")));
        }
    }

    /// Warns once if a model judges its own answers, to which it may be kinder.
    fn tell_of_itself(&self, answer: &Answer) {
        let mut judges = self.judges.lock().unwrap_or_else(PoisonError::into_inner);
        if judges.contains(&answer.asked) {
            self.ctx.warn(format!("the judge `{}` judges its own answers; measure it against another judge", answer.asked));
            judges.clear();
        }
    }
}
