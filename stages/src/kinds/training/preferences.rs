//! What `dpo` and `orpo` share: they train a checkpoint further on pairs of answers. Takes examples and a checkpoint; gives a checkpoint and
//! the training's metrics.

use std::{collections::BTreeMap, marker::PhantomData};

use engine::{Ahead, Checkpoint, Context, Dataset, Lack, Metrics, ParamMistake, Sections, StageError, Surroundings, ports};
use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use super::{Start, Weights, checkpoint_outline, columns_of, failed, forecast, mistakes, outline_at, train, within};
use crate::{
    kinds::errors,
    models::Outline,
    part,
    router::Router,
    rows::DpoExample,
    tokenizer::Tokenizer,
    train::{
        Method,
        optimizer::AdamW,
        settings::{Settings, Training, Warmup},
    },
};

/// A kind of stage that trains by a method whose rows are pairs.
pub(crate) trait Preferences: Method + Serialize + JsonSchema + Send + 'static {
    /// As [`engine::Kind::VERSION`].
    const VERSION: u32;
    /// As [`engine::Kind::SUMMARY`].
    const SUMMARY: &'static str;
    /// As [`engine::Kind::EXAMPLE`].
    const EXAMPLE: &'static str;

    /// Returns this kind's defaults for the settings that all trainings have.
    fn training() -> Training {
        Training {
            epochs: Some(1.0),
            batch_size: 16,
            // A higher rate undoes what SFT learned: pairs are separated on average, but no longer near the border between routes.
            learning_rate: 1e-5,
            warmup: Warmup { ratio: 0.1, steps: None },
            optimizer: AdamW { betas: [0.9, 0.99], ..AdamW::default() }.into(),
            max_length: Some(256),
            seed: 0,
            ..Training::default()
        }
    }
}

/// Settings of the training. TRL's names are accepted too.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "{M}Settings", transform = complete::<M>, bound = "M: Preferences")]
pub(crate) struct Params<M> {
    #[serde(flatten)]
    training: Training,
    #[serde(flatten)]
    method: M,
}

impl<M: Preferences> Default for Params<M> {
    fn default() -> Self {
        Self { training: M::training(), method: M::default() }
    }
}

impl<'de, M: Preferences> Deserialize<'de> for Params<M> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Self { training, method } = Self::default();
        let (training, method) = part::read(deserializer, (training, method))?;
        Ok(Self { training, method })
    }
}

fn complete<M: Preferences>(schema: &mut Schema) {
    part::complete::<(Training, M)>(schema, &Params::<M>::default());
}

ports! { pub struct Inputs { examples: Dataset<DpoExample>, validation: Option<Dataset<DpoExample>>, checkpoint: Checkpoint } }
ports! { pub struct Outputs { checkpoint: Checkpoint, metrics: Metrics } }

/// The stage of a method whose rows are pairs.
pub(crate) struct Stage<M>(PhantomData<M>);

impl<M: Preferences> engine::Kind for Stage<M> {
    const KIND: &'static str = M::NAME;
    const VERSION: u32 = M::VERSION;
    const SUMMARY: &'static str = M::SUMMARY;
    const EXAMPLE: &'static str = M::EXAMPLE;
    type Params = Params<M>;
    type Inputs = Inputs;
    type Outputs = Outputs;

    fn settle(params: Params<M>, _: &Sections) -> Result<Params<M>, Vec<ParamMistake>> {
        let found = mistakes(&params.training, &params.method);
        if found.is_empty() { Ok(params) } else { Err(found) }
    }

    fn preflight(params: &Params<M>, _: &Surroundings<'_>) -> Vec<Lack> {
        errors::absent(params.training.device)
    }
}

impl<M: Preferences> engine::Stage for Stage<M> {
    fn notes(ctx: &Context, params: &Params<M>, ahead: &Ahead) -> Result<Vec<String>, StageError> {
        let Some(start) = outline_at(ctx, ahead, "checkpoint")? else { return Ok(Vec::new()) };
        Ok(forecast(&start, &params.training, &params.method))
    }

    fn tell(ctx: &Context, params: &Params<M>, ahead: &Ahead) -> Result<BTreeMap<String, Value>, StageError> {
        checkpoint_outline(outline_at(ctx, ahead, "checkpoint")?, &params.training)
    }

    async fn run(ctx: &Context, params: &Params<M>, inputs: Inputs) -> Result<Outputs, StageError> {
        let folder = ctx.scratch().join("start");
        std::fs::create_dir_all(&folder)?;
        inputs.checkpoint.copy_to(&folder)?;
        let router = Router::load(&folder)?;
        let outline = Outline::of_folder(&folder).map_err(StageError::failed)?;
        let tokenizer = Tokenizer::open(&folder).map_err(StageError::failed)?;
        let training = within(&params.training, &outline)?;
        let prepare = |examples: &Dataset<DpoExample>| {
            let rows = params.method.prepare(&tokenizer, &columns_of(examples)?, training.max_length);
            rows.map_err(|error| failed(error.into()))
        };
        let rows = prepare(&inputs.examples)?;
        let validation = inputs.validation.as_ref().map(prepare).transpose()?;
        let settings = Settings { training, method: params.method.clone() };
        let start = Start { outline, tokenizer, router, weights: Weights::Folder(folder), param: None };
        train(ctx, start, &settings, rows, validation).map(|(checkpoint, metrics)| Outputs { checkpoint, metrics })
    }
}
