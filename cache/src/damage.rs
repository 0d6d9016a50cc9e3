//! The list of what was found damaged in a cache.

use std::{
    fmt,
    path::PathBuf,
    sync::{Mutex, PoisonError},
};

use crate::digest::Digest;

/// Something in the cache that is not what was stored. It is not served, and the next run that needs it computes it again.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Damage {
    /// A blob that does not match its digest. It was moved out of the way where the cache can be written.
    Blob {
        /// Digest that it should have had.
        digest: Digest,
        /// Where its bytes are now.
        aside: PathBuf,
    },
    /// An entry of the database whose checksum is wrong.
    Entry {
        /// The entry's table: `results`, `replies`, and so on.
        table: &'static str,
        /// The entry's name.
        key: Digest,
    },
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Blob { digest, aside } => {
                write!(f, "blob `{}` does not match its digest; its bytes are in `{}`", digest.short(), aside.display())
            }
            Self::Entry { table, key } => write!(f, "entry `{}` of `{table}` is damaged and is not used", key.short()),
        }
    }
}

/// Collects what is found damaged, each thing once.
#[derive(Debug, Default)]
pub(crate) struct DamageList(Mutex<Vec<Damage>>);

impl DamageList {
    pub(crate) fn add(&self, damage: Damage) {
        let mut list = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !list.contains(&damage) {
            list.push(damage);
        }
    }

    /// Returns whether a blob was found damaged.
    pub(crate) fn names(&self, blob: &Digest) -> bool {
        let list = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        list.iter().any(|damage| matches!(damage, Damage::Blob { digest, .. } if digest == blob))
    }

    pub(crate) fn take(&self) -> Vec<Damage> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
