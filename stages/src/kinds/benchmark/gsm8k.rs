//! `GSM8K` (Cobbe et al. 2021, "Training Verifiers to Solve Math Word Problems"). Takes its rows; gives questions.
//!
//! A row has `question`, and `answer`: a worked solution, then `#### ` and the number. The solution goes into `meta`.

use bigdecimal::BigDecimal;
use engine::{Context, StageError};
use serde_json::{Map, Value};

use super::{
    draft::Draft,
    loader::{Benchmark, Reads, Settings},
    published::Published,
    tables::{
        row::{drafts, text},
        table::rows,
    },
};

pub(crate) const BENCHMARK: Benchmark = Benchmark {
    name: "gsm8k",
    summary: "word problems of grade school (Cobbe et al. 2021)",
    example: "{ name: gsm8k, fetch: test.jsonl }",
    version: 1,
    reads: Reads::File,
    published: &[
        Published {
            rows: Some(1319),
            digest: Some("blake3:0b697290c2ea42cfaa092e4694cfa5596b1a44a0b2e9fcad81fcb62ceedefc7f"),
            address: "https://raw.githubusercontent.com/openai/grade-school-math/3101c7d5072418e28b9008a6636bde82a006892c/grade_school_math/data/test.jsonl",
        },
        Published {
            rows: Some(1319),
            digest: Some("blake3:02928ef35bf9bf2f6371e9408c750ec593e6589c36362f9303916f653f1094cb"),
            address: "https://raw.githubusercontent.com/openai/grade-school-math/3101c7d5072418e28b9008a6636bde82a006892c/grade_school_math/data/test_socratic.jsonl",
        },
        Published {
            rows: Some(7473),
            digest: Some("blake3:da96483b5604301bab740fe4b6ffafdc0170777fc4f1ba79abfc1be2434693ab"),
            address: "https://raw.githubusercontent.com/openai/grade-school-math/3101c7d5072418e28b9008a6636bde82a006892c/grade_school_math/data/train.jsonl",
        },
    ],
    load,
};

fn load(ctx: &Context, settings: &Settings<'_>) -> Result<Vec<Draft>, StageError> {
    let file = settings.file()?;
    drafts(
        file,
        rows(ctx, file)?,
        "this reads the published `test.jsonl` or `train.jsonl`; for another file use `name: jsonl`",
        draft,
    )
}

fn draft(index: usize, row: &Value) -> Result<Draft, String> {
    let (solution, number) =
        text(row, "answer")?.rsplit_once("####").ok_or("`answer` has no `####` with the number behind it")?;
    let gold = number.trim().replace(',', "");
    if gold.parse::<BigDecimal>().is_err() {
        return Err(format!("`answer` ends in `{}`, which is no number", number.trim()));
    }
    Ok(Draft {
        id: Some(format!("gsm8k-{index}")),
        question: text(row, "question")?.to_owned(),
        gold: vec![gold],
        meta: Map::from_iter([("solution".to_owned(), Value::from(solution.trim_end()))]),
        ..Draft::default()
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_number_stands_behind_the_solution() {
        let read = |answer: &str| draft(0, &json!({ "question": "How many?", "answer": answer }));
        let bees = read("60 * 20 = <<60*20=1200>>1200 bees\n#### 1,200").unwrap();
        assert_eq!(
            (bees.gold.as_slice(), &bees.meta["solution"]),
            (&["1200".to_owned()][..], &json!("60 * 20 = <<60*20=1200>>1200 bees"))
        );
        assert_eq!(read("#### -3.5").unwrap().gold, ["-3.5"]);
        assert_eq!(read("so it is 4").err().unwrap(), "`answer` has no `####` with the number behind it");
        assert_eq!(read("so\n#### four").err().unwrap(), "`answer` ends in `four`, which is no number");
    }
}
