//! `cache`: what is in it, whether it is damaged, and what may go.

use std::{
    collections::BTreeMap,
    io::{BufRead as _, BufReader, BufWriter, Write as _},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use ::cache::{Cache, Collect, Collected, Digest, Stats};
use clap::{Args, Subcommand};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    Common, Format, ManifestArguments, Set, data,
    exit::{Exit, Failure},
    inputs,
    named::only_manifest,
    style::counted,
};

use crate::{
    budget::Limit,
    contract::{context::Context, import::Answers, registry::Registry},
};

/// Show what is in the cache, check it, share its replies, or free space
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct CacheCommand {
    #[command(subcommand)]
    action: Option<Action>,
}

const EXAMPLES: &str = "\
Examples:
  fingerpost cache                                    how much is kept
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
        /// File that `cache export` wrote; with `--as`, JSON lines with `id` or `question`, and `text`
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

Ends with 4 if something is damaged. The next run that needs it makes it again, and buys damaged replies again.";

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
                    count => format!("{count} damaged; the next run that needs them makes them again\n"),
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
                let (imported, known) = match payee {
                    Some(payee) => {
                        let manifest = manifest.clone().map_or_else(only_manifest, Ok)?;
                        let arguments = ManifestArguments { manifest, sets: sets.clone() };
                        adopt(common, registry, &cache, file, payee, &arguments)?
                    }
                    None => import(&cache, file)?,
                };
                let text = format!("imported {}, {known} already present\n", replies(imported as u64));
                (json!({ "imported": imported, "known": known }), text, Exit::Done)
            }
            Some(Action::Collect { days, replies, yes }) => {
                let what = Collect { older_than: DAY.saturating_mul(*days), replies: *replies, dry: !*yes };
                let collected = cache.collect(what)?;
                (json!(collected), report(&collected, what, *days), Exit::Done)
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

fn counts(stats: &Stats) -> String {
    let counts = [counted(stats.results, "result"), replies(stats.replies), counted(stats.blobs, "blob")];
    let damaged = match stats.damaged {
        0 => String::new(),
        count => format!("; {} set aside, `fingerpost cache collect --yes` removes them", counted(count, "damaged file")),
    };
    format!("{}, {:.1} MiB{damaged}\n", counts.join(", "), mebibytes(stats.bytes))
}

fn replies(count: u64) -> String {
    if count == 1 { "1 reply".to_owned() } else { format!("{count} replies") }
}

/// What was collected, or would be, and why the rest stays.
fn report(collected: &Collected, what: Collect, days: u32) -> String {
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

/// Why what is left in the cache stays.
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

/// A time in seconds since 1970, for people.
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

/// A reply in a file.
#[derive(Serialize, Deserialize)]
struct Line {
    /// The digest of the call.
    unit: String,
    reply: Value,
}

fn export(cache: &Cache, path: &Path) -> Result<usize, Failure> {
    let unwritten =
        |error: std::io::Error| Failure::new(Exit::Environment, format!("`{}` cannot be written: {error}", path.display()));
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(folder).map_err(unwritten)?;
    let mut count = 0;
    {
        let mut out = BufWriter::new(file.as_file_mut());
        for (unit, reply) in cache.all_replies()? {
            let Ok(reply) = serde_json::from_slice(&reply) else { continue };
            let line = serde_json::to_string(&Line { unit: unit.to_string(), reply }).map_err(|e| unwritten(e.into()))?;
            writeln!(out, "{line}").map_err(unwritten)?;
            count += 1;
        }
        out.flush().map_err(unwritten)?;
    }
    file.persist(path).map_err(|error| unwritten(error.error))?;
    Ok(count)
}

/// Imports answers as replies to the calls that a manifest's stages make to a model; returns how many are new and how many were present.
fn adopt(
    common: &Common,
    registry: &Registry,
    cache: &Arc<Cache>,
    path: &Path,
    payee: &str,
    arguments: &ManifestArguments,
) -> Result<(usize, usize), Failure> {
    let manifest = &arguments.manifest;
    let pipeline = common.pipeline(arguments, registry)?;
    let answers = Answers { payee: payee.to_owned(), by_name: answers(path)? };
    let shared = super::shared(registry, &pipeline, Arc::clone(cache), Vec::new(), Limit::Unlimited, None, None)?;
    let (mut replies, mut unknown) = (Vec::new(), None);
    for (position, stage) in pipeline.stages.iter().enumerate() {
        let inputs = match inputs::known(&pipeline, cache, position, manifest) {
            Ok(inputs) => inputs,
            Err(failure) => {
                unknown.get_or_insert(failure);
                continue;
            }
        };
        for file in stage.files() {
            file.keep(&shared.store)?;
        }
        let context = Context::new(Arc::clone(&shared), &stage.name, false, Limit::Unlimited)?;
        replies.extend(stage.kind.adopt(&context, &stage.settled, inputs, &answers)?);
    }
    match unknown {
        Some(failure) if replies.is_empty() => return Err(failure),
        None if replies.is_empty() => {
            return Err(Failure::new(
                Exit::Usage,
                format!("no row of `{}` matches an answer in `{}` for model `{payee}`", manifest.display(), path.display()),
            )
            .help(
                "use the ids or questions of the manifest's benchmark, and the name of the model as it stands under `models`",
            ));
        }
        _ => {}
    }
    let all = replies.len();
    let taken = cache.adopt(replies)?;
    Ok((taken, all - taken))
}

/// The lines of a file of answers, by id and by question.
fn answers(path: &Path) -> Result<BTreeMap<String, Value>, Failure> {
    let file =
        ::cache::open_regular(path).map_err(|error| Failure::new(Exit::Usage, format!("`{}`: {error}", path.display())))?;
    let mut answers = BTreeMap::new();
    for (index, line) in BufReader::new(file).lines().enumerate() {
        let wrong = |what: String| {
            Failure::new(Exit::Usage, format!("`{}`, line {}: {what}", path.display(), index + 1))
                .help("a line is a JSON object with `id` or `question`, and `text`")
        };
        let line = line.map_err(|error| wrong(error.to_string()))?;
        if line.trim().is_empty() {
            continue;
        }
        let answer: Value = serde_json::from_str(&line).map_err(|error| wrong(crate::without_place(&error)))?;
        let names = ["id", "question"].iter().filter_map(|field| answer.get(field)?.as_str());
        let names: Vec<_> = names.map(str::to_owned).collect();
        if names.is_empty() {
            return Err(wrong("it has neither `id` nor `question`".to_owned()));
        }
        for name in names {
            if answers.insert(name.clone(), answer.clone()).is_some_and(|before| before != answer) {
                return Err(wrong(format!("a second answer to `{name}`")));
            }
        }
    }
    Ok(answers)
}

fn import(cache: &Cache, path: &Path) -> Result<(usize, usize), Failure> {
    let wrong = |line: usize, what: String| {
        Failure::new(Exit::Usage, format!("`{}`, line {line}: {what}", path.display()))
            .help("give a file that `cache export` wrote")
    };
    let file =
        ::cache::open_regular(path).map_err(|error| Failure::new(Exit::Usage, format!("`{}`: {error}", path.display())))?;
    let mut replies = Vec::new();
    for (index, line) in BufReader::new(file).lines().enumerate() {
        let line = line.map_err(|error| wrong(index + 1, error.to_string()))?;
        if line.trim().is_empty() {
            continue;
        }
        let line: Line = serde_json::from_str(&line).map_err(|error| wrong(index + 1, crate::without_place(&error)))?;
        let unit: Digest = line.unit.parse().map_err(|_| wrong(index + 1, format!("`{}` is not a digest", line.unit)))?;
        replies.push((unit, line.reply.to_string().into_bytes()));
    }
    let all = replies.len();
    let taken = cache.adopt(replies)?;
    Ok((taken, all - taken))
}
