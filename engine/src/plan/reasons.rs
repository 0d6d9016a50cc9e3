//! Why a stage runs, in words.

use std::fmt;

use serde_json::Value;

use super::Reason;

impl fmt::Display for Reason {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NeverRun => write!(out, "never run"),
            Self::Evicted => write!(out, "its result is no longer in the cache"),
            Self::Forced => write!(out, "forced"),
            Self::Kind { was, now } => write!(out, "uses: was {was}, now {now}"),
            Self::Version { was, now } => write!(out, "version: was {was}, now {now}"),
            Self::Part { name, was, now } => {
                let version = |version: &Option<u32>| version.map_or_else(|| "none".to_owned(), |version| version.to_string());
                write!(out, "version of {name}: was {}, now {}", version(was), version(now))
            }
            Self::Param { path, was: Value::Null, now } => write!(out, "{path}: added {}", short(now)),
            Self::Param { path, was, now: Value::Null } => write!(out, "{path}: was {}, now removed", short(was)),
            Self::Param { path, was, now } => {
                let [was, now] = differing(was, now);
                write!(out, "{path}: was {was}, now {now}")
            }
            Self::Input { port, from, was: None, .. } => write!(out, "in.{port}: added {from}"),
            Self::Input { port, now: None, .. } => write!(out, "in.{port}: removed"),
            Self::Input { port, from, .. } => write!(out, "in.{port}: {from} changed"),
        }
    }
}

/// Characters of a value that are shown.
const SHOWN: usize = 60;

/// Characters that two long values have in common before the part in which they differ.
const CONTEXT: usize = 20;

fn short(value: &Value) -> String {
    cut(&on_one_line(value), 0)
}

/// Shortens two values so that what differs is in sight.
fn differing(was: &Value, now: &Value) -> [String; 2] {
    let texts = [was, now].map(on_one_line);
    let common = texts[0].chars().zip(texts[1].chars()).take_while(|(was, now)| was == now).count();
    let longest = texts.iter().map(|text| text.chars().count()).max().unwrap_or(0);
    let from = if longest > SHOWN { common.saturating_sub(CONTEXT) } else { 0 };
    texts.map(|text| cut(&text, from))
}

fn on_one_line(value: &Value) -> String {
    match value {
        Value::String(text) => text.replace('\n', "\\n"),
        other => other.to_string(),
    }
}

fn cut(text: &str, from: usize) -> String {
    let before = if from > 0 { "..." } else { "" };
    let rest: String = text.chars().skip(from).collect();
    if rest.chars().count() > SHOWN {
        format!("{before}{}...", rest.chars().take(SHOWN - 3).collect::<String>())
    } else {
        format!("{before}{rest}")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_differs_in_long_values_is_in_sight() {
        let long = |end: &str| json!(format!("{}{end}", "the same beginning of two descriptions, ".repeat(3)));
        let [was, now] = differing(&long("neither"), &long("none"));
        assert!(was.starts_with("...") && was.ends_with("neither") && now.ends_with("none"), "{was} {now}");
        assert_eq!(differing(&json!("a"), &json!("b")), ["a", "b"]);
        assert_eq!(short(&json!("x".repeat(80))).chars().count(), SHOWN);
    }
}
