//! Tests of folders in the published form, built from a tokenizer that is trained on a few texts.

use serde_json::json;

use super::*;
use crate::{
    rows::Message,
    tokenizer::{Pieces, Placement, System, Variables, messages},
};

struct Folder(tempfile::TempDir);

impl Folder {
    /// Makes a folder with a `tokenizer.json` that has the tokens of `ChatML`, and with no other file.
    fn new() -> Self {
        let texts = ["what is 3 plus 4? Policy: A"; 40].into_iter().map(str::to_owned);
        let mut inner = Tokenizer::train(texts, 300, Pieces::Elements).unwrap().inner;
        inner.add_special_tokens(&["<|im_start|>", "<|im_end|>"].map(|token| AddedToken::from(token, true)));
        let folder = Self(tempfile::tempdir().unwrap());
        folder.write("tokenizer.json", &inner.to_string(false).unwrap())
    }

    fn write(self, name: &str, text: &str) -> Self {
        std::fs::write(self.0.path().join(name), text).unwrap();
        self
    }

    fn json(self, name: &str, value: &Value) -> Self {
        self.write(name, &value.to_string())
    }

    fn open(&self) -> Result<Tokenizer, TokenizerError> {
        Tokenizer::open(self.0.path())
    }
}

fn rendered(tokenizer: &Tokenizer) -> String {
    let conversation = [Message::new("user", "3"), Message::new("assistant", "4")];
    tokenizer.decode_with_special(&tokenizer.render(&messages(&conversation), false).unwrap()).unwrap()
}

#[test]
fn a_template_is_found_wherever_checkpoints_keep_theirs() {
    let own = |name: &str| format!("{name}{{{{ messages[0].content }}}}");
    let file = || Folder::new().write("chat_template.jinja", &own("file"));
    assert_eq!(rendered(&file().open().unwrap()), "file3");
    let config = json!({ "chat_template": own("config") });
    assert_eq!(rendered(&Folder::new().json("tokenizer_config.json", &config).open().unwrap()), "config3");
    assert_eq!(rendered(&file().json("tokenizer_config.json", &config).open().unwrap()), "file3", "a file of its own wins");
    assert_eq!(rendered(&Folder::new().json("chat_template.json", &config).open().unwrap()), "config3");
    let named =
        json!({ "chat_template": [{ "name": "tool_use", "template": "x" }, { "name": "default", "template": own("named") }] });
    assert_eq!(rendered(&Folder::new().json("tokenizer_config.json", &named).open().unwrap()), "named3");
    let odd = json!({ "chat_template": [{ "name": "tool_use", "template": "x" }] });
    let error = Folder::new().json("tokenizer_config.json", &odd).open().unwrap_err().to_string();
    assert!(error.contains("tokenizer_config.json") && error.contains("`default`"), "{error}");
}

#[test]
fn a_base_model_gets_the_template_of_its_family_where_it_has_the_tokens() {
    let of = |model_type: &str| Folder::new().json("config.json", &json!({ "model_type": model_type })).open().unwrap();
    assert!(of("qwen3").chat_template().is_none(), "only where it is asked for");
    let qwen = of("qwen3").with_family_template();
    assert_eq!(qwen.chat_template().unwrap().name(), "qwen3");
    assert_eq!(rendered(&qwen), "<|im_start|>user\n3<|im_end|>\n<|im_start|>assistant\n4<|im_end|>\n");
    assert!(of("llama").with_family_template().chat_template().is_none(), "its header tokens are not there");
    assert!(matches!(of("llama").render(&[], true), Err(TokenizerError::NoTemplate)));
}

#[test]
fn special_tokens_are_named_by_one_file_or_another() {
    let config = json!({ "eos_token": { "content": "<|im_end|>" } });
    let map = json!({ "eos_token": "<|end|>", "pad_token": "<|pad|>" });
    let generation = json!({ "bos_token_id": 0, "eos_token_id": [1, 2], "pad_token_id": 1 });
    let folder = Folder::new().json("tokenizer_config.json", &config).json("special_tokens_map.json", &map);
    let tokenizer = folder.json("generation_config.json", &generation).open().unwrap();
    assert_eq!(tokenizer.special_text("eos_token"), Some("<|im_end|>"));
    assert_eq!(tokenizer.padding(), tokenizer.id("<|pad|>"));
    assert_eq!(tokenizer.special("bos_token"), Some(0));
    let mut stops = vec![1, 2, tokenizer.id("<|im_end|>").unwrap()];
    stops.sort_unstable();
    assert_eq!(tokenizer.stops(), stops);
    let alone = Folder::new().json("generation_config.json", &generation).open().unwrap();
    assert_eq!((alone.end(), alone.padding()), (Some(1), Some(1)));
    assert_eq!(Folder::new().open().unwrap().end(), None);
}

#[test]
fn a_special_token_that_the_vocabulary_lacks_is_added() {
    let folder = Folder::new().json("tokenizer_config.json", &json!({ "pad_token": "<PADDING>" }));
    let tokenizer = folder.open().unwrap();
    let id = tokenizer.padding().unwrap();
    assert_eq!(tokenizer.encode("3<PADDING>").unwrap().last(), Some(&id));
    assert_eq!(tokenizer.decode(&[id]).unwrap(), "");
}

#[test]
fn the_end_of_a_turn_stops_an_answer() {
    let qwen = Folder::new().json("config.json", &json!({ "model_type": "qwen3" })).open().unwrap().with_family_template();
    assert_eq!(qwen.stops(), [qwen.id("<|im_end|>").unwrap()]);
}

#[test]
fn a_template_without_blocks_is_told_by_the_familys_where_they_write_the_same() {
    let plain = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}";
    let masked = |template: &str| {
        let folder = Folder::new().json("config.json", &json!({ "model_type": "qwen3" })).write("chat_template.jinja", template);
        let tokenizer = folder.open().unwrap();
        let conversation = [Message::new("user", "3"), Message::new("assistant", "4")];
        let variables = Variables { messages: messages(&conversation), ..Variables::default() };
        let (ids, mask) = tokenizer.render_with_mask(variables)?;
        let said: Vec<u32> = ids.into_iter().zip(mask).filter_map(|(id, said)| said.then_some(id)).collect();
        tokenizer.decode_with_special(&said)
    };
    // Jinja removes a newline behind a block tag, so the template's own newlines are written as text.
    let plain = plain.replace("{{ m.role }}\n", "{{ m.role + '\\n' }}").replace("<|im_end|>\n", "{{ '<|im_end|>\\n' }}");
    assert_eq!(masked(&plain).unwrap(), "4<|im_end|>\n");
    let other = plain.replace("<|im_start|>", "<|im_start|> ");
    assert!(matches!(masked(&other), Err(TokenizerError::NoGeneration(_))));
}

#[test]
fn files_that_are_missing_or_damaged_are_named() {
    let empty = tempfile::tempdir().unwrap();
    assert!(Tokenizer::open(empty.path()).unwrap_err().to_string().contains("tokenizer.json"));
    for (name, text) in [("tokenizer.json", "{"), ("tokenizer_config.json", "[]"), ("chat_template.jinja", "{% if %}")] {
        let error = Folder::new().write(name, text).open().unwrap_err().to_string();
        assert!(error.contains(name), "{error}");
    }
}

#[test]
fn text_is_split_as_the_class_says_and_not_as_the_file_does() {
    let pieces = |config: &Value, model_type: &str| {
        let folder =
            Folder::new().json("tokenizer_config.json", config).json("config.json", &json!({ "model_type": model_type }));
        let tokenizer = folder.open().unwrap();
        let ids = tokenizer.encode(": 3").unwrap();
        ids.iter().map(|id| tokenizer.decode(&[*id]).unwrap()).collect::<Vec<_>>()
    };
    let file = pieces(&json!({}), "phi");
    assert_eq!(file, [":", " 3"], "the file keeps a space with a digit");
    // Qwen's class splits off each digit, so the merge of the space with a digit cannot apply.
    assert_eq!(pieces(&json!({}), "qwen2"), [":", " ", "3"]);
    assert_eq!(pieces(&json!({ "tokenizer_class": "Qwen2TokenizerFast" }), "qwen3"), [":", " ", "3"]);
    assert_eq!(pieces(&json!({ "tokenizer_class": "PreTrainedTokenizerFast" }), "qwen3"), file);
}

#[test]
fn where_the_system_message_stands_is_kept_with_the_tokenizer() {
    let folder = Folder::new().json("config.json", &json!({ "model_type": "gemma" }));
    let gemma = crate::tokenizer::family("gemma").unwrap();
    let conversation = messages(&[Message::new("system", "S"), Message::new("user", "3")]);
    let tokenizer = folder.open().unwrap().with_chat_template(gemma);
    assert!(tokenizer.render(&conversation, true).unwrap_err().to_string().contains("role `system`"));
    assert!(tokenizer.clone().with_system(System::Refuse).is_err());
    let placed = tokenizer.with_system(System::Auto).unwrap();
    assert_eq!(placed.placement(), Placement::User);
    let again = folder.json("tokenizer_config.json", &placed.config()).open().unwrap();
    for tokenizer in [placed, again] {
        let text = tokenizer.decode_with_special(&tokenizer.render(&conversation, true).unwrap()).unwrap();
        assert!(text.contains("user\nS\n\n3<end_of_turn>"), "{text}");
    }
    let odd = Folder::new().json("tokenizer_config.json", &json!({ "system_placement": "middle" }));
    assert!(odd.open().unwrap_err().to_string().contains("`system_placement`"));
}

#[test]
fn conversations_with_functions_have_the_template_that_is_listed_for_them() {
    let list = json!({ "chat_template": [
        { "name": "default", "template": "plain" },
        { "name": "tool_use", "template": "{{ tools | length }} tools" },
    ] });
    let text = |tokenizer: &Tokenizer, tools: Option<minijinja::Value>| {
        let variables = Variables { messages: messages(&[Message::new("user", "3")]), tools, ..Variables::default() };
        tokenizer.decode(&tokenizer.render_variables(variables).unwrap()).unwrap()
    };
    let tools = || Some(minijinja::Value::from(vec!["add", "multiply"]));
    let folder = Folder::new().json("tokenizer_config.json", &list);
    let tokenizer = folder.open().unwrap();
    assert_eq!((text(&tokenizer, None), text(&tokenizer, tools())), ("plain".to_owned(), "2 tools".to_owned()));
    let other = tokenizer.with_chat_template(ChatTemplate::new("other", "other").unwrap());
    assert_eq!(text(&other, tools()), "other", "a template that the user gives is for all");
    let filed = folder.write("chat_template.jinja", "file").open().unwrap();
    assert_eq!(text(&filed, tools()), "file");
}
