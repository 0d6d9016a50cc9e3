//! The objective of supervised fine-tuning. Takes rows of ids with labels, and the model's predictions of the labels; gives batches, and the
//! negative log-likelihood with its slopes.

use super::{IGNORED, Sft, SftLoss, SftRow};
use crate::{
    models::{Batch, Target},
    train::objective::{Objective, Scored, Share, Weighed},
};

/// Rows with labels, and the settings of the loss over them.
pub(crate) struct Labelled<'a> {
    pub(crate) rows: &'a [SftRow],
    pub(crate) settings: &'a Sft,
}

impl Objective for Labelled<'_> {
    fn rows(&self) -> usize {
        self.rows.len()
    }

    fn width(&self, row: usize) -> usize {
        self.rows[row].input_ids.len()
    }

    fn tokens(&self, row: usize) -> usize {
        self.width(row)
    }

    fn targets(&self, row: usize) -> usize {
        targets(&self.rows[row]).count()
    }

    fn lay_out(&self, rows: &[usize]) -> Batch {
        let rows: Vec<&SftRow> = rows.iter().map(|&row| &self.rows[row]).collect();
        let width = rows.iter().map(|row| row.input_ids.len()).max().unwrap_or(0);
        let mut batch = Batch::empty(rows.len(), width);
        for (index, row) in rows.iter().enumerate() {
            let start = index * width;
            for (slot, id) in batch.ids[start..].iter_mut().zip(&row.input_ids) {
                *slot = id.cast_signed();
            }
            let first = batch.targets.len();
            batch.targets.extend(targets(row).map(|(column, token)| Target { place: start + column - 1, token }));
            batch.sequences.push((first..batch.targets.len()).collect());
            if let Some(lengths) = &row.seq_lengths {
                batch.pack(index, lengths);
            }
        }
        batch
    }

    fn figures(&self) -> &'static [&'static str] {
        &["entropy", "mean_token_accuracy"]
    }

    fn weigh(&self, scored: &[Scored<'_>], step: Share) -> Weighed {
        let total = step.targets.max(1) as f64;
        let (mut loss, mut entropy, mut correct, mut count) = (0.0, 0.0, 0_usize, 0_usize);
        let mut slopes = Vec::with_capacity(scored.len());
        for shard in scored {
            let mut shard_slopes = Vec::with_capacity(shard.predictions.len());
            for prediction in shard.predictions {
                // DFT (Wu et al. 2025): each token is weighted by its own probability, through which no gradient flows.
                let weight = match self.settings.loss_type {
                    SftLoss::Nll => 1.0,
                    SftLoss::Dft => prediction.log_probability.exp(),
                };
                loss -= weight * prediction.log_probability / total;
                shard_slopes.push((-weight / total) as f32);
                entropy += prediction.entropy;
                correct += usize::from(prediction.correct);
                count += 1;
            }
            slopes.push(shard_slopes);
        }
        let mean = |sum: f64| if count == 0 { 0.0 } else { sum / count as f64 };
        Weighed { loss, slopes, figures: vec![("entropy", mean(entropy)), ("mean_token_accuracy", mean(correct as f64))] }
    }
}

/// Returns a row's learned tokens with their columns. The first token of a document is never predicted.
fn targets(row: &SftRow) -> impl Iterator<Item = (usize, u32)> + '_ {
    let starts = row.seq_lengths.iter().flatten().scan(0, |start, length| {
        let begin = *start;
        *start += length;
        Some(begin)
    });
    let starts: Vec<usize> = starts.collect();
    let learned = row.input_ids.iter().zip(&row.labels).enumerate().skip(1);
    learned.filter_map(move |(column, (&token, &label))| {
        (label != IGNORED && starts.binary_search(&column).is_err()).then_some((column, token))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows() -> [SftRow; 2] {
        [
            SftRow { input_ids: vec![5, 6, 7, 8], labels: vec![5, IGNORED, 7, 8], seq_lengths: Some(vec![2, 2]) },
            SftRow { input_ids: vec![9, 4], labels: vec![IGNORED, 4], seq_lengths: Some(vec![2]) },
        ]
    }

    #[test]
    fn documents_of_a_row_begin_at_0_and_their_first_tokens_are_not_learned() {
        let rows = rows();
        let batch = Labelled { rows: &rows, settings: &Sft::default() }.lay_out(&[1, 0]);
        assert_eq!(batch.ids, [9, 4, 0, 0, 5, 6, 7, 8]);
        assert_eq!(batch.positions[4..], [0, 1, 0, 1]);
        assert_eq!(batch.targets, [Target { place: 0, token: 4 }, Target { place: 6, token: 8 }]);
        assert!(!batch.sees(1, 2, 1) && batch.sees(1, 3, 2) && !batch.sees(0, 2, 1));
    }
}
