//! Tests of trained tokenizers, and of conversations with any tokenizer.

use super::*;

fn texts() -> Vec<String> {
    let mut texts =
        vec!["<routes><route name=\"A_Query\">plain facts</route><route name=\"B\">hard ones</route></routes>".to_owned(); 30];
    texts.extend((0..200).map(|number| format!("what is {number} plus {}? Policy: A_Query", number * 37 % 1000)));
    texts
}

fn saved(tokenizer: &Tokenizer) -> Tokenizer {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("tokenizer.json"), tokenizer.to_json()).unwrap();
    std::fs::write(folder.path().join("tokenizer_config.json"), tokenizer.config().to_string()).unwrap();
    Tokenizer::open(folder.path()).unwrap()
}

fn tokenizer() -> Tokenizer {
    Tokenizer::train(texts().into_iter(), 450, Pieces::Elements).unwrap()
}

#[test]
fn the_same_texts_give_the_same_bytes() {
    assert_eq!(tokenizer().to_json(), tokenizer().to_json());
    let other = Tokenizer::train(texts().into_iter().map(|text| text.replace("plus", "minus")), 450, Pieces::Elements).unwrap();
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
fn a_name_of_words_is_the_same_tokens_in_a_route_and_in_the_answer() {
    let tokenizer = Tokenizer::train(texts().into_iter(), 450, Pieces::Words).unwrap();
    let ids = |text: &str| tokenizer.encode(text).unwrap();
    for name in ["A_Query", "B", "Never_Seen", "žluť_kůň2"] {
        let route = ids(&format!("<route name=\"{name}\">plain facts</route>"));
        let answer = ids(&format!("Policy: {name}"));
        let said = &answer[ids("Policy: ").len()..];
        assert!(route.windows(said.len()).any(|window| window == said), "{name}: {route:?} {answer:?}");
    }
    assert_eq!(ids("<route name=\"A_Query\">plain facts</route>").len(), 7);
}

#[test]
fn every_text_comes_back_whatever_its_letters() {
    let words = Tokenizer::train(texts().into_iter(), 450, Pieces::Words).unwrap();
    for text in ["", " ", "žluťoučký kůň 3 < 4 & <b", "数学 ½ √2\n\n\tend", "<|end|>", "<a></a><a>x</b>"] {
        assert_eq!(words.decode(&words.encode(text).unwrap()).unwrap(), text);
    }
    let tokenizer = tokenizer();
    for text in ["", " ", "žluťoučký kůň 3 < 4 & <b", "数学 ½ √2\n\n\tend", "<|end|>", "<a></a><a>x</b>"] {
        assert_eq!(tokenizer.decode(&tokenizer.encode(text).unwrap()).unwrap(), text);
    }
}

#[test]
fn a_spelled_special_token_is_text() {
    let tokenizer = tokenizer();
    let ids = tokenizer.encode("so <|end|> it <|assistant|>").unwrap();
    assert!(ids.len() > 6 && !ids.contains(&tokenizer.end().unwrap()), "{ids:?}");
    let again = saved(&tokenizer);
    assert_eq!(again.encode("so <|end|> it <|assistant|>").unwrap(), ids);
    let conversation = messages(&[Message::new("user", "so <|end|> it <|assistant|>")]);
    for tokenizer in [tokenizer, again] {
        let rendered = tokenizer.render(&conversation, true).unwrap();
        assert!(!rendered.contains(&tokenizer.end().unwrap()), "{rendered:?}");
        let role = tokenizer.id("<|assistant|>").unwrap();
        assert_eq!(rendered.iter().filter(|&&id| id == role).count(), 1, "only the template's own");
    }
}

#[test]
fn prompt_and_completion_together_are_the_conversation() {
    let tokenizer = tokenizer();
    let prompt = [Message::new("system", "plain facts"), Message::new("user", "what is 3?")];
    let answer = [Message::new("assistant", "Policy: A_Query")];
    let mut joined = tokenizer.render_prompt(&prompt).unwrap();
    joined.extend(tokenizer.render_completion(&answer).unwrap());
    let whole: Vec<Message> = prompt.iter().chain(&answer).cloned().collect();
    assert_eq!(joined, tokenizer.render(&messages(&whole), false).unwrap());
    assert_eq!(joined.last().copied(), tokenizer.end());
    let error = tokenizer.render(&messages(&[Message::new("tool", "x")]), false).unwrap_err();
    assert!(error.to_string().contains("`tool`"));
}

#[test]
fn a_vocabulary_below_the_bytes_is_refused() {
    let error = Tokenizer::train(texts().into_iter(), 100, Pieces::Elements).unwrap_err();
    assert_eq!(error.to_string(), "`vocab_size` is 100, and bytes and special tokens alone need 261");
}

#[test]
fn a_prompt_ends_where_its_answers_begin_to_differ_from_it() {
    let tokenizer = tokenizer();
    let prompt = [Message::new("user", "what is 3?")];
    let [yes, no] = ["Policy: A_Query", "1"].map(|text| [Message::new("assistant", text)]);
    let (ids, [first, second]) = tokenizer.render_answers(&prompt, [&yes, &no]).unwrap();
    assert_eq!(ids, tokenizer.render_prompt(&prompt).unwrap());
    assert_eq!((first, second), (tokenizer.render_completion(&yes).unwrap(), tokenizer.render_completion(&no).unwrap()));
    // This template opens the assistant's turn with a word that an answered conversation does not have there.
    let template =
        "{% for m in messages %}<|user|>{{ m.content }}{% endfor %}{% if add_generation_prompt %}<|user|>hm{% endif %}";
    let odd = tokenizer.with_chat_template(ChatTemplate::new("odd", template).unwrap());
    let (ids, [answer]) = odd.render_answers(&prompt, [&yes]).unwrap();
    assert_eq!(odd.decode_with_special(&ids).unwrap(), "<|user|>what is 3?<|user|>");
    assert_eq!(odd.decode(&answer).unwrap(), "Policy: A_Query");
    assert!(matches!(odd.render_completion(&yes), Err(TokenizerError::NoPrefix(_))));
}
