//! The losses by name: what a model is told by each pair of answers; `[pairs]`.
//!
//! In the formulas b is `beta`, e is `label_smoothing`, c and r are the scores of the better and the worse answer, l is the logistic function.

use burn::tensor::{Int, Tensor, TensorData, activation};

use super::{Pairs, divergence::scores};
use crate::train::settings::{Dpo, DpoLoss};

/// Returns one loss of each pair.
#[must_use]
pub fn losses(name: DpoLoss, pairs: &Pairs, settings: &Dpo) -> Tensor<1> {
    let (beta, smoothing) = (settings.beta, settings.label_smoothing);
    let ratios = pairs.ratios();
    let [chosen_ratio, rejected_ratio] = ratios.clone();
    let [chosen, rejected] = ratios.map(|ratios| scores(ratios, settings));
    let margin = (chosen.clone() - rejected.clone()) * beta;
    let per_token =
        || chosen / pairs.chosen_lengths.clone().clamp_min(1.0) - rejected / pairs.rejected_lengths.clone().clamp_min(1.0);
    match name {
        // Rafailov et al. 2023; smoothed as in Mitchell 2023.
        DpoLoss::Sigmoid => smoothed(&margin, smoothing),
        // The same of the means over tokens.
        DpoLoss::SigmoidNorm => activation::log_sigmoid(per_token() * beta).neg(),
        // Zhao et al. 2023: max(0, 1 - b (c - r)).
        DpoLoss::Hinge => activation::relu(margin.neg() + 1.0),
        // Azar et al. 2023, eq. 17, of the means over tokens.
        DpoLoss::Ipo => (per_token() - 1.0 / (2.0 * beta)).powi_scalar(2),
        // Ji et al. 2024, eq. 16: the divergence of {l(m), l(-m)} from {1 - e, e}.
        DpoLoss::ExoPair => {
            let part = |margin: Tensor<1>, share: f64| {
                activation::sigmoid(margin.clone()) * (activation::log_sigmoid(margin) - share.ln())
            };
            part(margin.clone(), 1.0 - smoothing) + part(margin.neg(), smoothing)
        }
        // Chen et al. 2024.
        DpoLoss::NcaPair => {
            let [chosen, rejected] = [chosen_ratio * beta, rejected_ratio * beta];
            activation::log_sigmoid(chosen.clone()).neg()
                - (activation::log_sigmoid(chosen.neg()) + activation::log_sigmoid(rejected.neg())) * 0.5
        }
        // Chowdhury et al. 2024: unbiased where a share e of the pairs is the wrong way round.
        DpoLoss::Robust => {
            let told = activation::log_sigmoid(margin.clone()) * (1.0 - smoothing);
            let turned = activation::log_sigmoid(margin.neg()) * smoothing;
            (turned - told) / (1.0 - 2.0 * smoothing)
        }
        // Jung et al. 2024, without a running mean.
        DpoLoss::BcoPair => {
            (activation::log_sigmoid(chosen_ratio * beta) + activation::log_sigmoid((rejected_ratio * beta).neg())).neg()
        }
        // Wu et al. 2024, eq. 4.7, the better answer winning always.
        DpoLoss::SppoHard => {
            let half = 0.5 / beta;
            (chosen_ratio - half).powi_scalar(2) + (rejected_ratio + half).powi_scalar(2)
        }
        // Melnyk et al. 2024: the sorted margins of the model against those of the reference.
        DpoLoss::Aot => {
            let model = pairs.chosen.clone() - pairs.rejected.clone();
            let reference = pairs.reference_chosen.clone() - pairs.reference_rejected.clone();
            smoothed(&((sorted(model) - sorted(reference)) * beta), smoothing)
        }
        // The same of answers that are no pairs.
        DpoLoss::AotUnpaired => smoothed(&((sorted(chosen_ratio) - sorted(rejected_ratio)) * beta), smoothing),
        // D'Oosterlinck et al. 2024, eq. 7: better answers up, worse ones down.
        DpoLoss::ApoZero => activation::sigmoid((chosen_ratio * beta).neg()) + activation::sigmoid(rejected_ratio * beta),
        // Eq. 8 there: both down, worse ones more.
        DpoLoss::ApoDown => {
            let margin = (chosen_ratio.clone() - rejected_ratio) * beta;
            activation::sigmoid(chosen_ratio * beta) + activation::sigmoid(margin.neg())
        }
        // Lu et al. 2024, eq. 5: a logistic and an exponential loss, blended.
        DpoLoss::Discopop => {
            let blend = activation::sigmoid(margin.clone() / settings.discopop_tau);
            let logistic = activation::log_sigmoid(margin.clone()).neg();
            logistic * (blend.clone().neg() + 1.0) + margin.neg().exp() * blend
        }
        // The mean over all tokens of the better answers, told to every pair alike.
        DpoLoss::Sft => {
            let mean = pairs.chosen_tokens.clone().sum().neg() / pairs.chosen_lengths.clone().sum().clamp_min(1.0);
            mean.expand(pairs.chosen_lengths.shape())
        }
    }
}

/// -(1 - e) ln l(m) - e ln l(-m).
fn smoothed(margin: &Tensor<1>, smoothing: f64) -> Tensor<1> {
    let told = activation::log_sigmoid(margin.clone()) * (smoothing - 1.0);
    if smoothing == 0.0 { told } else { told - activation::log_sigmoid(margin.clone().neg()) * smoothing }
}

/// Sorts from the smallest, with the gradient going back to where a value came from.
fn sorted(values: Tensor<1>) -> Tensor<1> {
    let plain: Vec<f32> = values.clone().inner().into_data().try_into_vec().expect("log-probabilities are f32");
    let mut order: Vec<i32> = (0..).take(plain.len()).collect();
    order.sort_by(|&left, &right| plain[left as usize].total_cmp(&plain[right as usize]));
    let order = Tensor::<1, Int>::from_data(TensorData::new(order, [plain.len()]), &values.device());
    values.select(0, order)
}
