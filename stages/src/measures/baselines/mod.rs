//! Takes training texts and their policies; gives cheap routers that need no language model, for a trained one to be measured against.
//!
//! A further one is a file with a `fit` function and a line in [`ALL`].

mod logistic;
mod neighbours;
mod ngrams;
mod terms;
mod word_count;

/// A classifier of texts over policies.
pub trait Router {
    /// The probability of each policy for a text; they sum to 1.
    fn probabilities(&self, text: &str) -> Vec<f64>;
}

/// Fits a router to texts and their policies (one each, below the number of policies, which is the last argument).
pub type Fit = fn(&[&str], &[usize], usize) -> Box<dyn Router>;

/// The cheap routers by name.
pub const ALL: &[(&str, Fit)] = &[("word_count", word_count::fit), ("ngrams", ngrams::fit), ("neighbours", neighbours::fit)];
