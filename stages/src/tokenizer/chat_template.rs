//! A chat template: Jinja text as checkpoints publish it, and a conversation → the text that is tokenised.
//!
//! The environment is that of transformers' `apply_chat_template`: `trim_blocks`, `lstrip_blocks`, loop controls, `raise_exception`, a
//! `tojson` that escapes nothing for HTML, the methods of Python's strings and dictionaries, and `{% generation %}` blocks around what the
//! assistant says. `strftime_now` is there only where a clock is given: what a model learns must not hang on the day it was trained.

use std::error::Error as _;
use std::ops::Range;
use std::sync::{Arc, LazyLock};

use minijinja::syntax::SyntaxConfig;
use minijinja::value::{DynObject, Serde, Value, ValueKind};
use minijinja::{AutoEscape, Environment, Error, ErrorKind};
use regex::Regex;
use serde::Serialize;

use super::python;

/// Around what a `{% generation %}` block wrote; removed from the output.
const GENERATION: [char; 2] = ['\u{F0002}', '\u{F0003}'];

/// Steps that one rendering may take: a template is foreign code, and must not run for ever.
const FUEL: u64 = 50_000_000;

/// The tags of a block that the assistant's turn stands in, with their white space control.
static GENERATION_TAG: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"\{%([-+]?)\s*(end)?generation\s*([-+]?)%\}").expect("the pattern is a constant"));

/// Says why a conversation has no text.
#[derive(Debug, thiserror::Error)]
pub enum TemplateError {
    /// The text is no template.
    #[error("chat template `{template}`: {reason}")]
    Syntax {
        /// The template's name.
        template: String,
        /// What the parser said.
        reason: String,
    },
    /// The template itself raised an exception.
    #[error("chat template `{template}` refuses role `{role}` at message {message}: {reason}")]
    Refused {
        /// The template's name.
        template: String,
        /// The role of the first message that it takes offence at.
        role: String,
        /// The number of that message, from 1.
        message: usize,
        /// What the template says.
        reason: String,
    },
    /// The template asks for something that is not there.
    #[error("chat template `{template}` cannot render the conversation: {reason}")]
    Failed {
        /// The template's name.
        template: String,
        /// What the engine said.
        reason: String,
    },
}

/// What a template sees besides its own text.
#[derive(Clone, Debug, Default)]
pub struct Variables {
    /// The turns: mappings with `role` and `content`, and whatever else the template reads.
    pub messages: Vec<Value>,
    /// Whether the assistant's turn is opened at the end.
    pub add_generation_prompt: bool,
    /// Schemas of functions, for templates that know them.
    pub tools: Option<Value>,
    /// Further names; they win over special tokens of the same name.
    pub others: Vec<(String, Value)>,
}

/// A compiled chat template.
#[derive(Clone, Debug)]
pub struct ChatTemplate {
    name: String,
    source: String,
    environment: Arc<Environment<'static>>,
}

/// An exception that a template raised, in its own words.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Raised(String);

impl ChatTemplate {
    /// Compiles a template; its name is for errors and records.
    ///
    /// # Errors
    /// Text that is no template.
    pub fn new(name: impl Into<String>, source: impl Into<String>) -> Result<Self, TemplateError> {
        let (name, source) = (name.into(), source.into());
        let syntax = |error: Error| TemplateError::Syntax { template: name.clone(), reason: reason(&error) };
        let mut environment = environment();
        environment.add_template_owned("chat_template", with_marks(&source)).map_err(syntax)?;
        Ok(Self { name, source, environment: Arc::new(environment) })
    }

    /// Gives `strftime_now` the clock of this machine: for renderings that are looked at, and not trained on.
    #[must_use]
    pub fn with_clock(mut self) -> Self {
        let mut environment = (*self.environment).clone();
        environment.add_function("strftime_now", |format: String| {
            jiff::fmt::strtime::format(format.as_bytes(), &jiff::Zoned::now())
                .map_err(|error| Error::new(ErrorKind::InvalidOperation, format!("`strftime_now`: {error}")))
        });
        self.environment = Arc::new(environment);
        self
    }

    /// Returns the name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the text, as it was given.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Says whether the template tells what the assistant wrote, by `{% generation %}` blocks.
    #[must_use]
    pub fn has_generation(&self) -> bool {
        GENERATION_TAG.is_match(&self.source)
    }

    /// Renders a conversation.
    ///
    /// # Errors
    /// What the template raises, with the role that it refuses; names and operations that it lacks.
    pub fn render(&self, variables: &Variables) -> Result<String, TemplateError> {
        Ok(self.render_with_generation(variables)?.0)
    }

    /// Renders a conversation, and says which ranges of its characters (not bytes) stand in `{% generation %}` blocks.
    ///
    /// # Errors
    /// As [`Self::render`].
    pub fn render_with_generation(&self, variables: &Variables) -> Result<(String, Vec<Range<usize>>), TemplateError> {
        let messages: Vec<Value> = variables.messages.iter().map(normalised).collect();
        let text = self.rendered(&messages, variables).map_err(|error| self.explained(&error, &messages, variables))?;
        Ok(if self.has_generation() { without_marks(&text) } else { (text, Vec::new()) })
    }

    fn rendered(&self, messages: &[Value], variables: &Variables) -> Result<String, Error> {
        let fixed = [
            ("messages".to_owned(), Value::from(messages.to_vec())),
            ("tools".to_owned(), variables.tools.clone().unwrap_or(Value::from(()))),
            ("documents".to_owned(), Value::from(())),
            ("add_generation_prompt".to_owned(), Value::from(variables.add_generation_prompt)),
        ];
        let context = Value::from_pairs(fixed.into_iter().chain(variables.others.iter().cloned()));
        self.environment.get_template("chat_template")?.render(context)
    }

    /// Finds the message that a template takes offence at: the last of the shortest beginning that fails.
    fn explained(&self, error: &Error, messages: &[Value], variables: &Variables) -> TemplateError {
        let template = self.name.clone();
        let Some(raised) = raised(error) else {
            let mut reason = reason(error);
            let called = reason.contains("not callable") || reason.contains("strftime_now");
            if called && self.source.contains("strftime_now") {
                reason += "; `strftime_now` is not there, since what a model learns must not hang on the day";
            }
            return TemplateError::Failed { template, reason };
        };
        let fails =
            |&count: &usize| self.rendered(&messages[..count], variables).is_err_and(|error| self::raised(&error).is_some());
        let message = (1..messages.len()).find(fails).unwrap_or(messages.len());
        let role = messages.get(message.saturating_sub(1)).and_then(|message| message.get_attr("role").ok());
        let role = role.map(|role| role.to_string()).unwrap_or_default();
        TemplateError::Refused { template, role, message, reason: raised }
    }
}

fn environment() -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_auto_escape_callback(|_| AutoEscape::None);
    let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build();
    environment.set_syntax(syntax.expect("the delimiters are Jinja's own"));
    environment.set_fuel(Some(FUEL));
    environment.set_unknown_method_callback(python::method);
    environment.add_filter("tojson", python::tojson);
    environment.add_test("iterable", python::iterable);
    environment.add_test("sequence", python::sequence);
    environment.add_function("raise_exception", |message: Value| -> Result<Value, Error> {
        let message = message.to_string();
        Err(Error::new(ErrorKind::InvalidOperation, message.clone()).with_source(Raised(message)))
    });
    environment
}

/// Writes marks where `{% generation %}` blocks begin and end, and makes a scope of them, as transformers' extension does.
///
/// Jinja's white space control is that of the tag: on its left it is left to a block tag that begins where the tag began, on its right to one
/// that ends where the tag ended, and nothing stands between these and the mark.
fn with_marks(source: &str) -> String {
    let [begin, end] = GENERATION;
    GENERATION_TAG
        .replace_all(source, |tag: &regex::Captures<'_>| {
            let (left, right) = (&tag[1], &tag[3]);
            if tag.get(2).is_some() {
                format!("{{%{left} endwith %}}{{{{ '{end}' }}}}{{% if true %}}{{% endif {right}%}}")
            } else {
                format!("{{%{left} if true %}}{{{{ '{begin}' }}}}{{% endif %}}{{% with {right}%}}")
            }
        })
        .into_owned()
}

/// Takes the marks out of a text, and returns the ranges of characters that stood between two.
fn without_marks(text: &str) -> (String, Vec<Range<usize>>) {
    let [begin, end] = GENERATION;
    let (mut plain, mut ranges, mut open, mut place) = (String::with_capacity(text.len()), Vec::new(), Vec::new(), 0);
    for character in text.chars() {
        if character == begin {
            open.push(place);
        } else if character == end {
            ranges.extend(open.pop().map(|start| start..place));
        } else {
            plain.push(character);
            place += 1;
        }
    }
    (plain, ranges)
}

/// A message as transformers hands it on: no key without a value, and the reasoning under the names that templates read.
fn normalised(message: &Value) -> Value {
    if message.kind() != ValueKind::Map {
        return message.clone();
    }
    let entries = message.as_object().and_then(DynObject::try_iter_pairs).into_iter().flatten();
    let mut entries: Vec<(Value, Value)> =
        entries.filter(|(_, value)| !value.is_none()).map(|(key, value)| (key, without_own_marks(value))).collect();
    let named = |name: &str| entries.iter().position(|(key, _)| key.as_str() == Some(name));
    let reasoning =
        ["reasoning_content", "thinking", "reasoning"].into_iter().find_map(|name| named(name).map(|at| entries[at].1.clone()));
    if let Some(reasoning) = reasoning {
        if named("thinking").is_none() {
            entries.insert(0, (Value::from("thinking"), reasoning.clone()));
        }
        match entries.iter().position(|(key, _)| key.as_str() == Some("reasoning_content")) {
            Some(at) => entries[at].1 = reasoning,
            None => entries.push((Value::from("reasoning_content"), reasoning)),
        }
    }
    Value::from_pairs(entries)
}

/// Nobody's content may pose as a mark.
fn without_own_marks(value: Value) -> Value {
    match value.as_str() {
        Some(text) if text.contains(GENERATION) => Value::from(text.replace(GENERATION, "")),
        _ => value,
    }
}

fn raised(error: &Error) -> Option<String> {
    let mut source = error.source();
    while let Some(error) = source {
        if let Some(Raised(message)) = error.downcast_ref() {
            return Some(message.clone());
        }
        source = error.source();
    }
    None
}

/// What the engine says, with the line, on one line.
fn reason(error: &Error) -> String {
    let text = error.to_string();
    let mut text = text.split_once(" (in ").map_or(text.as_str(), |(text, _)| text).to_owned();
    if let Some(line) = error.line() {
        text += &format!(" (line {line})");
    }
    text
}

/// Turns messages into the values that templates read.
pub fn messages<'a, M: Serialize + 'a>(messages: impl IntoIterator<Item = &'a M>) -> Vec<Value> {
    messages.into_iter().map(|message| Value::from(Serde(message))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::Message;

    fn conversation(roles: &[&str]) -> Variables {
        let turns: Vec<Message> = roles.iter().map(|role| Message::new(*role, format!("by {role}"))).collect();
        Variables { messages: messages(&turns), ..Variables::default() }
    }

    fn rendered(source: &str) -> Result<String, TemplateError> {
        ChatTemplate::new("test", source)?.render(&conversation(&["user", "assistant"]))
    }

    /// The text without blocks, and with the blocks' parts in brackets.
    fn bracketed(source: &str) -> String {
        let template = ChatTemplate::new("test", source).unwrap();
        let (text, ranges) = template.render_with_generation(&conversation(&["user", "assistant", "user", "assistant"])).unwrap();
        let mut characters: Vec<String> = text.chars().map(String::from).collect();
        for range in ranges {
            characters[range.start].insert(0, '[');
            characters[range.end - 1].push(']');
        }
        characters.concat()
    }

    #[test]
    fn what_the_assistant_writes_is_told_in_characters() {
        let source = "{% for m in messages %}é{% if m.role == 'assistant' %}\
            {% generation %}ü{{ m.content }}.{% endgeneration %}{% else %}{{ m.content }}{% endif %}{% endfor %}";
        assert_eq!(bracketed(source), "éby useré[üby assistant.]éby useré[üby assistant.]");
    }

    #[test]
    fn the_tags_of_a_block_hold_white_space_as_others_do() {
        assert_eq!(bracketed("a  {%- generation -%}  b  {%- endgeneration -%}  c"), "a[b]c");
        assert_eq!(bracketed("a {% generation %} b {% endgeneration %} c"), "a [ b ] c");
        assert_eq!(bracketed("a\n  {% generation %}\nb\n  {% endgeneration %}\nc"), "a\n[b\n]c");
    }

    #[test]
    fn names_in_a_block_stay_there_and_namespaces_are_reached() {
        let source = "{% set ns = namespace(n=0) %}{% set x = 1 %}{% generation %}{% set x = 2 %}{% set ns.n = 3 %}{{ x }}{% endgeneration %}{{ x }}{{ ns.n }}";
        assert_eq!(bracketed(source), "[2]13");
    }

    #[test]
    fn the_role_that_a_template_refuses_is_named() {
        let source =
            "{% for m in messages %}{% if m.role == 'assistant' %}{{ raise_exception('not ' ~ m.role) }}{% endif %}{% endfor %}";
        let error = rendered(source).unwrap_err().to_string();
        assert_eq!(error, "chat template `test` refuses role `assistant` at message 2: not assistant");
    }

    #[test]
    fn mistakes_of_a_template_are_told_with_the_line() {
        assert!(rendered("\n{% if %}").unwrap_err().to_string().contains("(line 2)"));
        assert!(rendered("{{ strftime_now('%Y') }}").unwrap_err().to_string().contains("must not hang on the day"));
        assert!(
            rendered("{{ messages.nothing.at_all }}").unwrap_err().to_string().starts_with("chat template `test` cannot render")
        );
    }

    #[test]
    fn a_template_does_not_run_for_ever() {
        let endless = "{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}";
        assert!(rendered(endless).is_err());
    }

    #[test]
    fn the_clock_is_there_where_it_is_given() {
        let template = ChatTemplate::new("test", "{{ strftime_now('%Y') }}").unwrap().with_clock();
        assert_eq!(template.render(&conversation(&["user"])).unwrap().len(), 4);
    }

    #[test]
    fn messages_are_as_transformers_hands_them_on() {
        let row: Value =
            serde_json::from_str(r#"{"role": "assistant", "content": null, "thinking": "hm", "z": 1, "a": 2}"#).unwrap();
        let variables = Variables { messages: vec![row], ..Variables::default() };
        let template = ChatTemplate::new("test", "{{ messages[0] | tojson }}").unwrap();
        assert_eq!(
            template.render(&variables).unwrap(),
            r#"{"role": "assistant", "thinking": "hm", "z": 1, "a": 2, "reasoning_content": "hm"}"#
        );
        let forged = Variables { messages: messages(&[Message::new("user", "a\u{F0002}b\u{F0003}")]), ..Variables::default() };
        let template = ChatTemplate::new("test", "{{ messages[0].content }}{% generation %}c{% endgeneration %}").unwrap();
        assert_eq!(template.render_with_generation(&forged).unwrap(), ("abc".to_owned(), vec![2..3; 1]));
    }
}
