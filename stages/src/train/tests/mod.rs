//! Tests of trainings of a small model: gradients against finite differences, rows laid out in several ways, and interrupted trainings.

mod device;
mod evaluations;
mod recompute;
mod resume;
mod stored_weights;

use std::path::PathBuf;

use super::{
    dpo::{Dpo, DpoLoss, DpoRow, Losses, Reference},
    objective::{Objective as _, Scored, Share},
    optimizer::Optimizer,
    orpo::{Orpo, OrpoRow},
    prepared::Prepared,
    settings::{Code, Dtype, Precision, Quantization, Settings, Training},
    sft::{IGNORED, Labelled, Sft, SftRow},
    *,
};
use crate::{
    models::{
        AdapterConfig, Bias, DeviceName, Model, Modules, Values,
        tests::{tiny, tiny_with_biases},
    },
    random::Random,
};

fn row(ids: &[u32], prompt: usize) -> SftRow {
    let labels = ids.iter().enumerate().map(|(place, &id)| if place < prompt { IGNORED } else { i64::from(id) });
    SftRow { labels: labels.collect(), input_ids: ids.to_vec(), seq_lengths: None }
}

fn rows() -> Vec<SftRow> {
    vec![
        row(&[5, 6, 7, 8, 9], 2),
        row(&[10, 11, 12], 1),
        row(&[13, 5, 14, 15], 3),
        row(&[7, 7, 20, 21, 22, 23], 2),
        row(&[9, 30], 1),
    ]
}

fn ids(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("example-{number}")).collect()
}

fn prepared<R>(rows: Vec<R>) -> Prepared<R> {
    Prepared { ids: ids(rows.len()), rows, cut: 0, dropped: 0 }
}

fn pairs() -> Vec<DpoRow> {
    let pair = |prompt_ids: &[u32], chosen_ids: &[u32], rejected_ids: &[u32]| DpoRow {
        prompt_ids: prompt_ids.to_vec(),
        chosen_ids: chosen_ids.to_vec(),
        rejected_ids: rejected_ids.to_vec(),
        ..DpoRow::default()
    };
    vec![pair(&[5, 6], &[7, 8], &[7, 9, 10]), pair(&[4], &[11, 12, 13], &[14]), pair(&[8, 9], &[20], &[21, 22])]
}

/// A method with a few rows to train on.
trait Example: Method {
    fn example() -> Prepared<Self::Row>;
}

impl Example for Sft {
    fn example() -> Prepared<SftRow> {
        prepared(rows())
    }
}

impl Example for Dpo {
    fn example() -> Prepared<DpoRow> {
        prepared(pairs())
    }
}

fn training() -> Training {
    Training { batch_size: 2, epochs: Some(3.0), learning_rate: 1e-2, device: DeviceName::Cpu, ..Training::default() }
}

impl Example for Orpo {
    fn example() -> Prepared<OrpoRow> {
        let row = |DpoRow { prompt_ids, chosen_ids, rejected_ids, .. }| OrpoRow {
            prompt_ids,
            chosen_ids,
            rejected_ids,
            ..OrpoRow::default()
        };
        prepared(pairs().into_iter().map(row).collect())
    }
}

fn settings<M: Method>() -> Settings<M> {
    Settings { training: training(), method: M::default() }
}

fn sft() -> Settings<Sft> {
    settings()
}

fn dpo(change: impl FnOnce(&mut Dpo)) -> Settings<Dpo> {
    let mut settings: Settings<Dpo> = settings();
    change(&mut settings.method);
    settings
}

/// Adds an adapter whose factors are not those of a new one.
fn adapted(mut model: Model, change: impl FnOnce(&mut AdapterConfig)) -> Model {
    let targets = ["q_proj", "v_proj", "down_proj"].map(str::to_owned).to_vec();
    let mut config = AdapterConfig { r: 3, target_modules: Some(Modules::Names(targets)), ..AdapterConfig::default() };
    change(&mut config);
    model.add_adapter(&config, 1).unwrap();
    let mut random = Random::new(5, "shake");
    for name in model.adapter_names() {
        model.parameters_mut().update(&name, |values| values.iter_mut().for_each(|value| *value += 0.2 * random.normal() as f32));
    }
    model
}

/// Computes the loss and its gradients as a training step does.
fn step(model: &Model, rows: &[SftRow], shards: usize) -> (f64, Vec<Vec<f32>>) {
    step_with(model, rows, shards, false)
}

fn step_with(model: &Model, rows: &[SftRow], shards: usize, gradient_checkpointing: bool) -> (f64, Vec<Vec<f32>>) {
    let objective = Labelled { rows, settings: &Sft::default() };
    let all: Vec<usize> = (0..rows.len()).collect();
    let names = model.trained_names();
    let split = shards::split(&objective, &all, shards);
    let passed = shards::forward(model, &names, &split, None, gradient_checkpointing);
    let scored: Vec<Scored<'_>> = split
        .iter()
        .zip(&passed)
        .map(|(shard, passed)| Scored { rows: &shard.rows, batch: &shard.batch, predictions: &passed.predictions })
        .collect();
    let targets = all.iter().map(|&row| objective.targets(row)).sum();
    let weighed = objective.weigh(&scored, Share { targets, micro_batches: 1 });
    let gradients = shards::backward(model, &names, &split, passed, &weighed.slopes);
    (weighed.loss, gradients.iter().map(Values::to_vec).collect())
}

#[test]
fn gradients_of_every_path_are_those_of_finite_differences() {
    let quantised = || {
        let mut model = tiny(3).model;
        model.quantise(true);
        model
    };
    let paths = [
        ("full", tiny(3).model),
        ("lora", adapted(tiny(3).model, |_| ())),
        ("dora", adapted(tiny(3).model, |config| config.use_dora = true)),
        ("norms", adapted(tiny(3).model, |config| config.modules_to_save = Some(vec!["input_layernorm".into()]))),
        ("lora on 4 bits", adapted(quantised(), |_| ())),
        ("dora on 4 bits", adapted(quantised(), |config| config.use_dora = true)),
    ];
    for (path, model) in paths {
        let (_, gradients) = step(&model, &rows(), 2);
        for (name, gradient) in model.trained_names().iter().zip(&gradients) {
            // DoRA treats norms as constants, so the gradients of its factors are not those of the whole function.
            if path.starts_with("dora") && !name.ends_with("magnitude_vector") {
                continue;
            }
            let (index, &found) =
                gradient.iter().enumerate().max_by(|left, right| left.1.abs().total_cmp(&right.1.abs())).unwrap();
            let at = |move_by: f32| {
                let mut moved = model.clone();
                moved.parameters_mut().update(name, |values| values[index] += move_by);
                step(&moved, &rows(), 2).0
            };
            let expected = (at(2e-3) - at(-2e-3)) / 4e-3;
            let tolerance = 0.02 * expected.abs() + 1e-3;
            assert!((f64::from(found) - expected).abs() < tolerance, "{path}, {name}: {found}, by differences {expected}");
        }
    }
}

fn close(left: &[Vec<f32>], right: &[Vec<f32>]) -> bool {
    left.iter().flatten().zip(right.iter().flatten()).all(|(left, right)| (left - right).abs() < 1e-5)
}

#[test]
fn packed_rows_give_what_they_give_alone() {
    let model = tiny(4).model;
    let (one, other) = (row(&[5, 6, 7, 8], 1), row(&[9, 10, 11], 1));
    let packed = SftRow {
        input_ids: [one.input_ids.clone(), other.input_ids.clone()].concat(),
        labels: [one.labels.clone(), other.labels.clone()].concat(),
        seq_lengths: Some(vec![4, 3]),
    };
    let (alone, together) = (step(&model, &[one, other], 1), step(&model, std::slice::from_ref(&packed), 1));
    assert!((alone.0 - together.0).abs() < 1e-5, "{} {}", alone.0, together.0);
    assert!(close(&alone.1, &together.1));
    let joined = SftRow { seq_lengths: None, ..packed };
    assert!((alone.0 - step(&model, &[joined], 1).0).abs() > 1e-3, "without its documents it is another row");
}

/// An observer that records the metrics of a training, may stop it, and resumes it from what was saved.
#[derive(Default)]
struct Notes {
    losses: Vec<f64>,
    evaluations: Vec<Step>,
    warnings: Vec<String>,
    stop: Option<usize>,
    folder: Option<PathBuf>,
    kept: bool,
}

impl Watch for Notes {
    fn step(&mut self, step: &Step) -> Result<(), Stop> {
        self.losses.push(step.metrics["loss"]);
        if self.stop == Some(step.step) { Err(Stop) } else { Ok(()) }
    }

    fn evaluated(&mut self, evaluation: &Step) {
        self.evaluations.push(evaluation.clone());
    }

    fn warn(&mut self, message: &str) {
        self.warnings.push(message.to_owned());
    }

    fn resume(&mut self) -> Result<Option<PathBuf>, TrainError> {
        Ok(self.folder.clone().filter(|_| self.kept))
    }

    fn save(&mut self, _: usize, write: Write<'_>) -> Result<(), TrainError> {
        self.folder.as_ref().map_or(Ok(()), |folder| write(folder))
    }
}

fn trained<M: Example>(model: &Model, settings: &Settings<M>, notes: &mut Notes) -> Result<Trained, TrainError> {
    trained_on(model, settings, &mut M::example(), notes)
}

fn trained_on<M: Method>(
    model: &Model,
    settings: &Settings<M>,
    rows: &mut Prepared<M::Row>,
    notes: &mut Notes,
) -> Result<Trained, TrainError> {
    run(TrainingRun { model: model.clone(), settings, rows, evaluation: None, watch: notes })
}

/// Stops a training at a step, and resumes it from what was saved. Returns the result, and the notes of both parts.
fn gone_on(stop: usize, train: impl Fn(&mut Notes) -> Result<Trained, TrainError>) -> (Trained, [Notes; 2]) {
    let kept = tempfile::tempdir().unwrap();
    let folder = Some(kept.path().to_owned());
    let mut first = Notes { stop: Some(stop), folder: folder.clone(), ..Notes::default() };
    assert!(matches!(train(&mut first), Err(TrainError::Stopped { step }) if step == stop));
    let mut rest = Notes { folder, kept: true, ..Notes::default() };
    (train(&mut rest).unwrap(), [first, rest])
}

fn weights(model: &Model) -> Vec<(String, Vec<u32>)> {
    let bits = |values: Vec<f32>| values.into_iter().map(f32::to_bits).collect();
    model.parameters().iter().map(|(name, weight)| (name.to_owned(), bits(weight.clone().into_values()))).collect()
}

#[test]
fn accumulated_micro_batches_are_one_batch() {
    let model = tiny(7).model;
    let with = |batch_size, gradient_accumulation_steps| {
        let mut settings = sft();
        settings.training.batch_size = batch_size;
        settings.training.gradient_accumulation_steps = gradient_accumulation_steps;
        let mut notes = Notes::default();
        trained(&model, &settings, &mut notes).unwrap();
        notes.losses
    };
    let (one, many) = (with(4, 1), with(1, 4));
    assert_eq!(one.len(), 6);
    assert!(one.iter().zip(&many).all(|(one, many)| (one - many).abs() < 1e-4), "{one:?} {many:?}");
}

#[test]
fn what_a_model_is_held_to_is_itself_before_the_first_step() {
    for model in [tiny(8).model, adapted(tiny(8).model, |config| config.use_dora = true)] {
        for synced in [false, true] {
            let settings = dpo(|method| method.sync_ref_model = synced);
            let mut notes = Notes { stop: Some(1), ..Notes::default() };
            assert!(trained(&model, &settings, &mut notes).is_err());
            assert_eq!(notes.losses, [std::f64::consts::LN_2]);
        }
    }
}

#[test]
fn the_base_as_a_reference_has_the_biases_that_are_trained() {
    let mut model = tiny_with_biases(8);
    let target_modules = Some(Modules::Names(vec!["q_proj".into()]));
    model.add_adapter(&AdapterConfig { bias: Bias::All, target_modules, ..AdapterConfig::default() }, 1).unwrap();
    let rewards = |noted: bool| {
        let mut settings = dpo(|method| (method.reference, method.precompute_ref_log_probs) = (Reference::BaseModel, noted));
        settings.training.learning_rate = 0.1;
        let mut notes = Notes::default();
        trained(&model, &settings, &mut notes).unwrap();
        notes.losses
    };
    let (following, frozen) = (rewards(false), rewards(true));
    assert_eq!((following[0], frozen[0]), (std::f64::consts::LN_2, std::f64::consts::LN_2));
    assert_ne!(following[2..], frozen[2..]);
}

#[test]
fn a_norm_of_0_clips_nothing_and_what_a_reference_says_is_noted_in_all_rows() {
    let losses = |max_grad_norm: f64| {
        let mut settings = sft();
        settings.training.max_grad_norm = max_grad_norm;
        let mut notes = Notes::default();
        trained(&tiny(7).model, &settings, &mut notes).unwrap();
        notes.losses
    };
    assert_eq!(losses(0.0), losses(1e9));
    assert_ne!(losses(0.0), losses(1e-3));

    let mut settings = dpo(|method| method.precompute_ref_log_probs = true);
    (settings.training.max_steps, settings.training.batch_size) = (Some(1), 1);
    let mut prepared = prepared(pairs());
    trained_on(&tiny(8).model, &settings, &mut prepared, &mut Notes::default()).unwrap();
    assert!(prepared.rows.len() > 1);
    assert!(prepared.rows.iter().all(|row| row.ref_chosen_logps.is_some_and(|sum| sum < 0.0)), "{:?}", prepared.rows);
}

#[test]
fn dropout_is_drawn_anew_for_each_step_and_alike_for_each_seed() {
    let model = adapted(tiny(8).model, |_| ());
    let losses = |lora_dropout, seed| {
        let mut settings = sft();
        settings.training.adapter = Some(settings::Adapter { lora_dropout, ..settings::Adapter::default() });
        (settings.training.shuffle, settings.training.seed, settings.training.learning_rate) = (false, seed, 0.0);
        let mut notes = Notes::default();
        trained(&model, &settings, &mut notes).unwrap();
        notes.losses
    };
    // With a learning rate of 0, every epoch of three steps is the same but for the draws.
    assert_eq!(losses(0.0, 1)[..3], losses(0.0, 1)[3..6]);
    assert_ne!(losses(0.5, 1)[..3], losses(0.5, 1)[3..6]);
    assert_eq!(losses(0.5, 1), losses(0.5, 1));
    assert_ne!(losses(0.5, 1), losses(0.5, 2));
}

#[test]
fn a_loss_that_is_no_number_names_the_rows() {
    let mut settings = sft();
    (settings.training.learning_rate, settings.training.lr_scheduler) = (1e30, Scheduler::Constant);
    let error = trained(&tiny(9).model, &settings, &mut Notes::default()).unwrap_err();
    let TrainError::Diverged { step, rows, last, .. } = &error else { panic!("{error}") };
    assert!(*step > 1 && !rows.is_empty() && rows.len() <= 2, "{error}");
    assert!(error.to_string().contains("`example-"), "{error}");
    settings.training.max_steps = Some(step - 1);
    let before = trained(&tiny(9).model, &settings, &mut Notes::default()).unwrap();
    assert_eq!(weights(last), weights(&before.model), "the model as it was before the step");
}

#[test]
fn settings_out_of_their_range_are_refused_by_name() {
    let model = tiny(1).model;
    let mut without_rows = sft();
    without_rows.training.batch_size = 0;
    let error = trained(&model, &without_rows, &mut Notes::default()).unwrap_err().to_string();
    assert!(error.contains("`batch_size`"), "{error}");
    for (named, settings) in [
        ("`beta`", dpo(|method| method.beta = 0.0)),
        ("`label_smoothing`", dpo(|method| method.loss_type = Losses(vec![DpoLoss::ExoPair]))),
        ("`loss_weights`", dpo(|method| method.loss_weights = Some(vec![1.0, 2.0]))),
        ("`ref_model_sync_steps`", dpo(|method| (method.sync_ref_model, method.ref_model_sync_steps) = (true, 0))),
    ] {
        let message = trained(&model, &settings, &mut Notes::default()).unwrap_err().to_string();
        assert!(message.contains(named), "{message}");
    }
    let mut nothing = Prepared { rows: Vec::new(), ids: Vec::new(), cut: 0, dropped: 3 };
    let error = trained_on(&model, &sft(), &mut nothing, &mut Notes::default()).unwrap_err().to_string();
    assert!(error.contains("of 3, 3 have nothing to learn"), "{error}");
}
