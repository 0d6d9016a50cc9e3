//! What every kind of stage declares about itself. A [`Stage`](super::stage::Stage) then runs as a whole, an
//! [`EachRow`](super::each::EachRow) row by row.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Serialize, de::DeserializeOwned};

use super::{
    mistake::ParamMistake,
    ports::{Port, Ports},
    preflight::{Lack, Surroundings},
    section::Sections,
};

/// The declaration of a kind of stage: its name, its params and its ports.
pub trait Kind: Send + Sync + 'static {
    /// The word after `uses:`.
    const KIND: &'static str;
    /// Raised when the same params and inputs could give another result. The replies of an `EachRow` are kept all the same.
    const VERSION: u32;
    /// One sentence for `fingerpost kinds`.
    const SUMMARY: &'static str;
    /// A few lines of a manifest that use the kind, for `fingerpost kinds KIND`.
    const EXAMPLE: &'static str = "";
    /// What is written under `with:`. Whatever may change a result is in the params or is an input.
    type Params: Serialize + DeserializeOwned + JsonSchema + Send + Sync;
    /// What is wired under `in:`.
    type Inputs: Ports;
    /// What the stage gives.
    type Outputs: Ports;

    /// Fills in from the manifest's sections what the params leave open. What it fills in is part of the key.
    ///
    /// # Errors
    /// All mistakes in the params.
    fn settle(params: Self::Params, sections: &Sections) -> Result<Self::Params, Vec<ParamMistake>> {
        let _ = sections;
        Ok(params)
    }

    /// Returns the versions of the parts that these params name (a loader, a judge), by name.
    fn parts(params: &Self::Params) -> BTreeMap<String, u32> {
        let _ = params;
        BTreeMap::new()
    }

    /// Returns the ports that these params ask for, where `in:` wires the names in `wired`.
    fn ports(params: &Self::Params, wired: &[String]) -> (Vec<Port>, Vec<Port>) {
        let _ = (params, wired);
        (Self::Inputs::declared(), Self::Outputs::declared())
    }

    /// Lists what the params need from this machine and it lacks, such as a GPU or a key. Not asked when the result is cached.
    fn preflight(params: &Self::Params, surroundings: &Surroundings<'_>) -> Vec<Lack> {
        let _ = (params, surroundings);
        Vec::new()
    }
}
