//! Calls that are running in this process. Takes a unit; gives the cell of its reply, so that all who ask for it wait for one call.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use cache::Digest;
use tokio::sync::OnceCell;

pub(crate) type Flight = Arc<OnceCell<Arc<[u8]>>>;

/// The calls that are running in this process, by unit.
#[derive(Default)]
pub(crate) struct Flights(Mutex<HashMap<Digest, Flight>>);

impl Flights {
    pub(crate) fn flight(&self, unit: Digest) -> Flight {
        let mut flights = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(flights.entry(unit).or_default())
    }

    pub(crate) fn land(&self, unit: &Digest) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(unit);
    }
}
