//! Text and conversations in, token ids out, as transformers' fast tokenizers and chat templates give them.
//!
//! [`Tokenizer::train`] makes one from texts; [`Tokenizer::open`] reads one from a checkpoint's folder. Both render conversations through the
//! Jinja template that the checkpoint carries ([`ChatTemplate`]).

mod chat_template;
mod classes;
mod families;
mod open;
mod python;
mod system;
mod train;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

pub use chat_template::{ChatTemplate, TemplateError, Variables, messages};
pub use families::family;
use minijinja::Value;
use regex::Regex;
pub use system::{Placement, System};

use crate::rows::Message;

/// Around control tokens in what users wrote; they are tokenised as text.
const CONTROL: [char; 2] = ['\u{F0000}', '\u{F0001}'];

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
    /// Finds special tokens in what users wrote, where they shall be text there.
    control: Option<Regex>,
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
        Ok(tokenizer.encode_fast(text, false)?.get_ids().to_vec())
    }

    /// Returns the ids of a text with the special tokens that belong around it.
    ///
    /// # Errors
    /// What the library refuses.
    pub fn encode_with_special(&self, text: &str) -> Result<Vec<u32>, TokenizerError> {
        Ok(self.inner.encode_fast(text, true)?.get_ids().to_vec())
    }

    /// Returns the text of ids, special tokens left out.
    ///
    /// # Errors
    /// What the library refuses.
    pub fn decode(&self, ids: &[u32]) -> Result<String, TokenizerError> {
        Ok(self.cleaned(self.inner.decode(ids, true)?))
    }

    /// Returns the text of ids, special tokens included.
    ///
    /// # Errors
    /// What the library refuses.
    pub fn decode_with_special(&self, ids: &[u32]) -> Result<String, TokenizerError> {
        Ok(self.cleaned(self.inner.decode(ids, false)?))
    }

    /// Returns the ids of a conversation, in the assistant's turn at the end where `add_generation_prompt` says so.
    ///
    /// # Errors
    /// No template, or what it refuses.
    pub fn render(&self, messages: &[Value], add_generation_prompt: bool) -> Result<Vec<u32>, TokenizerError> {
        self.render_variables(Variables { messages: messages.to_vec(), add_generation_prompt, ..Variables::default() })
    }

    /// As [`Self::render`], with all that a template can read.
    ///
    /// # Errors
    /// No template, or what it refuses.
    pub fn render_variables(&self, variables: Variables) -> Result<Vec<u32>, TokenizerError> {
        let template = self.chat_template.as_ref().ok_or(TokenizerError::NoTemplate)?;
        let variables = self.with_special_tokens(variables);
        let Some(control) = &self.control else {
            return Ok(self.inner.encode_fast(template.render(&variables)?, false)?.get_ids().to_vec());
        };
        let messages = variables.messages.iter().map(|message| marked(message, control)).collect();
        self.encode_marked(&template.render(&Variables { messages, ..variables })?)
    }

    /// Returns the ids of a conversation, and for each whether the assistant wrote it.
    ///
    /// A template without `{% generation %}` blocks does where the family's own, which has them, writes the same text.
    ///
    /// # Errors
    /// No template, one that does not tell what the assistant wrote, or what it refuses.
    pub fn render_with_mask(&self, variables: Variables) -> Result<(Vec<u32>, Vec<bool>), TokenizerError> {
        let template = self.chat_template.as_ref().ok_or(TokenizerError::NoTemplate)?;
        let variables = self.with_special_tokens(variables);
        let (text, mut ranges) = template.render_with_generation(&variables)?;
        if !template.has_generation() {
            let own = self.family_template().and_then(|family| family.render_with_generation(&variables).ok());
            let told = own.filter(|(same, _)| *same == text);
            ranges = told.ok_or_else(|| TokenizerError::NoGeneration(template.name().to_owned()))?.1;
        }
        let encoding = self.inner.encode_char_offsets(text, false)?;
        let ids = encoding.get_ids().to_vec();
        let mut mask = vec![false; ids.len()];
        for range in ranges.into_iter().filter(|range| !range.is_empty()) {
            let Some(start) = encoding.char_to_token(range.start, 0) else { break };
            let end = encoding.char_to_token(range.end - 1, 0).map_or(ids.len(), |last| last + 1);
            mask.iter_mut().take(end).skip(start).for_each(|assistant| *assistant = true);
        }
        Ok((ids, mask))
    }

    /// Renders a conversation that the assistant is to go on with.
    ///
    /// # Errors
    /// No template, or what it refuses.
    pub fn render_prompt(&self, prompt: &[Message]) -> Result<Vec<u32>, TokenizerError> {
        self.render(&messages(prompt), true)
    }

    /// Renders what the assistant says after a prompt, whatever the prompt is.
    ///
    /// # Errors
    /// No template, what it refuses, and one that writes a prompt otherwise once it is answered.
    pub fn render_completion(&self, completion: &[Message]) -> Result<Vec<u32>, TokenizerError> {
        let question = [Message::new("user", "?")];
        let prompt = self.render_prompt(&question)?;
        let whole = self.render(&messages(question.iter().chain(completion)), false)?;
        match whole.strip_prefix(prompt.as_slice()) {
            Some(completion) => Ok(completion.to_vec()),
            None => Err(TokenizerError::NoPrefix(self.chat_template.as_ref().map_or("", ChatTemplate::name).to_owned())),
        }
    }

    fn plain(&self) -> &tokenizers::Tokenizer {
        self.plain.get_or_init(|| {
            let mut plain = self.inner.clone();
            plain.set_encode_special_tokens(true);
            plain
        })
    }

    /// Templates read special tokens by their names; what the caller gives wins.
    fn with_special_tokens(&self, mut variables: Variables) -> Variables {
        let tokens = self.special.iter().map(|(name, token)| (name.clone(), Value::from(token)));
        variables.others = tokens.chain(variables.others).collect();
        variables
    }

    /// Encodes a rendered text in which [`marked`] has marked what users spelled: that is text, the rest is not.
    ///
    /// A piece is encoded after a newline, which is taken off again: some tokenizers put a space before the first word of a text.
    fn encode_marked(&self, text: &str) -> Result<Vec<u32>, TokenizerError> {
        let newline = self.inner.encode_fast("\n", false)?.get_ids().to_vec();
        let mut ids = Vec::new();
        let mut spelled = false;
        for (place, piece) in text.split(CONTROL).enumerate() {
            let tokenizer = if spelled { self.plain() } else { &self.inner };
            spelled = !spelled;
            if place == 0 {
                ids.extend(tokenizer.encode_fast(piece, false)?.get_ids());
            } else if !piece.is_empty() {
                let encoding = tokenizer.encode_fast(format!("\n{piece}"), false)?;
                match encoding.get_ids().strip_prefix(newline.as_slice()) {
                    Some(found) => ids.extend(found),
                    None => ids.extend(tokenizer.encode_fast(piece, false)?.get_ids()),
                }
            }
        }
        Ok(ids)
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

/// Marks the control tokens in a message's strings.
fn marked(message: &Value, control: &Regex) -> Value {
    use minijinja::value::{DynObject, ValueKind};
    match message.kind() {
        ValueKind::String => {
            let text = message.as_str().unwrap_or_default().replace(CONTROL, "");
            let [begin, end] = CONTROL;
            Value::from(control.replace_all(&text, format!("{begin}${{0}}{end}")).into_owned())
        }
        ValueKind::Seq => message.try_iter().into_iter().flatten().map(|item| marked(&item, control)).collect(),
        ValueKind::Map => {
            let entries = message.as_object().and_then(DynObject::try_iter_pairs).into_iter().flatten();
            // A role is a word that the template compares, and no text.
            Value::from_pairs(entries.map(|(key, value)| {
                let value = if key.as_str() == Some("role") { value } else { marked(&value, control) };
                (key, value)
            }))
        }
        _ => message.clone(),
    }
}

#[cfg(test)]
mod tests;
