//! `debug assistant-mask`. Takes conversations; gives their token ids, and which of them the assistant wrote.

use std::path::PathBuf;

use clap::Args;
use engine::CommandError;
use minijinja::Value;
use serde::{Deserialize, Serialize};

use super::{
    arguments::Files,
    render::{Conversation, read_template},
};
use crate::{
    commands::files::{read_json, write_json},
    tokenizer::{Tokenizer, Variables},
};

/// The file beside `--input` with conversations that cases name and `--input` itself does not contain.
const BESIDE: &str = "rendering.json";

/// Mark the tokens of conversations that the assistant wrote
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct AssistantMask {
    #[command(flatten)]
    files: Files,
    /// Where the templates' files are
    #[arg(long, value_name = "DIR")]
    templates: PathBuf,
    /// The tokenizer's folder, or a `tokenizer.json`
    #[arg(long, value_name = "DIR")]
    tokenizer: PathBuf,
}

const EXAMPLES: &str = "\
Examples:
  fingerpost debug assistant-mask --templates templates --tokenizer gemma-2b --input cases.json --out masks.json

Input (JSON): `template` by name and `cases`, each with `messages`, or with `conversation`: one by name, of this file or of
`rendering.json` beside it.
Output (JSON): `cases` with `ids` and `assistant_mask` (1 where the assistant wrote the token).
`fingerpost kinds sft` describes `assistant_only_loss`.";

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
        let mut input: Input = read_json(&self.files.input)?;
        let template = read_template(&self.templates, &input.template)?.with_clock();
        let tokenizer = Tokenizer::open(&self.tokenizer).map_err(CommandError::usage)?.with_chat_template(template);
        let beside = self.files.input.with_file_name(BESIDE);
        if input.conversations.is_empty() && beside.exists() {
            input.conversations = read_json::<Beside>(&beside)?.conversations;
        }
        let mut cases = Vec::with_capacity(input.cases.len());
        for (number, case) in input.cases.into_iter().enumerate() {
            let wrong =
                |reason: String| CommandError::usage(format!("`{}`: case {number}: {reason}", self.files.input.display()));
            let named = |name: &String| input.conversations.iter().find(|conversation| conversation.id == *name);
            let messages = case.messages.or_else(|| Some(named(case.conversation.as_ref()?)?.messages.clone()));
            let messages = messages.ok_or_else(|| wrong("no `messages`, and no conversation of its name".to_owned()))?;
            let variables = Variables { messages, ..Variables::default() };
            let (ids, mask) = tokenizer.render_with_mask(variables).map_err(|error| wrong(error.to_string()))?;
            cases.push(Masked { ids, assistant_mask: mask.into_iter().map(u8::from).collect() });
        }
        write_json(&self.files.out, &Output { cases })
    }
}
