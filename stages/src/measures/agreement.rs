//! Agreement of a judge with a reference. Takes pairs of grades by question; gives how far the judge can be trusted.
//!
//! Unless said otherwise, grades count as correct or not, and `idk` is not correct. Kappa is Cohen's (1960), of two raters.

use std::collections::BTreeMap;

use serde::Serialize;

use super::resampling;
use crate::rows::Grade;

/// A judge's grade and the reference's.
pub type Pair = (Grade, Grade);

/// A share with its 95 % bootstrap interval over questions. Both are null where the share is undefined.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Share {
    /// The share, from 0 to 1; for kappa, at most 1.
    pub value: Option<f64>,
    /// The lower and the upper end of its interval.
    pub interval: Option<[f64; 2]>,
}

/// The agreement of a judge with a reference.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Agreement {
    /// The number of pairs.
    pub pairs: u64,
    /// Pairs by the judge's grade and then the reference's.
    pub table: BTreeMap<String, BTreeMap<String, u64>>,
    /// The share of pairs that are both correct, or both not.
    pub agreement: Share,
    /// The share of pairs whose three-way grades are equal.
    pub three_way: Share,
    /// Cohen's kappa: the agreement beyond chance.
    pub kappa: Share,
    /// The share of answers that are correct, among those that the judge calls correct.
    pub precision: Share,
    /// The share of answers that the judge calls correct, among those that are.
    pub recall: Share,
    /// The share of answers that the judge calls correct, among those that are not.
    pub leniency: Share,
    /// The share of answers that the judge does not call correct, among those that are.
    pub strictness: Share,
}

/// Counts of pairs, by the judge's grade and then the reference's.
type Table = [[u64; 3]; 3];

const CORRECT: usize = 0;

fn index(grade: Grade) -> usize {
    match grade {
        Grade::Correct => CORRECT,
        Grade::Incorrect => 1,
        Grade::Idk => 2,
    }
}

/// Measures the agreement of pairs. `questions` has the pairs of each question, one for each model that answered; the bootstrap draws
/// questions, by `seed`.
#[must_use]
pub fn agreement(questions: &[Vec<Pair>], seed: u64) -> Agreement {
    let tables: Vec<Table> = questions
        .iter()
        .map(|pairs| {
            let mut table = Table::default();
            for (judge, reference) in pairs {
                table[index(*judge)][index(*reference)] += 1;
            }
            table
        })
        .collect();
    let every: Vec<_> = (0..tables.len()).collect();
    let whole = sum(&tables, &every);
    let share = |measure: fn(&Table) -> Option<f64>| Share {
        value: measure(&whole),
        interval: resampling::interval(tables.len(), seed, |drawn| measure(&sum(&tables, drawn))),
    };
    let row = |judge: Grade| Grade::ALL.map(|reference| (reference.to_string(), whole[index(judge)][index(reference)])).into();
    Agreement {
        pairs: whole.iter().flatten().sum(),
        table: Grade::ALL.map(|judge| (judge.to_string(), row(judge))).into(),
        agreement: share(|table| ratio(both(table) + neither(table), total(table))),
        three_way: share(|table| ratio((0..3).map(|grade| table[grade][grade]).sum(), total(table))),
        kappa: share(kappa),
        precision: share(|table| ratio(both(table), said(table))),
        recall: share(|table| ratio(both(table), right(table))),
        leniency: share(|table| ratio(said(table) - both(table), total(table) - right(table))),
        strictness: share(|table| ratio(right(table) - both(table), right(table))),
    }
}

fn sum(tables: &[Table], drawn: &[usize]) -> Table {
    let mut whole = Table::default();
    for &question in drawn {
        for (row, counts) in whole.iter_mut().zip(&tables[question]) {
            for (count, more) in row.iter_mut().zip(counts) {
                *count += more;
            }
        }
    }
    whole
}

fn ratio(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

fn total(table: &Table) -> u64 {
    table.iter().flatten().sum()
}

fn both(table: &Table) -> u64 {
    table[CORRECT][CORRECT]
}

/// Returns the number of answers that the judge calls correct.
fn said(table: &Table) -> u64 {
    table[CORRECT].iter().sum()
}

/// Returns the number of answers that the reference calls correct.
fn right(table: &Table) -> u64 {
    table.iter().map(|row| row[CORRECT]).sum()
}

fn neither(table: &Table) -> u64 {
    total(table) + both(table) - said(table) - right(table)
}

fn kappa(table: &Table) -> Option<f64> {
    let all = total(table) as f64;
    let agreed = ratio(both(table) + neither(table), total(table))?;
    let (said, right) = (said(table) as f64 / all, right(table) as f64 / all);
    let chance = said * right + (1.0 - said) * (1.0 - right);
    // If both always give the same grade, kappa is undefined.
    (chance < 1.0).then(|| (agreed - chance) / (1.0 - chance))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Pairs of different questions with the counts 20, 5, 10 and 15, the table of a well-known worked example of kappa.
    fn pairs() -> Vec<Vec<Pair>> {
        let (yes, no, idk) = (Grade::Correct, Grade::Incorrect, Grade::Idk);
        let of = |pair: Pair, times: usize| vec![vec![pair]; times];
        [of((yes, yes), 20), of((yes, no), 5), of((no, yes), 10), of((no, no), 12), of((idk, no), 3)].concat()
    }

    #[test]
    fn a_known_table_has_its_known_figures() {
        let measured = agreement(&pairs(), 1);
        let close = |share: Share, value: f64| assert!((share.value.unwrap() - value).abs() < 1e-12, "{share:?}, not {value}");
        assert_eq!(measured.pairs, 50);
        close(measured.agreement, 0.7);
        close(measured.three_way, 0.64);
        close(measured.kappa, 0.4);
        close(measured.precision, 0.8);
        close(measured.recall, 2.0 / 3.0);
        close(measured.leniency, 0.25);
        close(measured.strictness, 1.0 / 3.0);
        assert_eq!((measured.table["idk"]["incorrect"], measured.table["incorrect"]["correct"]), (3, 10));
        let [low, high] = measured.agreement.interval.unwrap();
        // The normal approximation: 0.7 ± 1.96 √(0.7 · 0.3 / 50).
        assert!((low - 0.573).abs() < 0.03 && (high - 0.827).abs() < 0.03, "[{low}, {high}]");
    }

    #[test]
    fn answers_to_one_question_are_drawn_together() {
        let together: Vec<_> = pairs().into_iter().map(|pair| [pair.clone(), pair].concat()).collect();
        assert_eq!(agreement(&together, 1).agreement, agreement(&pairs(), 1).agreement, "twice the same is no more evidence");
    }

    #[test]
    fn what_is_undefined_is_no_number() {
        let none = agreement(&[], 1);
        assert_eq!((none.agreement.value, none.kappa.value, none.kappa.interval), (None, None, None));
        let alike = agreement(&[vec![(Grade::Correct, Grade::Correct)]], 1);
        assert_eq!((alike.agreement.value, alike.kappa.value, alike.leniency.value), (Some(1.0), None, None));
    }
}
