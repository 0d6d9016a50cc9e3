//! Templates of prompts. Takes a file and the values of a question; gives the conversation that is sent to a model.
//!
//! `{name}` stands for a value. All other braces are kept as they are. `released` has the prompts of models that judge and analyse.

use engine::{Context, File, StageError};

use super::released::{Prompt, Released};
use crate::rows::{Message, Question};

/// The text that asks for reasoning, if the manifest wants it.
const REASONED: &str = include_str!("../../prompts/cot@1.txt");

/// A prompt with placeholders for values.
pub(crate) struct Template {
    text: String,
    system: Option<String>,
    reasoned: bool,
    /// Whether the instruction to name a letter stands behind the choices, as for a model that is to answer.
    instructed: bool,
}

impl Template {
    /// Reads a file, or takes `default` if there is none.
    ///
    /// # Errors
    /// The file cannot be read, or lacks the placeholder of a value in `needed`.
    pub(crate) fn read(ctx: &Context, file: Option<&File>, default: &str, needed: &[&str]) -> Result<Self, StageError> {
        let text = match file {
            None => default.to_owned(),
            Some(file) => std::io::read_to_string(file.open(ctx)?)
                .map_err(|error| StageError::failed(format!("`{}`: {error}", file.name())).help("a prompt is UTF-8 text"))?,
        };
        for name in needed {
            if !text.contains(&format!("{{{name}}}")) {
                let place = file.map_or("the prompt", |file| file.name());
                return Err(StageError::failed(format!("`{place}` has no place for `{{{name}}}`"))
                    .help(format!("write `{{{name}}}` where it is to stand")));
            }
        }
        Ok(Self { text, system: None, reasoned: false, instructed: true })
    }

    /// Reads the prompt of a model that is not to answer the question: a released one, the newest without `prompt`, or a file.
    ///
    /// # Errors
    /// As [`Template::read`].
    pub(crate) fn of(ctx: &Context, prompt: Option<&Prompt>, newest: &Released, needed: &[&str]) -> Result<Self, StageError> {
        let (file, released) = match prompt {
            Some(Prompt::File(file)) => (Some(file), None),
            Some(Prompt::Released(released)) => (None, Some(*released)),
            None => (None, Some(newest)),
        };
        let template = Self::read(ctx, file, released.map_or("", |released| released.text), needed)?;
        Ok(Self { instructed: released.is_some_and(|released| released.instructed), ..template })
    }

    /// Returns whether the prompt has a place for the value of this name.
    pub(crate) fn takes(&self, name: &str) -> bool {
        self.text.contains(&format!("{{{name}}}"))
    }

    /// Returns the choices as this prompt shows them.
    pub(crate) fn choices(&self, choices: &[String]) -> String {
        if self.instructed { instructed(choices) } else { lettered(choices) }
    }

    /// Adds a system message, which comes first.
    pub(crate) fn system(self, text: Option<&str>) -> Self {
        Self { system: text.map(str::to_owned), ..self }
    }

    /// Adds a text behind the question that asks for reasoning.
    pub(crate) fn reasoned(self, reasoned: bool) -> Self {
        Self { reasoned, ..self }
    }

    /// Returns the conversation that ends with the question, with the examples in `shown` before it.
    pub(crate) fn conversation(&self, shown: Vec<Message>, question: &Question) -> Vec<Message> {
        self.ending(shown, &values(&question.question, &question.choices))
    }

    /// Returns the conversation that ends with the prompt, filled with these values.
    pub(crate) fn with(&self, values: &[(&str, String)]) -> Vec<Message> {
        self.ending(Vec::new(), values)
    }

    /// Returns the prompt alone, filled with these values.
    pub(crate) fn text(&self, values: &[(&str, String)]) -> String {
        fill(&self.text, values)
    }

    fn ending(&self, shown: Vec<Message>, values: &[(&str, String)]) -> Vec<Message> {
        let mut last = self.text(values);
        if self.reasoned {
            last = format!("{last}\n\n{}", REASONED.trim_end());
        }
        let system = self.system.iter().map(|text| Message::new("system", text));
        system.chain(shown).chain([Message::new("user", last)]).collect()
    }
}

/// Returns the values of a question that a prompt can contain.
pub(crate) fn values(question: &str, choices: &[String]) -> [(&'static str, String); 2] {
    [("question", question.to_owned()), ("choices", instructed(choices))]
}

/// Returns the choices as lines, each behind its letter. Returns an empty text without choices.
fn lettered(choices: &[String]) -> String {
    let lines: Vec<_> = ('A'..='Z').zip(choices).map(|(letter, choice)| format!("\n{letter}. {choice}")).collect();
    lines.concat()
}

/// Returns the choices with the instruction to name a letter, for the model that answers. Returns an empty text without choices.
fn instructed(choices: &[String]) -> String {
    if choices.is_empty() {
        return String::new();
    }
    lettered(choices) + "\n\nEnd with the letter of the right choice, as in \"Answer: A\"."
}

/// Replaces placeholders by values in a single pass, so that braces inside a value are kept.
pub(crate) fn fill(text: &str, values: &[(&str, String)]) -> String {
    let mut filled = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('{') {
        filled += &rest[..at];
        rest = &rest[at..];
        let place = values.iter().find_map(|(name, value)| Some((rest[1..].strip_prefix(name)?.strip_prefix('}')?, value)));
        let (behind, value) = place.map_or((&rest[1..], "{"), |(behind, value)| (behind, value.as_str()));
        filled += value;
        rest = behind;
    }
    filled + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_put_in_once_and_other_braces_stay() {
        let values = [("question", "What is {gold}?".to_owned()), ("gold", "x".to_owned())];
        assert_eq!(fill("{ \"q\": {question}, {gold} } {other", &values), "{ \"q\": What is {gold}?, x } {other");
    }

    #[test]
    fn choices_have_letters() {
        let choices = ["x".to_owned(), "y".to_owned()];
        assert_eq!(instructed(&[]), "");
        assert!(instructed(&choices).starts_with("\nA. x\nB. y\n"));
        assert_eq!((lettered(&[]), lettered(&choices)), (String::new(), "\nA. x\nB. y".to_owned()));
    }
}
