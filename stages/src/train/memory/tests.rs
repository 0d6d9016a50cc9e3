//! Estimates against arithmetic, and changes that fit.

use serde_json::{Map, Value, json};

use super::*;
use crate::models::tests::tiny;
use crate::train::settings::{Dpo, Sft};
use crate::train::start;

fn config() -> Map<String, Value> {
    let Value::Object(config) = json!({
        "model_type": "llama", "hidden_size": 64, "intermediate_size": 128, "max_position_embeddings": 512,
        "num_attention_heads": 4, "num_hidden_layers": 3, "num_key_value_heads": 2, "tie_word_embeddings": true, "vocab_size": 1000,
    }) else {
        panic!()
    };
    config
}

fn training() -> Training {
    Training { batch_size: 8, max_length: Some(256), ..Training::default() }
}

fn question<'a>(config: &'a Map<String, Value>, settings: &'a Training, method: &'a Method) -> Question<'a> {
    let load = Load::longest(settings.max_length.unwrap(), method);
    Question { sizes: Sizes::of_config(config, settings).unwrap(), config, settings, method, load }
}

#[test]
fn parts_are_those_of_the_shapes() {
    let method = Method::Sft(Sft::default());
    let (config, settings) = (config(), training());
    let memory = question(&config, &settings, &method).memory();
    // Attention of 64 by 64, 32 by 64 twice and 64 by 64; three matrices of 64 by 128; two norms.
    let layer = 64 * 64 * 2 + 32 * 64 * 2 + 3 * 64 * 128 + 2 * 64;
    let numbers = 1000 * 64 + 64 + 3 * layer;
    assert_eq!(memory.weights, 4 * numbers);
    assert_eq!((memory.optimizer, memory.gradients), (8 * numbers, 2 * 4 * numbers));
    // Inputs of two norms and of what follows them, queries and keys and values, attention's output, gate, value and product.
    let kept = 2 * 64 + 2 * 64 + (64 + 32 + 32) + 64 + 3 * 128;
    assert_eq!(memory.activations, 4 * 8 * 256 * 3 * kept);
    assert_eq!(memory.logits, 4 * 8 * 256 * 5 * 1000);
    assert_eq!(memory.peak(), PROGRAM + 12 * numbers + memory.activations + memory.logits);
}

#[test]
fn a_model_measures_as_its_configuration() {
    let model = tiny(1).model;
    let settings = Training::default();
    assert_eq!(Sizes::of_model(&model, &settings), Sizes::of_config(model.config(), &settings).unwrap());
    let adapter = crate::train::settings::Adapter {
        r: 3,
        target_modules: Some(crate::models::Modules::Names(vec!["q_proj".into(), "down_proj".into()])),
        modules_to_save: Some(vec!["lm_head".into()]),
        ..Default::default()
    };
    let adapted = Training { adapter: Some(adapter), ..settings };
    let (with, _) = start::prepare(model.clone(), &adapted).unwrap();
    let (of_model, of_config) = (Sizes::of_model(&with, &adapted), Sizes::of_config(model.config(), &adapted).unwrap());
    assert_eq!((of_model.trained, of_model.kept), (of_config.trained, of_config.kept));
}

#[test]
fn what_is_advised_fits_and_is_the_smallest() {
    let method = Method::Sft(Sft::default());
    let (config, settings) = (config(), training());
    let told = |bytes: u64| {
        let checked = question(&config, &settings, &method).check(Available { bytes, by: "the test" });
        checked.map_err(|error| error.to_string())
    };
    let needed = {
        let question = question(&config, &settings, &method);
        question.memory().peak() - PROGRAM - question.sizes.weights
    };
    assert_eq!(told(needed * 2).unwrap(), None);
    assert!(told(needed + needed / 20).unwrap().unwrap().contains("may not suffice"));
    let error = told(needed - 1).unwrap_err();
    assert!(
        error.contains("what fits: `batch_size: 4` with `gradient_accumulation_steps: 2`") && error.contains("activations"),
        "{error}"
    );
    let half = Training { batch_size: 4, gradient_accumulation_steps: 2, ..settings.clone() };
    assert!(question(&config, &half, &method).check(Available { bytes: needed - 1, by: "the test" }).is_ok());
    // With one row at a time 9.8 MB are needed, and 8.3 where layers are computed again.
    let error = told(9_000_000).unwrap_err();
    assert!(error.contains("`gradient_checkpointing: true`, and `batch_size: 1`"), "{error}");
    assert!(told(1000).unwrap_err().contains("nothing but a smaller model"));
}

#[test]
fn pairs_have_two_answers_and_copies_count() {
    let (config, settings) = (config(), training());
    let sft = question(&config, &settings, &Method::Sft(Sft::default())).memory();
    let dpo = question(&config, &settings, &Method::Dpo(Dpo { sync_ref_model: true, ..Dpo::default() })).memory();
    assert_eq!((dpo.activations, dpo.logits), (2 * sft.activations, 2 * sft.logits));
    assert_eq!(dpo.weights, 2 * sft.weights);
}

#[test]
fn the_system_says_what_is_left() {
    let Available { bytes, by } = Available::now().expect("this system tells");
    assert!(bytes > 1 << 20 && !by.is_empty());
}
