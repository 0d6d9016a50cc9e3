//! Losses against figures worked in double precision from the formulas, and gradients against finite differences.

use burn::tensor::{Device, TensorData};

use super::*;
use crate::train::settings::{Divergence, DpoLoss};

const CHOSEN: [f32; 3] = [-4.0, -6.5, -3.0];
const REJECTED: [f32; 3] = [-5.0, -4.25, -9.0];

/// Worked from the formulas in numpy: `beta` 0.5, `label_smoothing` 0.1, `discopop_tau` 0.05.
const FIGURES: [(DpoLoss, f32); 15] = [
    (DpoLoss::Sigmoid, 0.993199),
    (DpoLoss::SigmoidNorm, 0.737774),
    (DpoLoss::Hinge, 1.25),
    (DpoLoss::Ipo, 1.69052),
    (DpoLoss::ExoPair, 0.71337),
    (DpoLoss::NcaPair, 1.53199),
    (DpoLoss::Robust, 1.04007),
    (DpoLoss::BcoPair, 1.666),
    (DpoLoss::SppoHard, 9.0625),
    (DpoLoss::Aot, 0.898219),
    (DpoLoss::AotUnpaired, 0.901685),
    (DpoLoss::ApoZero, 1.02452),
    (DpoLoss::ApoDown, 1.02565),
    (DpoLoss::Discopop, 1.08322),
    (DpoLoss::Sft, 1.22727),
];

fn settings(name: DpoLoss, divergence: Divergence) -> Dpo {
    Dpo {
        beta: 0.5,
        label_smoothing: 0.1,
        loss_type: vec![name],
        f_divergence_type: divergence,
        f_alpha_divergence_coef: 0.7,
        ..Dpo::default()
    }
}

fn tensor(values: [f32; 3]) -> Tensor<1> {
    Tensor::from_data(TensorData::new(values.to_vec(), [3]), &Device::flex().autodiff())
}

fn pairs(chosen: Tensor<1>, rejected: Tensor<1>) -> Pairs {
    Pairs {
        chosen_tokens: chosen.clone(),
        chosen,
        rejected,
        reference_chosen: tensor([-4.5, -6.0, -3.25]),
        reference_rejected: tensor([-4.75, -8.0, -7.0]),
        chosen_lengths: tensor([4.0, 5.0, 2.0]),
        rejected_lengths: tensor([3.0, 4.0, 6.0]),
        weights: None,
    }
}

fn value(chosen: [f32; 3], rejected: [f32; 3], settings: &Dpo) -> f32 {
    loss(&pairs(tensor(chosen), tensor(rejected)), settings).into_scalar()
}

fn close(found: f32, expected: f32, tolerance: f32) -> bool {
    (found - expected).abs() <= tolerance * expected.abs().max(1.0)
}

#[test]
fn each_loss_is_the_formulas_figure() {
    for (name, expected) in FIGURES {
        let found = value(CHOSEN, REJECTED, &settings(name, Divergence::ReverseKl));
        assert!(close(found, expected, 1e-5), "{name:?}: {found}, and the formula gives {expected}");
    }
}

#[test]
fn each_divergence_is_the_formulas_figure() {
    let figures =
        [(Divergence::ForwardKl, 0.584633), (Divergence::JsDivergence, 0.648885), (Divergence::AlphaDivergence, 0.782746)];
    for (divergence, expected) in figures {
        let found = value(CHOSEN, REJECTED, &Dpo { label_smoothing: 0.0, ..settings(DpoLoss::Sigmoid, divergence) });
        assert!(close(found, expected, 1e-5), "{divergence:?}: {found}, and the formula gives {expected}");
    }
}

#[test]
fn gradients_are_those_of_finite_differences() {
    let divergences = [Divergence::ReverseKl, Divergence::ForwardKl, Divergence::JsDivergence, Divergence::AlphaDivergence];
    let step = 1e-2_f32;
    for (name, _) in FIGURES {
        for divergence in divergences {
            let settings = Dpo { discopop_tau: 1.0, ..settings(name, divergence) };
            let leaves = [tensor(CHOSEN).require_grad(), tensor(REJECTED).require_grad()];
            let gradients = loss(&pairs(leaves[0].clone(), leaves[1].clone()), &settings).backward();
            let gradient = |leaf: &Tensor<1>| {
                let gradient = leaf.grad(&gradients).map(|gradient| gradient.into_data().try_into_vec::<f32>().unwrap());
                gradient.unwrap_or_else(|| vec![0.0; 3])
            };
            let found = [gradient(&leaves[0]), gradient(&leaves[1])];
            for place in 0..6 {
                let moved = |by: f32| {
                    let mut values = [CHOSEN, REJECTED];
                    values[place / 3][place % 3] += by;
                    value(values[0], values[1], &settings)
                };
                let expected = (moved(step) - moved(-step)) / (2.0 * step);
                let found = found[place / 3][place % 3];
                assert!(
                    close(found, expected, 2e-3),
                    "{name:?} {divergence:?} {place}: {found}, and differences give {expected}"
                );
            }
        }
    }
}

#[test]
fn losses_are_added_up_by_their_weights() {
    let one = |name| value(CHOSEN, REJECTED, &settings(name, Divergence::ReverseKl));
    let both = Dpo {
        loss_type: vec![DpoLoss::Ipo, DpoLoss::Sft],
        loss_weights: Some(vec![2.0, 0.5]),
        ..settings(DpoLoss::Ipo, Divergence::ReverseKl)
    };
    assert!(close(value(CHOSEN, REJECTED, &both), 2.0 * one(DpoLoss::Ipo) + 0.5 * one(DpoLoss::Sft), 1e-6));
    let unweighted = Dpo { loss_weights: None, ..both };
    assert!(close(value(CHOSEN, REJECTED, &unweighted), one(DpoLoss::Ipo) + one(DpoLoss::Sft), 1e-6));
}

#[test]
fn the_order_of_pairs_changes_no_loss_of_a_micro_batch() {
    let turned = |values: [f32; 3]| [values[2], values[0], values[1]];
    let mut other = pairs(tensor(turned(CHOSEN)), tensor(turned(REJECTED)));
    other.reference_chosen = tensor(turned([-4.5, -6.0, -3.25]));
    other.reference_rejected = tensor(turned([-4.75, -8.0, -7.0]));
    for name in [DpoLoss::Aot, DpoLoss::AotUnpaired] {
        let settings = settings(name, Divergence::ReverseKl);
        assert!(close(loss(&other, &settings).into_scalar(), value(CHOSEN, REJECTED, &settings), 1e-6));
    }
}

#[test]
fn weights_of_pairs_multiply_their_losses() {
    let settings = settings(DpoLoss::Hinge, Divergence::ReverseKl);
    let weighted = Pairs { weights: Some(tensor([2.0, 0.0, 0.0])), ..pairs(tensor(CHOSEN), tensor(REJECTED)) };
    // Of the first pair: 1 - 0.5 ((-4 + 4.5) - (-5 + 4.75)) = 0.625, twice, over three pairs.
    assert!(close(loss(&weighted, &settings).into_scalar(), 0.625 * 2.0 / 3.0, 1e-6));
}

#[test]
fn tokens_that_the_longer_answer_has_more_count_less() {
    assert_eq!(weights::of_tokens(2, 4, 0.25), [vec![1.0, 1.0], vec![1.0, 1.0, 0.25, 0.25]]);
    assert_eq!(weights::of_tokens(3, 1, 0.0), [vec![1.0, 0.0, 0.0], vec![1.0]]);
}

#[test]
fn an_answer_that_the_model_would_give_counts_one() {
    // At each place one token has all probability, and it is the answer's.
    assert_eq!(weights::of_answer(&[0.0, 0.0], &[0.0, 0.0]), 1.0);
    // Halves everywhere: the squares add up to a half, ln 0.5 - ln 0.5 = 0.
    let half = 0.5_f64.ln();
    assert!((weights::of_answer(&[half, half], &[half, half]) - 1.0).abs() < 1e-12);
    assert!((weights::of_answer(&[half, 2.0 * half], &[0.0, 0.0]) - 0.5_f64.powf(1.5)).abs() < 1e-12);
}
