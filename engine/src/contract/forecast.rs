//! What a stage would buy.

use serde::Serialize;

use crate::budget::{Price, dollars};

/// What a stage would buy.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Forecast {
    /// Replies that are cached.
    pub known: u64,
    /// Calls that would be made first. What is asked after them depends on their replies.
    pub calls: u64,
    /// The highest possible price of these calls, in nano-dollars.
    pub worst_nano_dollars: u64,
    /// Calls among them whose price is not known.
    pub unpriced: u64,
    /// What else a person should know before the run: sentences of the stage.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

impl Forecast {
    pub(crate) fn add(&mut self, price: Price) {
        self.calls += 1;
        match price {
            Price::Free => {}
            Price::AtMost(cost) => self.worst_nano_dollars += cost,
            Price::Unknown => self.unpriced += 1,
        }
    }
}

/// Writes nothing where the stage asks for nothing.
impl std::fmt::Display for Forecast {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.calls == 0 && self.known == 0 {
            return Ok(());
        }
        let noun = if self.calls == 1 { "call" } else { "calls" };
        write!(out, "{} {noun}, {} cached", self.calls, self.known)?;
        if self.worst_nano_dollars > 0 {
            write!(out, ", at most {}", dollars(self.worst_nano_dollars))?;
        }
        if self.unpriced > 0 {
            write!(out, ", {} of unknown price", self.unpriced)?;
        }
        Ok(())
    }
}
