//! Settings of supervised fine-tuning, under TRL's names.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Settings of supervised fine-tuning.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Sft {
    /// Whether only completions are learned [default: where rows are a prompt and a completion].
    pub completion_only_loss: Option<bool>,
    /// Whether only what the assistant wrote is learned, as the template's `{% generation %}` blocks tell.
    pub assistant_only_loss: bool,
    /// How rows are put together to rows of `max_length`.
    pub packing: Option<Packing>,
    /// What is learned from.
    pub loss_type: SftLoss,
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
