//! Tests of folders that are damaged, incomplete or make false claims: each is refused with an error that names the mistake, and none causes a
//! panic or an allocation by a claimed size.

use serde_json::{Value, json};

use super::*;

/// A saved model whose configuration and tensors can be changed.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        tiny(3).model.save(folder.path()).unwrap();
        Self(folder)
    }

    fn set(self, name: &str, value: Value) -> Self {
        let path = self.0.path().join("config.json");
        let mut config: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        config[name] = value;
        fs::write(&path, config.to_string()).unwrap();
        self
    }

    /// Rewrites the tensors after a change of their values and shapes.
    fn tensors(self, change: impl FnOnce(&mut std::collections::BTreeMap<String, weights::weight::Dense>)) -> Self {
        let model = Model::load(self.0.path()).unwrap();
        let dense = |weight: &Weight| (weight.shape(), weight.clone().into_values());
        let mut tensors = model.parameters().iter().map(|(name, weight)| (name.to_owned(), dense(weight))).collect();
        change(&mut tensors);
        fs::write(self.0.path().join("model.safetensors"), tensors_to_bytes(&tensors)).unwrap();
        self
    }

    fn refused(&self, parts: &[&str]) {
        let error = Model::load(self.0.path()).unwrap_err().to_string();
        for part in parts {
            assert!(error.contains(part), "`{error}` does not say `{part}`");
        }
    }
}

#[test]
fn damaged_and_missing_files_are_named() {
    let folder = tempfile::tempdir().unwrap();
    assert!(Checkpoint::load(folder.path()).unwrap_err().to_string().contains("tokenizer.json"));
    tiny(3).save(folder.path()).unwrap();
    let path = folder.path().join("model.safetensors");
    let bytes = fs::read(&path).unwrap();
    for length in [0, 7, 100, bytes.len() / 2, bytes.len() - 1] {
        fs::write(&path, &bytes[..length]).unwrap();
        assert!(Checkpoint::load(folder.path()).unwrap_err().to_string().contains("model.safetensors"), "{length} bytes");
    }
    let mut huge = bytes.clone();
    huge[..8].copy_from_slice(&u64::MAX.to_le_bytes());
    fs::write(&path, huge).unwrap();
    assert!(Checkpoint::load(folder.path()).unwrap_err().to_string().contains("model.safetensors"));
}

#[test]
fn weights_that_are_no_numbers_or_of_another_shape_are_named() {
    let norm = "model.norm.weight";
    Folder::new().tensors(|tensors| tensors.get_mut(norm).unwrap().1[3] = f32::NAN).refused(&[norm, "NaN", "element 3"]);
    Folder::new().tensors(|tensors| tensors.get_mut(norm).unwrap().1[0] = f32::INFINITY).refused(&[norm, "inf"]);
    Folder::new().tensors(|tensors| tensors.get_mut(norm).unwrap().0 = vec![4, 4]).refused(&[norm, "[4, 4]", "[16]"]);
}

#[test]
fn missing_and_extra_tensors_are_listed() {
    let missing = Folder::new().tensors(|tensors| {
        tensors.remove("model.norm.weight");
        tensors.remove("model.layers.1.mlp.up_proj.weight");
    });
    missing.refused(&["lacks", "`model.layers.1.mlp.up_proj.weight`, `model.norm.weight`"]);
    let extra = Folder::new().tensors(|tensors| {
        tensors.insert("model.layers.0.self_attn.q_proj.bias".into(), (vec![16], vec![0.0; 16]));
    });
    extra.refused(&["does not use", "`model.layers.0.self_attn.q_proj.bias`"]);
}

#[test]
fn a_head_that_differs_from_the_embedding_it_is_tied_to_is_refused() {
    let head = |same: bool| {
        Folder::new().tensors(|tensors| {
            let (shape, mut values) = tensors["model.embed_tokens.weight"].clone();
            values[0] += if same { 0.0 } else { 1.0 };
            tensors.insert("lm_head.weight".into(), (shape, values));
        })
    };
    assert!(Model::load(head(true).0.path()).is_ok());
    head(false).refused(&["lm_head.weight", "tie_word_embeddings"]);
}

#[test]
fn tensors_of_integers_are_refused_by_type() {
    let folder = Folder::new();
    let path = folder.0.path().join("model.safetensors");
    let text = String::from_utf8_lossy(&fs::read(&path).unwrap()).into_owned();
    assert!(text.contains("F32"));
    let bytes: Vec<u8> = fs::read(&path).unwrap();
    let header = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let changed = String::from_utf8(bytes[8..8 + header].to_vec()).unwrap().replacen("F32", "I32", 1);
    fs::write(&path, [&bytes[..8], changed.as_bytes(), &bytes[8 + header..]].concat()).unwrap();
    folder.refused(&["holds I32"]);
}

#[test]
fn keys_that_are_unknown_or_contradict_each_other_are_named() {
    Folder::new().set("moe_layers", json!(4)).refused(&["config.json", "moe_layers"]);
    Folder::new().set("sliding_window", json!(4)).refused(&["sliding_window"]);
    Folder::new().set("dtype", json!("bfloat16")).refused(&["dtype", "torch_dtype", "contradict"]);
    let rope = json!({"rope_theta": 7.0, "rope_type": "default"});
    Folder::new().set("rope_parameters", rope).refused(&["rope_theta", "7", "10000"]);
    Folder::new().set("rope_scaling", json!({"type": "linear", "rope_type": "yarn", "factor": 2.0})).refused(&[
        "rope_type",
        "linear",
        "yarn",
    ]);
    Folder::new().set("rope_scaling", json!({"type": "longrope"})).refused(&["longrope"]);
    Folder::new().set("rope_scaling", json!({"type": "linear"})).refused(&["linear", "factor"]);
    Folder::new().set("rope_scaling", json!({"type": "linear", "factor": 2.0, "beta_fast": 3.0})).refused(&["beta_fast"]);
    Folder::new().set("partial_rotary_factor", json!(0.5)).refused(&["partial_rotary_factor"]);
    Folder::new().set("hidden_act", json!("prelu")).refused(&["prelu"]);
    Folder::new().set("model_type", json!("mamba")).refused(&["mamba", "llama"]);
    Folder::new().set("quantization_config", json!({"quant_method": "gptq"})).refused(&["quantization_config"]);
    let harmless = Folder::new().set("transformers_version", json!("9.9")).set("use_cache", json!(false));
    assert!(Model::load(harmless.0.path()).is_ok());
}

#[test]
fn hostile_sizes_are_refused_against_the_files_before_anything_is_made() {
    let huge = json!(u64::MAX);
    Folder::new().set("num_hidden_layers", huge.clone()).refused(&["num_hidden_layers"]);
    Folder::new().set("vocab_size", huge.clone()).refused(&["model.embed_tokens.weight"]);
    Folder::new().set("intermediate_size", huge.clone()).refused(&["mlp"]);
    Folder::new().set("head_dim", json!(1_u64 << 62)).refused(&["self_attn"]);
    Folder::new().set("num_attention_heads", json!(0)).refused(&["num_attention_heads"]);
    Folder::new().set("num_key_value_heads", json!(3)).refused(&["num_key_value_heads"]);
    Folder::new().set("head_dim", json!(3)).refused(&["head_dim"]);
    Folder::new().set("hidden_size", json!(-1)).refused(&["config.json"]);
    let long = Folder::new().set("max_position_embeddings", huge);
    assert!(Model::load(long.0.path()).is_ok());
}

#[test]
fn rows_that_do_not_fit_are_refused() {
    let model = tiny(3).model;
    let known = Batch::plain(&[vec![1, 2]]).unwrap();
    assert!(model.check(&known).is_ok());
    let size = model.vocab_size() as u32;
    for token in [size, u32::MAX] {
        let batch = Batch::plain(&[vec![1, token]]).unwrap();
        assert!(model.check(&batch).unwrap_err().to_string().contains("is outside the vocabulary of"));
    }
    assert!(Batch::plain(&[vec![1], vec![1, 2]]).is_err());
    assert!(Batch::plain(&[]).is_err());
    assert!(known.clone().with_padding(&[vec![1]]).is_err());
    assert!(known.clone().with_padding(&[vec![1, 2]]).is_err());
    assert!(known.clone().packed(&[vec![1, usize::MAX]]).is_err());
    assert!(known.at_positions(&[vec![0]]).is_err());
}

#[test]
fn keys_of_other_architectures_say_nothing_where_they_are_off() {
    for (name, value) in [("use_mrope", json!(false)), ("rope_interleaved", json!(null)), ("is_llama_config", json!(true))] {
        assert!(Model::load(Folder::new().set(name, value).0.path()).is_ok(), "{name}");
    }
    Folder::new().set("use_mrope", json!(true)).refused(&["config.json", "`use_mrope`"]);
}
