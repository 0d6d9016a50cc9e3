//! Reports of mistakes. Takes mistakes, each with its places; gives one report, for people, programs or GitHub.
//!
//! Read this file first (what a mistake is, and how mistakes are sorted), then the forms of a report: `text` (for people), `json` (for
//! programs) and `github` (annotations of a workflow).

mod github;
mod json;
mod text;

use std::sync::Arc;

use crate::text::{Span, Text};

/// How severe a mistake is: an error stops the command, a warning is only shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Severity {
    Error,
    Warning,
}

/// One place of a mistake, and what is shown there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Label {
    pub span: Span,
    /// Empty where underlining says enough.
    pub text: String,
    /// Whether this is the place to fix.
    pub primary: bool,
}

/// Something wrong in a file: what, where, and what to do.
#[derive(Debug, Clone)]
pub(crate) struct Mistake {
    pub source: Option<Arc<Text>>,
    /// A word to look up, such as `unknown-stage`.
    pub code: &'static str,
    pub severity: Severity,
    pub message: String,
    pub labels: Vec<Label>,
    pub help: Option<String>,
}

impl Mistake {
    /// Returns a mistake that has no place.
    pub(crate) fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { source: None, code, severity: Severity::Error, message: message.into(), labels: Vec::new(), help: None }
    }

    /// Returns a mistake at a range of bytes.
    pub(crate) fn at(source: &Arc<Text>, span: Span, code: &'static str, message: impl Into<String>) -> Self {
        let labels = vec![Label { span, text: String::new(), primary: true }];
        Self { source: Some(source.clone()), labels, ..Self::new(code, message) }
    }

    /// Sets what is shown at the place to fix.
    #[must_use]
    pub(crate) fn label(mut self, text: impl Into<String>) -> Self {
        if let Some(label) = self.labels.iter_mut().find(|label| label.primary) {
            label.text = text.into();
        }
        self
    }

    /// Adds another place.
    #[must_use]
    pub(crate) fn also_here(mut self, span: Span, text: impl Into<String>) -> Self {
        self.labels.push(Label { span, text: text.into(), primary: false });
        self
    }

    /// Sets what to do.
    #[must_use]
    pub(crate) fn help(self, text: impl Into<String>) -> Self {
        self.help_if(Some(text.into()))
    }

    /// Sets what to do where there is a text, and leaves the help as it is otherwise.
    #[must_use]
    pub(crate) fn help_if(mut self, text: Option<String>) -> Self {
        self.help = text.or(self.help);
        self
    }

    /// Makes it a warning.
    #[must_use]
    pub(crate) fn warning(mut self) -> Self {
        self.severity = Severity::Warning;
        self
    }

    /// Returns whether both are at the same place of the same file.
    pub(crate) fn is_at(&self, other: &Self) -> bool {
        self.place().is_some() && self.place() == other.place() && self.file() == other.file()
    }

    fn place(&self) -> Option<Span> {
        self.labels.iter().find(|label| label.primary).or(self.labels.first()).map(|label| label.span)
    }

    fn file(&self) -> Option<&str> {
        self.source.as_ref().map(|source| source.name.as_str())
    }
}

/// How a report is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// For people: underlined places, then one line that counts.
    Text { color: bool, width: usize, unicode: bool },
    /// One document, version 1, with lines, columns and offsets.
    Json,
    /// Annotations of a GitHub workflow, one on each line.
    Github,
}

/// Writes all mistakes in order of their places, each place and message once.
pub(crate) fn render(mistakes: &[Mistake], format: Format) -> String {
    let mut sorted: Vec<&Mistake> = mistakes.iter().collect();
    sorted.sort_by_key(|mistake| (mistake.file(), mistake.place(), mistake.severity, mistake.code, &mistake.message));
    sorted.dedup_by_key(|mistake| (mistake.file(), mistake.place(), mistake.code, &mistake.message));
    match format {
        Format::Text { color, width, unicode } => text::render(&sorted, color, width, unicode),
        Format::Json => json::render(&sorted),
        Format::Github => github::render(&sorted),
    }
}

/// Finds the name that was probably meant.
pub(crate) fn suggest<'a>(name: &str, among: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let name = name.to_lowercase();
    let scored = among.into_iter().map(|other| (strsim::jaro_winkler(&name, &other.to_lowercase()), other));
    let best = scored.filter(|(score, _)| *score > 0.75).fold(None, |best: Option<(f64, &str)>, next| match best {
        Some(best) if best.0 >= next.0 => Some(best),
        _ => Some(next),
    });
    best.map(|(_, other)| other.to_owned())
}

/// Returns a help line that asks for the name that was probably meant.
pub(crate) fn did_you_mean<'a>(name: &str, among: impl IntoIterator<Item = &'a str>) -> Option<String> {
    suggest(name, among).map(|other| format!("did you mean `{other}`?"))
}

/// Joins names for a message: `a`, `b` and `c`.
pub(crate) fn listed<S: AsRef<str>>(names: &[S]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("`{}`", name.as_ref())).collect();
    match quoted.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, before)) => format!("{} and {last}", before.join(", ")),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests;
