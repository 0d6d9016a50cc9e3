//! A training from end to end. Takes a model, settings and prepared rows; gives the trained model and its counts.

use burn::tensor::DType;

use super::{
    TrainError,
    memory::{Load, Sizes, estimate},
    method::Method,
    objective::Objective,
    prepared::Prepared,
    settings::{Precision, Settings},
    state::Position,
    trainer::Trainer,
    watch::{Summary, Trained, Watch},
};
use crate::models::{Model, is_processor};

/// The arguments of [`run`].
pub struct TrainingRun<'a, M: Method> {
    /// The model, with the adapter that is trained, if there is one.
    pub model: Model,
    /// The settings.
    pub settings: &'a Settings<M>,
    /// Rows to train on. A reference's log-probabilities are written into them if the settings ask for it.
    pub rows: &'a mut Prepared<M::Row>,
    /// Rows to evaluate on.
    pub evaluation: Option<&'a mut Prepared<M::Row>>,
    /// The observer of every step.
    pub watch: &'a mut dyn Watch,
}

/// Trains on the device of the settings. The trained model is returned on the device of the given one.
///
/// # Errors
/// The device is missing, a setting is out of range, no row is left, a token is outside of the vocabulary, the loss or the gradient norm is not
/// finite, or the observer stops the training.
pub fn run<M: Method>(run: TrainingRun<'_, M>) -> Result<Trained, TrainError> {
    let TrainingRun { model, settings, rows, .. } = &run;
    let Settings { training, method } = settings;
    let device = training.device.open()?;
    let half = training.precision == Precision::Bf16;
    if half && !is_processor(&device) && !device.supports_dtype(DType::BF16) {
        let reason = format!("is bf16, which `device: {}` does not compute in; take `f32`, or `device: cpu`", training.device);
        return Err(TrainError::Setting { name: "precision", reason });
    }
    let load = Load::of(method, &rows.rows, training.max_length);
    let memory = estimate(&Sizes::of_model(model), training, &load);
    run.watch.memory(&memory);
    // On the processor there is no second copy: trained weights replace the model's own.
    let in_place = is_processor(&device) && *run.model.parameters().device() == device;
    let (mut model, home) = if in_place { (run.model, None) } else { (run.model.on(&device), Some(run.model)) };
    model.parameters_mut().compute_in_half(half);
    match train(TrainingRun { model, ..run }) {
        Ok(Trained { model, summary }) => Ok(Trained { model: bring_home(home, model), summary }),
        Err(TrainError::Diverged { step, figure, value, rows, last }) => {
            Err(TrainError::Diverged { step, figure, value, rows, last: Box::new(bring_home(home, *last)) })
        }
        Err(error) => Err(error),
    }
}

fn train<M: Method>(run: TrainingRun<'_, M>) -> Result<Trained, TrainError> {
    let TrainingRun { model, settings, rows: Prepared { rows, ids, cut, dropped }, evaluation, watch } = run;
    let training = &settings.training;
    settings.method.check(training)?;
    if rows.is_empty() {
        return Err(TrainError::Nothing { given: *dropped, dropped: *dropped, max_length: training.max_length });
    }
    let trainer = Trainer::new(training, ids, M::DROPOUT)?;
    let count = rows.len();
    let mut objective = begin(&model, settings, rows, ids, &trainer.micro_batches())?;
    let mut evaluated = match evaluation {
        Some(Prepared { rows, ids, .. }) if !rows.is_empty() => {
            let all: Vec<usize> = (0..rows.len()).collect();
            let batches: Vec<&[usize]> = all.chunks(training.eval_batch_size).collect();
            Some(begin(&model, settings, rows, ids, &batches)?)
        }
        _ => None,
    };
    let (model, position) = trainer.run(model, &mut *objective, evaluated.as_deref_mut(), watch)?;
    let Position { step, num_tokens, best, .. } = position;
    let best_metric = best.metric();
    let best_step = best_metric.map(|_| best.step);
    let summary = Summary { rows: count, cut: *cut, dropped: *dropped, steps: step, num_tokens, best_metric, best_step };
    Ok(Trained { model, summary })
}

/// Builds the objective over rows, and computes the predictions of its frozen reference in the batches of the training.
fn begin<'a, M: Method>(
    model: &Model,
    settings: &'a Settings<M>,
    rows: &'a mut [M::Row],
    ids: &[String],
    batches: &[&[usize]],
) -> Result<Box<dyn Objective + 'a>, TrainError> {
    let mut objective = settings.method.objective(&settings.training, rows, ids)?;
    for (row, id) in ids.iter().enumerate() {
        model.check(&objective.lay_out(&[row])).map_err(|source| TrainError::Token { row: id.clone(), source })?;
    }
    objective.begin(model, batches);
    Ok(objective)
}

/// Copies the trained weights into the model that they came from, if they were trained on another device.
fn bring_home(home: Option<Model>, mut trained: Model) -> Model {
    trained.parameters_mut().compute_in_half(false);
    let Some(mut model) = home else { return trained };
    let names = model.trained_names();
    model.parameters_mut().thaw(&names);
    for name in names {
        if let Some(weight) = trained.parameters().get(&name) {
            model.parameters_mut().set(&name, weight.clone().into_values());
        }
    }
    model
}
