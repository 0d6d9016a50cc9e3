//! The chat templates that come with the program, for base models, which are published without one. Takes a `model_type`; gives the template
//! of its family.
//!
//! The texts are our own. For the conversations that `sft` and `dpo` train on, they write what the published templates of the families'
//! chat models write. What the assistant says is in `{% generation %}` blocks.

use super::ChatTemplate;

const TURNS: &[&str] = &["<start_of_turn>", "<end_of_turn>"];
const CHATML: &[&str] = &["<|im_start|>", "<|im_end|>"];
const HEADERS: &[&str] = &["<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"];

/// The templates: name, the `model_type`s of `config.json` that it is for, the tokens that it writes, and its text.
const TEMPLATES: [(&str, &[&str], &[&str], &str); 7] = [
    ("gemma", &["gemma", "gemma2"], TURNS, include_str!("templates/gemma.jinja")),
    ("gemma3", &["gemma3", "gemma3_text"], TURNS, include_str!("templates/gemma3.jinja")),
    ("qwen2", &["qwen2"], CHATML, include_str!("templates/qwen2.jinja")),
    ("qwen3", &["qwen3"], CHATML, include_str!("templates/qwen3.jinja")),
    ("llama3", &["llama"], HEADERS, include_str!("templates/llama3.jinja")),
    ("mistral", &["mistral"], &[], include_str!("templates/mistral.jinja")),
    ("phi", &["phi"], &[], include_str!("templates/phi.jinja")),
];

/// Returns the template for models of a `model_type`.
#[must_use]
pub fn family(model_type: &str) -> Option<ChatTemplate> {
    let (name, .., text) = of_type(model_type)?;
    Some(ChatTemplate::new(name, text).expect("templates that come with the program are compiled by a test"))
}

/// Returns the tokens that the template for models of a `model_type` writes. A vocabulary without them belongs to another kind of model.
pub(super) fn tokens(model_type: &str) -> &'static [&'static str] {
    of_type(model_type).map_or(&[], |(_, _, tokens, _)| tokens)
}

fn of_type(model_type: &str) -> Option<(&'static str, &'static [&'static str], &'static [&'static str], &'static str)> {
    TEMPLATES.into_iter().find(|(_, types, ..)| types.contains(&model_type))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::Message;
    use crate::tokenizer::{Variables, messages};

    fn rendered(model_type: &str, add_generation_prompt: bool) -> (String, Vec<String>) {
        let conversation = [Message::new("user", "Q?"), Message::new("assistant", "A.")];
        let turns = if add_generation_prompt { &conversation[..1] } else { &conversation[..] };
        let others = vec![("bos_token".to_owned(), "<b>".into()), ("eos_token".to_owned(), "<e>".into())];
        let variables = Variables { messages: messages(turns), add_generation_prompt, others, ..Variables::default() };
        let (text, ranges) = family(model_type).unwrap().render_with_generation(&variables).unwrap();
        let characters: Vec<char> = text.chars().collect();
        (text, ranges.into_iter().map(|range| characters[range].iter().collect()).collect())
    }

    #[test]
    fn each_family_opens_the_assistants_turn_as_it_writes_it() {
        for (_, types, ..) in TEMPLATES {
            for model_type in types {
                let (prompt, _) = rendered(model_type, true);
                let (whole, said) = rendered(model_type, false);
                assert_eq!(said.len(), 1, "{model_type}");
                assert!(said[0].contains("A.") && said[0].len() > 2, "{model_type}: the end of the turn is trained: {said:?}");
                let begun = prompt.trim_end_matches(' ');
                assert!(whole.starts_with(begun), "{model_type}: {whole:?} does not go on from {prompt:?}");
            }
        }
        assert!(family("bert").is_none());
    }

    #[test]
    fn the_texts_are_those_of_the_published_templates() {
        assert_eq!(
            rendered("gemma", false).0,
            "<b><start_of_turn>user\nQ?<end_of_turn>\n<start_of_turn>model\nA.<end_of_turn>\n"
        );
        assert_eq!(
            rendered("qwen2", true).0,
            "<|im_start|>system\nYou are Qwen, created by Alibaba Cloud. You are a helpful assistant.<|im_end|>\n\
             <|im_start|>user\nQ?<|im_end|>\n<|im_start|>assistant\n"
        );
        assert_eq!(
            rendered("llama", true).0,
            "<b><|start_header_id|>user<|end_header_id|>\n\nQ?<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n"
        );
        assert_eq!(rendered("mistral", false).0, "<b> [INST] Q? [/INST] A.<e>");
        assert_eq!(rendered("phi", false).0, "Instruct: Q?\nOutput: A.<e>\n");
    }
}
