//! A request to a model → its reply: the one effect that `answer`, `judge` and `analyse` share, and so its kept replies.

use engine::{Bought, Context, Effect, Price, StageError};
use serde::{Deserialize, Serialize};

use crate::rows::{Outcome, Usage};

/// The effect.
pub(crate) struct Completion;

/// All that a call can see: a model and a prompt, never a role, a gold answer or another model's words.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Request {
    /// The provider's name in the manifest.
    pub provider: String,
    /// The model's name at that provider.
    pub model: String,
    /// What it is asked.
    pub prompt: Vec<crate::rows::Message>,
}

/// What came back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Reply {
    /// The text; null where there is none.
    pub text: Option<String>,
    /// What became of the call.
    pub outcome: Outcome,
    /// The model's name as the provider gave it.
    pub served: String,
    /// Tokens used.
    pub usage: Usage,
}

impl Effect for Completion {
    const NAME: &'static str = "completion";
    const VERSION: u32 = 1;
    type Unit = Request;
    type Reply = Reply;

    fn price(_: &Context, _: &Request) -> Price {
        Price::Unknown
    }

    async fn call(_: &Context, request: &Request) -> Result<Bought<Reply>, StageError> {
        Err(StageError::failed(format!(
            "provider `{}` makes no calls, and `{}` has no known answer",
            request.provider, request.model
        )))
    }
}
