//! `uses: answer`: every named model answers every question. Takes questions; gives answers, by question and then by role.
//!
//! Read this file first: the params, the requests of a question, and its rows once the replies are there. `shots` has the examples that are
//! shown before a question, `errors` counts the answers that a provider refuses, and `served_model` notices when a provider serves another model than the one that was asked for.

mod errors;
mod served_model;
pub(crate) mod shots;

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
};

use engine::{Ask, Context, Dataset, EachRow, File, Kind, Lack, ParamMistake, Sections, StageError, Surroundings, ports};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    defaults::is_default,
    llm::{
        calls,
        completion::Completion,
        model::{self, Model, Named},
        prompt::Template,
        providers::Source,
        reading,
        request::{Reply, Settings},
    },
    rows::{Answer, Outcome, Question, Usage},
};
use errors::{Errors, MaxErrors, OnError};
use served_model::{OnSwap, Served};
use shots::{Pool, Shots};

/// What stands under `with:`.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Params {
    /// The models as `provider/name`, by role: `{ medium: calculator/pocket, large: calculator/scientific }`.
    models: BTreeMap<String, String>,
    /// What of the providers' settings decides the answers; filled in by the program.
    #[serde(default, skip_deserializing)]
    #[schemars(skip)]
    providers: BTreeMap<String, Source>,
    /// How models are asked.
    #[serde(default)]
    settings: Settings,
    /// How the model of a role is asked, where that differs: `{ large: { max_output_tokens: 8192 } }`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    settings_of: BTreeMap<String, Settings>,
    /// What becomes of a setting that a model does not take.
    #[serde(default)]
    unsupported: Unsupported,
    /// Settings that were left out, by role; filled in by the program.
    #[serde(default, skip_deserializing, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(skip)]
    left_out: BTreeMap<String, Vec<String>>,
    /// The prompt, with `{question}` and `{choices}` in it [default: the question and, if there are any, its choices].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    prompt: Option<File>,
    /// What models are told before the question.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    system: Option<String>,
    /// Asks for the reasoning before the answer.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    cot: bool,
    /// Questions that are shown with their answers before the one that is asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    shots: Option<Shots>,
    /// How often an answer that is none is asked for again, by what became of it. A truncated one gets four times the tokens.
    #[serde(default)]
    ask_again: AskAgain,
    /// The name that a model is served under, by role [default: the first one that was seen stays].
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    served: BTreeMap<String, String>,
    /// What happens when another model is served than the one that was first.
    #[serde(default)]
    on_model_swap: OnSwap,
    /// What happens when a provider refuses a prompt with an error: it is too long, or against a policy.
    #[serde(default, skip_serializing_if = "is_default")]
    on_error: OnError,
    /// How many answers may be such errors before the stage stops: a number, or a share such as `0.05` [default: 0.01, and at least one].
    #[serde(default, skip_serializing_if = "is_default")]
    max_errors: MaxErrors,
}

#[derive(Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Unsupported {
    /// It is left out, and that is recorded.
    #[default]
    Drop,
    /// It is a mistake in the manifest.
    Refuse,
}

#[derive(Clone, Copy, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct AskAgain {
    truncated: u32,
    empty: u32,
    blocked: u32,
    refused: u32,
}

impl Default for AskAgain {
    fn default() -> Self {
        Self { truncated: 1, empty: 1, blocked: 0, refused: 0 }
    }
}

impl AskAgain {
    fn times(self, outcome: Outcome) -> u32 {
        match outcome {
            Outcome::Truncated => self.truncated,
            Outcome::Empty => self.empty,
            Outcome::Blocked => self.blocked,
            Outcome::Refused => self.refused,
            Outcome::Ok | Outcome::ModelSwapped | Outcome::Error => 0,
        }
    }
}

ports! { pub struct Inputs { questions: Dataset<Question> } }
ports! { pub struct Outputs { answers: Dataset<Answer> } }

/// The stage `answer`, with each role's model open.
pub(crate) struct Stage {
    roles: Vec<Role>,
    template: Template,
    shots: Option<Pool>,
    ask_again: AskAgain,
    errors: Errors,
    rows_in_flight: usize,
}

struct Role {
    name: String,
    model: Model,
    served: Served,
}

impl Kind for Stage {
    const KIND: &'static str = "answer";
    const VERSION: u32 = 2;
    const SUMMARY: &'static str = "lets every named model answer every question";
    const EXAMPLE: &'static str = "\
stages:
  answers:
    uses: answer
    in: { questions: questions }
    with:
      models: { medium: gemini/gemini-3.5-flash-lite, large: gemini/gemini-3.8-flash }
      settings: { max_output_tokens: 2048 }
";
    type Params = Params;
    type Inputs = Inputs;
    type Outputs = Outputs;

    fn settle(mut params: Params, sections: &Sections) -> Result<Params, Vec<ParamMistake>> {
        let mut mistakes = Vec::new();
        if params.models.is_empty() {
            mistakes.push(ParamMistake {
                field: vec!["models".to_owned()],
                message: "there is no model to ask".to_owned(),
                help: "write `models: { medium: PROVIDER/NAME, large: PROVIDER/NAME }`".to_owned(),
            });
        }
        let named = params.settings_of.keys().map(|role| ("settings_of", role));
        for (field, role) in named.chain(params.served.keys().map(|role| ("served", role))) {
            if !params.models.contains_key(role) {
                mistakes.push(ParamMistake {
                    field: vec![field.to_owned(), role.clone()],
                    message: format!("there is no model of the role `{role}`"),
                    help: format!("the roles are {}", params.models.keys().cloned().collect::<Vec<_>>().join(", ")),
                });
            }
        }
        for (role, asked) in &params.models {
            let Named { provider, name, source } = match model::source(asked, sections) {
                Ok(named) => named,
                Err(message) => {
                    mistakes.push(model::mistake(&["models", role], message));
                    continue;
                }
            };
            if source.calls() {
                let given = params.settings_of.get(role).map_or_else(|| params.settings.clone(), |own| params.settings.with(own));
                let (settings, left_out) = source.fit(name, given);
                if !left_out.is_empty() && params.unsupported == Unsupported::Refuse {
                    mistakes.push(ParamMistake {
                        field: vec!["models".to_owned(), role.clone()],
                        message: format!("`{asked}` takes no `{}`", left_out.join("`, no `")),
                        help: "take it out of the settings, or write `unsupported: drop`".to_owned(),
                    });
                }
                if !left_out.is_empty() {
                    params.left_out.insert(role.clone(), left_out.into_iter().map(str::to_owned).collect());
                }
                params.settings_of.insert(role.clone(), settings);
            }
            params.providers.insert(provider, source);
        }
        if mistakes.is_empty() { Ok(params) } else { Err(mistakes) }
    }

    fn parts(params: &Params) -> BTreeMap<String, u32> {
        params.providers.values().map(Source::part).collect()
    }

    fn preflight(params: &Params, surroundings: &Surroundings<'_>) -> Vec<Lack> {
        let models = params.models.iter().map(|(role, asked)| (vec!["models", role], asked.as_str()));
        model::preflight(models, &params.providers, surroundings)
    }
}

impl EachRow for Stage {
    type In = Question;
    type Out = Answer;
    type Effect = Completion;

    fn name(question: &Question) -> String {
        format!("question `{}`", question.id)
    }

    fn open(ctx: &Context, params: &Params, inputs: Inputs) -> Result<(Self, Dataset<Question>), StageError> {
        for (role, left_out) in &params.left_out {
            ctx.warn(format!("`{}` takes no `{}`: left out", params.models[role], left_out.join("`, no `")));
        }
        let open = |(role, asked): (&String, &String)| {
            let settings = params.settings_of.get(role).unwrap_or(&params.settings);
            let model = Model::open(ctx, asked, &params.providers, settings)?;
            let served = Served::new(ctx, &model, params.served.get(role), params.on_model_swap);
            Ok(Role { name: role.clone(), model, served })
        };
        let roles = params.models.iter().map(open).collect::<Result<_, StageError>>()?;
        let template = Template::read(ctx, params.prompt.as_ref(), ANSWER, &["question"])?;
        let template = template.system(params.system.as_deref()).reasoned(params.cot);
        let shots = params.shots.as_ref().map(|shots| Pool::open(ctx, shots, &inputs.questions)).transpose()?;
        let rows_in_flight = calls::rows_in_flight(ctx, params.providers.keys());
        let answers = (inputs.questions.len() * params.models.len()) as u64;
        let errors = Errors::new(ctx, params.on_error, params.max_errors, answers);
        Ok((Self { roles, template, shots, ask_again: params.ask_again, errors, rows_in_flight }, inputs.questions))
    }

    fn units(&self, question: &Question, replies: &[Reply]) -> Result<Vec<Ask<Completion>>, StageError> {
        if self.only_shown(question) {
            return Ok(Vec::new());
        }
        let state = State::of(&self.roles, replies, &self.again());
        state.open.iter().map(|&role| self.ask(&self.roles[role], question, &state.asked[role])).collect()
    }

    fn rows(&self, question: Question, replies: Vec<Reply>) -> Result<Vec<Answer>, StageError> {
        if self.only_shown(&question) {
            return Ok(Vec::new());
        }
        let state = State::of(&self.roles, &replies, &self.again());
        let answer = |(role, asked): (&Role, Vec<Cow<'_, Reply>>)| {
            let mut usage = Usage::default();
            for reply in &asked {
                usage += reply.usage;
            }
            let last = asked.last().ok_or_else(|| StageError::failed(format!("`{}` was not asked", role.name)))?;
            let swapped = role.served.is_swapped(last)?;
            let answer = Answer {
                id: question.id.clone(),
                model: role.name.clone(),
                asked: role.model.asked.clone(),
                text: last.text.clone(),
                outcome: if swapped { Outcome::ModelSwapped } else { last.outcome },
                served: last.served.clone(),
                usage,
                error: last.error.clone(),
            };
            // What was recorded stays as it is.
            if role.model.request().is_some() {
                self.errors.count(&answer)?;
            }
            Ok(answer)
        };
        self.roles.iter().zip(state.asked).map(answer).collect()
    }

    fn finish(&self) -> Result<(), StageError> {
        self.errors.finish();
        Ok(())
    }

    fn notes(&self) -> Result<Vec<String>, StageError> {
        self.roles.iter().filter_map(|role| role.served.note().transpose()).collect()
    }

    fn outputs(answers: Dataset<Answer>) -> Outputs {
        Outputs { answers }
    }

    fn rows_in_flight(&self) -> usize {
        self.rows_in_flight
    }
}

impl Stage {
    /// Returns how often each role is asked again. A known reply stays the same, and would only be counted twice.
    fn again(&self) -> Vec<AskAgain> {
        let never = AskAgain { truncated: 0, empty: 0, blocked: 0, refused: 0 };
        self.roles.iter().map(|role| if role.model.request().is_some() { self.ask_again } else { never }).collect()
    }

    /// Returns whether a question is only an example before other questions, and is not asked itself.
    fn only_shown(&self, question: &Question) -> bool {
        self.shots.as_ref().is_some_and(|shots| shots.keeps(question))
    }

    fn ask(&self, role: &Role, question: &Question, before: &[Cow<'_, Reply>]) -> Result<Ask<Completion>, StageError> {
        let truncated = before.iter().filter(|reply| reply.outcome == Outcome::Truncated).count() as u32;
        let sample = before.len() as u32 - truncated;
        let conversation = || {
            let shown = self.shots.as_ref().map(|shots| shots.turns(&self.template, question)).transpose()?;
            Ok(self.template.conversation(shown.unwrap_or_default(), question))
        };
        let ask = role.model.ask(question, conversation, sample)?;
        Ok(match ask {
            Ask::Call(request) => Ask::Call(request.with_larger_cap(truncated)),
            known @ Ask::Known(_) => known,
        })
    }
}

/// The replies to a question, by role. Their order says whose they are: they come in rounds, each with the roles that were still open.
struct State<'a> {
    asked: Vec<Vec<Cow<'a, Reply>>>,
    open: BTreeSet<usize>,
}

impl<'a> State<'a> {
    fn of(roles: &[Role], replies: &'a [Reply], again: &[AskAgain]) -> Self {
        let mut state = State { asked: vec![Vec::new(); roles.len()], open: (0..roles.len()).collect() };
        let mut replies = replies.iter();
        while !state.open.is_empty() {
            let mut next = BTreeSet::new();
            for &role in &state.open {
                let Some(reply) = replies.next() else { return state };
                let is_called = roles[role].model.request().is_some();
                let reply = if is_called { reading::read(reply) } else { reading::recorded(reply) };
                let alike = state.asked[role].iter().filter(|before| before.outcome == reply.outcome).count() as u32;
                if alike < again[role].times(reply.outcome) {
                    next.insert(role);
                }
                state.asked[role].push(reply);
            }
            state.open = next;
        }
        state
    }
}

/// The prompt unless the manifest gives one.
const ANSWER: &str = include_str!("../../../prompts/answer@1.txt");
