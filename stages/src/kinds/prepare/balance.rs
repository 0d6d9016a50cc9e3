//! Balance of the policies. Takes training labels and how they are balanced; gives how often each label becomes examples.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::rows::Label;

/// How policies with unequal numbers of examples are balanced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Balance {
    /// Nothing.
    #[default]
    None,
    /// Repeats examples of rarer policies until all policies have as many as the most frequent one.
    Oversample,
    /// Those of the more frequent ones are left out, until all have as many as the rarest one.
    Undersample,
}

/// Returns how often each label becomes examples, in the order of the labels. Of a policy's labels, those with the lowest `drawn` come first.
pub(crate) fn times(labels: &[&Label], balance: Balance, drawn: impl Fn(&str) -> f64) -> Vec<usize> {
    let mut classes: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (place, label) in labels.iter().enumerate() {
        classes.entry(&label.policy).or_default().push(place);
    }
    let sizes = || classes.values().map(Vec::len);
    let wanted = match balance {
        Balance::None => return vec![1; labels.len()],
        Balance::Oversample => sizes().max(),
        Balance::Undersample => sizes().min(),
    };
    let mut times = vec![0; labels.len()];
    for (_, mut places) in classes {
        places.sort_by(|one, other| drawn(&labels[*one].id).total_cmp(&drawn(&labels[*other].id)));
        places.iter().cycle().take(wanted.unwrap_or(0)).for_each(|place| times[*place] += 1);
    }
    times
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::Split;

    fn label(id: usize, policy: &str) -> Label {
        let (id, policy) = (id.to_string(), policy.to_owned());
        Label { id, policy, verdicts: BTreeMap::new(), cell: String::new(), split: Split::Train }
    }

    #[test]
    fn classes_become_as_large_as_the_largest_or_as_small_as_the_smallest() {
        let labels: Vec<_> = ["a", "a", "a", "b", "a", "b"].iter().enumerate().map(|(id, policy)| label(id, policy)).collect();
        let labels: Vec<_> = labels.iter().collect();
        let latest_first = |id: &str| -id.parse::<f64>().unwrap();
        assert_eq!(times(&labels, Balance::None, latest_first), [1, 1, 1, 1, 1, 1]);
        assert_eq!(times(&labels, Balance::Oversample, latest_first), [1, 1, 1, 2, 1, 2]);
        assert_eq!(times(&labels, Balance::Undersample, latest_first), [0, 0, 1, 1, 1, 1]);
    }
}
