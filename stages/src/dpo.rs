//! `uses: dpo`: direct preference optimisation from a trained start. Examples and a checkpoint → a checkpoint and training metrics.

use engine::{Checkpoint, Context, Dataset, Metrics, ParamMistake, Sections, StageError, ports};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    models::{self, DeviceName, Model},
    router::Router,
    rows::DpoExample,
    train::{
        Scheduler, SchedulerArguments,
        prepared::{self, Rows},
        settings::{
            self, Adapter, Divergence, Dpo, DpoLoss, Method, Optimizer, Precision, Quantization, Reference, Settings, Training,
        },
    },
    training::{Start, failed, mistakes, train},
};

/// Settings of DPO, under TRL's names.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "DpoSettings")]
pub(crate) struct Params {
    /// How often each pair is seen.
    #[serde(alias = "num_train_epochs")]
    epochs: f64,
    /// Optimiser steps, in the place of `epochs`.
    max_steps: Option<usize>,
    /// Pairs of one micro-batch.
    #[serde(alias = "per_device_train_batch_size")]
    batch_size: usize,
    /// Micro-batches of one optimiser step.
    gradient_accumulation_steps: usize,
    /// Highest learning rate.
    learning_rate: f64,
    /// How the rate goes after the warm-up.
    #[serde(alias = "lr_scheduler")]
    lr_scheduler_type: Scheduler,
    /// What the scheduler takes besides.
    #[serde(alias = "lr_scheduler_kwargs")]
    lr_scheduler_args: SchedulerArguments,
    /// Share of the steps in which the rate rises from 0.
    warmup_ratio: f64,
    /// Steps in which it rises, in the place of `warmup_ratio`.
    warmup_steps: Option<usize>,
    /// Decay of matrices; biases and norms do not decay.
    weight_decay: f64,
    /// Decay of the gradient's average.
    adam_beta1: f64,
    /// Decay of the squared gradient's average.
    adam_beta2: f64,
    /// Added to the root of that average.
    adam_epsilon: f64,
    /// Largest norm of all gradients together; longer ones are scaled to it.
    max_grad_norm: f64,
    /// Most tokens of a prompt with one completion; longer ones are cut at the end.
    max_length: usize,
    /// Numbers that products are computed in.
    precision: Precision,
    /// Whether each layer is computed again in the backward pass: the numbers are the same, activations take less memory, a step more time.
    gradient_checkpointing: bool,
    /// The adapter that is trained in the place of all weights, under PEFT's names.
    #[serde(alias = "peft_config")]
    adapter: Option<Adapter>,
    /// How the base under an adapter is held.
    quantization: Option<Quantization>,
    /// Seed of the rows' order, and of first weights where there are none.
    seed: u64,
    /// Parts of a micro-batch that are computed at the same time; part of the result, unlike the number of cores.
    shards: usize,
    /// How strongly the model is held to the reference.
    beta: f64,
    /// The losses that are added up.
    #[serde(deserialize_with = "settings::losses")]
    loss_type: Vec<DpoLoss>,
    /// Their weights [default: 1 each].
    loss_weights: Option<Vec<f64>>,
    /// Share of pairs that are taken to be the wrong way round.
    label_smoothing: f64,
    /// How far the model is from the reference.
    f_divergence_type: Divergence,
    /// The exponent of the alpha divergence.
    f_alpha_divergence_coef: f64,
    /// Weight of the tokens that the longer answer has more [default: all count alike].
    ld_alpha: Option<f64>,
    /// Whether pairs are weighted by how likely the model is to say them.
    use_weighting: bool,
    /// Temperature of `discopop`.
    discopop_tau: f64,
    /// Whether the reference follows the model.
    sync_ref_model: bool,
    /// Share of the model in the reference when it follows.
    ref_model_mixup_alpha: f64,
    /// Steps between two times that it follows.
    ref_model_sync_steps: usize,
    /// What the model is held to.
    reference: Reference,
    /// Steps between two times that what is needed to go on after a stop is kept [default: as many as a minute has]; no part in the key.
    #[serde(skip_serializing)]
    save_steps: Option<usize>,
    /// Where the model is computed: `auto`, `cpu`, `cuda` or `cuda:N`; results differ by rounding alone, and it is no part of the key.
    #[serde(skip_serializing)]
    device: DeviceName,
}

impl Default for Params {
    fn default() -> Self {
        Self {
            epochs: 1.0,
            max_steps: None,
            batch_size: 16,
            gradient_accumulation_steps: 1,
            learning_rate: 1e-4,
            lr_scheduler_type: Scheduler::Linear,
            lr_scheduler_args: SchedulerArguments::default(),
            warmup_ratio: 0.1,
            warmup_steps: None,
            weight_decay: 0.0,
            adam_beta1: 0.9,
            adam_beta2: 0.99,
            adam_epsilon: 1e-8,
            max_grad_norm: 1.0,
            max_length: 256,
            precision: Precision::F32,
            gradient_checkpointing: false,
            adapter: None,
            quantization: None,
            seed: 0,
            shards: 2,
            beta: 0.1,
            loss_type: vec![DpoLoss::Sigmoid],
            loss_weights: None,
            label_smoothing: 0.0,
            f_divergence_type: Divergence::ReverseKl,
            f_alpha_divergence_coef: 0.5,
            ld_alpha: None,
            use_weighting: false,
            discopop_tau: 0.05,
            sync_ref_model: false,
            ref_model_mixup_alpha: 0.6,
            ref_model_sync_steps: 512,
            reference: Reference::StartAdapter,
            save_steps: None,
            device: DeviceName::Auto,
        }
    }
}

impl Params {
    fn training(&self, model: &Model) -> Training {
        Training {
            precision: self.precision,
            max_steps: self.max_steps,
            epochs: Some(self.epochs),
            batch_size: self.batch_size,
            gradient_accumulation_steps: self.gradient_accumulation_steps,
            learning_rate: self.learning_rate,
            lr_scheduler: self.lr_scheduler_type,
            lr_scheduler_args: self.lr_scheduler_args,
            warmup: self.warmup_steps.map_or(self.warmup_ratio, |steps| steps as f64),
            optimizer: Optimizer {
                betas: [self.adam_beta1, self.adam_beta2],
                eps: self.adam_epsilon,
                weight_decay: self.weight_decay,
                ..Optimizer::default()
            },
            max_grad_norm: self.max_grad_norm,
            max_length: Some(self.max_length.min(model.max_position_embeddings())),
            gradient_checkpointing: self.gradient_checkpointing,
            adapter: self.adapter.clone(),
            quantization: self.quantization.clone(),
            seed: self.seed,
            shards: self.shards,
            save_steps: self.save_steps,
            device: self.device,
            ..Training::default()
        }
    }

    fn method(&self) -> Dpo {
        Dpo {
            beta: self.beta,
            loss_type: self.loss_type.clone(),
            loss_weights: self.loss_weights.clone(),
            label_smoothing: self.label_smoothing,
            f_divergence_type: self.f_divergence_type,
            f_alpha_divergence_coef: self.f_alpha_divergence_coef,
            ld_alpha: self.ld_alpha,
            use_weighting: self.use_weighting,
            discopop_tau: self.discopop_tau,
            precompute_ref_log_probs: false,
            sync_ref_model: self.sync_ref_model,
            ref_model_mixup_alpha: self.ref_model_mixup_alpha,
            ref_model_sync_steps: self.ref_model_sync_steps,
            reference: self.reference,
        }
    }
}

ports! { pub struct Inputs { examples: Dataset<DpoExample>, checkpoint: Checkpoint } }
ports! { pub struct Outputs { checkpoint: Checkpoint, metrics: Metrics } }

/// The stage.
pub(crate) struct Stage;

impl engine::Stage for Stage {
    const KIND: &'static str = "dpo";
    const VERSION: u32 = 3;
    const SUMMARY: &'static str = "trains a router further by direct preference optimisation";
    type Params = Params;
    type Inputs = Inputs;
    type Outputs = Outputs;

    fn settle(params: Params, _: &Sections) -> Result<Params, Vec<ParamMistake>> {
        let found = mistakes(params.adapter.as_ref());
        if found.is_empty() { Ok(params) } else { Err(found) }
    }

    async fn run(ctx: &Context, params: &Params, inputs: Inputs) -> Result<Outputs, StageError> {
        let folder = ctx.scratch().join("start");
        std::fs::create_dir_all(&folder)?;
        inputs.checkpoint.copy_to(&folder)?;
        let router = Router::load(&folder)?;
        let start = models::Checkpoint::load(&folder).map_err(StageError::failed)?;
        let (training, method) = (params.training(&start.model), params.method());
        let columns =
            inputs.examples.rows()?.map(|row| row.map(|row| prepared::columns::of(&row))).collect::<Result<Vec<_>, _>>()?;
        let rows = prepared::dpo::prepare(&start.tokenizer, &columns, training.max_length);
        let rows = Rows::Dpo(rows.map_err(|error| failed(error.into()))?);
        let settings = Settings { training, method: Method::Dpo(method) };
        train(ctx, Start { checkpoint: start, router }, &settings, rows)
            .map(|(checkpoint, metrics)| Outputs { checkpoint, metrics })
    }
}
