//! `uses: dpo`: direct preference optimisation of a trained decoder. Takes DPO examples and a checkpoint; gives a checkpoint and metrics.

use super::preferences::{self, Preferences};
use crate::train::dpo::Dpo;

/// The stage `dpo`.
pub(crate) type Stage = preferences::Stage<Dpo>;

impl Preferences for Dpo {
    const VERSION: u32 = 4;
    const SUMMARY: &'static str = "trains a router further by direct preference optimisation";
    const EXAMPLE: &'static str = "\
stages:
  dpo:
    uses: dpo
    in: { examples: examples.dpo, checkpoint: sft.checkpoint }
    with: { epochs: 1, beta: 0.1 }
";
}
