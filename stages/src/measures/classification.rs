//! Classification. Takes gold and predicted classes; gives the confusion matrix, precision, recall, F1 and accuracy.

use serde::Serialize;

/// The measures of one class, each from 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct ClassMeasures {
    /// The share of predictions of this class that are right; 0 without predictions.
    pub precision: f64,
    /// The share of rows of this class that are predicted as such; 0 without rows.
    pub recall: f64,
    /// The harmonic mean of precision and recall; 0 if both are 0.
    pub f1: f64,
    /// The number of rows of this gold class.
    pub support: u64,
}

/// Returns the confusion matrix, `[classes, classes]`: counts of rows by `[gold][predicted]`. Every class is below `classes`.
#[must_use]
pub fn confusion(gold: &[usize], predicted: &[usize], classes: usize) -> Vec<Vec<u64>> {
    let mut counts = vec![vec![0; classes]; classes];
    for (&gold, &predicted) in gold.iter().zip(predicted) {
        counts[gold][predicted] += 1;
    }
    counts
}

/// Returns precision, recall, F1 and support of each class of a confusion matrix.
#[must_use]
pub fn per_class(confusion: &[Vec<u64>]) -> Vec<ClassMeasures> {
    let measures = |(class, row): (usize, &Vec<u64>)| {
        let hits = row[class];
        let support: u64 = row.iter().sum();
        let predicted: u64 = confusion.iter().map(|row| row[class]).sum();
        let (precision, recall) = (share(hits, predicted), share(hits, support));
        let sum = precision + recall;
        let f1 = if sum > 0.0 { 2.0 * precision * recall / sum } else { 0.0 };
        ClassMeasures { precision, recall, f1, support }
    };
    confusion.iter().enumerate().map(measures).collect()
}

/// Returns the mean F1 over all classes, including those without rows; 0 without classes.
#[must_use]
pub fn macro_f1(classes: &[ClassMeasures]) -> f64 {
    // An empty sum is -0.0, which a report would show. Adding 0.0 makes it 0.0.
    (classes.iter().map(|class| class.f1).sum::<f64>() + 0.0) / classes.len().max(1) as f64
}

/// Returns the share of rows on the diagonal of a confusion matrix; `None` without rows.
#[must_use]
pub fn accuracy(confusion: &[Vec<u64>]) -> Option<f64> {
    let total: u64 = confusion.iter().flatten().sum();
    let hits: u64 = confusion.iter().enumerate().map(|(class, row)| row[class]).sum();
    (total > 0).then(|| share(hits, total))
}

fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn measures_count_a_class_without_rows_as_zero() {
        let counts = confusion(&[0, 0, 1, 2, 2, 2, 1, 0], &[0, 1, 1, 2, 0, 2, 2, 0], 4);
        assert_eq!(counts, [[2, 1, 0, 0], [0, 1, 1, 0], [1, 0, 2, 0], [0, 0, 0, 0]]);
        let classes = per_class(&counts);
        let (two_thirds, found) = (2.0 / 3.0, classes[0]);
        assert!((found.precision - two_thirds).abs() + (found.recall - two_thirds).abs() + (found.f1 - two_thirds).abs() < 1e-12);
        assert_eq!(classes[1], ClassMeasures { precision: 0.5, recall: 0.5, f1: 0.5, support: 2 });
        assert_eq!(classes[3], ClassMeasures { precision: 0.0, recall: 0.0, f1: 0.0, support: 0 });
        assert!((macro_f1(&classes) - 0.458_333_333_333_333_3).abs() < 1e-12);
        assert_eq!(accuracy(&counts), Some(0.625));
    }

    #[test]
    fn precision_and_recall_are_not_confused() {
        let classes = per_class(&confusion(&[0, 0, 0, 1], &[0, 1, 1, 1], 2));
        assert_eq!((classes[0].precision, classes[0].f1), (1.0, 0.5));
        assert_eq!((classes[1].recall, classes[1].f1), (1.0, 0.5));
    }

    #[test]
    fn no_rows_have_no_accuracy() {
        assert_eq!(accuracy(&confusion(&[], &[], 2)), None);
        assert_eq!(macro_f1(&per_class(&confusion(&[], &[], 0))).to_bits(), 0.0_f64.to_bits());
    }
}
