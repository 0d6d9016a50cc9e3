//! A count of readable replies. Takes, for each row, whether its replies could be read; gives warnings, or an error that stops the stage.
//!
//! A stage stops if none of the first replies can be read, so that no money is spent on a model that does not keep to the form.

use std::sync::{Mutex, MutexGuard, PoisonError};

use engine::{Context, ROWS_IN_FLIGHT, StageError};

use super::request::Reply;
use crate::rows::Outcome;

/// The number of rows without a readable reply after which a stage stops, if no row had one.
const MOST: usize = 24;

/// The length to which a reply is quoted, in characters.
const QUOTED: usize = 80;

/// Counts the rows whose replies could be read, and those whose could not.
pub(crate) struct Readable {
    /// Whose replies they are: `the judge's`.
    whose: &'static str,
    counts: Mutex<Counts>,
}

#[derive(Default)]
struct Counts {
    read: usize,
    unread: usize,
    /// How many rows of these had a last reply that was cut at the cap.
    truncated: usize,
    /// The first row without a readable reply, and what its last reply was.
    first: Option<(String, String)>,
}

impl Readable {
    /// Starts a count with no row.
    pub(crate) fn new(whose: &'static str) -> Self {
        Self { whose, counts: Mutex::default() }
    }

    /// Returns how many rows may be in flight: few until one reply could be read, so that no more calls are made in vain. The rows of a
    /// batch are all in flight, since the first ones would otherwise wait for a job of their own.
    pub(crate) fn rows_in_flight(&self, most: usize) -> usize {
        let counts = self.counts();
        let first = MOST.saturating_sub(counts.unread).max(1);
        if counts.read == 0 && most <= ROWS_IN_FLIGHT { most.min(first) } else { most }
    }

    /// Counts a row whose replies could be read.
    pub(crate) fn read(&self) {
        self.counts().read += 1;
    }

    /// Counts a row of this name, none of whose replies could be read.
    ///
    /// # Errors
    /// No row had a readable reply so far, and this was the [`MOST`]th row or a later one.
    pub(crate) fn unread(&self, row: &str, replies: &[Reply]) -> Result<(), StageError> {
        let mut counts = self.counts();
        counts.unread += 1;
        counts.truncated += usize::from(replies.last().is_some_and(|last| last.outcome == Outcome::Truncated));
        counts.first.get_or_insert_with(|| (row.to_owned(), replies.last().map(shown).unwrap_or_default()));
        if counts.read == 0 && counts.unread >= MOST { Err(self.none(&counts)) } else { Ok(()) }
    }

    /// Returns whether a row had no readable reply.
    pub(crate) fn has_unread(&self) -> bool {
        self.counts().unread > 0
    }

    /// Warns once with the number of rows that had no readable reply; `then` says what became of them.
    ///
    /// # Errors
    /// No row had a readable reply.
    pub(crate) fn finish(&self, ctx: &Context, then: &str) -> Result<(), StageError> {
        let counts = self.counts();
        match &counts.first {
            None => Ok(()),
            Some(_) if counts.read == 0 => Err(self.none(&counts)),
            Some((row, shown)) => {
                let all = counts.read + counts.unread;
                let whose = self.whose;
                let cut = if counts.truncated == 0 { String::new() } else { format!(", {} cut at the cap", counts.truncated) };
                ctx.warn(format!(
                    "{} of {all} rows have no reply of {whose} that can be read{cut}, such as {row} ({shown}): {then}",
                    counts.unread
                ));
                Ok(())
            }
        }
    }

    fn none(&self, counts: &Counts) -> StageError {
        let (row, shown) = counts.first.as_ref().map_or(("", ""), |(row, shown)| (row, shown));
        let message = format!(
            "no reply of {} to the first {} rows could be read; for {row} it {shown}",
            self.whose,
            counts.unread.min(MOST)
        );
        let help = if counts.truncated == counts.unread {
            "raise `settings.max_output_tokens`, or name a model that reasons less; the replies are kept, and `fingerpost try` shows one"
        } else {
            "name a model that answers with the JSON object it is asked for, or change `prompt` or `settings`; the replies are kept, and \
             `fingerpost try` shows one"
        };
        StageError::failed(message).help(help)
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Describes a reply in a few words.
fn shown(reply: &Reply) -> String {
    match (&reply.text, reply.outcome) {
        (Some(text), Outcome::Ok) => {
            let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
            let cut: String = line.chars().take(QUOTED).collect();
            let more = if cut.len() < line.len() { "…" } else { "" };
            format!("says `{cut}{more}`")
        }
        (_, outcome) => format!("is `{}`", outcome.word()),
    }
}
