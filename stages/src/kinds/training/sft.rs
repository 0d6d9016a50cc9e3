//! `uses: sft`: supervised fine-tuning of a decoder, from scratch or from a base. Takes examples; gives a checkpoint and the training's metrics.

use std::{collections::BTreeMap, fmt::Display};

use engine::{
    Ahead, Checkpoint, Context, Dataset, File, Folder, Lack, Metrics, ParamMistake, Sections, StageError, Surroundings, ports,
};
use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use super::{Start, Weights, columns_of, failed, forecast, mistakes, train, within};
use crate::{
    kinds::errors,
    models::{NewModel, Outline},
    part::{self, settings},
    router::Router,
    rows::{Message, SftExample},
    sections::Policies,
    tokenizer::{ChatTemplate, Placement, System, Tokenizer},
    train::{
        Method as _,
        optimizer::AdamW,
        prepared::columns::{self, Columns},
        settings::{Settings, Training, Warmup},
        sft::Sft,
    },
};

settings! {
    /// What a decoder starts from, and its routes.
    pub(crate) struct Origin {
        /// Folder of Hugging Face files to start from: configuration, weights, tokenizer, chat template.
        base: Option<Folder> = None,
        /// The decoder to make if there is no base, with a new tokenizer.
        new: Option<NewModel> = None,
        /// Routes in the checkpoint's `router.json` [default: the manifest's `policies`]. Names and descriptions are in the key; the model
        /// of a policy is not, since `evaluate` has it.
        #[serde(serialize_with = "Policies::serialize_words")]
        policies: Policies = Policies::default(),
        /// A chat template that replaces the base's [default: the base's, else that of its family].
        #[serde(skip_serializing_if = "Option::is_none")]
        chat_template: Option<File> = None,
        /// Where system messages go: the chat templates of some families refuse them.
        system: System = System::Auto,
    }
}

/// Settings of SFT. TRL's names are accepted too.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "SftSettings", transform = complete)]
pub(crate) struct Params {
    #[serde(flatten)]
    origin: Origin,
    #[serde(flatten)]
    training: Training,
    #[serde(flatten)]
    method: Sft,
}

impl Default for Params {
    fn default() -> Self {
        let training = Training {
            epochs: Some(3.0),
            batch_size: 8,
            learning_rate: 2e-3,
            warmup: Warmup { ratio: 0.05, steps: None },
            optimizer: AdamW { betas: [0.9, 0.95], weight_decay: 0.01, ..AdamW::default() }.into(),
            max_length: Some(256),
            seed: 0,
            ..Training::default()
        };
        Self { origin: Origin::default(), training, method: Sft::default() }
    }
}

impl<'de> Deserialize<'de> for Params {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Self { origin, training, method } = Self::default();
        let ((origin, training), method) = part::read(deserializer, ((origin, training), method))?;
        Ok(Self { origin, training, method })
    }
}

fn complete(schema: &mut Schema) {
    part::complete::<((Origin, Training), Sft)>(schema, &Params::default());
}

impl Origin {
    /// Opens the decoder to start from: the input port's, the base, or a new one for the examples.
    fn open(
        &self,
        ctx: &Context,
        base: Option<&Checkpoint>,
        examples: &[SftExample],
    ) -> Result<(Outline, Tokenizer, Weights), StageError> {
        let folder = ctx.scratch().join("base");
        std::fs::create_dir_all(&folder)?;
        match (base, &self.base) {
            (Some(base), _) => base.copy_to(&folder)?,
            (None, Some(base)) => base.copy_to(ctx, &folder)?,
            (None, None) => {
                let new = self.new.clone().unwrap_or_default();
                let messages = examples.iter().flat_map(|row| row.prompt.iter().chain(&row.completion));
                let texts: Vec<_> = messages.map(|Message { content, .. }| content.clone()).collect();
                let tokenizer = Tokenizer::train(texts.into_iter(), new.vocab_size, new.pieces).map_err(StageError::failed)?;
                return Ok((Outline::of_new(&new, Some(tokenizer.size())), tokenizer, Weights::New(new)));
            }
        }
        let outline = Outline::of_folder(&folder).map_err(StageError::failed)?;
        let tokenizer = Tokenizer::open(&folder).map_err(StageError::failed)?;
        Ok((outline, tokenizer, Weights::Folder(folder)))
    }

    /// Returns the outline of the decoder before anything runs, if it does not depend on an input that is not cached.
    fn outline(&self, ctx: &Context, ahead: &Ahead) -> Result<Option<Outline>, StageError> {
        match (super::outline_at(ctx, ahead, "base")?, &self.base, &self.new) {
            (Some(base), ..) => Ok(Some(base)),
            (None, Some(base), _) => Ok(Outline::of_folder(base.path()).ok()),
            (None, None, new) => Ok(new.as_ref().map(|new| Outline::of_new(new, None))),
        }
    }

    /// Chooses the chat template and the place of system messages before anything runs. Returns nothing if that depends on an input.
    fn conversations(&self) -> Result<Option<Tokenizer>, ParamMistake> {
        let mistake = |field: &str, error: &dyn Display, help: &str| ParamMistake::new(&[field], error.to_string(), help);
        let Some(base) = &self.base else { return Ok(None) };
        let tokenizer = Tokenizer::open(base.path())
            .map_err(|error| mistake("base", &error, "bring the tokenizer's files with the model's"))?;
        let template = self.chat_template.as_ref().map(|file| {
            let text = std::fs::read_to_string(file.path()).map_err(|error| error.to_string());
            text.and_then(|text| ChatTemplate::new(file.name(), text).map_err(|error| error.to_string()))
        });
        let template = template
            .transpose()
            .map_err(|error| mistake("chat_template", &error, "give a Jinja template as checkpoints have it"))?;
        speaking(tokenizer, template)
            .ok_or_else(|| mistake("base", &NO_TEMPLATE, GIVE_TEMPLATE))?
            .with_system(self.system)
            .map(Some)
            .map_err(|error| mistake("system", &error, "`system: auto` puts system messages at the head of the question"))
    }

    /// Does the same as [`Self::conversations`] in a run, with the files whose content is in the key.
    fn spoken(&self, ctx: &Context, tokenizer: Tokenizer) -> Result<Tokenizer, StageError> {
        let template = self.chat_template.as_ref().map(|file| {
            let text = std::io::read_to_string(file.open(ctx)?)?;
            ChatTemplate::new(file.name(), text).map_err(StageError::failed)
        });
        let speaking = speaking(tokenizer, template.transpose()?);
        let speaking = speaking.ok_or_else(|| StageError::failed(NO_TEMPLATE).help(GIVE_TEMPLATE))?;
        speaking.with_system(self.system).map_err(StageError::failed)
    }
}

const NO_TEMPLATE: &str = "the base has no chat template, and its family has none that fits its vocabulary";
const GIVE_TEMPLATE: &str = "give one by `chat_template: FILE`";

/// Adds a chat template: the manifest's, else the base's, else that of its family. Returns nothing if there is none.
fn speaking(tokenizer: Tokenizer, template: Option<ChatTemplate>) -> Option<Tokenizer> {
    let tokenizer = match template {
        Some(template) => tokenizer.with_chat_template(template),
        None => tokenizer.with_family_template(),
    };
    if tokenizer.chat_template().is_some() { Some(tokenizer) } else { None }
}

ports! { pub struct Inputs { examples: Dataset<SftExample>, validation: Option<Dataset<SftExample>>, base: Option<Checkpoint> } }
ports! { pub struct Outputs { checkpoint: Checkpoint, metrics: Metrics } }

/// The stage `sft`.
pub(crate) struct Stage;

impl engine::Kind for Stage {
    const KIND: &'static str = "sft";
    const VERSION: u32 = 4;
    const SUMMARY: &'static str = "trains a router by supervised fine-tuning";
    const EXAMPLE: &'static str = "\
stages:
  sft:
    uses: sft
    in: { examples: examples.sft }
    with:
      new: { architecture: llama, hidden_size: 128, intermediate_size: 256, num_hidden_layers: 3 }
      epochs: 3
";
    type Params = Params;
    type Inputs = Inputs;
    type Outputs = Outputs;

    fn settle(params: Params, sections: &Sections) -> Result<Params, Vec<ParamMistake>> {
        let mut found = mistakes(&params.training, &params.method);
        let Origin { base, new, .. } = &params.origin;
        if base.is_some() && new.is_some() {
            let message = "`base` and `new` are both given, and a decoder has one start".to_owned();
            let help = "leave one of them out".to_owned();
            found.push(ParamMistake::new(&["new"], message, help));
        }
        if let Some(Err(message)) = new.as_ref().map(NewModel::check) {
            found.push(ParamMistake::new(&["new"], message, "`fingerpost kinds sft` lists the sizes"));
        }
        found.extend(params.origin.conversations().err());
        if !found.is_empty() {
            return Err(found);
        }
        let Params { origin, training, method } = params;
        let new = if origin.base.is_none() { Some(origin.new.unwrap_or_default()) } else { None };
        let origin = Origin { policies: origin.policies.or_section(sections)?, new, ..origin };
        Ok(Params { origin, training, method })
    }

    fn preflight(params: &Params, _: &Surroundings<'_>) -> Vec<Lack> {
        errors::absent(params.training.device)
    }
}

impl engine::Stage for Stage {
    fn notes(ctx: &Context, params: &Params, ahead: &Ahead) -> Result<Vec<String>, StageError> {
        let start = params.origin.outline(ctx, ahead)?;
        let forecast = |start: Outline| forecast(&start, &params.training, &params.method);
        let mut notes = start.map(forecast).unwrap_or_default();
        notes.extend(params.origin.conversations().ok().flatten().and_then(|tokenizer| {
            let place = match tokenizer.placement() {
                Placement::System => "in a turn of their own",
                Placement::User => "at the head of the question",
            };
            Some(format!("chat template: `{}`, system messages {place}", tokenizer.chat_template()?.name()))
        }));
        Ok(notes)
    }

    fn tell(ctx: &Context, params: &Params, ahead: &Ahead) -> Result<BTreeMap<String, Value>, StageError> {
        super::checkpoint_outline(params.origin.outline(ctx, ahead)?, &params.training)
    }

    async fn run(ctx: &Context, params: &Params, inputs: Inputs) -> Result<Outputs, StageError> {
        let examples = inputs.examples.rows()?.collect::<Result<Vec<_>, _>>()?;
        let Params { origin, training, method } = params;
        let (outline, tokenizer, weights) = origin.open(ctx, inputs.base.as_ref(), &examples)?;
        let tokenizer = origin.spoken(ctx, tokenizer)?;
        let training = within(training, &outline)?;
        let prepare =
            |columns: &[Columns]| method.prepare(&tokenizer, columns, training.max_length).map_err(|error| failed(error.into()));
        let rows = prepare(&examples.iter().map(columns::of).collect::<Vec<_>>())?;
        let validation = inputs.validation.as_ref().map(columns_of).transpose()?;
        let validation = validation.map(|columns| prepare(&columns)).transpose()?;
        let settings = Settings { training, method: method.clone() };
        let start = Start { outline, tokenizer, router: Router::new(&origin.policies), weights, param: Some("base") };
        train(ctx, start, &settings, rows, validation).map(|(checkpoint, metrics)| Outputs { checkpoint, metrics })
    }
}
