//! `uses: sft`: supervised fine-tuning of a decoder, from scratch or from a base. Examples → a checkpoint and training metrics.

use engine::{Checkpoint, Context, Dataset, File, Folder, Metrics, ParamMistake, Sections, StageError, ports};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    models::{self, DeviceName, Model, NewModel},
    router::Router,
    rows::{Message, SftExample},
    sections::Policies,
    tokenizer::{ChatTemplate, System, Tokenizer},
    train::{
        Scheduler, SchedulerArguments,
        prepared::{self, Rows},
        settings::{Adapter, Method, Optimizer, Packing, Precision, Quantization, Settings, Sft, SftLoss, Training},
    },
    training::{Start, failed, mistakes, train},
};

/// Settings of SFT, under TRL's names.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "SftSettings")]
pub(crate) struct Params {
    /// Folder of Hugging Face files to start from: configuration, weights, tokenizer, chat template.
    base: Option<Folder>,
    /// The decoder to make where there is no base, with a tokenizer of its own.
    new: Option<NewModel>,
    /// What the checkpoint's `router.json` says of the routes [default: the manifest's `policies`]; no part in training.
    policies: Policies,
    /// A chat template in the place of the base's own [default: the base's, else its family's].
    #[serde(skip_serializing_if = "Option::is_none")]
    chat_template: Option<File>,
    /// Where system messages stand: chat templates of some families refuse them.
    system: System,
    /// How often each row is seen.
    #[serde(alias = "num_train_epochs")]
    epochs: f64,
    /// Optimiser steps, in the place of `epochs`.
    max_steps: Option<usize>,
    /// Rows of one micro-batch.
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
    /// Most tokens of a row; longer ones are cut at the end.
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
    /// Whether only completions are learned [default: they are].
    completion_only_loss: Option<bool>,
    /// How rows are put together to rows of `max_length`.
    #[serde(alias = "packing_strategy")]
    packing: Option<Packing>,
    /// What is learned from.
    loss_type: SftLoss,
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
            base: None,
            new: None,
            policies: Policies::default(),
            chat_template: None,
            system: System::Auto,
            epochs: 3.0,
            max_steps: None,
            batch_size: 16,
            gradient_accumulation_steps: 1,
            learning_rate: 3e-3,
            lr_scheduler_type: Scheduler::Linear,
            lr_scheduler_args: SchedulerArguments::default(),
            warmup_ratio: 0.05,
            warmup_steps: None,
            weight_decay: 0.01,
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
            completion_only_loss: None,
            packing: None,
            loss_type: SftLoss::Nll,
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

    /// Takes the decoder to start from: what comes in at the port, the base, or one made for the examples.
    fn start(&self, ctx: &Context, base: Option<&Checkpoint>, examples: &[SftExample]) -> Result<models::Checkpoint, StageError> {
        let folder = ctx.scratch().join("base");
        std::fs::create_dir_all(&folder)?;
        match (base, &self.base) {
            (Some(base), _) => base.copy_to(&folder)?,
            (None, Some(base)) => base.copy_to(ctx, &folder)?,
            (None, None) => {
                let new = self.new.clone().unwrap_or_default();
                let messages = examples.iter().flat_map(|row| row.prompt.iter().chain(&row.completion));
                let texts: Vec<_> = messages.map(|Message { content, .. }| content.clone()).collect();
                let tokenizer = Tokenizer::train(texts.into_iter(), new.vocab_size).map_err(StageError::failed)?;
                return models::Checkpoint::new(&new, tokenizer, self.seed).map_err(StageError::failed);
            }
        }
        models::Checkpoint::load(&folder).map_err(StageError::failed)
    }

    /// Settles how conversations become text: by which chat template, and where system messages stand in it.
    fn spoken(&self, ctx: &Context, tokenizer: Tokenizer) -> Result<Tokenizer, StageError> {
        let tokenizer = match &self.chat_template {
            None => tokenizer.with_family_template(),
            Some(file) => {
                let text = std::io::read_to_string(file.open(ctx)?)?;
                tokenizer.with_chat_template(ChatTemplate::new(file.name(), text).map_err(StageError::failed)?)
            }
        };
        if tokenizer.chat_template().is_none() {
            return Err(StageError::failed("the base has no chat template, and its family has none that is known")
                .help("give one by `chat_template: FILE`"));
        }
        tokenizer.with_system(self.system).map_err(StageError::failed)
    }
}

ports! { pub struct Inputs { examples: Dataset<SftExample>, base: Option<Checkpoint> } }
ports! { pub struct Outputs { checkpoint: Checkpoint, metrics: Metrics } }

/// The stage.
pub(crate) struct Stage;

impl engine::Stage for Stage {
    const KIND: &'static str = "sft";
    const VERSION: u32 = 3;
    const SUMMARY: &'static str = "trains a router by supervised fine-tuning";
    type Params = Params;
    type Inputs = Inputs;
    type Outputs = Outputs;

    fn settle(params: Params, sections: &Sections) -> Result<Params, Vec<ParamMistake>> {
        let mut found = mistakes(params.adapter.as_ref());
        if params.base.is_some() && params.new.is_some() {
            let message = "`base` and `new` are both given, and a decoder has one start".to_owned();
            let help = "leave one of them out".to_owned();
            found.push(ParamMistake { field: vec!["new".to_owned()], message, help });
        }
        if !found.is_empty() {
            return Err(found);
        }
        let new = if params.base.is_none() { Some(params.new.unwrap_or_default()) } else { None };
        Ok(Params { policies: params.policies.or_section(sections)?, new, ..params })
    }

    async fn run(ctx: &Context, params: &Params, inputs: Inputs) -> Result<Outputs, StageError> {
        let examples = inputs.examples.rows()?.collect::<Result<Vec<_>, _>>()?;
        let mut start = params.start(ctx, inputs.base.as_ref(), &examples)?;
        start.tokenizer = params.spoken(ctx, start.tokenizer)?;
        let training = params.training(&start.model);
        let method = Sft {
            completion_only_loss: params.completion_only_loss,
            packing: params.packing,
            loss_type: params.loss_type,
            ..Sft::default()
        };
        let columns: Vec<_> = examples.iter().map(prepared::columns::of).collect();
        let rows = prepared::sft::prepare(&start.tokenizer, &columns, &method, training.max_length);
        let rows = Rows::Sft(rows.map_err(|error| failed(error.into()))?);
        let settings = Settings { training, method: Method::Sft(method) };
        let start = Start { checkpoint: start, router: Router::new(&params.policies) };
        train(ctx, start, &settings, rows).map(|(checkpoint, metrics)| Outputs { checkpoint, metrics })
    }
}
