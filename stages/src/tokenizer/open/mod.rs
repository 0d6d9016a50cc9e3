//! Tokenizers of checkpoints. Takes a folder of Hugging Face files; gives a [`Tokenizer`].
//!
//! `tokenizer.json` is the tokenizer itself, including the begin and end tokens around a text. As in transformers, `add_bos_token` and
//! `add_eos_token` are ignored if it exists. `tokenizer_config.json` names special tokens and may contain the chat template;
//! `special_tokens_map.json` and `generation_config.json` add what it leaves out. The model's `config.json` says which model it belongs to, for
//! the classes that transformers builds itself. Read this file first, then `classes`, which builds them; `tests` has the tests.

mod classes;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
};

use serde_json::{Map, Value};
use tokenizers::AddedToken;

use super::{ChatTemplate, Tokenizer, TokenizerError};
use crate::{guarded::guarded, regular::read_regular};

impl Tokenizer {
    /// Opens a folder, or a single `tokenizer.json`.
    ///
    /// # Errors
    /// A file is missing or damaged, or files contradict each other.
    pub fn open(path: &Path) -> Result<Self, TokenizerError> {
        if !path.is_dir() {
            return Self::new(read_tokenizer(path)?, Value::Object(Map::new()), None);
        }
        let mut inner = read_tokenizer(&path.join("tokenizer.json"))?;
        let mut config = read_object(&path.join("tokenizer_config.json"))?.unwrap_or_default();
        for (name, token) in read_object(&path.join("special_tokens_map.json"))?.unwrap_or_default() {
            if config.get(&name).is_none_or(Value::is_null) {
                config.insert(name, token);
            }
        }
        let generation = read_object(&path.join("generation_config.json"))?.unwrap_or_default();
        for name in ["bos_token", "eos_token", "pad_token"] {
            if config.get(name).is_none_or(Value::is_null)
                && let Some(token) = ids(generation.get(&format!("{name}_id"))).first().and_then(|id| inner.id_to_token(*id))
            {
                config.insert(name.to_owned(), token.into());
            }
        }
        let model = read_object(&path.join("config.json"))?.unwrap_or_default();
        classes::rebuild(&mut inner, &mut config, model.get("model_type").and_then(Value::as_str))?;
        let template = read_chat_template(path, &config)?;
        // A template in a file of its own is the only one, whatever the configuration lists.
        let listed = config
            .get("chat_template")
            .filter(|_| !["jinja", "json"].iter().any(|end| path.join(format!("chat_template.{end}")).exists()));
        let tools = listed.and_then(|list| named(list, "tool_use")).map(str::to_owned);
        let mut tokenizer = Self::new(inner, Value::Object(config), template)?;
        tokenizer.model_type = model.get("model_type").and_then(Value::as_str).map(str::to_owned);
        tokenizer.stops = ids(generation.get("eos_token_id"));
        tokenizer.tool_template = tools.map(|text| ChatTemplate::new("tool_use", text)).transpose()?;
        Ok(tokenizer)
    }

    /// Builds a tokenizer. A chat template in a file of its own overrides the one in the configuration.
    pub(super) fn new(
        mut inner: tokenizers::Tokenizer,
        config: Value,
        template: Option<(PathBuf, String)>,
    ) -> Result<Self, TokenizerError> {
        // Batches cut and pad rows themselves, and a file may have truncation or padding left on from its last use.
        inner.with_truncation(None)?;
        inner.with_padding(None);
        let special = special_tokens(&config);
        add_missing(&mut inner, &config, &special);
        let own = config
            .get("chat_template")
            .and_then(Value::as_str)
            .map(|text| (PathBuf::from("tokenizer_config.json"), text.to_owned()));
        let placement = config.get("system_placement").cloned().map(serde_json::from_value).transpose();
        let placement =
            placement.map_err(|error| file(Path::new("tokenizer_config.json"), format!("`system_placement`: {error}")))?;
        let placement = placement.unwrap_or_default();
        let sanitize = config.get("sanitize_control_tokens").and_then(Value::as_bool).unwrap_or(false);
        let tokenizer = Self {
            inner,
            plain: Arc::new(OnceLock::new()),
            config,
            special,
            chat_template: None,
            tool_template: None,
            control: None,
            placement,
            model_type: None,
            stops: Vec::new(),
        };
        let tokenizer = match template.or(own) {
            Some((path, text)) => tokenizer.with_chat_template(ChatTemplate::new(path.display().to_string(), text)?),
            None => tokenizer,
        };
        Ok(if sanitize { tokenizer.with_sanitized_control_tokens() } else { tokenizer })
    }
}

/// Returns the texts of `bos_token`, `eos_token` and the others, which are strings or objects with `content`.
fn special_tokens(config: &Value) -> BTreeMap<String, String> {
    let entries = config.as_object().into_iter().flatten().filter(|(name, _)| name.ends_with("_token"));
    entries.filter_map(|(name, value)| Some((name.clone(), token_text(value)?.to_owned()))).collect()
}

fn token_text(value: &Value) -> Option<&str> {
    value.as_str().or_else(|| value.get("content")?.as_str())
}

/// Adds the special tokens that the configuration names and `tokenizer.json` does not mark as special.
fn add_missing(inner: &mut tokenizers::Tokenizer, config: &Value, special: &BTreeMap<String, String>) {
    let known: Vec<String> = inner.get_added_tokens_decoder().into_values().map(|token| token.content).collect();
    let listed = config.get("added_tokens_decoder").and_then(Value::as_object);
    let mut listed: Vec<(u32, &Value)> =
        listed.into_iter().flatten().filter_map(|(id, token)| Some((id.parse().ok()?, token))).collect();
    listed.sort_by_key(|(id, _)| *id);
    let flag = |token: &Value, name: &str| token.get(name).and_then(Value::as_bool).unwrap_or(false);
    let listed = listed.into_iter().filter_map(|(_, token)| {
        let content = token_text(token)?.to_owned();
        let is_special = flag(token, "special");
        let added = AddedToken::from(content, is_special).lstrip(flag(token, "lstrip")).rstrip(flag(token, "rstrip"));
        Some(added.single_word(flag(token, "single_word")).normalized(flag(token, "normalized")))
    });
    let named = special.values().map(|token| AddedToken::from(token.clone(), true));
    for token in listed.chain(named).filter(|token| !known.contains(&token.content)) {
        inner.add_tokens(&[token]);
    }
}

/// Reads the chat template from one of its places: a file of its own, a JSON file of its own, or a list of named ones in the configuration.
/// [`Tokenizer::new`] reads a single one in the configuration.
fn read_chat_template(folder: &Path, config: &Map<String, Value>) -> Result<Option<(PathBuf, String)>, TokenizerError> {
    let path = folder.join("chat_template.jinja");
    if path.exists() {
        return Ok(Some((path.clone(), read_text(&path)?)));
    }
    let path = folder.join("chat_template.json");
    if let Some(object) = read_object(&path)?
        && let Some(template) = object.get("chat_template")
    {
        return default_template(&path, template).map(Some);
    }
    let path = folder.join("tokenizer_config.json");
    config
        .get("chat_template")
        .filter(|template| template.is_array())
        .map(|template| default_template(&path, template))
        .transpose()
}

/// Returns the template that is a string, or that is named `default` in a list.
fn default_template(path: &Path, template: &Value) -> Result<(PathBuf, String), TokenizerError> {
    let text = template.as_str().or_else(|| named(template, "default"));
    let missing = || file(path, "`chat_template` is neither a text nor a list with one named `default`");
    text.map(|text| (path.to_owned(), text.to_owned())).ok_or_else(missing)
}

/// Returns the template of this name in a list of named ones.
fn named<'a>(list: &'a Value, name: &str) -> Option<&'a str> {
    let of_name = list.as_array()?.iter().find(|entry| entry.get("name").and_then(Value::as_str) == Some(name))?;
    of_name.get("template")?.as_str()
}

/// Returns the ids of a value that is one id or a list of ids.
fn ids(value: Option<&Value>) -> Vec<u32> {
    let Some(value) = value else { return Vec::new() };
    let values = value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
    values.iter().filter_map(|id| u32::try_from(id.as_u64()?).ok()).collect()
}

/// A text for trying a tokenizer, with words, a number, a punctuation mark, a line end and a letter outside of ASCII.
const TRIAL: &str = "Ab c 12.\n\u{17e}";

fn read_tokenizer(path: &Path) -> Result<tokenizers::Tokenizer, TokenizerError> {
    let bytes = read_regular(path).map_err(|error| file(path, error))?;
    // Some damage, such as a template that names a missing token, shows only when a text is encoded.
    let read = guarded(|| {
        let tokenizer = tokenizers::Tokenizer::from_bytes(bytes)?;
        let encoding = tokenizer.encode(TRIAL, true)?;
        tokenizer.decode(encoding.get_ids(), false)?;
        Ok(tokenizer)
    });
    read.map_err(|reason| file(path, reason))?.map_err(|error: tokenizers::Error| file(path, error))
}

/// Reads a JSON object, if the file exists.
fn read_object(path: &Path) -> Result<Option<Map<String, Value>>, TokenizerError> {
    if !path.exists() {
        return Ok(None);
    }
    serde_json::from_str(&read_text(path)?).map(Some).map_err(|error| file(path, error))
}

fn read_text(path: &Path) -> Result<String, TokenizerError> {
    let bytes = read_regular(path).map_err(|error| file(path, error))?;
    String::from_utf8(bytes).map_err(|error| file(path, error))
}

fn file(path: &Path, reason: impl std::fmt::Display) -> TokenizerError {
    TokenizerError::File { path: path.to_owned(), reason: reason.to_string() }
}

#[cfg(test)]
mod tests;
