//! Few-shot examples. Takes questions with known answers; gives the turns of a conversation that come before the question.

use std::{borrow::Cow, collections::BTreeMap};

use engine::{Context, Dataset, File, StageError};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{
        Error as _,
        value::{Error, StringDeserializer},
    },
};
use serde_json::{Map, Value};

use crate::{
    llm::{
        prompt::{Template, values},
        recording::{lines, malformed},
    },
    rows::{Message, Question, Split},
};

/// Where examples are from, and how many are shown.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Shots {
    /// A file of rows with `question`, `gold` and, if there are any, `choices`; or a split of the questions: `train`, `validation`, or
    /// `dev`, which the benchmark brings for this. Questions of `dev` are shown, and not asked.
    from: From,
    /// How many, from the start; of the question's own subject, where rows have one.
    n: usize,
}

#[derive(Clone, Debug, PartialEq)]
enum From {
    File(File),
    Split(Split),
    Dev,
}

/// The value of `meta.split` in questions that a benchmark brings as few-shot examples.
pub(crate) const DEV: &str = "dev";

impl From {
    const SPLITS: [(&'static str, Self); 3] =
        [("train", Self::Split(Split::Train)), ("validation", Self::Split(Split::Validation)), (DEV, Self::Dev)];
}

impl<'de> Deserialize<'de> for From {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let written = String::deserialize(deserializer)?;
        match Self::SPLITS.into_iter().find(|(name, _)| *name == written) {
            Some((_, split)) => Ok(split),
            None => File::deserialize(StringDeserializer::<Error>::new(written)).map(Self::File).map_err(D::Error::custom),
        }
    }
}

impl Serialize for From {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::File(file) => file.serialize(serializer),
            split => Self::SPLITS.iter().find(|(_, known)| known == split).map_or("", |(name, _)| name).serialize(serializer),
        }
    }
}

impl JsonSchema for From {
    fn schema_name() -> Cow<'static, str> {
        "ShotsFrom".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "description": "Path of a file, relative to the manifest, or `train`, `validation` or `dev`." })
    }
}

/// One few-shot example.
#[derive(Clone, Deserialize)]
struct Shot {
    /// The question's id, empty for rows of a file that have none; it keeps a question from being shown before itself.
    #[serde(default)]
    id: String,
    question: String,
    gold: Vec<String>,
    #[serde(default)]
    choices: Vec<String>,
    #[serde(default)]
    meta: Map<String, Value>,
}

/// All examples, by subject; those without a subject are under the empty name.
pub(crate) struct Pool {
    shots: BTreeMap<String, Vec<Shot>>,
    wanted: usize,
    /// Whether the examples are the benchmark's own `dev` split, whose questions are not asked.
    dev: bool,
    name: String,
}

impl Pool {
    /// Reads all examples.
    ///
    /// # Errors
    /// A file cannot be read, an example in it has no answer, or there are fewer examples than are to be shown.
    pub(crate) fn open(ctx: &Context, shots: &Shots, questions: &Dataset<Question>) -> Result<Self, StageError> {
        let read = match &shots.from {
            From::File(file) => read_file(ctx, file)?,
            From::Dev => read_questions(questions, is_dev)?,
            From::Split(split) => read_questions(questions, |question| question.split == *split && !is_dev(question))?,
        };
        let name = match &shots.from {
            From::File(file) => format!("`{}`", file.name()),
            From::Dev => "the split `dev`".to_owned(),
            From::Split(_) => "that split".to_owned(),
        };
        let mut pool = Self { shots: BTreeMap::new(), wanted: shots.n, dev: shots.from == From::Dev, name };
        if read.len() < shots.n {
            return Err(pool.too_few(read.len()));
        }
        for shot in read {
            pool.shots.entry(subject(&shot.meta).to_owned()).or_default().push(shot);
        }
        Ok(pool)
    }

    /// Returns whether a question is only shown as an example, and not asked.
    pub(crate) fn keeps(&self, question: &Question) -> bool {
        self.dev && is_dev(question)
    }

    /// Returns the turns before a question, from its own subject if there is one. No question is shown before itself.
    pub(crate) fn turns(&self, template: &Template, question: &Question) -> Result<Vec<Message>, StageError> {
        let own = self.shots.get(subject(&question.meta));
        let all = own.map_or_else(|| self.shots.values().flatten().collect::<Vec<_>>(), |own| own.iter().collect());
        let others = all.into_iter().filter(|shot| shot.id.is_empty() || shot.id != question.id).take(self.wanted);
        let shown: Vec<_> = others.collect();
        if shown.len() < self.wanted {
            return Err(self.too_few(shown.len()));
        }
        let turns = |shot: &Shot| {
            let gold = shot.gold.first().map_or("", String::as_str);
            let answer = if shot.choices.is_empty() { gold.to_owned() } else { format!("Answer: {gold}") };
            [Message::new("user", template.text(&values(&shot.question, &shot.choices))), Message::new("assistant", answer)]
        };
        Ok(shown.into_iter().flat_map(turns).collect())
    }

    fn too_few(&self, found: usize) -> StageError {
        StageError::failed(format!("{} has {found} examples to show, not {}", self.name, self.wanted))
            .help("give more rows, or a smaller `n`")
    }
}

fn is_dev(question: &Question) -> bool {
    question.meta.get("split").and_then(Value::as_str) == Some(DEV)
}

fn subject(meta: &Map<String, Value>) -> &str {
    meta.get("subject").and_then(Value::as_str).unwrap_or_default()
}

fn read_file(ctx: &Context, file: &File) -> Result<Vec<Shot>, StageError> {
    let mut shots = Vec::new();
    for line in lines(ctx, file)? {
        let (number, line) = line?;
        let shot: Shot = serde_json::from_str(&line).map_err(|error| malformed(file, number, &error))?;
        if shot.gold.is_empty() {
            return Err(
                StageError::failed(format!("`{}`, line {number}: the example has no answer", file.name())).help("fill `gold`")
            );
        }
        shots.push(shot);
    }
    Ok(shots)
}

fn read_questions(questions: &Dataset<Question>, picked: impl Fn(&Question) -> bool) -> Result<Vec<Shot>, StageError> {
    let mut shots = Vec::new();
    for question in questions.rows()? {
        let question = question?;
        if picked(&question) && !question.gold.is_empty() {
            let Question { id, question, gold, choices, meta, .. } = question;
            shots.push(Shot { id, question, gold, choices, meta });
        }
    }
    Ok(shots)
}
