//! `uses: dpo`: direct preference optimisation from a trained start. Examples and a checkpoint → a checkpoint and training metrics.

use engine::{Checkpoint, Context, Dataset, Metrics, ParamMistake, Sections, StageError, ports};

use crate::{
    models,
    router::Router,
    rows::DpoExample,
    train::{self, DpoSettings},
    training::{finish, observe},
};

ports! { pub struct Inputs { examples: Dataset<DpoExample>, checkpoint: Checkpoint } }
ports! { pub struct Outputs { checkpoint: Checkpoint, metrics: Metrics } }

/// The stage.
pub(crate) struct Stage;

impl engine::Stage for Stage {
    const KIND: &'static str = "dpo";
    const VERSION: u32 = 2;
    const SUMMARY: &'static str = "trains a router further by direct preference optimisation";
    type Params = DpoSettings;
    type Inputs = Inputs;
    type Outputs = Outputs;

    fn settle(settings: DpoSettings, _: &Sections) -> Result<DpoSettings, Vec<ParamMistake>> {
        Ok(settings)
    }

    async fn run(ctx: &Context, settings: &DpoSettings, inputs: Inputs) -> Result<Outputs, StageError> {
        let folder = ctx.scratch().join("start");
        std::fs::create_dir_all(&folder)?;
        inputs.checkpoint.copy_to(&folder)?;
        let router = Router::load(&folder)?;
        let start = models::Checkpoint::load(&folder).map_err(StageError::failed)?;
        let rows = inputs.examples.rows()?.collect::<Result<Vec<_>, _>>()?;
        let trained = train::dpo(start, &rows, settings, &mut observe(ctx)).map_err(crate::training::failed)?;
        finish(ctx, &trained, &router).map(|(checkpoint, metrics)| Outputs { checkpoint, metrics })
    }
}
