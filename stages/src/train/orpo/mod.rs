//! Odds ratio preference optimisation (Hong et al. 2024). Takes pairs of answers to a prompt; gives the negative log-likelihood of the chosen
//! answer with its prompt, less the log-odds ratio of the two answers. There is no reference.
//!
//! All is as in TRL's `ORPOTrainer`, except that a pair is dropped if its prompt leaves no room for an answer: TRL keeps it, and its loss is not
//! a number; and that rewards and `logps` are means over all pairs of a step: where the last step of an epoch has an incomplete micro-batch,
//! TRL cuts each micro-batch of the step to its length before it averages them. This file is the whole method, from the settings to the
//! objective; `tests` compares it with TRL.

use serde::{Deserialize, Serialize};

use super::{
    TrainError,
    head::Prediction,
    method::Method,
    objective::{Objective, Scored, Share, Weighed},
    prepared::{
        Columns, PrepareError, Prepared,
        columns::{Passage, at, refused, variables},
        common_prefix, id,
        pairs::prompt_and_answers,
    },
    settings::{Training, range},
};
use crate::{
    models::{Batch, Row},
    part::settings,
    tokenizer::{Tokenizer, TokenizerError},
};

settings! {
    /// Settings of odds ratio preference optimisation.
    pub struct Orpo {
        /// Weight of the log-odds ratio against the log-likelihood.
        beta: f64 = 0.1,
    }
}

/// A pair for odds ratio preference optimisation.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrpoRow {
    /// Token ids of the prompt that the chosen answer follows.
    pub prompt_ids: Vec<u32>,
    /// The same for the rejected answer, if its beginning changes how the end of the prompt is tokenised.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rejected_prompt_ids: Option<Vec<u32>>,
    /// Token ids of the chosen answer.
    pub chosen_ids: Vec<u32>,
    /// Token ids of the rejected answer.
    pub rejected_ids: Vec<u32>,
}

impl OrpoRow {
    /// Returns the prompt and the answer of each side, the chosen one first.
    fn sides(&self) -> [(&[u32], &[u32]); 2] {
        let rejected_prompt = self.rejected_prompt_ids.as_ref().unwrap_or(&self.prompt_ids);
        [(&self.prompt_ids, &self.chosen_ids), (rejected_prompt, &self.rejected_ids)]
    }

    /// Lays the pair out such that all tokens but the first are predicted, including those of the prompt.
    fn lay_out(&self) -> Row {
        let first = self.prompt_ids.first().copied().into_iter().collect();
        let side = |(prompt, answer): (&[u32], &[u32])| prompt.iter().skip(1).chain(answer).copied().collect();
        Row::new(first, self.sides().map(side).into())
    }
}

impl Method for Orpo {
    const NAME: &'static str = "orpo";
    const SEQUENCES: u64 = 2;
    const DROPOUT: bool = false;
    type Row = OrpoRow;

    fn check(&self, _: &Training) -> Result<(), TrainError> {
        range::not_negative("beta", self.beta)
    }

    fn prepare(
        &self,
        tokenizer: &Tokenizer,
        rows: &[Columns],
        max_length: Option<usize>,
    ) -> Result<Prepared<OrpoRow>, PrepareError> {
        let mut prepared =
            Prepared { rows: Vec::with_capacity(rows.len()), ids: Vec::with_capacity(rows.len()), cut: 0, dropped: 0 };
        for (number, columns) in rows.iter().enumerate() {
            let mut row = pair(tokenizer, columns, number)?;
            let rooms = row.sides().map(|(prompt, _)| max_length.map_or(usize::MAX, |most| most.saturating_sub(prompt.len())));
            if rooms.contains(&0) {
                prepared.dropped += 1;
                continue;
            }
            let long = row.chosen_ids.len() > rooms[0] || row.rejected_ids.len() > rooms[1];
            prepared.cut += usize::from(long);
            row.chosen_ids.truncate(rooms[0]);
            row.rejected_ids.truncate(rooms[1]);
            prepared.rows.push(row);
            prepared.ids.push(id(columns, number));
        }
        Ok(prepared)
    }

    fn size(row: &OrpoRow, _: Option<usize>) -> [usize; 2] {
        let row = row.lay_out();
        [row.width(), row.targets()]
    }

    fn objective<'a>(
        &'a self,
        _: &'a Training,
        rows: &'a mut [OrpoRow],
        ids: &[String],
    ) -> Result<Box<dyn Objective + 'a>, TrainError> {
        let begins = |row: &OrpoRow| {
            let [chosen, rejected] = row.sides().map(|(prompt, _)| prompt.first());
            chosen.is_some() && chosen == rejected
        };
        match rows.iter().position(|row| !begins(row)) {
            Some(row) => Err(TrainError::Prompt { row: ids[row].clone() }),
            None => Ok(Box::new(Odds::new(self, rows))),
        }
    }
}

/// Tokenises a pair. The prompt is the common beginning of its text and both conversations, without a last token that a side's answer changes.
fn pair(tokenizer: &Tokenizer, row: &Columns, number: usize) -> Result<OrpoRow, PrepareError> {
    let (at, refused) = (at(number), refused(number));
    let (prompt, answers) = prompt_and_answers(row).map_err(at)?;
    let render = |turns: &[minijinja::Value], opened: bool| {
        tokenizer.render_text(variables(row, turns.to_vec(), opened).map_err(at)?).map_err(refused)
    };
    let (prompt, texts) = match (prompt, answers) {
        (Passage::Turns(prompt), [Passage::Turns(chosen), Passage::Turns(rejected)]) => {
            let answered = |answer: &[minijinja::Value]| render(&[prompt.as_slice(), answer].concat(), false);
            (render(&prompt, true)?, [answered(&chosen)?, answered(&rejected)?])
        }
        (Passage::Text(prompt), [Passage::Text(chosen), Passage::Text(rejected)]) => {
            let texts = [chosen, rejected].map(|answer| prompt.clone() + &answer);
            (prompt, texts)
        }
        _ => return Err(at("`prompt`, `chosen` and `rejected` are not of one kind: texts or messages".to_owned())),
    };
    let alike = prompt.char_indices().map(|(start, character)| start + character.len_utf8());
    let alike = alike.take_while(|&end| texts.iter().all(|text| text.get(..end) == Some(&prompt[..end]))).last().unwrap_or(0);
    let end = tokenizer.end().ok_or_else(|| refused(TokenizerError::Unnamed("eos_token")))?;
    let opened = tokenizer.encode_rendered(&prompt[..alike]).map_err(refused)?;
    let side = |text: &str| {
        let mut prompt = tokenizer.encode_rendered(text).map_err(refused)?;
        let same = common_prefix(&opened, &prompt);
        let mut answer = prompt.split_off(if same == opened.len() { same } else { prompt.len().min(opened.len() - 1) });
        if let Some(begin) = tokenizer.special("bos_token").filter(|begin| prompt.first() != Some(begin)) {
            prompt.insert(0, begin);
        }
        if answer.last() != Some(&end) {
            answer.push(end);
        }
        Ok::<_, PrepareError>((prompt, answer))
    };
    let [chosen, rejected] = &texts;
    let ((prompt_ids, chosen_ids), (rejected_prompt_ids, rejected_ids)) = (side(chosen)?, side(rejected)?);
    let rejected_prompt_ids = Some(rejected_prompt_ids).filter(|ids| *ids != prompt_ids);
    Ok(OrpoRow { prompt_ids, rejected_prompt_ids, chosen_ids, rejected_ids })
}

/// The objective: pairs, laid out for batches.
struct Odds<'a> {
    settings: &'a Orpo,
    rows: Vec<Row>,
    /// Number of tokens of each row's chosen and rejected answer.
    lengths: Vec<[usize; 2]>,
}

impl<'a> Odds<'a> {
    fn new(settings: &'a Orpo, rows: &[OrpoRow]) -> Self {
        let lengths = rows.iter().map(|row| row.sides().map(|(_, answer)| answer.len())).collect();
        Self { settings, rows: rows.iter().map(OrpoRow::lay_out).collect(), lengths }
    }
}

impl Objective for Odds<'_> {
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
        let sequences = |side: usize| {
            scored.iter().flat_map(move |shard| {
                let sequences = shard.batch.sequences.iter().skip(side).step_by(2);
                sequences.flatten().map(|&target| &shard.predictions[target])
            })
        };
        let pairs: usize = scored.iter().map(|shard| shard.rows.len()).sum();
        let (pairs, tokens) = (pairs.max(1) as f64, sequences(0).count().max(1) as f64);
        // All micro-batches of a step have the same weight, however many pairs and tokens they have.
        let part = 1.0 / step.micro_batches as f64;
        let nll = -sequences(0).map(|prediction| prediction.log_probability).sum::<f64>() / tokens;
        let mean_logit = |side: usize| {
            let count = sequences(side).count().max(1) as f64;
            sequences(side).map(|prediction| prediction.mean_logit).sum::<f64>() / count
        };
        let (mut sums, mut slopes) = ([0.0; FIGURES.len()], Vec::with_capacity(scored.len()));
        for shard in scored {
            let mut shard_slopes = vec![0.0; shard.predictions.len()];
            for (&row, sequences) in shard.rows.iter().zip(shard.batch.sequences.chunks_exact(2)) {
                let answers = [0, 1].map(|side| {
                    let answer = self.lengths[row][side].min(sequences[side].len());
                    &sequences[side][sequences[side].len() - answer..]
                });
                let [chosen, rejected] = answers.map(|answer| mean_log_probability(answer, shard.predictions));
                let Comparison { log_odds, log_ratio, slopes: of_ratio } = compare(chosen, rejected);
                for &target in &sequences[0] {
                    shard_slopes[target] -= part / tokens;
                }
                for (answer, slope) in answers.into_iter().zip(of_ratio) {
                    let slope = self.settings.beta * slope / (answer.len().max(1) as f64 * pairs) * part;
                    for &target in answer {
                        shard_slopes[target] -= slope;
                    }
                }
                let rewards = [chosen, rejected].map(|mean| self.settings.beta * mean);
                let better = f64::from(u8::from(rewards[0] > rewards[1]));
                let [won, lost] = rewards;
                let figures = [won, lost, won - lost, better, chosen, rejected, log_ratio, log_odds];
                sums.iter_mut().zip(figures).for_each(|(sum, figure)| *sum += figure / pairs);
            }
            slopes.push(shard_slopes.into_iter().map(|slope| slope as f32).collect());
        }
        let log_ratio = sums[6];
        [sums[8], sums[9], sums[10]] = [nll, mean_logit(0), mean_logit(1)];
        let loss = (nll - self.settings.beta * log_ratio) * part;
        Weighed { loss, slopes, figures: FIGURES.into_iter().zip(sums).collect() }
    }

    fn figures(&self) -> &'static [&'static str] {
        &FIGURES
    }
}

/// Names of the metrics beside the loss. `logps` are means over an answer's tokens. `logits` are means over all predicted tokens, where TRL
/// counts padding too.
const FIGURES: [&str; 11] = [
    "rewards/chosen",
    "rewards/rejected",
    "rewards/margins",
    "rewards/accuracies",
    "logps/chosen",
    "logps/rejected",
    "log_odds_ratio",
    "log_odds_chosen",
    "nll_loss",
    "logits/chosen",
    "logits/rejected",
];

fn mean_log_probability(targets: &[usize], predictions: &[Prediction]) -> f64 {
    targets.iter().map(|&target| predictions[target].log_probability).sum::<f64>() / targets.len().max(1) as f64
}

/// A comparison of the odds of two answers.
struct Comparison {
    /// Logarithm of the odds of the chosen answer over those of the rejected one.
    log_odds: f64,
    /// Logarithm of the sigmoid of `log_odds`.
    log_ratio: f64,
    /// Derivatives of `log_ratio` by each answer's mean log-probability.
    slopes: [f64; 2],
}

/// Compares two answers by their mean log-probabilities; the odds of a probability p are p / (1 - p).
fn compare(chosen: f64, rejected: f64) -> Comparison {
    let [other_chosen, other_rejected] = [chosen, rejected].map(log_complement);
    // Sums and not quotients, so that the chosen answer may have a probability of 1.
    let (won, lost) = (chosen + other_rejected, rejected + other_chosen);
    let both = won.max(lost) + (-(won - lost).abs()).exp().ln_1p();
    Comparison {
        log_odds: won - lost,
        log_ratio: won - both,
        slopes: [(rejected - both).exp(), -(lost - other_rejected - both).exp()],
    }
}

/// Returns `ln(1 - e^x)` for x below 0, without a loss of digits near 0 or far from it.
fn log_complement(value: f64) -> f64 {
    if value < -std::f64::consts::LN_2 { (-value.exp()).ln_1p() } else { (-value.exp_m1()).ln() }
}

#[cfg(test)]
mod tests;
