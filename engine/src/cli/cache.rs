//! `cache`: what is kept, whether it is sound, and what may go.

use std::{
    collections::BTreeMap,
    io::{BufRead as _, BufReader, BufWriter, Write as _},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use ::cache::{Cache, Digest};
use clap::{Args, Subcommand};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    Common, Format, ManifestArguments, Set, data,
    exit::{Exit, Failure},
    inputs,
    named::only_manifest,
};

use crate::{
    budget::Limit,
    contract::{context::Context, import::Answers, registry::Registry},
};

/// Look at the cache, check it, or free space
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
    /// How much is kept (the default)
    Stats,
    /// Reads everything, and sets aside what is damaged
    Verify,
    /// Writes all replies to a file, for a colleague or another machine
    Export {
        /// The file, one reply a line
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Takes replies over from a file that `cache export` wrote, or answers as the replies of a model; those that are here stay
    Import {
        /// The file; with `--as`, JSON lines with `id` or `question`, and `text`
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// The model whose answers they are, as the manifest names it
        #[arg(long = "as", value_name = "PROVIDER/MODEL")]
        payee: Option<String>,
        /// The manifest whose stages ask that model: it says what exactly it would be asked [default: the one in this folder]
        #[arg(long, value_name = "MANIFEST", requires = "payee")]
        manifest: Option<PathBuf>,
        /// Takes another value of the manifest for once
        #[arg(long = "set", value_name = "PATH=VALUE", requires = "payee")]
        sets: Vec<Set>,
    },
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
    pub(super) fn run(&self, common: &Common, registry: &Registry) -> Result<Exit, Failure> {
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
            Some(Action::Export { file }) => {
                let count = export(&cache, file)?;
                (json!({ "exported": count }), format!("{count} replies written to `{}`\n", file.display()), Exit::Done)
            }
            Some(Action::Import { file, payee, manifest, sets }) => {
                let (taken, known) = match payee {
                    Some(payee) => {
                        let manifest = manifest.clone().map_or_else(only_manifest, Ok)?;
                        let arguments = ManifestArguments { manifest, sets: sets.clone() };
                        adopt(common, registry, &cache, file, payee, &arguments)?
                    }
                    None => import(&cache, file)?,
                };
                (
                    json!({ "imported": taken, "known": known }),
                    format!("{taken} replies taken over, {known} were here\n"),
                    Exit::Done,
                )
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
            Format::Text | Format::Github => data(&text)?,
        }
        Ok(exit)
    }
}

#[expect(clippy::cast_precision_loss, reason = "for people")]
fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

/// A reply in a file.
#[derive(Serialize, Deserialize)]
struct Line {
    /// The digest of what was asked.
    unit: String,
    reply: Value,
}

fn export(cache: &Cache, path: &Path) -> Result<usize, Failure> {
    let unwritten = |error: std::io::Error| Failure::new(Exit::Environment, format!("`{}`: {error}", path.display()));
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

/// Takes answers over as replies to what a manifest's stages ask a model; returns how many are new and how many were known.
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
                format!("no row of `{}` asks `{payee}` what is in `{}`", manifest.display(), path.display()),
            )
            .help("are the ids or questions those of the manifest's benchmark, and is it the name that its `models` have?"));
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
        let unit: Digest = line.unit.parse().map_err(|_| wrong(index + 1, format!("`{}` is no digest", line.unit)))?;
        replies.push((unit, line.reply.to_string().into_bytes()));
    }
    let all = replies.len();
    let taken = cache.adopt(replies)?;
    Ok((taken, all - taken))
}
