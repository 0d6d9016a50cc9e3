//! Log-probabilities of candidate answers. Takes prompts and candidates; gives one sum for each candidate of each prompt.

use std::thread;

use burn::tensor::Tensor;

use crate::{
    models::{Batch, Cache, Checkpoint, Model, Row, fused, is_processor, shared_beginning},
    rows::Message,
    tokenizer::TokenizerError,
};

/// How rows are read. On one device, results depend on it only by rounding.
#[derive(Clone, Copy)]
struct Pace {
    /// Tokens of one forward pass.
    tokens: usize,
    /// Forward passes that run at the same time.
    threads: usize,
}

impl Pace {
    fn of(model: &Model) -> Self {
        if is_processor(model.parameters().device()) {
            // The tensors of 1024 tokens stay in the processor's cache.
            Self { tokens: 1024, threads: 2 }
        } else {
            Self { tokens: 4096, threads: 1 }
        }
    }
}

/// The shortest common beginning of prompts, in tokens, for which keys and values are cached.
const LEAST: usize = 8;

/// Why prompts could not be scored.
#[derive(Debug, thiserror::Error)]
pub enum ScoreError {
    /// A prompt cannot be rendered.
    #[error("prompt {prompt}: {source}")]
    Prompt {
        /// Index of the prompt, from 0.
        prompt: usize,
        /// What is wrong with it.
        source: TokenizerError,
    },
    /// A candidate cannot be rendered.
    #[error("candidate `{candidate}`: {source}")]
    Candidate {
        /// The candidate.
        candidate: String,
        /// What is wrong with it.
        source: TokenizerError,
    },
    /// The candidates alone fill the model.
    #[error("a candidate has {tokens} tokens, and the model takes {most} with its prompt")]
    TooLong {
        /// The longest candidate's length.
        tokens: usize,
        /// The model's `max_position_embeddings`.
        most: usize,
    },
}

/// Returns for each prompt the log-probability of each candidate as the assistant's whole turn (natural logarithm, end token included). A
/// prompt that is too long loses its end.
///
/// # Errors
/// A prompt or candidate cannot be rendered, or a candidate leaves no room for a prompt.
pub fn score(checkpoint: &Checkpoint, prompts: &[Vec<Message>], candidates: &[String]) -> Result<Vec<Vec<f64>>, ScoreError> {
    Scorer::open(checkpoint, prompts, candidates)?.score(prompts)
}

/// A checkpoint with the keys and values of the beginning that its prompts share: the routes, which are the same in every prompt.
#[derive(Debug)]
pub struct Scorer<'a> {
    checkpoint: &'a Checkpoint,
    continuations: Vec<Vec<u32>>,
    /// The largest number of a prompt's tokens.
    room: usize,
    /// The tokens of the shared beginning, whose keys and values are in `cache`.
    opening: Vec<u32>,
    cache: Cache,
}

impl<'a> Scorer<'a> {
    /// Reads the beginning that some prompts share: all prompts to score, or two with different questions that stand for them.
    ///
    /// # Errors
    /// A prompt or candidate cannot be rendered, or a candidate leaves no room for a prompt.
    pub fn open(checkpoint: &'a Checkpoint, prompts: &[Vec<Message>], candidates: &[String]) -> Result<Self, ScoreError> {
        let mut continuations = Vec::with_capacity(candidates.len());
        for candidate in candidates {
            let tokens = checkpoint.tokenizer.render_completion(&[Message::new("assistant", candidate.as_str())]);
            continuations.push(tokens.map_err(|source| ScoreError::Candidate { candidate: candidate.clone(), source })?);
        }
        let longest = continuations.iter().map(Vec::len).max().unwrap_or(0);
        let most = checkpoint.model.max_position_embeddings();
        let room = most.checked_sub(longest).filter(|room| *room > 1).ok_or(ScoreError::TooLong { tokens: longest, most })?;
        let mut scorer = Self { checkpoint, continuations, room, opening: Vec::new(), cache: Cache::default() };
        let rendered = scorer.render(prompts)?;
        let shared = if rendered.len() < 2 { 0 } else { shared_beginning(&rendered) };
        if shared >= LEAST {
            scorer.opening = rendered[0][..shared].to_vec();
            let batch = Batch::plain(std::slice::from_ref(&scorer.opening)).expect("one row that is not empty");
            // The logits are not used. Those of a single place are asked for, since this computes the least of the last layer.
            fused::with_threads(Pace::of(&checkpoint.model).threads, || {
                drop(checkpoint.model.logits_after(&mut scorer.cache, &batch, &[0], most));
            });
        }
        Ok(scorer)
    }

    fn render(&self, prompts: &[Vec<Message>]) -> Result<Vec<Vec<u32>>, ScoreError> {
        let render = |(prompt, messages): (usize, &Vec<Message>)| {
            let mut ids =
                self.checkpoint.tokenizer.render_prompt(messages).map_err(|source| ScoreError::Prompt { prompt, source })?;
            shorten(&mut ids, self.room);
            Ok(ids)
        };
        prompts.iter().enumerate().map(render).collect()
    }

    /// Returns for each prompt the log-probability of each candidate (natural logarithm). A prompt with another beginning is read whole, and
    /// one that is too long loses its end.
    ///
    /// # Errors
    /// A prompt cannot be rendered.
    pub fn score(&self, prompts: &[Vec<Message>]) -> Result<Vec<Vec<f64>>, ScoreError> {
        let known = self.opening.len();
        let (mut short, mut whole) = (Vec::new(), Vec::new());
        for (index, mut ids) in self.render(prompts)?.into_iter().enumerate() {
            if ids.len() > known && ids.starts_with(&self.opening) {
                ids.drain(..known);
                short.push((index, Row::new(ids, self.continuations.clone())));
            } else {
                whole.push((index, Row::new(ids, self.continuations.clone())));
            }
        }
        let mut scores = vec![Vec::new(); prompts.len()];
        for (rows, cache) in [(short, &self.cache), (whole, &Cache::default())] {
            let (indices, rows): (Vec<usize>, Vec<Row>) = rows.into_iter().unzip();
            for (index, found) in indices.into_iter().zip(log_probabilities_after(&self.checkpoint.model, cache, &rows)) {
                scores[index] = found;
            }
        }
        Ok(scores)
    }
}

/// Cuts a prompt to `most` tokens, since a router has to decide on long questions too. The start has the routes, and the last token gives
/// the turn to the assistant, so the end of the question is cut.
fn shorten(prompt: &mut Vec<u32>, most: usize) {
    if prompt.len() > most {
        prompt.drain(most - 1..prompt.len() - 1);
    }
}

/// Returns for each row, which continues the tokens of a cache, the sum of log-probabilities of each of its continuations.
fn log_probabilities_after(model: &Model, cache: &Cache, rows: &[Row]) -> Vec<Vec<f64>> {
    let mut order: Vec<usize> = (0..rows.len()).collect();
    order.sort_by_key(|&row| rows[row].width());
    let Pace { tokens, threads } = Pace::of(model);
    let mut sums = vec![Vec::new(); rows.len()];
    for (row, found) in over_threads(&passes(rows, &order, tokens), threads, |pass| run(model, cache, rows, pass)) {
        sums[row] = found;
    }
    sums
}

/// Runs passes on several threads. Threads take passes in turn, since neighbouring passes have nearly the same width. A single pass gets all
/// threads.
fn over_threads<R: Send>(passes: &[&[usize]], threads: usize, run: impl Fn(&[usize]) -> Vec<R> + Sync) -> Vec<R> {
    if let [pass] = passes {
        return fused::with_threads(threads, || run(pass));
    }
    let share = |offset| passes.iter().skip(offset).step_by(threads).flat_map(|pass| run(pass)).collect::<Vec<_>>();
    thread::scope(|scope| {
        let share = &share;
        let others: Vec<_> = (1..threads).map(|offset| scope.spawn(move || share(offset))).collect();
        let own = share(0);
        let others = others.into_iter().flat_map(|thread| thread.join().expect("a pass does not panic"));
        own.into_iter().chain(others).collect()
    })
}

/// Splits rows, sorted by width, into passes of at most about `tokens` tokens each.
fn passes<'a>(rows: &[Row], order: &'a [usize], tokens: usize) -> Vec<&'a [usize]> {
    let mut passes = Vec::new();
    let mut rest = order;
    while let Some(&first) = rest.first() {
        let count = (tokens / rows[first].width().max(1)).clamp(1, rest.len());
        let (pass, after) = rest.split_at(count);
        passes.push(pass);
        rest = after;
    }
    passes
}

fn run(model: &Model, cache: &Cache, rows: &[Row], pass: &[usize]) -> Vec<(usize, Vec<f64>)> {
    let batch = Batch::new(&pass.iter().map(|&row| &rows[row]).collect::<Vec<_>>());
    let values = if cache.tokens() == 0 {
        target_log_probabilities(model, &batch)
    } else {
        let batch = batch.clone().after(cache.tokens());
        let places: Vec<usize> = batch.targets.iter().map(|target| target.place).collect();
        let logits = model.logits_after(&mut cache.repeated(pass.len()), &batch, &places, batch.length());
        values_of(logits, &batch)
    };
    let mut sums = sequence_sums(&values, &batch).into_iter();
    pass.iter().map(|&row| (row, sums.by_ref().take(rows[row].sequences()).collect())).collect()
}

/// Returns the log-probability of each target of a batch, without gradients.
pub(crate) fn target_log_probabilities(model: &Model, batch: &Batch) -> Vec<f32> {
    if batch.targets.is_empty() {
        return Vec::new();
    }
    values_of(model.logits(batch), batch)
}

fn values_of(logits: Tensor<2>, batch: &Batch) -> Vec<f32> {
    let tokens = batch.targets.iter().map(|target| target.token.cast_signed()).collect();
    fused::log_probabilities(logits, tokens).into_data().try_into_vec().expect("log-probabilities are f32")
}

/// Adds up the log-probabilities of each sequence of a batch.
pub(crate) fn sequence_sums(log_probabilities: &[f32], batch: &Batch) -> Vec<f64> {
    let sum = |targets: &Vec<usize>| targets.iter().map(|&target| f64::from(log_probabilities[target])).sum();
    batch.sequences.iter().map(sum).collect()
}

#[cfg(test)]
mod tests {
    use burn::tensor::activation;

    use super::*;
    use crate::models::tests::tiny;

    fn prompts() -> Vec<Vec<Message>> {
        let texts = ["what is 3", "3 plus 4 plus 37 is", "", "one two three four five six"];
        texts.iter().map(|text| vec![Message::new("user", *text)]).collect()
    }

    #[test]
    fn a_score_is_the_sum_over_a_full_forward_pass_with_the_end_token() {
        let checkpoint = tiny(5);
        let candidates = ["Policy: One".to_owned(), "Policy: Two".to_owned(), "terms".to_owned()];
        let scores = score(&checkpoint, &prompts(), &candidates).unwrap();
        let tokenizer = &checkpoint.tokenizer;
        for (prompt, scores) in prompts().iter().zip(&scores) {
            for (candidate, score) in candidates.iter().zip(scores) {
                let ids = tokenizer.render_prompt(prompt).unwrap();
                let mut tokens = tokenizer.encode(candidate).unwrap();
                tokens.extend(tokenizer.end());
                let batch = Batch::new(&[&Row::new(ids, vec![tokens.clone()])]);
                let table = activation::log_softmax(checkpoint.model.logits(&batch), 1).into_data().try_to_vec::<f32>().unwrap();
                let size = tokenizer.size();
                let expected: f64 =
                    tokens.iter().enumerate().map(|(at, &token)| f64::from(table[at * size + token as usize])).sum();
                assert!((score - expected).abs() < 1e-4, "{score} {expected}");
            }
        }
    }

    #[test]
    fn what_prompts_begin_with_is_read_once_and_changes_no_score() {
        let checkpoint = tiny(5);
        let candidates = ["Policy: One".to_owned(), "Policy: Two terms".to_owned()];
        let prompt = |question: &str| vec![Message::new("system", "what is 3 plus 4 plus 5"), Message::new("user", question)];
        let other = vec![Message::new("user", "what")];
        let prompts = [prompt("37 plus"), prompt("terms of the answer"), other.clone(), prompt("one")];
        let scorer = Scorer::open(&checkpoint, &prompts[..2], &candidates).unwrap();
        assert!(scorer.opening.len() >= LEAST && scorer.cache.tokens() == scorer.opening.len());
        let together = scorer.score(&prompts).unwrap();
        for (prompt, found) in prompts.iter().zip(together) {
            let alone = score(&checkpoint, std::slice::from_ref(prompt), &candidates).unwrap();
            for (found, expected) in found.iter().zip(&alone[0]) {
                assert!((found - expected).abs() < 1e-4, "{found} {expected}");
            }
            let again = scorer.score(std::slice::from_ref(prompt)).unwrap();
            assert!(again[0].iter().zip(&found).all(|(again, found)| (again - found).abs() < 1e-4));
        }
    }

    #[test]
    fn a_prompt_that_does_not_fit_loses_its_end() {
        let scores = |words: usize| {
            let long = vec![Message::new("user", "plus ".repeat(words))];
            score(&tiny(5), &[long], &["terms".to_owned()]).unwrap()
        };
        assert_eq!(scores(1000), scores(2000));
        assert_ne!(scores(3), scores(1000));
        let mut prompt = vec![1, 2, 3, 4, 9];
        shorten(&mut prompt, 3);
        assert_eq!(prompt, [1, 2, 9]);
    }

    #[test]
    fn candidates_that_leave_no_room_are_refused() {
        let error = score(&tiny(5), &[vec![Message::new("user", "plus")]], &["plus ".repeat(300)]).unwrap_err();
        assert!(matches!(error, ScoreError::TooLong { most: 256, .. }), "{error}");
    }
}
