//! Python literals. Takes the text of a cell; gives its value, as `repr` writes dictionaries, lists, strings and numbers, and as `NumPy`
//! writes arrays of them.

use serde_json::{Map, Value};

/// Parses a literal; returns nothing if the text is anything else.
pub(crate) fn python(text: &str) -> Option<Value> {
    let mut reader = Literal { rest: text };
    let value = reader.value(0)?;
    reader.rest.trim().is_empty().then_some(value)
}

struct Literal<'a> {
    rest: &'a str,
}

/// Nesting up to which literals are read.
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
                // NumPy writes its arrays without commas.
                let apart = self.rest.starts_with(|next: char| next.is_whitespace() || next == ']');
                if !self.eat(",") && !apart {
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
    fn a_python_literal_is_read() {
        let text = r#"{'topic': 'It\'s', "n": [1, -2.5, None,], 'x': {'é\u00e9': True}, 'u': []}"#;
        assert_eq!(python(text).unwrap(), json!({ "topic": "It's", "n": [1, -2.5, null], "x": { "éé": true }, "u": [] }));
    }

    #[test]
    fn arrays_have_no_commas() {
        assert_eq!(python("['a' 'b'\n 'c, d']"), Some(json!(["a", "b", "c, d"])));
        assert_eq!(python("[0 12]"), Some(json!([0, 12])));
    }

    #[test]
    fn what_is_none_is_refused() {
        for text in ["", "{", "{'a' 1}", "['a'", "['a'b]", "{'a': b}", "{'a': 1} x", &"[".repeat(100_000)] {
            assert_eq!(python(text), None, "{text:.20}");
        }
    }
}
