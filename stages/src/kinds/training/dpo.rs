//! `uses: dpo`: direct preference optimisation from a trained start. Examples and a checkpoint → a checkpoint and training metrics.

use std::collections::BTreeMap;

use engine::{Ahead, Checkpoint, Context, Dataset, Metrics, ParamMistake, Sections, StageError, ports};
use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use super::{Start, Weights, ahead_of, columns_of, failed, forecast, mistakes, told, train, within};
use crate::{
    kinds::errors,
    models::Outline,
    router::Router,
    rows::DpoExample,
    tokenizer::Tokenizer,
    train::{
        optimizer::AdamW,
        prepared::{self, Rows},
        settings::{Dpo, Method, Settings, Training, Warmup, part},
    },
};

/// Settings of DPO. Names that TRL spells otherwise are known by its spelling too.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "DpoSettings", transform = complete)]
pub(crate) struct Params {
    #[serde(flatten)]
    training: Training,
    #[serde(flatten)]
    method: Dpo,
}

impl Default for Params {
    fn default() -> Self {
        let training = Training {
            epochs: Some(1.0),
            batch_size: 16,
            // A higher one takes away from what SFT learned: pairs are told apart on average, and no longer at the border.
            learning_rate: 1e-5,
            warmup: Warmup { ratio: 0.1, steps: None },
            optimizer: AdamW { betas: [0.9, 0.99], ..AdamW::default() }.into(),
            max_length: Some(256),
            seed: 0,
            ..Training::default()
        };
        Self { training, method: Dpo::default() }
    }
}

impl<'de> Deserialize<'de> for Params {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Self { training, method } = Self::default();
        let (training, method) = part::read(deserializer, (training, method))?;
        Ok(Self { training, method })
    }
}

fn complete(schema: &mut Schema) {
    part::complete::<(Training, Dpo)>(schema, &Params::default());
}

ports! { pub struct Inputs { examples: Dataset<DpoExample>, validation: Option<Dataset<DpoExample>>, checkpoint: Checkpoint } }
ports! { pub struct Outputs { checkpoint: Checkpoint, metrics: Metrics } }

/// The stage.
pub(crate) struct Stage;

impl engine::Stage for Stage {
    const KIND: &'static str = "dpo";
    const VERSION: u32 = 4;
    const SUMMARY: &'static str = "trains a router further by direct preference optimisation";
    type Params = Params;
    type Inputs = Inputs;
    type Outputs = Outputs;

    fn settle(params: Params, _: &Sections) -> Result<Params, Vec<ParamMistake>> {
        let found = mistakes(params.training.adapter.as_ref());
        if found.is_empty() { Ok(params) } else { Err(found) }
    }

    fn notes(ctx: &Context, params: &Params, ahead: &Ahead) -> Result<Vec<String>, StageError> {
        let Some(start) = ahead_of(ctx, ahead, "checkpoint")? else { return Ok(Vec::new()) };
        Ok(forecast(&start, &params.training, &Method::Dpo(params.method.clone())))
    }

    fn tell(ctx: &Context, params: &Params, ahead: &Ahead) -> Result<BTreeMap<String, Value>, StageError> {
        told(ahead_of(ctx, ahead, "checkpoint")?, &params.training)
    }

    fn missing(params: &Params, _: &Sections) -> Vec<ParamMistake> {
        errors::missing(&["device"], params.training.device).into_iter().collect()
    }

    async fn run(ctx: &Context, params: &Params, inputs: Inputs) -> Result<Outputs, StageError> {
        let folder = ctx.scratch().join("start");
        std::fs::create_dir_all(&folder)?;
        inputs.checkpoint.copy_to(&folder)?;
        let router = Router::load(&folder)?;
        let outline = Outline::of_folder(&folder).map_err(StageError::failed)?;
        let tokenizer = Tokenizer::open(&folder).map_err(StageError::failed)?;
        let training = within(&params.training, &outline)?;
        let prepare = |examples: Option<&Dataset<DpoExample>>| {
            let columns = columns_of(examples)?;
            let rows = columns.map(|columns| prepared::dpo::prepare(&tokenizer, &columns, training.max_length));
            rows.transpose().map_err(|error| failed(error.into()))
        };
        let rows = prepare(Some(&inputs.examples))?.expect("examples are wired");
        let validation = prepare(inputs.validation.as_ref())?;
        let settings = Settings { training, method: Method::Dpo(params.method.clone()) };
        let start = Start { outline, tokenizer, router, weights: Weights::Folder(folder) };
        train(ctx, start, &settings, Rows::Dpo(rows), validation.map(Rows::Dpo))
            .map(|(checkpoint, metrics)| Outputs { checkpoint, metrics })
    }
}
