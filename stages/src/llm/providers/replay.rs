//! The provider `replay`: recorded answers. Takes JSON lines with `answers: { NAME: { text, … } }`, or a log of another program; gives
//! replies by question.

use engine::{Context, StageError};

use super::{Known, ProviderKind, Replies, Source};
use crate::{
    llm::{
        recording::{self, ByName, of_model},
        request::Reply,
    },
    rows::Question,
    sections::providers::ProviderSetting,
};

pub(super) static KIND: ProviderKind = ProviderKind {
    name: "replay",
    summary: "recorded answers, from a file",
    example: "providers:\n  replay: { kind: replay, file: answers.jsonl }\nstages:\n  answers: { uses: answer, in: { questions: questions }, with: { models: { medium: replay/small } } }\n",
    version: 2,
    check,
    families: &[],
    replies: Replies::Known(open),
};

struct Replay {
    model: String,
    file: String,
    replies: ByName<Reply>,
}

fn check(_: &str, setting: &ProviderSetting) -> Result<(), String> {
    match setting.file {
        Some(_) => Ok(()),
        None => {
            Err("a `replay` provider needs the file of recorded answers: `providers: { replay: { kind: replay, file: PATH } }`"
                .to_owned())
        }
    }
}

fn open(ctx: &Context, model: &str, source: &Source) -> Result<Box<dyn Known>, StageError> {
    let file = source.file.as_ref().ok_or_else(|| StageError::failed("a `replay` provider needs a file"))?;
    let mut replies = ByName::default();
    for row in recording::read(ctx, file)? {
        let row = row?;
        if let Some(recorded) = of_model(&row.answers, model) {
            replies.insert(file.name(), &row, &format!("answer of `{model}`"), recorded.reply(model))?;
        }
    }
    Ok(Box::new(Replay { model: model.to_owned(), file: file.name().to_owned(), replies }))
}

impl Known for Replay {
    fn reply(&self, question: &Question) -> Result<Reply, StageError> {
        self.replies.get(question).cloned().ok_or_else(|| {
            StageError::failed(format!("`{}` has no answer of `{}` to question `{}`", self.file, self.model, question.id))
                .help("take the questions from the same file, or name a model that is in it")
        })
    }
}
