//! The same models on the processor and on another device, where one is there: what they say, learn, score and write.

use burn::tensor::Device;

use super::*;
use crate::models::tests::{fixtures, tiny};
use crate::models::{Batch, Model, generate};
use crate::rows::Message;
use crate::score::score;

/// Another device than the processor, or a word that a test is skipped.
fn elsewhere() -> Option<(DeviceName, Device)> {
    #[cfg(feature = "vulkan")]
    match DeviceName::Vulkan.open() {
        Ok(device) => return Some((DeviceName::Vulkan, device)),
        Err(error) => println!("skipped: {error}"),
    }
    #[cfg(not(feature = "vulkan"))]
    println!("skipped: no other device than the processor is built in (`--features vulkan`)");
    None
}

fn near(found: &[f32], expected: &[f32], what: &str) {
    let largest = expected.iter().fold(1e-3_f32, |most, value| most.max(value.abs()));
    assert_eq!(found.len(), expected.len(), "{what}");
    for (index, (found, expected)) in found.iter().zip(expected).enumerate() {
        assert!((found - expected).abs() < 2e-4 * largest, "{what} at {index}: {found}, on the processor {expected}");
    }
}

/// Models with all that training may change.
fn models() -> Vec<(&'static str, Model)> {
    let quantised = || {
        let mut model = tiny(3).model;
        model.quantise(true);
        model
    };
    let stored = |config: &mut AdapterConfig| config.modules_to_save = Some(vec!["embed_tokens".into(), "norm".into()]);
    vec![
        ("full", tiny(3).model),
        ("lora", adapted(tiny(3).model, |_| ())),
        ("dora", adapted(tiny(3).model, |config| config.use_dora = true)),
        ("stored", adapted(tiny(3).model, stored)),
        ("lora on 4 bits", adapted(quantised(), |_| ())),
        ("dora on 4 bits", adapted(quantised(), |config| config.use_dora = true)),
    ]
}

#[test]
fn a_step_has_the_same_loss_and_the_same_gradients() {
    let Some((_, device)) = elsewhere() else { return };
    for (path, model) in models() {
        for shards in [1, 2] {
            let (expected, gradients) = step(&model, &rows(), shards);
            let (found, there) = step(&model.on(&device), &rows(), shards);
            assert!((found - expected).abs() < 1e-5 * expected.abs(), "{path}: {found}, on the processor {expected}");
            for ((name, found), expected) in model.trained_names().iter().zip(&there).zip(&gradients) {
                near(found, expected, &format!("{path}, {shards} shards, gradient of `{name}`"));
            }
        }
    }
}

#[test]
fn a_training_takes_the_same_way_and_goes_on_where_it_was_stopped() {
    let Some((name, _)) = elsewhere() else { return };
    let synced = |method: &mut Dpo| (method.sync_ref_model, method.ref_model_sync_steps) = (true, 2);
    let mut cases: Vec<(&str, Model, Settings)> = models().into_iter().map(|(path, model)| (path, model, sft())).collect();
    cases.push(("pairs", adapted(tiny(6).model, |_| ()), dpo(|_| ())));
    cases.push(("pairs, followed", tiny(6).model, dpo(synced)));
    for (path, model, settings) in cases {
        let mut here = Notes::default();
        let expected = trained(&model, &settings, &mut here).unwrap().model;
        let mut settings = settings;
        settings.training.device = name;
        let folder = tempfile::tempdir().unwrap();
        let folder = Some(folder.path().to_owned());
        let mut first = Notes { stop: Some(4), folder: folder.clone(), ..Notes::default() };
        assert!(matches!(trained(&model, &settings, &mut first), Err(TrainError::Stopped { step: 4 })));
        let mut rest = Notes { folder, kept: true, ..Notes::default() };
        let found = trained(&model, &settings, &mut rest).unwrap().model;
        let losses = [&first.losses[..3], &rest.losses].concat();
        assert_eq!(losses.len(), here.losses.len());
        for (found, expected) in losses.iter().zip(&here.losses) {
            assert!((found - expected).abs() < 1e-3 * expected.abs(), "{path}: {losses:?}, on the processor {:?}", here.losses);
        }
        for name in expected.trained_names() {
            let values = |model: &Model| model.parameters().get(&name).unwrap().clone().into_values();
            let (found, expected) = (values(&found), values(&expected));
            // AdamW's steps are of one size where gradients are near 0: their sign is then a matter of rounding.
            let off = found.iter().zip(&expected).map(|(found, expected)| f64::from((found - expected).abs())).sum::<f64>();
            assert!(off / (found.len() as f64) < 2e-3, "{path}, `{name}`: {off} over {}", found.len());
        }
    }
}

#[test]
fn dropout_is_drawn_alike_for_each_seed() {
    let Some((name, _)) = elsewhere() else { return };
    let model = adapted(tiny(8).model, |_| ());
    let losses = |seed| {
        let mut settings = sft();
        settings.training.adapter = Some(settings::Adapter { lora_dropout: 0.5, ..settings::Adapter::default() });
        (settings.training.shuffle, settings.training.seed, settings.training.device) = (false, seed, name);
        let mut notes = Notes::default();
        trained(&model, &settings, &mut notes).unwrap();
        notes.losses
    };
    assert_eq!(losses(1), losses(1));
    assert_ne!(losses(1), losses(2));
}

#[test]
fn numbers_that_a_device_does_not_compute_in_are_refused() {
    let Some((name, device)) = elsewhere() else { return };
    let mut settings = sft();
    (settings.training.precision, settings.training.device) = (Precision::Bf16, name);
    let model = adapted(tiny(8).model, |_| ());
    let mut there = Notes::default();
    let found = trained(&model, &settings, &mut there);
    if !device.supports_dtype(burn::tensor::DType::BF16) {
        let message = found.unwrap_err().to_string();
        assert!(message.contains("`precision`") && message.contains("`f32`"), "{message}");
        println!("skipped: the device does not compute in bfloat16");
        return;
    }
    settings.training.device = DeviceName::Cpu;
    let mut here = Notes::default();
    trained(&model, &settings, &mut here).unwrap();
    assert!(
        there.losses.iter().zip(&here.losses).all(|(there, here)| (there - here).abs() < 0.02 * here),
        "{there:?} {here:?}",
        there = there.losses,
        here = here.losses
    );
}

#[test]
fn routes_are_scored_and_text_is_written_alike() {
    let Some((_, device)) = elsewhere() else { return };
    let here = tiny(5);
    let there = here.clone().on(&device);
    let texts = ["what is 3", "3 plus 4 plus 37 is", "one two three four five six"];
    let prompt = |text: &str| vec![Message::new("system", "what is 3 plus 4 plus 5 plus 6"), Message::new("user", text)];
    let prompts = texts.map(prompt);
    let candidates = ["Policy: One".to_owned(), "Policy: Two".to_owned()];
    let [found, expected] = [&there, &here].map(|checkpoint| score(checkpoint, &prompts, &candidates).unwrap().concat());
    assert!(found.iter().zip(&expected).all(|(found, expected)| (found - expected).abs() < 1e-3), "{found:?} {expected:?}");
    let prompts: Vec<Vec<u32>> = vec![vec![5, 6, 7], vec![8], vec![9, 10]];
    let [found, expected] = [&there.model, &here.model].map(|model| generate(model, &prompts, 12, &[]).unwrap());
    assert_eq!(found, expected);
}

#[test]
fn every_architecture_says_the_same() {
    let Some((_, device)) = elsewhere() else { return };
    for folder in fixtures() {
        let here = Model::load(&folder).unwrap();
        let there = here.on(&device);
        let rows = [[3_u32, 4, 5, 6, 7, 8, 9, 10, 11, 12], [20, 21, 22, 23, 24, 25, 26, 27, 28, 29]].map(|row| row.to_vec());
        let packed = Batch::plain(&rows).unwrap().packed(&[vec![4, 6], vec![3, 5]]).unwrap();
        for batch in [Batch::plain(&rows).unwrap(), packed] {
            let places: Vec<usize> = (0..18).collect();
            let [found, expected] =
                [&there, &here].map(|model| model.logits_at(&batch, &places).into_data().try_into_vec::<f32>().unwrap());
            near(&found, &expected, &format!("logits of `{}`", folder.display()));
        }
    }
}
