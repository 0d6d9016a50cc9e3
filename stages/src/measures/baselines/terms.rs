//! Terms of texts. Takes a text; gives its hashed terms, and with the frequencies of a collection its TF-IDF vector.

use std::collections::BTreeMap;

/// Buckets that terms are hashed into. Some thousand short texts have a few ten thousand distinct terms, so few of them collide.
const BUCKETS: usize = 1 << 20;

/// A sparse vector: columns in rising order with their values.
pub(crate) type Row = Vec<(u32, f32)>;

/// Returns the lower-cased words of a text. Each sign that is neither letter, digit nor space is a word of its own.
pub(crate) fn words(text: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut inside = false;
    for letter in text.chars().flat_map(char::to_lowercase) {
        let continues = letter.is_alphanumeric();
        match words.last_mut() {
            Some(word) if inside && continues => word.push(letter),
            _ if letter.is_whitespace() => {}
            _ => words.push(letter.to_string()),
        }
        inside = continues;
    }
    words
}

/// Returns the buckets of a text's words and pairs of neighbouring words, in rising order, with repeats.
pub(crate) fn word_terms(text: &str) -> Vec<u32> {
    let words = words(text);
    let singles = words.iter().map(|word| bucket(&[word.as_bytes()]));
    let pairs = words.windows(2).map(|pair| bucket(&[pair[0].as_bytes(), b" ", pair[1].as_bytes()]));
    let mut terms: Vec<u32> = singles.chain(pairs).collect();
    terms.sort_unstable();
    terms
}

/// Returns the buckets of a text's runs of three to five characters, lower-cased and with single spaces, in rising order, with repeats.
pub(crate) fn character_terms(text: &str) -> Vec<u32> {
    let text = format!(" {} ", text.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase());
    let mut starts: Vec<usize> = text.char_indices().map(|(at, _)| at).collect();
    starts.push(text.len());
    let runs = (3..=5).flat_map(|length| starts.windows(length + 1));
    let mut terms: Vec<u32> = runs.map(|run| bucket(&[&text.as_bytes()[run[0]..run[run.len() - 1]]])).collect();
    terms.sort_unstable();
    terms
}

/// Returns the bucket of a term that is given in parts (64-bit FNV-1a, with its halves combined by xor).
fn bucket(parts: &[&[u8]]) -> u32 {
    let bytes = parts.iter().flat_map(|part| part.iter());
    let hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
    ((hash ^ (hash >> 32)) as usize % BUCKETS) as u32
}

/// The columns and inverse document frequencies of a collection's terms.
pub(crate) struct Weights {
    /// The column of each bucket, or `u32::MAX` for a term that is too rare.
    columns: Vec<u32>,
    inverse_frequencies: Vec<f32>,
}

impl Weights {
    /// Counts the terms of documents, and keeps those that occur in at least `least` of them. Frequencies are smoothed as scikit-learn's.
    pub(crate) fn fit(documents: &[Vec<u32>], least: u32) -> Self {
        let mut frequencies = vec![0_u32; BUCKETS];
        for terms in documents {
            for run in terms.chunk_by(|left, right| left == right) {
                frequencies[run[0] as usize] += 1;
            }
        }
        let mut columns = vec![u32::MAX; BUCKETS];
        let mut inverse_frequencies = Vec::new();
        for (bucket, &frequency) in frequencies.iter().enumerate().filter(|(_, frequency)| **frequency >= least.max(1)) {
            columns[bucket] = inverse_frequencies.len() as u32;
            inverse_frequencies.push((((1 + documents.len()) as f64 / f64::from(1 + frequency)).ln() + 1.0) as f32);
        }
        Self { columns, inverse_frequencies }
    }

    /// Returns the number of columns.
    pub(crate) fn width(&self) -> usize {
        self.inverse_frequencies.len()
    }

    /// Returns the TF-IDF vector of sorted terms. Its length is 1, or 0 if no term has a column.
    pub(crate) fn row(&self, terms: &[u32]) -> Row {
        let known = terms.chunk_by(|left, right| left == right).filter_map(|run| {
            let column = self.columns[run[0] as usize];
            let weight = self.inverse_frequencies.get(column as usize)?;
            Some((column, run.len() as f32 * weight))
        });
        let mut row: Row = known.collect();
        let length = row.iter().map(|(_, value)| value * value).sum::<f32>().sqrt();
        if length > 0.0 {
            for (_, value) in &mut row {
                *value /= length;
            }
        }
        row
    }
}

/// Returns the share of each class among labels. Each class counts once more than it occurs, so that none has a share of 0.
pub(crate) fn shares(labels: &[usize], classes: usize) -> Vec<f64> {
    let mut counts: BTreeMap<usize, usize> = BTreeMap::new();
    for &label in labels {
        *counts.entry(label).or_default() += 1;
    }
    let total = (labels.len() + classes) as f64;
    (0..classes).map(|class| (1 + counts.get(&class).copied().unwrap_or_default()) as f64 / total).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signs_are_words_and_letters_stay_together() {
        assert_eq!(words("What is 3+4 ×\u{a0}Éa?"), ["what", "is", "3", "+", "4", "×", "éa", "?"]);
        assert_eq!(words("a++b"), ["a", "+", "+", "b"]);
    }

    #[test]
    fn terms_are_counted_and_weighted_as_scikit_learn_does() {
        assert_eq!(word_terms("a b a").len(), 5);
        // The text becomes " ab ", which has two runs of three characters and one of four.
        assert_eq!(character_terms("  AB ").len(), 3);
        let documents = [word_terms("a b"), word_terms("a c")];
        let weights = Weights::fit(&documents, 1);
        assert_eq!((weights.width(), Weights::fit(&documents, 2).width()), (5, 1));
        let mut row: Vec<f32> = weights.row(&documents[0]).into_iter().map(|(_, value)| value).collect();
        row.sort_by(f32::total_cmp);
        // The word of both documents has 1, and the word and pair of only one have ln(3/2) + 1; all are divided by the vector's length.
        let rare = 1.5_f32.ln() + 1.0;
        let length = (1.0 + 2.0 * rare * rare).sqrt();
        assert!(row.iter().zip([1.0, rare, rare]).all(|(found, wanted)| (found - wanted / length).abs() < 1e-6), "{row:?}");
        assert!(weights.row(&word_terms("z")).is_empty());
    }
}
