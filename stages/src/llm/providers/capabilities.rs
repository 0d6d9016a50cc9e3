//! A model's name → what it takes: which settings it refuses, whether it reasons before it answers. The one place that knows families.

use crate::llm::completion::{Request, Settings};

/// Models of one provider whose names begin alike.
struct Family {
    kind: &'static str,
    prefix: &'static str,
    /// Settings that are refused with an error, or ignored.
    lacks: &'static [&'static str],
    /// Whether hidden reasoning counts against the cap, so that a small cap leaves no answer.
    reasons: bool,
    /// Whether the cap is `max_completion_tokens`.
    completion_tokens: bool,
}

const SAMPLING: &[&str] = &["temperature", "top_p"];

const fn family(kind: &'static str, prefix: &'static str) -> Family {
    Family { kind, prefix, lacks: &[], reasons: false, completion_tokens: false }
}

/// The longest prefix that fits decides; the empty one stands for all others.
const FAMILIES: &[Family] = &[
    // `seed` and JSON schemas are no part of the messages protocol.
    Family { lacks: &["seed", "reasoning_effort", "schema"], ..family("anthropic", "") },
    Family { lacks: &["seed", "reasoning_effort", "schema", "temperature", "top_p"], ..family("anthropic", "claude-opus-4-7") },
    Family { lacks: &["seed", "reasoning_effort", "schema", "temperature", "top_p"], ..family("anthropic", "claude-opus-4-8") },
    Family { lacks: &["seed", "reasoning_effort", "schema", "temperature", "top_p"], ..family("anthropic", "claude-opus-5") },
    Family { lacks: &["seed", "reasoning_effort", "schema", "temperature", "top_p"], ..family("anthropic", "claude-sonnet-5") },
    // A checkpoint on this machine takes the likeliest token each time.
    Family { lacks: &["temperature", "top_p", "seed", "stop", "thinking", "reasoning_effort", "schema"], ..family("local", "") },
    Family { lacks: &["thinking", "reasoning_effort"], ..family("gemini", "") },
    Family { lacks: &["reasoning_effort"], reasons: true, ..family("gemini", "gemini-2.5") },
    Family { reasons: true, ..family("gemini", "gemini-3") },
    Family { lacks: SAMPLING, reasons: true, ..family("gemini", "gemini-3.6") },
    Family { lacks: SAMPLING, reasons: true, ..family("gemini", "gemini-3.7") },
    Family { lacks: SAMPLING, reasons: true, ..family("gemini", "gemini-3.8") },
    Family { lacks: SAMPLING, reasons: true, ..family("gemini", "gemini-4") },
    Family { lacks: &["thinking"], ..family("openai", "") },
    Family { lacks: REASONING_LACKS, reasons: true, completion_tokens: true, ..family("openai", "gpt-5") },
    Family { lacks: REASONING_LACKS, reasons: true, completion_tokens: true, ..family("openai", "o1") },
    Family { lacks: REASONING_LACKS, reasons: true, completion_tokens: true, ..family("openai", "o3") },
    Family { lacks: REASONING_LACKS, reasons: true, completion_tokens: true, ..family("openai", "o4") },
];

const REASONING_LACKS: &[&str] = &["thinking", "temperature", "top_p", "stop"];

/// The cap where none is given: an answer's worth, and for models that reason, room for that too.
const CAP: u32 = 1024;
const REASONING_CAP: u32 = 8192;

fn of(kind: &str, model: &str) -> Option<&'static Family> {
    // Gateways put the vendor before the name: `openai/gpt-5`.
    let name = model.rsplit('/').next().unwrap_or(model);
    let fitting = FAMILIES.iter().filter(|family| family.kind == kind && name.starts_with(family.prefix));
    fitting.max_by_key(|family| family.prefix.len())
}

/// The settings that a model takes, with the cap filled in, and the names of those that were left out.
pub(crate) fn fit(kind: &str, model: &str, mut settings: Settings) -> (Settings, Vec<&'static str>) {
    let family = of(kind, model);
    let mut left_out = Vec::new();
    for &name in family.map_or(&[][..], |family| family.lacks) {
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
    let reasons = family.is_some_and(|family| family.reasons) && settings.thinking != Some(0);
    settings.max_output_tokens.get_or_insert(if reasons { REASONING_CAP } else { CAP });
    (settings, left_out)
}

/// Whether the cap is to be sent as `max_completion_tokens`.
pub(crate) fn counts_completion_tokens(request: &Request) -> bool {
    of(request.provider, &request.model).is_some_and(|family| family.completion_tokens)
}

#[cfg(test)]
mod tests {
    use super::*;

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
            let (settings, names) = fit(kind, model, given.clone());
            assert_eq!((names, settings.max_output_tokens), (left_out, Some(cap)), "{kind}/{model}");
            assert_eq!(settings.temperature.is_none(), fit(kind, model, given.clone()).1.contains(&"temperature"));
        }
    }
}
