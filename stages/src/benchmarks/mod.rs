//! A file or a seed → questions without a split. One file a benchmark.

pub(crate) mod arithmetic;
mod generated;
mod jsonl;
mod simpleqa;

use std::collections::BTreeMap;

use engine::{Context, File, StageError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// A question as a benchmark has it.
#[derive(Default)]
pub(crate) struct Draft {
    /// The benchmark's own id, if it has one.
    pub id: Option<String>,
    /// The text that models see.
    pub question: String,
    /// Every text that counts as right.
    pub gold: Vec<String>,
    /// The texts to choose from, where it is a multiple choice.
    pub choices: Vec<String>,
    /// Texts that are known to be wrong.
    pub wrong: Vec<String>,
    /// Whatever else the benchmark says.
    pub meta: Map<String, Value>,
}

/// Which fields of a row hold what. A dot goes into an object: `meta.asked`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Columns {
    /// The id; where a row has none, its id is made from the question.
    pub id: String,
    /// The text that models see.
    pub question: String,
    /// A text, a number, or a list of them.
    pub gold: String,
    /// Whatever else is to be kept.
    pub meta: String,
}

impl Default for Columns {
    fn default() -> Self {
        Self { id: "id".to_owned(), question: "question".to_owned(), gold: "gold".to_owned(), meta: "meta".to_owned() }
    }
}

/// What a benchmark is loaded with.
pub(crate) struct Settings<'a> {
    /// The file, where the benchmark reads one.
    pub path: Option<&'a File>,
    /// Its columns.
    pub columns: &'a Columns,
    /// How many questions to generate.
    pub count: usize,
    /// What they are generated from.
    pub seed: u64,
}

/// A benchmark: the word after `name:`.
pub(crate) struct Benchmark {
    /// The word.
    pub name: &'static str,
    /// Raised when it gives other questions.
    pub version: u32,
    /// Whether it reads a file.
    pub reads_file: bool,
    /// Reads or makes the questions.
    pub load: fn(ctx: &Context, settings: &Settings<'_>) -> Result<Vec<Draft>, StageError>,
}

const ALL: [&Benchmark; 3] = [&generated::ARITHMETIC, &jsonl::BENCHMARK, &simpleqa::BENCHMARK];

/// Finds a benchmark by name.
pub(crate) fn find(name: &str) -> Option<&'static Benchmark> {
    ALL.into_iter().find(|benchmark| benchmark.name == name)
}

/// The names, for messages.
pub(crate) fn names() -> String {
    ALL.map(|benchmark| benchmark.name).join(", ")
}

/// Refuses two questions of one id.
pub(crate) fn refuse_double_ids<'a>(ids: impl Iterator<Item = &'a str>) -> Result<(), StageError> {
    let mut first = BTreeMap::new();
    for (index, id) in ids.enumerate() {
        if let Some(before) = first.insert(id, index) {
            return Err(StageError::failed(format!("questions {} and {} have the same id `{id}`", before + 1, index + 1))
                .help("name another column by `columns: { id: … }`"));
        }
    }
    Ok(())
}
