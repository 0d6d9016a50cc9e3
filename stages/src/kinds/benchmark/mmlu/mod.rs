//! `MMLU` (Hendrycks et al. 2021, "Measuring Massive Multitask Language Understanding"). Takes a folder of `SUBJECT_test.csv`, or one such
//! file; gives questions with four choices.
//!
//! The files have no header. A row has the question, four choices, and the letter of the right one; some copies have the row's number before
//! them. Other copies name their columns. Read this file first, then `named` (rows with names) and `subjects` (the subjects, with the names
//! of their files).

mod named;
mod subjects;

use engine::{Context, File, StageError};
use serde_json::{Map, Value};

use super::{
    choices,
    draft::Draft,
    loader::{Benchmark, Reads, Settings},
    published::Published,
    tables::{
        csv::{first_line, malformed, place},
        gold::Index,
        row::{Row, Rows},
        table::{Format, format, rows},
    },
};
use crate::{kinds::answer::shots, unpacked};
use subjects::{DEV, SUBJECTS};

pub(crate) const BENCHMARK: Benchmark = Benchmark {
    name: "mmlu",
    summary: "four choices in 57 subjects (Hendrycks et al. 2021), from a folder of its files",
    example: "{ name: mmlu, path: anatomy_test.csv }",
    version: 1,
    reads: Reads::Folder(subjects::file_names),
    // The archive is not read, so it has no digest. Its files are recognised by their numbers of rows.
    published: &[Published { rows: None, digest: None, address: "https://people.eecs.berkeley.edu/~hendrycks/data.tar" }],
    load,
};

fn load(ctx: &Context, settings: &Settings<'_>) -> Result<Vec<Draft>, StageError> {
    let mut drafts = Vec::new();
    let mut differing = Vec::new();
    for named in settings.files()?.all() {
        let stem = named.name.as_deref().and_then(|name| name.strip_suffix(".csv"));
        let (subject, split) = stem.and_then(|stem| stem.rsplit_once('_')).unzip();
        let before = drafts.len();
        read(ctx, &named.file, stem, [subject, split], settings.columns.gold_index, &mut drafts)?;
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
    [subject, split]: [Option<&str>; 2],
    index: Option<Index>,
    drafts: &mut Vec<Draft>,
) -> Result<(), StageError> {
    let dev = (split == Some(shots::DEV)).then(|| ("split".to_owned(), Value::from(shots::DEV)));
    let has_names = !matches!(format(ctx, file)?, Format::Csv) || has_header(ctx, file)?;
    let rows = if has_names { rows(ctx, file)? } else { unnamed(ctx, file)? };
    for (number, row) in rows.enumerate() {
        let Row { place, value } = row?;
        let read = if has_names { named::draft(&value, index) } else { draft(&value) };
        let read = read.map_err(|message| {
            StageError::failed(format!("`{}`, {place}: {message}", file.name()))
                .help("a row is the question, four choices and a letter, without a header; for another file use `name: csv`")
        })?;
        let own = subject.map(|subject| ("subject".to_owned(), Value::from(subject)));
        drafts.push(Draft {
            id: Some(stem.map_or_else(|| format!("mmlu-{number}"), |stem| format!("mmlu-{stem}-{number}"))),
            meta: read.meta.into_iter().chain(own).chain(dev.clone()).collect::<Map<_, _>>(),
            ..read
        });
    }
    Ok(())
}

/// Whether the first line of a CSV file names columns.
fn has_header(ctx: &Context, file: &File) -> Result<bool, StageError> {
    let (line, _) = first_line(ctx, file)?;
    let line = String::from_utf8_lossy(&line).to_lowercase();
    let has = |name: &str| line.split([',', '\t', ';']).any(|cell| cell.trim().trim_matches('"') == name);
    Ok(has("question") && (has("answer") || has("target")))
}

/// Returns the rows of a file without a header, each a list of its cells.
fn unnamed<'a>(ctx: &Context, file: &'a File) -> Result<Rows<'a>, StageError> {
    let reader = ::csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(unpacked::open(ctx, file)?);
    Ok(Box::new(reader.into_records().map(move |record| {
        let record = record.map_err(|error| malformed(file, &error))?;
        Ok(Row { place: place(&record), value: record.iter().collect() })
    })))
}

fn draft(row: &Value) -> Result<Draft, String> {
    let cells: Vec<_> = row.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let cells = match cells.as_slice() {
        [number, rest @ ..] if rest.len() == 6 && number.parse::<u64>().is_ok() => rest,
        all => all,
    };
    let [question, texts @ .., letter] = cells else { return Err("the row is empty".to_owned()) };
    if texts.len() != 4 {
        return Err(format!("there are {} columns, and 6 are needed", cells.len()));
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
        let draft = |row: &[&str]| draft(&row.iter().copied().collect());
        let read = draft(&["17", "Which is even?", "1", "2", "3", "5", "B"]).unwrap();
        assert_eq!(read.question, "Which is even?");
        let read = draft(&["Which is even?", "1", "2", "3", "5", "B"]).unwrap();
        assert_eq!((read.question.as_str(), read.gold), ("Which is even?", vec!["B".to_owned()]));
        assert_eq!(read.choices, ["1", "2", "3", "5"]);
        let told = |row: &[&str]| draft(row).err().unwrap();
        assert_eq!(told(&["Which?", "1", "2", "B"]), "there are 4 columns, and 6 are needed");
        assert_eq!(told(&["Which?"]), "the row is empty");
        assert_eq!(told(&[" ", "1", "2", "3", "4", "B"]), "column 1: the question is empty");
        assert_eq!(told(&["Which?", "1", "2", "3", "4", "E"]), "column 6: `E` is none of A, B, C and D");
    }
}
