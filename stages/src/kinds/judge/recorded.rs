//! Right is what a file says: recorded verdicts, by question id and by the model that answered.

use std::collections::BTreeMap;

use engine::{Context, StageError};

use super::grader::{Judge, JudgeKind, Settings};
use crate::{
    llm::recording,
    rows::{Answer, Grade, Question},
};

pub(crate) const KIND: JudgeKind = JudgeKind { name: "recorded", version: 1, reads_file: true, open };

struct Recorded {
    file: String,
    verdicts: BTreeMap<(String, String), Grade>,
}

fn open(ctx: &Context, settings: &Settings<'_>) -> Result<Box<dyn Judge>, StageError> {
    let file = settings.file.ok_or_else(|| StageError::failed("judge `recorded` needs a file"))?;
    let mut verdicts = BTreeMap::new();
    for row in recording::read(ctx, file)? {
        let row = row?;
        for (model, answer) in row.answers {
            if let Some(verdict) = answer.verdict {
                verdicts.insert((row.id.clone(), model), verdict);
            }
        }
    }
    Ok(Box::new(Recorded { file: file.name().to_owned(), verdicts }))
}

impl Judge for Recorded {
    fn grade(&self, question: &Question, answer: &Answer) -> Result<(Grade, String), StageError> {
        let verdict = self.verdicts.get(&(question.id.clone(), answer.served.clone())).ok_or_else(|| {
            StageError::failed(format!(
                "`{}` has no verdict on the answer of `{}` to question `{}`",
                self.file, answer.served, question.id
            ))
            .help("take the answers from the same file, or another judge")
        })?;
        Ok((*verdict, "recorded".to_owned()))
    }
}
