//! The params of `prepare`. Takes what is under `with:`; gives the same, completed by the manifest's policies, or all mistakes in it.

use std::collections::BTreeMap;

use engine::{ParamMistake, Sections};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::balance::Balance;
use crate::{
    defaults::is_default,
    rows::Split,
    sections::{
        Policies, Policy,
        policies::{FOUND_BY_KEYWORD, TOLD_APART, has_word},
    },
};

/// The params of `prepare`.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Params {
    /// The policies that the prompt describes [default: the manifest's `policies`].
    #[serde(default)]
    pub(crate) policies: Policies,
    /// Share of the SFT examples in which the policy comes after reasoning.
    #[serde(default = "all", skip_serializing_if = "is_all")]
    pub(crate) reasoned: f64,
    /// Share of the training questions with a second SFT example in direct form, the policy without reasoning: the form that
    /// scoring asks for.
    #[serde(default = "all")]
    pub(crate) direct: f64,
    /// Share of the training questions that become DPO examples, half of them in direct form.
    #[serde(default = "quarter")]
    pub(crate) dpo: f64,
    /// Which questions become examples: `train`, or `validation` for examples that a training is evaluated on.
    #[serde(default = "training", skip_serializing_if = "is_training")]
    pub(crate) split: Split,
    /// Seed of all random choices.
    #[serde(default)]
    pub(crate) seed: u64,
    /// Puts the routes of each example's prompt into an order of its own, so that the router does not learn their places.
    #[serde(default, skip_serializing_if = "is_default")]
    pub(crate) shuffle_routes: bool,
    /// Other descriptions of policies: each example has one of them or the policy's own, so that the router reads what they say.
    #[serde(default, skip_serializing_if = "is_default")]
    pub(crate) paraphrases: BTreeMap<String, Vec<String>>,
    /// Share of the examples in which routes have names made up for the example, so that the router learns to say what stands there.
    #[serde(default, skip_serializing_if = "is_default")]
    pub(crate) rename_routes: f64,
    /// Number of variants of each SFT example, each with newly drawn routes, so that the routes of a question are not memorised.
    #[serde(default = "once", skip_serializing_if = "is_once")]
    pub(crate) variations: usize,
    /// Routes beside the policies, by name, with their descriptions: each example shows each of them or not, and none is ever right.
    #[serde(default, skip_serializing_if = "is_default")]
    pub(crate) other_routes: BTreeMap<String, String>,
    /// Share of the descriptions that are made up for an example, of words of all descriptions and of letters, the policy's key word among
    /// them, and of others beside the policies: so that the router finds a route by its key word in whatever words.
    #[serde(default, skip_serializing_if = "is_default")]
    pub(crate) reword_routes: f64,
    /// SFT examples that ask for routes by words of their descriptions, as a multiple of the others: practice in reading, without a question.
    #[serde(default, skip_serializing_if = "is_default")]
    pub(crate) lookups: f64,
    /// Whether policies get equally many SFT examples: `none`, `oversample`, `undersample`.
    #[serde(default, skip_serializing_if = "is_default")]
    pub(crate) balance: Balance,
    /// How often a policy is rejected in place of the right one, by the right one: `{ Complex_Query: { Standard_Query: 3 } }`. Of
    /// those that are not named, the ones that send to another model count 2, since mistaking these costs something, the rest 1.
    #[serde(default, skip_serializing_if = "is_default")]
    pub(crate) rejected: BTreeMap<String, BTreeMap<String, f64>>,
    /// What happens if an example leaks a held-out question, a gold answer, or the name of a policy in its reasoning.
    #[serde(default, skip_serializing_if = "is_default")]
    pub(crate) leaks: OnLeak,
    /// Similarity from which on two questions are near duplicates; without it, only equal questions are duplicates.
    #[serde(default, skip_serializing_if = "is_default")]
    pub(crate) near_duplicates: Option<f64>,
}

#[derive(Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum OnLeak {
    /// The stage fails, with examples.
    #[default]
    Refuse,
    /// Warns and continues.
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

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
fn is_all(share: &f64) -> bool {
    *share == all()
}

fn quarter() -> f64 {
    0.25
}

impl Params {
    /// Completes the params by the manifest's policies, unless they have their own.
    ///
    /// # Errors
    /// All mistakes in the params.
    pub(crate) fn settle(self, sections: &Sections) -> Result<Self, Vec<ParamMistake>> {
        let policies = self.policies.clone().or_section(sections)?;
        let params = Self { policies, ..self };
        let mistakes = [numbers(&params), names(&params), keywords(&params)].concat();
        if mistakes.is_empty() { Ok(params) } else { Err(mistakes) }
    }
}

/// Finds numbers that are out of range, and the test split, which must not become examples.
fn numbers(params: &Params) -> Vec<ParamMistake> {
    let mut mistakes = Vec::new();
    for (field, share) in [
        ("reasoned", params.reasoned),
        ("direct", params.direct),
        ("dpo", params.dpo),
        ("rename_routes", params.rename_routes),
        ("reword_routes", params.reword_routes),
    ] {
        if !(0.0..=1.0).contains(&share) {
            let message = format!("`{field}` is a share, and {share} is not between 0 and 1");
            mistakes.push(ParamMistake::new(&[field], message, "for example 0.5"));
        }
    }
    if params.reasoned == 0.0 && params.direct == 0.0 {
        mistakes.push(ParamMistake::new(
            &["direct"],
            "`reasoned` and `direct` are both 0, so there is no SFT example",
            "give one of them 1.0",
        ));
    }
    if params.variations == 0 {
        mistakes.push(ParamMistake::new(
            &["variations"],
            "an example is there at least once",
            "give 1, or more where routes are drawn",
        ));
    }
    if !(params.lookups >= 0.0 && params.lookups.is_finite()) {
        let message = format!("{} times as many examples cannot be made", params.lookups);
        mistakes.push(ParamMistake::new(
            &["lookups"],
            message,
            "give 0, or for example 1.0 for as many lookups as there are other examples",
        ));
    }
    if params.split == Split::Test {
        mistakes.push(ParamMistake::new(
            &["split"],
            "the `test` questions are held out: what is reported is measured on them",
            "write `validation`, and give the benchmark such a split",
        ));
    }
    if params.near_duplicates.is_some_and(|threshold| !(threshold > 0.0 && threshold <= 1.0)) {
        let message = "it is a share of what two questions have";
        mistakes.push(ParamMistake::new(&["near_duplicates"], message, "give a number above 0 and up to 1, for example 0.8"));
    }
    for (right, others) in &params.rejected {
        for (other, _) in others.iter().filter(|(_, weight)| !(**weight >= 0.0 && weight.is_finite())) {
            let field = ["rejected", right, other];
            mistakes.push(ParamMistake::new(&field, "a weight must not be negative", "give 0 to leave the policy out"));
        }
    }
    mistakes
}

/// Finds names that are no policies, and other routes whose name is a policy's.
fn names(params: &Params) -> Vec<ParamMistake> {
    let policies = &params.policies;
    let mut mistakes = Vec::new();
    for name in params.other_routes.keys().filter(|name| policies.get(name).is_some()) {
        let message = format!("`{name}` is a policy, and other routes are never right");
        mistakes.push(ParamMistake::new(&["other_routes", name], message, "give it another name, or leave it out"));
    }
    let mut known = |field: &[&str], name: &str| {
        if policies.get(name).is_none() {
            let help = format!("the policies are {}", policies.names());
            mistakes.push(ParamMistake::new(field, format!("there is no policy `{name}`"), help));
        }
    };
    params.paraphrases.keys().for_each(|name| known(&["paraphrases", name], name));
    for (right, others) in &params.rejected {
        known(&["rejected", right], right);
        for other in others.keys() {
            known(&["rejected", right, other], other);
        }
    }
    mistakes
}

/// Finds descriptions that lack their policy's key word, or have another's.
fn keywords(params: &Params) -> Vec<ParamMistake> {
    let mut mistakes = Vec::new();
    let paraphrases = || params.paraphrases.iter().flat_map(|(of, all)| all.iter().map(move |description| (of, description)));
    for Policy { name, keyword, .. } in &params.policies.0 {
        let Some(keyword) = keyword else { continue };
        for (of, description) in paraphrases() {
            let field = ["paraphrases", of];
            match (of == name, has_word(description, keyword)) {
                (true, false) => {
                    let message = format!("\"{description}\" does not have the key word `{keyword}`");
                    mistakes.push(ParamMistake::new(&field, message, FOUND_BY_KEYWORD));
                }
                (false, true) => {
                    let message = format!("\"{description}\" has the key word of `{name}`, `{keyword}`");
                    mistakes.push(ParamMistake::new(&field, message, TOLD_APART));
                }
                _ => {}
            }
        }
        for (other, _) in params.other_routes.iter().filter(|(_, description)| has_word(description, keyword)) {
            let message = format!("its description has the key word of `{name}`, `{keyword}`");
            mistakes.push(ParamMistake::new(&["other_routes", other], message, TOLD_APART));
        }
    }
    for (field, used) in [("lookups", params.lookups > 0.0), ("reword_routes", params.reword_routes > 0.0)] {
        if used && params.policies.keywords() == [None] {
            let message = format!("`{field}` requires policies with key words, and they have none");
            mistakes.push(ParamMistake::new(
                &[field],
                message,
                "give each policy `keyword: WORD`, a word of its description that no other has",
            ));
        }
    }
    mistakes
}
