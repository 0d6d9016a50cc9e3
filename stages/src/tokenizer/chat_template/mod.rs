//! Chat templates. Takes Jinja text as checkpoints publish it, and a conversation; gives the text that is tokenised.
//!
//! The environment is that of transformers' `apply_chat_template`: `trim_blocks`, `lstrip_blocks`, loop controls, `raise_exception`, a
//! `tojson` that escapes nothing for HTML, the methods of Python's strings and dictionaries, and `{% generation %}` blocks around what the
//! assistant says. `strftime_now` exists only if a clock is given, since what a model learns must not depend on the day of the training. This
//! file is the whole environment but for what `python` in the folder above adds; `tests` has a small template for each feature.

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

/// Steps that one rendering may take. A template is foreign code, and must not run for ever.
const FUEL: u64 = 50_000_000;

/// The tags of the block around what the assistant says, with their white space control.
static GENERATION_TAG: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"\{%([-+]?)\s*(end)?generation\s*([-+]?)%\}").expect("the pattern is a constant"));

/// Why a conversation could not be rendered.
#[derive(Debug, thiserror::Error)]
pub enum TemplateError {
    /// The text is no template.
    #[error("chat template `{template}`: {reason}")]
    Syntax {
        /// The template's name.
        template: String,
        /// The parser's message.
        reason: String,
    },
    /// The template itself raised an exception.
    #[error("chat template `{template}` refuses role `{role}` at message {message}: {reason}")]
    Refused {
        /// The template's name.
        template: String,
        /// The role of the first message that the template refuses.
        role: String,
        /// The number of that message, from 1.
        message: usize,
        /// The template's exception.
        reason: String,
    },
    /// The template uses a name or an operation that does not exist.
    #[error("chat template `{template}` cannot render the conversation: {reason}")]
    Failed {
        /// The template's name.
        template: String,
        /// The template engine's message.
        reason: String,
    },
}

/// The variables that a template can read.
#[derive(Clone, Debug, Default)]
pub struct Variables {
    /// The messages: mappings with `role` and `content`, and all other keys that the template reads.
    pub messages: Vec<Value>,
    /// Whether the text ends with the beginning of the assistant's turn.
    pub add_generation_prompt: bool,
    /// JSON schemas of functions, for templates that support them.
    pub tools: Option<Value>,
    /// Further variables. They override special tokens of the same name.
    pub others: Vec<(String, Value)>,
}

/// A compiled chat template.
#[derive(Clone, Debug)]
pub struct ChatTemplate {
    name: String,
    source: String,
    environment: Arc<Environment<'static>>,
}

/// An exception that a template raised by `raise_exception`.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Raised(String);

impl ChatTemplate {
    /// Compiles a template. Errors and records have its name.
    ///
    /// # Errors
    /// The text is no template.
    pub fn new(name: impl Into<String>, source: impl Into<String>) -> Result<Self, TemplateError> {
        let (name, source) = (name.into(), source.into());
        let syntax = |error: Error| TemplateError::Syntax { template: name.clone(), reason: reason(&error) };
        let mut environment = environment();
        environment.add_template_owned("chat_template", with_marks(&source)).map_err(syntax)?;
        Ok(Self { name, source, environment: Arc::new(environment) })
    }

    /// Gives `strftime_now` the clock of this machine, for renderings that no model is trained on.
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

    /// Returns the template's text, as it was given.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Returns whether the template marks what the assistant wrote by `{% generation %}` blocks.
    #[must_use]
    pub fn has_generation(&self) -> bool {
        GENERATION_TAG.is_match(&self.source)
    }

    /// Renders a conversation to its text.
    ///
    /// # Errors
    /// The template raises an exception, or uses a name or an operation that does not exist.
    pub fn render(&self, variables: &Variables) -> Result<String, TemplateError> {
        Ok(self.render_with_generation(variables)?.0)
    }

    /// Renders a conversation to its text and the ranges of its characters (not bytes) that are in `{% generation %}` blocks.
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

    /// Builds the error of a rendering. The refused message is the last one of the shortest beginning of the conversation that fails.
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

/// Replaces the tags of `{% generation %}` blocks by marks, and makes a scope of each block, as transformers' extension does.
///
/// Jinja's white space control is that of the tag: the first block tag in its place has the control on its left, the last one that on its
/// right, and nothing is between these and the mark.
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

/// Removes the marks from a text, and returns the ranges of characters that were between two of them.
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

/// Returns the engine's message with the line number, on one line.
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
