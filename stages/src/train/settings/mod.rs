//! The settings of a training as `stage.json` has them → typed settings, under TRL's and PEFT's names less their Python spelling.
//!
//! `stage` says which method; its own settings stand beside those that all trainings share. A key that neither knows is refused by its name.

mod adapter;
mod dpo;
mod sft;
mod words;

use std::path::{Path, PathBuf};

pub use adapter::{Adapter, Code, Dtype, Quantization, Targets};
pub(crate) use dpo::losses;
pub use dpo::{Divergence, Dpo, DpoLoss, Reference};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
pub use sft::{Packing, Sft, SftLoss};

use super::schedule::{Scheduler, SchedulerArguments};
use crate::models::DeviceName;

/// Says why settings could not be read.
#[derive(Debug, thiserror::Error)]
#[error("`{path}`: {reason}")]
pub struct SettingsError {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub reason: String,
}

/// All settings of one training.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// What every training has.
    pub training: Training,
    /// What its method has.
    pub method: Method,
}

/// How the model learns.
#[derive(Clone, Debug, PartialEq)]
pub enum Method {
    /// Supervised fine-tuning.
    Sft(Sft),
    /// Direct preference optimisation.
    Dpo(Dpo),
}

/// Settings that every training has.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Training {
    /// Folder of the model to start from.
    pub base_model: PathBuf,
    /// Rows to train on, JSON lines.
    pub train_data: PathBuf,
    /// The first of them that is taken, and the first that is not [default: all].
    pub train_rows: Option<[usize; 2]>,
    /// Rows to evaluate on.
    pub eval_data: Option<PathBuf>,
    /// Which of them are taken, as for `train_rows`.
    pub eval_rows: Option<[usize; 2]>,
    /// Steps between evaluations.
    pub eval_steps: Option<usize>,
    /// Rows of one pass of an evaluation.
    pub eval_batch_size: usize,
    /// A chat template's file, in the place of the checkpoint's own.
    pub chat_template: Option<PathBuf>,
    /// Whether the rows are shuffled anew in each epoch.
    pub shuffle: bool,
    /// Seed of the rows' order, of dropout and of first weights.
    pub seed: u64,
    /// Numbers that passes are computed in; weights in training and sums stay float32.
    pub precision: Precision,
    /// Optimiser steps; wins over `epochs`.
    pub max_steps: Option<usize>,
    /// How often each row is seen [default: 3].
    pub epochs: Option<f64>,
    /// Rows of one micro-batch.
    pub batch_size: usize,
    /// Micro-batches of one optimiser step.
    pub gradient_accumulation_steps: usize,
    /// Highest learning rate.
    pub learning_rate: f64,
    /// How the rate goes after the warm-up.
    pub lr_scheduler: Scheduler,
    /// What the scheduler takes besides.
    pub lr_scheduler_args: SchedulerArguments,
    /// Steps in which the rate rises from 0; below 1 a share of all steps, rounded up.
    pub warmup: f64,
    /// The optimiser.
    pub optimizer: Optimizer,
    /// Largest norm of all gradients together; longer ones are scaled to it.
    pub max_grad_norm: f64,
    /// Most tokens of a row; longer ones are cut at the end.
    pub max_length: Option<usize>,
    /// Parts of a micro-batch that are computed at the same time; part of the result, unlike the number of cores.
    pub shards: usize,
    /// Steps between two times that what is needed to go on after a stop is kept [default: as many as a minute has]; no part in the result.
    #[serde(skip_serializing)]
    pub save_steps: Option<usize>,
    /// Where the model is computed; results differ by rounding alone.
    #[serde(skip_serializing)]
    pub device: DeviceName,
    /// Whether each layer is computed again in the backward pass: the numbers are the same, activations take less memory, a step more time.
    pub gradient_checkpointing: bool,
    /// The adapter that is trained in the place of all weights.
    pub adapter: Option<Adapter>,
    /// How the base's weights are held.
    pub quantization: Option<Quantization>,
    /// Rows as another program has prepared them, for comparison.
    pub prepared: Option<PathBuf>,
    /// One row of ids whose logits are written after the training.
    pub probe_input_ids: Vec<u32>,
    /// Words for people.
    pub note: Option<String>,
}

impl Default for Training {
    fn default() -> Self {
        Self {
            base_model: PathBuf::new(),
            train_data: PathBuf::new(),
            train_rows: None,
            eval_data: None,
            eval_rows: None,
            eval_steps: None,
            eval_batch_size: 8,
            chat_template: None,
            shuffle: true,
            seed: 42,
            precision: Precision::F32,
            max_steps: None,
            epochs: None,
            batch_size: 8,
            gradient_accumulation_steps: 1,
            learning_rate: 2e-5,
            lr_scheduler: Scheduler::Linear,
            lr_scheduler_args: SchedulerArguments::default(),
            warmup: 0.0,
            optimizer: Optimizer::default(),
            max_grad_norm: 1.0,
            max_length: Some(1024),
            shards: 2,
            save_steps: None,
            device: DeviceName::Auto,
            gradient_checkpointing: false,
            adapter: None,
            quantization: None,
            prepared: None,
            probe_input_ids: Vec::new(),
            note: None,
        }
    }
}

/// Numbers that passes are computed in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// float32.
    #[default]
    F32,
    /// bfloat16, as `PyTorch`'s autocast has it.
    Bf16,
}

/// Settings of the optimiser.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Optimizer {
    /// Which.
    pub name: OptimizerName,
    /// Decays of the averages of gradients and of squared gradients.
    pub betas: [f64; 2],
    /// Added to the root of the squared gradients' average.
    pub eps: f64,
    /// Decay of matrices; biases and norms do not decay.
    pub weight_decay: f64,
}

impl Default for Optimizer {
    fn default() -> Self {
        Self { name: OptimizerName::Adamw, betas: [0.9, 0.999], eps: 1e-8, weight_decay: 0.0 }
    }
}

/// The optimisers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OptimizerName {
    /// Adam with decoupled weight decay.
    Adamw,
}

impl Settings {
    /// Reads a `stage.json`; its paths become relative to the current folder.
    ///
    /// # Errors
    /// A file that cannot be read, a key that is not known, a value of the wrong kind.
    pub fn read(path: &Path) -> Result<Self, SettingsError> {
        let wrong = |reason: String| SettingsError { path: path.to_owned(), reason };
        let bytes = std::fs::read(path).map_err(|error| wrong(error.to_string()))?;
        let object: Map<String, Value> = serde_json::from_slice(&bytes).map_err(|error| wrong(error.to_string()))?;
        let mut settings = Self::from_object(object).map_err(wrong)?;
        let folder = path.parent().unwrap_or(Path::new(""));
        let training = &mut settings.training;
        for file in [&mut training.base_model, &mut training.train_data] {
            *file = folder.join(&*file);
        }
        let adapter = training.adapter.as_mut().and_then(|adapter| adapter.init_from.as_mut());
        let files = [training.eval_data.as_mut(), training.chat_template.as_mut(), training.prepared.as_mut(), adapter];
        for file in files.into_iter().flatten() {
            *file = folder.join(&*file);
        }
        Ok(settings)
    }

    fn from_object(mut object: Map<String, Value>) -> Result<Self, String> {
        let stage = object.remove("stage").ok_or("`stage` is missing: `sft` or `dpo`")?;
        let method = match stage.as_str() {
            Some("sft") => Method::Sft(taken(&mut object, &Sft::default())?),
            Some("dpo") => Method::Dpo(taken(&mut object, &Dpo::default())?),
            _ => return Err(format!("`stage` is {stage} and must be `sft` or `dpo`")),
        };
        let training = serde_json::from_value(Value::Object(object)).map_err(|error| error.to_string())?;
        Ok(Self { training, method })
    }
}

/// Takes the fields of `T` out of an object.
fn taken<T: Serialize + DeserializeOwned>(object: &mut Map<String, Value>, default: &T) -> Result<T, String> {
    let names = serde_json::to_value(default).map_err(|error| error.to_string())?;
    let own = names.as_object().into_iter().flatten().filter_map(|(name, _)| object.remove_entry(name)).collect();
    serde_json::from_value(Value::Object(own)).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn settings(value: Value) -> Result<Settings, String> {
        Settings::from_object(value.as_object().unwrap().clone())
    }

    #[test]
    fn a_key_that_is_not_known_is_refused_by_its_name() {
        for (value, named) in [
            (json!({"stage": "sft", "learning_rat": 1}), "`learning_rat`"),
            (json!({"stage": "sft", "beta": 1}), "`beta`"),
            (json!({"stage": "dpo", "packing": "bfd"}), "`packing`"),
            (json!({"stage": "dpo", "adapter": {"rank": 8}}), "`rank`"),
            (json!({"stage": "dpo", "loss_type": ["sigmoit"]}), "`sigmoit`"),
            (json!({"stage": "sft", "lr_scheduler_args": {"cycles": 1}}), "`cycles`"),
            (json!({"stage": "ppo"}), "`stage`"),
            (json!({}), "`stage`"),
        ] {
            let error = settings(value).unwrap_err();
            assert!(error.contains(named), "{error}");
        }
    }

    #[test]
    fn a_device_is_read_by_its_name_and_is_no_part_of_what_is_kept() {
        let training = settings(json!({"stage": "sft", "device": "cuda:1"})).unwrap().training;
        assert_eq!(training.device, DeviceName::Cuda(1));
        assert_eq!(serde_json::to_value(&training).unwrap().get("device"), None);
        let error = settings(json!({"stage": "sft", "device": "gpu"})).unwrap_err();
        assert!(error.contains("`gpu`") && error.contains("`cuda:N`"), "{error}");
    }

    #[test]
    fn a_list_and_a_single_word_are_told_apart() {
        let targets = |value: Value| {
            let settings = settings(json!({"stage": "sft", "adapter": {"target_modules": value}})).unwrap();
            settings.training.adapter.unwrap().target_modules.unwrap()
        };
        assert_eq!(targets(json!("all-linear")), Targets::Pattern("all-linear".into()));
        assert_eq!(targets(json!(["q_proj"])), Targets::Names(vec!["q_proj".into()]));
        let Method::Dpo(dpo) = settings(json!({"stage": "dpo", "loss_type": "ipo"})).unwrap().method else { panic!() };
        assert_eq!(dpo.loss_type, [DpoLoss::Ipo]);
    }
}
