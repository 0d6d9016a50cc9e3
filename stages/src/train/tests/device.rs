//! Tests of the same models on the processor and on another device: predictions, trainings, scores and texts. The processor itself is used as
//! such a device; CUDA and Vulkan devices are tested too if they are built in.

use burn::tensor::{DType, Device};

use super::*;
use crate::{
    models::{
        Batch, generate, on_pretended_device,
        tests::{fixtures, tiny},
    },
    router::score::score,
    rows::Message,
};

/// A device, and how to compute on it.
struct Place {
    name: DeviceName,
    device: Device,
}

impl Place {
    /// Computes something on the device.
    fn there<R>(&self, compute: impl FnOnce() -> R) -> R {
        if self.name == DeviceName::Cpu { on_pretended_device(compute) } else { compute() }
    }
}

/// Returns the devices to compare with the processor, and prints which are skipped.
#[expect(clippy::print_stdout, reason = "a skipped test says so")]
fn places() -> Vec<Place> {
    let mut names = vec![
        DeviceName::Cpu,
        #[cfg(feature = "cuda")]
        DeviceName::Cuda(0),
        #[cfg(feature = "vulkan")]
        DeviceName::Vulkan,
    ];
    #[cfg(not(any(feature = "cuda", feature = "vulkan")))]
    println!("skipped: no other device than the processor is built in (`--features cuda` or `vulkan`)");
    names.retain(|name| name.open().inspect_err(|error| println!("skipped: {error}")).is_ok());
    names.into_iter().map(|name| Place { name, device: name.open().unwrap() }).collect()
}

fn near(found: &[f32], expected: &[f32], what: &str) {
    let largest = expected.iter().fold(1e-3_f32, |most, value| most.max(value.abs()));
    assert_eq!(found.len(), expected.len(), "{what}");
    for (index, (found, expected)) in found.iter().zip(expected).enumerate() {
        assert!((found - expected).abs() < 2e-4 * largest, "{what} at {index}: {found}, on the processor {expected}");
    }
}

/// Returns models that together have everything that training may change.
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
    for place in places() {
        for (path, model) in models() {
            for (shards, again) in [(1, false), (2, false), (1, true)] {
                let (expected, gradients) = step_with(&model, &rows(), shards, again);
                let (found, there) = place.there(|| step_with(&model.on(&place.device), &rows(), shards, again));
                let case = format!("{}, {path}, {shards} shards, checkpoints {again}", place.name);
                assert!((found - expected).abs() < 1e-5 * expected.abs(), "{case}: {found}, on the processor {expected}");
                for ((name, found), expected) in model.trained_names().iter().zip(&there).zip(&gradients) {
                    near(found, expected, &format!("{case}, gradient of `{name}`"));
                }
            }
        }
    }
}

#[test]
fn a_training_takes_the_same_way_and_goes_on_where_it_was_stopped() {
    let synced = |method: &mut Dpo| (method.sync_ref_model, method.ref_model_sync_steps) = (true, 2);
    for place in places() {
        for (path, model) in models() {
            takes_the_same_way(&place, path, &model, sft());
        }
        for optimizer in Optimizer::all() {
            let (name, mut settings) = (optimizer.name(), sft());
            settings.training.optimizer = optimizer;
            takes_the_same_way(&place, name, &tiny(6).model, settings.clone());
            takes_the_same_way(&place, name, &adapted(tiny(6).model, |_| ()), settings);
        }
        takes_the_same_way(&place, "pairs", &adapted(tiny(6).model, |_| ()), dpo(|_| ()));
        takes_the_same_way(&place, "odds", &tiny(6).model, settings::<Orpo>());
        takes_the_same_way(&place, "pairs, followed", &tiny(6).model, dpo(synced));
    }
}

fn takes_the_same_way<M: Example>(place: &Place, path: &str, model: &Model, mut settings: Settings<M>) {
    let mut here = Notes::default();
    let expected = trained(model, &settings, &mut here).unwrap().model;
    settings.training.device = place.name;
    let (found, [first, rest]) = gone_on(4, |notes| place.there(|| trained(model, &settings, notes)));
    let found = found.model;
    let (losses, case) = ([&first.losses[..3], &rest.losses].concat(), format!("{}, {path}", place.name));
    assert_eq!(losses.len(), here.losses.len());
    for (found, expected) in losses.iter().zip(&here.losses) {
        let expected_losses = &here.losses;
        assert!((found - expected).abs() < 1e-3 * expected.abs(), "{case}: {losses:?}, here {expected_losses:?}");
    }
    for name in expected.trained_names() {
        let values = |model: &Model| model.parameters().get(&name).unwrap().clone().into_values();
        let (found, expected) = (values(&found), values(&expected));
        // AdamW's steps have one size even if gradients are near 0, and then rounding decides their sign.
        let off = found.iter().zip(&expected).map(|(found, expected)| f64::from((found - expected).abs())).sum::<f64>();
        assert!(off / (found.len() as f64) < 2e-3, "{case}, `{name}`: {off} over {}", found.len());
    }
}

#[test]
fn dropout_is_drawn_alike_for_each_seed() {
    let model = adapted(tiny(8).model, |_| ());
    for place in places() {
        let losses = |seed, gradient_checkpointing| {
            let mut settings = sft();
            let training = &mut settings.training;
            training.adapter = Some(settings::Adapter { lora_dropout: 0.5, ..settings::Adapter::default() });
            (training.shuffle, training.seed, training.device) = (false, seed, place.name);
            training.gradient_checkpointing = gradient_checkpointing;
            let mut notes = Notes::default();
            place.there(|| trained(&model, &settings, &mut notes)).unwrap();
            notes.losses
        };
        assert_eq!(losses(1, false), losses(1, false));
        assert_ne!(losses(1, false), losses(2, false));
        let again = losses(1, true);
        assert!(losses(1, false).iter().zip(&again).all(|(once, again)| (once - again).abs() < 1e-3 * once), "{again:?}");
    }
}

#[test]
#[expect(clippy::print_stdout, reason = "a skipped test says so")]
fn products_of_bfloat16_are_a_devices_own_or_refused() {
    for place in places() {
        let quantised = || {
            let mut model = tiny(3).model;
            model.quantise(true);
            model
        };
        for (path, model) in [
            ("full", tiny(8).model),
            ("lora", adapted(tiny(8).model, |_| ())),
            ("lora on 4 bits", adapted(quantised(), |_| ())),
            ("dora", adapted(tiny(8).model, |config| config.use_dora = true)),
        ] {
            let mut settings = sft();
            (settings.training.precision, settings.training.device) = (Precision::Bf16, place.name);
            let mut there = Notes::default();
            let found = place.there(|| trained(&model, &settings, &mut there));
            if !place.device.supports_dtype(DType::BF16) {
                let message = found.unwrap_err().to_string();
                assert!(message.contains("`precision`") && message.contains("`f32`"), "{message}");
                println!("skipped: `{}` does not compute in bfloat16", place.name);
                continue;
            }
            settings.training.device = DeviceName::Cpu;
            let mut here = Notes::default();
            trained(&model, &settings, &mut here).unwrap();
            let (there, here) = (there.losses, here.losses);
            assert!(
                there.iter().zip(&here).all(|(there, here)| (there - here).abs() < 0.02 * here),
                "{path}: {there:?} {here:?}"
            );
        }
    }
}

#[test]
fn routes_are_scored_and_text_is_written_alike() {
    for place in places() {
        let here = tiny(5);
        let texts = ["what is 3", "3 plus 4 plus 37 is", "one two three four five six"];
        let prompt = |text: &str| vec![Message::new("system", "what is 3 plus 4 plus 5 plus 6"), Message::new("user", text)];
        let prompts = texts.map(prompt);
        let candidates = ["Policy: One".to_owned(), "Policy: Two".to_owned()];
        let expected = score(&here, &prompts, &candidates).unwrap().concat();
        let found = place.there(|| score(&here.clone().on(&place.device), &prompts, &candidates)).unwrap().concat();
        let close = |(found, expected): (&f64, &f64)| (found - expected).abs() < 1e-3;
        assert!(found.iter().zip(&expected).all(close), "{found:?} {expected:?}");
        let prompts: Vec<Vec<u32>> = vec![vec![5, 6, 7], vec![8], vec![9, 10]];
        let found = place.there(|| generate(&here.model.on(&place.device), &prompts, 12, &[])).unwrap();
        assert_eq!(found, generate(&here.model, &prompts, 12, &[]).unwrap());
    }
}

#[test]
fn every_architecture_says_the_same() {
    for place in places() {
        for folder in fixtures() {
            let model = Model::load(&folder).unwrap();
            let rows = [3_u32, 20].map(|first| (first..first + 10).collect::<Vec<_>>());
            let packed = Batch::plain(&rows).unwrap().packed(&[vec![4, 6], vec![3, 5]]).unwrap();
            for batch in [Batch::plain(&rows).unwrap(), packed] {
                let places: Vec<usize> = (0..18).collect();
                let said = |model: &Model| model.logits_at(&batch, &places).into_data().try_into_vec::<f32>().unwrap();
                let found = place.there(|| said(&model.on(&place.device)));
                near(&found, &said(&model), &format!("{}, logits of `{}`", place.name, folder.display()));
            }
        }
    }
}
