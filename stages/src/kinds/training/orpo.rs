//! `uses: orpo`: odds ratio preference optimisation of a trained decoder. Takes DPO examples and a checkpoint; gives a checkpoint and metrics.

use super::preferences::{self, Preferences};
use crate::train::orpo::Orpo;

/// The stage `orpo`.
pub(crate) type Stage = preferences::Stage<Orpo>;

impl Preferences for Orpo {
    const VERSION: u32 = 1;
    const SUMMARY: &'static str = "trains a router further by odds ratio preference optimisation";
    const EXAMPLE: &'static str = "\
stages:
  orpo:
    uses: orpo
    in: { examples: examples.dpo, checkpoint: sft.checkpoint }
    with: { epochs: 1, beta: 0.1 }
";
}
