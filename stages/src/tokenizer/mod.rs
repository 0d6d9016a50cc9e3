//! Tokenizers. Takes texts and conversations; gives token ids, as transformers' fast tokenizers and chat templates give them.
//!
//! Read this file (what a tokenizer has and does) first, then `open` (one from a checkpoint's folder) and `train` (one
//! from texts). `conversation` renders conversations by the checkpoint's Jinja template ([`ChatTemplate`] in `chat_template`, with `message`, the
//! values that it reads, and `python`, the methods that it calls). `families` has templates for base models, `system` the place of the system
//! message. A family's template is added by one file in `templates` and a line in the list of `families`.

mod chat_template;
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

/// Why a tokenizer could not be trained, read or used.
#[derive(Debug, thiserror::Error)]
pub enum TokenizerError {
    /// Training asks for fewer tokens than bytes and special tokens need.
    #[error("`vocab_size` is {given}, and bytes and special tokens alone need {least}")]
    TooSmall {
        /// The `vocab_size` that was asked for.
        given: usize,
        /// The smallest possible one.
        least: usize,
    },
    /// A file of the tokenizer is missing or wrong.
    #[error("`{path}`: {reason}")]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// No file names a special token that is needed.
    #[error("the tokenizer names no `{0}`: `tokenizer_config.json` or `special_tokens_map.json` must")]
    Unnamed(&'static str),
    /// A conversation cannot be rendered without a chat template.
    #[error("the tokenizer has no chat template: give one by `chat_template`")]
    NoTemplate,
    /// The template does not mark which tokens are the assistant's.
    #[error("chat template `{0}` has no `{{% generation %}}` block, which says what the assistant wrote")]
    NoGeneration(String),
    /// The text of an answered conversation does not begin with the text of its prompt.
    #[error("chat template `{0}` writes a prompt otherwise once it is answered")]
    NoPrefix(String),
    /// The chat template refuses a conversation.
    #[error(transparent)]
    Template(#[from] TemplateError),
    /// The tokenizers library refused.
    #[error("tokenizer: {0}")]
    Library(#[from] tokenizers::Error),
}

/// Calls the library, and turns panics into errors. A damaged `tokenizer.json` may make it panic, and at some texts only.
fn library<T>(ask: impl FnOnce() -> tokenizers::Result<T>) -> Result<T, TokenizerError> {
    Ok(guarded(ask).map_err(|reason| TokenizerError::File { path: "tokenizer.json".into(), reason })??)
}

/// A tokenizer with its chat template.
#[derive(Clone, Debug)]
pub struct Tokenizer {
    inner: tokenizers::Tokenizer,
    /// The same tokenizer, which reads special tokens as text. It is made when it is first needed.
    plain: Arc<OnceLock<tokenizers::Tokenizer>>,
    /// The content of `tokenizer_config.json`.
    config: serde_json::Value,
    /// The texts of the special tokens by name: `bos_token`, `eos_token`, ….
    special: BTreeMap<String, String>,
    chat_template: Option<ChatTemplate>,
    /// The template for conversations with functions, if the checkpoint has a separate one for them.
    tool_template: Option<ChatTemplate>,
    /// Matches special tokens in what users wrote, if they are read as text there.
    control: Option<Regex>,
    /// The place of system messages.
    placement: Placement,
    /// The `model_type` of the tokenizer's model.
    model_type: Option<String>,
    /// Further tokens that end a text, from `generation_config.json`.
    stops: Vec<u32>,
}

impl Tokenizer {
    /// Returns the text of `tokenizer.json`.
    #[must_use]
    pub fn to_json(&self) -> String {
        self.inner.to_string(true).expect("a tokenizer that was made can be written")
    }

    /// Returns the content of `tokenizer_config.json`, with the chat template in it.
    #[must_use]
    pub fn config(&self) -> serde_json::Value {
        self.config.clone()
    }

    /// Returns the number of tokens, special tokens included.
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

    /// Returns the end token, which ends a text, and an assistant's turn unless the template has another token for that.
    #[must_use]
    pub fn end(&self) -> Option<u32> {
        self.special("eos_token")
    }

    /// Returns the padding token, which fills short rows, or the end token if there is none.
    #[must_use]
    pub fn padding(&self) -> Option<u32> {
        self.special("pad_token").or_else(|| self.end())
    }

    /// Returns the id of a token by its text.
    #[must_use]
    pub fn id(&self, token: &str) -> Option<u32> {
        self.inner.token_to_id(token)
    }

    /// Returns the chat template, if there is one.
    #[must_use]
    pub fn chat_template(&self) -> Option<&ChatTemplate> {
        self.chat_template.as_ref()
    }

    /// Replaces the chat template. The new one is written into `tokenizer_config.json`.
    #[must_use]
    pub fn with_chat_template(mut self, template: ChatTemplate) -> Self {
        if let Some(config) = self.config.as_object_mut() {
            config.insert("chat_template".into(), template.source().into());
        }
        self.chat_template = Some(template);
        self.tool_template = None;
        self
    }

    /// Adds the template of the model's family, under the family's name, if the checkpoint has no template, as base models have none.
    ///
    /// Nothing changes if the family is unknown, or its template writes tokens that the vocabulary lacks.
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

    /// Decides the place of system messages for the current chat template. `tokenizer_config.json` records it under `system_placement`.
    ///
    /// # Errors
    /// There is no template, or it takes no system message and the setting is [`System::Refuse`].
    pub fn with_system(mut self, system: System) -> Result<Self, TokenizerError> {
        let template = self.chat_template.as_ref().ok_or(TokenizerError::NoTemplate)?;
        self.placement = system.settle(template, &self.with_special_tokens(Variables::default()).others)?;
        if let Some(config) = self.config.as_object_mut() {
            config.insert("system_placement".into(), self.placement.name().into());
        }
        Ok(self)
    }

    /// Returns the place of system messages.
    #[must_use]
    pub fn placement(&self) -> Placement {
        self.placement
    }

    /// Returns the tokens that end an answer: the end token, those of `generation_config.json`, and the one that the chat template writes
    /// after what the assistant says.
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

    /// Reads special tokens as text wherever users spell them, so that a question cannot end its own turn. transformers does so on
    /// request, TRL never. Rows that spell none are not changed.
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

    /// Returns the ids of a text, without special tokens around it.
    ///
    /// # Errors
    /// The library's error.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>, TokenizerError> {
        let tokenizer = if self.control.is_some() { self.plain() } else { &self.inner };
        library(|| Ok(tokenizer.encode_fast(text, false)?.get_ids().to_vec()))
    }

    /// Returns the ids of a text with the special tokens around it.
    ///
    /// # Errors
    /// The library's error.
    pub fn encode_with_special(&self, text: &str) -> Result<Vec<u32>, TokenizerError> {
        library(|| Ok(self.inner.encode_fast(text, true)?.get_ids().to_vec()))
    }

    /// Returns the text of ids, without special tokens.
    ///
    /// # Errors
    /// The library's error.
    pub fn decode(&self, ids: &[u32]) -> Result<String, TokenizerError> {
        Ok(self.cleaned(library(|| self.inner.decode(ids, true))?))
    }

    /// Returns the text of ids, with special tokens.
    ///
    /// # Errors
    /// The library's error.
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

    /// Removes spaces before punctuation, if the folder asks for it (`clean_up_tokenization_spaces`) and the tokenizer adds such spaces:
    /// byte-pair encoding keeps the text's own.
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
