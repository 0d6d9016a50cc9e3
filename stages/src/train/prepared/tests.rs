//! Tests of prepared rows against those of TRL 1.16, if the fixtures are there.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use serde::{Serialize, de::DeserializeOwned};

use super::*;
use crate::{
    rows::SftExample,
    tokenizer::Pieces,
    train::{
        dpo::{Dpo, DpoRow},
        method::Method,
        settings::{Settings, StageFile},
        sft::{IGNORED, Packing, Sft, SftRow},
    },
};

/// Returns the fixtures' folder, or prints that a test is skipped.
#[expect(clippy::print_stdout, reason = "a test says what it skips")]
fn fixtures() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/parity/fixtures");
    if !folder.is_dir() {
        println!("skipped: `{}` is not there", folder.display());
        return None;
    }
    Some(folder)
}

fn written<R: Serialize>(rows: &[R]) -> Vec<serde_json::Value> {
    rows.iter().map(|row| serde_json::to_value(row).unwrap()).collect()
}

fn read<R: DeserializeOwned>(path: &Path) -> Vec<R> {
    let text = std::fs::read_to_string(path).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Prepares a stage's rows, and returns how they differ from the fixture's.
fn difference<M: Method>(stage: &Path) -> Result<usize, String> {
    let ((), stage) = StageFile::open(stage, &[(M::NAME, ())]).map_err(|error| error.to_string())?;
    let (settings, files): (Settings<M>, _) = stage.read().map_err(|error| error.to_string())?;
    let tokenizer = tokenizer(&files).map_err(|error| error.to_string())?;
    let columns = columns::read(&files.train_data, files.train_rows).map_err(|error| error.to_string())?;
    let rows = settings.method.prepare(&tokenizer, &columns, settings.training.max_length).map_err(|error| error.to_string())?;
    let prepared = files.prepared.as_ref().unwrap();
    let mut wanted: Vec<serde_json::Value> = read(prepared);
    for row in &mut wanted {
        // The reference's log-probabilities are computed by the training, not in preparing rows.
        let row = row.as_object_mut().unwrap();
        row.remove("ref_chosen_logps");
        row.remove("ref_rejected_logps");
    }
    let got = written(&rows.rows);
    if got.len() != wanted.len() {
        return Err(format!("{} rows, and TRL has {}", got.len(), wanted.len()));
    }
    match got.iter().zip(&wanted).position(|(got, wanted)| got != wanted) {
        Some(row) => Err(format!("row {row} is not TRL's")),
        None => Ok(got.len()),
    }
}

#[test]
fn rows_are_those_of_trl() {
    let Some(fixtures) = fixtures() else { return };
    let (mut count, mut wrong) = (0, Vec::new());
    let methods: [(&str, fn(&Path) -> Result<usize, String>); 2] =
        [(Sft::NAME, difference::<Sft>), (Dpo::NAME, difference::<Dpo>)];
    for (method, difference) in methods {
        let folders = std::fs::read_dir(fixtures.join(method)).unwrap().map(|entry| entry.unwrap().path());
        for folder in folders.collect::<BTreeSet<_>>() {
            match difference(&folder.join("stage.json")) {
                Ok(rows) => count += rows,
                Err(error) => wrong.push(format!("{}: {error}", folder.display())),
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(count > 1000, "only {count} rows");
}

fn scratch() -> Tokenizer {
    Tokenizer::train(["what is 3 plus 4? Policy: A"; 40].into_iter().map(str::to_owned), 300, Pieces::Elements).unwrap()
}

fn columns(rows: &[&str]) -> Vec<Columns> {
    rows.iter().map(|row| serde_json::from_str(row).unwrap()).collect()
}

fn prepared(rows: &[&str], settings: &Sft, max_length: Option<usize>) -> Result<Prepared<SftRow>, PrepareError> {
    settings.prepare(&scratch(), &columns(rows), max_length)
}

const PAIR: &str = r#"{"prompt": [{"role": "user", "content": "what"}], "completion": [{"role": "assistant", "content": "3"}]}"#;

#[test]
fn only_the_completion_is_learned_unless_all_is_asked_for() {
    let tokenizer = scratch();
    let learned = |settings: &Sft| {
        let prepared = prepared(&[PAIR], settings, None).unwrap();
        let row = &prepared.rows[0];
        let learned: Vec<u32> = row.labels.iter().filter(|&&label| label != IGNORED).map(|&label| label as u32).collect();
        assert!(row.input_ids.ends_with(&learned));
        (learned.len(), row.input_ids.len(), learned.last().copied())
    };
    let (some, all, last) = learned(&Sft::default());
    assert!(some < all && last == tokenizer.end(), "the end of the turn is learned");
    let (every, all, _) = learned(&Sft { completion_only_loss: Some(false), ..Sft::default() });
    assert_eq!(every, all);
}

#[test]
fn rows_that_are_cut_and_rows_that_nothing_is_left_of_are_counted() {
    let long = PAIR.replace("what", "what is 3 plus 4? what is 3 plus 4?");
    let whole = prepared(&[PAIR], &Sft::default(), None).unwrap().rows[0].input_ids.len();
    let some = prepared(&[PAIR, &long], &Sft::default(), Some(whole)).unwrap();
    assert_eq!((some.rows.len(), some.cut, some.dropped), (1, 1, 1));
    let none = prepared(&[PAIR, &long], &Sft::default(), Some(1)).unwrap();
    assert_eq!((none.rows.len(), none.cut, none.dropped), (0, 2, 2));
}

#[test]
fn rows_of_another_shape_are_told_by_their_number() {
    let error = |row: &str, settings: &Sft| prepared(&[PAIR, row], settings, None).unwrap_err().to_string();
    let all = Sft::default();
    assert!(error(r#"{"question": "x"}"#, &all).starts_with("row 1: there are neither `messages`"));
    assert!(error(r#"{"prompt": "x", "completion": [{"role": "assistant"}]}"#, &all).contains("not of one kind"));
    assert!(error(r#"{"messages": [{"content": "x"}]}"#, &all).contains("`messages` is neither"));
    assert!(error(r#"{"messages": [{"role": "tool", "content": "x"}]}"#, &all).contains("refuses role `tool` at message 1"));
    let assistant = Sft { assistant_only_loss: true, ..Sft::default() };
    let error = prepared(&[PAIR], &assistant, None).unwrap_err().to_string();
    assert!(error.contains("no `{% generation %}` block"), "{error}");
    let packed = Sft { packing: Some(Packing::Bfd), ..Sft::default() };
    assert!(prepared(&[PAIR], &packed, None).unwrap_err().to_string().contains("`max_length`"));
}

#[test]
fn answers_without_a_prompt_have_what_they_begin_with_alike_for_one() {
    let tokenizer = scratch();
    let dpo = |row: &str| -> Result<DpoRow, PrepareError> {
        Dpo::default().prepare(&tokenizer, &columns(&[row]), None).map(|mut prepared| prepared.rows.remove(0))
    };
    let turns =
        |answer: &str| format!(r#"[{{"role": "user", "content": "what"}}, {{"role": "assistant", "content": "{answer}"}}]"#);
    let implicit = dpo(&format!(r#"{{"chosen": {}, "rejected": {}}}"#, turns("3"), turns("4"))).unwrap();
    let turn = |answer: &str| format!(r#"[{{"role": "assistant", "content": "{answer}"}}]"#);
    let question = r#"[{"role": "user", "content": "what"}]"#;
    let explicit = dpo(&format!(r#"{{"prompt": {question}, "chosen": {}, "rejected": {}}}"#, turn("3"), turn("4"))).unwrap();
    assert_eq!(implicit, explicit);
    let text = dpo(r#"{"chosen": "what is 3", "rejected": "what is 4"}"#).unwrap();
    assert_eq!(tokenizer.decode(&text.chosen_ids).unwrap(), " 3", "the space belongs to the answer");
    assert_eq!(text.chosen_ids.last().copied(), tokenizer.end());
    assert!(dpo(r#"{"chosen": "x"}"#).unwrap_err().to_string().contains("`rejected` is missing"));
    assert!(dpo(r#"{"chosen": "", "rejected": ""}"#).unwrap_err().to_string().contains("is empty"));
}

#[test]
fn pairs_whose_prompt_fills_the_row_are_dropped() {
    let pair = r#"{"prompt": "what is", "chosen": " 3", "rejected": " 4"}"#;
    let dpo = |most| Dpo::default().prepare(&scratch(), &columns(&[pair]), Some(most)).unwrap();
    let row = dpo(100).rows.remove(0);
    let prompt = row.prompt_ids.len();
    assert_eq!((dpo(prompt).rows.len(), dpo(prompt).dropped), (0, 1));
    assert_eq!((dpo(prompt + 1).rows.len(), dpo(prompt + 1).cut), (1, 1));
    assert_eq!(row.within(&row.chosen_ids, Some(prompt + 1)), &row.chosen_ids[..1]);
    assert_eq!(row.within(&row.chosen_ids, None), row.chosen_ids);
}

#[test]
fn the_pipelines_own_examples_are_rows_too() {
    let tokenizer = scratch();
    let turn = |role: &str, content: &str| format!(r#"[{{"role": "{role}", "content": "{content}"}}]"#);
    let (question, answer) = (turn("user", "what is 3"), turn("assistant", "Policy: A"));
    let example: SftExample =
        serde_json::from_str(&format!(r#"{{"id": "1", "prompt": {question}, "completion": {answer}}}"#)).unwrap();
    let rows = Sft::default().prepare(&tokenizer, &[columns::of(&example)], None).unwrap().rows;
    let (prompt, [completion]) = tokenizer.render_answers(&example.prompt, [&example.completion]).unwrap();
    assert_eq!(rows[0].input_ids, [prompt.clone(), completion.clone()].concat());
    let learned = rows[0].labels.iter().filter(|&&label| label != IGNORED);
    assert!(learned.copied().eq(completion.iter().map(|&id| i64::from(id))));
    assert!(rows[0].labels.starts_with(&vec![IGNORED; prompt.len()]));
}
