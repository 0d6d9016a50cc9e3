//! Reports for people. Takes sorted mistakes; gives reports with underlined places, and one line that counts them.

use std::fmt;

use miette::{
    Diagnostic, GraphicalReportHandler, GraphicalTheme, LabeledSpan, NamedSource, SourceCode, ThemeCharacters, ThemeStyles,
};

use super::{Mistake, Severity, listed};
use crate::visible::{marked, visible};

pub(super) fn render(mistakes: &[&Mistake], color: bool, width: usize, unicode: bool) -> String {
    let theme = GraphicalTheme {
        characters: if unicode { ThemeCharacters::unicode() } else { ThemeCharacters::ascii() },
        styles: if color { ThemeStyles::ansi() } else { ThemeStyles::none() },
    };
    let handler = GraphicalReportHandler::new_themed(theme).with_links(false).with_width(width.max(40)).with_context_lines(1);
    let mut out = String::new();
    for mistake in mistakes {
        let report = Report {
            mistake,
            code: mistake
                .source
                .as_ref()
                .map(|source| NamedSource::new(visible(&source.name), marked(&source.text).into_owned())),
        };
        handler.render_report(&mut out, &report).expect("writing into a string cannot fail");
        out.push('\n');
    }
    // The handler pads what it wraps; blanks at the end of a line are noise in every terminal and diff.
    let mut out = out.lines().map(str::trim_end).collect::<Vec<_>>().join("\n");
    if let Some(sum) = sum(mistakes) {
        out.push_str(&sum);
        out.push('\n');
    }
    out
}

fn sum(mistakes: &[&Mistake]) -> Option<String> {
    let count = |severity, one: &str| match mistakes.iter().filter(|mistake| mistake.severity == severity).count() {
        0 => None,
        1 => Some(format!("1 {one}")),
        several => Some(format!("{several} {one}s")),
    };
    let counts: Vec<String> =
        [count(Severity::Error, "mistake"), count(Severity::Warning, "warning")].into_iter().flatten().collect();
    let mut files: Vec<&str> = mistakes.iter().filter_map(|mistake| mistake.file()).collect();
    files.dedup();
    let place = if files.is_empty() { String::new() } else { format!(" in {}", listed(&files)) };
    (!counts.is_empty()).then(|| format!("\n{}{}", counts.join(" and "), visible(&place)))
}

#[derive(Debug)]
struct Report<'a> {
    mistake: &'a Mistake,
    code: Option<NamedSource<String>>,
}

impl fmt::Display for Report<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&visible(&self.mistake.message))
    }
}

impl std::error::Error for Report<'_> {}

impl Diagnostic for Report<'_> {
    fn code<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        Some(Box::new(self.mistake.code))
    }

    fn severity(&self) -> Option<miette::Severity> {
        Some(match self.mistake.severity {
            Severity::Error => miette::Severity::Error,
            Severity::Warning => miette::Severity::Warning,
        })
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        let help = self.mistake.help.as_ref()?;
        Some(Box::new(visible(help).into_owned()))
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        if self.mistake.labels.is_empty() {
            return None;
        }
        self.code.as_ref().map(|code| -> &dyn SourceCode { code })
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        Some(Box::new(self.mistake.labels.iter().map(|label| {
            let text = (!label.text.is_empty()).then(|| visible(&label.text).into_owned());
            let span = label.span.start..label.span.end;
            if label.primary { LabeledSpan::new_primary_with_span(text, span) } else { LabeledSpan::new_with_span(text, span) }
        })))
    }
}
