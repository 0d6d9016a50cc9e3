//! Keys of stages. Takes everything that decides a stage's result; gives the key of that result.

use std::{collections::BTreeMap, fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::digest::{Digest, NotADigest};

/// The name of a stage's result: the digest of its [`Preimage`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Key(Digest);

impl Key {
    /// Returns the key as a digest.
    #[must_use]
    pub fn digest(&self) -> &Digest {
        &self.0
    }

    /// Returns the first eight hexadecimal digits, for people.
    #[must_use]
    pub fn short(&self) -> String {
        self.0.short()
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Key {
    type Err = NotADigest;

    fn from_str(text: &str) -> Result<Self, NotADigest> {
        text.parse().map(Self)
    }
}

/// Everything that decides what a stage makes. It is stored beside the result, so that a key can be explained.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Preimage {
    /// Kind of stage.
    pub kind: String,
    /// Version of the kind's own code.
    pub version: u32,
    /// Versions of the parts that the params name: providers, judges, loaders, architectures.
    #[serde(default)]
    pub parts: BTreeMap<String, u32>,
    /// Typed params serialised again, with defaults filled in.
    pub params: Value,
    /// Digest of the input of each port.
    #[serde(default)]
    pub inputs: BTreeMap<String, Digest>,
}

impl Preimage {
    /// Digests the preimage.
    #[must_use]
    pub fn key(&self) -> Key {
        Key(Digest::of_value(self).expect("JSON holds no NaN and text keys alone"))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn preimage() -> Preimage {
        Preimage {
            kind: "judge".into(),
            version: 3,
            parts: BTreeMap::from([("numeric".into(), 2)]),
            params: json!({"judge": "numeric", "tolerance": 0.5, "votes": 1, "idk": ["Error", ""]}),
            inputs: BTreeMap::from([("answers".into(), Digest::of(b"answers")), ("questions".into(), Digest::of(b"questions"))]),
        }
    }

    #[test]
    fn the_key_of_a_fixed_preimage() {
        assert_eq!(
            preimage().key().to_string(),
            "6418381ad787dae713607d9d6691efb49e9c33f899bfaa5cd96b914956f9fab6",
            "the way values are digested has changed, and with it every key of every cache: put it back, or raise `FORMAT` in `folder.rs`"
        );
    }

    #[test]
    fn the_key_does_not_depend_on_the_order_of_params() {
        let other = Preimage {
            params: serde_json::from_str(r#"{"votes": 1, "tolerance": 5e-1, "idk": ["Error", ""], "judge": "numeric"}"#).unwrap(),
            ..preimage()
        };
        assert_eq!(other.key(), preimage().key());
    }

    #[test]
    fn a_kept_preimage_has_the_key_it_had() {
        let kept = serde_json::to_vec(&preimage()).unwrap();
        let read: Preimage = serde_json::from_slice(&kept).unwrap();
        assert_eq!(read, preimage());
        assert_eq!(read.key(), preimage().key());
    }

    #[test]
    fn every_part_counts() {
        let changes: [fn(&mut Preimage); 6] = [
            |it| it.kind.push('s'),
            |it| it.version += 1,
            |it| it.parts.clear(),
            |it| it.params["votes"] = json!(2),
            |it| it.params["votes"] = json!("1"),
            |it| {
                it.inputs.remove("answers");
            },
        ];
        for change in changes {
            let mut other = preimage();
            change(&mut other);
            assert_ne!(other.key(), preimage().key(), "{other:?}");
        }
    }
}
