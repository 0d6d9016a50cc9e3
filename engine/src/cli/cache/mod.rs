//! The command `cache`. Takes an action; gives what is in the cache, what is damaged, its replies in a file, or space on the disk.
//!
//! Read this file (the actions and their arguments), then `files` (exports and imports replies) and `report` (counts in words, and why
//! something stays).

mod files;
mod report;

use std::{path::PathBuf, time::Duration};

use ::cache::Collect;
use clap::{Args, Subcommand};
use serde_json::json;

use super::{
    Common, Format, ManifestArguments, Set, data,
    exit::{Exit, Failure},
    named::only_manifest,
};
use crate::contract::registry::Registry;
use files::{adopt, export, import};
use report::{collected, counts, replies, unmatched};

/// Show what is in the cache, check it, share its replies, or free space
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct CacheCommand {
    #[command(subcommand)]
    action: Option<Action>,
}

const EXAMPLES: &str = "\
Examples:
  fingerpost cache                                    how much is cached
  fingerpost cache collect --days 90 --yes            free space
  fingerpost cache export replies.jsonl               for a colleague: `cache import replies.jsonl`

`fingerpost cache ACTION --help` explains an action.";

#[derive(Subcommand)]
enum Action {
    /// Count results, replies and blobs, and show their size (the default)
    #[command(after_help = STATS_EXAMPLES)]
    Stats,
    /// Read everything, and move what is damaged out of the way
    #[command(after_help = VERIFY_EXAMPLES)]
    Verify,
    /// Write all replies to a file, for a colleague or another machine
    #[command(after_help = EXPORT_EXAMPLES)]
    Export {
        /// File to write: JSON lines, one for each reply
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Read replies from a file; replies that are in the cache already stay as they are
    #[command(after_help = IMPORT_EXAMPLES)]
    Import {
        /// File that `cache export` wrote; with `--as`, JSON lines with `id` or `question`, and `text`; `outcome`, `finish` and token counts
        /// are kept
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// Model whose answers the file has, as the manifest names it
        #[arg(long = "as", value_name = "PROVIDER/MODEL")]
        payee: Option<String>,
        /// Manifest whose stages call that model: it says what exactly the answers reply to [default: the one in this folder]
        #[arg(long, value_name = "MANIFEST", requires = "payee")]
        manifest: Option<PathBuf>,
        /// Override one value of the manifest
        #[arg(long = "set", value_name = "PATH=VALUE", requires = "payee")]
        sets: Vec<Set>,
    },
    /// Remove results that were not used for a while; without `--yes`, show what would be removed
    #[command(after_help = COLLECT_EXAMPLES)]
    Collect {
        /// Days since the last use
        #[arg(long, default_value_t = 30)]
        days: u32,
        /// Remove replies that are as old, too: they would have to be bought again
        #[arg(long)]
        replies: bool,
        /// Remove, rather than show
        #[arg(long)]
        yes: bool,
    },
}

const STATS_EXAMPLES: &str = "\
Examples:
  fingerpost cache stats
  fingerpost cache stats --format json    every count, in bytes where it is a size";

const VERIFY_EXAMPLES: &str = "\
Examples:
  fingerpost cache verify

Ends with 4 if something is damaged. The next run that needs it recomputes it, and pays for damaged replies again.";

const EXPORT_EXAMPLES: &str = "\
Examples:
  fingerpost cache export replies.jsonl

`fingerpost cache import FILE` reads the file.";

const IMPORT_EXAMPLES: &str = "\
Examples:
  fingerpost cache import replies.jsonl
  fingerpost cache import answers.jsonl --as openai/gpt-5 --manifest simpleqa.yaml    answers bought elsewhere";

const COLLECT_EXAMPLES: &str = "\
Examples:
  fingerpost cache collect                   show what was not used for 30 days
  fingerpost cache collect --days 7 --yes    remove what was not used for 7 days

What a running process uses stays, and so do blobs younger than an hour. Files that were set aside as damaged go.
`fingerpost cache export FILE` saves replies before `--replies` removes them.";

const DAY: Duration = Duration::from_hours(24);

impl CacheCommand {
    pub(super) fn run(&self, common: &Common, registry: &Registry) -> Result<Exit, Failure> {
        let cache = common.open_cache()?;
        let (mut document, text, exit) = match &self.action {
            None | Some(Action::Stats) => {
                let stats = cache.stats()?;
                (json!(stats), counts(&stats), Exit::Done)
            }
            Some(Action::Verify) => {
                let damages = cache.verify()?;
                let mut text = String::new();
                for damage in &damages {
                    text += &format!("{damage}\n");
                }
                text += &match damages.len() {
                    0 => "no damage\n".to_owned(),
                    count => format!("{count} damaged; the next run that needs them recomputes them\n"),
                };
                let exit = if damages.is_empty() { Exit::Done } else { Exit::Environment };
                (json!({ "damaged": damages.iter().map(ToString::to_string).collect::<Vec<_>>() }), text, exit)
            }
            Some(Action::Export { file }) => {
                let count = export(&cache, file)?;
                let text = format!("exported {} to `{}`\n", replies(count as u64), file.display());
                (json!({ "exported": count }), text, Exit::Done)
            }
            Some(Action::Import { file, payee, manifest, sets }) => {
                cache.check_writable()?;
                let done = match payee {
                    Some(payee) => {
                        let manifest = manifest.clone().map_or_else(only_manifest, Ok)?;
                        let arguments = ManifestArguments { manifest, sets: sets.clone() };
                        adopt(common, registry, &cache, file, payee, &arguments)?
                    }
                    None => import(&cache, file)?,
                };
                let text = format!(
                    "imported {}, {} already present{}\n",
                    replies(done.new as u64),
                    done.known,
                    unmatched(&done.unmatched)
                );
                (json!({ "imported": done.new, "known": done.known, "unmatched": done.unmatched }), text, Exit::Done)
            }
            Some(Action::Collect { days, replies, yes }) => {
                let what = Collect { older_than: DAY.saturating_mul(*days), replies: *replies, dry: !*yes };
                let gone = cache.collect(what)?;
                (json!(gone), collected(&gone, what, *days), Exit::Done)
            }
        };
        match common.format {
            Format::Json => {
                document["version"] = json!(1);
                data(&format!("{document:#}\n"))?;
            }
            Format::Text | Format::Github => data(&text)?,
        }
        Ok(exit)
    }
}
