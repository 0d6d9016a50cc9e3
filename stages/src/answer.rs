//! `uses: answer`: every named model answers every question. Questions → answers, by question and then by role.

use std::collections::BTreeMap;

use engine::{Ask, Context, Dataset, EachRow, ParamMistake, Sections, StageError, ports};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    completion::{Completion, Reply},
    providers::{self, Provider},
    rows::{Answer, Question},
    sections::providers::ProviderSetting,
};

/// What stands under `with:`.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Params {
    /// The models as `provider/name`, by role: `{ medium: calculator/pocket, large: calculator/scientific }`.
    models: BTreeMap<String, String>,
    /// Settings of the providers that the models name [default: the manifest's `providers`].
    #[serde(default)]
    providers: BTreeMap<String, ProviderSetting>,
}

ports! { pub struct Inputs { questions: Dataset<Question> } }
ports! { pub struct Outputs { answers: Dataset<Answer> } }

/// The stage, with each role's model open.
pub(crate) struct Stage {
    models: Vec<Model>,
}

struct Model {
    role: String,
    asked: String,
    provider: Box<dyn Provider>,
}

impl EachRow for Stage {
    const KIND: &'static str = "answer";
    const VERSION: u32 = 1;
    const SUMMARY: &'static str = "lets every named model answer every question";
    type Params = Params;
    type Inputs = Inputs;
    type Outputs = Outputs;
    type In = Question;
    type Out = Answer;
    type Effect = Completion;

    fn settle(mut params: Params, sections: &Sections) -> Result<Params, Vec<ParamMistake>> {
        if params.models.is_empty() {
            return Err(vec![ParamMistake {
                field: vec!["models".to_owned()],
                message: "there is no model to ask".to_owned(),
                help: "write `models: { medium: PROVIDER/NAME, large: PROVIDER/NAME }`".to_owned(),
            }]);
        }
        if params.providers.is_empty() {
            params.providers = providers::settle(&params.models, sections)?;
        }
        Ok(params)
    }

    fn parts(params: &Params) -> BTreeMap<String, u32> {
        let kinds = params.providers.values().filter_map(providers::find);
        kinds.map(|kind| (format!("provider/{}", kind.name), kind.version)).collect()
    }

    fn name(question: &Question) -> String {
        format!("question `{}`", question.id)
    }

    fn open(ctx: &Context, params: &Params, inputs: Inputs) -> Result<(Self, Dataset<Question>), StageError> {
        let open = |(role, asked): (&String, &String)| {
            let unknown = || StageError::failed(format!("there is no provider for `{asked}`"));
            let (provider, name) = providers::split(asked).ok_or_else(unknown)?;
            let setting = params.providers.get(provider).ok_or_else(unknown)?;
            let kind = providers::find(setting).ok_or_else(unknown)?;
            Ok(Model { role: role.clone(), asked: asked.clone(), provider: (kind.open)(ctx, name, setting)? })
        };
        let models = params.models.iter().map(open).collect::<Result<_, StageError>>()?;
        Ok((Self { models }, inputs.questions))
    }

    fn units(&self, question: &Question, replies: &[Reply]) -> Result<Vec<Ask<Completion>>, StageError> {
        if !replies.is_empty() {
            return Ok(Vec::new());
        }
        self.models.iter().map(|model| model.provider.ask(question)).collect()
    }

    fn rows(&self, question: Question, replies: Vec<Reply>) -> Result<Vec<Answer>, StageError> {
        let answers = self.models.iter().zip(replies).map(|(model, reply)| Answer {
            id: question.id.clone(),
            model: model.role.clone(),
            asked: model.asked.clone(),
            text: reply.text,
            outcome: reply.outcome,
            served: reply.served,
            usage: reply.usage,
        });
        Ok(answers.collect())
    }

    fn outputs(answers: Dataset<Answer>) -> Outputs {
        Outputs { answers }
    }
}
