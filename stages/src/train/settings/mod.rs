//! Settings of a training. Takes a `stage.json` or the params of a stage; gives settings. TRL's and PEFT's spellings are read too.
//!
//! `stage` names the method, whose own settings are entries beside those of all trainings. An unknown entry is refused by its name. Settings
//! are declared once each, by the crate's `part`. Read `training` (those of every training) first, then `adapter`, `warmup`, `optim` (TRL's
//! spelling of the optimiser) and `files` (those of a `stage.json`). `range` has checks of numbers.

mod adapter;
mod files;
mod optim;
pub(crate) mod range;
mod training;
mod warmup;

use std::path::{Path, PathBuf};

use crate::part::{self, Part};
use serde_json::{Map, Value};

pub use adapter::{Adapter, Code, Dtype, Quantization};
pub use files::Files;
pub use training::{Precision, Training};
pub use warmup::Warmup;

/// Why settings could not be read.
#[derive(Debug, thiserror::Error)]
#[error("`{path}`: {reason}")]
pub struct SettingsError {
    /// The file.
    pub path: PathBuf,
    /// The mistake in it.
    pub reason: String,
}

/// All settings of one training.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings<M> {
    /// The settings of every training.
    pub training: Training,
    /// The settings of the method.
    pub method: M,
}

/// A `stage.json` whose settings are not read yet.
pub struct StageFile {
    path: PathBuf,
    entries: Map<String, Value>,
}

impl StageFile {
    /// Opens a `stage.json`, and returns the entry of `methods` that its `stage` names.
    ///
    /// # Errors
    /// The file cannot be read, or names a method that is not in the list.
    pub fn open<T: Copy>(path: &Path, methods: &[(&str, T)]) -> Result<(T, Self), SettingsError> {
        let wrong = |reason: String| SettingsError { path: path.to_owned(), reason };
        let bytes = std::fs::read(path).map_err(|error| wrong(error.to_string()))?;
        let mut entries: Map<String, Value> = serde_json::from_slice(&bytes).map_err(|error| wrong(error.to_string()))?;
        let listed = || methods.iter().map(|(name, _)| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        let stage = entries.remove("stage").ok_or_else(|| wrong(format!("`stage` is missing: one of {}", listed())))?;
        match methods.iter().find(|(name, _)| stage == *name) {
            Some((_, method)) => Ok((*method, Self { path: path.to_owned(), entries })),
            None => Err(wrong(format!("`stage` is {stage} and must be one of {}", listed()))),
        }
    }

    /// Reads the settings of the method `M`. Paths become relative to the current folder.
    ///
    /// # Errors
    /// A key is unknown, or a value is of the wrong kind.
    pub fn read<M: Part + Default>(self) -> Result<(Settings<M>, Files), SettingsError> {
        let Self { path, entries } = self;
        let (mut settings, mut files) = from_entries(entries).map_err(|reason| SettingsError { path: path.clone(), reason })?;
        let folder = path.parent().unwrap_or(Path::new(""));
        files.below(folder);
        if let Some(adapter) = settings.training.adapter.as_mut().and_then(|adapter| adapter.init_from.as_mut()) {
            *adapter = folder.join(&*adapter);
        }
        Ok((settings, files))
    }
}

fn from_entries<M: Part + Default>(entries: Map<String, Value>) -> Result<(Settings<M>, Files), String> {
    let parts: ((Training, M), Files) = Default::default();
    let ((training, method), files) = part::read(Value::Object(entries), parts).map_err(|error| error.to_string())?;
    Ok((Settings { training, method }, files))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{
        models::{DeviceName, Modules},
        train::{
            dpo::{Dpo, DpoLoss},
            optimizer::Lion,
            sft::Sft,
        },
    };

    fn settings<M: Part + Default>(value: Value) -> Result<Settings<M>, String> {
        from_entries(value.as_object().unwrap().clone()).map(|(settings, _)| settings)
    }

    fn sft(value: Value) -> Result<Settings<Sft>, String> {
        settings(value)
    }

    #[test]
    fn a_key_that_is_not_known_is_refused_by_its_name() {
        for (value, named) in [
            (json!({"learning_rat": 1}), "`learning_rat`"),
            (json!({"beta": 1}), "`beta`"),
            (json!({"lr_scheduler_args": {"cycles": 1}}), "`cycles`"),
            (json!({"optim": "sgd"}), "`sgd`"),
        ] {
            let error = sft(value).unwrap_err();
            assert!(error.contains(named), "{error}");
        }
        for (value, named) in [
            (json!({"packing": "bfd"}), "`packing`"),
            (json!({"adapter": {"rank": 8}}), "`rank`"),
            (json!({"loss_type": ["sigmoit"]}), "`sigmoit`"),
        ] {
            let error = settings::<Dpo>(value).unwrap_err();
            assert!(error.contains(named), "{error}");
        }
    }

    #[test]
    fn a_method_that_is_not_known_is_refused_with_those_that_are() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("stage.json");
        for (text, message) in
            [(r#"{"stage": "ppo"}"#, "is \"ppo\" and must be one of `sft`, `dpo`"), ("{}", "is missing: one of `sft`")]
        {
            std::fs::write(&path, text).unwrap();
            let Err(error) = StageFile::open(&path, &[("sft", ()), ("dpo", ())]) else { panic!("{text} is taken") };
            assert!(error.to_string().contains(message), "{error}");
        }
    }

    #[test]
    fn a_device_is_read_by_its_name_and_is_no_part_of_what_is_kept() {
        let training = sft(json!({"device": "cuda:1"})).unwrap().training;
        assert_eq!(training.device, DeviceName::Cuda(1));
        assert_eq!(serde_json::to_value(&training).unwrap().get("device"), None);
        let error = sft(json!({"device": "gpu"})).unwrap_err();
        assert!(error.contains("`gpu`") && error.contains("`cuda:N`"), "{error}");
    }

    #[test]
    fn transformers_word_for_an_optimizer_begins_with_its_settings_in_whatever_order() {
        let optimizer = |value: Value| sft(value).map(|settings| settings.training.optimizer);
        // Entries of a JSON object are in the order of their names, so the first of these comes before `optim` and the last after it.
        let lion = optimizer(json!({"adam_beta1": 0.8, "optim": "lion_32bit", "weight_decay": 0.5})).unwrap();
        assert_eq!(lion, Lion { betas: [0.8, 0.999], weight_decay: 0.5 }.into());
        let named = optimizer(json!({"optimizer": {"name": "lion", "betas": [0.8, 0.999], "weight_decay": 0.5}})).unwrap();
        assert_eq!(named, lion);
        let error = optimizer(json!({"optim": "adafactor", "adam_epsilon": 1e-6})).unwrap_err();
        assert!(error.contains("`adam_epsilon` is no setting of `adafactor`"), "{error}");
        let key = serde_json::to_value(sft(json!({"optim": "lion_32bit"})).unwrap().training).unwrap();
        assert_eq!(key["optimizer"], json!({"name": "lion", "betas": [0.9, 0.999], "weight_decay": 0.0}));
        assert_eq!(key.get("adam_beta1"), None);
    }

    #[test]
    fn a_list_and_a_single_word_are_told_apart() {
        let targets = |value: Value| {
            let settings = sft(json!({"adapter": {"target_modules": value}})).unwrap();
            settings.training.adapter.unwrap().target_modules.unwrap()
        };
        assert_eq!(targets(json!("all-linear")), Modules::Pattern("all-linear".into()));
        assert_eq!(targets(json!(["q_proj"])), Modules::Names(vec!["q_proj".into()]));
        let dpo: Settings<Dpo> = settings(json!({"loss_type": "ipo"})).unwrap();
        assert_eq!(*dpo.method.loss_type, [DpoLoss::Ipo]);
    }

    #[test]
    fn spellings_of_trl_fill_the_same_settings() {
        let ours = sft(json!({
            "batch_size": 4, "epochs": 2, "lr_scheduler": "cosine", "warmup": 7,
            "optimizer": {"betas": [0.8, 0.9], "eps": 1e-6, "weight_decay": 0.5}, "packing": "bfd",
        }));
        let theirs = sft(json!({
            "per_device_train_batch_size": 4, "num_train_epochs": 2, "lr_scheduler_type": "cosine", "warmup_steps": 7,
            "adam_beta1": 0.8, "adam_beta2": 0.9, "adam_epsilon": 1e-6, "weight_decay": 0.5, "packing_strategy": "bfd",
        }));
        assert_eq!(ours, theirs);
        assert_ne!(ours, sft(json!({})));
        let named = sft(json!({"optim": "adamw_torch", "adam_beta1": 0.8, "adam_beta2": 0.9, "weight_decay": 0.5}));
        assert_eq!(named, sft(json!({"optimizer": {"betas": [0.8, 0.9], "weight_decay": 0.5}})));
        for twice in [
            json!({"batch_size": 4, "per_device_train_batch_size": 4}),
            json!({"optimizer": {}, "adam_beta1": 0.8}),
            json!({"optimizer": {}, "optim": "adamw_torch"}),
        ] {
            let error = sft(twice).unwrap_err();
            assert!(error.contains("are two names of one setting"), "{error}");
        }
    }
}
