//! Tests of weights that stay in 16 or 4 bits: they are read, computed with and written as their values in f32 would be.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::*;
use crate::models::weights::{
    frozen::{Half, tests::half_of},
    safetensors_in::Tensors,
    safetensors_out::write_tensors,
};

/// Returns a model with its weights in 16 bits, and one with the same values in f32.
pub(crate) fn in_16_bits_and_32(model: &Model, kind: Half) -> [Model; 2] {
    let (mut half, mut full) = (model.parameters().clone(), model.parameters().clone());
    for (name, weight) in model.parameters().iter() {
        let (shape, frozen) = (weight.shape(), half_of(&weight.clone().into_values(), &weight.shape(), kind));
        full.insert(name.to_owned(), Weight::dense(&shape, frozen.values(), &Device::flex()));
        half.insert(name.to_owned(), Weight::Frozen(frozen));
    }
    [model.with_parameters(half), model.with_parameters(full)]
}

fn models() -> Vec<Model> {
    let gemma = json!({"head_dim": 4, "sliding_window": 2, "query_pre_attn_scalar": 4.0, "tie_word_embeddings": true});
    vec![
        drawn(&config("llama", &json!({"attention_bias": true, "tie_word_embeddings": false})), 3),
        drawn(&config("gemma3_text", &gemma), 4),
        drawn(&config("phi", &json!({"tie_word_embeddings": false, "partial_rotary_factor": 0.5})), 5),
    ]
}

fn row() -> Row {
    Row::new(vec![1, 5, 9, 4], vec![vec![7, 8, 2]])
}

#[test]
fn a_file_of_16_bits_is_computed_in_f32_and_written_as_it_was() {
    for (model, kind) in models().iter().flat_map(|model| [(model, Half::Bf16), (model, Half::F16)]) {
        let [half, full] = in_16_bits_and_32(model, kind);
        assert_eq!(logits(&half, &[&row()]), logits(&full, &[&row()]));
        let (folder, again) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        half.save(folder.path()).unwrap();
        let loaded = Model::load(folder.path()).unwrap();
        assert!(loaded.parameters().iter().all(|(_, weight)| matches!(weight, Weight::Frozen(Frozen::Half(_)))));
        assert_eq!(logits(&loaded, &[&row()]), logits(&full, &[&row()]));
        loaded.save(again.path()).unwrap();
        let bytes = |folder: &tempfile::TempDir| fs::read(folder.path().join("model.safetensors")).unwrap();
        assert!(bytes(&folder) == bytes(&again));
        full.save(again.path()).unwrap();
        assert!(bytes(&again).len() > bytes(&folder).len() * 3 / 2);
        // A mapped file keeps its content when it is replaced.
        full.save(folder.path()).unwrap();
        assert_eq!(logits(&loaded, &[&row()]), logits(&full, &[&row()]));
    }
}

#[test]
fn numbers_of_16_bits_that_are_none_are_named() {
    for (kind, value, told) in [(Half::Bf16, f32::NAN, "NaN"), (Half::F16, f32::NEG_INFINITY, "-inf")] {
        let model = tiny(3).model;
        let norm = "model.norm.weight";
        let mut values = model.parameters().get(norm).unwrap().clone().into_values();
        values[3] = value;
        let [mut half, _] = in_16_bits_and_32(&model, kind);
        half.parameters_mut().insert(norm.to_owned(), Weight::Frozen(half_of(&values, &[values.len()], kind)));
        let folder = tempfile::tempdir().unwrap();
        half.save(folder.path()).unwrap();
        let error = Model::load(folder.path()).unwrap_err().to_string();
        assert!(error.contains(norm) && error.contains(told) && error.contains("element 3"), "{error}");
    }
}

fn codes(model: &Model) -> Vec<(&str, &Nf4Matrix)> {
    let mut codes = Vec::new();
    for (name, weight) in model.parameters().iter() {
        if let Weight::Frozen(Frozen::Nf4(matrix)) = weight {
            codes.push((name, matrix.as_ref()));
        }
    }
    codes
}

#[test]
fn codes_are_written_and_read_back_and_never_made_anew() {
    for (model, double_quant) in models().into_iter().flat_map(|model| [(model.clone(), false), (model, true)]) {
        let [mut model, _] = in_16_bits_and_32(&model, Half::Bf16);
        model.quantise(double_quant);
        assert!(codes(&model).len() >= 12);
        let folder = tempfile::tempdir().unwrap();
        model.save(folder.path()).unwrap();
        let mut again = Model::load(folder.path()).unwrap();
        assert_eq!(codes(&again), codes(&model));
        again.quantise(!double_quant);
        assert_eq!(codes(&again), codes(&model));
        assert_eq!(logits(&again, &[&row()]), logits(&model, &[&row()]));
        let settings = again.config().get("quantization_config").unwrap();
        assert_eq!(settings["bnb_4bit_use_double_quant"], json!(double_quant));
        // Merged weights are dense.
        let (merged, folder) = (again.merged(), tempfile::tempdir().unwrap());
        merged.save(folder.path()).unwrap();
        let merged = Model::load(folder.path()).unwrap();
        assert!(codes(&merged).is_empty() && !merged.config().contains_key("quantization_config"));
        assert_eq!(logits(&merged, &[&row()]), logits(&model, &[&row()]));
    }
}

#[test]
#[expect(clippy::print_stdout, reason = "a skipped test says so")]
fn a_folder_in_4_bits_is_written_as_bitsandbytes_wrote_it() {
    let fixtures = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/parity/fixtures/nf4");
    if !fixtures.exists() {
        return println!("skipped: `{}` is not there", fixtures.display());
    }
    for case in ["llama_double", "qwen2_single"] {
        let (theirs, ours) = (fixtures.join(case).join("quantised"), tempfile::tempdir().unwrap());
        Model::load(&theirs).unwrap().save(ours.path()).unwrap();
        let open = |folder: &Path| Tensors::of_model(folder).unwrap();
        let (theirs, ours) = (open(&theirs), open(ours.path()));
        assert_eq!(ours.names().collect::<Vec<_>>(), theirs.names().collect::<Vec<_>>());
        for name in theirs.names() {
            if name.ends_with("bitsandbytes__nf4") {
                let state = |tensors: &Tensors| -> Value { serde_json::from_slice(&tensors.raw(name).unwrap()).unwrap() };
                let (mut ours, mut theirs) = (state(&ours), state(&theirs));
                // The same f32 may be written in fewer digits.
                let offset = |state: &mut Value| state["nested_offset"].take().as_f64().map(|offset| offset as f32);
                assert_eq!(offset(&mut ours), offset(&mut theirs), "{name}");
                assert_eq!(ours, theirs, "{name}");
                continue;
            }
            assert_eq!(ours.shape(name), theirs.shape(name), "{name}");
            let bytes = |tensors: &Tensors| {
                tensors
                    .raw(name)
                    .ok()
                    .or_else(|| Some(tensors.values(name).unwrap().into_iter().flat_map(f32::to_le_bytes).collect()))
            };
            assert!(bytes(&ours) == bytes(&theirs), "{name}");
        }
    }
}

#[test]
fn scales_that_do_not_fit_their_codes_are_refused() {
    let mut model = tiny(3).model;
    model.quantise(true);
    let weight = "model.layers.0.mlp.up_proj.weight";
    let folder = tempfile::tempdir().unwrap();
    for (part, bytes) in [(".absmax", vec![1_u8; 2]), (".nested_absmax", vec![0_u8; 12]), ("", vec![0_u8; 5])] {
        model.save(folder.path()).unwrap();
        let path = folder.path().join("model.safetensors");
        let changed = format!("{weight}{part}");
        let tensors = model.parameters().iter().flat_map(|(name, weight)| weights::quantised::stored(name, weight));
        let tensors = tensors.map(|(name, stored)| {
            if name != changed {
                return (name, stored);
            }
            let dtype = safetensors::tensor::View::dtype(&stored);
            let length = bytes.len() / (dtype.bitsize() / 8);
            (name, weights::safetensors_out::Stored::bytes(dtype, vec![length], bytes.clone()))
        });
        write_tensors(&path, tensors).unwrap();
        let error = Model::load(folder.path()).unwrap_err().to_string();
        assert!(error.contains(weight), "{part}: {error}");
    }
}
