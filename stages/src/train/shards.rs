//! One micro-batch over threads: rows in, the sum of the shards' gradients out, added in shard order.

use std::thread;

use burn::tensor::Tensor;

use super::optimizer;
use crate::models::Model;

/// Gradients of the trained weights in the order of their names, and what each shard reports, in shard order.
pub(super) struct Gathered<T> {
    pub(super) gradients: Vec<Vec<f32>>,
    pub(super) reports: Vec<T>,
}

/// Computes each shard on a thread and a graph of its own.
///
/// `draw` is the step's own number for what is random in it. The number of shards is a setting and never the number of cores: sums are then taken in the same order on every machine.
pub(super) fn gather<S: Sync, T: Send>(
    model: &Model,
    names: &[String],
    draw: u64,
    shards: &[S],
    compute: &(dyn Fn(&Model, &S) -> (Tensor<1>, T) + Sync),
) -> Gathered<T> {
    let one = |number: u64, shard: &S| {
        // Fresh leaves: threads that shared them would join their graphs, and wait for each other.
        let model = model.with_parameters(model.parameters().with_leaves(names, draw ^ number));
        let (loss, report) = compute(&model, shard);
        (model.parameters().gradients(names, loss.backward()), report)
    };
    let one = &one;
    let results: Vec<_> = thread::scope(|scope| {
        let threads: Vec<_> = (0..).zip(shards).map(|(number, shard)| scope.spawn(move || one(number, shard))).collect();
        threads.into_iter().map(|thread| thread.join().expect("a shard's thread does not panic")).collect()
    });
    let mut gathered = Gathered { gradients: Vec::new(), reports: Vec::new() };
    for (gradients, report) in results {
        if gathered.gradients.is_empty() {
            gathered.gradients = gradients;
        } else {
            optimizer::add(&mut gathered.gradients, &gradients);
        }
        gathered.reports.push(report);
    }
    gathered
}
