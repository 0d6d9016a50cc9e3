//! `uses: benchmark`: a named benchmark, in splits. Takes a file or a seed; gives questions.
//!
//! Read `loader` (what a benchmark is) and `draft` (what it gives) first, then this file, which turns drafts into questions with ids and
//! splits. `tables` reads files of rows, `published` recognises and downloads published files, `arithmetic` generates questions,
//! `choices` has letters, `split` says which split a question is in. Each of the other files is one benchmark. A benchmark is added by one
//! file and a line in `ALL`.

pub(crate) mod arithmetic;
mod choices;
mod draft;
mod generated;
mod gsm8k;
mod loader;
mod mmlu;
mod mmlu_pro;
mod natural_questions;
mod published;
mod simpleqa;
mod split;
mod tables;
mod truthfulqa;

use std::collections::BTreeMap;

use engine::{Context, Dataset, ParamMistake, Part, Sections, StageError, fingerprint, ports};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    duplicates::{self, Duplicates, normalised},
    rows::Question,
};
use draft::Draft;
use loader::{Benchmark, Reads};
use published::{fetch::Fetch, files::Files};
use split::{Shares, split};
use tables::{columns::Columns, csv, jsonl, parquet};

const ALL: [&Benchmark; 10] = [
    &generated::ARITHMETIC,
    &csv::BENCHMARK,
    &gsm8k::BENCHMARK,
    &jsonl::BENCHMARK,
    &mmlu::BENCHMARK,
    &mmlu_pro::BENCHMARK,
    &natural_questions::BENCHMARK,
    &parquet::BENCHMARK,
    &simpleqa::BENCHMARK,
    &truthfulqa::BENCHMARK,
];

/// Finds a benchmark by name.
fn find(name: &str) -> Option<&'static Benchmark> {
    ALL.into_iter().find(|benchmark| benchmark.name == name)
}

/// Returns the names of all benchmarks, for messages.
fn names() -> String {
    ALL.map(|benchmark| benchmark.name).join(", ")
}

/// Describes every benchmark, for the command `kinds`.
pub(crate) fn parts() -> impl Iterator<Item = Part> {
    ALL.into_iter().map(|benchmark| Part {
        group: "benchmark",
        name: benchmark.name,
        summary: benchmark.summary,
        example: format!("stages:\n  questions: {{ uses: benchmark, with: {} }}\n", benchmark.example),
    })
}

/// What stands under `with:`.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Params {
    /// A published benchmark: `gsm8k`, `mmlu`, `mmlu_pro`, `natural_questions`, `simpleqa` or `truthfulqa`; a file with any
    /// columns: `csv`, `jsonl` or `parquet`; or a generated one: `arithmetic`.
    name: String,
    /// The benchmark's file; for `mmlu`, the folder of its files or one of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    path: Option<Files>,
    /// Downloads the published file in place of `path`: `true`, the file's name where there are several, or `{ address, digest }`.
    #[serde(default, skip_serializing_if = "Fetch::is_no")]
    fetch: Fetch,
    /// Which fields of a row of `csv`, `jsonl` or `parquet` hold what.
    #[serde(default)]
    columns: Columns,
    /// What separates the cells of `csv`: one character, or `tab` [default: what separates those of the first line: a tab, a comma or a
    /// semicolon].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    delimiter: Option<String>,
    /// How many questions `arithmetic` generates.
    #[serde(default = "count")]
    count: usize,
    /// What `arithmetic` generates from, and what a sample is drawn by.
    #[serde(default)]
    seed: u64,
    /// At most so many questions, from the start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    limit: Option<usize>,
    /// So many questions, spread over all and in their order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sample: Option<usize>,
    /// How large each split is. Which one a question is in follows from its text alone.
    #[serde(default)]
    split: Shares,
    /// What becomes of questions that are asked again: `keep`, `drop` or `drop_across`.
    #[serde(default)]
    duplicates: Duplicates,
    /// The part of their runs of five characters that two questions must share to count as nearly the same, from 0.5 to 1.
    /// Without it, only the same words count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    near_duplicates: Option<f64>,
}

/// Returns the byte of a delimiter; nothing if it cannot be one.
fn delimiter(written: &str) -> Option<u8> {
    match written.as_bytes() {
        b"tab" | b"\\t" => Some(b'\t'),
        [byte] if byte.is_ascii() && !b"\"\r\n".contains(byte) => Some(*byte),
        _ => None,
    }
}

fn count() -> usize {
    3000
}

ports! { pub struct Inputs {} }
ports! { pub struct Outputs { questions: Dataset<Question> } }

/// The stage `benchmark`.
pub(crate) struct Stage;

impl engine::Kind for Stage {
    const KIND: &'static str = "benchmark";
    const VERSION: u32 = 1;
    const SUMMARY: &'static str = "loads or generates questions, and splits them";
    const EXAMPLE: &'static str = "\
stages:
  questions:
    uses: benchmark
    with: { name: simpleqa, fetch: true, split: { train: 0.8, validation: 0.1, test: 0.1 } }
";
    type Params = Params;
    type Inputs = Inputs;
    type Outputs = Outputs;

    fn settle(mut params: Params, _: &Sections) -> Result<Params, Vec<ParamMistake>> {
        let mut mistakes = Vec::new();
        let mut mistake = |field: &str, message: String, help: String| {
            mistakes.push(ParamMistake { field: vec![field.to_owned()], message, help });
        };
        match (find(&params.name), &params.path) {
            (None, _) => {
                mistake("name", format!("there is no benchmark `{}`", params.name), format!("the benchmarks are {}", names()));
            }
            (Some(found), _) if matches!(found.reads, Reads::Nothing) && !params.fetch.is_no() => {
                mistake("fetch", format!("benchmark `{}` reads no file", found.name), "take `fetch:` out".to_owned());
            }
            (Some(_), Some(_)) if !params.fetch.is_no() => {
                mistake("fetch", "the file is both named and fetched".to_owned(), "take out `path:`, or `fetch:`".to_owned());
            }
            (Some(found), None) if !params.fetch.is_no() => {
                match std::mem::take(&mut params.fetch).settle(found.name, found.published) {
                    Ok(fetch) => params.fetch = fetch,
                    Err((message, help)) => mistake("fetch", message, help),
                }
            }
            (Some(found), None) if !matches!(found.reads, Reads::Nothing) => {
                mistake("name", format!("benchmark `{}` reads a file, and none is named", found.name), found.help());
            }
            (Some(found), Some(_)) if matches!(found.reads, Reads::Nothing) => {
                mistake("path", format!("benchmark `{}` reads no file", found.name), "take `path:` out".to_owned());
            }
            (Some(found), Some(files)) if matches!(found.reads, Reads::File) && files.one().is_none() => {
                mistake(
                    "path",
                    format!("benchmark `{}` reads a file, and this is a folder", found.name),
                    "name a file in it".to_owned(),
                );
            }
            _ => {}
        }
        if let Some(written) = &params.delimiter {
            if params.name != csv::BENCHMARK.name {
                mistake("delimiter", "only `csv` has a delimiter".to_owned(), "take `delimiter:` out".to_owned());
            } else if delimiter(written).is_none() {
                mistake(
                    "delimiter",
                    format!("`{written}` is not one character"),
                    "for example `delimiter: \";\"`, or `tab`".to_owned(),
                );
            }
        }
        if params.near_duplicates.is_some_and(|threshold| !(0.5..=1.0).contains(&threshold)) {
            mistake(
                "near_duplicates",
                "`near_duplicates` is not between 0.5 and 1".to_owned(),
                "for example `near_duplicates: 0.8`".to_owned(),
            );
        }
        if params.duplicates == Duplicates::DropAcross && params.near_duplicates.is_none() {
            mistake(
                "duplicates",
                "the same words are in one split already, so there is nothing to drop across splits".to_owned(),
                "add `near_duplicates: 0.8`, or take `duplicates: drop`".to_owned(),
            );
        }
        let shares = [params.split.train, params.split.validation, params.split.test];
        if shares.iter().any(|share| !(0.0..=1.0).contains(share)) || (shares.iter().sum::<f64>() - 1.0).abs() > 1e-9 {
            mistake(
                "split",
                "the shares of the splits do not add up to one".to_owned(),
                "for example `split: { train: 0.8, validation: 0, test: 0.2 }`".to_owned(),
            );
        }
        if mistakes.is_empty() { Ok(params) } else { Err(mistakes) }
    }

    fn parts(params: &Params) -> BTreeMap<String, u32> {
        let found = find(&params.name);
        found.map(|found| (format!("benchmark/{}", found.name), found.version)).into_iter().collect()
    }
}

impl engine::Stage for Stage {
    async fn run(ctx: &Context, params: &Params, _: Inputs) -> Result<Outputs, StageError> {
        let benchmark =
            find(&params.name).ok_or_else(|| StageError::failed(format!("there is no benchmark `{}`", params.name)))?;
        let fetched = match &params.fetch {
            Fetch::Pinned(pinned) => Some(Files::of(pinned.file(ctx).await?)),
            _ => None,
        };
        let settings = loader::Settings {
            path: params.path.as_ref().or(fetched.as_ref()),
            columns: &params.columns,
            delimiter: params.delimiter.as_deref().and_then(delimiter),
            count: params.count,
            seed: params.seed,
        };
        let drafts = benchmark.questions(ctx, &settings)?;
        if drafts.is_empty() {
            return Err(StageError::failed("the benchmark has no questions").help("give a file with rows, or a `count` above 0"));
        }
        let mut questions: Vec<_> = drafts.into_iter().map(|draft| question(draft, params)).collect();
        let drops = params.duplicates != Duplicates::Keep;
        let settle = |questions: &mut _| duplicates::settle(ctx, questions, params.duplicates, params.near_duplicates);
        // Duplicates that are dropped are dropped before the limit, so that others take their places. Those that are kept are reported
        // after it, since only the questions that are left matter then.
        if drops {
            settle(&mut questions)?;
        }
        loader::refuse_double_ids(questions.iter().map(|question| question.id.as_str()))?;
        questions.truncate(params.limit.unwrap_or(usize::MAX));
        if let Some(sample) = params.sample {
            keep_sample(&mut questions, sample, params.seed);
        }
        if !drops {
            settle(&mut questions)?;
        }
        Ok(Outputs { questions: Dataset::write(ctx, questions)? })
    }
}

fn question(draft: Draft, params: &Params) -> Question {
    let normalised = normalised(&draft.question);
    Question {
        id: draft.id.unwrap_or_else(|| format!("{}-{:.12}", params.name, fingerprint(&normalised))),
        split: split(&normalised, &params.split),
        question: draft.question,
        gold: draft.gold,
        choices: draft.choices,
        wrong: draft.wrong,
        benchmark: params.name.clone(),
        meta: draft.meta,
    }
}

fn keep_sample(questions: &mut Vec<Question>, sample: usize, seed: u64) {
    let mut order: Vec<_> = questions.iter().map(|question| fingerprint(&format!("{seed} {}", question.id))).collect();
    order.sort_unstable();
    let Some(first_out) = order.get(sample).cloned() else { return };
    questions.retain(|question| fingerprint(&format!("{seed} {}", question.id)) < first_out);
}
