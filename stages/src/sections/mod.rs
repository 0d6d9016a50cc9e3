//! The top-level blocks of a manifest beside `stages`, one file each.

pub mod policies;
pub mod prices;
pub mod providers;

pub use policies::{Policies, Policy};
pub use prices::Prices;
pub use providers::ProviderSettings;

/// Adds every section to a registry.
pub(crate) fn register(registry: engine::Registry) -> engine::Registry {
    registry.section::<Policies>().section::<Prices>().section::<ProviderSettings>()
}
