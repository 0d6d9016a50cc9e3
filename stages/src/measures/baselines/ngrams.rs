//! The router `ngrams`: a logistic regression on TF-IDF weighted words, word pairs and character runs. Takes texts and policies; gives a
//! router.

use super::{
    Router,
    logistic::Logistic,
    terms::{Row, Weights, character_terms, word_terms},
};

/// Terms that occur in fewer texts are left out, since they cannot generalise and would be most of the columns.
const LEAST: u32 = 2;
/// The weight of the L2 penalty. A row is two vectors of length 1, so this is scikit-learn's `C = 1` on rows of length 1.
const PENALTY: f32 = 2.0;

struct Ngrams {
    words: Weights,
    characters: Weights,
    regression: Logistic,
}

/// Fits the router: the weights of terms, and the regression.
pub(crate) fn fit(texts: &[&str], policies: &[usize], classes: usize) -> Box<dyn Router> {
    let word_lists: Vec<_> = texts.iter().map(|text| word_terms(text)).collect();
    let character_lists: Vec<_> = texts.iter().map(|text| character_terms(text)).collect();
    let words = Weights::fit(&word_lists, LEAST);
    let characters = Weights::fit(&character_lists, LEAST);
    let terms = word_lists.iter().zip(&character_lists);
    let rows: Vec<Row> = terms.map(|(word, character)| row(&words, &characters, word, character)).collect();
    let regression = Logistic::fit(&rows, policies, words.width() + characters.width(), classes, PENALTY);
    Box::new(Ngrams { words, characters, regression })
}

impl Router for Ngrams {
    fn probabilities(&self, text: &str) -> Vec<f64> {
        self.regression.probabilities(&row(&self.words, &self.characters, &word_terms(text), &character_terms(text)))
    }
}

/// Concatenates the vectors of words and of characters. Each has length 1, so that the many character runs do not outweigh the words.
fn row(words: &Weights, characters: &Weights, word_terms: &[u32], character_terms: &[u32]) -> Row {
    let mut row = words.row(word_terms);
    let offset = words.width() as u32;
    row.extend(characters.row(character_terms).into_iter().map(|(column, value)| (column + offset, value)));
    row
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns texts whose class depends only on the order of their words.
    fn ordered() -> (Vec<String>, Vec<usize>) {
        let text = |row: usize| {
            if row.is_multiple_of(2) { format!("n{row} plus then times") } else { format!("n{row} times then plus") }
        };
        ((0..40).map(text).collect(), (0..40).map(|row| row % 2).collect())
    }

    #[test]
    fn the_order_of_words_is_seen() {
        let (texts, labels) = ordered();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let router = fit(&texts, &labels, 2);
        assert!(router.probabilities("new plus then times")[0] > 0.8);
        assert!(router.probabilities("new times then plus")[1] > 0.8);
        assert_eq!(router.probabilities("new times"), fit(&texts, &labels, 2).probabilities("new times"));
    }

    #[test]
    fn probabilities_sum_to_one_for_any_number_of_classes() {
        let (texts, _) = ordered();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let labels: Vec<usize> = (0..40).map(|row| row % 6).collect();
        for text in ["", "unseen", "n3 times then plus"] {
            let shares = fit(&texts, &labels, 6).probabilities(text);
            assert_eq!(shares.len(), 6);
            assert!((shares.iter().sum::<f64>() - 1.0).abs() < 1e-9 && shares.iter().all(|share| *share > 0.0), "{shares:?}");
        }
        assert_eq!(fit(&[], &[], 2).probabilities("a"), [0.5; 2]);
    }
}
