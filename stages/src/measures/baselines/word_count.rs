//! The router `word_count`: a logistic regression on the number of words alone. Takes texts and policies; gives a router.

use super::{
    Router,
    logistic::Logistic,
    terms::{Row, words},
};

struct WordCount {
    /// The mean and the standard deviation of ln(1 + number of words) over the training texts.
    mean: f64,
    spread: f64,
    regression: Logistic,
}

/// Fits the router: a regression on the standardised ln(1 + number of words).
pub(crate) fn fit(texts: &[&str], policies: &[usize], classes: usize) -> Box<dyn Router> {
    let lengths: Vec<f64> = texts.iter().map(|text| length(text)).collect();
    let count = lengths.len().max(1) as f64;
    let mean = lengths.iter().sum::<f64>() / count;
    let spread = (lengths.iter().map(|length| (length - mean).powi(2)).sum::<f64>() / count).sqrt();
    let rows: Vec<Row> = lengths.iter().map(|&length| row(length, mean, spread)).collect();
    let regression = Logistic::fit(&rows, policies, 1, classes, 1.0);
    Box::new(WordCount { mean, spread, regression })
}

impl Router for WordCount {
    fn probabilities(&self, text: &str) -> Vec<f64> {
        self.regression.probabilities(&row(length(text), self.mean, self.spread))
    }
}

fn length(text: &str) -> f64 {
    (words(text).len() as f64).ln_1p()
}

fn row(length: f64, mean: f64, spread: f64) -> Row {
    // If all training texts are equally long, the length says nothing.
    if spread > 1e-9 { vec![(0, ((length - mean) / spread) as f32)] } else { Row::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_are_told_from_short_ones() {
        let texts = ["one", "one two", "a b c d e f g h", "a b c d e f g h i"];
        let router = fit(&texts, &[0, 0, 1, 1], 2);
        assert!(router.probabilities("x y")[0] > 0.5);
        assert!(router.probabilities("p q r s t u v w x y")[1] > 0.5);
    }

    #[test]
    fn equal_lengths_and_no_texts_give_the_shares() {
        let shares = fit(&["a b", "c d", "e f"], &[0, 0, 1], 2).probabilities("a b c d e");
        assert!(shares[0] > shares[1] && shares[1] > 0.2, "{shares:?}");
        assert_eq!(fit(&[], &[], 4).probabilities("a"), [0.25; 4]);
    }
}
