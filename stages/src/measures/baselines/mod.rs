//! Cheap routers without a language model, to which a trained router is compared. Takes training texts and their policies; gives routers.
//!
//! Read `terms` (texts as sparse vectors) and `logistic` (the regression) first, then the routers: `word_count`, `ngrams` and `neighbours`. A
//! router is added by a file with a `fit` function and a line in [`ALL`].

mod logistic;
mod neighbours;
mod ngrams;
mod terms;
mod word_count;

/// A classifier of texts over policies.
pub trait Router {
    /// Returns the probability of each policy for a text. They sum to 1.
    fn probabilities(&self, text: &str) -> Vec<f64>;
}

/// A function that fits a router to texts and their policies. There is one policy for each text, below the last argument, the number of
/// policies.
pub type Fit = fn(&[&str], &[usize], usize) -> Box<dyn Router>;

/// The cheap routers by name.
pub const ALL: &[(&str, Fit)] = &[("word_count", word_count::fit), ("ngrams", ngrams::fit), ("neighbours", neighbours::fit)];
