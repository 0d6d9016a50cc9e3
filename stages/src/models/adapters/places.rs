//! The places of an adapter's tensors in a model. Takes settings and a base; gives names and shapes, in our spelling and in PEFT's.

use std::collections::{BTreeMap, BTreeSet};

use super::config::{AdapterConfig, Bias};
use crate::models::weights::{
    factors::{EMBEDDING_A, EMBEDDING_B, FACTORS, LORA_A, LORA_B, MAGNITUDE},
    parameters::Parameters,
    weight::{EMBEDDING, HEAD, Weight, weight_of},
};

/// The prefix of PEFT's names.
pub(crate) const PREFIX: &str = "base_model.model.";

/// Returns whether a weight is the embedding's or the head's.
pub(crate) fn is_end(name: &str) -> bool {
    name == weight_of(EMBEDDING) || name == weight_of(HEAD)
}

pub(crate) fn is_factor(parameters: &Parameters, name: &str) -> bool {
    FACTORS.iter().any(|factor| name.strip_suffix(factor).is_some_and(|module| parameters.lora().contains_key(module)))
}

/// Returns the name of the matrix of a module. The head may share the embedding's.
pub(crate) fn weight_name(parameters: &Parameters, module: &str) -> String {
    let own = weight_of(module);
    if module == HEAD && parameters.get(&own).is_none() { weight_of(EMBEDDING) } else { own }
}

/// Returns the base's shape of a weight that an adapter may store whole.
pub(crate) fn base_shape(parameters: &Parameters, name: &str) -> Vec<usize> {
    let name = name.strip_suffix(".weight").map_or_else(|| name.to_owned(), |module| weight_name(parameters, module));
    parameters.get(&name).map(Weight::shape).unwrap_or_default()
}

pub(crate) fn base_values(parameters: &Parameters, name: &str) -> Vec<f32> {
    let name = name.strip_suffix(".weight").map_or_else(|| name.to_owned(), |module| weight_name(parameters, module));
    parameters.get(&name).cloned().map(Weight::into_values).unwrap_or_default()
}

/// Returns the modules that have a matrix, in order, including a tied head.
fn modules(parameters: &Parameters) -> Vec<String> {
    let matrices = parameters.iter().filter(|(name, weight)| weight.shape().len() == 2 && !is_factor(parameters, name));
    let mut modules: BTreeSet<String> =
        matrices.filter_map(|(name, _)| name.strip_suffix(".weight")).map(str::to_owned).collect();
    modules.insert(HEAD.to_owned());
    modules.into_iter().collect()
}

/// Returns the factors of an adapter with their shapes.
pub(crate) fn factor_shapes(parameters: &Parameters, config: &AdapterConfig) -> BTreeMap<String, Vec<usize>> {
    let mut shapes = BTreeMap::new();
    for module in modules(parameters) {
        let linear = module != HEAD && module != EMBEDDING;
        if !config.targets(&module, linear) {
            continue;
        }
        let (rank, shape) = (config.rank(&module), base_shape(parameters, &weight_of(&module)));
        if module == EMBEDDING {
            shapes.insert(format!("{module}{EMBEDDING_A}"), vec![rank, shape[0]]);
            shapes.insert(format!("{module}{EMBEDDING_B}"), vec![shape[1], rank]);
            continue;
        }
        shapes.insert(format!("{module}{LORA_A}"), vec![rank, shape[1]]);
        shapes.insert(format!("{module}{LORA_B}"), vec![shape[0], rank]);
        if config.use_dora {
            shapes.insert(format!("{module}{MAGNITUDE}"), vec![shape[0]]);
        }
    }
    shapes
}

/// Returns the base's weights that an adapter trains whole: biases and modules to save.
pub(crate) fn replaced_names(parameters: &Parameters, config: &AdapterConfig) -> BTreeSet<String> {
    let mut names: BTreeSet<String> = BTreeSet::new();
    for (name, _) in parameters.iter().filter(|(name, _)| !is_factor(parameters, name)) {
        let Some((module, part)) = name.rsplit_once('.') else { continue };
        let linear = module != HEAD && module != EMBEDDING;
        let biased = match config.bias {
            Bias::None => false,
            Bias::All => true,
            Bias::LoraOnly => config.targets(module, linear),
        };
        if config.saves(module) || (part == "bias" && biased) {
            names.insert(name.to_owned());
        }
    }
    if config.saves(HEAD) {
        names.insert(weight_of(HEAD));
    }
    names
}

/// Removes PEFT's additions from a name.
pub(crate) fn our_name(name: &str) -> String {
    let name = name.strip_prefix(PREFIX).unwrap_or(name).replace(".base_layer.", ".").replace(".modules_to_save.", ".");
    match name.strip_suffix(".weight").filter(|rest| rest.ends_with(MAGNITUDE)) {
        Some(magnitude) => magnitude.to_owned(),
        None => name,
    }
}

/// Adds PEFT's additions to a name.
pub(crate) fn peft_name(parameters: &Parameters, name: &str) -> String {
    match name.rsplit_once('.') {
        Some((module, part)) if parameters.lora().contains_key(module) && !is_factor(parameters, name) => {
            format!("{PREFIX}{module}.base_layer.{part}")
        }
        _ => format!("{PREFIX}{name}"),
    }
}
