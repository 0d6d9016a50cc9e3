//! What an author of stages writes: a type with a kind, a version, params, ports and `run`.

use std::{collections::BTreeMap, future::Future};

use cache::Output;
use schemars::JsonSchema;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use super::{
    ahead::Ahead,
    artifact::{Anything, Artifact, Store, Type},
    attempt::Attempt,
    context::Context,
    error::StageError,
    forecast::Forecast,
    import::Answers,
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
    /// What stands under `with:`. All that may change a result is in here or comes in by a port.
    type Params: Serialize + DeserializeOwned + JsonSchema + Send + Sync;
    /// What stands under `in:`.
    type Inputs: Ports;
    /// What the stage gives.
    type Outputs: Ports;

    /// Takes over from the manifest's sections what the params leave open; what it takes is in the key.
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
    fn notes(ctx: &Context, params: &Self::Params, ahead: &Ahead) -> Result<Vec<String>, StageError> {
        let _ = (ctx, params, ahead);
        Ok(Vec::new())
    }

    /// Says of outputs, by port, what can be known of them before the stage has run: for the notes of stages that take them in.
    fn tell(ctx: &Context, params: &Self::Params, ahead: &Ahead) -> Result<BTreeMap<String, Value>, StageError> {
        let _ = (ctx, params, ahead);
        Ok(BTreeMap::new())
    }

    /// What the stage would buy.
    fn forecast(ctx: &Context, params: &Self::Params, inputs: Self::Inputs) -> Result<Forecast, StageError> {
        drop(inputs);
        let _ = (ctx, params);
        Ok(Forecast::default())
    }

    /// The replies that answers are to what the stage asks for.
    #[doc(hidden)]
    fn adopt(
        ctx: &Context,
        params: &Self::Params,
        inputs: Self::Inputs,
        answers: &Answers,
    ) -> Result<Vec<(cache::Digest, Vec<u8>)>, StageError> {
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

/// A mistake that only the stage can see, at a field below `with:`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParamMistake {
    /// The field, outermost name first; empty for the stage as a whole.
    pub field: Vec<String>,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub help: String,
}

/// A named place where artifacts go in or come out.
#[derive(Clone, Debug)]
pub struct Port {
    /// The name in `in:`, or after the dot in `stage.port`.
    pub name: String,
    /// What it carries.
    pub artifact: Type,
    /// Whether it may stay unwired.
    pub optional: bool,
}

impl Port {
    /// A port that must be wired.
    pub fn required(name: &str, artifact: Type) -> Self {
        Self { name: name.to_owned(), artifact, optional: false }
    }
}

/// The ports of one side of a stage, as a struct with an artifact a field. Made by [`ports!`](crate::ports).
pub trait Ports: Sized + Send + Sync {
    /// The ports by name and type.
    fn declared() -> Vec<Port>;
    /// Opens what the wires bring.
    fn open(store: &Store, sealed: BTreeMap<String, Output>) -> Result<Self, StageError>;
    /// Gives up the handles for what is recorded.
    fn seal(self) -> BTreeMap<String, Output>;
}

/// Ports by name, known at run time only.
impl Ports for BTreeMap<String, Anything> {
    fn declared() -> Vec<Port> {
        Vec::new()
    }

    fn open(store: &Store, sealed: BTreeMap<String, Output>) -> Result<Self, StageError> {
        Ok(sealed.into_iter().map(|(name, output)| (name, Anything::open(store, output))).collect())
    }

    fn seal(self) -> BTreeMap<String, Output> {
        self.into_iter().map(|(name, artifact)| (name, artifact.seal())).collect()
    }
}

/// A field of a [`ports!`](crate::ports) struct: an artifact, or `Option` of one.
pub trait PortField: Sized {
    #[doc(hidden)]
    fn port(name: &str) -> Port;
    #[doc(hidden)]
    fn take(store: &Store, sealed: &mut BTreeMap<String, Output>, name: &str) -> Result<Self, StageError>;
    #[doc(hidden)]
    fn give(self, sealed: &mut BTreeMap<String, Output>, name: &str);
}

impl<A: Artifact> PortField for A {
    fn port(name: &str) -> Port {
        Port::required(name, A::accepts())
    }

    fn take(store: &Store, sealed: &mut BTreeMap<String, Output>, name: &str) -> Result<Self, StageError> {
        sealed
            .remove(name)
            .map(|output| A::open(store, output))
            .ok_or_else(|| StageError::failed(format!("nothing came in at port `{name}`")))
    }

    fn give(self, sealed: &mut BTreeMap<String, Output>, name: &str) {
        sealed.insert(name.to_owned(), self.seal());
    }
}

impl<A: Artifact> PortField for Option<A> {
    fn port(name: &str) -> Port {
        Port { optional: true, ..A::port(name) }
    }

    fn take(store: &Store, sealed: &mut BTreeMap<String, Output>, name: &str) -> Result<Self, StageError> {
        Ok(sealed.remove(name).map(|output| A::open(store, output)))
    }

    fn give(self, sealed: &mut BTreeMap<String, Output>, name: &str) {
        if let Some(artifact) = self {
            artifact.give(sealed, name);
        }
    }
}

/// Declares a struct of ports: `ports! { pub struct Inputs { verdicts: Dataset<Verdict> } }`.
#[macro_export]
macro_rules! ports {
    ($(#[$meta:meta])* pub struct $name:ident { $($field:ident: $artifact:ty),* $(,)? }) => {
        $(#[$meta])*
        pub struct $name { $(pub $field: $artifact),* }

        impl $crate::Ports for $name {
            fn declared() -> Vec<$crate::Port> {
                vec![$(<$artifact as $crate::PortField>::port(stringify!($field))),*]
            }

            fn open(
                store: &$crate::Store,
                mut sealed: std::collections::BTreeMap<String, $crate::Output>,
            ) -> Result<Self, $crate::StageError> {
                let _ = (store, &mut sealed);
                Ok(Self {
                    $($field: <$artifact as $crate::PortField>::take(store, &mut sealed, stringify!($field))?),*
                })
            }

            fn seal(self) -> std::collections::BTreeMap<String, $crate::Output> {
                let mut sealed = std::collections::BTreeMap::new();
                let _ = &mut sealed;
                $($crate::PortField::give(self.$field, &mut sealed, stringify!($field));)*
                sealed
            }
        }
    };
}
