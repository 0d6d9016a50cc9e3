//! Settings of direct preference optimisation, under TRL's names.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{part::settings, words::one_or_many};

settings! {
    /// Settings of direct preference optimisation.
    pub struct Dpo {
        /// How strongly the model is held to the reference.
        beta: f64 = 0.1,
        /// The losses that are added up.
        loss_type: Losses = Losses(vec![DpoLoss::Sigmoid]),
        /// Their weights [default: 1 each].
        loss_weights: Option<Vec<f64>> = None,
        /// Share of pairs that are taken to be the wrong way round.
        label_smoothing: f64 = 0.0,
        /// How far the model is from the reference.
        f_divergence_type: Divergence = Divergence::ReverseKl,
        /// The exponent of the alpha divergence.
        f_alpha_divergence_coef: f64 = 0.5,
        /// Weight of the tokens that the longer answer has more [default: all count alike].
        ld_alpha: Option<f64> = None,
        /// Whether pairs are weighted by how likely the model is to say them.
        use_weighting: bool = false,
        /// Temperature of `discopop`.
        discopop_tau: f64 = 0.05,
        /// Whether what the reference says is noted in the prepared rows; it is asked once and beforehand in any case, unless it follows.
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        precompute_ref_log_probs: bool = false,
        /// Whether the reference follows the model.
        sync_ref_model: bool = false,
        /// Share of the model in the reference when it follows.
        ref_model_mixup_alpha: f64 = 0.6,
        /// Steps between two times that it follows.
        ref_model_sync_steps: usize = 512,
        /// What the model is held to.
        reference: Reference = Reference::StartAdapter,
    }
}

/// What the model is held to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Reference {
    /// The model as it starts.
    StartAdapter,
    /// The model without its adapter. Biases that are trained stay as they are by then, as when PEFT switches an adapter off.
    BaseModel,
    /// Nothing.
    None,
}

/// How far two models are from each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Divergence {
    /// Kullback–Leibler, from the model's side.
    ReverseKl,
    /// Kullback–Leibler, from the reference's side.
    ForwardKl,
    /// Jensen–Shannon.
    JsDivergence,
    /// Alpha divergence.
    AlphaDivergence,
}

/// Losses of direct preference optimisation, under TRL's names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names are those of the papers, which `losses` tells of one by one")]
pub enum DpoLoss {
    /// With `label_smoothing` where that is given.
    #[serde(alias = "sigmoid_smoothed")]
    Sigmoid,
    SigmoidNorm,
    Hinge,
    Ipo,
    ExoPair,
    NcaPair,
    Robust,
    BcoPair,
    SppoHard,
    Aot,
    AotUnpaired,
    ApoZero,
    ApoDown,
    Discopop,
    Sft,
}

/// Losses that are added up: one, or a list of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(transparent)]
pub struct Losses(pub Vec<DpoLoss>);

impl std::ops::Deref for Losses {
    type Target = [DpoLoss];

    fn deref(&self) -> &[DpoLoss] {
        &self.0
    }
}

impl<'de> Deserialize<'de> for Losses {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        one_or_many(deserializer).map(Self)
    }
}
