//! `cache`: what is kept, whether it is sound, and what may go.

use std::time::Duration;

use clap::{Args, Subcommand};
use serde_json::json;

use super::{
    Common, Format, data,
    exit::{Exit, Failure},
};

/// Look at the cache, check it, or free space
#[derive(Args)]
pub(super) struct CacheCommand {
    #[command(subcommand)]
    action: Option<Action>,
}

#[derive(Subcommand)]
enum Action {
    /// How much is kept (the default)
    Stats,
    /// Reads everything, and sets aside what is damaged
    Verify,
    /// Says what has not been used for a while, and removes it with `--yes`
    Collect {
        /// Days since the last use
        #[arg(long, default_value_t = 30)]
        days: u32,
        /// Replies too, which would have to be bought again
        #[arg(long)]
        replies: bool,
        /// Removes it
        #[arg(long)]
        yes: bool,
    },
}

const DAY: Duration = Duration::from_hours(24);

impl CacheCommand {
    pub(super) fn run(&self, common: &Common) -> Result<Exit, Failure> {
        let cache = common.open_cache()?;
        let (document, text, exit) = match &self.action {
            None | Some(Action::Stats) => {
                let stats = cache.stats()?;
                let text = format!(
                    "{} results, {} replies, {} blobs, {:.1} MiB\n",
                    stats.results,
                    stats.replies,
                    stats.blobs,
                    mebibytes(stats.bytes)
                );
                (json!(stats), text, Exit::Done)
            }
            Some(Action::Verify) => {
                let damages = cache.verify()?;
                let mut text = String::new();
                for damage in &damages {
                    text += &format!("{damage}\n");
                }
                text += &format!("{} damaged; what is set aside is made again when it is needed\n", damages.len());
                let exit = if damages.is_empty() { Exit::Done } else { Exit::Environment };
                (json!({ "damaged": damages.iter().map(ToString::to_string).collect::<Vec<_>>() }), text, exit)
            }
            Some(Action::Collect { days, replies, yes }) => {
                let collected =
                    cache.collect(::cache::Collect { older_than: DAY.saturating_mul(*days), replies: *replies, dry: !*yes })?;
                let verb = if *yes { "removed" } else { "would remove" };
                let hint = if *yes { "" } else { "; `--yes` removes it" };
                let text = format!(
                    "{verb} {} results, {} replies, {} blobs, {:.1} MiB{hint}\n",
                    collected.results,
                    collected.replies,
                    collected.blobs,
                    mebibytes(collected.bytes)
                );
                (json!(collected), text, Exit::Done)
            }
        };
        match common.format {
            Format::Json => {
                let mut document = document;
                document["version"] = json!(1);
                data(&format!("{document:#}\n"))?;
            }
            Format::Text => data(&text)?,
        }
        Ok(exit)
    }
}

#[expect(clippy::cast_precision_loss, reason = "for people")]
fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}
