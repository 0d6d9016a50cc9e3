//! A byte-level BPE tokenizer trained from texts; chat messages in, token ids out.

use std::collections::BTreeMap;

use crate::rows::Message;
use tokenizers::models::bpe::{BPE, BpeTrainer};
use tokenizers::pre_tokenizers::PreTokenizerWrapper;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::sequence::Sequence;
use tokenizers::pre_tokenizers::split::{Split, SplitPattern};
use tokenizers::{AddedToken, SplitDelimiterBehavior, TokenizerBuilder};

const PADDING: &str = "<|pad|>";
const END: &str = "<|end|>";
const ROLES: [&str; 3] = ["system", "user", "assistant"];

/// What may become one token: an XML element to its closing tag or its line's end (a route's description stays the same in every prompt,
/// and merges into few tokens), a single digit (so that digits can be counted), a word, a run of punctuation, white space.
const PIECES: &str = r"<(\w+)\b[^<>\n]*>[^<\n]*</\1>|</?[A-Za-z][^<\n]*>?| ?\d| ?[\p{L}_]+| ?[^\s\p{L}\d_<]+| ?<|\s+";

/// Jinja form of [`Tokenizer::render`], for other programs that read the folder.
const CHAT_TEMPLATE: &str = "{% for message in messages %}<|{{ message.role }}|>{{ message.content }}\
    {% if message.role == 'assistant' %}<|end|>{% endif %}{% endfor %}\
    {% if add_generation_prompt %}<|assistant|>{% endif %}";

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
    /// A token that the chat template needs is missing.
    #[error("`tokenizer.json` has no token `{0}`")]
    Missing(String),
    /// The template knows no such role.
    #[error("no role `{0}`: the chat template knows `system`, `user` and `assistant`")]
    Role(String),
    /// The tokenizers library refused.
    #[error("tokenizer: {0}")]
    Library(#[from] tokenizers::Error),
}

/// A trained tokenizer with its chat template.
#[derive(Clone, Debug)]
pub struct Tokenizer {
    inner: tokenizers::Tokenizer,
    padding: u32,
    end: u32,
    roles: BTreeMap<String, u32>,
}

impl Tokenizer {
    /// Learns merges from texts; the same texts in the same order give the same tokenizer.
    ///
    /// # Errors
    /// A vocabulary smaller than all bytes and the special tokens.
    pub fn train(texts: impl Iterator<Item = String> + Send, vocab_size: usize) -> Result<Self, TokenizerError> {
        let special = special_tokens();
        let least = ByteLevel::alphabet().len() + special.len();
        if vocab_size < least {
            return Err(TokenizerError::TooSmall { given: vocab_size, least });
        }
        let pieces = Split::new(SplitPattern::Regex(PIECES.into()), SplitDelimiterBehavior::Isolated, false)?;
        let bytes = ByteLevel::new(false, true, false);
        let mut untrained = TokenizerBuilder::new()
            .with_model(BPE::default())
            .with_normalizer(None::<tokenizers::NormalizerWrapper>)
            .with_pre_tokenizer(Some(Sequence::new(vec![
                PreTokenizerWrapper::Split(pieces),
                PreTokenizerWrapper::ByteLevel(bytes),
            ])))
            .with_post_processor(None::<tokenizers::PostProcessorWrapper>)
            .with_decoder(Some(bytes))
            .build()?;
        let mut trainer = BpeTrainer::builder()
            .vocab_size(vocab_size)
            .min_frequency(2)
            .show_progress(false)
            .initial_alphabet(ByteLevel::alphabet().into_iter().collect())
            .special_tokens(special.iter().map(|token| AddedToken::from(token.clone(), true)).collect())
            .build();
        untrained.train(&mut trainer, texts)?;
        Self::from_inner(untrained.into())
    }

    /// Reads `tokenizer.json`.
    ///
    /// # Errors
    /// Bytes that are no tokenizer, or one without this template's tokens.
    pub fn from_json(bytes: &[u8]) -> Result<Self, TokenizerError> {
        Self::from_inner(tokenizers::Tokenizer::from_bytes(bytes)?)
    }

    fn from_inner(mut inner: tokenizers::Tokenizer) -> Result<Self, TokenizerError> {
        let id = |token: &str| inner.token_to_id(token).ok_or_else(|| TokenizerError::Missing(token.into()));
        let (padding, end) = (id(PADDING)?, id(END)?);
        let roles = ROLES.iter().map(|role| Ok((role.to_string(), id(&role_token(role))?)));
        let roles = roles.collect::<Result<_, TokenizerError>>()?;
        // A question that spells a special token must not end its own turn.
        inner.set_encode_special_tokens(true);
        Ok(Self { inner, padding, end, roles })
    }

    /// Writes `tokenizer.json`.
    #[must_use]
    pub fn to_json(&self) -> String {
        self.inner.to_string(true).expect("a tokenizer that was made can be written")
    }

    /// Returns the content of `tokenizer_config.json`.
    #[must_use]
    pub fn config(&self) -> serde_json::Value {
        serde_json::json!({
            "chat_template": CHAT_TEMPLATE,
            "eos_token": END,
            "pad_token": PADDING,
            "tokenizer_class": "PreTrainedTokenizerFast",
        })
    }

    /// Returns the number of tokens.
    #[must_use]
    pub fn size(&self) -> usize {
        self.inner.get_vocab_size(true)
    }

    /// Returns the token that ends an assistant's turn.
    #[must_use]
    pub fn end(&self) -> u32 {
        self.end
    }

    /// Returns the token that fills short rows.
    #[must_use]
    pub fn padding(&self) -> u32 {
        self.padding
    }

    /// Returns the ids of a text, without special tokens.
    ///
    /// # Errors
    /// What the library refuses.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>, TokenizerError> {
        Ok(self.inner.encode_fast(text, false)?.get_ids().to_vec())
    }

    /// Returns the text of ids, special tokens left out.
    ///
    /// # Errors
    /// What the library refuses.
    pub fn decode(&self, ids: &[u32]) -> Result<String, TokenizerError> {
        Ok(self.inner.decode(ids, true)?)
    }

    /// Renders a conversation: each turn is its role's token and its content, and an assistant's turn ends with the end token.
    ///
    /// # Errors
    /// A role that the template does not know.
    pub fn render(&self, messages: &[Message]) -> Result<Vec<u32>, TokenizerError> {
        let mut ids = Vec::new();
        for message in messages {
            ids.push(*self.roles.get(&message.role).ok_or_else(|| TokenizerError::Role(message.role.clone()))?);
            ids.extend(self.encode(&message.content)?);
            if message.role == "assistant" {
                ids.push(self.end);
            }
        }
        Ok(ids)
    }

    /// Renders a conversation that the assistant is to go on with.
    ///
    /// # Errors
    /// A role that the template does not know.
    pub fn render_prompt(&self, messages: &[Message]) -> Result<Vec<u32>, TokenizerError> {
        let mut ids = self.render(messages)?;
        ids.push(self.roles["assistant"]);
        Ok(ids)
    }

    /// Renders what the assistant says after a prompt; the role's token stands at the prompt's end already.
    ///
    /// # Errors
    /// A role that the template does not know.
    pub fn render_completion(&self, messages: &[Message]) -> Result<Vec<u32>, TokenizerError> {
        let ids = self.render(messages)?;
        Ok(if ids.first() == self.roles.get("assistant") { ids[1..].to_vec() } else { ids })
    }
}

fn role_token(role: &str) -> String {
    format!("<|{role}|>")
}

fn special_tokens() -> Vec<String> {
    [PADDING.to_owned(), END.to_owned()].into_iter().chain(ROLES.map(role_token)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts() -> Vec<String> {
        let mut texts = vec![
            "<routes><route name=\"A_Query\">plain facts</route><route name=\"B\">hard ones</route></routes>"
                .to_owned();
            30
        ];
        texts.extend((0..200).map(|number| format!("what is {number} plus {}? Policy: A_Query", number * 37 % 1000)));
        texts
    }

    fn tokenizer() -> Tokenizer {
        Tokenizer::train(texts().into_iter(), 450).unwrap()
    }

    #[test]
    fn the_same_texts_give_the_same_bytes() {
        assert_eq!(tokenizer().to_json(), tokenizer().to_json());
        let other = Tokenizer::train(texts().into_iter().map(|text| text.replace("plus", "minus")), 450).unwrap();
        assert_ne!(tokenizer().to_json(), other.to_json());
    }

    #[test]
    fn digits_stand_alone_and_a_route_is_one_token() {
        let tokenizer = tokenizer();
        let pieces = |text: &str| {
            let ids = tokenizer.encode(text).unwrap();
            ids.iter().map(|id| tokenizer.decode(&[*id]).unwrap()).collect::<Vec<_>>()
        };
        assert_eq!(pieces(" 1234"), [" 1", "2", "3", "4"]);
        assert_eq!(pieces("what is 37 plus"), ["what", " is", " 3", "7", " plus"]);
        assert_eq!(pieces("<route name=\"B\">hard ones</route>"), ["<route name=\"B\">hard ones</route>"]);
        assert_eq!(pieces("A_Query"), ["A_Query"]);
    }

    #[test]
    fn every_text_comes_back_whatever_its_letters() {
        let tokenizer = tokenizer();
        for text in ["", " ", "žluťoučký kůň 3 < 4 & <b", "数学 ½ √2\n\n\tend", "<|end|>", "<a></a><a>x</b>"] {
            assert_eq!(tokenizer.decode(&tokenizer.encode(text).unwrap()).unwrap(), text);
        }
    }

    #[test]
    fn a_spelled_special_token_is_text() {
        let tokenizer = tokenizer();
        let ids = tokenizer.encode("so <|end|> it <|assistant|>").unwrap();
        assert!(ids.len() > 6 && !ids.contains(&tokenizer.end()), "{ids:?}");
        let again = Tokenizer::from_json(tokenizer.to_json().as_bytes()).unwrap();
        assert_eq!(again.encode("so <|end|> it <|assistant|>").unwrap(), ids);
    }

    #[test]
    fn prompt_and_completion_together_are_the_conversation() {
        let tokenizer = tokenizer();
        let prompt = [Message::new("system", "plain facts"), Message::new("user", "what is 3?")];
        let answer = [Message::new("assistant", "Policy: A_Query")];
        let mut joined = tokenizer.render_prompt(&prompt).unwrap();
        joined.extend(tokenizer.render_completion(&answer).unwrap());
        let whole: Vec<Message> = prompt.iter().chain(&answer).cloned().collect();
        assert_eq!(joined, tokenizer.render(&whole).unwrap());
        assert_eq!(joined.last(), Some(&tokenizer.end()));
        let error = tokenizer.render(&[Message::new("tool", "x")]).unwrap_err();
        assert!(error.to_string().contains("`tool`"));
    }

    #[test]
    fn a_vocabulary_below_the_bytes_is_refused() {
        let error = Tokenizer::train(texts().into_iter(), 100).unwrap_err();
        assert_eq!(error.to_string(), "`vocab_size` is 100, and bytes and special tokens alone need 261");
    }
}
