//! `TruthfulQA` (Lin et al. 2021, "`TruthfulQA`: Measuring How Models Mimic Human Falsehoods"). Takes its published CSV; gives questions with
//! answers known to be right and answers known to be wrong. Takes its published `mc_task.json`; gives questions with choices.

use engine::{Context, StageError, fingerprint};
use serde_json::Value;

use super::{
    choices::letter,
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
    published: &[
        Published {
            rows: Some(790),
            digest: Some("blake3:786fb6a04abb5c3ed13b9b99aa9a5a645d8d48a54ec44661ed67e15a177a5817"),
            address: "https://raw.githubusercontent.com/sylinrl/TruthfulQA/main/TruthfulQA.csv",
        },
        Published {
            rows: Some(790),
            digest: Some("blake3:51d27ce0e64593e80d72c638803f2cfe68ae769a444c6203899a6a71c2dcdfaa"),
            address: "https://raw.githubusercontent.com/sylinrl/TruthfulQA/main/data/mc_task.json",
        },
    ],
    load,
};

fn load(ctx: &Context, settings: &Settings<'_>) -> Result<Vec<Draft>, StageError> {
    let file = settings.file()?;
    drafts(
        file,
        rows(ctx, file)?,
        "this reads the published `TruthfulQA.csv` and `mc_task.json`; for another file use `name: csv`",
        draft,
    )
}

fn draft(index: usize, row: &Value) -> Result<Draft, String> {
    if row.get(TARGETS).is_some() {
        return choices(index, row);
    }
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

/// The column with the choices of which one is right.
const TARGETS: &str = "mc1_targets";

/// Reads a question with choices. The right one is the first of the file, so they are put in an order that depends on their texts alone.
fn choices(index: usize, row: &Value) -> Result<Draft, String> {
    let question = text(row, "question")?.trim();
    let mut targets = targets(&row[TARGETS]).ok_or_else(|| format!("`{TARGETS}` is no list of answers with 0 or 1 for each"))?;
    targets.sort_by_cached_key(|(answer, _)| fingerprint(&format!("{question}\n{answer}")));
    let mut right = (0..targets.len()).filter(|place| targets[*place].1);
    let (Some(place), None) = (right.next(), right.next()) else {
        return Err(format!("`{TARGETS}` has not one right answer"));
    };
    let gold = letter(place).ok_or_else(|| format!("`{TARGETS}` has {} answers, and there are 26 letters", targets.len()))?;
    Ok(Draft {
        id: Some(format!("truthfulqa-{index}")),
        question: question.to_owned(),
        gold: vec![gold.to_owned()],
        choices: targets.into_iter().map(|(answer, _)| answer).collect(),
        ..Draft::default()
    })
}

/// Returns the answers with whether they are right: `{ ANSWER: 0 | 1 }`, or `{ choices: [ANSWER], labels: [0 | 1] }`.
fn targets(value: &Value) -> Option<Vec<(String, bool)>> {
    let right = |label: &Value| match label.as_i64()? {
        0 => Some(false),
        1 => Some(true),
        _ => None,
    };
    if let (Some(Value::Array(answers)), Some(Value::Array(labels))) = (value.get("choices"), value.get("labels")) {
        let pairs = answers.iter().zip(labels).map(|(answer, label)| Some((answer.as_str()?.to_owned(), right(label)?)));
        return (answers.len() == labels.len()).then(|| pairs.collect())?;
    }
    value.as_object()?.iter().map(|(answer, label)| Some((answer.clone(), right(label)?))).collect()
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

    #[test]
    fn choices_are_not_in_the_order_of_the_file() {
        let letters: std::collections::BTreeSet<_> = (0..40)
            .map(|number| {
                let row = json!({ "question": format!("Is {number} odd?"), "mc1_targets": { "Maybe": 1, "No": 0, "Yes": 0, "Ask": 0 } });
                let read = draft(number, &row).unwrap();
                let labelled = json!({ "question": format!("Is {number} odd?"),
                    "mc1_targets": { "choices": ["Maybe", "No", "Yes", "Ask"], "labels": [1, 0, 0, 0] } });
                let other = draft(number, &labelled).unwrap();
                assert_eq!((&read.gold, &read.choices), (&other.gold, &other.choices));
                let place = read.choices.iter().position(|choice| choice == "Maybe").unwrap();
                assert_eq!(read.gold, [letter(place).unwrap()]);
                read.gold[0].clone()
            })
            .collect();
        assert_eq!(letters.len(), 4);
        let told = draft(0, &json!({ "question": "?", "mc1_targets": { "a": 1, "b": 1 } })).err().unwrap();
        assert_eq!(told, "`mc1_targets` has not one right answer");
    }
}
