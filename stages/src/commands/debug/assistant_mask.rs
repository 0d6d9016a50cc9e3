//! `debug assistant-mask`: conversations → their ids, and which of them the assistant wrote.

use std::path::PathBuf;

use clap::Args;
use engine::CommandError;
use minijinja::Value;
use serde::{Deserialize, Serialize};

use super::render::{Conversation, read_template};
use crate::{
    commands::files::{read_json, write_json},
    tokenizer::{Tokenizer, Variables},
};

/// Where conversations stand that cases name and `--input` does not have.
const BESIDE: &str = "rendering.json";

/// Tell which tokens of conversations are the assistant's
#[derive(Args)]
pub(super) struct AssistantMask {
    /// JSON: `template` by name and `cases`, each with `messages`, or `conversation`: one by name, here or in `rendering.json` beside it
    #[arg(long, value_name = "FILE")]
    input: PathBuf,
    /// Where the templates' files are
    #[arg(long, value_name = "DIR")]
    templates: PathBuf,
    /// The tokenizer's folder, or a `tokenizer.json`
    #[arg(long, value_name = "DIR")]
    tokenizer: PathBuf,
    /// Where `cases` with `ids` and `assistant_mask` are written
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

#[derive(Deserialize)]
struct Input {
    template: String,
    cases: Vec<Case>,
    #[serde(default)]
    conversations: Vec<Conversation>,
}

#[derive(Deserialize)]
struct Case {
    messages: Option<Vec<Value>>,
    conversation: Option<String>,
}

#[derive(Deserialize)]
struct Beside {
    conversations: Vec<Conversation>,
}

#[derive(Serialize)]
struct Output {
    cases: Vec<Masked>,
}

#[derive(Serialize)]
struct Masked {
    ids: Vec<u32>,
    assistant_mask: Vec<u8>,
}

impl AssistantMask {
    pub(super) fn run(&self) -> Result<(), CommandError> {
        let mut input: Input = read_json(&self.input)?;
        let template = read_template(&self.templates, &input.template)?.with_clock();
        let tokenizer = Tokenizer::open(&self.tokenizer).map_err(CommandError::usage)?.with_chat_template(template);
        let beside = self.input.with_file_name(BESIDE);
        if input.conversations.is_empty() && beside.exists() {
            input.conversations = read_json::<Beside>(&beside)?.conversations;
        }
        let mut cases = Vec::with_capacity(input.cases.len());
        for (number, case) in input.cases.into_iter().enumerate() {
            let wrong = |reason: String| CommandError::usage(format!("`{}`: case {number}: {reason}", self.input.display()));
            let named = |name: &String| input.conversations.iter().find(|conversation| conversation.id == *name);
            let messages = case.messages.or_else(|| Some(named(case.conversation.as_ref()?)?.messages.clone()));
            let messages = messages.ok_or_else(|| wrong("no `messages`, and no conversation of its name".to_owned()))?;
            let variables = Variables { messages, ..Variables::default() };
            let (ids, mask) = tokenizer.render_with_mask(variables).map_err(|error| wrong(error.to_string()))?;
            cases.push(Masked { ids, assistant_mask: mask.into_iter().map(u8::from).collect() });
        }
        write_json(&self.out, &Output { cases })
    }
}
