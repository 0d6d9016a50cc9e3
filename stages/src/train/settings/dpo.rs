//! Settings of direct preference optimisation, under TRL's names.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::words::one_or_many;

/// Settings of direct preference optimisation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Dpo {
    /// How strongly the model is held to the reference.
    pub beta: f64,
    /// The losses that are added up.
    #[serde(deserialize_with = "losses")]
    pub loss_type: Vec<DpoLoss>,
    /// Their weights [default: 1 each].
    pub loss_weights: Option<Vec<f64>>,
    /// Share of pairs that are taken to be the wrong way round.
    pub label_smoothing: f64,
    /// How far the model is from the reference.
    pub f_divergence_type: Divergence,
    /// The exponent of the alpha divergence.
    pub f_alpha_divergence_coef: f64,
    /// Weight of the tokens that the longer answer has more [default: all count alike].
    pub ld_alpha: Option<f64>,
    /// Whether pairs are weighted by how likely the model is to say them.
    pub use_weighting: bool,
    /// Temperature of `discopop`.
    pub discopop_tau: f64,
    /// Whether the reference is asked once, before the training.
    pub precompute_ref_log_probs: bool,
    /// Whether the reference follows the model.
    pub sync_ref_model: bool,
    /// Share of the model in the reference when it follows.
    pub ref_model_mixup_alpha: f64,
    /// Steps between two times that it follows.
    pub ref_model_sync_steps: usize,
    /// What the model is held to.
    pub reference: Reference,
}

impl Default for Dpo {
    fn default() -> Self {
        Self {
            beta: 0.1,
            loss_type: vec![DpoLoss::Sigmoid],
            loss_weights: None,
            label_smoothing: 0.0,
            f_divergence_type: Divergence::ReverseKl,
            f_alpha_divergence_coef: 0.5,
            ld_alpha: None,
            use_weighting: false,
            discopop_tau: 0.05,
            precompute_ref_log_probs: false,
            sync_ref_model: false,
            ref_model_mixup_alpha: 0.6,
            ref_model_sync_steps: 512,
            reference: Reference::StartAdapter,
        }
    }
}

/// What the model is held to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Reference {
    /// The model as it starts.
    StartAdapter,
    /// The model without its adapter.
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

fn losses<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<DpoLoss>, D::Error> {
    let (names, _) = one_or_many(deserializer)?;
    names.into_iter().map(|name| DpoLoss::deserialize(serde::de::value::StringDeserializer::new(name))).collect()
}
