//! The provider `calculator`, with the two calculators as its models. Takes a question; gives a reply without a call.

use engine::StageError;

use super::{VERSION, answer};
use crate::{
    llm::{
        providers::{Known, ProviderKind, Replies},
        request::Reply,
    },
    rows::{Outcome, Question, Usage},
};

/// The kind `calculator`.
pub(crate) static KIND: ProviderKind = ProviderKind {
    name: "calculator",
    summary: "two calculators, `pocket` and `scientific`, which need no network",
    example: "stages:\n  answers: { uses: answer, in: { questions: questions }, with: { models: { medium: calculator/pocket } } }\n",
    version: VERSION,
    check: |model, _| match answer(model, "") {
        Some(_) => Ok(()),
        None => Err(format!("there is no calculator `{model}`; there are `pocket` and `scientific`")),
    },
    families: &[],
    replies: Replies::Known(|_, model, _| Ok(Box::new(Calculator { model: model.to_owned() }))),
};

struct Calculator {
    model: String,
}

impl Known for Calculator {
    fn reply(&self, question: &Question) -> Result<Reply, StageError> {
        let text = answer(&self.model, &question.question)
            .ok_or_else(|| StageError::failed(format!("there is no calculator `{}`", self.model)))?;
        let words = |text: &str| text.split_whitespace().count() as u64;
        Ok(Reply {
            usage: Usage { input: words(&question.question), output: words(&text), ..Usage::default() },
            text: Some(text),
            outcome: Outcome::Ok,
            finish: String::new(),
            served: self.model.clone(),
            reasoning: String::new(),
            error: String::new(),
        })
    }
}
