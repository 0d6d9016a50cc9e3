//! The routes of one example's prompt. Takes the policies and the example's id; gives routes in an order, with descriptions and names drawn
//! for this example, so that a router learns to read what the prompt says.

use std::collections::{BTreeMap, BTreeSet};

use engine::fingerprint;

use super::{
    params::Params,
    words::{self, Names},
};
use crate::{
    random::Random,
    sections::{Policies, Policy, policies},
};

/// Names that are drawn for a route until one is not taken, before numbers are appended.
const ATTEMPTS: usize = 100;

/// Share of the drawn names that are names of the manifest's routes: a name must not say which description belongs to it.
const OWN: f64 = 0.2;

/// The number of routes that are made up for one prompt at most, with a name and a description of random words.
const MADE_UP: usize = 2;

/// Share of the words in a made-up description that come from the descriptions of the manifest.
const OF_DESCRIPTIONS: f64 = 0.6;

/// Routes of one prompt.
pub(crate) struct Routes {
    /// The routes that the prompt describes, in its order.
    pub(crate) shown: Policies,
    /// The names in the prompt, by the names of the policies. Empty unless routes are renamed.
    names: BTreeMap<String, String>,
}

impl Routes {
    /// Returns the name that a policy has in the prompt.
    pub(crate) fn name<'a>(&'a self, policy: &'a str) -> &'a str {
        self.names.get(policy).map_or(policy, String::as_str)
    }
}

/// What the routes of prompts are drawn from.
pub(crate) struct Source<'a> {
    params: &'a Params,
    /// The words of all descriptions, without key words.
    words: Vec<&'a str>,
    keywords: Vec<Option<&'a str>>,
}

impl<'a> Source<'a> {
    /// Collects the words of all descriptions.
    pub(crate) fn new(params: &'a Params) -> Self {
        let own = params.policies.0.iter().map(|policy| &policy.description);
        let descriptions = own.chain(params.paraphrases.values().flatten()).chain(params.other_routes.values());
        let words: BTreeSet<_> = descriptions.flat_map(|description| policies::words(description)).collect();
        let keywords = params.policies.keywords();
        let words = words.into_iter().filter(|word| !keywords.contains(&Some(*word))).collect();
        Self { params, words, keywords }
    }

    /// Opens the random numbers of one example.
    pub(crate) fn random(&self, id: &str, variation: usize) -> Random {
        let seed = fingerprint(&format!("{} {id} {variation}", self.params.seed));
        Random::new(u64::from_str_radix(&seed[..16], 16).expect("a fingerprint is hexadecimal"), "routes")
    }

    /// Draws the routes of one of the examples of a question.
    pub(crate) fn routes(&self, id: &str, variation: usize) -> Routes {
        self.draw(&mut self.random(id, variation))
    }

    /// Draws the routes of a prompt.
    pub(crate) fn draw(&self, random: &mut Random) -> Routes {
        let params = self.params;
        let mut shown = params.policies.clone();
        for policy in &mut shown.0 {
            self.reword(policy, random);
        }
        // No question is sent to the other routes, so they have no role.
        let other = |name: String, description| Policy { name, model: String::new(), description, keyword: None };
        for (name, description) in &params.other_routes {
            if random.uniform() < 0.5 {
                shown.0.push(other(name.clone(), description.clone()));
            }
        }
        let renamed = random.uniform() < params.rename_routes;
        let own: Vec<_> = shown.0.iter().map(|policy| policy.name.clone()).collect();
        let mut taken: BTreeSet<_> = if renamed { BTreeSet::new() } else { own.iter().cloned().collect() };
        let written = Names::draw(random);
        let mut new_name = |random: &mut Random| {
            let mut drawn = (0..).map(|attempt| match random.uniform() < OWN {
                true => own[random.below(own.len())].clone(),
                false if attempt < ATTEMPTS => written.name(random),
                false => format!("{}{attempt}", written.name(random)),
            });
            drawn.find(|name| taken.insert(name.clone())).expect("numbers have no end")
        };
        let mut names = BTreeMap::new();
        if renamed {
            for policy in &mut shown.0 {
                let name = new_name(random);
                names.insert(std::mem::replace(&mut policy.name, name.clone()), name);
            }
        }
        for _ in 0..MADE_UP {
            if random.uniform() < params.reword_routes {
                shown.0.push(other(new_name(random), self.description(None, random)));
            }
        }
        if params.shuffle_routes {
            random.shuffle(&mut shown.0);
        }
        Routes { shown, names }
    }

    /// Gives a policy one of its descriptions, or a made-up one.
    fn reword(&self, policy: &mut Policy, random: &mut Random) {
        let others = self.params.paraphrases.get(&policy.name).map_or(&[][..], Vec::as_slice);
        if random.uniform() < self.params.reword_routes {
            policy.description = self.description(policy.keyword.as_deref(), random);
        } else if let Some(other) = random.below(others.len() + 1).checked_sub(1) {
            // Index 0 of the draw is the policy's own description, so nothing changes then.
            policy.description.clone_from(&others[other]);
        }
    }

    /// Makes up a description of one to seven words, and puts the key word among them if there is one.
    fn description(&self, keyword: Option<&str>, random: &mut Random) -> String {
        let word = |random: &mut Random| {
            if random.uniform() < OF_DESCRIPTIONS && !self.words.is_empty() {
                self.words[random.below(self.words.len())].to_owned()
            } else {
                let mut drawn = std::iter::repeat_with(|| words::word(random));
                drawn.find(|word| !self.keywords.contains(&Some(word))).expect("words of letters are more than key words")
            }
        };
        let mut words: Vec<_> = (0..=random.below(7)).map(|_| word(random)).collect();
        if let Some(keyword) = keyword {
            words.insert(random.below(words.len() + 1), keyword.to_owned());
        }
        words.join(" ")
    }
}
