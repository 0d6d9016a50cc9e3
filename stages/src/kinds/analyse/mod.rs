//! `uses: analyse`: what a question alone shows. Takes questions; gives analyses, one for each question in their order.
//!
//! The stage has no input with answers or labels, and gives neither a model nor the rules the gold answer. This file has the params
//! and asks a model, if one is named; `rules` analyses without a model, and where a model's reply cannot be read.

mod rules;

use std::collections::BTreeMap;

use engine::{Ask, Context, Dataset, EachRow, Kind, Lack, ParamMistake, Sections, StageError, Surroundings, ports};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{
    defaults::is_default,
    llm::{
        calls,
        completion::Completion,
        model,
        prompt::Template,
        providers::Source,
        readable::Readable,
        released::{ANALYSE, Prompt},
        request::{Reply, Request, Settings},
        structured::{Field, Form, Heard, Outside, hear},
    },
    rows::{Analysis, Question},
};

/// What stands under `with:`.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Params {
    /// What analyses the question.
    #[serde(default)]
    by: By,
    /// The model, as `provider/name`, for `llm`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    model: Option<String>,
    /// How the model is asked [default: temperature 0].
    #[serde(default, skip_serializing_if = "is_default")]
    settings: Settings,
    /// The prompt: `analyse@1`, or a file with `{question}` in it, `{choices}`, and `{mark}`, which no question can hold, in lines around
    /// them [default: `analyse@2`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    prompt: Option<Prompt>,
    /// What of the provider's settings decides the analyses; filled in by the program.
    #[serde(default, skip_deserializing, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(skip)]
    providers: BTreeMap<String, Source>,
    /// How the model is asked, in the end; filled in by the program.
    #[serde(default, skip_deserializing, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(skip)]
    settings_of: BTreeMap<String, Settings>,
}

/// What analyses a question.
#[derive(Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum By {
    /// A program, which reads facts off the text.
    #[default]
    Rules,
    /// A model, which says what it sees in the text.
    Llm,
}

ports! { pub struct Inputs { questions: Dataset<Question> } }
ports! { pub struct Outputs { analyses: Dataset<Analysis> } }

/// The stage `analyse`; without a model it analyses by rules.
pub(crate) struct Stage {
    ctx: Context,
    llm: Option<(Request, Template)>,
    readable: Readable,
    rows_in_flight: usize,
    /// What a plan says of the prompt.
    note: Option<String>,
}

const FORM: Form = Form {
    fields: &[
        ("domain", Field::Text),
        ("kind", Field::Text),
        ("steps", Field::Integer),
        ("ambiguous", Field::Boolean),
        ("reasoning", Field::Sentence),
    ],
    decides: "reasoning",
};

/// Raised when requests or the reading of replies change.
const LLM_VERSION: u32 = 2;

impl Kind for Stage {
    const KIND: &'static str = "analyse";
    const VERSION: u32 = 1;
    const SUMMARY: &'static str = "says what the question alone shows";
    const EXAMPLE: &'static str = "\
stages:
  analyses:
    uses: analyse
    in: { questions: questions }
    with: { by: llm, model: gemini/gemini-3.8-flash }
";
    type Params = Params;
    type Inputs = Inputs;
    type Outputs = Outputs;

    fn settle(mut params: Params, sections: &Sections) -> Result<Params, Vec<ParamMistake>> {
        let given =
            [("model", params.model.is_some()), ("settings", !is_default(&params.settings)), ("prompt", params.prompt.is_some())];
        match (params.by, &params.model) {
            (By::Rules, _) => {
                let given = given.into_iter().filter(|(_, given)| *given);
                let unused = |(field, _)| {
                    ParamMistake::new(&[field], format!("`by: rules` has no `{field}`"), "write `by: llm`, or take it out")
                };
                let mistakes: Vec<_> = given.map(unused).collect();
                if mistakes.is_empty() { Ok(params) } else { Err(mistakes) }
            }
            (By::Llm, None) => {
                let message = "`by: llm` asks a model, and none is named".to_owned();
                Err(vec![ParamMistake::new(&["by"], message, "add `model: PROVIDER/NAME`")])
            }
            (By::Llm, Some(model)) => {
                if let Some(mistake) = params.prompt.as_ref().and_then(|prompt| prompt.mistake(ANALYSE.kind)) {
                    return Err(vec![mistake]);
                }
                let given = Settings {
                    temperature: params.settings.temperature.or(Some(0.0)),
                    schema: Some(FORM.schema(Prompt::shows_mark(params.prompt.as_ref(), &ANALYSE))),
                    ..params.settings.clone()
                };
                (params.providers, params.settings_of) = model::settle_called(&[("model", model)], &given, sections)?;
                Ok(params)
            }
        }
    }

    fn parts(params: &Params) -> BTreeMap<String, u32> {
        let sources = params.providers.values().map(Source::part);
        // Rules analyse where a model's reply cannot be read, so their version counts too.
        let rules = ("analyse/rules".to_owned(), rules::VERSION);
        let llm = params.model.as_ref().map(|_| ("analyse/llm".to_owned(), LLM_VERSION));
        sources.chain([rules]).chain(llm).collect()
    }

    fn preflight(params: &Params, surroundings: &Surroundings<'_>) -> Vec<Lack> {
        let models = params.model.as_deref().into_iter().map(|asked| (vec!["model"], asked));
        model::preflight(models, &params.providers, surroundings)
    }
}

impl EachRow for Stage {
    type In = Question;
    type Out = Analysis;
    type Effect = Completion;

    fn name(question: &Question) -> String {
        format!("question `{}`", question.id)
    }

    fn open(ctx: &Context, params: &Params, inputs: Inputs) -> Result<(Self, Dataset<Question>), StageError> {
        let llm = match &params.model {
            None => None,
            Some(asked) => {
                let template = Template::of(ctx, params.prompt.as_ref(), &ANALYSE, &["question"])?;
                let request = model::request(ctx, asked, &params.providers, &params.settings_of)?;
                Some((FORM.asked_by(request, template.takes("mark")), template))
            }
        };
        let stage = Self {
            ctx: ctx.clone(),
            note: ANALYSE.note().filter(|_| llm.is_some() && params.prompt.is_none()),
            llm,
            readable: Readable::new("the model"),
            rows_in_flight: calls::rows_in_flight(ctx, params.providers.keys()),
        };
        Ok((stage, inputs.questions))
    }

    fn units(&self, question: &Question, replies: &[Reply]) -> Result<Vec<Ask<Completion>>, StageError> {
        Ok(match self.hear(question, replies) {
            Some(Heard::Next(request)) => vec![Ask::Call(*request)],
            _ => Vec::new(),
        })
    }

    fn rows(&self, question: Question, replies: Vec<Reply>) -> Result<Vec<Analysis>, StageError> {
        let said = match self.hear(&question, &replies) {
            None => None,
            Some(Heard::Object(object)) => {
                self.readable.read();
                Some(facts(object))
            }
            Some(Heard::Next(_) | Heard::Nothing) => {
                self.readable.unread(&Self::name(&question), &replies)?;
                None
            }
        };
        let (features, reasoning) = said.unwrap_or_else(|| rules::analyse(&question.question));
        Ok(vec![Analysis { id: question.id, features, reasoning }])
    }

    fn notes(&self) -> Result<Vec<String>, StageError> {
        Ok(self.note.iter().cloned().collect())
    }

    fn finish(&self) -> Result<(), StageError> {
        self.readable.finish(&self.ctx, "rules analyse these questions instead")
    }

    fn outputs(analyses: Dataset<Analysis>) -> Outputs {
        Outputs { analyses }
    }

    fn rows_in_flight(&self) -> usize {
        // Rules read every question.
        if self.llm.is_some() { self.readable.rows_in_flight(self.rows_in_flight) } else { self.rows_in_flight }
    }
}

impl Stage {
    /// Reads the replies of the model, if there is one.
    fn hear(&self, question: &Question, replies: &[Reply]) -> Option<Heard> {
        let (request, template) = self.llm.as_ref()?;
        let choices = template.choices(&question.choices);
        let outside = Outside::new(vec![question.question.clone(), choices.clone()], template.takes("mark"));
        let values = [("question", question.question.clone()), ("choices", choices), ("mark", outside.mark().to_owned())];
        let request = Request { prompt: template.with(&values), ..request.clone() };
        Some(hear(&FORM, &outside, request, &replies.iter().collect::<Vec<_>>()))
    }
}

/// Returns the facts in an object, and its reasoning on one line, since a router's answer names its policy on a line of its own.
fn facts(mut object: Map<String, Value>) -> (BTreeMap<String, Value>, String) {
    let reasoning = object.remove("reasoning");
    let reasoning = reasoning.as_ref().and_then(Value::as_str).unwrap_or_default();
    (object.into_iter().collect(), reasoning.split_whitespace().collect::<Vec<_>>().join(" "))
}
