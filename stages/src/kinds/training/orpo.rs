//! `uses: orpo`: odds ratio preference optimisation of a trained decoder. Takes DPO examples and a checkpoint; gives a checkpoint and metrics.

use super::preferences::{self, Preferences};
use crate::train::{
    optimizer::AdamW,
    orpo::Orpo,
    settings::{Training, Warmup},
};

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

    fn training() -> Training {
        Training {
            epochs: Some(1.0),
            batch_size: 16,
            learning_rate: 1e-5,
            warmup: Warmup { ratio: 0.1, steps: None },
            optimizer: AdamW { betas: [0.9, 0.99], ..AdamW::default() }.into(),
            max_length: Some(256),
            seed: 0,
            ..Training::default()
        }
    }
}
