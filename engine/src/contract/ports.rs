//! The ports of a stage. Takes outputs by name; gives a struct with an artifact in each field, and the outputs of such a struct.

use std::collections::BTreeMap;

use cache::Output;

use super::{
    artifact::{Anything, Artifact, Type},
    error::StageError,
};
use crate::store::Store;

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
    /// Returns a port that must be wired.
    pub fn required(name: &str, artifact: Type) -> Self {
        Self { name: name.to_owned(), artifact, optional: false }
    }
}

/// The ports of one side of a stage, as a struct with an artifact in each field. Made by [`ports!`](crate::ports).
pub trait Ports: Sized + Send + Sync {
    /// Returns the ports by name and type.
    fn declared() -> Vec<Port>;
    /// Turns the outputs that the wires bring into handles.
    ///
    /// # Errors
    /// A port that must be wired is not.
    fn open(store: &Store, sealed: BTreeMap<String, Output>) -> Result<Self, StageError>;
    /// Turns the handles into the outputs that are recorded.
    fn seal(self) -> BTreeMap<String, Output>;
}

/// Ports whose names are known at run time only.
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
            .ok_or_else(|| StageError::failed(format!("port `{name}` has no input")))
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
