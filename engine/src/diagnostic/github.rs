//! Reports for GitHub. Takes sorted mistakes; gives annotations of a GitHub workflow, one on each line.

use super::{Mistake, Severity};
use crate::visible::visible;

pub(super) fn render(mistakes: &[&Mistake]) -> String {
    mistakes.iter().map(|mistake| annotation(mistake)).collect()
}

fn annotation(mistake: &Mistake) -> String {
    let command = match mistake.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    };
    let mut properties = Vec::new();
    if let Some(source) = &mistake.source {
        properties.push(format!("file={}", property(&source.name)));
        if let Some(span) = mistake.place() {
            let (start, end) = (source.position(span.start), source.position(span.end));
            properties.push(format!("line={},col={}", start.line, start.column));
            if start.line == end.line {
                properties.push(format!("endLine={},endColumn={}", end.line, end.column));
            }
        }
    }
    properties.push(format!("title={}", property(mistake.code)));
    let help = mistake.help.iter().map(|help| format!("\n{help}"));
    let message: String = std::iter::once(mistake.message.clone()).chain(help).collect();
    format!("::{command} {}::{}\n", properties.join(","), data(&visible(&message)))
}

fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}
