//! `MMLU` (Hendrycks et al. 2021, "Measuring Massive Multitask Language Understanding") → questions with four choices. A folder
//! of `SUBJECT_test.csv`, or one such file: no header; the question, four choices, and the letter of the right one.

use engine::{Context, File, StageError};
use serde_json::{Map, Value};

use super::{
    choices,
    loader::{Benchmark, Draft, Reads, Settings},
    tables::csv::{malformed, place},
};
use crate::kinds::answer::shots;

pub(crate) const BENCHMARK: Benchmark = Benchmark { name: "mmlu", version: 1, reads: Reads::Folder, load };

/// The subjects, with how many questions each has for testing. For few-shot prompts (`dev`) each has five.
const SUBJECTS: [(&str, usize); 57] = [
    ("abstract_algebra", 100),
    ("anatomy", 135),
    ("astronomy", 152),
    ("business_ethics", 100),
    ("clinical_knowledge", 265),
    ("college_biology", 144),
    ("college_chemistry", 100),
    ("college_computer_science", 100),
    ("college_mathematics", 100),
    ("college_medicine", 173),
    ("college_physics", 102),
    ("computer_security", 100),
    ("conceptual_physics", 235),
    ("econometrics", 114),
    ("electrical_engineering", 145),
    ("elementary_mathematics", 378),
    ("formal_logic", 126),
    ("global_facts", 100),
    ("high_school_biology", 310),
    ("high_school_chemistry", 203),
    ("high_school_computer_science", 100),
    ("high_school_european_history", 165),
    ("high_school_geography", 198),
    ("high_school_government_and_politics", 193),
    ("high_school_macroeconomics", 390),
    ("high_school_mathematics", 270),
    ("high_school_microeconomics", 238),
    ("high_school_physics", 151),
    ("high_school_psychology", 545),
    ("high_school_statistics", 216),
    ("high_school_us_history", 204),
    ("high_school_world_history", 237),
    ("human_aging", 223),
    ("human_sexuality", 131),
    ("international_law", 121),
    ("jurisprudence", 108),
    ("logical_fallacies", 163),
    ("machine_learning", 112),
    ("management", 103),
    ("marketing", 234),
    ("medical_genetics", 100),
    ("miscellaneous", 783),
    ("moral_disputes", 346),
    ("moral_scenarios", 895),
    ("nutrition", 306),
    ("philosophy", 311),
    ("prehistory", 324),
    ("professional_accounting", 282),
    ("professional_law", 1534),
    ("professional_medicine", 272),
    ("professional_psychology", 612),
    ("public_relations", 110),
    ("security_studies", 245),
    ("sociology", 201),
    ("us_foreign_policy", 100),
    ("virology", 166),
    ("world_religions", 171),
];
const DEV: usize = 5;

/// The splits as they are published: each is a folder.
const SPLITS: [&str; 3] = ["test", "dev", "val"];

/// The names of the published files.
pub(crate) fn file_names() -> impl Iterator<Item = String> {
    SPLITS.into_iter().flat_map(|split| SUBJECTS.iter().map(move |(subject, _)| format!("{subject}_{split}.csv")))
}

fn load(ctx: &Context, settings: &Settings<'_>) -> Result<Vec<Draft>, StageError> {
    let mut drafts = Vec::new();
    let mut differing = Vec::new();
    for named in settings.files()?.all() {
        let stem = named.name.as_deref().and_then(|name| name.strip_suffix(".csv"));
        let (subject, split) = stem.and_then(|stem| stem.rsplit_once('_')).unzip();
        let before = drafts.len();
        read(ctx, &named.file, stem, subject, split, &mut drafts)?;
        let count = drafts.len() - before;
        let known = SUBJECTS.iter().find(|(known, _)| subject == Some(*known));
        let published = known.and_then(|(_, test)| match split {
            Some("test") => Some(*test),
            Some("dev") => Some(DEV),
            _ => None,
        });
        if published.is_some_and(|published| published != count) {
            differing.push(format!("`{}` has {count} rows, published are {}", named.file.name(), published.unwrap_or_default()));
        }
    }
    let files = settings.files()?.all().len();
    if files > 1 && files % SUBJECTS.len() != 0 {
        differing.push(format!("the folder has {files} of the {} published files", SUBJECTS.len()));
    }
    if !differing.is_empty() {
        ctx.warn(format!("this is not `mmlu` as it is published: {}", differing.join("; ")));
    }
    Ok(drafts)
}

fn read(
    ctx: &Context,
    file: &File,
    stem: Option<&str>,
    subject: Option<&str>,
    split: Option<&str>,
    drafts: &mut Vec<Draft>,
) -> Result<(), StageError> {
    let dev = (split == Some(shots::DEV)).then(|| ("split".to_owned(), Value::from(shots::DEV)));
    let reader = ::csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(file.open(ctx)?);
    for (index, record) in reader.into_records().enumerate() {
        let record = record.map_err(|error| malformed(file, &error))?;
        let read = draft(&record.iter().collect::<Vec<_>>()).map_err(|message| {
            StageError::failed(format!("`{}`, {}: {message}", file.name(), place(&record)))
                .help("a row is the question, four choices and a letter, without a header; for another file use `name: csv`")
        })?;
        drafts.push(Draft {
            id: Some(stem.map_or_else(|| format!("mmlu-{index}"), |stem| format!("mmlu-{stem}-{index}"))),
            meta: subject
                .map(|subject| ("subject".to_owned(), Value::from(subject)))
                .into_iter()
                .chain(dev.clone())
                .collect::<Map<_, _>>(),
            ..read
        });
    }
    Ok(())
}

fn draft(row: &[&str]) -> Result<Draft, String> {
    let [question, texts @ .., letter] = row else { return Err("the row is empty".to_owned()) };
    if texts.len() != 4 {
        return Err(format!("there are {} columns, and 6 are needed", row.len()));
    }
    if question.trim().is_empty() {
        return Err("column 1: the question is empty".to_owned());
    }
    if !(0..texts.len()).any(|place| choices::letter(place) == Some(letter)) {
        return Err(format!("column 6: `{letter}` is none of A, B, C and D"));
    }
    Ok(Draft {
        question: (*question).to_owned(),
        gold: vec![(*letter).to_owned()],
        choices: texts.iter().map(|text| (*text).to_owned()).collect(),
        ..Draft::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_six_columns() {
        let read = draft(&["Which is even?", "1", "2", "3", "5", "B"]).unwrap();
        assert_eq!((read.question.as_str(), read.gold), ("Which is even?", vec!["B".to_owned()]));
        assert_eq!(read.choices, ["1", "2", "3", "5"]);
        let told = |row: &[&str]| draft(row).err().unwrap();
        assert_eq!(told(&["Which?", "1", "2", "B"]), "there are 4 columns, and 6 are needed");
        assert_eq!(told(&["Which?"]), "the row is empty");
        assert_eq!(told(&[" ", "1", "2", "3", "4", "B"]), "column 1: the question is empty");
        assert_eq!(told(&["Which?", "1", "2", "3", "4", "E"]), "column 6: `E` is none of A, B, C and D");
    }

    #[test]
    fn the_subjects_are_all_there() {
        assert_eq!(SUBJECTS.iter().map(|(_, count)| count).sum::<usize>(), 14042);
        assert_eq!(file_names().count(), 3 * 57);
    }
}
