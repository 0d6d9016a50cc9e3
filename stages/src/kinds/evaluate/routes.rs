//! `routes:` of an evaluation. Takes routes that replace the policies that the router was trained with; gives what the router reads, and
//! what each choice means.

use engine::ParamMistake;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::sections::{Policies, Policy, policies::has_word};

/// A route that the router may never have seen.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Route {
    /// The name of the route in the prompt and the reply.
    name: String,
    /// The description of the route in the prompt.
    description: String,
    /// The policy that the route stands for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    policy: Option<String>,
    /// The role that answers, for a route without a policy. No question has it as its label, so choosing it is a mistake.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    model: Option<String>,
}

/// Finds routes that are malformed or repeated, and policies that no route stands for.
pub(crate) fn mistakes(routes: &[Route], policies: &Policies) -> Vec<ParamMistake> {
    let mut found = Vec::new();
    let mut wrong = |field: Vec<String>, message: String, help: &str| {
        found.push(ParamMistake { field: [vec!["routes".to_owned()], field].concat(), message, help: help.to_owned() });
    };
    for (place, route) in routes.iter().enumerate() {
        let at = |field: &str| vec![place.to_string(), field.to_owned()];
        if routes[..place].iter().any(|other| other.name == route.name) {
            wrong(at("name"), format!("there are two routes `{}`", route.name), "the router tells them apart by their names");
        }
        match (&route.policy, &route.model) {
            (Some(policy), None) if policies.get(policy).is_none() => {
                wrong(at("policy"), format!("there is no policy `{policy}`"), &format!("the policies are {}", policies.names()));
            }
            (Some(policy), None) if routes[..place].iter().any(|other| other.policy.as_ref() == Some(policy)) => {
                wrong(at("policy"), format!("another route represents `{policy}`"), "give each policy one route");
            }
            (None, Some(_)) if policies.get(&route.name).is_some() => {
                wrong(
                    at("name"),
                    format!("`{}` is a policy", route.name),
                    "a route of none has a name of its own, or say `policy: NAME`",
                );
            }
            (Some(_), None) | (None, Some(_)) => {}
            _ => wrong(
                vec![place.to_string()],
                format!("`{}` represents a policy, or has a model of its own", route.name),
                "write `policy: NAME` or `model: ROLE`",
            ),
        }
    }
    let stood_for = |policy: &&Policy| routes.iter().any(|route| route.policy.as_ref() == Some(&policy.name));
    if let Some(policy) = policies.0.iter().find(|policy| !routes.is_empty() && !stood_for(policy)) {
        let message = format!("no route represents `{}`, and questions are labelled with it", policy.name);
        wrong(Vec::new(), message, &format!("add `{{ name: …, policy: {}, description: … }}`", policy.name));
    }
    found
}

/// Finds routes whose description lacks the key word of their policy, so that a router that looks for key words misses them. Gives a
/// sentence for each.
pub(crate) fn without_keyword<'a>(routes: &'a [Route], policies: &'a Policies) -> impl Iterator<Item = String> + 'a {
    routes.iter().filter_map(|route| {
        let keyword = policies.get(route.policy.as_ref()?)?.keyword.as_ref()?;
        (!has_word(&route.description, keyword)).then(|| {
            format!("the description of `{}` does not have the word `{keyword}`, by which the router finds the route", route.name)
        })
    })
}

/// Returns the routes as the prompt lists them; the choices, which are the policies and then the routes of no policy; and the place of each
/// choice's route in the prompt.
pub(crate) fn shown(routes: &[Route], policies: &Policies) -> (Policies, Policies, Vec<usize>) {
    let read = |route: &Route| Policy {
        name: route.name.clone(),
        model: route.model.clone().unwrap_or_default(),
        description: route.description.clone(),
        keyword: None,
    };
    let mut choices = policies.clone();
    choices.0.extend(routes.iter().filter(|route| route.policy.is_none()).map(read));
    let means = |route: &Route| route.policy.as_ref().unwrap_or(&route.name).clone();
    let place = |choice: &Policy| routes.iter().position(|route| means(route) == choice.name);
    let places = choices.0.iter().filter_map(place).collect();
    (Policies(routes.iter().map(read).collect()), choices, places)
}
