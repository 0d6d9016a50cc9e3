//! Tests of adapters on a small model: a new one changes nothing, a merged or reloaded one computes the same, and gradients are right.

use super::*;
use crate::models::batch::Row;

fn config(change: impl FnOnce(&mut AdapterConfig)) -> AdapterConfig {
    let mut config = AdapterConfig {
        r: 3,
        lora_alpha: 6.0,
        target_modules: Some(Modules::Names(["q_proj", "v_proj", "down_proj"].map(str::to_owned).to_vec())),
        ..AdapterConfig::default()
    };
    change(&mut config);
    config
}

fn row() -> Row {
    Row::new(vec![1, 5, 9, 4], vec![vec![7, 8, 2]])
}

fn distance(one: &Model, other: &Model) -> f32 {
    let (one, other) = (logits(one, &[&row()]), logits(other, &[&row()]));
    one.iter().flatten().zip(other.iter().flatten()).map(|(left, right)| (left - right).abs()).fold(0.0, f32::max)
}

/// Moves all weights that an adapter trains away from their initial values.
fn shaken(model: &Model) -> Model {
    let mut model = model.clone();
    let mut random = crate::random::Random::new(5, "shake");
    for name in model.adapter_names() {
        model.parameters_mut().update(&name, |values| {
            for value in values {
                *value += 0.3 * random.normal() as f32;
            }
        });
    }
    model
}

fn variants() -> Vec<AdapterConfig> {
    vec![
        config(|_| ()),
        config(|config| config.target_modules = Some(Modules::Pattern("all-linear".into()))),
        config(|config| config.target_modules = Some(Modules::Pattern(r".*layers\.1\.(mlp|self_attn)\..*_proj".into()))),
        config(|config| config.use_rslora = true),
        config(|config| config.use_dora = true),
        config(|config| config.rank_pattern = [("v_proj".to_owned(), 2)].into()),
        config(|config| config.alpha_pattern = [("layers.0.self_attn.q_proj".to_owned(), 1.0)].into()),
        config(|config| config.layers_to_transform = Some(Layers(vec![1]))),
        config(|config| config.modules_to_save = Some(vec!["embed_tokens".into()])),
        config(|config| config.modules_to_save = Some(vec!["embed_tokens".into(), "lm_head".into()])),
        config(|config| config.target_modules = Some(Modules::Names(vec!["embed_tokens".into(), "lm_head".into()]))),
        config(|config| config.target_modules = Some(Modules::Names(vec!["lm_head".into()]))),
        config(|config| config.modules_to_save = Some(vec!["model.norm".into()])),
    ]
}

#[test]
fn a_fresh_adapter_changes_nothing() {
    let base = tiny(4).model;
    for config in variants() {
        let mut model = base.clone();
        model.add_adapter(&config, 1).unwrap();
        assert!(distance(&base, &model) < 1e-5, "{config:?}");
        assert!(distance(&base, &shaken(&model)) > 1e-3, "{config:?}");
    }
}

#[test]
fn a_merged_adapter_gives_the_same_logits_also_from_its_folder() {
    for config in variants() {
        let mut model = tiny(4).model;
        model.add_adapter(&config, 1).unwrap();
        let model = shaken(&model);
        let merged = model.merged();
        assert!(distance(&model, &merged) < 1e-4, "{config:?}");
        let folder = tempfile::tempdir().unwrap();
        merged.save(folder.path()).unwrap();
        assert!(distance(&merged, &Model::load(folder.path()).unwrap()) < 1e-6, "{config:?}");
    }
}

#[test]
fn an_adapter_reads_back_from_its_folder() {
    for config in variants() {
        let base = tiny(4).model;
        let mut model = base.clone();
        model.add_adapter(&config, 1).unwrap();
        let model = shaken(&model);
        let folder = tempfile::tempdir().unwrap();
        model.save_adapter(folder.path(), &config).unwrap();
        let mut again = base.clone();
        assert_eq!(again.load_adapter(folder.path()).unwrap(), config);
        assert_eq!(distance(&model, &again), 0.0, "{config:?}");
        let without = again.with_parameters(again.parameters().without_adapter());
        assert_eq!(distance(&base, &without), 0.0, "{config:?}");
    }
}

#[test]
fn an_adapter_of_another_model_is_refused_by_what_is_missing_extra_or_of_another_shape() {
    let mut model = tiny(4).model;
    model.add_adapter(&config(|_| ()), 1).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let refused = |config: &AdapterConfig, change: &dyn Fn(&mut serde_json::Value), parts: &[&str]| {
        model.save_adapter(folder.path(), config).unwrap();
        let path = folder.path().join("adapter_config.json");
        let mut keys = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        change(&mut keys);
        fs::write(&path, keys.to_string()).unwrap();
        let error = tiny(4).model.load_adapter(folder.path()).unwrap_err().to_string();
        for part in parts {
            assert!(error.contains(part), "`{error}` does not say `{part}`");
        }
    };
    let wider = config(|config| config.target_modules = Some(Modules::Pattern("all-linear".into())));
    refused(&wider, &|_| (), &["lacks", "base_model.model.model.layers.0.mlp.gate_proj.lora_A.weight"]);
    let narrower = config(|config| config.target_modules = Some(Modules::Names(vec!["q_proj".into()])));
    refused(&narrower, &|_| (), &["does not use", "v_proj.lora_A.weight"]);
    refused(&config(|config| config.r = 4), &|_| (), &["lora_A.weight", "[3, 24]", "[4, 24]"]);
    refused(&config(|config| config.target_modules = Some(Modules::Names(vec!["c_attn".into()]))), &|_| (), &["no module"]);
    for (key, value) in [
        ("lora_bias", serde_json::json!(true)),
        ("fan_in_fan_out", serde_json::json!(true)),
        ("peft_type", serde_json::json!("IA3")),
        ("init_lora_weights", serde_json::json!("pissa")),
        ("trainable_token_indices", serde_json::json!([3])),
        ("target_modules", serde_json::json!("(")),
    ] {
        refused(&config(|_| ()), &|keys| keys[key] = value.clone(), &[key]);
    }
}

#[test]
fn modules_to_save_are_ends_of_names_and_whole_blocks_as_in_peft() {
    let saved = |name: &str| -> Vec<String> {
        let mut model = tiny(4).model;
        model.add_adapter(&config(|config| config.modules_to_save = Some(vec![name.into()])), 1).unwrap();
        model.parameters().replaced().map(str::to_owned).collect()
    };
    let norms = saved("norm");
    assert!(norms.contains(&"model.norm.weight".to_owned()), "{norms:?}");
    assert!(norms.contains(&"model.layers.1.input_layernorm.weight".to_owned()), "{norms:?}");
    let block = saved("layers.1.mlp");
    assert_eq!(block, ["down_proj", "gate_proj", "up_proj"].map(|name| format!("model.layers.1.mlp.{name}.weight")));
    // Modules that are stored whole, and those within them, have no factors.
    let config = config(|config| {
        config.target_modules = Some(Modules::Pattern("all-linear".into()));
        config.modules_to_save = Some(vec!["mlp".into()]);
    });
    assert!(!config.targets("model.layers.0.mlp.up_proj", true) && config.targets("model.layers.0.self_attn.q_proj", true));
}

#[test]
fn an_adapter_on_the_embedding_has_the_base_of_it_and_what_is_stored_whole_is_named_so() {
    let folder = tempfile::tempdir().unwrap();
    let mut model = tiny(4).model;
    let base = model.parameters().get("model.embed_tokens.weight").unwrap().clone().into_values();
    let ends = config(|config| config.target_modules = Some(Modules::Names(vec!["embed_tokens".into(), "lm_head".into()])));
    model.add_adapter(&ends, 1).unwrap();
    model.save_adapter(folder.path(), &ends).unwrap();
    let tensors = read_tensors(&folder.path().join("adapter_model.safetensors")).unwrap();
    for module in ["model.embed_tokens", "lm_head"] {
        assert_eq!(tensors[&format!("base_model.model.{module}.base_layer.weight")].1, base, "{module}");
    }
    let whole = config(|config| config.modules_to_save = Some(vec!["lm_head".into(), "mlp".into()]));
    let mut model = tiny(4).model;
    model.add_adapter(&whole, 1).unwrap();
    for (name, expected) in [
        ("lm_head.bias", "lm_head.modules_to_save.bias"),
        ("model.layers.0.mlp.up_proj.weight", "model.layers.0.mlp.modules_to_save.up_proj.weight"),
        ("model.layers.0.self_attn.q_proj.bias", "model.layers.0.self_attn.q_proj.base_layer.bias"),
        ("model.layers.0.self_attn.k_proj.bias", "model.layers.0.self_attn.k_proj.bias"),
    ] {
        assert_eq!(model.peft_parameter(name, Some(&whole)), expected);
    }
}

#[test]
fn dropout_takes_its_share_and_hangs_on_its_draw_alone() {
    for use_dora in [false, true] {
        let mut model = tiny(4).model;
        model.add_adapter(&config(|config| config.use_dora = use_dora), 1).unwrap();
        let model = shaken(&model);
        let dropping = |share: f64, draw: u64| {
            let leaves = model.parameters().with_leaves(&[]);
            model.with_parameters(leaves.with_dropout(Some(Dropout { share, seed: draw })))
        };
        let whole = model.with_parameters(model.parameters().with_leaves(&[]));
        assert_eq!(distance(&dropping(0.3, 1), &dropping(0.3, 1)), 0.0);
        assert!(distance(&dropping(0.3, 1), &dropping(0.3, 2)) > 1e-3);
        assert_eq!(distance(&dropping(0.0, 1), &whole), 0.0);
        // Kept inputs are scaled up for the dropped ones, and so small a share drops none here.
        assert!(distance(&dropping(1e-9, 1), &whole) < 1e-4);
    }
}

#[test]
fn side_branches_scale_as_peft_scales_them() {
    let config = config(|config| {
        config.rank_pattern = [("down_proj".to_owned(), 2), ("layers.1.self_attn.q_proj".to_owned(), 6)].into();
        config.alpha_pattern = [("down_proj".to_owned(), 8.0)].into();
    });
    assert_eq!(config.scale("model.layers.0.self_attn.q_proj"), 2.0);
    assert_eq!(config.scale("model.layers.1.self_attn.q_proj"), 1.0);
    assert_eq!(config.scale("model.layers.1.mlp.down_proj"), 4.0);
    let stable = AdapterConfig { use_rslora: true, r: 4, ..config };
    assert_eq!(stable.scale("model.layers.0.self_attn.q_proj"), 3.0);
}

#[test]
fn gradients_of_factors_magnitudes_biases_and_norms_follow_finite_differences() {
    let config = config(|config| {
        config.use_dora = true;
        config.modules_to_save = Some(vec!["model.norm".into(), "post_attention_layernorm".into()]);
    });
    let mut model = tiny(4).model;
    model.add_adapter(&config, 1).unwrap();
    let model = shaken(&model);
    let batch = Batch::new(&[&row()]);
    // The loss has a slope everywhere. `DoRA`'s row norms are constants in its gradient, so they are constants here too.
    let loss = |model: &Model| {
        let logits = model.logits(&batch);
        (logits.clone() * logits).mean()
    };
    let names = model.adapter_names();
    let leaves = model.with_parameters(model.parameters().with_leaves(&names));
    let mut gradients = loss(&leaves).backward();
    let gradients: Vec<Option<Values>> = names.iter().map(|name| leaves.parameters().gradient(name, &mut gradients)).collect();
    let step = 2e-2_f32;
    for (name, gradient) in names.iter().zip(&gradients) {
        if name.contains("lora_A") || name.contains("lora_B") {
            // A change of these moves the row norms, which the gradient ignores by design: see the test without `DoRA`.
            continue;
        }
        check(&model, name, &gradient.as_ref().unwrap().to_vec(), step, &loss);
    }
    let plain = AdapterConfig { use_dora: false, ..config };
    let mut model = tiny(4).model;
    model.add_adapter(&plain, 1).unwrap();
    let model = shaken(&model);
    let names = model.adapter_names();
    let leaves = model.with_parameters(model.parameters().with_leaves(&names));
    let mut gradients = loss(&leaves).backward();
    let gradients: Vec<Option<Values>> = names.iter().map(|name| leaves.parameters().gradient(name, &mut gradients)).collect();
    for (name, gradient) in names.iter().zip(&gradients) {
        check(&model, name, &gradient.as_ref().unwrap().to_vec(), step, &loss);
    }
}

/// Compares the slope in the gradient's direction with the gradient's norm.
fn check(model: &Model, name: &str, gradient: &[f32], step: f32, loss: &dyn Fn(&Model) -> burn::tensor::Tensor<1>) {
    let norm = gradient.iter().map(|value| value * value).sum::<f32>().sqrt();
    assert!(norm > 1e-4, "{name} has no gradient");
    let at = |sign: f32| {
        let mut moved = model.clone();
        moved.parameters_mut().update(name, |values| {
            for (value, gradient) in values.iter_mut().zip(gradient) {
                *value += sign * step * gradient / norm;
            }
        });
        loss(&moved).into_scalar::<f32>()
    };
    let slope = (at(1.0) - at(-1.0)) / (2.0 * step);
    assert!((slope - norm).abs() < 0.02 * norm + 1e-3, "{name}: slope {slope}, gradient {norm}");
}
