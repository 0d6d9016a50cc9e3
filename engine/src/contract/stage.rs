//! A kind of stage that runs as a whole. Takes typed inputs; gives typed outputs, and before that what can be said without running.

use std::{collections::BTreeMap, future::Future};

use serde_json::Value;

use super::{
    ahead::Ahead,
    attempt::Attempt,
    context::Context,
    error::StageError,
    forecast::Forecast,
    import::{Adopted, Answers},
    kind::Kind,
};

/// A kind of stage that runs as a whole.
pub trait Stage: Kind {
    /// Sentences that a person should read before anything runs.
    ///
    /// # Errors
    /// What the notes speak of cannot be read.
    fn notes(ctx: &Context, params: &Self::Params, ahead: &Ahead) -> Result<Vec<String>, StageError> {
        let _ = (ctx, params, ahead);
        Ok(Vec::new())
    }

    /// Says of outputs, by port, what can be known of them before the stage has run: for the notes of stages that take them in.
    ///
    /// # Errors
    /// What is told of cannot be read.
    fn tell(ctx: &Context, params: &Self::Params, ahead: &Ahead) -> Result<BTreeMap<String, Value>, StageError> {
        let _ = (ctx, params, ahead);
        Ok(BTreeMap::new())
    }

    /// What the stage would buy.
    ///
    /// # Errors
    /// An input cannot be read, or does not fit.
    fn forecast(ctx: &Context, params: &Self::Params, inputs: Self::Inputs) -> Result<Forecast, StageError> {
        drop(inputs);
        let _ = (ctx, params);
        Ok(Forecast::default())
    }

    /// The replies that answers are to what the stage asks for.
    #[doc(hidden)]
    fn adopt(ctx: &Context, params: &Self::Params, inputs: Self::Inputs, answers: &Answers) -> Result<Adopted, StageError> {
        drop(inputs);
        let _ = (ctx, params, answers);
        Ok(Vec::new())
    }

    /// What would be asked for the row with this id, and what comes back.
    fn attempt(
        ctx: &Context,
        params: &Self::Params,
        inputs: Self::Inputs,
        id: &str,
        send: bool,
    ) -> impl Future<Output = Result<Vec<Attempt>, StageError>> + Send {
        let _ = (ctx, params, id, send);
        drop(inputs);
        async { Err(StageError::failed(format!("a stage of the kind `{}` asks for nothing row by row", Self::KIND))) }
    }

    /// Does the work. May block.
    fn run(
        ctx: &Context,
        params: &Self::Params,
        inputs: Self::Inputs,
    ) -> impl Future<Output = Result<Self::Outputs, StageError>> + Send;
}
