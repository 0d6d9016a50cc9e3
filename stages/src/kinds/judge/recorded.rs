//! The judge `recorded`: right is what a file says. Takes a question and an answer; gives the verdict that the file records for them.

use std::collections::BTreeMap;

use engine::{Context, File, ParamMistake, StageError};

use super::grader::{self, Graded, Grader, Opening};
use crate::{
    llm::{
        recording::{self, ByName, of_model},
        request::Reply,
    },
    part::settings,
    rows::{Answer, Grade, Question},
};

settings! {
    /// What only this judge takes.
    pub(crate) struct Params {
        /// The file with the verdicts, for `recorded`: JSON lines with `id` and `answers: { NAME: { verdict, … } }`, or a log of
        /// inspect-ai, lm-evaluation-harness, promptfoo or `openai/evals`.
        #[serde(skip_serializing_if = "Option::is_none")]
        file: Option<File> = None,
    }
}

pub(super) struct Judge {
    file: String,
    /// The verdicts by model.
    verdicts: BTreeMap<String, ByName<Grade>>,
}

impl grader::Judge for Judge {
    const NAME: &'static str = "recorded";
    const VERSION: u32 = 2;
    const SUMMARY: &'static str = "an answer is right if a file of recorded verdicts says so";
    const EXAMPLE: &'static str = "{ judge: recorded, file: answers.jsonl }";
    type Params = Params;

    fn mistakes(params: &Params) -> Vec<ParamMistake> {
        let missing = params.file.is_none();
        let mistake = || {
            ParamMistake::new(&["judge"], "judge `recorded` reads verdicts from a file, and none is named", "add `file: PATH`")
        };
        missing.then(mistake).into_iter().collect()
    }

    fn open(ctx: &Context, params: &Params, _: &Opening<'_>) -> Result<Self, StageError> {
        let file = params.file.as_ref().ok_or_else(|| StageError::failed("judge `recorded` needs a file"))?;
        let mut verdicts = BTreeMap::<String, ByName<Grade>>::new();
        for row in recording::read(ctx, file)? {
            let row = row?;
            for (model, answer) in &row.answers {
                if let Some(verdict) = answer.verdict {
                    let what = format!("verdict on `{model}`");
                    verdicts.entry(model.clone()).or_default().insert(file.name(), &row, &what, verdict)?;
                }
            }
        }
        Ok(Self { file: file.name().to_owned(), verdicts })
    }
}

impl Grader for Judge {
    fn grade(&self, question: &Question, answer: &Answer, _: &[Reply]) -> Result<Option<Graded>, StageError> {
        let known = of_model(&self.verdicts, &answer.served).and_then(|verdicts| verdicts.get(question));
        let verdict = known.ok_or_else(|| {
            StageError::failed(format!(
                "`{}` has no verdict on the answer of `{}` to question `{}`",
                self.file, answer.served, question.id
            ))
            .help("take the answers from the same file, or another judge")
        })?;
        Ok(Some(Graded::new(*verdict, "recorded")))
    }
}
