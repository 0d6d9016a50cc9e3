//! The losses that are a mean over pairs. Takes pairs of answers; gives each pair's loss with its slopes. The loss `sft` is not among them,
//! since it is a mean over tokens.

use super::{Pair, divergence::score, log_sigmoid, sigmoid};
use crate::train::dpo::{Dpo, DpoLoss};

/// A pair's loss, and its derivatives by the log-probabilities of the chosen and of the rejected answer.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Loss {
    pub(crate) value: f64,
    pub(crate) slopes: [f64; 2],
}

/// Computes the losses of a micro-batch's pairs; [`DpoLoss::Sft`] gives none.
pub(crate) fn losses(kind: DpoLoss, settings: &Dpo, pairs: &[Pair]) -> Vec<Loss> {
    match kind {
        DpoLoss::Sft => vec![Loss::default(); pairs.len()],
        DpoLoss::Aot => aot(settings, pairs),
        DpoLoss::AotUnpaired => aot_unpaired(settings, pairs),
        _ => pairs.iter().map(|pair| of_pair(kind, settings, pair)).collect(),
    }
}

fn of_pair(kind: DpoLoss, settings: &Dpo, pair: &Pair) -> Loss {
    let (beta, smoothing) = (settings.beta, settings.label_smoothing);
    let ratios = pair.map(|answer| answer.log_ratio());
    let [(chosen, chosen_slope), (rejected, rejected_slope)] = ratios.map(|ratio| score(settings, ratio));
    // A loss of `beta * (chosen - rejected)`.
    let of_margin = |loss: &dyn Fn(f64) -> (f64, f64)| {
        let (value, slope) = loss(beta * (chosen - rejected));
        Loss { value, slopes: [slope * beta * chosen_slope, -slope * beta * rejected_slope] }
    };
    // A loss of the difference of the scores by token.
    let of_mean_margin = |loss: &dyn Fn(f64) -> (f64, f64)| {
        let lengths = pair.map(|answer| answer.tokens.max(1) as f64);
        let (value, slope) = loss(chosen / lengths[0] - rejected / lengths[1]);
        Loss { value, slopes: [slope * chosen_slope / lengths[0], -slope * rejected_slope / lengths[1]] }
    };
    // A loss of both rewards, `beta` times the log-ratios.
    let of_rewards = |loss: &dyn Fn(f64, f64) -> (f64, [f64; 2])| {
        let (value, slopes) = loss(beta * ratios[0], beta * ratios[1]);
        Loss { value, slopes: slopes.map(|slope| slope * beta) }
    };
    match kind {
        // Rafailov et al. 2023, with the label smoothing of Mitchell's conservative DPO. TRL applied it here too, and ignores it since
        // 1.0. It is applied here, since a setting that does nothing would mislead.
        DpoLoss::Sigmoid => of_margin(&|margin| logistic(margin, smoothing)),
        // Zhao et al. 2023, SLiC.
        DpoLoss::Hinge => of_margin(&|margin| ((1.0 - margin).max(0.0), if margin < 1.0 { -1.0 } else { 0.0 })),
        // Azar et al. 2023, by token.
        DpoLoss::Ipo => of_mean_margin(&|margin| {
            let off = margin - 0.5 / beta;
            (off * off, 2.0 * off)
        }),
        DpoLoss::SigmoidNorm => of_mean_margin(&|margin| {
            let (value, slope) = logistic(beta * margin, 0.0);
            (value, beta * slope)
        }),
        // Ji et al. 2024, equation 16.
        DpoLoss::ExoPair => of_margin(&|margin| {
            let (won, lost) = (sigmoid(margin), sigmoid(-margin));
            let above = log_sigmoid(margin) - (-smoothing).ln_1p();
            let below = log_sigmoid(-margin) - smoothing.ln();
            (won * above + lost * below, won * lost * (above - below))
        }),
        // Chen et al. 2024.
        DpoLoss::NcaPair => of_rewards(&|chosen, rejected| {
            let value = -log_sigmoid(chosen) - 0.5 * log_sigmoid(-chosen) - 0.5 * log_sigmoid(-rejected);
            (value, [0.5 * sigmoid(chosen) - sigmoid(-chosen), 0.5 * sigmoid(rejected)])
        }),
        // Chowdhury et al. 2024.
        DpoLoss::Robust => of_margin(&|margin| {
            let value = smoothing * log_sigmoid(-margin) - (1.0 - smoothing) * log_sigmoid(margin);
            let slope = -smoothing * sigmoid(margin) - (1.0 - smoothing) * sigmoid(-margin);
            (value / (1.0 - 2.0 * smoothing), slope / (1.0 - 2.0 * smoothing))
        }),
        // Jung et al. 2024, without the shift by a running mean, as TRL has it.
        DpoLoss::BcoPair => of_rewards(&|chosen, rejected| {
            (-log_sigmoid(chosen) - log_sigmoid(-rejected), [-sigmoid(-chosen), sigmoid(rejected)])
        }),
        // Wu et al. 2024: the chosen answer wins with certainty.
        DpoLoss::SppoHard => {
            let (won, lost) = (ratios[0] - 0.5 / beta, ratios[1] + 0.5 / beta);
            Loss { value: won * won + lost * lost, slopes: [2.0 * won, 2.0 * lost] }
        }
        // D'Oosterlinck et al. 2024, equations 7 and 8.
        DpoLoss::ApoZero => {
            of_rewards(&|chosen, rejected| (1.0 - sigmoid(chosen) + sigmoid(rejected), [-bell(chosen), bell(rejected)]))
        }
        DpoLoss::ApoDown => of_rewards(&|chosen, rejected| {
            let margin = chosen - rejected;
            (sigmoid(chosen) + 1.0 - sigmoid(margin), [bell(chosen) - bell(margin), bell(margin)])
        }),
        // Lu et al. 2024, equation 5.
        DpoLoss::Discopop => of_margin(&|margin| {
            let share = sigmoid(margin / settings.discopop_tau);
            let share_slope = share * (1.0 - share) / settings.discopop_tau;
            let exponential = (-margin).exp();
            let value = -log_sigmoid(margin) * (1.0 - share) + exponential * share;
            let mixing = (exponential + log_sigmoid(margin)) * share_slope;
            (value, mixing - sigmoid(-margin) * (1.0 - share) - exponential * share)
        }),
        DpoLoss::Sft | DpoLoss::Aot | DpoLoss::AotUnpaired => unreachable!("`losses` takes these apart"),
    }
}

/// Returns `-ln sigmoid(x)` and its slope, if a share `smoothing` of the pairs has the wrong label.
fn logistic(margin: f64, smoothing: f64) -> (f64, f64) {
    let value = -(1.0 - smoothing) * log_sigmoid(margin) - smoothing * log_sigmoid(-margin);
    (value, smoothing * sigmoid(margin) - (1.0 - smoothing) * sigmoid(-margin))
}

/// Returns the slope of the sigmoid.
fn bell(value: f64) -> f64 {
    sigmoid(value) * sigmoid(-value)
}

/// Computes AOT (Melnyk et al. 2024): the sorted margins of the model are compared with the sorted margins of the reference.
fn aot(settings: &Dpo, pairs: &[Pair]) -> Vec<Loss> {
    let margins = sorted(pairs.iter().map(|[chosen, rejected]| chosen.log_probability - rejected.log_probability));
    let references = sorted(pairs.iter().map(|[chosen, rejected]| chosen.reference - rejected.reference));
    let mut losses = vec![Loss::default(); pairs.len()];
    for ((pair, margin), (_, reference)) in margins.into_iter().zip(references) {
        let (value, slope) = logistic(settings.beta * (margin - reference), settings.label_smoothing);
        losses[pair] = Loss { value, slopes: [slope * settings.beta, -slope * settings.beta] };
    }
    losses
}

/// Computes unpaired AOT: the sorted log-ratios of the chosen answers are compared with those of the rejected ones.
fn aot_unpaired(settings: &Dpo, pairs: &[Pair]) -> Vec<Loss> {
    let [chosen, rejected] = [0, 1].map(|side| sorted(pairs.iter().map(|pair| pair[side].log_ratio())));
    let mut losses = vec![Loss::default(); pairs.len()];
    for ((won, chosen), (lost, rejected)) in chosen.into_iter().zip(rejected) {
        let (value, slope) = logistic(settings.beta * (chosen - rejected), settings.label_smoothing);
        losses[won].value += value;
        losses[won].slopes[0] += slope * settings.beta;
        losses[lost].slopes[1] -= slope * settings.beta;
    }
    losses
}

/// Sorts values, and returns each with its index before.
fn sorted(values: impl Iterator<Item = f64>) -> Vec<(usize, f64)> {
    let mut sorted: Vec<(usize, f64)> = values.enumerate().collect();
    sorted.sort_by(|left, right| left.1.total_cmp(&right.1));
    sorted
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::dpo::{Divergence, losses::Answer};

    const ALL: [DpoLoss; 15] = [
        DpoLoss::Sigmoid,
        DpoLoss::SigmoidNorm,
        DpoLoss::Hinge,
        DpoLoss::Ipo,
        DpoLoss::ExoPair,
        DpoLoss::NcaPair,
        DpoLoss::Robust,
        DpoLoss::BcoPair,
        DpoLoss::SppoHard,
        DpoLoss::Aot,
        DpoLoss::AotUnpaired,
        DpoLoss::ApoZero,
        DpoLoss::ApoDown,
        DpoLoss::Discopop,
        DpoLoss::Sft,
    ];

    fn pairs() -> Vec<Pair> {
        let answer = |log_probability, reference, tokens| Answer { log_probability, reference, tokens };
        vec![
            [answer(-12.0, -13.5, 4), answer(-9.0, -8.2, 3)],
            [answer(-20.3, -19.0, 9), answer(-15.0, -16.4, 7)],
            [answer(-3.1, -3.0, 1), answer(-6.0, -6.5, 2)],
        ]
    }

    #[test]
    fn slopes_are_those_of_finite_differences() {
        let divergences = [Divergence::ReverseKl, Divergence::ForwardKl, Divergence::JsDivergence, Divergence::AlphaDivergence];
        for (kind, f_divergence_type) in ALL.into_iter().flat_map(|kind| divergences.map(|divergence| (kind, divergence))) {
            let settings = Dpo { beta: 0.4, label_smoothing: 0.1, f_divergence_type, discopop_tau: 0.5, ..Dpo::default() };
            let total = |pairs: &[Pair]| losses(kind, &settings, pairs).iter().map(|loss| loss.value).sum::<f64>();
            let found = losses(kind, &settings, &pairs());
            for (index, side) in (0..3).flat_map(|index| [(index, 0), (index, 1)]) {
                let at = |step: f64| {
                    let mut moved = pairs();
                    moved[index][side].log_probability += step;
                    total(&moved)
                };
                let (slope, expected) = (found[index].slopes[side], (at(1e-5) - at(-1e-5)) / 2e-5);
                assert!(
                    (slope - expected).abs() < 1e-6 * (1.0 + expected.abs()),
                    "{kind:?} {f_divergence_type:?}: {slope} {expected}"
                );
            }
        }
    }

    #[test]
    fn values_are_those_worked_out_by_hand() {
        // The first pair has log-ratios of 1.5 and -0.8, so with beta 0.5 a margin of 1.15.
        let first = &pairs()[..1];
        let value = |kind, label_smoothing| losses(kind, &Dpo { beta: 0.5, label_smoothing, ..Dpo::default() }, first)[0].value;
        for (kind, smoothing, expected) in [
            (DpoLoss::Sigmoid, 0.0, (-1.15_f64).exp().ln_1p()),
            (DpoLoss::Sigmoid, 0.3, 0.7 * (-1.15_f64).exp().ln_1p() + 0.3 * 1.15_f64.exp().ln_1p()),
            (DpoLoss::Hinge, 0.0, 0.0),
            (DpoLoss::Ipo, 0.0, (1.5 / 4.0 + 0.8 / 3.0 - 1.0_f64).powi(2)),
            (DpoLoss::SppoHard, 0.0, 0.5_f64.powi(2) + 0.2_f64.powi(2)),
            (DpoLoss::Aot, 0.0, (-1.15_f64).exp().ln_1p()),
            (DpoLoss::AotUnpaired, 0.0, (-1.15_f64).exp().ln_1p()),
            (DpoLoss::ApoZero, 0.0, 1.0 - 1.0 / (1.0 + (-0.75_f64).exp()) + 1.0 / (1.0 + 0.4_f64.exp())),
        ] {
            let found = value(kind, smoothing);
            assert!((found - expected).abs() < 1e-12, "{kind:?}: {found} {expected}");
        }
    }
}
