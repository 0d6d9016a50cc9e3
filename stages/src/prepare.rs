//! `uses: prepare`: labelled training questions become examples. Questions, labels and analyses → SFT and DPO examples.

mod balance;
mod checks;
mod lengths;
mod routes;

use std::collections::BTreeMap;

use engine::{Context, Dataset, ParamMistake, Sections, StageError, fingerprint, ports};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use self::{balance::Balance, routes::Routes};
use crate::{
    by_id::ById,
    defaults::is_default,
    prompt::{self, Form},
    rows::{Analysis, DpoExample, Label, Message, Question, SftExample, Split},
    sections::{Policies, Policy},
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
    /// Which questions become examples: `train`, or `validation` for examples that a training is evaluated on.
    #[serde(default = "training", skip_serializing_if = "is_training")]
    split: Split,
    /// What the shares and the rejected policies are drawn by.
    #[serde(default)]
    seed: u64,
    /// Puts the routes of each example's prompt into an order of its own, so that the router does not learn their places.
    #[serde(default, skip_serializing_if = "is_default")]
    shuffle_routes: bool,
    /// Other descriptions of policies: each example has one of them or the policy's own, so that the router reads what they say.
    #[serde(default, skip_serializing_if = "is_default")]
    paraphrases: BTreeMap<String, Vec<String>>,
    /// Share of the examples in which routes have names made up for the example, so that the router learns to say what stands there.
    #[serde(default, skip_serializing_if = "is_default")]
    rename_routes: f64,
    /// How often each SFT example is there, each time with routes drawn anew: what stands beside a question once is learned by heart.
    #[serde(default = "once", skip_serializing_if = "is_once")]
    variations: usize,
    /// Routes beside the policies, by name, with their descriptions: each example shows each of them or not, and none is ever right.
    #[serde(default, skip_serializing_if = "is_default")]
    other_routes: BTreeMap<String, String>,
    /// Whether policies get equally many SFT examples: `none`, `oversample`, `undersample`.
    #[serde(default, skip_serializing_if = "is_default")]
    balance: Balance,
    /// How often a policy is rejected in place of the right one, by the right one: `{ Complex_Query: { Standard_Query: 3 } }`. Of
    /// those that are not named, the ones that send to another model count 2, since mistaking these costs something, the rest 1.
    #[serde(default, skip_serializing_if = "is_default")]
    rejected: BTreeMap<String, BTreeMap<String, f64>>,
    /// What happens where an example would show what it must not: a held-out question, a gold answer, a policy's name in the reasoning.
    #[serde(default, skip_serializing_if = "is_default")]
    leaks: OnLeak,
    /// How much of two questions has to be equal for one of them to be a near duplicate; without it, only equal ones are looked for.
    #[serde(default, skip_serializing_if = "is_default")]
    near_duplicates: Option<f64>,
}

#[derive(Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum OnLeak {
    /// The stage fails, with examples.
    #[default]
    Refuse,
    /// It says so, and goes on.
    Warn,
}

fn once() -> usize {
    1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
fn is_once(variations: &usize) -> bool {
    *variations == 1
}

fn training() -> Split {
    Split::Train
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
fn is_training(split: &Split) -> bool {
    *split == Split::Train
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
    const VERSION: u32 = 2;
    const SUMMARY: &'static str = "makes SFT and DPO examples of the labelled training questions";
    type Params = Params;
    type Inputs = Inputs;
    type Outputs = Outputs;

    fn settle(params: Params, sections: &Sections) -> Result<Params, Vec<ParamMistake>> {
        for (field, share) in [("direct", params.direct), ("dpo", params.dpo), ("rename_routes", params.rename_routes)] {
            if !(0.0..=1.0).contains(&share) {
                return Err(vec![ParamMistake {
                    field: vec![field.to_owned()],
                    message: format!("`{field}` is a share, and {share} is not between 0 and 1"),
                    help: "for example 0.5".to_owned(),
                }]);
            }
        }
        if params.variations == 0 {
            return Err(vec![ParamMistake {
                field: vec!["variations".to_owned()],
                message: "an example is there at least once".to_owned(),
                help: "give 1, or more where routes are drawn".to_owned(),
            }]);
        }
        if params.split == Split::Test {
            return Err(vec![ParamMistake {
                field: vec!["split".to_owned()],
                message: "the `test` questions are held out: what is reported is measured on them".to_owned(),
                help: "write `validation`, and give the benchmark such a split".to_owned(),
            }]);
        }
        if params.near_duplicates.is_some_and(|threshold| !(threshold > 0.0 && threshold <= 1.0)) {
            return Err(vec![ParamMistake {
                field: vec!["near_duplicates".to_owned()],
                message: "it is a share of what two questions have".to_owned(),
                help: "give a number above 0 and up to 1, for example 0.8".to_owned(),
            }]);
        }
        let policies = params.policies.or_section(sections)?;
        let mut mistakes = Vec::new();
        for name in params.other_routes.keys().filter(|name| policies.get(name).is_some()) {
            mistakes.push(ParamMistake {
                field: vec!["other_routes".to_owned(), name.clone()],
                message: format!("`{name}` is a policy, and other routes are never right"),
                help: "give it another name, or leave it out".to_owned(),
            });
        }
        let mut known = |field: &str, path: &[&String], name: &str| {
            if policies.get(name).is_none() {
                mistakes.push(ParamMistake {
                    field: [field.to_owned()].into_iter().chain(path.iter().map(|part| (*part).clone())).collect(),
                    message: format!("there is no policy `{name}`"),
                    help: format!("the policies are {}", policies.names()),
                });
            }
        };
        params.paraphrases.keys().for_each(|name| known("paraphrases", &[name], name));
        for (right, others) in &params.rejected {
            known("rejected", &[right], right);
            for other in others.keys() {
                known("rejected", &[right, other], other);
            }
        }
        for (right, others) in &params.rejected {
            for (other, weight) in others {
                if !(*weight >= 0.0 && weight.is_finite()) {
                    mistakes.push(ParamMistake {
                        field: vec!["rejected".to_owned(), right.clone(), other.clone()],
                        message: "a weight cannot be below nothing".to_owned(),
                        help: "give 0 to leave the policy out".to_owned(),
                    });
                }
            }
        }
        if mistakes.is_empty() { Ok(Params { policies, ..params }) } else { Err(mistakes) }
    }

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
                        .help("mend the benchmark or the analysis (`duplicates: drop_across`), or say `leaks: warn`"));
                }
            }
        }
        let training: Vec<_> = labels.iter().filter(|label| label.split == params.split).collect();
        let times = balance::times(&training, params.balance, |id| drawn(params.seed, "balance", id));
        let mut sft = Vec::new();
        let mut dpo = Vec::new();
        for (label, times) in training.into_iter().zip(times) {
            let (question, analysis) = (questions.get(&label.id)?, analyses.get(&label.id)?);
            let case = |variation| Case { params, question, analysis, label, routes: Routes::of(params, &label.id, variation) };
            for variation in (0..params.variations).cycle().take(times * params.variations) {
                let case = case(variation);
                sft.push(case.sft(Form::Reasoned));
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

    // Chosen and rejected differ in the policy alone, so that DPO learns the label and no style.
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
        vec![Message::new("assistant", prompt::completion(reasoning, self.routes.name(policy)))]
    }

    fn drawn(&self, what: &str) -> f64 {
        drawn(self.params.seed, what, &self.label.id)
    }
}

/// A number in [0, 1) that follows from the seed, the question and what it is for.
fn drawn(seed: u64, what: &str, id: &str) -> f64 {
    let text = fingerprint(&format!("{seed} {what} {id}"));
    let head = u32::from_str_radix(&text[..8], 16).expect("a fingerprint is hexadecimal");
    f64::from(head) / (f64::from(u32::MAX) + 1.0)
}
