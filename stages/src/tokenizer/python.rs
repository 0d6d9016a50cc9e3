//! Python's part of chat templates: `json.dumps`, methods of strings and dictionaries, and what counts as a sequence. Takes values of the
//! template engine; gives values.

use std::fmt::Write as _;

use minijinja::{
    Error, ErrorKind, State,
    value::{Kwargs, Rest, Value, ValueKind, from_args},
};
use minijinja_contrib::pycompat;

/// Calls a method that a value has in Python and lacks in the engine.
///
/// # Errors
/// Neither has the method, or an argument is wrong.
pub(super) fn method(state: &mut State<'_, '_>, value: &Value, method: &str, arguments: &[Value]) -> Result<Value, Error> {
    match (value.as_str(), method) {
        (Some(text), "removeprefix") => {
            let (prefix,): (&str,) = from_args(arguments)?;
            Ok(Value::from(text.strip_prefix(prefix).unwrap_or(text)))
        }
        (Some(text), "removesuffix") => {
            let (suffix,): (&str,) = from_args(arguments)?;
            Ok(Value::from(text.strip_suffix(suffix).unwrap_or(text)))
        }
        (Some(text), "partition") => {
            let (separator,): (&str,) = from_args(arguments)?;
            let (before, after) = text.split_once(separator).unwrap_or((text, ""));
            Ok(parts(before, if before == text { "" } else { separator }, after))
        }
        (Some(text), "rpartition") => {
            let (separator,): (&str,) = from_args(arguments)?;
            let (before, after) = text.rsplit_once(separator).unwrap_or(("", text));
            Ok(parts(before, if after == text { "" } else { separator }, after))
        }
        (Some(text), "rsplit") => {
            let (separator, most): (&str, Option<usize>) = from_args(arguments)?;
            let mut found: Vec<Value> = match most {
                Some(most) => text.rsplitn(most.saturating_add(1), separator).map(Value::from).collect(),
                None => text.rsplit(separator).map(Value::from).collect(),
            };
            found.reverse();
            Ok(Value::from(found))
        }
        (Some(text), "index") => {
            let (part,): (&str,) = from_args(arguments)?;
            let found = text.find(part).map(|place| text[..place].chars().count());
            found.map(Value::from).ok_or_else(|| wrong("`index`: there is no such part"))
        }
        (None, "index") if value.kind() == ValueKind::Seq => {
            let (item,): (Value,) = from_args(arguments)?;
            let found = value.try_iter()?.position(|other| other == item);
            found.map(Value::from).ok_or_else(|| wrong("`index`: there is no such item"))
        }
        _ => pycompat::unknown_method_callback(state, value, method, arguments),
    }
}

fn parts(before: &str, separator: &str, after: &str) -> Value {
    Value::from(vec![Value::from(before), Value::from(separator), Value::from(after)])
}

/// Returns whether Python can iterate over a value. It cannot over `None`, which the engine treats as an empty list.
pub(super) fn iterable(value: &Value) -> bool {
    !value.is_none() && value.try_iter().is_ok()
}

/// Returns whether a value has a length and items in Python, as texts and mappings have too.
pub(super) fn sequence(value: &Value) -> bool {
    matches!(value.kind(), ValueKind::Seq | ValueKind::String | ValueKind::Map)
}

/// Applies Jinja's `default`, whose arguments may be named.
///
/// # Errors
/// An argument is unknown.
pub(super) fn default(value: Value, given: Rest<Value>, named: Kwargs) -> Result<Value, Error> {
    let named_other: Option<Value> = named.get("default_value")?;
    let boolean = given.get(1).map_or_else(|| named.get::<Option<bool>>("boolean"), |flag| Ok(Some(flag.is_true())))?;
    named.assert_all_used()?;
    let is_missing = value.is_undefined() || (boolean == Some(true) && !value.is_true());
    let other = || given.first().cloned().or(named_other).unwrap_or_else(|| Value::from(""));
    Ok(if is_missing { other() } else { value })
}

/// Writes JSON as `json.dumps` with transformers' defaults: no escapes beyond ASCII, keys in their order, `, ` and `: ` as separators.
///
/// # Errors
/// An argument is unknown, or JSON has no such value.
pub(super) fn tojson(value: Value, arguments: Kwargs) -> Result<String, Error> {
    let indent: Option<Value> = arguments.get("indent")?;
    let indent = indent.filter(|indent| !indent.is_none() && !indent.is_undefined());
    let indent = indent.map(|indent| indent.as_usize().map_or_else(|| indent.to_string(), |spaces| " ".repeat(spaces.min(64))));
    let separators: Option<Vec<String>> = arguments.get("separators")?;
    let (item, key) = match separators.as_deref() {
        Some([item, key]) => (item.clone(), key.clone()),
        Some(_) => return Err(wrong("`separators` are two")),
        None if indent.is_some() => (",".to_owned(), ": ".to_owned()),
        None => (", ".to_owned(), ": ".to_owned()),
    };
    let ascii = arguments.get::<Option<bool>>("ensure_ascii")?.unwrap_or(false);
    let sorted = arguments.get::<Option<bool>>("sort_keys")?.unwrap_or(false);
    arguments.assert_all_used()?;
    let mut text = String::new();
    Dump { indent, item, key, ascii, sorted }.write(&mut text, &value, 0)?;
    Ok(text)
}

/// The arguments of `json.dumps`.
struct Dump {
    indent: Option<String>,
    item: String,
    key: String,
    ascii: bool,
    sorted: bool,
}

impl Dump {
    fn write(&self, text: &mut String, value: &Value, depth: usize) -> Result<(), Error> {
        match value.kind() {
            ValueKind::None => text.push_str("null"),
            ValueKind::Bool => text.push_str(if value.is_true() { "true" } else { "false" }),
            ValueKind::Number => text.push_str(&number(value)),
            ValueKind::String => self.string(text, value.as_str().unwrap_or_default()),
            ValueKind::Seq | ValueKind::Iterable => {
                let items: Vec<Value> = value.try_iter()?.collect();
                self.all(text, ['[', ']'], &items, depth, |text, item| self.write(text, item, depth + 1))?;
            }
            ValueKind::Map => {
                let keys = value.try_iter()?.map(|key| Ok((key_text(&key)?, value.get_item(&key)?)));
                let mut entries = keys.collect::<Result<Vec<_>, Error>>()?;
                if self.sorted {
                    entries.sort_by(|left, right| left.0.cmp(&right.0));
                }
                self.all(text, ['{', '}'], &entries, depth, |text, (key, value)| {
                    self.string(text, key);
                    text.push_str(&self.key);
                    self.write(text, value, depth + 1)
                })?;
            }
            kind => return Err(wrong(&format!("`tojson`: JSON has no {kind}"))),
        }
        Ok(())
    }

    fn all<T>(
        &self,
        text: &mut String,
        [open, close]: [char; 2],
        items: &[T],
        depth: usize,
        mut write: impl FnMut(&mut String, &T) -> Result<(), Error>,
    ) -> Result<(), Error> {
        text.push(open);
        for (place, item) in items.iter().enumerate() {
            if place > 0 {
                text.push_str(&self.item);
            }
            self.line(text, depth + 1);
            write(text, item)?;
        }
        if !items.is_empty() {
            self.line(text, depth);
        }
        text.push(close);
        Ok(())
    }

    fn line(&self, text: &mut String, depth: usize) {
        if let Some(indent) = &self.indent {
            text.push('\n');
            text.push_str(&indent.repeat(depth));
        }
    }

    fn string(&self, text: &mut String, value: &str) {
        text.push('"');
        for character in value.chars() {
            match character {
                '"' => text.push_str("\\\""),
                '\\' => text.push_str("\\\\"),
                '\n' => text.push_str("\\n"),
                '\r' => text.push_str("\\r"),
                '\t' => text.push_str("\\t"),
                '\u{8}' => text.push_str("\\b"),
                '\u{c}' => text.push_str("\\f"),
                character if character < ' ' || (self.ascii && !character.is_ascii()) => {
                    for unit in character.encode_utf16(&mut [0; 2]) {
                        write!(text, "\\u{unit:04x}").expect("a string takes all that is written");
                    }
                }
                character => text.push(character),
            }
        }
        text.push('"');
    }
}

fn key_text(key: &Value) -> Result<String, Error> {
    Ok(match key.kind() {
        ValueKind::String => key.to_string(),
        ValueKind::None => "null".to_owned(),
        ValueKind::Bool => key.to_string().to_lowercase(),
        ValueKind::Number => number(key),
        kind => return Err(wrong(&format!("`tojson`: JSON has no keys that are a {kind}"))),
    })
}

/// Writes a number as Python's `repr` does: the shortest digits, with an exponent if a float is very small or large.
fn number(value: &Value) -> String {
    let Some(float) = (!value.is_integer()).then(|| f64::try_from(value.clone()).ok()).flatten() else {
        return value.to_string();
    };
    if float.is_nan() {
        return "NaN".to_owned();
    }
    if float.is_infinite() {
        return if float > 0.0 { "Infinity" } else { "-Infinity" }.to_owned();
    }
    if float == 0.0 || (1e-4..1e16).contains(&float.abs()) {
        return value.to_string();
    }
    let text = format!("{float:e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let sign = if exponent.starts_with('-') { '-' } else { '+' };
    format!("{digits}e{sign}{:0>2}", exponent.trim_start_matches('-'))
}

fn wrong(message: &str) -> Error {
    Error::new(ErrorKind::InvalidOperation, message.to_owned())
}

#[cfg(test)]
mod tests {
    use minijinja::Environment;

    fn rendered(template: &str) -> String {
        let mut environment = Environment::new();
        environment.set_unknown_method_callback(super::method);
        environment.add_filter("default", super::default);
        environment.add_filter("tojson", super::tojson);
        environment.add_test("iterable", super::iterable);
        environment.add_test("sequence", super::sequence);
        environment.render_str(template, ()).unwrap_or_else(|error| format!("{error:#}"))
    }

    #[test]
    fn json_is_as_python_writes_it() {
        // The output of `json.dumps(…, ensure_ascii=False)` in Python 3.11.
        assert_eq!(
            rendered("{{ {'b': [1, 2.0, 1e-7, 1e20], 'a': '<é\"\\n>'} | tojson }}"),
            r#"{"b": [1, 2.0, 1e-07, 1e+20], "a": "<é\"\n>"}"#
        );
        assert_eq!(
            rendered("{{ {'b': [], 'a': {'c': none}} | tojson(indent=1, sort_keys=true) }}"),
            "{\n \"a\": {\n  \"c\": null\n },\n \"b\": []\n}"
        );
        assert_eq!(
            rendered("{{ ['é', '🚦'] | tojson(ensure_ascii=true, separators=(',', ':')) }}"),
            r#"["\u00e9","\ud83d\udea6"]"#
        );
        assert!(rendered("{{ nothing | tojson }}").contains("JSON has no undefined"));
        assert!(rendered("{{ 1 | tojson(colour=2) }}").contains("colour"));
    }

    #[test]
    fn methods_of_python_strings_are_there() {
        assert_eq!(rendered("{{ 'abc'.removeprefix('ab') }}{{ 'abc'.removesuffix('x') }}"), "cabc");
        assert_eq!(rendered("{{ 'a=b=c'.partition('=') | join('|') }} {{ 'a'.partition('=') | join('|') }}"), "a|=|b=c a||");
        assert_eq!(rendered("{{ 'a=b=c'.rpartition('=') | join('|') }} {{ 'a'.rpartition('=') | join('|') }}"), "a=b|=|c ||a");
        assert_eq!(rendered("{{ 'a,b,c'.rsplit(',', 1) | join('|') }} {{ 'a,b'.rsplit(',') | join('|') }}"), "a,b|c a|b");
        assert_eq!(rendered("{{ ' x '.strip() }}{{ 'éa'.index('a') }}{{ [3, 4].index(4) }}"), "x11");
        assert!(rendered("{{ 'x'.index('y') }}").contains("no such part"));
        assert!(rendered("{{ 'x'.conjure() }}").contains("conjure"));
    }

    #[test]
    fn defaults_may_be_named() {
        assert_eq!(rendered("{{ '' | default('x', boolean=true) }}{{ '' | default('x', true) }}{{ '' | default('x') }}"), "xx");
        assert_eq!(
            rendered("{{ nothing | default(default_value='d') }}{{ nothing | default }}{{ none | default('x') }}"),
            "dNone"
        );
        assert!(rendered("{{ 1 | default('x', colour=2) }}").contains("colour"));
    }

    #[test]
    fn python_goes_through_texts_and_mappings_and_not_through_none() {
        assert_eq!(
            rendered("{{ none is iterable }}{{ 'x' is iterable }}{{ {} is sequence }}{{ 'x' is sequence }}{{ 1 is sequence }}"),
            "FalseTrueTrueTrueFalse"
        );
    }
}
