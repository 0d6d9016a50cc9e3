//! `uses: dpo`: direct preference optimisation from a trained start. Examples and a checkpoint → a checkpoint and training metrics.

use engine::{Checkpoint, Context, Dataset, Metrics, ParamMistake, Sections, StageError, ports};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    models,
    router::Router,
    rows::DpoExample,
    train::{
        Scheduler,
        prepared::{self, Rows},
        settings::{Dpo, Method, Optimizer, Settings, Training},
    },
    training::{Start, columns, failed, train},
};

/// Settings of DPO, under TRL's names.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Params {
    /// How often each pair is seen.
    epochs: f64,
    /// Pairs of one optimiser step.
    batch_size: usize,
    /// Highest learning rate.
    learning_rate: f64,
    /// How the rate falls after the warm-up.
    lr_scheduler_type: Scheduler,
    /// Share of the steps in which the rate rises from 0.
    warmup_ratio: f64,
    /// Decay of matrices; norms do not decay.
    weight_decay: f64,
    /// Decay of the gradient's average.
    adam_beta1: f64,
    /// Decay of the squared gradient's average.
    adam_beta2: f64,
    /// Largest norm of all gradients together; longer ones are scaled to it.
    max_grad_norm: f64,
    /// Most tokens of a prompt with one completion; longer ones are cut at the end.
    max_length: usize,
    /// How strongly the model is held to the start, which is the frozen reference.
    beta: f64,
    /// Seed of the rows' order.
    seed: u64,
    /// Parts of a micro-batch that are computed at the same time; part of the result, unlike the number of cores.
    shards: usize,
}

impl Default for Params {
    fn default() -> Self {
        Self {
            epochs: 1.0,
            batch_size: 16,
            learning_rate: 1e-4,
            lr_scheduler_type: Scheduler::Linear,
            warmup_ratio: 0.1,
            weight_decay: 0.0,
            adam_beta1: 0.9,
            adam_beta2: 0.99,
            max_grad_norm: 1.0,
            max_length: 256,
            beta: 0.1,
            seed: 0,
            shards: 2,
        }
    }
}

impl Params {
    fn training(&self) -> Training {
        Training {
            epochs: Some(self.epochs),
            batch_size: self.batch_size,
            learning_rate: self.learning_rate,
            lr_scheduler: self.lr_scheduler_type,
            warmup: self.warmup_ratio,
            optimizer: Optimizer {
                betas: [self.adam_beta1, self.adam_beta2],
                weight_decay: self.weight_decay,
                ..Optimizer::default()
            },
            max_grad_norm: self.max_grad_norm,
            max_length: Some(self.max_length),
            seed: self.seed,
            shards: self.shards,
            ..Training::default()
        }
    }
}

ports! { pub struct Inputs { examples: Dataset<DpoExample>, checkpoint: Checkpoint } }
ports! { pub struct Outputs { checkpoint: Checkpoint, metrics: Metrics } }

/// The stage.
pub(crate) struct Stage;

impl engine::Stage for Stage {
    const KIND: &'static str = "dpo";
    const VERSION: u32 = 2;
    const SUMMARY: &'static str = "trains a router further by direct preference optimisation";
    type Params = Params;
    type Inputs = Inputs;
    type Outputs = Outputs;

    fn settle(params: Params, _: &Sections) -> Result<Params, Vec<ParamMistake>> {
        Ok(params)
    }

    async fn run(ctx: &Context, params: &Params, inputs: Inputs) -> Result<Outputs, StageError> {
        let folder = ctx.scratch().join("start");
        std::fs::create_dir_all(&folder)?;
        inputs.checkpoint.copy_to(&folder)?;
        let router = Router::load(&folder)?;
        let start = models::Checkpoint::load(&folder).map_err(StageError::failed)?;
        let mut training = params.training();
        training.max_length = training.max_length.map(|most| most.min(start.model.max_position_embeddings()));
        let method = Dpo { beta: params.beta, ..Dpo::default() };
        let columns = inputs.examples.rows()?.map(|row| row.map(|row| columns(&row))).collect::<Result<Vec<_>, _>>()?;
        let rows = prepared::dpo::prepare(&start.tokenizer, &columns, training.max_length);
        let rows = Rows::Dpo(rows.map_err(|error| failed(error.into()))?);
        let settings = Settings { training, method: Method::Dpo(method) };
        train(ctx, Start { checkpoint: start, router }, &settings, rows)
            .map(|(checkpoint, metrics)| Outputs { checkpoint, metrics })
    }
}
