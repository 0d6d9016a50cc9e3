//! A watch on served models. Takes the name that a reply gives its model; gives whether it is another model than the one asked for.

use std::sync::OnceLock;

use engine::{Context, StageError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::llm::{model::Model, request::Reply};

/// What happens when another model is served.
#[derive(Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum OnSwap {
    /// The stage stops, with both names.
    #[default]
    Stop,
    /// The answer is marked as `model_swapped`.
    Mark,
}

/// The name that a model has to be served under, and what happens if it is another one.
pub(crate) struct Served {
    ctx: Context,
    on_swap: OnSwap,
    expected: Option<Expected>,
    /// The pinned name, as soon as there is one.
    first: OnceLock<String>,
}

struct Expected {
    /// The name under `served:` in the manifest.
    given: Option<String>,
    asked: String,
    model: String,
    /// The key of the pin in the cache: provider, address and model.
    pin: String,
    /// Whether the request goes to the model's vendor. Other servers name models as they like.
    vendor: bool,
}

impl Served {
    pub(crate) fn new(ctx: &Context, model: &Model, given: Option<&String>, on_swap: OnSwap) -> Self {
        let expected = model.request().map(|request| Expected {
            given: given.cloned(),
            asked: model.asked.clone(),
            model: request.model.clone(),
            vendor: model.is_at_vendor(),
            pin: format!("served {} {} {}", request.provider, request.base_url, request.model),
        });
        Self { ctx: ctx.clone(), on_swap, expected, first: OnceLock::new() }
    }

    /// Returns whether the reply is another model's. Pins the name of the first reply.
    ///
    /// # Errors
    /// The reply is another model's and the stage stops then, or the pin cannot be read or written.
    pub(crate) fn is_swapped(&self, reply: &Reply) -> Result<bool, StageError> {
        // A prompt that was refused before a model saw it has neither usage nor text, and where the server names no model, the reply
        // has the name that was asked for.
        let is_of_model =
            |expected: &&Expected| reply.text.is_some() || reply.usage.total() > 0 && reply.served != expected.model;
        let Some(expected) = self.expected.as_ref().filter(is_of_model) else { return Ok(false) };
        let (right, stays) = match &expected.given {
            Some(given) => (given.clone(), "`served:` says"),
            None => match self.pinned(expected)? {
                Some(first) => (first, "it was"),
                None if expected.vendor && !is_form_of(&reply.served, &expected.model) => {
                    (expected.model.clone(), "the manifest asks for")
                }
                None => (self.first(expected, &reply.served)?, "it was"),
            },
        };
        if reply.served == right {
            return Ok(false);
        }
        match self.on_swap {
            OnSwap::Mark => Ok(true),
            OnSwap::Stop => Err(StageError::failed(format!(
                "`{}` is served as `{}` now, and {stays} `{right}`: another model answers",
                expected.asked, reply.served
            ))
            .help(format!(
                "name the model that you mean; or accept this one by `served: {{ ROLE: {} }}`; or `on_model_swap: mark`",
                reply.served
            ))),
        }
    }

    /// Returns a note that names what the model has to be served as, if there is a name.
    pub(crate) fn note(&self) -> Result<Option<String>, StageError> {
        let Some(expected) = &self.expected else { return Ok(None) };
        if let Some(given) = &expected.given {
            return Ok(Some(format!("`{}` has to be served as `{given}`", expected.asked)));
        }
        let pinned = self.pinned(expected)?;
        Ok(pinned.map(|first| format!("`{}` is pinned to `{first}`, as it was served first", expected.asked)))
    }

    fn pinned(&self, expected: &Expected) -> Result<Option<String>, StageError> {
        if let Some(first) = self.first.get() {
            return Ok(Some(first.clone()));
        }
        let pinned = self.ctx.pinned(&expected.pin)?;
        Ok(pinned.map(|first| self.first.get_or_init(|| first).clone()))
    }

    /// Pins the first name that was served, and returns the name that is pinned.
    fn first(&self, expected: &Expected, served: &str) -> Result<String, StageError> {
        if !is_form_of(served, &expected.model) {
            self.ctx.warn(format!("`{}` is served as `{served}`; any other name from now on is another model", expected.asked));
        }
        self.ctx.pin(&expected.pin, served)
    }
}

/// Returns whether a served name is the asked one or continues it with a date or a version: `gpt-4o` and `gpt-4o-2024-08-06`.
fn is_form_of(served: &str, asked: &str) -> bool {
    // Gateways put the vendor before the name, in what is asked for or in what is served.
    let bare = |name: &str| name.rsplit('/').next().unwrap_or(name).to_lowercase();
    let (served, asked) = (bare(served), bare(asked));
    let Some(rest) = served.strip_prefix(&asked) else {
        // An alias stands for any version of the name before `-latest`.
        return asked.ends_with("-latest") && served.starts_with(asked.trim_end_matches("-latest"));
    };
    rest.is_empty()
        || rest.starts_with(['-', '@', ':', '.'])
            && rest[1..].chars().all(|character| character.is_ascii_digit() || "-.@:".contains(character))
        || rest.starts_with(':')
}

#[cfg(test)]
mod tests {
    use super::is_form_of;

    #[test]
    fn a_date_or_a_version_behind_a_name_is_the_same_model() {
        for (served, asked) in [
            ("gpt-4o", "gpt-4o"),
            ("gpt-4o-2024-08-06", "gpt-4o"),
            ("gpt-4o-2024-08-06", "openai/gpt-4o"),
            ("gemini-1.5-flash-002", "gemini-1.5-flash"),
            ("claude-3-5-haiku-20241022", "claude-3-5-haiku-latest"),
            ("llama3:8b", "llama3"),
        ] {
            assert!(is_form_of(served, asked), "{served} for {asked}");
        }
        for (served, asked) in [
            ("gpt-4o-mini", "gpt-4o"),
            ("gemini-3.5-flash-lite", "gemini-2.5-flash"),
            ("gemini-2.5-flash-lite", "gemini-2.5-flash"),
            ("gemini-2.5-flash-lite", "gemini-2.5-flash-"),
        ] {
            assert!(!is_form_of(served, asked), "{served} for {asked}");
        }
    }
}
