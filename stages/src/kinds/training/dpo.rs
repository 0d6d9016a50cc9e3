//! `uses: dpo`: direct preference optimisation of a trained decoder. Takes DPO examples and a checkpoint; gives a checkpoint and metrics.

use super::preferences::{self, Preferences};
use crate::train::{
    dpo::Dpo,
    optimizer::AdamW,
    settings::{Training, Warmup},
};

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

    fn training() -> Training {
        Training {
            epochs: Some(1.0),
            batch_size: 16,
            // A higher rate undoes what SFT learned: pairs are separated on average, but no longer near the border between routes.
            learning_rate: 1e-5,
            warmup: Warmup { ratio: 0.1, steps: None },
            optimizer: AdamW { betas: [0.9, 0.99], ..AdamW::default() }.into(),
            max_length: Some(256),
            seed: 0,
            ..Training::default()
        }
    }
}
