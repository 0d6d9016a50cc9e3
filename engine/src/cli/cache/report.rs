//! Reports about the cache. Takes counts; gives words for people: what there is, what is removed, and why the rest stays.

use ::cache::{Collect, Collected, Stats};

use crate::cli::style::counted;

/// Returns the counts for people.
pub(super) fn counts(stats: &Stats) -> String {
    let counts = [counted(stats.results, "result"), replies(stats.replies), counted(stats.blobs, "blob")];
    let damaged = match stats.damaged {
        0 => String::new(),
        count => format!("; {} set aside, `fingerpost cache collect --yes` removes them", counted(count, "damaged file")),
    };
    format!("{}, {:.1} MiB{damaged}\n", counts.join(", "), mebibytes(stats.bytes))
}

pub(super) fn replies(count: u64) -> String {
    if count == 1 { "1 reply".to_owned() } else { format!("{count} replies") }
}

/// Returns how many lines of an import match nothing, and the first of them.
pub(super) fn unmatched(lines: &[usize]) -> String {
    let Some(first) = lines.first() else { return String::new() };
    let lines = counted(lines.len() as u64, "line");
    format!("; {lines} matched no call of the manifest, the first of them line {first}")
}

/// Returns what was collected, or would be, and why the rest stays.
pub(super) fn collected(collected: &Collected, what: Collect, days: u32) -> String {
    let gone = [
        (collected.results, counted(collected.results, "result")),
        (collected.partials, counted(collected.partials, "checkpoint")),
        (collected.preimages, counted(collected.preimages, "preimage")),
        (collected.replies, replies(collected.replies)),
        (collected.blobs, counted(collected.blobs, "blob")),
        (collected.damaged, counted(collected.damaged, "damaged file")),
    ];
    let gone: Vec<_> = gone.into_iter().filter(|(count, _)| *count > 0).map(|(_, text)| text).collect();
    // Temporary files of processes that died have no count of their own.
    let gone = if gone.is_empty() { "temporary files".to_owned() } else { gone.join(", ") };
    let size = mebibytes(collected.bytes);
    let mut text = match (collected.is_empty(), what.dry) {
        (true, _) => "nothing to remove\n".to_owned(),
        (false, true) => format!("would remove {gone} ({size:.1} MiB); `--yes` removes them\n"),
        (false, false) => format!("removed {gone} ({size:.1} MiB)\n"),
    };
    for reason in reasons(collected, what, days) {
        text += &format!("  {reason}\n");
    }
    text
}

/// Returns why what is left in the cache stays.
fn reasons(collected: &Collected, what: Collect, days: u32) -> Vec<String> {
    let left = &collected.left;
    let age = if days == 0 { "unused".to_owned() } else { format!("older than {}", counted(days.into(), "day")) };
    let mut reasons = Vec::new();
    if let Some(oldest) = left.oldest_use.filter(|_| collected.results == 0) {
        reasons.push(format!("no result is {age}: {}, the oldest used {}", counted(left.results, "result"), ago(oldest)));
    }
    if left.young_blobs > 0 {
        let count = counted(left.young_blobs, "blob");
        reasons.push(format!("blobs younger than an hour or in use are kept: {count} that no result needs"));
    }
    if left.replies > 0 {
        let kept = format!("{} kept", replies(left.replies));
        reasons.push(match (what.replies, left.processes) {
            (true, 0) => format!("{kept}: they are not {age}"),
            (true, _) => format!("{kept}: none is removed while another process uses the cache"),
            (false, _) if days == 0 => format!("{kept}: `--replies` removes them too"),
            (false, _) => format!("{kept}: `--replies` removes those {age} too"),
        });
    }
    if left.processes > 0 {
        reasons.push("another process uses the cache: what it has used since it started is kept".to_owned());
    }
    reasons
}

/// Returns how long ago a time is, which is in seconds since 1970.
fn ago(time: u64) -> String {
    let seconds = jiff::Timestamp::now().as_second().unsigned_abs().saturating_sub(time);
    match seconds / 3600 {
        0 => "less than an hour ago".to_owned(),
        hours @ 1..48 => format!("{} ago", counted(hours, "hour")),
        hours => format!("{} ago", counted(hours / 24, "day")),
    }
}

#[expect(clippy::cast_precision_loss, reason = "for people")]
fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}
