//! `uses: prepare`: labelled training questions become examples. Questions, labels and analyses → SFT and DPO examples.

use engine::{Context, Dataset, ParamMistake, Sections, StageError, fingerprint, ports};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    by_id::ById,
    prompt::{self, Form},
    rows::{Analysis, DpoExample, Label, Message, Question, SftExample, Split},
    sections::Policies,
};

/// What stands under `with:`.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Params {
    /// The policies that the prompt describes [default: the manifest's `policies`].
    #[serde(default)]
    policies: Policies,
    /// Share of the training questions with a second SFT example in direct form, the policy without reasoning: the form that
    /// scoring asks for.
    #[serde(default = "all")]
    direct: f64,
    /// Share of the training questions that become DPO examples, half of them in direct form.
    #[serde(default = "quarter")]
    dpo: f64,
    /// What the shares and the rejected policies are drawn by.
    #[serde(default)]
    seed: u64,
}

fn all() -> f64 {
    1.0
}

fn quarter() -> f64 {
    0.25
}

ports! { pub struct Inputs { questions: Dataset<Question>, labels: Dataset<Label>, analyses: Dataset<Analysis> } }
ports! { pub struct Outputs { sft: Dataset<SftExample>, dpo: Dataset<DpoExample> } }

/// The stage.
pub(crate) struct Stage;

impl engine::Stage for Stage {
    const KIND: &'static str = "prepare";
    const VERSION: u32 = 1;
    const SUMMARY: &'static str = "makes SFT and DPO examples of the labelled training questions";
    type Params = Params;
    type Inputs = Inputs;
    type Outputs = Outputs;

    fn settle(params: Params, sections: &Sections) -> Result<Params, Vec<ParamMistake>> {
        for (field, share) in [("direct", params.direct), ("dpo", params.dpo)] {
            if !(0.0..=1.0).contains(&share) {
                return Err(vec![ParamMistake {
                    field: vec![field.to_owned()],
                    message: format!("`{field}` is a share, and {share} is not between 0 and 1"),
                    help: "for example 0.5".to_owned(),
                }]);
            }
        }
        Ok(Params { policies: params.policies.or_section(sections)?, ..params })
    }

    async fn run(ctx: &Context, params: &Params, inputs: Inputs) -> Result<Outputs, StageError> {
        let questions = ById::read(&inputs.questions, "question", |question| &question.id)?;
        let analyses = ById::read(&inputs.analyses, "analysis", |analysis| &analysis.id)?;
        let mut sft = Vec::new();
        let mut dpo = Vec::new();
        for label in inputs.labels.rows()? {
            let label = label?;
            if label.split != Split::Train {
                continue;
            }
            let case = Case { params, question: questions.get(&label.id)?, analysis: analyses.get(&label.id)?, label: &label };
            sft.push(case.sft(Form::Reasoned));
            if case.drawn("direct") < params.direct {
                sft.push(case.sft(Form::Direct));
            }
            dpo.extend(case.dpo());
        }
        if sft.is_empty() {
            return Err(
                StageError::failed("no labelled question is in the `train` split").help("give the benchmark more questions")
            );
        }
        Ok(Outputs { sft: Dataset::write(ctx, sft)?, dpo: Dataset::write(ctx, dpo)? })
    }
}

struct Case<'a> {
    params: &'a Params,
    question: &'a Question,
    analysis: &'a Analysis,
    label: &'a Label,
}

impl Case<'_> {
    fn sft(&self, form: Form) -> SftExample {
        SftExample {
            id: self.label.id.clone(),
            prompt: prompt::prompt(&self.params.policies, &self.question.question, form),
            completion: self.says(form, &self.label.policy),
        }
    }

    // Chosen and rejected differ in the policy alone, so that DPO learns the label and no style.
    fn dpo(&self) -> Option<DpoExample> {
        if self.drawn("dpo") >= self.params.dpo {
            return None;
        }
        let others: Vec<_> = self.params.policies.0.iter().filter(|policy| policy.name != self.label.policy).collect();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "a number in [0, 1) times a handful"
        )]
        let rejected = others.get((self.drawn("rejected") * others.len() as f64) as usize)?;
        let form = if self.drawn("form") < 0.5 { Form::Direct } else { Form::Reasoned };
        Some(DpoExample {
            id: self.label.id.clone(),
            prompt: prompt::prompt(&self.params.policies, &self.question.question, form),
            chosen: self.says(form, &self.label.policy),
            rejected: self.says(form, &rejected.name),
        })
    }

    fn says(&self, form: Form, policy: &str) -> Vec<Message> {
        let reasoning = (form == Form::Reasoned).then_some(self.analysis.reasoning.as_str());
        vec![Message::new("assistant", prompt::completion(reasoning, policy))]
    }

    /// A number in [0, 1) that follows from the seed, the question and what it is for.
    fn drawn(&self, what: &str) -> f64 {
        let text = fingerprint(&format!("{} {what} {}", self.params.seed, self.label.id));
        let head = u32::from_str_radix(&text[..8], 16).expect("a fingerprint is hexadecimal");
        f64::from(head) / (f64::from(u32::MAX) + 1.0)
    }
}
