//! The params of `judge`. Takes what is under `with:`; gives the same, completed by the manifest's sections, or all mistakes in it.

use std::collections::BTreeMap;

use engine::{Context, ParamMistake, Sections, StageError};
use schemars::{JsonSchema, Schema};
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{Error as _, MapAccess},
};
use serde_json::json;

use super::{
    grader::{Grader, IDK, Opening},
    list::{JudgeKind, Own},
};
use crate::{
    defaults::is_default,
    kinds::unanswered::MissingBy,
    llm::{model, providers::Source, request::Settings},
    part::{self, Filled, Part, settings},
};

settings! {
    /// What every judge takes.
    pub(crate) struct Common {
        /// Texts by which an answer says that it does not know; those of several words count anywhere in an answer.
        idk: Vec<String> = IDK.map(str::to_owned).to_vec(),
        /// What counts if there is no answer to judge, by the outcome of the call: `drop`, `idk` or `incorrect`
        /// [default: `{ refused: idk }`, and `drop` for the rest].
        #[serde(skip_serializing_if = "is_default")]
        missing: MissingBy = MissingBy::default(),
    }
}

/// What stands under `with:`.
#[derive(Serialize, JsonSchema)]
#[schemars(transform = complete)]
pub(crate) struct Params {
    /// The judge, which decides what counts as right.
    pub(crate) judge: &'static JudgeKind,
    #[serde(flatten)]
    pub(crate) common: Common,
    #[serde(flatten)]
    own: Own,
    /// What of the providers' settings decides the verdicts; filled in by the program.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(skip)]
    pub(crate) providers: BTreeMap<String, Source>,
    /// How each model is asked; filled in by the program.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(skip)]
    settings_of: BTreeMap<String, Settings>,
}

/// The judge that the params name, as soon as it is read.
#[derive(Default)]
struct Named(Option<&'static JudgeKind>);

impl Part for Named {
    fn set<'de, A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<bool, A::Error> {
        let is_it = name == "judge";
        if is_it {
            self.0 = Some(map.next_value()?);
        }
        Ok(is_it)
    }

    fn names() -> Vec<(&'static str, Filled)> {
        vec![("judge", Filled { field: "judge", whole: true })]
    }
}

impl<'de> Deserialize<'de> for Params {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (Named(judge), (common, own)) = part::read(deserializer, <(Named, (Common, Own))>::default())?;
        let judge = judge.ok_or_else(|| D::Error::missing_field("judge"))?;
        Ok(Self { judge, common, own, providers: BTreeMap::new(), settings_of: BTreeMap::new() })
    }
}

fn complete(schema: &mut Schema) {
    #[derive(Default, Serialize)]
    struct Defaults {
        #[serde(flatten)]
        common: Common,
        #[serde(flatten)]
        own: Own,
    }
    part::complete::<(Named, (Common, Own))>(schema, &Defaults::default());
    schema.insert("required".to_owned(), json!(["judge"]));
}

impl Params {
    /// Completes the params by the providers and settings of the judge's models.
    ///
    /// # Errors
    /// All params that are wrong, or belong to another judge.
    pub(crate) fn settle(self, sections: &Sections) -> Result<Self, Vec<ParamMistake>> {
        let mut mistakes = self.judge.mistakes(&self.own);
        let models = (self.judge.models)(&self.own);
        let settled = model::settle_called(&models, &(self.judge.settings)(&self.own), sections);
        let (providers, settings_of) = settled.unwrap_or_else(|wrong| {
            mistakes.extend(wrong);
            Default::default()
        });
        if mistakes.is_empty() { Ok(Self { providers, settings_of, ..self }) } else { Err(mistakes) }
    }

    /// Returns the models that the judge asks: the param that names each, and the name.
    pub(crate) fn models(&self) -> Vec<(&'static str, &str)> {
        (self.judge.models)(&self.own)
    }

    /// Opens the judge.
    ///
    /// # Errors
    /// See [`super::grader::Judge::open`].
    pub(crate) fn open(&self, ctx: &Context) -> Result<Box<dyn Grader>, StageError> {
        let Self { common, providers, settings_of, .. } = self;
        (self.judge.open)(ctx, &self.own, &Opening { idk: &common.idk, providers, settings_of })
    }
}
