//! Adafactor (Shazeer and Stern 2018), as in transformers' `Trainer`: without a step size of its own. Takes a weight and its gradient; gives the
//! new weight. For a matrix, the state is only the averages of the squared gradients' rows and columns.

use burn::tensor::Tensor;

use super::rule::{Rule, Update, count};
use crate::{
    part::settings,
    models::Values,
    train::{
        TrainError,
        settings::range,
    },
};

settings! {
    /// Adam without a first average, and with the second factored into rows and columns: little memory.
    pub struct Adafactor {
        /// Added to the squared gradients.
        eps: f64 = 1e-30,
        /// Largest root mean square of an update; larger ones are scaled to it.
        clip_threshold: f64 = 1.0,
        /// The decay of the squares' averages is 1 less the step's number to this power.
        decay_rate: f64 = -0.8,
        /// Decay of an average of updates that replaces them [default: no average].
        beta1: Option<f64> = None,
        /// Decay of matrices; biases and norms do not decay.
        weight_decay: f64 = 0.0,
    }
}

impl Rule for Adafactor {
    fn name(&self) -> &'static str {
        "adafactor"
    }

    fn optim_words() -> Vec<(&'static str, Self)> {
        vec![("adafactor", Self::default())]
    }

    fn trl_number(&mut self, name: &str) -> Option<&mut f64> {
        (name == "weight_decay").then_some(&mut self.weight_decay)
    }

    fn check(&self) -> Result<(), TrainError> {
        range::positive("eps", self.eps)?;
        range::positive("clip_threshold", self.clip_threshold)?;
        if !(self.decay_rate.is_finite() && self.decay_rate < 0.0) {
            let reason = format!("is {} and must be below 0", self.decay_rate);
            return Err(TrainError::Setting { name: "decay_rate", reason });
        }
        range::decays("beta1", self.beta1.as_slice())?;
        range::not_negative("weight_decay", self.weight_decay)
    }

    fn weight_decay(&self) -> f64 {
        self.weight_decay
    }

    /// Names the averages of squared gradients, and that of updates if they are averaged too.
    fn state(&self, shape: &[usize]) -> Vec<(&'static str, usize)> {
        let mut state = match shape {
            [rows, columns] => vec![("rows", *rows), ("columns", *columns)],
            _ => vec![("squares", count(shape))],
        };
        if self.beta1.is_some() {
            state.push(("updates", count(shape)));
        }
        state
    }

    fn apply(&self, update: &Update, shape: &[usize], weight: Values, gradient: &Values, state: &mut [Values]) -> Values {
        let keep = (1.0 - update.learning_rate * update.weight_decay) as f32;
        match (weight, gradient) {
            (Values::Host(mut weights), Values::Host(gradient)) => {
                let change = self.change_on_host(update, shape, gradient, state);
                weights.iter_mut().zip(change).for_each(|(weight, change)| *weight = *weight * keep - change);
                Values::Host(weights)
            }
            (Values::Device(weights), Values::Device(gradient)) => {
                let change = self.change_on_device(update, shape, gradient, state);
                Values::Device(weights * keep - change)
            }
            _ => unreachable!("{ONE_DEVICE}"),
        }
    }
}

const ONE_DEVICE: &str = "a weight, its gradient and their averages are on one device";

impl Adafactor {
    /// Returns the decay of the squares' averages in a step, which is 0 in the first.
    fn decay(&self, step: i32) -> f32 {
        (1.0 - f64::from(step).powf(self.decay_rate)) as f32
    }

    /// Returns what is subtracted from a weight, and updates its averages.
    fn change_on_host(&self, update: &Update, shape: &[usize], gradient: &[f32], state: &mut [Values]) -> Vec<f32> {
        let (decay, eps) = (self.decay(update.step), self.eps as f32);
        let mut change: Vec<f32> = gradient.iter().map(|gradient| gradient * update.scale).collect();
        let averages = match state {
            [Values::Host(rows), Values::Host(columns), rest @ ..] if shape.len() == 2 => {
                let width = shape[1].max(1);
                let mut sums = vec![0.0; width];
                for (row, average) in change.chunks(width).zip(rows.iter_mut()) {
                    let squares = row.iter().map(|value| value * value + eps);
                    sums.iter_mut().zip(squares.clone()).for_each(|(sum, square)| *sum += f64::from(square));
                    let mean = squares.map(f64::from).sum::<f64>() / width as f64;
                    *average = decay * *average + (1.0 - decay) * mean as f32;
                }
                let height = rows.len() as f64;
                for (average, sum) in columns.iter_mut().zip(sums) {
                    *average = decay * *average + (1.0 - decay) * (sum / height) as f32;
                }
                let mean = (rows.iter().copied().map(f64::from).sum::<f64>() / height) as f32;
                let factors: Vec<f32> = columns.iter().map(|average| average.sqrt().recip()).collect();
                for (row, average) in change.chunks_mut(width).zip(rows) {
                    let of_row = (*average / mean).sqrt().recip();
                    row.iter_mut().zip(&factors).for_each(|(value, of_column)| *value *= of_row * of_column);
                }
                rest
            }
            [Values::Host(squares), rest @ ..] => {
                for (value, average) in change.iter_mut().zip(squares) {
                    *average = decay * *average + (1.0 - decay) * (*value * *value + eps);
                    *value *= average.sqrt().recip();
                }
                rest
            }
            _ => unreachable!("{ONE_DEVICE}"),
        };
        let squares = change.iter().map(|value| f64::from(*value) * f64::from(*value)).sum::<f64>();
        let root_mean_square = (squares / change.len().max(1) as f64).sqrt();
        let factor = (update.learning_rate / (root_mean_square / self.clip_threshold).max(1.0)) as f32;
        for value in &mut change {
            *value *= factor;
        }
        if let (Some(beta1), [Values::Host(average)]) = (self.beta1, averages) {
            let beta1 = beta1 as f32;
            for (value, average) in change.iter_mut().zip(average) {
                *average = beta1 * *average + (1.0 - beta1) * *value;
                *value = *average;
            }
        }
        change
    }

    /// Does the same as [`Self::change_on_host`] by tensors, `[count]`. Nothing is copied to the processor.
    fn change_on_device(&self, update: &Update, shape: &[usize], gradient: &Tensor<1>, state: &mut [Values]) -> Tensor<1> {
        let (decay, count) = (self.decay(update.step), gradient.dims()[0]);
        let gradient = gradient.clone() * update.scale;
        let squares = gradient.clone().square() + self.eps as f32;
        let blend = |average: &mut Tensor<1>, squares: Tensor<1>| {
            *average = average.clone() * decay + squares * (1.0 - decay);
            average.clone()
        };
        let (change, averages) = match state {
            [Values::Device(rows), Values::Device(columns), rest @ ..] if shape.len() == 2 => {
                let [height, width] = [shape[0], shape[1]];
                let squares = squares.reshape([height, width]);
                let rows = blend(rows, squares.clone().mean_dim(1).reshape([height]));
                let columns = blend(columns, squares.mean_dim(0).reshape([width]));
                let factor = (rows.clone() / rows.mean()).sqrt().recip().reshape([height, 1]);
                let change = gradient.reshape([height, width]) * factor * columns.sqrt().recip().reshape([1, width]);
                (change.reshape([count]), rest)
            }
            [Values::Device(average), rest @ ..] => (gradient * blend(average, squares).sqrt().recip(), rest),
            _ => unreachable!("{ONE_DEVICE}"),
        };
        let root_mean_square = change.clone().square().mean().sqrt();
        let change = change / (root_mean_square / self.clip_threshold as f32).clamp_min(1.0) * update.learning_rate as f32;
        let (Some(beta1), [Values::Device(average)]) = (self.beta1, averages) else { return change };
        let beta1 = beta1 as f32;
        *average = average.clone() * beta1 + change * (1.0 - beta1);
        average.clone()
    }
}

#[cfg(test)]
mod tests {
    use crate::train::optimizer::tests::assert_reference;

    #[test]
    fn steps_are_those_of_transformers() {
        assert_reference("adafactor", include_str!("../../../tests/reference/adafactor.json"));
    }
}
