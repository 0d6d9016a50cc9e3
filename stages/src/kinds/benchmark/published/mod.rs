//! The published files of the benchmarks: address, digest and number of rows. Takes a file; gives a warning if it is none of them.
//!
//! Read this file's table first, then `files` (the path of a manifest), `fetch` (downloads of these files) and `mmlu` (the files of MMLU,
//! which is published as an archive). A published file is one entry in `ALL`.

pub(crate) mod fetch;
pub(crate) mod files;
pub(crate) mod mmlu;

use engine::{Context, File};

use fetch::Pinned;

/// A published file.
struct Published {
    benchmark: &'static str,
    rows: usize,
    /// The digest of its bytes; `None` if the published file was not there to compute it from, so that rows are compared instead.
    digest: Option<&'static str>,
    address: &'static str,
}

const ALL: [Published; 10] = [
    Published {
        benchmark: "simpleqa",
        rows: 4326,
        digest: Some("blake3:7ce7f4e38e8a582811bc2aba3f41223705d3d043e18c3d774aabc542e27ce8ef"),
        address: "https://openaipublic.blob.core.windows.net/simple-evals/simple_qa_test_set.csv",
    },
    Published {
        benchmark: "natural_questions",
        rows: 3610,
        digest: Some("blake3:7460af71d545dbc14f098608e128d386eb3d29135474eff30f766addf5cd879d"),
        address: "https://raw.githubusercontent.com/google-research-datasets/natural-questions/fb26a3073b1fe636c97302890a27b491d6530130/nq_open/NQ-open.dev.jsonl",
    },
    Published {
        benchmark: "natural_questions",
        rows: 1800,
        digest: Some("blake3:821fea208ad3ddebe9d83b0d9e96b952f5e9822e93023d0978c81c3433e614d6"),
        address: "https://raw.githubusercontent.com/google-research-datasets/natural-questions/fb26a3073b1fe636c97302890a27b491d6530130/nq_open/NQ-open.efficientqa.dev.1.1.jsonl",
    },
    Published {
        benchmark: "natural_questions",
        rows: 87925,
        digest: None,
        address: "https://raw.githubusercontent.com/google-research-datasets/natural-questions/fb26a3073b1fe636c97302890a27b491d6530130/nq_open/NQ-open.train.jsonl",
    },
    Published {
        benchmark: "mmlu_pro",
        rows: 12032,
        digest: None,
        address: "https://huggingface.co/datasets/TIGER-Lab/MMLU-Pro/resolve/main/data/test-00000-of-00001.parquet",
    },
    Published {
        benchmark: "mmlu_pro",
        rows: 70,
        digest: None,
        address: "https://huggingface.co/datasets/TIGER-Lab/MMLU-Pro/resolve/main/data/validation-00000-of-00001.parquet",
    },
    Published {
        benchmark: "truthfulqa",
        rows: 790,
        digest: Some("blake3:786fb6a04abb5c3ed13b9b99aa9a5a645d8d48a54ec44661ed67e15a177a5817"),
        address: "https://raw.githubusercontent.com/sylinrl/TruthfulQA/main/TruthfulQA.csv",
    },
    Published {
        benchmark: "gsm8k",
        rows: 1319,
        digest: Some("blake3:0b697290c2ea42cfaa092e4694cfa5596b1a44a0b2e9fcad81fcb62ceedefc7f"),
        address: "https://raw.githubusercontent.com/openai/grade-school-math/3101c7d5072418e28b9008a6636bde82a006892c/grade_school_math/data/test.jsonl",
    },
    Published {
        benchmark: "gsm8k",
        rows: 1319,
        digest: Some("blake3:02928ef35bf9bf2f6371e9408c750ec593e6589c36362f9303916f653f1094cb"),
        address: "https://raw.githubusercontent.com/openai/grade-school-math/3101c7d5072418e28b9008a6636bde82a006892c/grade_school_math/data/test_socratic.jsonl",
    },
    Published {
        benchmark: "gsm8k",
        rows: 7473,
        digest: Some("blake3:da96483b5604301bab740fe4b6ffafdc0170777fc4f1ba79abfc1be2434693ab"),
        address: "https://raw.githubusercontent.com/openai/grade-school-math/3101c7d5072418e28b9008a6636bde82a006892c/grade_school_math/data/train.jsonl",
    },
];

/// The archive that `MMLU` is published as. Its files are recognised by their numbers of rows.
const MMLU: &str = "https://people.eecs.berkeley.edu/~hendrycks/data.tar";

/// Returns the addresses of a benchmark's published files.
pub(crate) fn addresses(benchmark: &str) -> Vec<&'static str> {
    let archive = (benchmark == "mmlu").then_some(MMLU);
    ALL.iter().filter(|published| published.benchmark == benchmark).map(|published| published.address).chain(archive).collect()
}

/// Returns a benchmark's published files whose digests are known. The first is the default of `fetch: true`.
pub(crate) fn pinned(benchmark: &str) -> Vec<Pinned> {
    let of_it = ALL.iter().filter(|published| published.benchmark == benchmark);
    of_it.filter_map(|one| Some(Pinned { address: one.address.to_owned(), digest: one.digest?.to_owned() })).collect()
}

/// Warns if a file that is read as a benchmark is none of its published files.
pub(crate) fn compare(ctx: &Context, benchmark: &str, file: &File, rows: usize) {
    let digest = serde_json::to_value(file).ok();
    if let Some(warning) = difference(benchmark, file.name(), digest.as_ref().and_then(|digest| digest.as_str()), rows) {
        ctx.warn(warning);
    }
}

fn difference(benchmark: &str, name: &str, digest: Option<&str>, rows: usize) -> Option<String> {
    let published: Vec<_> = ALL.iter().filter(|published| published.benchmark == benchmark).collect();
    let is_one = published.iter().any(|published| match published.digest {
        Some(known) => digest == Some(known),
        None => published.rows == rows,
    });
    if published.is_empty() || is_one {
        return None;
    }
    let published: Vec<_> =
        published.iter().map(|published| format!("{} rows in {}", published.rows, published.address)).collect();
    Some(format!("`{name}` has {rows} rows and is no published file of `{benchmark}`: published are {}", published.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_file_is_told_with_both_counts() {
        let simpleqa = &ALL[0];
        assert_eq!(difference("simpleqa", "a.csv", simpleqa.digest, 4326), None);
        let told = difference("simpleqa", "a.csv", Some("blake3:00"), 3).unwrap();
        assert!(
            told.starts_with("`a.csv` has 3 rows and is no published file of `simpleqa`: published are 4326 rows in https"),
            "{told}"
        );
        assert!(difference("simpleqa", "a.csv", Some("blake3:00"), 4326).is_some());
        assert_eq!(difference("mmlu_pro", "a.parquet", Some("blake3:00"), 12032), None);
        assert!(difference("mmlu_pro", "a.parquet", Some("blake3:00"), 12002).is_some());
        assert_eq!(difference("jsonl", "a.jsonl", Some("blake3:00"), 3), None);
    }

    #[test]
    fn addresses_are_known_for_all_that_are_published() {
        for benchmark in crate::kinds::benchmark::ALL {
            let custom = ["arithmetic", "csv", "jsonl", "parquet"].contains(&benchmark.name);
            assert_eq!(addresses(benchmark.name).is_empty(), custom, "{}", benchmark.name);
        }
        for published in &ALL {
            assert!(crate::kinds::benchmark::find(published.benchmark).is_some(), "{}", published.benchmark);
            assert!(published.digest.is_none_or(|digest| digest.len() == "blake3:".len() + 64), "{}", published.address);
        }
    }
}
