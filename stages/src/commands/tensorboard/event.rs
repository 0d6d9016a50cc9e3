//! TensorFlow's `Event` message. Takes figures; gives the message's bytes.
//!
//! It is encoded by hand, since three messages with seven fields need no generated code:
//! `Event { wall_time = 1, step = 2, file_version = 3, summary = 5 }`, `Summary { value = 1 }`, `Value { tag = 1, simple_value = 2 }`, as in
//! TensorFlow's `event.proto` and `summary.proto`.

use std::collections::BTreeMap;

/// The wire type of a protocol buffer's field.
#[derive(Clone, Copy)]
enum Wire {
    Varint = 0,
    Bits64 = 1,
    Bytes = 2,
    Bits32 = 5,
}

/// A message's bytes.
#[derive(Default)]
pub(super) struct Event(Vec<u8>);

impl std::ops::Deref for Event {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl Event {
    /// Builds the first record of a file, which names the version of the file's format.
    pub(super) fn first(seconds: f64) -> Self {
        Self::default().field(1, Wire::Bits64, &seconds.to_le_bytes()).bytes(3, b"brain.Event:2")
    }

    /// Builds the record of a step's figures, each under its tag.
    pub(super) fn figures(seconds: f64, step: u64, figures: &BTreeMap<String, f64>) -> Self {
        let mut summary = Self::default();
        for (name, figure) in figures {
            let value = Self::default().bytes(1, tag(name).as_bytes()).field(2, Wire::Bits32, &(*figure as f32).to_le_bytes());
            summary = summary.bytes(1, &value);
        }
        Self::default().field(1, Wire::Bits64, &seconds.to_le_bytes()).field(2, Wire::Varint, &varint(step)).bytes(5, &summary)
    }

    fn field(mut self, number: u64, wire: Wire, content: &[u8]) -> Self {
        self.0.extend(varint(number << 3 | wire as u64));
        self.0.extend(content);
        self
    }

    fn bytes(self, number: u64, content: &[u8]) -> Self {
        self.field(number, Wire::Bytes, &[varint(content.len() as u64).as_slice(), content].concat())
    }
}

/// Returns a figure's tag, in the group of transformers' `TensorBoardCallback`: `eval_loss` is `eval/loss`, `loss` is `train/loss`.
fn tag(name: &str) -> String {
    name.strip_prefix("eval_").map_or_else(|| format!("train/{name}"), |rest| format!("eval/{rest}"))
}

/// Encodes a varint: seven bits a byte, the lowest first; the highest bit says whether more bytes follow.
fn varint(mut number: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_those_of_the_definition() {
        assert_eq!(varint(300), [0xac, 0x02]);
        let event = Event::figures(1.5, 300, &[("loss".to_owned(), 0.25), ("eval_loss".to_owned(), 2.0)].into());
        let mut expected = vec![0x09];
        expected.extend(1.5_f64.to_le_bytes());
        expected.extend([0x10, 0xac, 0x02, 0x2a, 37]);
        expected.extend([0x0a, 16, 0x0a, 9]);
        expected.extend(b"eval/loss");
        expected.push(0x15);
        expected.extend(2.0_f32.to_le_bytes());
        expected.extend([0x0a, 17, 0x0a, 10]);
        expected.extend(b"train/loss");
        expected.push(0x15);
        expected.extend(0.25_f32.to_le_bytes());
        assert_eq!(event.to_vec(), expected);
    }
}
