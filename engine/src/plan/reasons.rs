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
            Self::Param { path, was, now } => write!(out, "{path}: was {}, now {}", short(was), short(now)),
            Self::Input { port, from, was: None, .. } => write!(out, "in.{port}: added {from}"),
            Self::Input { port, now: None, .. } => write!(out, "in.{port}: removed"),
            Self::Input { port, from, .. } => write!(out, "in.{port}: {from} changed"),
        }
    }
}

fn short(value: &Value) -> String {
    let text = match value {
        // A reason stays on one line.
        Value::String(text) => text.replace('\n', "\\n"),
        other => other.to_string(),
    };
    if text.chars().count() > 60 {
        let mut cut: String = text.chars().take(57).collect();
        cut.push_str("...");
        cut
    } else {
        text
    }
}
