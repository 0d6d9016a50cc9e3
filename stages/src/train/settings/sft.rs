//! Settings of supervised fine-tuning, under TRL's names.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::part::settings;

settings! {
    /// Settings of supervised fine-tuning.
    pub struct Sft {
        /// Whether only completions are learned [default: where rows are a prompt and a completion].
        completion_only_loss: Option<bool> = None,
        /// Whether only what the assistant wrote is learned, as the template's `{% generation %}` blocks tell.
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        assistant_only_loss: bool = false,
        /// How rows are put together to rows of `max_length`.
        packing | packing_strategy: Option<Packing> = None,
        /// What is learned from.
        loss_type: SftLoss = SftLoss::Nll,
    }
}

/// How rows are put together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Packing {
    /// Whole rows, longest first, each where the least room is left; longer ones are cut.
    Bfd,
    /// The same, with what is cut as further rows.
    BfdSplit,
    /// One stream of tokens, cut into equal rows.
    Wrapped,
}

/// Losses of supervised fine-tuning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SftLoss {
    /// The negative log-likelihood.
    #[default]
    Nll,
    /// The same, each token weighted by its probability.
    Dft,
}
