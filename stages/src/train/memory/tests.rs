//! Tests of estimates, which are compared with arithmetic by hand, and of changes that fit.

use super::*;
use crate::{
    models::{DeviceName, Modules, NewModel, tests::tiny},
    train::{
        dpo::Dpo,
        settings::{Adapter, Code, Dtype, Quantization},
        sft::Sft,
        start,
    },
};

fn outline() -> Outline {
    let new = NewModel {
        hidden_size: 64,
        intermediate_size: 128,
        num_attention_heads: 4,
        num_hidden_layers: 3,
        num_key_value_heads: 2,
        vocab_size: 1000,
        ..NewModel::default()
    };
    Outline::of_new(&new, None)
}

fn training() -> Training {
    Training { batch_size: 8, max_length: Some(256), ..Training::default() }
}

fn candidate<'a>(start: &'a Outline, settings: &'a Training, method: &impl Method) -> Candidate<'a> {
    Candidate { start, settings, load: Load::longest(method, settings.max_length.unwrap()) }
}

fn memory(start: &Outline, settings: &Training, method: &impl Method) -> Memory {
    candidate(start, settings, method).memory(settings).unwrap()
}

#[test]
fn parts_are_those_of_the_shapes() {
    let method = Sft::default();
    let memory = memory(&outline(), &training(), &method);
    // A layer has attention of 64 by 64, 32 by 64 twice and 64 by 64; three matrices of 64 by 128; two norms.
    let layer = 64 * 64 * 2 + 32 * 64 * 2 + 3 * 64 * 128 + 2 * 64;
    let numbers = 1000 * 64 + 64 + 3 * layer;
    assert_eq!(memory.weights, 4 * numbers);
    assert_eq!((memory.optimizer, memory.gradients), (8 * numbers, 2 * 4 * numbers));
    // Kept are the inputs of two norms and of what follows them, queries, keys and values, attention's output, gate, value and product.
    let kept = 2 * 64 + 2 * 64 + (64 + 32 + 32) + 64 + 3 * 128;
    assert_eq!(memory.activations, 4 * 8 * 256 * 3 * kept);
    assert_eq!(memory.logits, 4 * 8 * 256 * 5 * 1000);
    assert_eq!(memory.peak(), PROGRAM + 12 * numbers + memory.activations + memory.logits);
}

#[test]
fn another_device_keeps_less_of_a_token() {
    let method = Sft::default();
    let there = |settings: Training| memory(&outline(), &Training { device: DeviceName::Cuda(0), ..settings }, &method);
    let full = there(training());
    // Norms keep their inputs in f32; queries, keys and values, attention's output, gate, value and product are kept once, and so are two inputs.
    let (norms, others) = (2 * 64, 2 * 64 + (64 + 32 + 32) + 64 + 3 * 128);
    assert_eq!(full.activations, 8 * 256 * 3 * 4 * (norms + others));
    // There are more logits than a test computes at a time, so these 700 and their gradient count.
    assert_eq!(full.logits, 700 * 2 * 4);
    let half = there(Training { precision: Precision::Bf16, ..training() });
    let matrices = 3 * (64 * 64 * 2 + 32 * 64 * 2 + 3 * 64 * 128);
    assert_eq!(half.activations, 8 * 256 * 3 * (4 * norms + 2 * others) + 2 * matrices);
    let again = there(Training { gradient_checkpointing: true, ..training() });
    assert_eq!(again.activations, 8 * 256 * 4 * (3 * 64 + norms + others));
    assert_eq!((full.weights, full.optimizer), (memory(&outline(), &training(), &method).weights, half.optimizer));
}

#[test]
fn a_model_measures_as_its_configuration() {
    let model = tiny(1).model;
    let outline = Outline::of_model(&model, None);
    assert_eq!(Sizes::of_model(&model), Sizes::of_outline(&outline).unwrap());
    let adapter = Adapter {
        r: 3,
        target_modules: Some(Modules::Names(vec!["q_proj".into(), "down_proj".into()])),
        modules_to_save: Some(vec!["lm_head".into()]),
        ..Default::default()
    };
    let adapted = Training { adapter: Some(adapter), ..Training::default() };
    let quantization =
        Quantization { code: Code::Nf4, double_quant: true, compute_dtype: Dtype::Float32, adapter_dtype: Dtype::Float32 };
    for settings in [adapted.clone(), Training { quantization: Some(quantization), ..adapted }] {
        let mut stored = model.clone();
        if settings.quantization.is_some() {
            stored.quantise(true);
        }
        let (with, _) = start::prepare(stored, &settings).unwrap();
        let expected = Sizes::of_outline(&prepared_outline(outline.clone(), &settings)).unwrap();
        assert_eq!(Sizes::of_model(&with), Sizes { kept: expected.kept, ..expected });
    }
}

#[test]
fn what_is_advised_fits_and_is_the_smallest() {
    let method = Sft::default();
    let (start, settings) = (outline(), training());
    let check = |bytes: u64| {
        let checked = candidate(&start, &settings, &method).check(Available { bytes, by: "the test" });
        checked.map_err(|error| error.to_string())
    };
    let needed = memory(&start, &settings, &method).peak() - PROGRAM;
    assert_eq!(check(needed * 2).unwrap(), None);
    assert!(check(needed + needed / 20).unwrap().unwrap().contains("may not suffice"));
    let error = check(needed - 1).unwrap_err();
    assert!(
        error.contains("what fits: `batch_size: 4` with `gradient_accumulation_steps: 2`") && error.contains("activations"),
        "{error}"
    );
    let half = Training { batch_size: 4, gradient_accumulation_steps: 2, ..settings.clone() };
    assert!(candidate(&start, &half, &method).check(Available { bytes: needed - 1, by: "the test" }).is_ok());
    // With one row at a time, 9.8 MB are needed beside the weights, and 8.3 with gradient checkpointing.
    let weights = memory(&start, &settings, &method).weights;
    let error = check(weights + 9_000_000).unwrap_err();
    assert!(error.contains("`gradient_checkpointing: true`, and `batch_size: 1`"), "{error}");
    assert!(check(1000).unwrap_err().contains("nothing but a smaller model"));
}

#[test]
fn pairs_have_two_answers_and_copies_count() {
    let (start, settings) = (outline(), training());
    let sft = memory(&start, &settings, &Sft::default());
    let dpo = memory(&start, &settings, &Dpo { sync_ref_model: true, ..Dpo::default() });
    assert_eq!((dpo.activations, dpo.logits), (2 * sft.activations, 2 * sft.logits));
    assert_eq!(dpo.weights, 2 * sft.weights);
}

#[test]
fn an_adapter_that_is_there_is_not_advised() {
    let method = Dpo::default();
    let adapter = Adapter { r: 3, target_modules: Some(Modules::Pattern("all-linear".into())), ..Adapter::default() };
    let settings = Training { batch_size: 1, max_length: Some(64), gradient_checkpointing: true, ..training() };
    let start = prepared_outline(outline(), &Training { adapter: Some(adapter), ..settings.clone() });
    assert!(memory(&start, &settings, &method).optimizer < memory(&outline(), &settings, &method).optimizer);
    // Exactly as much memory as is needed with weights in 4 bits.
    let quantization =
        Quantization { code: Code::Nf4, double_quant: false, compute_dtype: Dtype::Float32, adapter_dtype: Dtype::Float32 };
    let least = memory(&start, &Training { quantization: Some(quantization), ..settings.clone() }, &method).peak();
    let available = Available { bytes: least - PROGRAM, by: "the test" };
    let error = candidate(&start, &settings, &method).check(available).unwrap_err().to_string();
    assert!(error.contains("what fits: `quantization: { type: nf4 }`"), "{error}");
}

#[test]
fn the_system_says_what_is_left() {
    let Available { bytes, by } = Available::now().expect("this system tells");
    assert!(bytes > 1 << 20 && !by.is_empty());
}
