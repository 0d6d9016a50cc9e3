//! The router `neighbours`: a vote of the nearest training texts by TF-IDF cosine. Takes texts and policies; gives a router.

use super::{
    Router,
    terms::{Weights, shares, word_terms},
};

/// The largest number of neighbours that vote.
const NEIGHBOURS: usize = 50;
/// The number of votes that the policies' shares in training count for, so that few or far neighbours do not decide alone.
const PRIOR: f64 = 1.0;

struct Neighbours {
    weights: Weights,
    /// For each column, the training texts that contain its term, with the weight in each.
    postings: Vec<Vec<(u32, f32)>>,
    policies: Vec<usize>,
    prior: Vec<f64>,
}

/// Fits the router: builds the inverted index of the training texts.
pub(crate) fn fit(texts: &[&str], policies: &[usize], classes: usize) -> Box<dyn Router> {
    let terms: Vec<_> = texts.iter().map(|text| word_terms(text)).collect();
    let weights = Weights::fit(&terms, 1);
    let mut postings = vec![Vec::new(); weights.width()];
    for (text, terms) in terms.iter().enumerate() {
        for (column, value) in weights.row(terms) {
            postings[column as usize].push((text as u32, value));
        }
    }
    Box::new(Neighbours { weights, postings, policies: policies.to_vec(), prior: shares(policies, classes) })
}

impl Router for Neighbours {
    fn probabilities(&self, text: &str) -> Vec<f64> {
        let mut similarity = vec![0.0_f32; self.policies.len()];
        for (column, value) in self.weights.row(&word_terms(text)) {
            for &(text, other) in &self.postings[column as usize] {
                similarity[text as usize] += value * other;
            }
        }
        let mut near: Vec<usize> = (0..similarity.len()).filter(|&text| similarity[text] > 0.0).collect();
        // Equally near texts are ordered by place, so that the choice among them is always the same.
        let order = |left: &usize, right: &usize| similarity[*right].total_cmp(&similarity[*left]).then(left.cmp(right));
        if near.len() > NEIGHBOURS {
            near.select_nth_unstable_by(NEIGHBOURS, order);
            near.truncate(NEIGHBOURS);
        }
        near.sort_unstable_by(order);
        let mut votes: Vec<f64> = self.prior.iter().map(|share| share * PRIOR).collect();
        for text in near {
            votes[self.policies[text]] += f64::from(similarity[text]);
        }
        let total: f64 = votes.iter().sum();
        votes.iter().map(|vote| vote / total).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_decide_and_strangers_get_the_shares() {
        let texts = ["the cat sat", "the cat ran", "a red stone", "a blue stone"];
        let router = fit(&texts, &[0, 0, 1, 1], 2);
        assert!(router.probabilities("the cat slept")[0] > 0.6);
        assert!(router.probabilities("stone of blue")[1] > 0.6);
        assert_eq!(router.probabilities("unseen"), [0.5, 0.5]);
        assert_eq!(fit(&[], &[], 2).probabilities("a"), [0.5, 0.5]);
    }

    #[test]
    fn only_the_nearest_vote() {
        // Sixty near texts of one class, and many more that share a single word.
        let far = |row: usize| format!("sun {row} a{row} b{row} c{row} d{row}");
        let texts: Vec<String> = (0..60).map(|_| "sun and moon".to_owned()).chain((0..500).map(far)).collect();
        let labels: Vec<usize> = (0..560).map(|row| usize::from(row >= 60)).collect();
        let router = fit(&texts.iter().map(String::as_str).collect::<Vec<_>>(), &labels, 2);
        assert!(router.probabilities("sun and moon")[0] > 0.95);
    }
}
