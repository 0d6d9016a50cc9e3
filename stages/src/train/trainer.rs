//! The training loop. Takes a model and an objective; gives the trained model and its position.

use std::collections::BTreeMap;

use super::{
    Step, TrainError, Watch, check,
    evaluation::{
        self,
        best::{self, Verdict},
    },
    gradients, listed,
    objective::{Objective, Scored, Share, Weighed},
    optimizer::Stepper,
    order::{self, StepRows},
    schedule::{Schedule, Scheduler},
    settings::{Dtype, Training},
    shards,
    state::{Position, State},
};
use crate::models::{Dropout, Model, Values};

/// A training with the rows of all its steps.
pub(super) struct Trainer<'a> {
    settings: &'a Training,
    /// For each row the ids of its examples.
    ids: &'a [String],
    steps: Vec<StepRows>,
    schedule: Schedule,
    /// Share of the adapter's inputs that are dropped.
    dropout: f64,
}

/// The gradients and metrics of a step.
struct Accumulated {
    gradients: Vec<Values>,
    figures: BTreeMap<String, f64>,
}

impl<'a> Trainer<'a> {
    /// Plans a training on rows with these ids, at least one. `dropout` says whether the adapter's dropout is applied.
    pub(super) fn new(settings: &'a Training, ids: &'a [String], dropout: bool) -> Result<Self, TrainError> {
        check::ranges(settings)?;
        let steps = order::steps(settings, ids.len())?;
        let Training { lr_scheduler, lr_scheduler_args, learning_rate, warmup, .. } = *settings;
        let schedule = Schedule::new(lr_scheduler, lr_scheduler_args, learning_rate, warmup, steps.len())?;
        let dropout = settings.adapter.as_ref().filter(|_| dropout).map_or(0.0, |adapter| adapter.lora_dropout);
        Ok(Self { settings, ids, steps, schedule, dropout })
    }

    /// Returns the ids of rows.
    fn named<'b>(&self, rows: impl Iterator<Item = &'b usize>) -> Vec<String> {
        rows.map(|&row| self.ids[row].clone()).collect()
    }

    /// Returns the rows of all micro-batches, one after another.
    pub(super) fn micro_batches(&self) -> Vec<&[usize]> {
        self.steps.iter().flat_map(|step| step.micro_batches.iter().map(Vec::as_slice)).collect()
    }

    /// Trains. Returns the model, with the position of the training at its end.
    pub(super) fn run(
        &self,
        mut model: Model,
        objective: &mut dyn Objective,
        mut evaluated: Option<&mut (dyn Objective + '_)>,
        watch: &mut dyn Watch,
    ) -> Result<(Model, Position), TrainError> {
        let settings = self.settings;
        let figures = [&["loss", "num_tokens"], objective.figures()].concat();
        best::check(settings, evaluated.is_some(), &figures)?;
        let names = model.trained_names();
        model.parameters_mut().thaw(&names);
        let half = settings.quantization.as_ref().is_some_and(|quantization| quantization.adapter_dtype == Dtype::Bfloat16);
        let mut optimizer = Stepper::new(&settings.optimizer, half);
        if half {
            for name in &names {
                model.parameters_mut().change(name, Values::rounded);
            }
        }
        let (mut position, mut best) = (Position::default(), None);
        if let Some(folder) = watch.resume()? {
            let mut state = State { model: &mut model, names: &names, optimizer: &mut optimizer, objective, best: &mut best };
            position = state.load(&folder)?;
            // The references of both objectives started equal and are synchronised with the same model, so one copy is enough.
            if let (Some(reference), Some(other)) =
                (objective.reference(), evaluated.as_deref_mut().and_then(|evaluated| evaluated.reference()))
            {
                other.clone_from(reference);
            }
        }
        let mut untrained = false;
        for (index, rows) in self.steps.iter().enumerate().skip(position.step) {
            let step = index + 1;
            let learning_rate = position.plateau.rate().unwrap_or_else(|| self.schedule.rate(index));
            position.step = step;
            let rows_of_step = || rows.micro_batches.iter().flatten();
            position.num_tokens += rows_of_step().map(|&row| objective.tokens(row)).sum::<usize>();
            if !untrained && rows_of_step().all(|&row| objective.targets(row) == 0) {
                untrained = true;
                let rows = listed(&self.named(rows_of_step()));
                watch.warn(&format!("step {step}: none of its tokens is learned, so the loss is 0: {rows}"));
            }
            let Accumulated { gradients, mut figures } = self.accumulate(&model, &names, objective, index);
            if step == 1 {
                watch.first_gradients(&names, &gradients);
            }
            let diverged = |figure, value: f64, last: Model| {
                Err(TrainError::Diverged { step, figure, value, rows: self.named(rows_of_step()), last: Box::new(last) })
            };
            let loss = figures.get("loss").copied().unwrap_or_default();
            if !loss.is_finite() {
                return diverged("loss", loss, model);
            }
            let grad_norm = optimizer.step(model.parameters_mut(), &names, &gradients, settings.max_grad_norm, learning_rate);
            if !grad_norm.is_finite() {
                return diverged("grad_norm", grad_norm, model);
            }
            figures.insert("grad_norm".into(), grad_norm);
            figures.insert("learning_rate".into(), learning_rate);
            figures.insert("num_tokens".into(), position.num_tokens as f64);
            objective.follow(step, &model);
            let of = |metrics| Step { step, steps: self.steps.len(), epoch: rows.epoch, metrics };
            watch.step(&of(figures)).map_err(|_| TrainError::Stopped { step })?;
            if let Some(evaluated) = evaluated.as_deref_mut() {
                evaluated.follow(step, &model);
                let due = settings.eval_steps.is_some_and(|every| step.is_multiple_of(every)) || step == self.steps.len();
                if due {
                    let figures = evaluation::evaluate(&model, settings, evaluated, position.num_tokens);
                    let Verdict { better, stop } = position.best.judge(settings, step, &figures);
                    if let (Scheduler::ReduceLrOnPlateau, Some(&figure)) =
                        (settings.lr_scheduler, figures.get(&best::metric(settings)))
                    {
                        position.plateau.judge(&settings.lr_scheduler_args, learning_rate, figure);
                    }
                    watch.evaluated(&of(figures));
                    if better && settings.load_best_model_at_end {
                        best = Some(model.clone());
                    }
                    if stop {
                        break;
                    }
                }
            }
            // After the evaluation, whose result a resumed training needs.
            if step < self.steps.len() {
                watch.save(step, &mut |folder| {
                    let mut state =
                        State { model: &mut model, names: &names, optimizer: &mut optimizer, objective, best: &mut best };
                    state.save(position, folder)
                })?;
            }
        }
        Ok((best.unwrap_or(model), position))
    }

    /// Returns the dropout of a micro-batch, seeded by its number so that a resumed training draws the same.
    fn dropout(&self, step: usize, micro_batch: usize) -> Option<Dropout> {
        let share = self.dropout;
        // Seeds of different shards must differ, and no step has 65,536 shards. Streams of neighbouring seeds are independent.
        let pass = (step * self.settings.gradient_accumulation_steps + micro_batch) as u64;
        (share > 0.0).then(|| Dropout { share, seed: self.settings.seed.wrapping_add(pass << 16) })
    }

    /// Accumulates the gradients of a step over its micro-batches.
    fn accumulate(&self, model: &Model, names: &[String], objective: &dyn Objective, step: usize) -> Accumulated {
        let micro_batches = &self.steps[step].micro_batches;
        let targets = micro_batches.iter().flatten().map(|&row| objective.targets(row)).sum();
        let share = Share { targets, micro_batches: micro_batches.len() };
        let mut sum = Accumulated { gradients: Vec::new(), figures: BTreeMap::new() };
        for (index, rows) in micro_batches.iter().enumerate() {
            let shards = shards::split(objective, rows, self.settings.shards);
            let dropout = self.dropout(step, index);
            let passed = shards::forward(model, names, &shards, dropout, self.settings.gradient_checkpointing);
            let scored: Vec<Scored<'_>> = shards
                .iter()
                .zip(&passed)
                .map(|(shard, passed)| Scored { rows: &shard.rows, batch: &shard.batch, predictions: &passed.predictions })
                .collect();
            let Weighed { loss, slopes, figures } = objective.weigh(&scored, share);
            *sum.figures.entry("loss".into()).or_default() += loss;
            for (name, figure) in figures {
                *sum.figures.entry(name.into()).or_default() += figure / micro_batches.len() as f64;
            }
            gradients::add(&mut sum.gradients, shards::backward(model, names, &shards, passed, &slopes));
        }
        if sum.gradients.is_empty() {
            sum.gradients = names.iter().map(|name| model.parameters().zeros(name)).collect();
        }
        sum
    }
}
