//! Digests of values. Takes any serialisable value; gives one digest, whatever the order or format of its parts.
//!
//! Read `walk` first: a serializer that takes the value apart into a tree with sorted maps. JSON cannot be used, because the order of
//! its maps depends on a cargo feature that any dependency may turn on, and because its writers turn NaN into null. Then this file: it
//! hashes every part with a tag and its length, so that no two trees give the same stream of bytes.

mod walk;

use std::collections::BTreeMap;

use serde::Serialize;
use walk::Walk;

/// Separates these digests from those of plain bytes.
const CONTEXT: &str = "fingerpost cache 2026 canonical value 1";

/// The refusal of a value that has no digest, such as a number that is not finite or a map whose keys are not texts.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a value has no digest: {0}")]
pub struct NoDigest(String);

/// Digests a value.
pub(crate) fn digest(value: &(impl Serialize + ?Sized)) -> Result<[u8; 32], NoDigest> {
    let part = value.serialize(Walk)?;
    // All frames are collected first, because hashing many small pieces costs more than copying them.
    let mut bytes = Vec::with_capacity(512);
    part.frame(&mut bytes);
    Ok(blake3::derive_key(CONTEXT, &bytes))
}

enum Part {
    Null,
    Bool(bool),
    Integer(i128),
    Float(f64),
    Text(String),
    List(Vec<Self>),
    Map(BTreeMap<String, Self>),
}

impl Part {
    fn frame(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::Null => frame(bytes, b'n', 0),
            Self::Bool(value) => frame(bytes, b'b', u64::from(*value)),
            Self::Integer(value) => {
                frame(bytes, b'i', 16);
                bytes.extend(value.to_le_bytes());
            }
            Self::Float(value) => frame(bytes, b'f', value.to_bits()),
            Self::Text(value) => text(bytes, value),
            Self::List(parts) => {
                frame(bytes, b'l', parts.len() as u64);
                for part in parts {
                    part.frame(bytes);
                }
            }
            Self::Map(parts) => {
                frame(bytes, b'm', parts.len() as u64);
                for (name, part) in parts {
                    text(bytes, name);
                    part.frame(bytes);
                }
            }
        }
    }
}

fn text(bytes: &mut Vec<u8>, text: &str) {
    frame(bytes, b't', text.len() as u64);
    bytes.extend(text.as_bytes());
}

fn frame(bytes: &mut Vec<u8>, tag: u8, size: u64) {
    bytes.push(tag);
    bytes.extend(size.to_le_bytes());
}

#[cfg(test)]
mod tests {
    use serde::Serialize;
    use serde_json::json;

    use super::*;
    use crate::digest::Digest;

    fn of(value: &(impl Serialize + ?Sized)) -> Digest {
        Digest::of_value(value).unwrap()
    }

    #[test]
    fn the_digest_of_a_fixed_value() {
        let value = json!({"text": "é", "list": [1, -2, 0.5, true, null], "map": {"b": {}, "a": []}, "large": u64::MAX});
        assert_eq!(
            of(&value).to_string(),
            "5cdbfe182796b89b9a516b5474651851c1785a99174c8eff9366bdee20b9f4c9",
            "the way values are digested has changed, and with it every key of every cache: put it back, or raise `FORMAT` in `folder.rs`"
        );
    }

    #[test]
    fn parts_are_framed() {
        assert_ne!(of(&["a", "bc"]), of(&["ab", "c"]));
        assert_ne!(of(&[vec!["a"], vec!["b"]]), of(&[vec!["a", "b"], vec![]]));
        assert_ne!(of(&json!({"a": "b"})), of(&json!(["a", "b"])));
        assert_ne!(of(&json!({"a": {"b": 1}, "c": 2})), of(&json!({"a": {"b": 1, "c": 2}})));
    }

    #[test]
    fn types_are_tagged() {
        let values = [json!(null), json!(false), json!(0), json!(0.0), json!(""), json!([]), json!({}), json!("0"), json!([0])];
        let digests: std::collections::BTreeSet<Digest> = values.iter().map(of).collect();
        assert_eq!(digests.len(), values.len());
    }

    #[test]
    fn a_value_and_its_json_have_one_digest() {
        #[derive(Serialize)]
        enum Shape {
            Point,
            Circle(f32),
            Line(u8, i64),
            Square { side: char },
        }
        #[derive(Serialize)]
        struct All<'a> {
            shapes: Vec<Shape>,
            none: Option<u8>,
            some: Option<&'a str>,
            unit: (),
            pair: (u128, i128),
            numbered: BTreeMap<u16, bool>,
        }
        let value = All {
            shapes: vec![Shape::Point, Shape::Circle(0.1), Shape::Line(1, -1), Shape::Square { side: 'x' }],
            none: None,
            some: Some("s"),
            unit: (),
            pair: (7, -7),
            numbered: BTreeMap::from([(10, true), (9, false)]),
        };
        assert_eq!(of(&value), of(&serde_json::to_value(&value).unwrap()));
    }

    #[test]
    fn numbers_that_are_none_are_refused() {
        for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            let message = digest(&[value]).unwrap_err().to_string();
            assert_eq!(message, format!("a value has no digest: {value} is not a finite number"));
        }
    }
}
