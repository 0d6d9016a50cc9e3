//! Families of models. Takes a model's name; gives which settings it refuses, and whether it reasons before it answers. Each provider lists
//! its own families.

use crate::{llm::request::Settings, sections::capabilities::Said};

/// Models of one provider whose names begin alike.
pub(crate) struct Family {
    /// The beginning of their names. An empty one is for all models of no other family.
    pub prefix: &'static str,
    /// Settings that the provider refuses or ignores.
    pub lacks: &'static [&'static str],
    /// Whether hidden reasoning counts against the cap, so that a small cap leaves no answer.
    pub reasons: bool,
}

/// Finds the family of a model: the one with the longest prefix.
pub(super) fn find<'a>(families: &'a [Family], model: &str) -> Option<&'a Family> {
    // Gateways put the vendor before the name: `openai/gpt-5`.
    let name = model.rsplit('/').next().unwrap_or(model);
    families.iter().filter(|family| name.starts_with(family.prefix)).max_by_key(|family| family.prefix.len())
}

/// The default cap on output tokens: without reasoning, and with room for it.
const CAP: u32 = 1024;
const REASONING_CAP: u32 = 8192;

/// The settings that a model may lack.
const ALL: [&str; 7] = ["temperature", "top_p", "seed", "stop", "thinking", "reasoning_effort", "schema"];

/// Returns the settings that a model takes, with the cap filled in, and the names of those that were left out. What the manifest says counts
/// for more than the model's name, and what the protocol `never` has words for is left out in any case.
pub(super) fn fit(
    families: &[Family],
    never: &[&str],
    said: Said,
    model: &str,
    mut settings: Settings,
) -> (Settings, Vec<&'static str>) {
    let family = find(families, model);
    let lacks = |name: &&str| {
        let by_name = family.is_some_and(|family| family.lacks.contains(name));
        never.contains(name) || said.takes(name).map_or(by_name, |takes| !takes)
    };
    let mut left_out = Vec::new();
    // The table's own order first.
    let listed = family.map_or(&[][..], |family| family.lacks);
    let others = ALL.into_iter().filter(|name| !listed.contains(name));
    for name in listed.iter().copied().chain(others).filter(lacks) {
        let was = match name {
            "temperature" => settings.temperature.take().is_some(),
            "top_p" => settings.top_p.take().is_some(),
            "seed" => settings.seed.take().is_some(),
            "stop" => !std::mem::take(&mut settings.stop).is_empty(),
            "thinking" => settings.thinking.take().is_some(),
            "reasoning_effort" => settings.reasoning_effort.take().is_some(),
            _ => settings.schema.take().is_some(),
        };
        if was {
            left_out.push(name);
        }
    }
    let reasons =
        said.takes.reasoning.unwrap_or_else(|| family.is_some_and(|family| family.reasons)) && settings.thinking != Some(0);
    settings.max_output_tokens.get_or_insert(if reasons { REASONING_CAP } else { CAP });
    (settings, left_out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::llm::providers;

    #[test]
    fn what_a_model_refuses_is_left_out_and_named() {
        let given = Settings { temperature: Some(0.0), seed: Some(1), ..Settings::default() };
        for (kind, model, left_out, cap) in [
            ("openai", "gpt-4o-mini", vec![], CAP),
            ("openai", "openai/gpt-5-mini", vec!["temperature"], REASONING_CAP),
            ("anthropic", "claude-haiku-4-5", vec!["seed"], CAP),
            ("anthropic", "claude-opus-4-7", vec!["seed", "temperature"], CAP),
            ("gemini", "gemini-2.5-flash", vec![], REASONING_CAP),
            ("gemini", "gemini-3.8-flash", vec!["temperature"], REASONING_CAP),
            ("gemini", "gemini-2.0-flash", vec![], CAP),
        ] {
            let families = providers::find(kind).unwrap().families;
            let (settings, names) = fit(families, &[], Said::default(), model, given.clone());
            assert_eq!(settings.temperature.is_none(), names.contains(&"temperature"), "{kind}/{model}");
            assert_eq!((names, settings.max_output_tokens), (left_out, Some(cap)), "{kind}/{model}");
        }
    }
}
