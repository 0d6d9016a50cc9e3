//! Tokenizer classes that transformers builds itself. Takes a tokenizer of `tokenizer.json` and the class that its folder names; gives the
//! tokenizer as the class builds it.
//!
//! Vocabulary and merges are those of `tokenizer.json`, the splitting of a text is the class's. In published folders both are the same, so this
//! matters for folders that were put together by hand, and for the old form of Llama's tokenizer, which puts a space before each piece
//! between special tokens. The rules are those of transformers 5.23's `AutoTokenizer`.

use serde_json::{Map, Value};
use tokenizers::{
    SplitDelimiterBehavior, Tokenizer,
    decoders::{DecoderWrapper, byte_fallback::ByteFallback, fuse::Fuse, strip::Strip},
    models::{ModelWrapper, bpe::BPE},
    normalizers::{NormalizerWrapper, Replace, unicode::NFC},
    pre_tokenizers::{
        PreTokenizerWrapper,
        byte_level::ByteLevel,
        metaspace::{Metaspace, PrependScheme},
        sequence::Sequence,
        split::{Split, SplitPattern},
    },
};

/// The words of Qwen's tokenizers: letters, one digit, punctuation, white space.
const QWEN2_PIECES: &str =
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

/// The character that stands for a space in vocabularies of sentencepiece.
const SPACE: char = '▁';

/// Rebuilds a tokenizer as the class that its folder names does, and adds the names of the special tokens that the class has by default.
///
/// # Errors
/// The library's error.
pub(super) fn rebuild(
    inner: &mut Tokenizer,
    config: &mut Map<String, Value>,
    model_type: Option<&str>,
) -> Result<(), tokenizers::Error> {
    let named = config.get("tokenizer_class").and_then(Value::as_str).map(|class| class.trim_end_matches("Fast"));
    // transformers takes the class that folders of this type name for a mistake, and ignores it.
    let class = if model_type == Some("qwen2") { Some("Qwen2Tokenizer") } else { named };
    let ModelWrapper::BPE(model) = inner.get_model() else { return Ok(()) };
    let model = model.clone();
    let specials: &[(&str, &str)] = match class {
        Some("Qwen2Tokenizer") => {
            qwen2(inner, model)?;
            &[("unk_token", "<|endoftext|>"), ("eos_token", "<|endoftext|>"), ("pad_token", "<|endoftext|>")]
        }
        Some("GPT2Tokenizer" | "CodeGenTokenizer") => {
            gpt2(inner, model, config);
            &[("unk_token", "<|endoftext|>"), ("bos_token", "<|endoftext|>"), ("eos_token", "<|endoftext|>")]
        }
        Some("GemmaTokenizer") => {
            gemma(inner, model, config)?;
            &[
                ("unk_token", "<unk>"),
                ("bos_token", "<bos>"),
                ("eos_token", "<eos>"),
                ("pad_token", "<pad>"),
                ("mask_token", "<mask>"),
            ]
        }
        Some("LlamaTokenizer") if model_type != Some("mistral") && !has_byte_level(inner) => {
            llama(inner, model, config)?;
            &[("unk_token", "<unk>"), ("bos_token", "<s>"), ("eos_token", "</s>")]
        }
        _ => &[],
    };
    for (name, token) in specials {
        if config.get(*name).is_none_or(Value::is_null) {
            config.insert((*name).to_owned(), (*token).into());
        }
    }
    Ok(())
}

fn gpt2(inner: &mut Tokenizer, mut model: BPE, config: &Map<String, Value>) {
    (model.unk_token, model.fuse_unk, model.byte_fallback, model.ignore_merges) = (None, false, false, false);
    let prefix = config.get("add_prefix_space").and_then(Value::as_bool).unwrap_or(false);
    let bytes = ByteLevel::new(prefix, true, true);
    inner.with_model(model);
    inner.with_normalizer(None::<NormalizerWrapper>);
    inner.with_pre_tokenizer(Some(bytes));
    inner.with_decoder(Some(bytes));
}

fn gemma(inner: &mut Tokenizer, mut model: BPE, config: &Map<String, Value>) -> Result<(), tokenizers::Error> {
    let unknown = config.get("unk_token").and_then(super::token_text).unwrap_or("<unk>");
    model.unk_token = Some(unknown.to_owned());
    (model.fuse_unk, model.byte_fallback, model.ignore_merges) = (true, true, false);
    let words = Split::new(SplitPattern::String(" ".into()), SplitDelimiterBehavior::MergedWithPrevious, false)?;
    inner.with_model(model);
    inner.with_normalizer(Some(NormalizerWrapper::Replace(Replace::new(" ", SPACE.to_string())?)));
    inner.with_pre_tokenizer(Some(words));
    inner.with_decoder(Some(tokenizers::decoders::sequence::Sequence::new(spaces_and_bytes()?)));
    Ok(())
}

/// Returns the decoders that turn pieces of sentencepiece's vocabularies back into text.
fn spaces_and_bytes() -> Result<Vec<DecoderWrapper>, tokenizers::Error> {
    Ok(vec![
        DecoderWrapper::Replace(Replace::new(SPACE.to_string(), " ")?),
        DecoderWrapper::ByteFallback(ByteFallback::new()),
        DecoderWrapper::Fuse(Fuse::new()),
    ])
}

fn qwen2(inner: &mut Tokenizer, mut model: BPE) -> Result<(), tokenizers::Error> {
    (model.unk_token, model.fuse_unk, model.byte_fallback, model.ignore_merges) = (None, false, false, false);
    let bytes = ByteLevel::new(false, true, false);
    let pieces = Split::new(SplitPattern::Regex(QWEN2_PIECES.into()), SplitDelimiterBehavior::Isolated, false)?;
    let split = Sequence::new(vec![PreTokenizerWrapper::Split(pieces), PreTokenizerWrapper::ByteLevel(bytes)]);
    inner.with_model(model);
    inner.with_normalizer(Some(NormalizerWrapper::NFC(NFC)));
    inner.with_pre_tokenizer(Some(split));
    inner.with_decoder(Some(bytes));
    Ok(())
}

fn llama(inner: &mut Tokenizer, mut model: BPE, config: &Map<String, Value>) -> Result<(), tokenizers::Error> {
    (model.fuse_unk, model.byte_fallback, model.ignore_merges) = (true, true, false);
    let asked = |name: &str| config.get(name).and_then(Value::as_bool);
    let prefix = asked("add_prefix_space").unwrap_or(true);
    let scheme = match (prefix, asked("legacy").unwrap_or(false)) {
        (false, _) => PrependScheme::Never,
        (true, true) => PrependScheme::Always,
        (true, false) => PrependScheme::First,
    };
    let mut steps = spaces_and_bytes()?;
    if prefix {
        steps.push(DecoderWrapper::Strip(Strip::new(' ', 1, 0)));
    }
    inner.with_model(model);
    inner.with_normalizer(None::<NormalizerWrapper>);
    inner.with_pre_tokenizer(Some(Metaspace::new(SPACE, scheme, false)));
    inner.with_decoder(Some(tokenizers::decoders::sequence::Sequence::new(steps)));
    Ok(())
}

/// Returns whether `tokenizer.json` works on bytes, as Llama 3's does under the old class's name.
fn has_byte_level(inner: &Tokenizer) -> bool {
    let told = |part: serde_json::Result<Value>| part.is_ok_and(|part| part.to_string().contains("ByteLevel"));
    told(serde_json::to_value(inner.get_pre_tokenizer())) || told(serde_json::to_value(inner.get_decoder()))
}
