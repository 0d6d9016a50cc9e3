//! Replies in files. Takes a cache; gives its replies in a file. Takes a file of replies, or of a model's answers; gives new replies in
//! the cache.

use std::{
    io::{BufRead as _, BufReader, BufWriter, Write as _},
    path::Path,
    sync::Arc,
};

use ::cache::{Cache, Digest};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    budget::Limit,
    cli::{
        Common, ManifestArguments,
        exit::{Exit, Failure},
        inputs, shared,
    },
    contract::{
        context::{Context, Reuse},
        import::Answers,
        registry::Registry,
    },
};

/// A reply in a file.
#[derive(Serialize, Deserialize)]
struct Line {
    /// The digest of the unit that was called for.
    unit: String,
    reply: Value,
}

/// Writes all replies to a file; returns how many.
pub(super) fn export(cache: &Cache, path: &Path) -> Result<usize, Failure> {
    let unwritten =
        |error: std::io::Error| Failure::new(Exit::Environment, format!("`{}` cannot be written: {error}", path.display()));
    // The file is replaced when everything is written: as root, a device would be replaced as well.
    if path.metadata().is_ok_and(|there| !there.is_file()) {
        let message = format!("`{}` is not a regular file", path.display());
        return Err(Failure::new(Exit::Usage, message).help("name a file to write"));
    }
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

/// What an import did.
pub(super) struct Imported {
    /// How many replies are new.
    pub new: usize,
    /// How many were present.
    pub known: usize,
    /// The lines whose answers reply to nothing that the manifest asks.
    pub unmatched: Vec<usize>,
}

/// Imports answers as replies to the calls that a manifest's stages make to a model.
pub(super) fn adopt(
    common: &Common,
    registry: &Registry,
    cache: &Arc<Cache>,
    path: &Path,
    payee: &str,
    arguments: &ManifestArguments,
) -> Result<Imported, Failure> {
    let manifest = &arguments.manifest;
    let pipeline = common.pipeline(arguments, registry)?;
    let answers = answers(path, payee)?;
    let shared = shared(registry, &pipeline, Arc::clone(cache), Vec::new(), Limit::Unlimited, None, None)?;
    let (mut replies, mut again, mut unknown) = (Vec::new(), Vec::new(), None);
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
        let context = Context::new(Arc::clone(&shared), &stage.name, Reuse::All, Limit::Unlimited)?;
        let adopted = stage.kind.adopt(&context, &stage.settled, inputs, &answers)?;
        replies.extend(adopted.first);
        again.extend(adopted.again);
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
    let new = cache.adopt(replies)?;
    cache.adopt(again)?;
    Ok(Imported { new, known: all - new, unmatched: answers.unused() })
}

/// Returns the lines of a file of answers, by id and by question.
fn answers(path: &Path, payee: &str) -> Result<Answers, Failure> {
    let file =
        ::cache::open_regular(path).map_err(|error| Failure::new(Exit::Usage, format!("`{}`: {error}", path.display())))?;
    let mut answers = Answers::new(payee);
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
        answers.add(index + 1, names, answer).map_err(wrong)?;
    }
    Ok(answers)
}

/// Imports the replies of a file.
pub(super) fn import(cache: &Cache, path: &Path) -> Result<Imported, Failure> {
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
    let new = cache.adopt(replies)?;
    Ok(Imported { new, known: all - new, unmatched: Vec::new() })
}
