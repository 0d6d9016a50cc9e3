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
    /// Whether it works row by row, so that a row whose call failed can be asked for again.
    #[doc(hidden)]
    const ROW_BY_ROW: bool = false;

    /// Returns sentences that a person should read before anything runs.
    ///
    /// # Errors
    /// What the notes are about cannot be read.
    fn notes(ctx: &Context, params: &Self::Params, ahead: &Ahead) -> Result<Vec<String>, StageError> {
        let _ = (ctx, params, ahead);
        Ok(Vec::new())
    }

    /// Returns what can be known of outputs before the stage has run, by port: for the notes of the stages that take them.
    ///
    /// # Errors
    /// What it describes cannot be read.
    fn tell(ctx: &Context, params: &Self::Params, ahead: &Ahead) -> Result<BTreeMap<String, Value>, StageError> {
        let _ = (ctx, params, ahead);
        Ok(BTreeMap::new())
    }

    /// Returns what the stage would buy.
    ///
    /// # Errors
    /// An input cannot be read, or does not fit.
    fn forecast(ctx: &Context, params: &Self::Params, inputs: Self::Inputs) -> Result<Forecast, StageError> {
        drop(inputs);
        let _ = (ctx, params);
        Ok(Forecast::default())
    }

    /// Returns the replies that answers become to what the stage asks for.
    #[doc(hidden)]
    fn adopt(ctx: &Context, params: &Self::Params, inputs: Self::Inputs, answers: &Answers) -> Result<Adopted, StageError> {
        drop(inputs);
        let _ = (ctx, params, answers);
        Ok(Adopted::default())
    }

    /// Returns what would be asked for the row with this id, and the replies: cached ones and, if `send` is set, those of calls.
    fn attempt(
        ctx: &Context,
        params: &Self::Params,
        inputs: Self::Inputs,
        id: &str,
        send: bool,
    ) -> impl Future<Output = Result<Vec<Attempt>, StageError>> + Send {
        let _ = (ctx, params, id, send);
        drop(inputs);
        async { Err(StageError::failed(format!("a stage of the kind `{}` does not work row by row", Self::KIND))) }
    }

    /// Does the work. May block.
    fn run(
        ctx: &Context,
        params: &Self::Params,
        inputs: Self::Inputs,
    ) -> impl Future<Output = Result<Self::Outputs, StageError>> + Send;
}
