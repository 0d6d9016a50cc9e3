//! A learning rate that decays when evaluations do not improve, as by `PyTorch`'s `ReduceLROnPlateau`. Takes metrics; gives a rate.

use serde::{Deserialize, Serialize};

use super::arguments::{Mode, SchedulerArguments, ThresholdMode};

/// State of the scheduler. Numbers are stored by their bits, since JSON's decimals may round them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Plateau {
    /// The rate; none before the first decay.
    rate_bits: Option<u64>,
    /// The best metric; none before the first evaluation.
    best_bits: Option<u64>,
    /// Number of evaluations since the last improvement.
    waited: usize,
    /// Number of evaluations of the cooldown that are left.
    resting: usize,
}

impl Plateau {
    /// Returns the rate, if it has decayed.
    pub(crate) fn rate(&self) -> Option<f64> {
        self.rate_bits.map(f64::from_bits)
    }

    /// Takes the metric of an evaluation, after a step with this rate.
    pub(crate) fn judge(&mut self, arguments: &SchedulerArguments, rate: f64, figure: f64) {
        let SchedulerArguments { mode, factor, patience, threshold, threshold_mode, cooldown, min_lr, eps, .. } = *arguments;
        let (mode, threshold) = (mode.unwrap_or_default(), threshold.unwrap_or(1e-4));
        let sign = if mode == Mode::Min { -1.0 } else { 1.0 };
        let wanted = |best: f64| match threshold_mode.unwrap_or_default() {
            ThresholdMode::Rel => best * (1.0 + sign * threshold),
            ThresholdMode::Abs => best + sign * threshold,
        };
        let best = self.best_bits.map_or(-sign * f64::INFINITY, f64::from_bits);
        if sign * figure > sign * wanted(best) {
            (self.best_bits, self.waited) = (Some(figure.to_bits()), 0);
        } else {
            self.waited += 1;
        }
        if self.resting > 0 {
            (self.resting, self.waited) = (self.resting - 1, 0);
        }
        if self.waited > patience.unwrap_or(10) {
            let fallen = (rate * factor.unwrap_or(0.1)).max(min_lr.unwrap_or(0.0));
            if rate - fallen > eps.unwrap_or(1e-8) {
                self.rate_bits = Some(fallen.to_bits());
            }
            (self.resting, self.waited) = (cooldown.unwrap_or(0), 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rates(arguments: &str, figures: &[f64]) -> Vec<f64> {
        let arguments: SchedulerArguments = serde_json::from_str(arguments).unwrap();
        let mut plateau = Plateau::default();
        let mut rates = Vec::new();
        for &figure in figures {
            plateau.judge(&arguments, plateau.rate().unwrap_or(1.0), figure);
            rates.push(plateau.rate().unwrap_or(1.0));
        }
        rates
    }

    #[test]
    fn rates_are_those_of_pytorch() {
        // The rates of torch.optim.lr_scheduler.ReduceLROnPlateau on the same metrics.
        let figures = [3.0, 2.0, 2.0, 1.9, 1.95, 1.8, 1.9, 1.9, 1.9];
        assert_eq!(
            rates(r#"{"factor": 0.5, "patience": 0}"#, &figures),
            [1.0, 1.0, 0.5, 0.5, 0.25, 0.25, 0.125, 0.0625, 0.03125]
        );
        assert_eq!(
            rates(r#"{"factor": 0.5, "patience": 1, "threshold": 0.2, "min_lr": 0.3}"#, &figures),
            [1.0, 1.0, 1.0, 0.5, 0.5, 0.3, 0.3, 0.3, 0.3]
        );
        assert_eq!(
            rates(r#"{"factor": 0.5, "patience": 0, "cooldown": 2, "threshold_mode": "abs", "threshold": 0.1}"#, &figures),
            [1.0, 1.0, 0.5, 0.5, 0.5, 0.5, 0.25, 0.25, 0.25]
        );
        assert_eq!(
            rates(r#"{"factor": 0.5, "patience": 2, "mode": "max"}"#, &figures),
            [1.0, 1.0, 1.0, 0.5, 0.5, 0.5, 0.25, 0.25, 0.25]
        );
        assert_eq!(rates("{}", &figures), [1.0; 9]);
    }
}
