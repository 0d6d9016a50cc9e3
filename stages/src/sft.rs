//! `uses: sft`: supervised fine-tuning of a small decoder from scratch. Examples → a checkpoint and training metrics.

use engine::{Checkpoint, Context, Dataset, Metrics, ParamMistake, Sections, StageError, ports};

use crate::{
    models,
    router::Router,
    rows::{Message, SftExample},
    tokenizer::Tokenizer,
    train::{self, SftSettings},
    training::{finish, observe},
};

ports! { pub struct Inputs { examples: Dataset<SftExample> } }
ports! { pub struct Outputs { checkpoint: Checkpoint, metrics: Metrics } }

/// The stage.
pub(crate) struct Stage;

impl engine::Stage for Stage {
    const KIND: &'static str = "sft";
    const VERSION: u32 = 2;
    const SUMMARY: &'static str = "trains a router by supervised fine-tuning";
    type Params = SftSettings;
    type Inputs = Inputs;
    type Outputs = Outputs;

    fn settle(params: SftSettings, sections: &Sections) -> Result<SftSettings, Vec<ParamMistake>> {
        Ok(SftSettings { policies: params.policies.or_section(sections)?, ..params })
    }

    async fn run(ctx: &Context, settings: &SftSettings, inputs: Inputs) -> Result<Outputs, StageError> {
        let rows = inputs.examples.rows()?.collect::<Result<Vec<_>, _>>()?;
        let texts: Vec<_> = rows
            .iter()
            .flat_map(|row| row.prompt.iter().chain(&row.completion))
            .map(|Message { content, .. }| content.clone())
            .collect();
        let tokenizer = Tokenizer::train(texts.into_iter(), settings.new.vocab_size).map_err(StageError::failed)?;
        let start = models::Checkpoint::new(&settings.new, tokenizer, settings.seed).map_err(StageError::failed)?;
        let trained = train::sft(start, &rows, settings, &mut observe(ctx)).map_err(crate::training::failed)?;
        finish(ctx, &trained, &Router::new(&settings.policies)).map(|(checkpoint, metrics)| Outputs { checkpoint, metrics })
    }
}
