//! Takes text and conversations; gives token ids, as transformers' fast tokenizers and chat templates give them.
//!
//! [`Tokenizer::train`] makes one from texts; [`Tokenizer::open`] reads one from a checkpoint's folder. Both render conversations through the
//! Jinja template that the checkpoint carries ([`ChatTemplate`]).

mod chat_template;
mod classes;
mod conversation;
mod families;
mod message;
mod open;
mod python;
mod system;
mod train;

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, OnceLock},
};

use regex::Regex;

use crate::{guarded::guarded, rows::Message};
pub use chat_template::{ChatTemplate, TemplateError, Variables};
pub use families::family;
pub use message::messages;
pub use system::{Placement, System};
pub use train::Pieces;

/// Says why a tokenizer could not be made, read or used.
#[derive(Debug, thiserror::Error)]
pub enum TokenizerError {
    /// Training asks for fewer tokens than bytes and special tokens need.
    #[error("`vocab_size` is {given}, and bytes and special tokens alone need {least}")]
    TooSmall {
        /// What was asked for.
        given: usize,
        /// What it takes.
        least: usize,
    },
    /// A file of the tokenizer is missing, or says something else than it must.
    #[error("`{path}`: {reason}")]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A token that is needed is not named anywhere.
    #[error("the tokenizer names no `{0}`: `tokenizer_config.json` or `special_tokens_map.json` must")]
    Unnamed(&'static str),
    /// A checkpoint without a chat template is to read a conversation.
    #[error("the tokenizer has no chat template: give one by `chat_template`")]
    NoTemplate,
    /// The template does not tell which tokens are the assistant's.
    #[error("chat template `{0}` has no `{{% generation %}}` block, which says what the assistant wrote")]
    NoGeneration(String),
    /// The text of a prompt is not what a conversation that goes on from it begins with.
    #[error("chat template `{0}` writes a prompt otherwise once it is answered")]
    NoPrefix(String),
    /// The chat template refuses a conversation.
    #[error(transparent)]
    Template(#[from] TemplateError),
    /// The tokenizers library refused.
    #[error("tokenizer: {0}")]
    Library(#[from] tokenizers::Error),
}

/// Asks the library. Some damage of a `tokenizer.json` makes it panic, and only at texts that come upon it.
fn library<T>(ask: impl FnOnce() -> tokenizers::Result<T>) -> Result<T, TokenizerError> {
    Ok(guarded(ask).map_err(|reason| TokenizerError::File { path: "tokenizer.json".into(), reason })??)
}

/// A tokenizer with its chat template.
#[derive(Clone, Debug)]
pub struct Tokenizer {
    inner: tokenizers::Tokenizer,
    /// The same, made when it is first needed, with special tokens read as text.
    plain: Arc<OnceLock<tokenizers::Tokenizer>>,
    /// The content of `tokenizer_config.json`.
    config: serde_json::Value,
    /// The special tokens' texts by name: `bos_token`, `eos_token`, ….
    special: BTreeMap<String, String>,
    chat_template: Option<ChatTemplate>,
    /// The template for conversations with functions, where the checkpoint has one of its own for them.
    tool_template: Option<ChatTemplate>,
    /// Finds special tokens in what users wrote, where they shall be text there.
    control: Option<Regex>,
    /// Where system messages stand.
    placement: Placement,
    /// The `model_type` of the model that it belongs to.
    model_type: Option<String>,
    /// Further tokens that end a text, from `generation_config.json`.
    stops: Vec<u32>,
}

impl Tokenizer {
    /// Writes `tokenizer.json`.
    #[must_use]
    pub fn to_json(&self) -> String {
        self.inner.to_string(true).expect("a tokenizer that was made can be written")
    }

    /// Returns the content of `tokenizer_config.json`, the chat template in it.
    #[must_use]
    pub fn config(&self) -> serde_json::Value {
        self.config.clone()
    }

    /// Returns the number of tokens.
    #[must_use]
    pub fn size(&self) -> usize {
        self.inner.get_vocab_size(true)
    }

    /// Returns a special token's id by its name in `tokenizer_config.json`.
    #[must_use]
    pub fn special(&self, name: &str) -> Option<u32> {
        self.special.get(name).and_then(|token| self.inner.token_to_id(token))
    }

    /// Returns a special token's text by its name in `tokenizer_config.json`.
    #[must_use]
    pub fn special_text(&self, name: &str) -> Option<&str> {
        self.special.get(name).map(String::as_str)
    }

    /// Returns the token that ends a text, and an assistant's turn where the template has no other.
    #[must_use]
    pub fn end(&self) -> Option<u32> {
        self.special("eos_token")
    }

    /// Returns the token that fills short rows: the one named so, else the end token.
    #[must_use]
    pub fn padding(&self) -> Option<u32> {
        self.special("pad_token").or_else(|| self.end())
    }

    /// Returns the id of a token that is spelled so.
    #[must_use]
    pub fn id(&self, token: &str) -> Option<u32> {
        self.inner.token_to_id(token)
    }

    /// Returns the chat template, if there is one.
    #[must_use]
    pub fn chat_template(&self) -> Option<&ChatTemplate> {
        self.chat_template.as_ref()
    }

    /// Puts another chat template in the place of the checkpoint's; it is written into `tokenizer_config.json`.
    #[must_use]
    pub fn with_chat_template(mut self, template: ChatTemplate) -> Self {
        if let Some(config) = self.config.as_object_mut() {
            config.insert("chat_template".into(), template.source().into());
        }
        self.chat_template = Some(template);
        self.tool_template = None;
        self
    }

    /// Takes the template of the model's family where the checkpoint has none, as base models have; it is named by the family.
    ///
    /// Nothing changes where the family is not known, or its template writes tokens that the vocabulary lacks.
    #[must_use]
    pub fn with_family_template(self) -> Self {
        if self.chat_template.is_some() {
            return self;
        }
        match self.family_template() {
            Some(template) => self.with_chat_template(template),
            None => self,
        }
    }

    fn family_template(&self) -> Option<ChatTemplate> {
        let model_type = self.model_type.as_deref()?;
        let known = families::tokens(model_type).iter().all(|token| self.inner.token_to_id(token).is_some());
        if known { family(model_type) } else { None }
    }

    /// Settles where system messages stand, for the chat template as it is now; `tokenizer_config.json` keeps it under `system_placement`.
    ///
    /// # Errors
    /// No template, or [`System::Refuse`] and one that takes no system message.
    pub fn with_system(mut self, system: System) -> Result<Self, TokenizerError> {
        let template = self.chat_template.as_ref().ok_or(TokenizerError::NoTemplate)?;
        self.placement = system.settle(template, &self.with_special_tokens(Variables::default()).others)?;
        if let Some(config) = self.config.as_object_mut() {
            config.insert("system_placement".into(), self.placement.name().into());
        }
        Ok(self)
    }

    /// Returns where system messages stand.
    #[must_use]
    pub fn placement(&self) -> Placement {
        self.placement
    }

    /// Returns the tokens that end an answer: the end token, those of `generation_config.json`, and the one that the chat template puts
    /// behind what the assistant says.
    #[must_use]
    pub fn stops(&self) -> Vec<u32> {
        let special = self.inner.get_added_tokens_decoder();
        let turn = self.render_completion(&[Message::new("assistant", "A")]).unwrap_or_default();
        let behind = turn.into_iter().find(|id| special.get(id).is_some_and(|token| token.special));
        let mut stops: Vec<u32> = self.end().into_iter().chain(self.stops.iter().copied()).chain(behind).collect();
        stops.sort_unstable();
        stops.dedup();
        stops
    }

    /// Reads special tokens as text wherever users spell them: a question must not end its own turn. transformers does so where it is
    /// asked for, TRL never; rows that spell none come out the same.
    #[must_use]
    pub fn with_sanitized_control_tokens(mut self) -> Self {
        let mut tokens: Vec<String> = self
            .inner
            .get_added_tokens_decoder()
            .into_values()
            .filter(|token| token.special)
            .map(|token| token.content)
            .collect();
        tokens.sort_by(|left, right| right.len().cmp(&left.len()).then_with(|| left.cmp(right)));
        let tokens: Vec<String> = tokens.iter().map(|token| regex::escape(token)).collect();
        self.control = (!tokens.is_empty()).then(|| Regex::new(&tokens.join("|")).expect("escaped tokens are a pattern"));
        self
    }

    /// Returns the ids of a text, nothing added to it.
    ///
    /// # Errors
    /// What the library refuses.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>, TokenizerError> {
        let tokenizer = if self.control.is_some() { self.plain() } else { &self.inner };
        library(|| Ok(tokenizer.encode_fast(text, false)?.get_ids().to_vec()))
    }

    /// Returns the ids of a text with the special tokens that belong around it.
    ///
    /// # Errors
    /// What the library refuses.
    pub fn encode_with_special(&self, text: &str) -> Result<Vec<u32>, TokenizerError> {
        library(|| Ok(self.inner.encode_fast(text, true)?.get_ids().to_vec()))
    }

    /// Returns the text of ids, special tokens left out.
    ///
    /// # Errors
    /// What the library refuses.
    pub fn decode(&self, ids: &[u32]) -> Result<String, TokenizerError> {
        Ok(self.cleaned(library(|| self.inner.decode(ids, true))?))
    }

    /// Returns the text of ids, special tokens included.
    ///
    /// # Errors
    /// What the library refuses.
    pub fn decode_with_special(&self, ids: &[u32]) -> Result<String, TokenizerError> {
        Ok(self.cleaned(library(|| self.inner.decode(ids, false))?))
    }

    fn plain(&self) -> &tokenizers::Tokenizer {
        self.plain.get_or_init(|| {
            let mut plain = self.inner.clone();
            plain.set_encode_special_tokens(true);
            plain
        })
    }

    /// Takes spaces before punctuation out, where the folder asks for it and the tokenizer is one that puts them in: byte-pair encoding
    /// keeps the text's own spaces.
    fn cleaned(&self, text: String) -> String {
        let asked = self.config.get("clean_up_tokenization_spaces").and_then(serde_json::Value::as_bool).unwrap_or(false);
        if !asked || matches!(self.inner.get_model(), tokenizers::ModelWrapper::BPE(_)) {
            return text;
        }
        let pairs = [
            (" .", "."),
            (" ?", "?"),
            (" !", "!"),
            (" ,", ","),
            (" ' ", "'"),
            (" n't", "n't"),
            (" 'm", "'m"),
            (" 's", "'s"),
            (" 've", "'ve"),
            (" 're", "'re"),
        ];
        pairs.into_iter().fold(text, |text, (spaced, joined)| text.replace(spaced, joined))
    }
}

#[cfg(test)]
mod tests;
