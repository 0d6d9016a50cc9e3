//! What a server sends, as a person would read it. Takes the bytes of a response; gives JSON.
//!
//! A reply was paid for even if its text was cut inside a character, so a fault of that size costs the character and not the reply: what
//! is no UTF-8, and half of a surrogate pair, becomes U+FFFD, a byte-order mark is skipped, `NaN` and infinities become null, and gzip or
//! zlib is unpacked although it was not asked for.

use std::{borrow::Cow, io::Read as _};

use serde_json::Value;

/// Reads JSON.
///
/// # Errors
/// It is no JSON, also after all of the above.
pub(crate) fn json(bytes: &[u8], largest: usize) -> Result<Value, serde_json::Error> {
    let bytes = unpacked(bytes, largest);
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
    // Nearly all replies are right, and only the others are read twice.
    serde_json::from_slice(bytes).or_else(|error| {
        let repaired = repaired(&String::from_utf8_lossy(bytes));
        serde_json::from_str(&repaired).map_err(|_| error)
    })
}

/// Unpacks gzip and zlib, which JSON never begins like. What cannot be unpacked, or has more than `largest` bytes, stays as it is.
pub(crate) fn unpacked(bytes: &[u8], largest: usize) -> Cow<'_, [u8]> {
    let mut out = Vec::new();
    let limit = largest as u64 + 1;
    let read = match bytes {
        [0x1f, 0x8b, ..] => flate2::read::MultiGzDecoder::new(bytes).take(limit).read_to_end(&mut out),
        [0x78, 0x01 | 0x5e | 0x9c | 0xda, ..] => flate2::read::ZlibDecoder::new(bytes).take(limit).read_to_end(&mut out),
        _ => return Cow::Borrowed(bytes),
    };
    if read.is_ok() && out.len() <= largest { Cow::Owned(out) } else { Cow::Borrowed(bytes) }
}

/// Replaces what JSON does not allow and whose meaning is plain.
fn repaired(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        if first == '"' {
            rest = string(rest, &mut out);
            continue;
        }
        let word = ["-Infinity", "Infinity", "-NaN", "NaN"].into_iter().find(|word| rest.starts_with(word));
        if let Some(word) = word {
            out.push_str("null");
            rest = &rest[word.len()..];
        } else {
            out.push(first);
            rest = &rest[first.len_utf8()..];
        }
    }
    out
}

/// Copies the string that `text` begins with, and returns what stands behind it.
fn string<'a>(text: &'a str, out: &mut String) -> &'a str {
    out.push('"');
    let mut rest = &text[1..];
    while let Some(first) = rest.chars().next() {
        let mut taken = first.len_utf8();
        match first {
            '"' => {
                out.push('"');
                return &rest[1..];
            }
            '\\' => {
                taken = match (unit(rest), rest.get(6..).and_then(unit)) {
                    (Some(0xd800..=0xdbff), Some(0xdc00..=0xdfff)) => 12,
                    (Some(0xd800..=0xdfff), _) => {
                        out.push('\u{fffd}');
                        rest = &rest[6..];
                        continue;
                    }
                    _ => 1 + rest[1..].chars().next().map_or(0, char::len_utf8),
                };
                out.push_str(&rest[..taken]);
            }
            control if (control as u32) < 0x20 => {
                let escaped = format!("\\u{:04x}", control as u32);
                out.push_str(&escaped);
            }
            _ => out.push(first),
        }
        rest = &rest[taken..];
    }
    rest
}

/// Returns the UTF-16 unit of an escape such as `\ud83d` at the beginning of a text.
fn unit(text: &str) -> Option<u16> {
    let digits = text.strip_prefix("\\u")?.get(..4)?;
    u16::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use serde_json::json;

    use super::*;

    fn read(bytes: &[u8]) -> Value {
        json(bytes, 1 << 20).unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(bytes)))
    }

    #[test]
    fn a_fault_in_a_character_costs_that_character() {
        for (bytes, text) in [
            (&br#"{"a": "x \ud83d"}"#[..], "x \u{fffd}"),
            (br#"{"a": "\ude00\ud83d\ud83d\ude00y"}"#, "\u{fffd}\u{fffd}\u{1f600}y"),
            (br#"{"a": "\ud83d\n\\ud83d"}"#, "\u{fffd}\n\\ud83d"),
            (br#"{"a": "\ud83d\u0041\""}"#, "\u{fffd}A\""),
            (b"{\"a\": \"caf\xc3\"}", "caf\u{fffd}"),
            (b"{\"a\": \"\xff\xfe\"}", "\u{fffd}\u{fffd}"),
            (b"\xef\xbb\xbf{\"a\": \"x\"}", "x"),
            (b"{\"a\": \"one\ntwo\tthree\"}", "one\ntwo\tthree"),
            (br#"{"a": "NaN, \ud83d"}"#, "NaN, \u{fffd}"),
        ] {
            assert_eq!(read(bytes)["a"], text, "{}", String::from_utf8_lossy(bytes));
        }
        assert_eq!(read(br#"{"a": NaN, "b": [-Infinity, Infinity], "c": 1}"#), json!({ "a": null, "b": [null, null], "c": 1 }));
    }

    #[test]
    fn what_is_packed_is_unpacked() {
        let body = br#"{"a": "x"}"#;
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        gzip.write_all(body).expect("it is written to memory");
        let gzip = gzip.finish().expect("it is written to memory");
        assert_eq!(read(&gzip)["a"], "x");
        assert!(json(&gzip[..gzip.len() - 9], 1 << 20).is_err(), "half of a reply is none");
        assert!(json(&gzip, 4).is_err(), "it is larger than what is read");
        let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
        zlib.write_all(body).expect("it is written to memory");
        assert_eq!(read(&zlib.finish().expect("it is written to memory"))["a"], "x");
    }

    #[test]
    fn half_of_a_reply_is_none_and_nothing_panics() {
        for text in
            ["", "{", "{\"a\": \"x", "{\"a\": \"\\", "{\"a\": \"\\ud8", "<html>", "{\"a\": \"\\ud83d", "\"\\u\u{e9}\u{e9}"]
        {
            assert!(json(text.as_bytes(), 1 << 20).is_err(), "{text}");
        }
        let pieces = ["\"", "\\", "\\ud83d", "\\ude00", "u", "NaN", "{", "}", ":", "\u{e9}", "\n", "-", "\\u00"];
        let mut state = 11_u64;
        for _ in 0..20_000 {
            let mut text = String::new();
            for _ in 0..8 {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                text.push_str(pieces[(state >> 33) as usize % pieces.len()]);
            }
            let _read = json(text.as_bytes(), 1 << 20);
        }
        // What was right stays as it is.
        let right = r#"{"a": "x\n\"\\\u00e9\ud83d\ude00", "b": [-1.5e3, true, null]}"#;
        assert_eq!(repaired(right), right);
    }
}
