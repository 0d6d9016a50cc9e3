//! The objective of direct preference optimisation. Takes pairs of answers, and the model's and the reference's predictions of both; gives
//! batches, losses and slopes.

use super::{
    Dpo, DpoLoss, DpoRow, Reference,
    losses::{self, Answer, Loss, Pair},
};
use crate::{
    models::{Batch, Model, Row},
    train::{
        head::Prediction,
        objective::{Objective, Scored, Share, Weighed},
        settings::Training,
        shards,
    },
};

/// Where the reference's log-probabilities come from.
enum Source {
    /// They are 0, since there is no reference.
    None,
    /// They were computed before: for each row, those of the chosen and of the rejected answer.
    Known(Vec<[f64; 2]>),
    /// They are computed by a model that follows the trained one.
    Synced(Box<Model>),
    /// They are computed by the base with its trained biases.
    Biased(Box<Model>),
}

/// The pairs and their reference.
pub(super) struct Pairs<'a> {
    settings: &'a Dpo,
    training: &'a Training,
    /// The prepared rows.
    prepared: &'a mut [DpoRow],
    /// The same rows, as they are laid out in batches.
    rows: Vec<Row>,
    reference: Source,
}

impl<'a> Pairs<'a> {
    /// Lays pairs out, with each answer cut so that it and its prompt fit into `max_length`. Nothing is computed yet.
    pub(super) fn new(settings: &'a Dpo, training: &'a Training, rows: &'a mut [DpoRow]) -> Self {
        let pair = |row: &DpoRow| {
            let answers = [&row.chosen_ids, &row.rejected_ids].map(|answer| row.within(answer, training.max_length).to_vec());
            Row::new(row.prompt_ids.clone(), answers.into())
        };
        Self { settings, training, rows: rows.iter().map(pair).collect(), prepared: rows, reference: Source::None }
    }

    /// Computes a frozen model's log-probabilities of all pairs of these micro-batches. They are laid out as in the training, so that a model
    /// that is its own reference predicts the same to the bit.
    fn ask(&mut self, model: &Model, micro_batches: &[&[usize]]) {
        let mut known = vec![None; self.rows.len()];
        for &rows in micro_batches {
            if rows.iter().all(|&row| known[row].is_some()) {
                continue;
            }
            let shards = shards::split(self, rows, self.training.shards);
            let predictions = shards::refer(model, shards.iter().map(|shard| &shard.batch));
            for (shard, predictions) in shards.iter().zip(&predictions) {
                for (&row, sums) in shard.rows.iter().zip(sums(self.settings, &shard.batch, predictions)) {
                    known[row].get_or_insert(sums);
                }
            }
        }
        self.reference = Source::Known(known.into_iter().map(Option::unwrap_or_default).collect());
    }

    /// Returns the pairs of all shards, with their log-probabilities.
    fn read(&self, scored: &[Scored<'_>]) -> Vec<Pair> {
        let asked = match &self.reference {
            Source::Synced(model) | Source::Biased(model) => shards::refer(model, scored.iter().map(|shard| shard.batch)),
            Source::None | Source::Known(_) => Vec::new(),
        };
        let mut pairs = Vec::new();
        for (index, shard) in scored.iter().enumerate() {
            let references = match &self.reference {
                Source::None => vec![[0.0; 2]; shard.rows.len()],
                Source::Known(known) => shard.rows.iter().map(|&row| known[row]).collect(),
                Source::Synced(_) | Source::Biased(_) => sums(self.settings, shard.batch, &asked[index]).collect(),
            };
            let lengths = shard.batch.sequences.chunks_exact(2);
            let each = sums(self.settings, shard.batch, shard.predictions).zip(references).zip(lengths);
            pairs.extend(each.map(|((sums, references), lengths)| {
                let answer = |side: usize| Answer {
                    log_probability: sums[side],
                    reference: references[side],
                    tokens: lengths[side].len(),
                };
                [answer(0), answer(1)]
            }));
        }
        pairs
    }
}

impl Objective for Pairs<'_> {
    fn rows(&self) -> usize {
        self.rows.len()
    }

    fn width(&self, row: usize) -> usize {
        self.rows[row].width()
    }

    fn tokens(&self, row: usize) -> usize {
        self.rows[row].tokens()
    }

    fn targets(&self, row: usize) -> usize {
        self.rows[row].targets()
    }

    fn lay_out(&self, rows: &[usize]) -> Batch {
        Batch::new(&rows.iter().map(|&row| &self.rows[row]).collect::<Vec<_>>())
    }

    fn weigh(&self, scored: &[Scored<'_>], step: Share) -> Weighed {
        let pairs: Vec<Pair> = self.read(scored);
        let weights: Vec<f64> = scored.iter().flat_map(|shard| pair_weights(self.settings, shard)).collect();
        let chosen_tokens: usize = pairs.iter().map(|pair| pair[0].tokens).sum();
        let (mut loss, mut token_slope) = (0.0, 0.0);
        let mut slopes = vec![[0.0; 2]; pairs.len()];
        let part = 1.0 / (pairs.len().max(1) * step.micro_batches) as f64;
        for (index, &kind) in self.settings.loss_type.iter().enumerate() {
            let factor = self.settings.loss_weights.as_ref().map_or(1.0, |weights| weights[index]);
            if kind == DpoLoss::Sft {
                // The mean over the chosen tokens of all pairs, times the mean weight of the pairs.
                let mean_weight = weights.iter().sum::<f64>() * part;
                token_slope -= factor * mean_weight / chosen_tokens.max(1) as f64;
                continue;
            }
            for (pair, Loss { value, slopes: each }) in losses::losses(kind, self.settings, &pairs).into_iter().enumerate() {
                let share = factor * weights[pair] * part;
                loss += share * value;
                slopes[pair] = [slopes[pair][0] + share * each[0], slopes[pair][1] + share * each[1]];
            }
        }
        let chosen_sum: f64 = scored.iter().map(chosen_log_probability).sum();
        loss += token_slope * chosen_sum;
        let mut rest = slopes.as_slice();
        let mut shard_slopes = Vec::with_capacity(scored.len());
        for shard in scored {
            let (own, after) = rest.split_at(shard.batch.sequences.len() / 2);
            shard_slopes.push(spread(self.settings, shard, own, token_slope));
            rest = after;
        }
        let figures = figures(self.settings, scored, &pairs);
        Weighed { loss, slopes: shard_slopes, figures }
    }

    fn figures(&self) -> &'static [&'static str] {
        &FIGURES
    }

    fn begin(&mut self, model: &Model, batches: &[&[usize]]) {
        let Dpo { reference, sync_ref_model, precompute_ref_log_probs: precompute, .. } = *self.settings;
        // Log-probabilities that are written into rows are written into all rows, not only into those that the steps reach.
        let all: Vec<usize> = (0..self.rows.len()).filter(|_| precompute).collect();
        let batches: Vec<&[usize]> = batches.iter().copied().chain(all.chunks(self.training.batch_size)).collect();
        match reference {
            Reference::None => {}
            _ if sync_ref_model => {
                let mut start = model.clone();
                start.parameters_mut().thaw(&model.trained_names());
                self.reference = Source::Synced(Box::new(start));
            }
            Reference::BaseModel => {
                let (mut base, biases) = (model.without_adapter(), model.trained_biases());
                base.take(&biases, model);
                if biases.is_empty() || precompute {
                    self.ask(&base, &batches);
                } else {
                    self.reference = Source::Biased(Box::new(base));
                }
            }
            Reference::StartAdapter => self.ask(model, &batches),
        }
        if let (true, Source::Known(known)) = (precompute, &self.reference) {
            for (row, &[chosen, rejected]) in self.prepared.iter_mut().zip(known) {
                (row.ref_chosen_logps, row.ref_rejected_logps) = (Some(chosen), Some(rejected));
            }
        }
    }

    fn reference(&mut self) -> Option<&mut Model> {
        match &mut self.reference {
            Source::Synced(model) | Source::Biased(model) => Some(model),
            Source::None | Source::Known(_) => None,
        }
    }

    fn follow(&mut self, step: usize, model: &Model) {
        let Dpo { ref_model_sync_steps, ref_model_mixup_alpha, .. } = *self.settings;
        match &mut self.reference {
            Source::Synced(reference) if step.is_multiple_of(ref_model_sync_steps) => {
                reference.mix(model, ref_model_mixup_alpha);
            }
            Source::Biased(base) => base.take(&model.trained_biases(), model),
            Source::None | Source::Known(_) | Source::Synced(_) => {}
        }
    }
}

/// Returns the log-probabilities of both answers of each pair: sums over tokens, in which the tail of the longer answer is weighted.
fn sums<'a>(settings: &'a Dpo, batch: &'a Batch, predictions: &'a [Prediction]) -> impl Iterator<Item = [f64; 2]> + 'a {
    batch.sequences.chunks_exact(2).map(move |sequences| {
        let shared = sequences.iter().map(Vec::len).min().unwrap_or(0);
        let sum = |side: usize| {
            let tokens = sequences[side].iter().enumerate();
            tokens.map(|(place, &target)| predictions[target].log_probability * weight(settings, place, shared)).sum()
        };
        [sum(0), sum(1)]
    })
}

/// Returns the weight of an answer's token. `shared` is the length of the shorter answer (LD-DPO, Liu et al. 2024).
fn weight(settings: &Dpo, place: usize, shared: usize) -> f64 {
    if place < shared { 1.0 } else { settings.ld_alpha.unwrap_or(1.0) }
}

/// Returns the sum of the log-probabilities of all chosen tokens.
fn chosen_log_probability(scored: &Scored<'_>) -> f64 {
    let chosen = scored.batch.sequences.iter().step_by(2).flatten();
    chosen.map(|&target| scored.predictions[target].log_probability).sum()
}

/// Returns each pair's weight, by the probability with which the model would generate both answers itself (WPO, Zhou et al. 2024).
fn pair_weights(settings: &Dpo, scored: &Scored<'_>) -> Vec<f64> {
    let likely = |sequence: &Vec<usize>| {
        let aligned = sequence.iter().map(|&target| {
            let prediction = &scored.predictions[target];
            prediction.log_probability - prediction.log_sum_squares
        });
        (aligned.sum::<f64>() / sequence.len().max(1) as f64).exp()
    };
    let weight = |pair: &[Vec<usize>]| if settings.use_weighting { pair.iter().map(likely).product() } else { 1.0 };
    scored.batch.sequences.chunks_exact(2).map(weight).collect()
}

/// Returns the slope of each target, from the slopes of both answers of each pair and one slope of each chosen token. A target that both
/// answers share has the sum of both.
fn spread(settings: &Dpo, scored: &Scored<'_>, slopes: &[[f64; 2]], token_slope: f64) -> Vec<f32> {
    let mut spread = vec![0.0_f64; scored.predictions.len()];
    for (sequences, slopes) in scored.batch.sequences.chunks_exact(2).zip(slopes) {
        let shared = sequences.iter().map(Vec::len).min().unwrap_or(0);
        for (side, sequence) in sequences.iter().enumerate() {
            for (place, &target) in sequence.iter().enumerate() {
                spread[target] += slopes[side] * weight(settings, place, shared);
                spread[target] += if side == 0 { token_slope } else { 0.0 };
            }
        }
    }
    spread.into_iter().map(|slope| slope as f32).collect()
}

/// Names of the metrics beside the loss.
const FIGURES: [&str; 10] = [
    "rewards/chosen",
    "rewards/rejected",
    "rewards/margins",
    "rewards/accuracies",
    "logps/chosen",
    "logps/rejected",
    "logits/chosen",
    "logits/rejected",
    "entropy",
    "mean_token_accuracy",
];

/// Computes TRL's metrics of a micro-batch.
fn figures(settings: &Dpo, scored: &[Scored<'_>], pairs: &[Pair]) -> Vec<(&'static str, f64)> {
    let mean = |value: &dyn Fn(&Pair) -> f64| pairs.iter().map(value).sum::<f64>() / pairs.len().max(1) as f64;
    let reward = |pair: &Pair, side: usize| settings.beta * pair[side].log_ratio();
    // Means over the tokens of both answers, of the chosen ones and of the rejected ones.
    let predictions = |first: usize, every: usize| {
        scored.iter().flat_map(move |shard| {
            let sequences = shard.batch.sequences.iter().skip(first).step_by(every);
            sequences.flatten().map(|&target| &shard.predictions[target])
        })
    };
    let token_mean = |first, every, value: &dyn Fn(&Prediction) -> f64| {
        let count = predictions(first, every).count();
        predictions(first, every).map(value).sum::<f64>() / count.max(1) as f64
    };
    let values = [
        mean(&|pair| reward(pair, 0)),
        mean(&|pair| reward(pair, 1)),
        mean(&|pair| reward(pair, 0) - reward(pair, 1)),
        mean(&|pair| f64::from(u8::from(reward(pair, 0) > reward(pair, 1)))),
        mean(&|pair| pair[0].log_probability),
        mean(&|pair| pair[1].log_probability),
        token_mean(0, 2, &|prediction| prediction.mean_logit),
        token_mean(1, 2, &|prediction| prediction.mean_logit),
        token_mean(0, 1, &|prediction| prediction.entropy),
        token_mean(0, 2, &|prediction| f64::from(u8::from(prediction.correct))),
    ];
    FIGURES.into_iter().zip(values).collect()
}
