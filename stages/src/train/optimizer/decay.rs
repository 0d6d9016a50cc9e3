//! Which weights decay, as transformers' `Trainer` decides it. Takes a weight's name; gives yes or no.

/// Returns whether a weight decays. Biases and norms do not, in whatever module.
#[must_use]
pub(crate) fn decays(name: &str) -> bool {
    let name = name.to_lowercase();
    let anywhere = ["bias", "layernorm", "rmsnorm"].into_iter().any(|part| name.contains(part));
    let norm = name.split('.').any(|segment| segment == "norm" || segment.ends_with("_norm"));
    !(anywhere || norm)
}

#[cfg(test)]
mod tests {
    use super::decays;

    #[test]
    fn biases_and_norms_do_not_decay() {
        for name in [
            "model.norm.weight",
            "model.layers.0.input_layernorm.weight",
            "model.layers.0.self_attn.q_norm.weight",
            "model.layers.1.pre_feedforward_layernorm.weight",
            "model.layers.0.self_attn.q_proj.bias",
            "lm_head.bias",
            "model.final_layernorm.weight",
        ] {
            assert!(!decays(name), "{name}");
        }
        for name in [
            "model.embed_tokens.weight",
            "lm_head.weight",
            "model.layers.0.mlp.down_proj.weight",
            "model.layers.0.self_attn.q_proj.lora_A.weight",
            "model.layers.0.self_attn.q_proj.lora_magnitude_vector",
            "model.normaliser.weight",
        ] {
            assert!(decays(name), "{name}");
        }
    }
}
