//! The top-level blocks of a manifest beside `stages`, one file each.

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
