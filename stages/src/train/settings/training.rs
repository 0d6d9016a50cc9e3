//! Settings of every training, whatever its method, in a `stage.json` and in the stages of a manifest.

use schemars::{JsonSchema, Schema, generate::SchemaSettings, json_schema};
use serde::{Deserialize, Serialize};

use super::{
    Adapter, Quantization, Warmup,
    optim::{Number, Optim, Word},
};
use crate::{
    models::DeviceName,
    part::settings,
    train::{
        optimizer::Optimizer,
        schedule::{Scheduler, arguments::SchedulerArguments},
    },
};

settings! {
    /// Settings of every training. TRL's spelling of a name follows it; keys have the names that were first.
    #[schemars(transform = with_parts)]
    pub struct Training {
        /// Passes over all rows [default: 3].
        epochs | num_train_epochs: Option<f64> = None,
        /// Optimiser steps; overrides `epochs`.
        max_steps: Option<usize> = None,
        /// Rows of one micro-batch, or pairs.
        batch_size | per_device_train_batch_size: usize = 8,
        /// Micro-batches of one optimiser step.
        gradient_accumulation_steps: usize = 1,
        /// Highest learning rate.
        learning_rate: f64 = 2e-5,
        /// How the learning rate changes after the warm-up.
        #[serde(rename = "lr_scheduler_type")]
        #[schemars(rename = "lr_scheduler")]
        lr_scheduler | lr_scheduler_type: Scheduler = Scheduler::Linear,
        /// Arguments of the scheduler.
        lr_scheduler_args | lr_scheduler_kwargs: SchedulerArguments = SchedulerArguments::default(),
        /// Steps in which the learning rate rises from 0; below 1 a share of all steps, rounded up.
        #[serde(flatten)]
        #[schemars(skip)]
        warmup: Warmup = Warmup::default(),
        /// The optimiser.
        #[serde(flatten)]
        #[schemars(skip)]
        optimizer: Optimizer = Optimizer::default(),
        /// Largest global norm of the gradients; larger ones are scaled to it. 0 turns this off.
        max_grad_norm: f64 = 1.0,
        /// Most tokens of a row, or of a prompt with one answer; longer ones are cut off at the end.
        max_length: Option<usize> = Some(1024),
        /// Number format of products; trained weights and sums stay float32.
        precision: Precision = Precision::F32,
        /// Whether each layer is computed again in the backward pass: the same numbers with less memory for activations and more time.
        gradient_checkpointing: bool = false,
        /// The adapter that is trained instead of all weights, under PEFT's names.
        adapter | peft_config: Option<Adapter> = None,
        /// How the weights under an adapter are stored in memory.
        quantization: Option<Quantization> = None,
        /// Seed of the order of rows, of dropout, and of new weights.
        seed: u64 = 42,
        /// Whether rows are shuffled in each epoch.
        #[serde(skip_serializing_if = "Clone::clone")]
        shuffle: bool = true,
        /// Parts of a micro-batch that are computed in parallel. They change the order of sums, and so the result; the number of cores does not.
        shards: usize = 2,
        /// Steps between evaluations [default: one at the end].
        #[serde(skip_serializing_if = "Option::is_none")]
        eval_steps: Option<usize> = None,
        /// Rows of one batch of an evaluation.
        #[serde(skip_serializing_if = "is_eight")]
        eval_batch_size | per_device_eval_batch_size: usize = 8,
        /// Whether the result has the weights of the best evaluation, and not those of the last step.
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        load_best_model_at_end: bool = false,
        /// Metric by which evaluations are compared [default: `eval_loss`].
        #[serde(skip_serializing_if = "Option::is_none")]
        metric_for_best_model: Option<String> = None,
        /// Whether a larger value of that metric is better [default: yes, unless it is a loss].
        #[serde(skip_serializing_if = "Option::is_none")]
        greater_is_better: Option<bool> = None,
        /// Evaluations without an improvement after which the training stops [default: it does not stop early].
        #[serde(skip_serializing_if = "Option::is_none")]
        early_stopping_patience: Option<usize> = None,
        /// Smallest improvement that counts.
        #[serde(skip_serializing_if = "is_zero")]
        early_stopping_threshold: f64 = 0.0,
        /// Steps between two checkpoints to resume from [default: as many as a minute has]. Not part of the key.
        #[serde(skip_serializing)]
        save_steps: Option<usize> = None,
        /// Device of the model: `auto`, `cpu`, `cuda` or `cuda:N`. Results differ by rounding only. Not part of the key.
        #[serde(skip_serializing)]
        device: DeviceName = DeviceName::Auto,
    }
    also {
        warmup {
            warmup_ratio: f64 = warmup.ratio,
            warmup_steps: Option<usize> = warmup.steps,
        }
        optimizer {
            optim: Word = trl.word,
            adam_beta1: Number = trl.adam_beta1,
            adam_beta2: Number = trl.adam_beta2,
            adam_epsilon: Number = trl.adam_epsilon,
            weight_decay: Number = trl.weight_decay,
        }
    }
    finish { trl: Optim => settle_optimizer }
}

impl Training {
    fn settle_optimizer(&mut self) -> Result<(), String> {
        std::mem::take(&mut self.trl).apply(&mut self.optimizer)
    }
}

/// Adds the entries to the schema that are read under other names than they are written.
fn with_parts(schema: &mut Schema) {
    let mut generator = SchemaSettings::draft07().with(|settings| settings.inline_subschemas = true).into_generator();
    let warmup = "Steps in which the learning rate rises from 0; below 1 a share of all steps, rounded up.";
    let words: Vec<&str> = Optimizer::optim_words().into_iter().map(|(word, _)| word).collect();
    let parts = [
        ("optimizer", Optimizer::json_schema(&mut generator)),
        ("warmup", json_schema!({ "type": "number", "description": warmup })),
        ("optim", json_schema!({ "enum": words, "description": "The optimiser, under transformers' name." })),
    ];
    if let Some(properties) = schema.as_object_mut().and_then(|object| object.get_mut("properties")?.as_object_mut()) {
        properties.extend(parts.into_iter().map(|(name, part)| (name.to_owned(), part.to_value())));
    }
}

/// Returns whether a setting has its default of 8. A key then leaves it out, as keys did before the setting existed.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
fn is_eight(number: &usize) -> bool {
    *number == 8
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
fn is_zero(number: &f64) -> bool {
    *number == 0.0
}

/// Number format of products.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// float32.
    #[default]
    F32,
    /// bfloat16, as `PyTorch`'s autocast has it.
    Bf16,
}
