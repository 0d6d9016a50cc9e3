//! Tests that gradient checkpointing changes no bit of what is learned.

use serde_json::json;

use super::*;
use crate::models::tests::{config, drawn};

#[test]
fn layers_that_are_computed_again_teach_the_same_in_every_bit() {
    // Gemma 3 has two kinds of angles and masks: a window of 2 in all layers but the third.
    let gemma3 = json!({"head_dim": 4, "sliding_window": 2, "sliding_window_pattern": 3, "query_pre_attn_scalar": 4.0});
    let bases = [
        ("llama", drawn(&config("llama", &json!({})), 3)),
        ("llama, head of its own", drawn(&config("llama", &json!({"tie_word_embeddings": false})), 4)),
        ("gemma 2", drawn(&config("gemma2", &json!({"head_dim": 4, "sliding_window": 2, "query_pre_attn_scalar": 4.0})), 5)),
        ("gemma 3", drawn(&config("gemma3_text", &gemma3), 6)),
        ("phi", drawn(&config("phi", &json!({"tie_word_embeddings": false, "partial_rotary_factor": 0.5})), 7)),
    ];
    let ends = |config: &mut AdapterConfig| {
        let targets = ["q_proj", "down_proj", "embed_tokens", "fc2"].map(str::to_owned).to_vec();
        config.target_modules = Some(Modules::Names(targets));
    };
    for (name, base) in bases {
        let last = "model.layers.2.self_attn.q_proj".to_owned();
        let ways: [(&str, Model); 5] = [
            ("full", base.clone()),
            ("lora", adapted(base.clone(), |config| config.target_modules = Some(Modules::Pattern("all-linear".into())))),
            ("dora", adapted(base.clone(), |config| config.use_dora = true)),
            ("lora at the embedding", adapted(base.clone(), ends)),
            ("lora in the last layer", adapted(base, |config| config.target_modules = Some(Modules::Names(vec![last])))),
        ];
        for (way, model) in ways {
            teaches_the_same::<Sft>(&model, &format!("{name}, {way}"));
            teaches_the_same::<Dpo>(&model, &format!("{name}, {way}"));
            teaches_the_same::<Orpo>(&model, &format!("{name}, {way}"));
        }
    }
}

fn teaches_the_same<M: Example>(model: &Model, case: &str) {
    let (case, mut settings) = (format!("{case}, {}", M::NAME), settings::<M>());
    settings.training.adapter = Some(settings::Adapter { lora_dropout: 0.25, ..settings::Adapter::default() });
    let mut once = Notes::default();
    let expected = trained(model, &settings, &mut once).unwrap();
    settings.training.gradient_checkpointing = true;
    let mut again = Notes::default();
    let found = trained(model, &settings, &mut again).unwrap();
    assert_eq!(again.losses, once.losses, "{case}");
    assert_ne!(weights(&expected.model), weights(model), "{case}: nothing was learned");
    for (found, expected) in weights(&found.model).into_iter().zip(weights(&expected.model)) {
        assert_eq!(found, expected, "{case}");
    }
}
