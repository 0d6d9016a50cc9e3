//! `debug render`. Takes chat templates and conversations; gives their texts.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use clap::Args;
use engine::CommandError;
use minijinja::Value;
use serde::{Deserialize, Serialize};

use super::arguments::Files;
use crate::{
    commands::files::{read_json, write_json},
    tokenizer::{ChatTemplate, TemplateError, Variables},
};

/// Render conversations by chat templates
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Render {
    #[command(flatten)]
    files: Files,
    /// Where the templates' files are
    #[arg(long, value_name = "DIR")]
    templates: PathBuf,
}

const EXAMPLES: &str = "\
Examples:
  fingerpost debug render --templates templates --input rendering.json --out rendered.json

Input (JSON): `templates` with their `special_tokens`, `conversations`, `cases` that name one of each, and `probes`, templates on their own.
Output (JSON): `cases` and `probes`, each with `text` or `error`.
`fingerpost debug assistant-mask --help` is about which tokens the assistant wrote.";

#[derive(Deserialize)]
struct Input {
    #[serde(default)]
    templates: Vec<Template>,
    conversations: Vec<Conversation>,
    #[serde(default)]
    cases: Vec<Case>,
    #[serde(default)]
    probes: Vec<Probe>,
}

#[derive(Deserialize)]
struct Template {
    template: String,
    #[serde(default)]
    special_tokens: BTreeMap<String, String>,
}

/// A conversation with its name.
#[derive(Deserialize)]
pub(super) struct Conversation {
    pub(super) id: String,
    pub(super) messages: Vec<Value>,
}

#[derive(Deserialize)]
struct Case {
    template: String,
    conversation: String,
    #[serde(default)]
    add_generation_prompt: bool,
}

#[derive(Deserialize)]
struct Probe {
    template: String,
    messages: Option<Vec<Value>>,
    #[serde(default)]
    kwargs: BTreeMap<String, Value>,
}

#[derive(Serialize)]
struct Output {
    cases: Vec<Rendered>,
    probes: Vec<Rendered>,
}

#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Rendered {
    Text(String),
    Error(String),
}

impl From<Result<String, TemplateError>> for Rendered {
    fn from(result: Result<String, TemplateError>) -> Self {
        match result {
            Ok(text) => Self::Text(text),
            Err(error) => Self::Error(error.to_string()),
        }
    }
}

impl Render {
    pub(super) fn run(&self) -> Result<(), CommandError> {
        let input: Input = read_json(&self.files.input)?;
        let mut templates = BTreeMap::new();
        for Template { template, special_tokens } in &input.templates {
            templates.insert(template.as_str(), (read_template(&self.templates, template)?.with_clock(), special_tokens));
        }
        let unknown =
            |what: &str, name: &str| CommandError::usage(format!("`{}`: no {what} `{name}`", self.files.input.display()));
        let mut cases = Vec::with_capacity(input.cases.len());
        for case in &input.cases {
            let (template, special) = templates.get(case.template.as_str()).ok_or_else(|| unknown("template", &case.template))?;
            let conversation = input.conversations.iter().find(|conversation| conversation.id == case.conversation);
            let conversation = conversation.ok_or_else(|| unknown("conversation", &case.conversation))?;
            let others = special.iter().map(|(name, token)| (name.clone(), Value::from(token))).collect();
            let variables = Variables {
                messages: conversation.messages.clone(),
                add_generation_prompt: case.add_generation_prompt,
                others,
                ..Variables::default()
            };
            cases.push(template.render(&variables).into());
        }
        let first = input.conversations.first().map(|conversation| conversation.messages.clone()).unwrap_or_default();
        let probes = input.probes.iter().map(|probe| probe.render(&first).into()).collect();
        write_json(&self.files.out, &Output { cases, probes })
    }
}

impl Probe {
    /// Renders the probe, by default with the first conversation; its special tokens are `<s>` and `</s>`.
    fn render(&self, first: &[Value]) -> Result<String, TemplateError> {
        let special = [("bos_token", "<s>"), ("eos_token", "</s>")].map(|(name, token)| (name.to_owned(), token.into()));
        let given = self.kwargs.iter().map(|(name, value)| (name.clone(), value.clone()));
        let messages = self.messages.clone().unwrap_or_else(|| first.to_vec());
        let others = special.into_iter().chain(given).collect();
        let variables = Variables { messages, others, ..Variables::default() };
        ChatTemplate::new("probe", self.template.as_str())?.with_clock().render(&variables)
    }
}

/// Reads the template `NAME.jinja` in a folder.
pub(super) fn read_template(folder: &Path, name: &str) -> Result<ChatTemplate, CommandError> {
    let path = folder.join(format!("{name}.jinja"));
    let text = fs::read_to_string(&path).map_err(|error| CommandError::usage(format!("`{}`: {error}", path.display())))?;
    ChatTemplate::new(name, text).map_err(CommandError::usage)
}
