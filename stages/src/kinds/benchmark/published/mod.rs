//! Published files of the benchmarks. Takes a file; gives a warning if it is none of them.
//!
//! Read this file first (what is known of a published file), then `files` (the path of a manifest) and `fetch` (downloads of published
//! files). A published file is one entry in the list `published` of its benchmark.

pub(crate) mod fetch;
pub(crate) mod files;

use engine::{Context, File};

use fetch::Pinned;

/// A published file of a benchmark.
pub(crate) struct Published {
    /// Number of its rows, if it is a file of rows.
    pub rows: Option<usize>,
    /// The digest of its bytes; `None` if the published file was not there to compute it from, so that rows are compared instead.
    pub digest: Option<&'static str>,
    pub address: &'static str,
}

/// Returns the files whose digests are known. The first is the default of `fetch: true`.
pub(crate) fn pinned(published: &[Published]) -> Vec<Pinned> {
    published.iter().filter_map(|one| Some(Pinned { address: one.address.to_owned(), digest: one.digest?.to_owned() })).collect()
}

/// Warns if a file that is read as a benchmark is none of its published files.
pub(crate) fn compare(ctx: &Context, benchmark: &str, published: &[Published], file: &File, rows: usize) {
    let digest = serde_json::to_value(file).ok();
    if let Some(warning) = difference(benchmark, published, file.name(), digest.as_ref().and_then(|digest| digest.as_str()), rows)
    {
        ctx.warn(warning);
    }
}

fn difference(benchmark: &str, published: &[Published], name: &str, digest: Option<&str>, rows: usize) -> Option<String> {
    let published: Vec<_> = published.iter().filter_map(|one| Some((one, one.rows?))).collect();
    let is_one = published.iter().any(|(published, count)| match published.digest {
        Some(known) => digest == Some(known),
        None => *count == rows,
    });
    if published.is_empty() || is_one {
        return None;
    }
    let published: Vec<_> = published.iter().map(|(published, count)| format!("{count} rows in {}", published.address)).collect();
    Some(format!("`{name}` has {rows} rows and is no published file of `{benchmark}`: published are {}", published.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::benchmark::{ALL, find};

    #[test]
    fn another_file_is_told_with_both_counts() {
        let difference = |name, file, digest, rows| difference(name, find(name).unwrap().published, file, digest, rows);
        let simpleqa = find("simpleqa").unwrap().published[0].digest;
        assert_eq!(difference("simpleqa", "a.csv", simpleqa, 4326), None);
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
        for benchmark in ALL {
            let custom = ["arithmetic", "csv", "jsonl", "parquet"].contains(&benchmark.name);
            assert_eq!(benchmark.published.is_empty(), custom, "{}", benchmark.name);
            for published in benchmark.published {
                assert!(published.digest.is_none_or(|digest| digest.len() == "blake3:".len() + 64), "{}", published.address);
            }
        }
    }
}
