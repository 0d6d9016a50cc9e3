//! `uses: sft`: supervised fine-tuning of a small decoder from scratch. Examples → a checkpoint and training metrics.

use engine::{Checkpoint, Context, Dataset, Metrics, ParamMistake, Sections, StageError, ports};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    models::{self, NewModel},
    router::Router,
    rows::{Message, SftExample},
    sections::Policies,
    tokenizer::Tokenizer,
    train::{
        Scheduler,
        prepared::{self, Rows},
        settings::{Method, Optimizer, Settings, Sft, Training},
    },
    training::{Start, columns, failed, train},
};

/// Settings of SFT, under TRL's names.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Params {
    /// The decoder to make and train.
    new: NewModel,
    /// What the checkpoint's `router.json` says of the routes [default: the manifest's `policies`]; no part in training.
    policies: Policies,
    /// How often each row is seen.
    epochs: f64,
    /// Rows of one optimiser step.
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
    /// Most tokens of a row; longer ones are cut at the end.
    max_length: usize,
    /// Seed of the rows' order, and of first weights where there are none.
    seed: u64,
    /// Parts of a micro-batch that are computed at the same time; part of the result, unlike the number of cores.
    shards: usize,
}

impl Default for Params {
    fn default() -> Self {
        Self {
            new: NewModel::default(),
            policies: Policies::default(),
            epochs: 3.0,
            batch_size: 16,
            learning_rate: 3e-3,
            lr_scheduler_type: Scheduler::Linear,
            warmup_ratio: 0.05,
            weight_decay: 0.01,
            adam_beta1: 0.9,
            adam_beta2: 0.99,
            max_grad_norm: 1.0,
            max_length: 256,
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

ports! { pub struct Inputs { examples: Dataset<SftExample> } }
ports! { pub struct Outputs { checkpoint: Checkpoint, metrics: Metrics } }

/// The stage.
pub(crate) struct Stage;

impl engine::Stage for Stage {
    const KIND: &'static str = "sft";
    const VERSION: u32 = 2;
    const SUMMARY: &'static str = "trains a router by supervised fine-tuning";
    type Params = Params;
    type Inputs = Inputs;
    type Outputs = Outputs;

    fn settle(params: Params, sections: &Sections) -> Result<Params, Vec<ParamMistake>> {
        Ok(Params { policies: params.policies.or_section(sections)?, ..params })
    }

    async fn run(ctx: &Context, params: &Params, inputs: Inputs) -> Result<Outputs, StageError> {
        let examples = inputs.examples.rows()?.collect::<Result<Vec<_>, _>>()?;
        let texts: Vec<_> = examples
            .iter()
            .flat_map(|row| row.prompt.iter().chain(&row.completion))
            .map(|Message { content, .. }| content.clone())
            .collect();
        let tokenizer = Tokenizer::train(texts.into_iter(), params.new.vocab_size).map_err(StageError::failed)?;
        let start = models::Checkpoint::new(&params.new, tokenizer, params.seed).map_err(StageError::failed)?;
        let mut training = params.training();
        training.max_length = training.max_length.map(|most| most.min(start.model.max_position_embeddings()));
        let method = Sft::default();
        let columns: Vec<_> = examples.iter().map(columns).collect();
        let rows = prepared::sft::prepare(&start.tokenizer, &columns, &method, training.max_length);
        let rows = Rows::Sft(rows.map_err(|error| failed(error.into()))?);
        let settings = Settings { training, method: Method::Sft(method) };
        let start = Start { checkpoint: start, router: Router::new(&params.policies) };
        train(ctx, start, &settings, rows).map(|(checkpoint, metrics)| Outputs { checkpoint, metrics })
    }
}
