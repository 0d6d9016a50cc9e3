//! The head on another device than the processor. Takes activations of each target; gives predictions. Then takes slopes; gives gradients.
//!
//! Logits of all targets can be gigabytes (256,000 a target with Gemma's vocabulary). So they are computed for some targets at a time, and
//! nothing of their size is kept or copied to the processor. A log-probability depends on its own target's activations only, so its
//! derivative by them can be computed in the forward pass, before its slope is known, and multiplied by the slope later. If the head is
//! trained too, its logits are computed a second time.

use burn::tensor::{DType, IndexingUpdateOp, Int, Tensor, TensorData, activation};

use super::Prediction;
use crate::{
    models::{FIGURES, Model, Target, inject_gradient, prediction_figures, prediction_slopes},
    train::gradients::Gradients,
};

/// Logits that are computed at a time: half a GiB in bfloat16, and as much for their gradient. Without kernels of our own, each is in several
/// tensors of f32 until the next ones are computed. In tests the number is small enough to need several parts.
pub(crate) const LOGITS: usize = if cfg!(test) { 700 } else { 1 << 28 };

/// What the backward pass of a head needs.
pub(crate) struct Head {
    /// `[targets, hidden_size]`: derivatives of the log-probabilities by the activations if the head is not trained, else the activations.
    kept: Tensor<2>,
    trained: bool,
    tokens: Tensor<2, Int>,
    /// The figures of the predictions, `[targets, FIGURES]`.
    figures: Tensor<2>,
}

/// Predicts each target from `[targets, hidden_size]` without gradients; `model` may have leaves.
pub(crate) fn predict(model: &Model, hidden: &Tensor<2>, targets: &[Target]) -> Vec<Prediction> {
    read(figures_of(model, hidden, &tokens_of(hidden, targets)))
}

/// Computes the figures that predictions are made from, `[targets, FIGURES]`.
fn figures_of(model: &Model, hidden: &Tensor<2>, tokens: &Tensor<2, Int>) -> Tensor<2> {
    let of_part = |[from, count]: [usize; 2]| {
        let logits = model.raw_head(hidden.clone().narrow(0, from, count)).inner();
        figures(&logits, &tokens.clone().narrow(0, from, count))
    };
    Tensor::cat(parts(model, tokens.dims()[0]).into_iter().map(of_part).collect(), 0)
}

/// Predicts as [`predict`] does, and returns what the backward pass needs. `trained` says whether the model has leaves.
pub(crate) fn forward(model: &Model, hidden: Tensor<2>, targets: &[Target], trained: bool) -> (Vec<Prediction>, Head) {
    let tokens = tokens_of(&hidden, targets);
    if !trained {
        let (mut all, mut derivatives) = (Vec::new(), Vec::new());
        for [from, count] in parts(model, targets.len()) {
            let tokens = tokens.clone().narrow(0, from, count);
            let leaf = hidden.clone().narrow(0, from, count).autodiff().require_grad();
            let logits = model.raw_head(leaf.clone());
            let of_part = figures(&logits.clone().inner(), &tokens);
            // Slopes of 1 give the derivatives of the log-probabilities themselves.
            let ones = Tensor::ones([count, 1], &hidden.device());
            let mut gradients = inject_slopes(logits, &tokens, &of_part, &ones).backward();
            all.push(of_part);
            derivatives.push(leaf.grad_remove(&mut gradients).expect("logits depend on the activations"));
        }
        let figures = Tensor::cat(all, 0);
        return (read(figures.clone()), Head { kept: Tensor::cat(derivatives, 0), trained, tokens, figures });
    }
    let figures = figures_of(model, &hidden, &tokens);
    (read(figures.clone()), Head { kept: hidden, trained, tokens, figures })
}

impl Head {
    /// Returns the gradient of the activations, `[targets, hidden_size]`, and adds those of the model's leaves to `found`.
    pub(crate) fn backward(self, model: &Model, names: &[String], slopes: &[f32], found: &mut Gradients) -> Tensor<2> {
        let count = slopes.len();
        let slopes = Tensor::<2>::from_data(TensorData::new(slopes.to_vec(), [count, 1]), &self.kept.device());
        if !self.trained {
            return self.kept * slopes;
        }
        let mut of_hidden = Vec::new();
        for [from, count] in parts(model, count) {
            let leaf = self.kept.clone().narrow(0, from, count).autodiff().require_grad();
            let tokens = self.tokens.clone().narrow(0, from, count);
            let logits = model.raw_head(leaf.clone());
            let [figures, slopes] = [&self.figures, &slopes].map(|all| all.clone().narrow(0, from, count));
            let mut gradients = inject_slopes(logits, &tokens, &figures, &slopes).backward();
            of_hidden.push(leaf.grad_remove(&mut gradients).expect("logits depend on the activations"));
            found.add(model.parameters(), names, &mut gradients);
        }
        Tensor::cat(of_hidden, 0)
    }
}

/// Splits targets into parts of at most `LOGITS` logits. Returns the first target of each part, and the number of its targets.
fn parts(model: &Model, targets: usize) -> Vec<[usize; 2]> {
    let most = (LOGITS / model.vocab_size().max(1)).max(1);
    (0..targets).step_by(most).map(|from| [from, most.min(targets - from)]).collect()
}

fn tokens_of(hidden: &Tensor<2>, targets: &[Target]) -> Tensor<2, Int> {
    let tokens: Vec<i32> = targets.iter().map(|target| target.token.cast_signed()).collect();
    Tensor::from_data(TensorData::new(tokens, [targets.len(), 1]), &hidden.device())
}

/// Returns a scalar whose backward pass gives logits the gradient of the log-probabilities, each multiplied by its slope.
fn inject_slopes(logits: Tensor<2>, tokens: &Tensor<2, Int>, figures: &Tensor<2>, slopes: &Tensor<2>) -> Tensor<2> {
    let inner = logits.clone().inner();
    let slope = prediction_slopes(&inner, tokens, figures, slopes).unwrap_or_else(|| {
        let dtype = inner.dtype();
        let probabilities = activation::softmax(inner.cast(DType::F32), 1);
        (probabilities * slopes.clone().neg()).scatter(1, tokens.clone(), slopes.clone(), IndexingUpdateOp::Add).cast(dtype)
    });
    inject_gradient(logits, slope)
}

/// Computes the figures of logits, `[targets, FIGURES]`.
fn figures(logits: &Tensor<2>, tokens: &Tensor<2, Int>) -> Tensor<2> {
    prediction_figures(logits, tokens).unwrap_or_else(|| composed(logits.clone().cast(DType::F32), tokens.clone()))
}

fn composed(logits: Tensor<2>, tokens: Tensor<2, Int>) -> Tensor<2> {
    let largest = logits.clone().max_dim(1);
    let correct = logits.clone().argmax(1).equal(tokens.clone()).float();
    let below = logits - largest.clone();
    let logit = below.clone().gather(1, tokens);
    let powers = below.clone().exp();
    let total = powers.clone().sum_dim(1);
    let squares = powers.clone().square().sum_dim(1);
    let weighted = (powers * below.clone()).sum_dim(1);
    let mean = below.mean_dim(1);
    Tensor::cat(vec![largest, correct, logit, total, squares, weighted, mean], 1)
}

/// Copies the figures of all targets to the processor at once.
fn read(figures: Tensor<2>) -> Vec<Prediction> {
    let figures = figures.into_data().try_into_vec::<f32>().expect("logits are f32");
    let figures = figures.as_chunks::<FIGURES>().0.iter().map(|figures| figures.map(f64::from));
    let prediction = |[largest, correct, logit, total, squares, weighted, mean]: [f64; FIGURES]| Prediction {
        log_probability: logit - total.ln(),
        entropy: total.ln() - weighted / total,
        mean_logit: largest + mean,
        log_sum_squares: squares.ln() - 2.0 * total.ln(),
        correct: correct > 0.5,
    };
    figures.map(prediction).collect()
}
