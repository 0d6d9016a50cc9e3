//! Direct preference optimisation (Rafailov et al. 2023), as in TRL. Takes pairs of answers to a prompt; gives losses that prefer the chosen
//! answer to the rejected one, measured against a reference.
//!
//! This file has the settings and the method. Read `prepare` (rows of token ids) next, then `pairs` (the objective) and `losses`; `words` reads
//! settings that take a value or a list.

mod losses;
mod pairs;
mod prepare;
mod words;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    TrainError,
    method::Method,
    objective::Objective,
    prepared::{Columns, PrepareError, Prepared},
    settings::Training,
};
use crate::{part::settings, tokenizer::Tokenizer};
use pairs::Pairs;
use words::one_or_many;

settings! {
    /// Settings of direct preference optimisation.
    pub struct Dpo {
        /// How strongly the model is kept close to the reference.
        beta: f64 = 0.1,
        /// The losses that are added up.
        loss_type: Losses = Losses(vec![DpoLoss::Sigmoid]),
        /// Their weights [default: 1 each].
        loss_weights: Option<Vec<f64>> = None,
        /// Share of pairs whose label is assumed to be wrong.
        label_smoothing: f64 = 0.0,
        /// Divergence between the model and the reference.
        f_divergence_type: Divergence = Divergence::ReverseKl,
        /// The exponent of the alpha divergence.
        f_alpha_divergence_coef: f64 = 0.5,
        /// Weight of the tokens by which one answer is longer than the other [default: 1].
        ld_alpha: Option<f64> = None,
        /// Whether pairs are weighted by the model's probability of both answers.
        use_weighting: bool = false,
        /// Temperature of `discopop`.
        discopop_tau: f64 = 0.05,
        /// Whether the reference's log-probabilities are written into the prepared rows. They are computed once before training in any
        /// case, unless the reference is synchronised.
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        precompute_ref_log_probs: bool = false,
        /// Whether the reference is synchronised with the model.
        sync_ref_model: bool = false,
        /// Share of the model in the reference at each synchronisation.
        ref_model_mixup_alpha: f64 = 0.6,
        /// Steps between two synchronisations.
        ref_model_sync_steps: usize = 512,
        /// The reference model.
        reference: Reference = Reference::StartAdapter,
    }
}

/// The model that log-probabilities are compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Reference {
    /// The model as it starts.
    StartAdapter,
    /// The model without its adapter. Trained biases keep their current values, as when PEFT disables an adapter.
    BaseModel,
    /// None: its log-probabilities count as 0.
    None,
}

/// Divergences between two models.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Divergence {
    /// Kullback–Leibler divergence of the reference from the model.
    ReverseKl,
    /// Kullback–Leibler divergence of the model from the reference.
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

/// A pair for direct preference optimisation.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct DpoRow {
    /// Token ids of the prompt, which both answers follow.
    pub prompt_ids: Vec<u32>,
    /// Token ids of the chosen answer.
    pub chosen_ids: Vec<u32>,
    /// Token ids of the rejected answer.
    pub rejected_ids: Vec<u32>,
    /// The reference's log-probability of the chosen answer, if `precompute_ref_log_probs` asks for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ref_chosen_logps: Option<f64>,
    /// The reference's log-probability of the rejected answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ref_rejected_logps: Option<f64>,
}

impl DpoRow {
    /// Returns the tokens of an answer for which `max_length` leaves room after the prompt.
    #[must_use]
    pub fn within<'a>(&self, answer: &'a [u32], max_length: Option<usize>) -> &'a [u32] {
        let room = max_length.map_or(answer.len(), |most| most.saturating_sub(self.prompt_ids.len()));
        &answer[..room.min(answer.len())]
    }
}

impl Method for Dpo {
    const NAME: &'static str = "dpo";
    const SEQUENCES: u64 = 2;
    const DROPOUT: bool = false;
    type Row = DpoRow;

    fn check(&self, training: &Training) -> Result<(), TrainError> {
        let refuse = |name, reason: &str| Err(TrainError::Setting { name, reason: reason.into() });
        let has = |loss: DpoLoss| self.loss_type.contains(&loss);
        if !(self.beta.is_finite() && self.beta > 0.0) {
            return Err(TrainError::Setting { name: "beta", reason: format!("is {} and must be above 0", self.beta) });
        }
        if self.loss_type.is_empty() {
            return refuse("loss_type", "names no loss");
        }
        if self.loss_weights.as_ref().is_some_and(|weights| weights.len() != self.loss_type.len()) {
            return refuse("loss_weights", "must have one for each of `loss_type`");
        }
        if !(0.0..1.0).contains(&self.label_smoothing) {
            return refuse("label_smoothing", "must be from 0 to below 1");
        }
        if has(DpoLoss::ExoPair) && self.label_smoothing == 0.0 {
            return refuse("label_smoothing", "must be above 0 with `exo_pair`, 0.001 for example");
        }
        if has(DpoLoss::Robust) && self.label_smoothing >= 0.5 {
            return refuse("label_smoothing", "must be below 0.5 with `robust`");
        }
        if self.ld_alpha.is_some_and(|alpha| !(0.0..=1.0).contains(&alpha)) {
            return refuse("ld_alpha", "must be from 0 to 1");
        }
        if has(DpoLoss::Discopop) && !(self.discopop_tau.is_finite() && self.discopop_tau > 0.0) {
            return refuse("discopop_tau", "must be above 0");
        }
        if self.sync_ref_model {
            if training.adapter.is_some() {
                return refuse("sync_ref_model", "is for training in full: with an adapter the reference is the frozen start");
            }
            if self.precompute_ref_log_probs {
                return refuse("sync_ref_model", "cannot be with `precompute_ref_log_probs`: the reference changes");
            }
            if self.ref_model_sync_steps == 0 {
                return refuse("ref_model_sync_steps", "must be at least 1");
            }
        }
        Ok(())
    }

    fn prepare(
        &self,
        tokenizer: &Tokenizer,
        rows: &[Columns],
        max_length: Option<usize>,
    ) -> Result<Prepared<DpoRow>, PrepareError> {
        prepare::prepare(tokenizer, rows, max_length)
    }

    fn size(row: &DpoRow, max_length: Option<usize>) -> [usize; 2] {
        let answers = [&row.chosen_ids, &row.rejected_ids].iter().map(|ids| row.within(ids, max_length).len()).sum();
        [row.prompt_ids.len() + answers, answers]
    }

    /// A reference that follows the model is a copy of its trained weights.
    fn copies(&self) -> u64 {
        u64::from(self.sync_ref_model)
    }

    fn objective<'a>(
        &'a self,
        training: &'a Training,
        rows: &'a mut [DpoRow],
        ids: &[String],
    ) -> Result<Box<dyn Objective + 'a>, TrainError> {
        if let Some(row) = rows.iter().position(|row| row.prompt_ids.is_empty()) {
            return Err(TrainError::Prompt { row: ids[row].clone() });
        }
        Ok(Box::new(Pairs::new(self, training, rows)))
    }
}
