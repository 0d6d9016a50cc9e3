//! `SimpleQA` (<https://openai.com/index/introducing-simpleqa>). Takes its published CSV (`metadata,problem,answer`), or JSON lines with the
//! same fields; gives questions.
//!
//! The metadata column is a Python literal; in JSON lines it may be an object.

use std::borrow::Cow;

use engine::{Context, StageError};
use serde_json::{Map, Value};

use super::{
    draft::Draft,
    loader::{Benchmark, Reads, Settings},
    published::Published,
    tables::{
        row::{drafts, text},
        table::rows,
    },
};

pub(crate) const BENCHMARK: Benchmark = Benchmark {
    name: "simpleqa",
    summary: "short questions with one answer, from OpenAI",
    example: "{ name: simpleqa, fetch: true }",
    version: 1,
    reads: Reads::File,
    published: &[Published {
        rows: Some(4326),
        digest: Some("blake3:7ce7f4e38e8a582811bc2aba3f41223705d3d043e18c3d774aabc542e27ce8ef"),
        address: "https://openaipublic.blob.core.windows.net/simple-evals/simple_qa_test_set.csv",
    }],
    load,
};

fn load(ctx: &Context, settings: &Settings<'_>) -> Result<Vec<Draft>, StageError> {
    let file = settings.file()?;
    let help = "this reads the published `simple_qa_test_set.csv`; for another file use `name: csv` or `name: jsonl`";
    drafts(file, rows(ctx, file)?, help, draft)
}

fn draft(index: usize, row: &Value) -> Result<Draft, String> {
    let metadata = match row.get("metadata") {
        Some(Value::Object(metadata)) => Cow::Borrowed(metadata),
        _ => Cow::Owned(python(text(row, "metadata")?).ok_or("`metadata` is no Python literal of a dictionary")?),
    };
    Ok(Draft {
        id: Some(format!("simpleqa-{index}")),
        question: text(row, "problem")?.to_owned(),
        gold: vec![text(row, "answer")?.to_owned()],
        meta: metadata.into_owned(),
        ..Draft::default()
    })
}

/// Parses a Python dictionary of strings, numbers and lists; returns nothing if it is anything else.
fn python(text: &str) -> Option<Map<String, Value>> {
    let mut reader = Literal { rest: text };
    match (reader.value(0)?, reader.rest.trim()) {
        (Value::Object(map), "") => Some(map),
        _ => None,
    }
}

struct Literal<'a> {
    rest: &'a str,
}

/// Nesting up to which metadata is read.
const DEEPEST: usize = 16;

impl Literal<'_> {
    fn eat(&mut self, token: &str) -> bool {
        self.rest = self.rest.trim_start();
        match self.rest.strip_prefix(token) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn value(&mut self, depth: usize) -> Option<Value> {
        if depth > DEEPEST {
            return None;
        }
        if self.eat("{") {
            let mut map = Map::new();
            while !self.eat("}") {
                let Value::String(key) = self.value(depth + 1)? else { return None };
                if !self.eat(":") {
                    return None;
                }
                map.insert(key, self.value(depth + 1)?);
                if !self.eat(",") && !self.rest.trim_start().starts_with('}') {
                    return None;
                }
            }
            return Some(Value::Object(map));
        }
        if self.eat("[") {
            let mut items = Vec::new();
            while !self.eat("]") {
                items.push(self.value(depth + 1)?);
                if !self.eat(",") && !self.rest.trim_start().starts_with(']') {
                    return None;
                }
            }
            return Some(Value::Array(items));
        }
        for (word, value) in [("None", Value::Null), ("True", Value::Bool(true)), ("False", Value::Bool(false))] {
            if self.eat(word) {
                return Some(value);
            }
        }
        for quote in ['\'', '"'] {
            if self.eat(quote.encode_utf8(&mut [0; 4])) {
                return self.string(quote).map(Value::String);
            }
        }
        let end = self.rest.find(|character: char| !"+-.0123456789eE".contains(character)).unwrap_or(self.rest.len());
        let (number, rest) = self.rest.split_at(end);
        self.rest = rest;
        serde_json::from_str(number).ok()
    }

    fn string(&mut self, quote: char) -> Option<String> {
        let mut text = String::new();
        let mut characters = self.rest.chars();
        loop {
            match characters.next()? {
                '\\' => match characters.next()? {
                    'n' => text.push('\n'),
                    't' => text.push('\t'),
                    'r' => text.push('\r'),
                    'x' => text.push(code(&mut characters, 2)?),
                    'u' => text.push(code(&mut characters, 4)?),
                    'U' => text.push(code(&mut characters, 8)?),
                    other => text.push(other),
                },
                character if character == quote => break,
                character => text.push(character),
            }
        }
        self.rest = characters.as_str();
        Some(text)
    }
}

fn code(characters: &mut std::str::Chars<'_>, digits: usize) -> Option<char> {
    let hex: String = characters.take(digits).collect();
    char::from_u32(u32::from_str_radix(&hex, 16).ok()?)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn metadata_is_an_object_or_a_literal() {
        let row = |metadata: Value| json!({ "metadata": metadata, "problem": "Who?", "answer": "Ann" });
        for metadata in [json!({ "topic": "Art" }), json!("{'topic': 'Art'}")] {
            assert_eq!(Value::from(draft(0, &row(metadata)).unwrap().meta), json!({ "topic": "Art" }));
        }
        assert_eq!(draft(0, &row(json!("{"))).err().unwrap(), "`metadata` is no Python literal of a dictionary");
    }

    #[test]
    fn a_python_literal_is_read() {
        let text = r#"{'topic': 'It\'s', "n": [1, -2.5, None,], 'x': {'é\u00e9': True}, 'u': []}"#;
        assert_eq!(
            Value::Object(python(text).unwrap()),
            json!({ "topic": "It's", "n": [1, -2.5, null], "x": { "éé": true }, "u": [] })
        );
    }

    #[test]
    fn what_is_none_is_refused() {
        for text in ["", "{", "{'a' 1}", "['a']", "{'a': b}", "{'a': 1} x", &"[".repeat(100_000)] {
            assert_eq!(python(text), None, "{text:.20}");
        }
    }
}
