//! What an author of stages writes: a type with a kind, a version, params, ports and `run`.

use std::{collections::BTreeMap, future::Future};

use schemars::JsonSchema;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use super::{
    ahead::Ahead,
    attempt::Attempt,
    context::Context,
    error::StageError,
    forecast::Forecast,
    import::{Adopted, Answers},
    mistake::ParamMistake,
    ports::{Port, Ports},
    section::Sections,
};

/// One kind of stage.
pub trait Stage: Send + Sync + 'static {
    /// The word after `uses:`.
    const KIND: &'static str;
    /// Raised when `run` could answer differently for the same params and inputs.
    const VERSION: u32;
    /// One sentence for `fingerpost kinds`.
    const SUMMARY: &'static str;
    /// A few lines of a manifest that use the kind, for `fingerpost kinds KIND`.
    const EXAMPLE: &'static str = "";
    /// What stands under `with:`. All that may change a result is in here or comes in by a port.
    type Params: Serialize + DeserializeOwned + JsonSchema + Send + Sync;
    /// What stands under `in:`.
    type Inputs: Ports;
    /// What the stage gives.
    type Outputs: Ports;

    /// Takes over from the manifest's sections what the params leave open; what it takes is in the key.
    ///
    /// # Errors
    /// All mistakes in the params.
    fn settle(params: Self::Params, sections: &Sections) -> Result<Self::Params, Vec<ParamMistake>> {
        let _ = sections;
        Ok(params)
    }

    /// Versions of the parts that these params name (a loader, a judge), by name.
    fn parts(params: &Self::Params) -> BTreeMap<String, u32> {
        let _ = params;
        BTreeMap::new()
    }

    /// The ports that these params ask for, where `in:` wires the names in `wired`.
    fn ports(params: &Self::Params, wired: &[String]) -> (Vec<Port>, Vec<Port>) {
        let _ = (params, wired);
        (Self::Inputs::declared(), Self::Outputs::declared())
    }

    /// Says what calls need and is not there, such as a key, before anything runs.
    ///
    /// # Errors
    /// What is missing, such as a key.
    fn ready(ctx: &Context, params: &Self::Params) -> Result<(), StageError> {
        let _ = (ctx, params);
        Ok(())
    }

    /// Says what of this machine the params ask for and is not there, such as a device. A stage whose result is known asks for nothing.
    fn missing(params: &Self::Params, sections: &Sections) -> Vec<ParamMistake> {
        let _ = (params, sections);
        Vec::new()
    }

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
