//! The style of output. Takes words; gives them in colour where the terminal takes it. No meaning is in colour alone.
#![expect(clippy::disallowed_methods, reason = "how words look changes no result")]

use clap::builder::styling::{AnsiColor, Style};

/// Returns whether colour is wanted on a stream.
pub(super) fn wanted(terminal: bool) -> bool {
    let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    if set("NO_COLOR") {
        return false;
    }
    set("CLICOLOR_FORCE") || terminal && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

/// Returns how many columns a line may have.
pub(super) fn width() -> usize {
    let columns = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
    columns.unwrap_or(100).clamp(40, 160)
}

pub(super) fn verb(text: &str, color: bool) -> String {
    paint(text, AnsiColor::Green.on_default().bold(), color)
}

pub(super) fn error(text: &str, color: bool) -> String {
    paint(text, AnsiColor::Red.on_default().bold(), color)
}

pub(super) fn warning(text: &str, color: bool) -> String {
    paint(text, AnsiColor::Yellow.on_default().bold(), color)
}

pub(super) fn hint(text: &str, color: bool) -> String {
    paint(text, AnsiColor::Cyan.on_default(), color)
}

fn paint(text: &str, style: Style, color: bool) -> String {
    if color { format!("{style}{text}{style:#}") } else { text.to_owned() }
}

/// Returns a time for people: `0.02s`, `4.1s`, `1m 12s`, `2h 05m`.
pub(super) fn duration(seconds: f64) -> String {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a time is small and positive")]
    let whole = seconds.round() as u64;
    match whole {
        0..10 if seconds < 0.1 => format!("{seconds:.2}s"),
        0..60 => format!("{seconds:.1}s"),
        60..3600 => format!("{}m {:02}s", whole / 60, whole % 60),
        _ => format!("{}h {:02}m", whole / 3600, whole % 3600 / 60),
    }
}

/// Returns a count with its noun: `1 row`, `2 rows`.
pub(super) fn counted(count: u64, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}
