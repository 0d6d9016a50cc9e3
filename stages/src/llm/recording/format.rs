//! Which program wrote a file of recordings. Takes the file; gives its recordings by the reader of that program.

use std::{fmt, io::Read as _};

use engine::StageError;
use serde::{
    Deserializer as _,
    de::{IgnoredAny, MapAccess, Visitor},
};

use super::{
    Recording, Recordings, Source, inspect,
    lines::{malformed_in, numbered},
    lm_eval,
    log::Log,
    openai_evals, promptfoo,
};

const ALL: [Log; 5] = [inspect::JSON, lm_eval::FORMAT, openai_evals::FORMAT, promptfoo::JSON, promptfoo::LINES];

/// Reads a file.
pub(super) fn read(source: Source<'_>) -> Result<Recordings<'_>, StageError> {
    let mut head = Vec::new();
    source.bytes()?.take(4).read_to_end(&mut head)?;
    if head == b"PK\x03\x04" {
        return inspect::archive(source);
    }
    let mut parser = serde_json::Deserializer::from_reader(source.text()?);
    // What is no object is a mistake, which the reader of lines names with its place.
    let fields = parser.deserialize_map(Fields).unwrap_or_default();
    match ALL.iter().find(|format| (format.recognise)(&fields)) {
        Some(format) => (format.read)(source),
        None => own(source),
    }
}

/// Reads JSON lines of this program's own form: ids, and answers by model.
fn own(source: Source<'_>) -> Result<Recordings<'_>, StageError> {
    let name = source.name();
    Ok(Box::new(numbered(name.clone(), source.text()?).map(move |line| {
        let (number, line) = line?;
        let read: Recording = serde_json::from_str(&line).map_err(|error| malformed_in(&name, number, &error))?;
        let place = format!("line {number}");
        if read.id.is_empty() && read.question.is_none() {
            return Err(StageError::failed(format!("`{name}`, {place}: there is neither `id` nor `question`"))
                .help("a line is `{ id: …, answers: { MODEL: { text: … } } }`"));
        }
        // Where there is an id, it alone counts: questions with the same text may have different choices.
        Ok(Recording { question: read.question.filter(|_| read.id.is_empty()), place, ..read })
    })))
}

/// The names of an object's fields.
struct Fields;

impl<'de> Visitor<'de> for Fields {
    type Value = Vec<String>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Vec<String>, A::Error> {
        let mut fields = Vec::new();
        while let Some((field, _)) = map.next_entry::<String, IgnoredAny>()? {
            fields.push(field);
        }
        Ok(fields)
    }
}
