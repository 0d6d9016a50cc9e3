//! `uses: benchmark`: a named benchmark, in splits. A file or a seed → questions.

use std::collections::{BTreeMap, BTreeSet};

use engine::{Context, Dataset, File, ParamMistake, Sections, StageError, fingerprint, ports};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    benchmarks::{self, Columns, Draft},
    rows::{Question, Split},
};

/// What stands under `with:`.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Params {
    /// `arithmetic`, `jsonl` or `simpleqa`.
    name: String,
    /// The benchmark's file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    path: Option<File>,
    /// Which fields of a `jsonl` row hold what.
    #[serde(default)]
    columns: Columns,
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
}

fn count() -> usize {
    3000
}

/// Shares of the splits; they add up to one.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Shares {
    train: f64,
    validation: f64,
    test: f64,
}

impl Default for Shares {
    fn default() -> Self {
        Self { train: 0.8, validation: 0.0, test: 0.2 }
    }
}

ports! { pub struct Inputs {} }
ports! { pub struct Outputs { questions: Dataset<Question> } }

/// The stage.
pub(crate) struct Stage;

impl engine::Stage for Stage {
    const KIND: &'static str = "benchmark";
    const VERSION: u32 = 1;
    const SUMMARY: &'static str = "loads or generates questions, and splits them";
    type Params = Params;
    type Inputs = Inputs;
    type Outputs = Outputs;

    fn settle(params: Params, _: &Sections) -> Result<Params, Vec<ParamMistake>> {
        let mut mistakes = Vec::new();
        let mut mistake = |field: &str, message: String, help: String| {
            mistakes.push(ParamMistake { field: vec![field.to_owned()], message, help });
        };
        match (benchmarks::find(&params.name), &params.path) {
            (None, _) => mistake(
                "name",
                format!("there is no benchmark `{}`", params.name),
                format!("the benchmarks are {}", benchmarks::names()),
            ),
            (Some(found), None) if found.reads_file => {
                mistake(
                    "name",
                    format!("benchmark `{}` reads a file, and none is named", found.name),
                    "add `path: FILE`".to_owned(),
                );
            }
            (Some(found), Some(_)) if !found.reads_file => {
                mistake("path", format!("benchmark `{}` reads no file", found.name), "take `path:` out".to_owned());
            }
            _ => {}
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
        let found = benchmarks::find(&params.name);
        found.map(|found| (format!("benchmark/{}", found.name), found.version)).into_iter().collect()
    }

    async fn run(ctx: &Context, params: &Params, _: Inputs) -> Result<Outputs, StageError> {
        let benchmark = benchmarks::find(&params.name)
            .ok_or_else(|| StageError::failed(format!("there is no benchmark `{}`", params.name)))?;
        let settings =
            benchmarks::Settings { path: params.path.as_ref(), columns: &params.columns, count: params.count, seed: params.seed };
        let drafts = (benchmark.load)(ctx, &settings)?;
        if drafts.is_empty() {
            return Err(StageError::failed("the benchmark has no questions").help("give a file with rows, or a `count` above 0"));
        }
        let mut questions: Vec<_> = drafts.into_iter().map(|draft| question(draft, params)).collect();
        benchmarks::refuse_double_ids(questions.iter().map(|question| question.id.as_str()))?;
        questions.truncate(params.limit.unwrap_or(usize::MAX));
        if let Some(sample) = params.sample {
            keep_sample(&mut questions, sample, params.seed);
        }
        let texts: BTreeSet<_> = questions.iter().map(|question| normalised(&question.question)).collect();
        if texts.len() < questions.len() {
            ctx.warn(format!("{} questions are asked more than once; each text is in one split", questions.len() - texts.len()));
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

/// A text as duplicates are found by: letter case and spaces aside.
fn normalised(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase()
}

fn split(normalised: &str, shares: &Shares) -> Split {
    let at = fraction(normalised);
    if at < shares.train {
        Split::Train
    } else if at < shares.train + shares.validation {
        Split::Validation
    } else {
        Split::Test
    }
}

/// A number in [0, 1) that follows from a text alone.
fn fraction(text: &str) -> f64 {
    let head = u32::from_str_radix(&fingerprint(text)[..8], 16).expect("a fingerprint is hexadecimal");
    f64::from(head) / (f64::from(u32::MAX) + 1.0)
}

fn keep_sample(questions: &mut Vec<Question>, sample: usize, seed: u64) {
    let mut order: Vec<_> = questions.iter().map(|question| fingerprint(&format!("{seed} {}", question.id))).collect();
    order.sort_unstable();
    let Some(first_out) = order.get(sample).cloned() else { return };
    questions.retain(|question| fingerprint(&format!("{seed} {}", question.id)) < first_out);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_questions_are_in_one_split_and_shares_are_kept() {
        let shares = Shares { train: 0.5, validation: 0.25, test: 0.25 };
        let mut counts = BTreeMap::new();
        for number in 0..4000 {
            *counts.entry(split(&normalised(&format!("What is {number}?")), &shares)).or_insert(0) += 1;
        }
        assert!((1900..2100).contains(&counts[&Split::Train]), "{counts:?}");
        assert!((900..1100).contains(&counts[&Split::Validation]), "{counts:?}");
        assert_eq!(normalised("What  is\nTHIS?"), normalised("what is this?"));
    }
}
