//! The policies and an example's id → the routes of the example's prompt, in an order, in words and with names of its own, so that a
//! router learns to read what stands there.

use std::collections::{BTreeMap, BTreeSet};

use engine::fingerprint;

use super::Params;
use crate::sections::{Policies, Policy};

/// Words that names are made of, two for each: they say nothing about a route.
const WORDS: [&str; 48] = [
    "Amber", "Anchor", "Aspen", "Basalt", "Beacon", "Birch", "Bridge", "Canyon", "Cedar", "Cobalt", "Copper", "Coral", "Delta",
    "Ember", "Falcon", "Fern", "Garnet", "Glacier", "Harbor", "Hazel", "Indigo", "Island", "Ivory", "Jasper", "Juniper",
    "Lagoon", "Lantern", "Linden", "Maple", "Marble", "Meadow", "Mesa", "Nickel", "Ocean", "Onyx", "Opal", "Orchid", "Pebble",
    "Pine", "Prairie", "Quartz", "Raven", "River", "Saffron", "Sierra", "Summit", "Timber", "Willow",
];

/// Names that are drawn for a route until one is no other's.
const ATTEMPTS: usize = 100;

/// Routes of one prompt.
pub(super) struct Routes {
    /// What the prompt describes, in its order.
    pub(super) shown: Policies,
    /// Names in the prompt by the policies' own.
    names: BTreeMap<String, String>,
}

impl Routes {
    /// Lays the routes of one of the examples of a question out.
    pub(super) fn of(params: &Params, id: &str, variation: usize) -> Self {
        let id = if variation == 0 { id.to_owned() } else { format!("{id} {variation}") };
        let drawn = |what: &str| super::drawn(params.seed, what, &id);
        let mut shown = params.policies.clone();
        for policy in &mut shown.0 {
            let others = params.paraphrases.get(&policy.name).map_or(&[][..], Vec::as_slice);
            let chosen = drawn(&format!("paraphrase {}", policy.name)) * (others.len() + 1) as f64;
            // The first of them is the policy's own.
            if let Some(other) = (chosen as usize).checked_sub(1).and_then(|other| others.get(other)) {
                policy.description.clone_from(other);
            }
        }
        for (name, description) in &params.other_routes {
            if drawn(&format!("other route {name}")) < 0.5 {
                // Nothing is sent there, so the role is nobody's.
                shown.0.push(Policy { name: name.clone(), model: String::new(), description: description.clone() });
            }
        }
        if params.shuffle_routes {
            shown.0.sort_by_cached_key(|policy| fingerprint(&format!("{} route {} {id}", params.seed, policy.name)));
        }
        let mut names = BTreeMap::new();
        if drawn("rename") < params.rename_routes {
            let mut taken = BTreeSet::new();
            for policy in &mut shown.0 {
                let mut names_drawn = (0..ATTEMPTS).map(|attempt| name(&drawn, &policy.name, attempt));
                // Where others have all of them, the route keeps its own.
                let name = names_drawn.find(|name| taken.insert(name.clone())).unwrap_or_else(|| policy.name.clone());
                names.insert(std::mem::replace(&mut policy.name, name.clone()), name);
            }
        }
        Self { shown, names }
    }

    /// Returns the name that a policy has in the prompt.
    pub(super) fn name<'a>(&'a self, policy: &'a str) -> &'a str {
        self.names.get(policy).map_or(policy, String::as_str)
    }
}

fn name(drawn: &impl Fn(&str) -> f64, policy: &str, attempt: usize) -> String {
    let word = |place: &str| WORDS[(drawn(&format!("{place} word {attempt} of {policy}")) * WORDS.len() as f64) as usize];
    format!("{}_{}", word("first"), word("second"))
}
