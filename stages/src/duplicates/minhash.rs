//! Near duplicates by `MinHash`. Takes texts; gives candidates for near duplicates, and the resemblance of two texts.
//!
//! Texts are compared as sets of shingles (Broder 1997, "On the resemblance and containment of documents"). Two texts with an equal band
//! of minimum hashes are candidates, and their sets of shingles decide. A near pair may be missed: one in two hundred pairs that just reach
//! the threshold, and fewer above it. A pair that is not near is never reported.

use std::collections::HashMap;

use crate::random::Random;

/// Characters of a shingle. Shingles are of characters, since questions are short and some languages have no spaces between words.
const SHINGLE: usize = 5;

/// Minimum hashes of each text, one for each hash function.
const HASHES: usize = 128;

/// Share of the pairs that just reach the threshold which may be missed.
const MISSED: f64 = 5e-3;

/// A text, prepared for comparison.
pub(crate) struct Text {
    /// Its shingles, as sorted hashes.
    shingles: Vec<u64>,
    /// The minimum of the shingles under each hash function.
    smallest: [u32; HASHES],
}

/// The hash functions, which each put all shingles into an order. They are the same in every run: multiply, add, take the upper bits.
pub(crate) struct Orders([(u64, u64); HASHES]);

impl Orders {
    pub(crate) fn new() -> Self {
        let mut random = Random::new(0, "minhash");
        let mut word = || (random.below(1 << 32) as u64) << 32 | random.below(1 << 32) as u64;
        Self(std::array::from_fn(|_| (word() | 1, word())))
    }

    /// Prepares a text: its shingles are all its runs of five characters. A shorter text is a single shingle.
    pub(crate) fn read(&self, text: &str) -> Text {
        let characters: Vec<char> = text.chars().collect();
        let runs = characters.windows(SHINGLE.min(characters.len()).max(1));
        let mut shingles: Vec<u64> =
            runs.map(|run| run.iter().fold(0, |hash, character| mix(hash, u64::from(*character)))).collect();
        shingles.sort_unstable();
        shingles.dedup();
        let mut smallest = [u32::MAX; HASHES];
        for shingle in &shingles {
            for (smallest, (factor, summand)) in smallest.iter_mut().zip(&self.0) {
                let order = (shingle.wrapping_mul(*factor).wrapping_add(*summand) >> 32) as u32;
                *smallest = order.min(*smallest);
            }
        }
        Text { shingles, smallest }
    }
}

impl Text {
    /// Returns whether the resemblance of two texts is at least `threshold`.
    pub(crate) fn is_near(&self, other: &Self, threshold: f64) -> bool {
        // Most candidates are not near, and two cheap tests reject them. The sets differ so much in size that the resemblance is too
        // low even if one contains the other, …
        let (one, two) = (self.shingles.len(), other.shingles.len());
        if (one.min(two) as f64) < threshold * one.max(two) as f64 {
            return false;
        }
        // … or fewer minimum hashes are equal than near texts have, by four standard deviations.
        let orders = HASHES as f64;
        let fewest = orders * threshold - 4.0 * (orders * threshold * (1.0 - threshold)).sqrt();
        self.agreements(other) as f64 >= fewest && self.resemblance(other) >= threshold
    }

    /// Returns the number of equal minimum hashes. Its expected share of all hashes is the resemblance.
    fn agreements(&self, other: &Self) -> usize {
        self.smallest.iter().zip(&other.smallest).filter(|(own, other)| own == other).count()
    }

    /// Returns the resemblance (Jaccard similarity) of two texts: the share of all their shingles that both have, from 0 to 1.
    fn resemblance(&self, other: &Self) -> f64 {
        let (mut left, mut right, mut shared) = (self.shingles.as_slice(), other.shingles.as_slice(), 0);
        while let ([one, left_rest @ ..], [two, right_rest @ ..]) = (left, right) {
            shared += usize::from(one == two);
            if one <= two {
                left = left_rest;
            }
            if two <= one {
                right = right_rest;
            }
        }
        let all = self.shingles.len() + other.shingles.len() - shared;
        if all == 0 { 1.0 } else { shared as f64 / all as f64 }
    }
}

fn mix(hash: u64, word: u64) -> u64 {
    let mixed = (hash ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed ^ (mixed >> 29)
}

/// An index of texts by their bands of minimum hashes.
pub(crate) struct Index {
    band: usize,
    texts: HashMap<(usize, u64), Vec<usize>>,
}

impl Index {
    /// Makes an empty index for texts whose resemblance is at least `threshold`.
    pub(crate) fn new(threshold: f64) -> Self {
        // The longest band that misses few enough pairs, since longer bands give fewer candidates that are not near.
        let missed = |band: usize| (1.0 - threshold.powi(band as i32)).powi((HASHES / band) as i32);
        let band = (1..=HASHES).rev().find(|band| missed(*band) <= MISSED).unwrap_or(1);
        Self { band, texts: HashMap::new() }
    }

    /// Adds a text under a number.
    pub(crate) fn add(&mut self, text: &Text, number: usize) {
        for key in self.keys(text) {
            self.texts.entry(key).or_default().push(number);
        }
    }

    /// Returns the numbers of the texts that may be near, in a fixed order. A number may be repeated.
    pub(crate) fn candidates(&self, text: &Text) -> impl Iterator<Item = usize> {
        self.keys(text).into_iter().filter_map(|key| self.texts.get(&key)).flatten().copied()
    }

    fn keys(&self, text: &Text) -> Vec<(usize, u64)> {
        let bands = text.smallest.chunks_exact(self.band).enumerate();
        bands.map(|(number, band)| (number, band.iter().fold(0, |hash, smallest| mix(hash, u64::from(*smallest))))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resemblance_is_the_shared_part() {
        let orders = Orders::new();
        let of = |left: &str, right: &str| orders.read(left).resemblance(&orders.read(right));
        // The shingles are abcde and bcdef, and abcde and bcdeg.
        assert_eq!(of("abcdef", "abcdeg"), 1.0 / 3.0);
        assert_eq!(of("abcdef", "abcdef"), 1.0);
        assert_eq!(of("abc", "abd"), 0.0);
        assert_eq!(of("", ""), 1.0);
        assert_eq!(of("", "abc"), 0.0);
    }

    /// Returns a text of words that no text of another number has.
    fn text(number: usize, words: usize) -> String {
        (0..words).map(|word| engine::fingerprint(&format!("{number} {word}"))[..7].to_owned()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn near_texts_are_candidates_and_far_ones_are_not() {
        for threshold in [0.5, 0.8, 0.95] {
            let orders = Orders::new();
            let mut index = Index::new(threshold);
            for number in 0..300 {
                index.add(&orders.read(&text(number, 40)), number);
            }
            let mut found = 0;
            for number in 0..300 {
                let near = format!("{} x", text(number, 40));
                let candidates: Vec<_> = index.candidates(&orders.read(&near)).collect();
                found += usize::from(candidates.contains(&number));
                assert!(candidates.len() < 3 * HASHES, "{}", candidates.len());
            }
            assert!(found >= 299, "{threshold}: {found}");
        }
    }

    #[test]
    fn pairs_that_just_reach_the_threshold_are_found() {
        // This many of 40 words are equal, which makes a resemblance a little above each threshold.
        for (threshold, same) in [(0.5, 28), (0.8, 36)] {
            let orders = Orders::new();
            let mut index = Index::new(threshold);
            let mut found = 0;
            for number in 0..400 {
                let left = orders.read(&text(number, 40));
                let right = orders.read(&format!("{} {}", text(number, same), text(number + 500, 40 - same)));
                let share = left.resemblance(&right);
                assert!((threshold..threshold + 0.06).contains(&share), "{share}");
                index.add(&left, number);
                found += usize::from(index.candidates(&right).any(|candidate| candidate == number));
            }
            assert!(found >= 396, "{threshold}: {found}");
        }
    }

    #[test]
    fn the_share_of_equal_smallest_hashes_is_the_resemblance() {
        let orders = Orders::new();
        let (mut equal, mut resemblance) = (0, 0.0);
        for number in 0..100 {
            let left = orders.read(&text(number, 40));
            let right = orders.read(&format!("{} {}", text(number, 30), text(number + 500, 10)));
            resemblance += left.resemblance(&right);
            equal += left.agreements(&right);
            let share = left.resemblance(&right);
            assert!(left.is_near(&right, share) && !left.is_near(&right, share + 1e-6));
        }
        let (estimate, exact) = (equal as f64 / (100 * HASHES) as f64, resemblance / 100.0);
        assert!((estimate - exact).abs() < 0.03, "{estimate} {exact}");
    }
}
