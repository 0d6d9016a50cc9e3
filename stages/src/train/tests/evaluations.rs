//! Tests of trainings with evaluations: the best weights, early stopping, and resuming after either.

use super::*;
use crate::train::evaluation::evaluate;

/// Returns rows that are not among the training rows.
fn others() -> Vec<SftRow> {
    vec![row(&[5, 6, 40, 41, 42], 2), row(&[10, 33, 12], 1), row(&[13, 5, 7, 50], 2)]
}

fn validation() -> Prepared<SftRow> {
    prepared(others())
}

/// Returns settings with which a small model overfits its few rows.
fn overfitting(change: impl FnOnce(&mut Training)) -> Settings<Sft> {
    let mut settings = sft();
    let training = &mut settings.training;
    (training.epochs, training.eval_steps, training.load_best_model_at_end) = (Some(40.0), Some(2), true);
    change(training);
    settings
}

fn evaluated(model: &Model, settings: &Settings<Sft>, notes: &mut Notes) -> Result<Trained, TrainError> {
    evaluated_on(model, settings, Some(&mut validation()), notes)
}

fn evaluated_on<M: Example>(
    model: &Model,
    settings: &Settings<M>,
    evaluation: Option<&mut Prepared<M::Row>>,
    notes: &mut Notes,
) -> Result<Trained, TrainError> {
    run(TrainingRun { model: model.clone(), settings, rows: &mut M::example(), evaluation, watch: notes })
}

fn loss_on_others(model: &Model) -> f64 {
    let rows = others();
    evaluate(model, &training(), &Labelled { rows: &rows, settings: &Sft::default() }, 0)["eval_loss"]
}

#[test]
fn a_training_that_overfits_ends_early_with_the_best_weights() {
    let model = tiny(6).model;
    let mut notes = Notes::default();
    let settings = overfitting(|training| training.early_stopping_patience = Some(3));
    let Trained { model: found, summary } = evaluated(&model, &settings, &mut notes).unwrap();
    let losses: Vec<f64> = notes.evaluations.iter().map(|evaluation| evaluation.metrics["eval_loss"]).collect();
    let best = losses.iter().copied().fold(f64::INFINITY, f64::min);
    assert!(summary.steps < 120 && notes.losses.len() == summary.steps, "{summary:?}");
    assert_eq!((summary.best_metric, summary.best_step), (Some(best), Some(summary.steps - 6)), "{losses:?}");
    assert_eq!(loss_on_others(&found), best);
    // Without `load_best_model_at_end`, the result has the last weights.
    let last = evaluated(&model, &overfitting(|training| training.load_best_model_at_end = false), &mut Notes::default());
    assert!(loss_on_others(&last.unwrap().model) > best);
}

#[test]
fn a_stopped_training_goes_on_with_its_best_weights_and_its_patience() {
    for (model, patience) in [(tiny(6).model, Some(3)), (adapted(tiny(6).model, |_| ()), Some(3)), (tiny(6).model, None)] {
        let settings = overfitting(|training| {
            (training.early_stopping_patience, training.epochs) = (patience, Some(if patience.is_some() { 40.0 } else { 12.0 }));
        });
        let mut whole = Notes::default();
        let expected = evaluated(&model, &settings, &mut whole).unwrap();
        // The training stops between the best evaluation and the end.
        let stop = expected.summary.best_step.unwrap() + 4;
        assert!(stop <= expected.summary.steps, "{:?}", expected.summary);
        let (found, [_, rest]) = gone_on(stop, |notes| evaluated(&model, &settings, notes));
        assert_eq!(rest.losses, whole.losses[stop - 1..]);
        assert_eq!(found.summary, expected.summary);
        assert_eq!(weights(&found.model), weights(&expected.model));
    }
}

#[test]
fn evaluations_of_preferences_know_all_their_figures() {
    let mut settings = dpo(|method| method.sync_ref_model = true);
    settings.training.metric_for_best_model = Some("rewards/margins".into());
    let mut notes = Notes::default();
    let trained = evaluated_on(&tiny(6).model, &settings, Some(&mut Dpo::example()), &mut notes).unwrap();
    let last = &notes.evaluations.last().unwrap().metrics;
    assert_eq!(trained.summary.best_metric, Some(last["eval_rewards/margins"]));
    for name in ["eval_loss", "eval_rewards/accuracies", "eval_logps/chosen", "eval_entropy", "eval_num_tokens"] {
        assert!(last.contains_key(name), "{name}");
    }
}

#[test]
fn what_evaluations_cannot_give_is_refused_by_name() {
    let refused = |settings: Settings<Sft>, rows: Option<&mut Prepared<SftRow>>| {
        evaluated_on(&tiny(1).model, &settings, rows, &mut Notes::default()).unwrap_err().to_string()
    };
    let message = refused(overfitting(|_| ()), None);
    assert!(message.starts_with("`eval_steps` needs rows"), "{message}");
    let message = refused(overfitting(|training| training.metric_for_best_model = Some("f1".into())), Some(&mut validation()));
    assert!(message.contains("`eval_f1`") && message.contains("`mean_token_accuracy`"), "{message}");
}

#[test]
fn rows_without_a_token_to_learn_are_told() {
    let mut rows = Prepared { rows: vec![row(&[5, 6], 2)], ids: vec!["empty".into()], cut: 0, dropped: 0 };
    let mut notes = Notes::default();
    trained_on(&tiny(1).model, &sft(), &mut rows, &mut notes).unwrap();
    let [warning] = notes.warnings.as_slice() else { panic!("{:?}", notes.warnings) };
    assert!(warning.contains("step 1") && warning.contains("`empty`"), "{warning}");
}

#[test]
fn a_rate_that_waits_for_evaluations_falls_and_has_fallen_after_a_stop() {
    let model = tiny(6).model;
    let settings = overfitting(|training| {
        training.lr_scheduler = Scheduler::ReduceLrOnPlateau;
        training.lr_scheduler_args = SchedulerArguments { patience: Some(1), factor: Some(0.5), ..SchedulerArguments::default() };
    });
    let mut whole = Notes::default();
    let expected = evaluated(&model, &settings, &mut whole).unwrap();
    // The training stops after the rate has decayed for the first time.
    let stop = 60;
    let (found, [_, rest]) = gone_on(stop, |notes| evaluated(&model, &settings, notes));
    assert_eq!(rest.losses, whole.losses[stop - 1..]);
    assert_eq!(found.summary, expected.summary);
    // With a rate that never decays, the losses differ.
    let mut constant = Notes::default();
    evaluated(&model, &overfitting(|training| training.lr_scheduler = Scheduler::Constant), &mut constant).unwrap();
    assert_ne!(constant.losses[stop - 1..], whole.losses[stop - 1..]);
    // Without evaluations, the rate could never decay, so such settings are refused.
    let mut blind = settings;
    (blind.training.eval_steps, blind.training.load_best_model_at_end) = (None, false);
    let error = trained(&model, &blind, &mut Notes::default()).unwrap_err().to_string();
    assert!(error.contains("`lr_scheduler`"), "{error}");
}
