//! `TruthfulQA` (Lin et al. 2021, "`TruthfulQA`: Measuring How Models Mimic Human Falsehoods"). Takes its published CSV; gives questions with
//! answers known to be right and answers known to be wrong.

use engine::{Context, StageError};
use serde_json::Value;

use super::{
    draft::Draft,
    loader::{Benchmark, Reads, Settings},
    published::Published,
    tables::{
        row::{drafts, meta, text},
        table::rows,
    },
};

pub(crate) const BENCHMARK: Benchmark = Benchmark {
    name: "truthfulqa",
    summary: "questions that tempt to repeat falsehoods (Lin et al. 2021)",
    example: "{ name: truthfulqa, fetch: true }",
    version: 1,
    reads: Reads::File,
    published: &[Published {
        rows: Some(790),
        digest: Some("blake3:786fb6a04abb5c3ed13b9b99aa9a5a645d8d48a54ec44661ed67e15a177a5817"),
        address: "https://raw.githubusercontent.com/sylinrl/TruthfulQA/main/TruthfulQA.csv",
    }],
    load,
};

fn load(ctx: &Context, settings: &Settings<'_>) -> Result<Vec<Draft>, StageError> {
    let file = settings.file()?;
    drafts(file, rows(ctx, file)?, "this reads the published `TruthfulQA.csv`; for another file use `name: csv`", draft)
}

fn draft(index: usize, row: &Value) -> Result<Draft, String> {
    // Older editions of the file name no best incorrect answer.
    let worst = row.get("Best Incorrect Answer").and_then(Value::as_str).unwrap_or_default();
    Ok(Draft {
        id: Some(format!("truthfulqa-{index}")),
        question: text(row, "Question")?.trim().to_owned(),
        gold: answers(text(row, "Best Answer")?, text(row, "Correct Answers")?),
        wrong: answers(worst, text(row, "Incorrect Answers")?),
        meta: meta(row, &["Category", "Type", "Source"]),
        ..Draft::default()
    })
}

/// Returns the best answer, then the other answers of a list that is joined by `;`.
fn answers(best: &str, list: &str) -> Vec<String> {
    let mut answers: Vec<String> = Vec::new();
    for answer in std::iter::once(best).chain(list.split(';')).map(str::trim) {
        if !answer.is_empty() && !answers.iter().any(|known| known == answer) {
            answers.push(answer.to_owned());
        }
    }
    answers
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn lists_are_taken_apart_and_the_best_comes_first() {
        let mut row = json!({
            "Type": "Adversarial", "Category": "Cats", "Question": " Do cats fly? ", "Best Answer": "No",
            "Best Incorrect Answer": "At night", "Correct Answers": "They cannot; No; ", "Incorrect Answers": "Yes;At night", "Source": null,
        });
        let read = draft(1, &row).unwrap();
        assert_eq!((read.question.as_str(), read.gold), ("Do cats fly?", vec!["No".to_owned(), "They cannot".into()]));
        assert_eq!(read.wrong, ["At night", "Yes"]);
        assert_eq!(Value::from(read.meta), json!({ "category": "Cats", "type": "Adversarial" }));
        row.as_object_mut().unwrap().remove("Best Incorrect Answer");
        assert_eq!(draft(1, &row).unwrap().wrong, ["Yes", "At night"]);
        row["Correct Answers"] = Value::Null;
        assert_eq!(draft(1, &row).err().unwrap(), "`Correct Answers` is empty");
    }
}
