//! Tests that training on weights in 16 bits learns the same as on the same values in f32.

use serde_json::json;

use super::*;
use crate::models::{
    Half, Layers,
    tests::{config, drawn, storage::in_16_bits_and_32},
};

#[test]
fn a_training_on_16_bits_is_one_on_their_values() {
    let [half, full] = in_16_bits_and_32(&tiny(5).model, Half::Bf16);
    let on = |base: &Model| {
        [
            ("full", base.clone()),
            ("lora", adapted(base.clone(), |config| config.target_modules = Some(Modules::Pattern("all-linear".into())))),
            ("dora", adapted(base.clone(), |config| config.use_dora = true)),
            ("norms", adapted(base.clone(), |config| config.modules_to_save = Some(vec!["norm".into(), "embed_tokens".into()]))),
        ]
    };
    for ((way, half), (_, full)) in on(&half).into_iter().zip(on(&full)) {
        learns_the_same::<Sft>(&half, &full, way);
        learns_the_same::<Dpo>(&half, &full, way);
        learns_the_same::<Orpo>(&half, &full, way);
    }
}

fn learns_the_same<M: Example>(half: &Model, full: &Model, way: &str) {
    let mut settings = settings::<M>();
    settings.training.adapter = Some(settings::Adapter { lora_dropout: 0.25, ..settings::Adapter::default() });
    for precision in [Precision::F32, Precision::Bf16] {
        for gradient_checkpointing in [false, true] {
            (settings.training.precision, settings.training.gradient_checkpointing) = (precision, gradient_checkpointing);
            let (mut notes, mut expected) = (Notes::default(), Notes::default());
            let found = trained(half, &settings, &mut notes).unwrap();
            let full = trained(full, &settings, &mut expected).unwrap();
            let case = format!("{way}, {precision:?}, {gradient_checkpointing}, {}", M::NAME);
            assert_eq!(notes.losses, expected.losses, "{case}");
            assert!(weights(&found.model) == weights(&full.model), "{case}");
        }
    }
}

#[test]
fn a_reference_in_16_bits_follows_a_model_that_is_trained_in_full() {
    let [half, full] = in_16_bits_and_32(&tiny(7).model, Half::Bf16);
    let settings = dpo(|method| (method.sync_ref_model, method.ref_model_sync_steps) = (true, 2));
    let (mut notes, mut expected) = (Notes::default(), Notes::default());
    trained(&half, &settings, &mut notes).unwrap();
    trained(&full, &settings, &mut expected).unwrap();
    assert_eq!(notes.losses, expected.losses);

    // The same with a base whose biases are trained with the adapter.
    let [half, full] =
        in_16_bits_and_32(&tiny_with_biases(7), Half::Bf16).map(|model| adapted(model, |config| config.bias = Bias::All));
    let settings = dpo(|method| method.reference = Reference::BaseModel);
    let (mut notes, mut expected) = (Notes::default(), Notes::default());
    trained(&half, &settings, &mut notes).unwrap();
    trained(&full, &settings, &mut expected).unwrap();
    assert_eq!(notes.losses, expected.losses);
}

#[test]
fn a_base_in_16_bits_is_the_reference_of_a_fresh_adapter_in_every_bit() {
    // The reference has no trained weights, and yet is computed by the backend that has gradients.
    let gemma2 = config("gemma2", &json!({"head_dim": 4, "sliding_window": 2, "query_pre_attn_scalar": 4.0}));
    for config in [config("llama", &json!({})), gemma2, config("phi", &json!({}))] {
        let [half, _] = in_16_bits_and_32(&drawn(&config, 9), Half::Bf16);
        let targets = Some(Modules::Names(vec!["q_proj".into(), "down_proj".into(), "fc2".into()]));
        let adapter =
            AdapterConfig { target_modules: targets, layers_to_transform: Some(Layers(vec![1])), ..AdapterConfig::default() };
        let mut model = half;
        model.add_adapter(&adapter, 1).unwrap();
        for precision in [Precision::F32, Precision::Bf16] {
            let mut settings = dpo(|method| method.reference = Reference::BaseModel);
            settings.training.precision = precision;
            let mut notes = Notes { stop: Some(1), ..Notes::default() };
            assert!(trained(&model, &settings, &mut notes).is_err());
            assert_eq!(notes.losses, [std::f64::consts::LN_2], "{config}, {precision:?}");
        }
    }
}
