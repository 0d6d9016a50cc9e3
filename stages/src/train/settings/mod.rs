//! The settings of a training as `stage.json` and manifests have them → typed settings. There is one set of names, with TRL's and PEFT's
//! spellings beside them; each is stated once, in the file of those that belong together.
//!
//! `stage` says which method; its own settings stand beside those that all trainings share. A key that neither knows is refused by its name.

mod adapter;
mod dpo;
mod files;
mod optim;
pub(crate) mod part;
pub(crate) mod range;
mod sft;
mod training;
mod warmup;
mod words;

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

pub use adapter::{Adapter, Code, Dtype, Quantization};
pub use dpo::{Divergence, Dpo, DpoLoss, Losses, Reference};
pub use files::Files;
use part::Part;
pub use sft::{Packing, Sft, SftLoss};
pub use training::{Precision, Training};
pub use warmup::Warmup;

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

impl Settings {
    /// Reads a `stage.json`; its paths become relative to the current folder.
    ///
    /// # Errors
    /// A file that cannot be read, a key that is not known, a value of the wrong kind.
    pub fn read(path: &Path) -> Result<(Self, Files), SettingsError> {
        let wrong = |reason: String| SettingsError { path: path.to_owned(), reason };
        let bytes = std::fs::read(path).map_err(|error| wrong(error.to_string()))?;
        let object: Map<String, Value> = serde_json::from_slice(&bytes).map_err(|error| wrong(error.to_string()))?;
        let (mut settings, mut files) = Self::from_object(object).map_err(wrong)?;
        let folder = path.parent().unwrap_or(Path::new(""));
        files.below(folder);
        if let Some(adapter) = settings.training.adapter.as_mut().and_then(|adapter| adapter.init_from.as_mut()) {
            *adapter = folder.join(&*adapter);
        }
        Ok((settings, files))
    }

    fn from_object(mut object: Map<String, Value>) -> Result<(Self, Files), String> {
        let stage = object.remove("stage").ok_or("`stage` is missing: `sft` or `dpo`")?;
        match stage.as_str() {
            Some("sft") => with_method(object, Method::Sft),
            Some("dpo") => with_method(object, Method::Dpo),
            _ => Err(format!("`stage` is {stage} and must be `sft` or `dpo`")),
        }
    }
}

fn with_method<M: Part + Default>(object: Map<String, Value>, method: fn(M) -> Method) -> Result<(Settings, Files), String> {
    let parts: ((Training, M), Files) = Default::default();
    let ((training, own), files) = part::read(Value::Object(object), parts).map_err(|error| error.to_string())?;
    Ok((Settings { training, method: method(own) }, files))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::models::DeviceName;
    use crate::models::Modules;

    fn settings(value: Value) -> Result<Settings, String> {
        Settings::from_object(value.as_object().unwrap().clone()).map(|(settings, _)| settings)
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
            (json!({"stage": "sft", "optim": "sgd"}), "`sgd`"),
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
        assert_eq!(targets(json!("all-linear")), Modules::Pattern("all-linear".into()));
        assert_eq!(targets(json!(["q_proj"])), Modules::Names(vec!["q_proj".into()]));
        let Method::Dpo(dpo) = settings(json!({"stage": "dpo", "loss_type": "ipo"})).unwrap().method else { panic!() };
        assert_eq!(*dpo.loss_type, [DpoLoss::Ipo]);
    }

    #[test]
    fn spellings_of_trl_fill_the_same_settings() {
        let ours = settings(json!({
            "stage": "sft", "batch_size": 4, "epochs": 2, "lr_scheduler": "cosine", "warmup": 7,
            "optimizer": {"betas": [0.8, 0.9], "eps": 1e-6, "weight_decay": 0.5}, "packing": "bfd",
        }));
        let theirs = settings(json!({
            "stage": "sft", "per_device_train_batch_size": 4, "num_train_epochs": 2, "lr_scheduler_type": "cosine", "warmup_steps": 7,
            "adam_beta1": 0.8, "adam_beta2": 0.9, "adam_epsilon": 1e-6, "weight_decay": 0.5, "packing_strategy": "bfd",
        }));
        assert_eq!(ours, theirs);
        assert_ne!(ours, settings(json!({"stage": "sft"})));
        let named =
            settings(json!({"stage": "sft", "optim": "adamw_torch", "adam_beta1": 0.8, "adam_beta2": 0.9, "weight_decay": 0.5}));
        assert_eq!(named, settings(json!({"stage": "sft", "optimizer": {"betas": [0.8, 0.9], "weight_decay": 0.5}})));
        for twice in [
            json!({"stage": "sft", "batch_size": 4, "per_device_train_batch_size": 4}),
            json!({"stage": "sft", "optimizer": {}, "adam_beta1": 0.8}),
            json!({"stage": "sft", "optimizer": {}, "optim": "adamw_torch"}),
        ] {
            let error = settings(twice).unwrap_err();
            assert!(error.contains("are two names of one setting"), "{error}");
        }
    }
}
