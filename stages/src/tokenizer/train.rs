//! Trained tokenizers. Takes texts; gives a byte-level BPE tokenizer trained on them, with tokens for the roles of a conversation.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokenizers::{
    AddedToken, SplitDelimiterBehavior, TokenizerBuilder,
    models::bpe::{BPE, BpeTrainer},
    pre_tokenizers::{
        PreTokenizerWrapper,
        byte_level::ByteLevel,
        sequence::Sequence,
        split::{Split, SplitPattern},
    },
};

use super::{Tokenizer, TokenizerError};

const PADDING: &str = "<|pad|>";
const END: &str = "<|end|>";
const ROLES: [&str; 3] = ["system", "user", "assistant"];

/// The largest unit that may become one token.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Pieces {
    /// A whole XML element, else a word: routes that are the same in every prompt take few tokens.
    #[default]
    Elements,
    /// A word, the same wherever it stands: what is new in a prompt can be copied from there.
    Words,
}

impl Pieces {
    fn pattern(self) -> &'static str {
        match self {
            // An XML element to its closing tag or its line's end (a route's description stays the same in every prompt, and merges into
            // few tokens), a single digit (so that digits can be counted), a word, a run of punctuation, white space.
            Self::Elements => r"<(\w+)\b[^<>\n]*>[^<\n]*</\1>|</?[A-Za-z][^<\n]*>?| ?\d| ?[\p{L}_]+| ?[^\s\p{L}\d_<]+| ?<|\s+",
            // A tag up to an attribute's value, a digit, a word, a run of punctuation, white space. A space belongs to what stands before
            // it, so that a name is the same tokens after a quotation mark and after a space.
            Self::Words => r#"</?[A-Za-z]+(?: [A-Za-z]+="|>)?|\d ?|\p{L}+[ _]?|[^\s\p{L}\d<]+ ?|<|\s+"#,
        }
    }
}

/// The chat template of trained tokenizers. A turn is the token of its role and its content; an assistant's turn ends with the end token.
const CHAT_TEMPLATE: &str = "{% for message in messages %}\
    {% if message.role not in ['system', 'user', 'assistant'] %}\
    {{ raise_exception('the roles are `system`, `user` and `assistant`') }}{% endif %}\
    <|{{ message.role }}|>{{ message.content }}\
    {% if message.role == 'assistant' %}<|end|>{% endif %}{% endfor %}\
    {% if add_generation_prompt %}<|assistant|>{% endif %}";

impl Tokenizer {
    /// Trains a tokenizer of `vocab_size` tokens. The same texts in the same order give the same tokenizer.
    ///
    /// # Errors
    /// `vocab_size` is smaller than the number of all bytes and special tokens.
    pub fn train(texts: impl Iterator<Item = String> + Send, vocab_size: usize, pieces: Pieces) -> Result<Self, TokenizerError> {
        let special = special_tokens();
        let least = ByteLevel::alphabet().len() + special.len();
        if vocab_size < least {
            return Err(TokenizerError::TooSmall { given: vocab_size, least });
        }
        let pieces = Split::new(SplitPattern::Regex(pieces.pattern().into()), SplitDelimiterBehavior::Isolated, false)?;
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
        Self::new(untrained.into(), config(), None)
    }
}

/// Returns the content of `tokenizer_config.json`.
fn config() -> Value {
    json!({
        "chat_template": CHAT_TEMPLATE,
        "eos_token": END,
        "pad_token": PADDING,
        // So a question that spells a special token cannot end its own turn.
        "sanitize_control_tokens": true,
        "tokenizer_class": "PreTrainedTokenizerFast",
    })
}

fn special_tokens() -> Vec<String> {
    let roles = ROLES.map(|role| format!("<|{role}|>"));
    [PADDING.to_owned(), END.to_owned()].into_iter().chain(roles).collect()
}
