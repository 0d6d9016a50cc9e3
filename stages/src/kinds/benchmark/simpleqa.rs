//! `SimpleQA` (<https://openai.com/index/introducing-simpleqa>). Takes its published CSV (`metadata,problem,answer`), or JSON lines with the
//! same fields; gives questions.
//!
//! The metadata column is a Python literal; in JSON lines it may be an object.

use std::borrow::Cow;

use engine::{Context, StageError};
use serde_json::Value;

use super::{
    draft::Draft,
    loader::{Benchmark, Reads, Settings},
    published::Published,
    tables::{
        literal::python,
        row::{drafts, text},
        table::rows,
    },
};

pub(crate) const BENCHMARK: Benchmark = Benchmark {
    name: "simpleqa",
    summary: "short questions with one answer, from OpenAI",
    example: "{ name: simpleqa, fetch: true }",
    version: 1,
    reads: Reads::File,
    published: &[Published {
        rows: Some(4326),
        digest: Some("blake3:7ce7f4e38e8a582811bc2aba3f41223705d3d043e18c3d774aabc542e27ce8ef"),
        address: "https://openaipublic.blob.core.windows.net/simple-evals/simple_qa_test_set.csv",
    }],
    load,
};

fn load(ctx: &Context, settings: &Settings<'_>) -> Result<Vec<Draft>, StageError> {
    let file = settings.file()?;
    let help = "this reads the published `simple_qa_test_set.csv`; for another file use `name: csv` or `name: jsonl`";
    drafts(file, rows(ctx, file)?, help, draft)
}

fn draft(index: usize, row: &Value) -> Result<Draft, String> {
    let metadata = match row.get("metadata") {
        Some(Value::Object(metadata)) => Cow::Borrowed(metadata),
        _ => match python(text(row, "metadata")?) {
            Some(Value::Object(metadata)) => Cow::Owned(metadata),
            _ => return Err("`metadata` is no Python literal of a dictionary".to_owned()),
        },
    };
    Ok(Draft {
        id: Some(format!("simpleqa-{index}")),
        question: text(row, "problem")?.to_owned(),
        gold: vec![text(row, "answer")?.to_owned()],
        meta: metadata.into_owned(),
        ..Draft::default()
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn metadata_is_an_object_or_a_literal() {
        let row = |metadata: Value| json!({ "metadata": metadata, "problem": "Who?", "answer": "Ann" });
        for metadata in [json!({ "topic": "Art" }), json!("{'topic': 'Art'}")] {
            assert_eq!(Value::from(draft(0, &row(metadata)).unwrap().meta), json!({ "topic": "Art" }));
        }
        assert_eq!(draft(0, &row(json!("{"))).err().unwrap(), "`metadata` is no Python literal of a dictionary");
    }
}
