//! Multinomial logistic regression with an L2 penalty. Takes sparse rows and their classes; gives a fitted regression.

use super::terms::{Row, shares};

/// The largest number of L-BFGS steps. Held-out quality stops rising long before, and a step costs two passes over the rows.
const STEPS: usize = 40;
/// The number of past steps that L-BFGS remembers.
const MEMORY: usize = 6;
/// Steps end when the loss falls by less than this share of itself, but not before the memory is full, since the first steps are short.
const TOLERANCE: f64 = 1e-3;
/// Classes are stored in blocks of this many numbers, one vector register: three times as fast as a loop over three classes.
const LANES: usize = 4;

type Block = [f32; LANES];

/// A fitted regression: a weight for each column and class.
pub(crate) struct Logistic {
    classes: usize,
    /// Weights by column, then by block of classes. The last column is the intercept.
    weights: Vec<Block>,
}

/// A penalised loss with its gradient.
type Loss = (f64, Vec<Block>);

impl Logistic {
    /// Fits a regression by L-BFGS: minimises the summed cross-entropy plus `penalty / 2 · |weights|²`, without a penalty on intercepts.
    /// scikit-learn's `C` is `1 / penalty`.
    ///
    /// Columns of `rows` are below `width`, labels below `classes`.
    pub(crate) fn fit(rows: &[Row], labels: &[usize], width: usize, classes: usize, penalty: f32) -> Self {
        let blocks = classes.div_ceil(LANES);
        let mut model = Self { classes, weights: vec![[0.0; LANES]; (width + 1) * blocks] };
        // Without columns, the solution is the classes' shares. Starting from them saves the steps that would find them.
        for (class, share) in shares(labels, classes).into_iter().enumerate() {
            model.weights[width * blocks + class / LANES][class % LANES] = share.ln() as f32;
        }
        let mut past: Vec<Step> = Vec::new();
        let (mut loss, mut gradient) = model.loss(rows, labels, penalty);
        for _ in 0..STEPS {
            // The loss is a sum over rows, each with a curvature of at most a half, so this length is about right for the first step.
            let direction = direction(&gradient, &past, 2.0 / rows.len().max(1) as f64);
            let slope = dot(&direction, &gradient);
            let Some((next, (next_loss, next_gradient))) =
                model.search(&direction, slope, loss, |model| model.loss(rows, labels, penalty))
            else {
                break;
            };
            let moved = difference(&next.weights, &model.weights);
            let turned = difference(&next_gradient, &gradient);
            let curvature = dot(&moved, &turned);
            if curvature > 0.0 {
                past.push(Step { scale: curvature / dot(&turned, &turned), curvature, moved, turned });
            }
            if past.len() > MEMORY {
                past.remove(0);
            }
            let gain = loss - next_loss;
            (model, loss, gradient) = (next, next_loss, next_gradient);
            if past.len() == MEMORY && gain < TOLERANCE * loss {
                break;
            }
        }
        model
    }

    /// Returns the probability of each class.
    pub(crate) fn probabilities(&self, row: &Row) -> Vec<f64> {
        let mut scores = vec![[0.0; LANES]; self.blocks()];
        self.score(row, &mut scores);
        let mut shares = vec![0.0; self.classes];
        softmax(&scores, &mut shares);
        shares
    }

    fn blocks(&self) -> usize {
        self.classes.div_ceil(LANES)
    }

    fn score(&self, row: &Row, scores: &mut [Block]) {
        let blocks = self.blocks();
        scores.copy_from_slice(&self.weights[self.weights.len() - blocks..]);
        for &(column, value) in row {
            let at = column as usize * blocks;
            for (score, weight) in scores.iter_mut().zip(&self.weights[at..at + blocks]) {
                add_block(score, value, weight);
            }
        }
    }

    fn loss(&self, rows: &[Row], labels: &[usize], penalty: f32) -> Loss {
        let blocks = self.blocks();
        let free = self.weights.len() - blocks;
        let mut gradient: Vec<Block> = self.weights.iter().map(|weights| weights.map(|weight| penalty * weight)).collect();
        gradient[free..].fill([0.0; LANES]);
        let mut loss = f64::from(penalty) / 2.0 * dot(&self.weights[..free], &self.weights[..free]);
        let mut scores = vec![[0.0; LANES]; blocks];
        let mut errors = scores.clone();
        let mut shares = vec![0.0; self.classes];
        for (row, &label) in rows.iter().zip(labels) {
            self.score(row, &mut scores);
            softmax(&scores, &mut shares);
            loss -= shares[label].max(f64::MIN_POSITIVE).ln();
            shares[label] -= 1.0;
            for (error, share) in errors.as_flattened_mut().iter_mut().zip(&shares) {
                *error = *share as f32;
            }
            for &(column, value) in row {
                let at = column as usize * blocks;
                for (slope, error) in gradient[at..at + blocks].iter_mut().zip(&errors) {
                    add_block(slope, value, error);
                }
            }
            for (slope, error) in gradient[free..].iter_mut().zip(&errors) {
                add_block(slope, 1.0, error);
            }
        }
        (loss, gradient)
    }

    /// Halves the step until the loss falls enough (Armijo's condition). Returns `None` if no step is short enough.
    fn search(&self, direction: &[Block], slope: f64, loss: f64, measure: impl Fn(&Self) -> Loss) -> Option<(Self, Loss)> {
        (0..20).map(|halvings| 0.5_f64.powi(halvings)).find_map(|size| {
            let mut next = Self { classes: self.classes, weights: self.weights.clone() };
            add(&mut next.weights, size, direction);
            let found = measure(&next);
            (found.0 < loss + 1e-4 * size * slope).then_some((next, found))
        })
    }
}

/// A past step of L-BFGS, with the changes of the weights and of the gradient.
struct Step {
    moved: Vec<Block>,
    turned: Vec<Block>,
    curvature: f64,
    scale: f64,
}

/// Returns the direction of the next step, by the two-loop recursion (Nocedal and Wright, algorithm 7.4). Without past steps, it is the
/// negative gradient times `first`.
fn direction(gradient: &[Block], past: &[Step], first: f64) -> Vec<Block> {
    let mut direction: Vec<Block> = gradient.iter().map(|slopes| slopes.map(|slope| -slope)).collect();
    let mut shares = Vec::new();
    for step in past.iter().rev() {
        let share = dot(&step.moved, &direction) / step.curvature;
        add(&mut direction, -share, &step.turned);
        shares.push(share);
    }
    let scale = past.last().map_or(first, |step| step.scale) as f32;
    direction.as_flattened_mut().iter_mut().for_each(|value| *value *= scale);
    for (step, share) in past.iter().zip(shares.iter().rev()) {
        let back = dot(&step.turned, &direction) / step.curvature;
        add(&mut direction, share - back, &step.moved);
    }
    direction
}

fn softmax(scores: &[Block], shares: &mut [f64]) {
    let scores = &scores.as_flattened()[..shares.len()];
    let highest = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    for (share, score) in shares.iter_mut().zip(scores) {
        *share = f64::from(score - highest).exp();
    }
    let total: f64 = shares.iter().sum();
    for share in shares.iter_mut() {
        *share /= total;
    }
}

/// Returns the scalar product. It has a double-precision sum for each lane, since additions to a single sum would wait for each other.
fn dot(left: &[Block], right: &[Block]) -> f64 {
    let mut sums = [0.0; LANES];
    for (left, right) in left.iter().zip(right) {
        for lane in 0..LANES {
            sums[lane] += f64::from(left[lane]) * f64::from(right[lane]);
        }
    }
    sums.iter().sum()
}

fn difference(left: &[Block], right: &[Block]) -> Vec<Block> {
    left.iter().zip(right).map(|(left, right)| std::array::from_fn(|lane| left[lane] - right[lane])).collect()
}

fn add(target: &mut [Block], factor: f64, vector: &[Block]) {
    for (slot, value) in target.iter_mut().zip(vector) {
        add_block(slot, factor as f32, value);
    }
}

fn add_block(slot: &mut Block, factor: f32, value: &Block) {
    for lane in 0..LANES {
        slot[lane] += factor * value[lane];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gradient_is_zero_where_it_ends() {
        let rows: Vec<Row> = (0..60).map(|row| vec![(row % 3, 1.0), (3, row as f32 / 60.0)]).collect();
        let labels: Vec<usize> = (0..60).map(|row| if row % 7 == 0 { 4 } else { row % 5 }).collect();
        let model = Logistic::fit(&rows, &labels, 4, 5, 1.0);
        let start = Logistic { classes: 5, weights: vec![[0.0; LANES]; 10] };
        let ((loss, gradient), (first, steep)) = (model.loss(&rows, &labels, 1.0), start.loss(&rows, &labels, 1.0));
        assert!(loss < first && dot(&gradient, &gradient) < 1e-3 * dot(&steep, &steep), "{loss} {first} {gradient:?}");
    }

    #[test]
    fn the_gradient_is_the_slope_of_the_loss() {
        let rows = [vec![(0, 1.0), (1, 0.5)], vec![(1, 2.0)], vec![]];
        let labels = [0, 2, 1];
        let weights = (0..3).map(|column| [0.1 * column as f32, -0.2, 0.3, 0.0]).collect();
        let mut model = Logistic { classes: 3, weights };
        let (_, gradient) = model.loss(&rows, &labels, 0.7);
        for (column, class) in [(0, 0), (1, 2), (2, 1)] {
            model.weights[column][class] += 1e-2;
            let above = model.loss(&rows, &labels, 0.7).0;
            model.weights[column][class] -= 2e-2;
            let below = model.loss(&rows, &labels, 0.7).0;
            model.weights[column][class] += 1e-2;
            assert!(((above - below) / 2e-2 - f64::from(gradient[column][class])).abs() < 1e-3);
        }
    }
}
