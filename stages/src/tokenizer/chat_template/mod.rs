//! Chat templates. Takes Jinja text as checkpoints publish it, and a conversation; gives the text that is tokenised.
//!
//! The environment is that of transformers' `apply_chat_template`: `trim_blocks`, `lstrip_blocks`, loop controls, `raise_exception`, a
//! `tojson` that escapes nothing for HTML, the methods of Python's strings and dictionaries, and `{% generation %}` blocks around what the
//! assistant says. `strftime_now` is there only where a clock is given: what a model learns must not hang on the day it was trained.

use std::{
    error::Error as _,
    ops::Range,
    sync::{Arc, LazyLock},
};

use minijinja::{AutoEscape, Environment, Error, ErrorKind, syntax::SyntaxConfig, value::Value};
use regex::Regex;

use super::{
    message::{GENERATION, normalised},
    python,
};

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
    environment.add_filter("default", python::default);
    environment.add_filter("d", python::default);
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

#[cfg(test)]
mod tests;
