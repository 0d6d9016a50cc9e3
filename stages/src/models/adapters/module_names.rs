//! Which modules of a model an adapter's settings mean. Takes names, patterns and numbers of layers; gives yes or no for a module.
//!
//! Patterns are Python's regular expressions, as in PEFT, with lookahead and lookbehind.

use std::{collections::BTreeMap, fmt};

use fancy_regex::Regex;
use schemars::JsonSchema;
use serde::{
    Deserialize, Serialize,
    de::{SeqAccess, value::SeqAccessDeserializer},
};

/// Names of modules, or one regular expression.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum Modules {
    /// Whole names, or their ends after a dot.
    Names(Vec<String>),
    /// A regular expression that matches whole names, or `all-linear`.
    Pattern(String),
}

/// Numbers of layers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(transparent)]
pub struct Layers(pub Vec<usize>);

/// Reads a string or a list of them, by a visitor, since the errors of `untagged` do not say what was expected.
impl<'de> Deserialize<'de> for Modules {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = Modules;
            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("names of modules or a regular expression")
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Modules, E> {
                Ok(Modules::Pattern(text.to_owned()))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, names: A) -> Result<Modules, A::Error> {
                Vec::deserialize(SeqAccessDeserializer::new(names)).map(Modules::Names)
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

/// Reads a number or a list of them.
impl<'de> Deserialize<'de> for Layers {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = Layers;
            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("numbers of layers")
            }
            fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<Layers, E> {
                Ok(Layers(vec![number as usize]))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, numbers: A) -> Result<Layers, A::Error> {
                Vec::deserialize(SeqAccessDeserializer::new(numbers)).map(Layers)
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

impl Modules {
    /// Returns the modules that PEFT changes by default.
    pub(crate) fn usual(model_type: &str) -> Self {
        let names: &[&str] = match model_type {
            "phi" => &["q_proj", "v_proj", "fc1", "fc2"],
            _ => &["q_proj", "v_proj"],
        };
        Self::Names(names.iter().map(|&name| name.to_owned()).collect())
    }

    /// Returns an error if a pattern is malformed.
    pub(crate) fn check(&self) -> Result<(), String> {
        match self {
            Self::Names(_) => Ok(()),
            Self::Pattern(pattern) => whole_name(pattern).map(drop),
        }
    }

    /// Returns whether a module is among them.
    pub(crate) fn has(&self, module: &str) -> bool {
        match self {
            Self::Names(names) => names.iter().any(|name| module == name || module.ends_with(&format!(".{name}"))),
            Self::Pattern(pattern) => whole_name(pattern).is_ok_and(|pattern| matches(&pattern, module)),
        }
    }
}

/// Compiles a pattern that has to match a whole name, as by Python's `re.fullmatch`.
fn whole_name(pattern: &str) -> Result<Regex, String> {
    Regex::new(&format!("^(?:{pattern})$")).map_err(|error| format!("`{pattern}` is no regular expression: {error}"))
}

/// Compiles a pattern that has to match the end of a name, after a dot, or the whole, as by PEFT's `get_pattern_key`.
fn end_of_name(pattern: &str) -> Result<Regex, String> {
    Regex::new(&format!(r"^(?:.*\.)?(?:{pattern})$")).map_err(|error| format!("`{pattern}` is no regular expression: {error}"))
}

/// Returns whether a pattern matches. If the matcher gives up because it would take too long, the pattern does not match.
fn matches(pattern: &Regex, name: &str) -> bool {
    pattern.is_match(name).unwrap_or(false)
}

/// Returns the value for a module: that of the first pattern that matches the end of its name, in alphabetical order, as in PEFT's files.
pub(crate) fn by_pattern<T: Copy>(patterns: &BTreeMap<String, T>, module: &str) -> Option<T> {
    let matching = |pattern: &str| end_of_name(pattern).is_ok_and(|pattern| matches(&pattern, module));
    patterns.iter().find(|(pattern, _)| matching(pattern)).map(|(_, value)| *value)
}

/// Returns an error if one of the patterns is malformed.
pub(crate) fn check_patterns<T>(patterns: &BTreeMap<String, T>) -> Result<(), String> {
    patterns.keys().try_for_each(|pattern| end_of_name(pattern).map(drop))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_those_of_python() {
        let targets = Modules::Pattern(r"(?!.*layers\.2).*self_attn.*_proj".into());
        assert!(targets.check().is_ok());
        assert!(targets.has("model.layers.1.self_attn.q_proj") && !targets.has("model.layers.2.self_attn.q_proj"));
        assert!(Modules::Pattern("(".into()).check().unwrap_err().contains("`(`"));
    }

    #[test]
    fn the_first_pattern_by_its_letters_that_matches_the_end_of_a_name_counts() {
        let patterns: BTreeMap<String, usize> = [("q_proj".to_owned(), 2), (r".*layers\.0\..*".to_owned(), 3)].into();
        let of = |module| by_pattern(&patterns, module);
        assert_eq!(of("model.layers.0.self_attn.q_proj"), Some(3));
        assert_eq!(of("model.layers.1.self_attn.q_proj"), Some(2));
        assert_eq!(of("model.layers.1.self_attn.my_q_proj"), None);
    }
}
