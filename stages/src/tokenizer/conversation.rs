//! Conversations as token ids. Takes conversations; gives the ids of the chat template's text, with the template's special tokens and not those
//! that users spell.

use minijinja::{
    Value,
    value::{DynObject, ValueKind},
};
use regex::Regex;

use super::{ChatTemplate, Tokenizer, TokenizerError, Variables, library, messages};
use crate::rows::Message;

/// Marks around control tokens in what users wrote, so that they are tokenised as text.
const CONTROL: [char; 2] = ['\u{F0000}', '\u{F0001}'];

impl Tokenizer {
    /// Returns the ids of a conversation. With `add_generation_prompt`, they end with the beginning of the assistant's turn.
    ///
    /// # Errors
    /// There is no template, or it refuses the conversation.
    pub fn render(&self, messages: &[Value], add_generation_prompt: bool) -> Result<Vec<u32>, TokenizerError> {
        self.render_variables(Variables { messages: messages.to_vec(), add_generation_prompt, ..Variables::default() })
    }

    /// Returns the ids of a conversation, given as all variables of a template.
    ///
    /// # Errors
    /// As [`Self::render`].
    pub fn render_variables(&self, variables: Variables) -> Result<Vec<u32>, TokenizerError> {
        self.encode_rendered(&self.render_text(variables)?)
    }

    /// Returns the text of a conversation, in the form that [`Self::encode_rendered`] takes.
    ///
    /// # Errors
    /// As [`Self::render`].
    pub fn render_text(&self, variables: Variables) -> Result<String, TokenizerError> {
        let template = self.template_for(&variables)?;
        let variables = self.with_special_tokens(variables);
        let Some(control) = &self.control else { return Ok(template.render(&variables)?) };
        let messages = variables.messages.iter().map(|message| marked(message, control)).collect();
        Ok(template.render(&Variables { messages, ..variables })?)
    }

    /// Returns the ids of a rendered text, or of a beginning of it. Special tokens that users spelled are text, and none is added around it.
    ///
    /// # Errors
    /// The library's error.
    pub fn encode_rendered(&self, text: &str) -> Result<Vec<u32>, TokenizerError> {
        if self.control.is_some() {
            self.encode_marked(text)
        } else {
            library(|| Ok(self.inner.encode_fast(text, false)?.get_ids().to_vec()))
        }
    }

    /// Returns the ids of a conversation, and for each whether the assistant wrote it.
    ///
    /// A template without `{% generation %}` blocks will do if the family's template, which has them, writes the same text.
    ///
    /// # Errors
    /// There is no template, it does not mark what the assistant wrote, or it refuses the conversation.
    pub fn render_with_mask(&self, variables: Variables) -> Result<(Vec<u32>, Vec<bool>), TokenizerError> {
        let template = self.template_for(&variables)?;
        let variables = self.with_special_tokens(variables);
        let (text, mut ranges) = template.render_with_generation(&variables)?;
        if !template.has_generation() {
            let own = self.family_template().and_then(|family| family.render_with_generation(&variables).ok());
            let told = own.filter(|(same, _)| *same == text);
            ranges = told.ok_or_else(|| TokenizerError::NoGeneration(template.name().to_owned()))?.1;
        }
        let encoding = library(|| self.inner.encode_char_offsets(text, false))?;
        let ids = encoding.get_ids().to_vec();
        let mut mask = vec![false; ids.len()];
        for range in ranges.into_iter().filter(|range| !range.is_empty()) {
            let Some(start) = encoding.char_to_token(range.start, 0) else { break };
            let end = encoding.char_to_token(range.end - 1, 0).map_or(ids.len(), |last| last + 1);
            mask.iter_mut().take(end).skip(start).for_each(|assistant| *assistant = true);
        }
        Ok((ids, mask))
    }

    /// Returns the ids of a prompt, which end with the beginning of the assistant's turn.
    ///
    /// # Errors
    /// As [`Self::render`].
    pub fn render_prompt(&self, prompt: &[Message]) -> Result<Vec<u32>, TokenizerError> {
        self.render(&messages(prompt), true)
    }

    /// Returns the ids that a prompt and its answers have in common, and the ids with which each answer continues them.
    ///
    /// Rows are split as in TRL: a prompt ends where its ids and those of the answered conversation differ.
    ///
    /// # Errors
    /// As [`Self::render`].
    pub fn render_answers<const N: usize>(
        &self,
        prompt: &[Message],
        answers: [&[Message]; N],
    ) -> Result<(Vec<u32>, [Vec<u32>; N]), TokenizerError> {
        let mut opened = self.render_prompt(prompt)?;
        let mut whole = [const { Vec::new() }; N];
        for (ids, answer) in whole.iter_mut().zip(answers) {
            *ids = self.render(&messages(prompt.iter().chain(answer)), false)?;
            let alike = opened.iter().zip(ids.iter()).take_while(|(left, right)| left == right).count();
            opened.truncate(alike);
        }
        let answers = whole.map(|ids| ids[opened.len()..].to_vec());
        Ok((opened, answers))
    }

    /// Returns the ids of what the assistant says after a prompt, whatever the prompt is.
    ///
    /// # Errors
    /// There is no template, it refuses the conversation, or it writes a prompt otherwise once the prompt is answered.
    pub fn render_completion(&self, completion: &[Message]) -> Result<Vec<u32>, TokenizerError> {
        let question = [Message::new("user", "?")];
        let prompt = self.render_prompt(&question)?;
        let whole = self.render(&messages(question.iter().chain(completion)), false)?;
        match whole.strip_prefix(prompt.as_slice()) {
            Some(completion) => Ok(completion.to_vec()),
            None => Err(TokenizerError::NoPrefix(self.chat_template.as_ref().map_or("", ChatTemplate::name).to_owned())),
        }
    }

    fn template_for(&self, variables: &Variables) -> Result<&ChatTemplate, TokenizerError> {
        let tools = self.tool_template.as_ref().filter(|_| variables.tools.is_some());
        tools.or(self.chat_template.as_ref()).ok_or(TokenizerError::NoTemplate)
    }

    /// Adds the special tokens by their names, unless the caller gives such variables, and puts the system message in its place.
    pub(super) fn with_special_tokens(&self, mut variables: Variables) -> Variables {
        variables.messages = self.placement.place(variables.messages);
        let tokens = self.special.iter().map(|(name, token)| (name.clone(), Value::from(token)));
        variables.others = tokens.chain(variables.others).collect();
        variables
    }

    /// Encodes a rendered text in which [`marked`] has marked the control tokens that users spelled. Only these are encoded as text.
    ///
    /// Each piece is encoded after a newline, whose ids are removed again, since some tokenizers put a space before the first word of a text.
    fn encode_marked(&self, text: &str) -> Result<Vec<u32>, TokenizerError> {
        let newline = library(|| self.inner.encode_fast("\n", false))?.get_ids().to_vec();
        let mut ids = Vec::new();
        let mut spelled = false;
        for (place, piece) in text.split(CONTROL).enumerate() {
            let tokenizer = if spelled { self.plain() } else { &self.inner };
            spelled = !spelled;
            if place == 0 {
                ids.extend(library(|| tokenizer.encode_fast(piece, false))?.get_ids());
            } else if !piece.is_empty() {
                let encoding = library(|| tokenizer.encode_fast(format!("\n{piece}"), false))?;
                match encoding.get_ids().strip_prefix(newline.as_slice()) {
                    Some(found) => ids.extend(found),
                    None => ids.extend(library(|| tokenizer.encode_fast(piece, false))?.get_ids()),
                }
            }
        }
        Ok(ids)
    }
}

/// Marks the control tokens in a message's strings.
fn marked(message: &Value, control: &Regex) -> Value {
    match message.kind() {
        ValueKind::String => {
            let text = message.as_str().unwrap_or_default().replace(CONTROL, "");
            let [begin, end] = CONTROL;
            Value::from(control.replace_all(&text, format!("{begin}${{0}}{end}")).into_owned())
        }
        ValueKind::Seq => message.try_iter().into_iter().flatten().map(|item| marked(&item, control)).collect(),
        ValueKind::Map => {
            let entries = message.as_object().and_then(DynObject::try_iter_pairs).into_iter().flatten();
            // The template compares a role with words, so it must stay as it is.
            Value::from_pairs(entries.map(|(key, value)| {
                let value = if key.as_str() == Some("role") { value } else { marked(&value, control) };
                (key, value)
            }))
        }
        _ => message.clone(),
    }
}
