//! The top-level blocks of a manifest beside `stages`, one file each. Takes YAML; gives settings that all stages share.
//!
//! `policies` has the routes in order of cost, `prices` what tokens cost, `providers` how providers are reached and `capabilities` what their models take. A section is added by one
//! file and a line in the function below.

pub(crate) mod capabilities;
pub(crate) mod policies;
pub(crate) mod prices;
pub(crate) mod providers;

pub(crate) use policies::{Policies, Policy};
pub(crate) use prices::{Prices, TokenPrice};
pub(crate) use providers::ProviderSettings;

/// Adds every section to a registry.
pub(crate) fn register(registry: engine::Registry) -> engine::Registry {
    registry.section::<Policies>().section::<Prices>().section::<ProviderSettings>()
}
