//! The two calculators as models: a question → a reply that is known without a call.

use engine::{Ask, StageError};

use super::{VERSION, answer};
use crate::{
    completion::{Completion, Reply},
    providers::{Provider, ProviderKind},
    rows::{Outcome, Question, Usage},
};

/// The calculators among the providers.
pub(crate) const KIND: ProviderKind = ProviderKind {
    name: "calculator",
    version: VERSION,
    check: |model, _| match answer(model, "") {
        Some(_) => Ok(()),
        None => Err(format!("there is no calculator `{model}`; there are `pocket` and `scientific`")),
    },
    open: |_, model, _| Ok(Box::new(Calculator { model: model.to_owned() })),
};

struct Calculator {
    model: String,
}

impl Provider for Calculator {
    fn ask(&self, question: &Question) -> Result<Ask<Completion>, StageError> {
        let text = answer(&self.model, &question.question)
            .ok_or_else(|| StageError::failed(format!("there is no calculator `{}`", self.model)))?;
        let words = |text: &str| text.split_whitespace().count() as u64;
        Ok(Ask::Known(Reply {
            usage: Usage { input: words(&question.question), output: words(&text), ..Usage::default() },
            text: Some(text),
            outcome: Outcome::Ok,
            served: self.model.clone(),
        }))
    }
}
