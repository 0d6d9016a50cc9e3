//! A file of a prompt's words and a question → the conversation that a model is asked with.
//!
//! `{name}` stands for a value; a brace around anything else is a brace.

use engine::{Context, File, StageError};

use crate::rows::{Message, Question};

/// Asks for reasoning, where a manifest wants it.
const REASONED: &str = include_str!("../../prompts/cot@1.txt");

/// A prompt with places for values.
pub(crate) struct Template {
    text: String,
    system: Option<String>,
    reasoned: bool,
}

impl Template {
    /// Reads a file, or takes `default`, and sees that the values in `needed` have their place in it.
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
        Ok(Self { text, system: None, reasoned: false })
    }

    /// Puts a system message before all.
    pub(crate) fn system(self, text: Option<&str>) -> Self {
        Self { system: text.map(str::to_owned), ..self }
    }

    /// Asks for reasoning behind the question.
    pub(crate) fn reasoned(self, reasoned: bool) -> Self {
        Self { reasoned, ..self }
    }

    /// The conversation that ends with the question, `shown` before it.
    pub(crate) fn conversation(&self, shown: Vec<Message>, question: &Question) -> Vec<Message> {
        self.ending(shown, &values(&question.question, &question.choices))
    }

    /// The conversation that ends with the prompt, these values in it.
    pub(crate) fn with(&self, values: &[(&str, String)]) -> Vec<Message> {
        self.ending(Vec::new(), values)
    }

    /// The prompt's own words, these values in it.
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

/// What a prompt can say of a question.
pub(crate) fn values(question: &str, choices: &[String]) -> [(&'static str, String); 2] {
    [("question", question.to_owned()), ("choices", lettered(choices))]
}

/// The choices as lines, each behind its letter, with what is asked of them; nothing where there are none.
pub(crate) fn lettered(choices: &[String]) -> String {
    if choices.is_empty() {
        return String::new();
    }
    let lines = ('A'..='Z').zip(choices).map(|(letter, choice)| format!("\n{letter}. {choice}"));
    lines.collect::<String>() + "\n\nEnd with the letter of the right choice, as in \"Answer: A\"."
}

/// Puts values into their places, in one pass: braces inside a value are left alone.
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
        assert_eq!(lettered(&[]), "");
        assert!(lettered(&["x".to_owned(), "y".to_owned()]).starts_with("\nA. x\nB. y\n"));
    }
}
