//! `uses: prepare`: labelled training questions become examples. Takes questions, labels and analyses; gives SFT and DPO examples.
//!
//! Read `params` first, then this file. `checks` finds leaks, `balance` says how often a label becomes examples, `routes` draws the routes of a
//! prompt (with made-up names and descriptions from `words`), `lookups` adds practice in reading routes, `lengths` sums up for the log.

mod balance;
mod checks;
mod lengths;
mod lookups;
mod params;
mod routes;
mod words;

use std::collections::BTreeSet;

use engine::{Context, Dataset, ParamMistake, Sections, StageError, fingerprint, ports};

use super::join::ById;
use crate::{
    router::prompt::{self, Form},
    rows::{Analysis, DpoExample, Label, Message, Question, SftExample, Split},
    sections::Policy,
};
use params::{OnLeak, Params};
use routes::{Routes, Source};

ports! { pub struct Inputs { questions: Dataset<Question>, labels: Dataset<Label>, analyses: Dataset<Analysis> } }
ports! { pub struct Outputs { sft: Dataset<SftExample>, dpo: Dataset<DpoExample> } }

/// The stage `prepare`.
pub(crate) struct Stage;

impl engine::Kind for Stage {
    const KIND: &'static str = "prepare";
    const VERSION: u32 = 3;
    const SUMMARY: &'static str = "makes SFT and DPO examples of the labelled training questions";
    const EXAMPLE: &'static str = "\
stages:
  examples:
    uses: prepare
    in: { questions: questions, labels: labels, analyses: analyses }
    with: { reasoned: 1.0, direct: 0.5, dpo: 0.25 }
";
    type Params = Params;
    type Inputs = Inputs;
    type Outputs = Outputs;

    fn settle(params: Params, sections: &Sections) -> Result<Params, Vec<ParamMistake>> {
        params.settle(sections)
    }
}

impl engine::Stage for Stage {
    async fn run(ctx: &Context, params: &Params, inputs: Inputs) -> Result<Outputs, StageError> {
        let questions = ById::read(&inputs.questions, "question", |question| &question.id)?;
        let analyses = ById::read(&inputs.analyses, "analysis", |analysis| &analysis.id)?;
        let labels = inputs.labels.rows()?.collect::<Result<Vec<_>, _>>()?;
        for found in [
            checks::held_out(&labels, &questions)?,
            checks::told(&labels, params.split, &questions, &analyses, &params.policies)?,
            match params.near_duplicates {
                Some(threshold) => checks::near(ctx, &labels, &questions, threshold)?,
                None => Vec::new(),
            },
        ] {
            match (checks::sentence(&found), params.leaks) {
                (None, _) => {}
                (Some(leak), OnLeak::Warn) => ctx.warn(leak),
                (Some(leak), OnLeak::Refuse) => {
                    return Err(StageError::failed(leak)
                        .help("fix the benchmark or the analysis (`duplicates: drop_across`), or set `leaks: warn`"));
                }
            }
        }
        let labelled: BTreeSet<_> = labels.iter().map(|label| label.id.as_str()).collect();
        let in_split = questions.rows().filter(|question| question.split == params.split);
        let without = in_split.filter(|question| !labelled.contains(question.id.as_str())).count();
        if without > 0 {
            ctx.say(format!(
                "{without} questions of the split have no label, since an answer has no verdict: they become no example"
            ));
        }
        let source = Source::new(params);
        let training: Vec<_> = labels.iter().filter(|label| label.split == params.split).collect();
        let times = balance::times(&training, params.balance, |id| drawn(params.seed, "balance", id));
        let mut sft = Vec::new();
        let mut dpo = Vec::new();
        for (label, times) in training.into_iter().zip(times) {
            let (question, analysis) = (questions.get(&label.id)?, analyses.get(&label.id)?);
            let case = |variation| Case { params, question, analysis, label, routes: source.routes(&label.id, variation) };
            for variation in (0..params.variations).cycle().take(times * params.variations) {
                let case = case(variation);
                if case.drawn("reasoned") < params.reasoned {
                    sft.push(case.sft(Form::Reasoned));
                }
                if case.drawn("direct") < params.direct {
                    sft.push(case.sft(Form::Direct));
                }
            }
            dpo.extend(case(0).dpo());
        }
        if sft.is_empty() {
            return Err(match params.split {
                Split::Train => {
                    StageError::failed("no labelled question is in the `train` split").help("give the benchmark more questions")
                }
                _ => StageError::failed("no labelled question is in the `validation` split")
                    .help("give the benchmark one: `split: { train: 0.8, validation: 0.1, test: 0.1 }`"),
            });
        }
        let lookups = (sft.len() as f64 * params.lookups).round() as usize;
        sft.extend((0..lookups).map(|number| lookups::lookup(&source, number)));
        let (prompts, completions) =
            sft.iter().map(|example| (lengths::length(&example.prompt), lengths::length(&example.completion))).unzip();
        ctx.say(format!(
            "{} SFT and {} DPO examples; prompts {}, completions {}",
            sft.len(),
            dpo.len(),
            lengths::sentence(prompts),
            lengths::sentence(completions)
        ));
        Ok(Outputs { sft: Dataset::write(ctx, sft)?, dpo: Dataset::write(ctx, dpo)? })
    }
}

struct Case<'a> {
    params: &'a Params,
    question: &'a Question,
    analysis: &'a Analysis,
    label: &'a Label,
    routes: Routes,
}

impl Case<'_> {
    fn sft(&self, form: Form) -> SftExample {
        SftExample {
            id: self.label.id.clone(),
            prompt: prompt::prompt(&self.routes.shown, &self.question.question, form),
            completion: self.says(form, &self.label.policy),
        }
    }

    // The chosen and the rejected answer differ only in the policy, so that DPO learns the label and no style.
    fn dpo(&self) -> Option<DpoExample> {
        if self.drawn("dpo") >= self.params.dpo {
            return None;
        }
        let others: Vec<_> = self.params.policies.0.iter().filter(|policy| policy.name != self.label.policy).collect();
        let weights = self.params.rejected.get(&self.label.policy);
        let model = self.params.policies.get(&self.label.policy).map(|policy| &policy.model);
        let weight = |policy: &Policy| match weights.and_then(|weights| weights.get(&policy.name)) {
            Some(weight) => *weight,
            None if model == Some(&policy.model) => 1.0,
            None => 2.0,
        };
        let mut left = self.drawn("rejected") * others.iter().map(|policy| weight(policy)).sum::<f64>();
        let rejected = others.iter().find(|policy| {
            left -= weight(policy);
            left < 0.0
        })?;
        let form = if self.drawn("form") < 0.5 { Form::Direct } else { Form::Reasoned };
        Some(DpoExample {
            id: self.label.id.clone(),
            prompt: prompt::prompt(&self.routes.shown, &self.question.question, form),
            chosen: self.says(form, &self.label.policy),
            rejected: self.says(form, &rejected.name),
        })
    }

    fn says(&self, form: Form, policy: &str) -> Vec<Message> {
        let reasoning = (form == Form::Reasoned).then_some(self.analysis.reasoning.as_str());
        let keyword = self.params.policies.get(policy).and_then(|policy| policy.keyword.as_deref());
        vec![Message::new("assistant", prompt::completion(reasoning, keyword, self.routes.name(policy)))]
    }

    fn drawn(&self, what: &str) -> f64 {
        drawn(self.params.seed, what, &self.label.id)
    }
}

/// Returns a number in [0, 1) that depends only on the seed, its purpose and the question's id.
fn drawn(seed: u64, what: &str, id: &str) -> f64 {
    let text = fingerprint(&format!("{seed} {what} {id}"));
    let head = u32::from_str_radix(&text[..8], 16).expect("a fingerprint is hexadecimal");
    f64::from(head) / (f64::from(u32::MAX) + 1.0)
}
