//! Tests of small templates, each for one feature that published templates use.

use super::*;
use crate::{rows::Message, tokenizer::messages};

fn conversation(roles: &[&str]) -> Variables {
    let turns: Vec<Message> = roles.iter().map(|role| Message::new(*role, format!("by {role}"))).collect();
    Variables { messages: messages(&turns), ..Variables::default() }
}

fn rendered(source: &str) -> Result<String, TemplateError> {
    ChatTemplate::new("test", source)?.render(&conversation(&["user", "assistant"]))
}

/// Renders a template, with the text of its generation blocks in brackets.
fn bracketed(source: &str) -> String {
    let template = ChatTemplate::new("test", source).unwrap();
    let (text, ranges) = template.render_with_generation(&conversation(&["user", "assistant", "user", "assistant"])).unwrap();
    let mut characters: Vec<String> = text.chars().map(String::from).collect();
    for range in ranges {
        characters[range.start].insert(0, '[');
        characters[range.end - 1].push(']');
    }
    characters.concat()
}

#[test]
fn what_the_assistant_writes_is_told_in_characters() {
    let source = "{% for m in messages %}é{% if m.role == 'assistant' %}\
        {% generation %}ü{{ m.content }}.{% endgeneration %}{% else %}{{ m.content }}{% endif %}{% endfor %}";
    assert_eq!(bracketed(source), "éby useré[üby assistant.]éby useré[üby assistant.]");
}

#[test]
fn the_tags_of_a_block_hold_white_space_as_others_do() {
    assert_eq!(bracketed("a  {%- generation -%}  b  {%- endgeneration -%}  c"), "a[b]c");
    assert_eq!(bracketed("a {% generation %} b {% endgeneration %} c"), "a [ b ] c");
    assert_eq!(bracketed("a\n  {% generation %}\nb\n  {% endgeneration %}\nc"), "a\n[b\n]c");
}

#[test]
fn names_in_a_block_stay_there_and_namespaces_are_reached() {
    let source = "{% set ns = namespace(n=0) %}{% set x = 1 %}{% generation %}{% set x = 2 %}{% set ns.n = 3 %}{{ x }}{% endgeneration %}{{ x }}{{ ns.n }}";
    assert_eq!(bracketed(source), "[2]13");
}

#[test]
fn the_role_that_a_template_refuses_is_named() {
    let source =
        "{% for m in messages %}{% if m.role == 'assistant' %}{{ raise_exception('not ' ~ m.role) }}{% endif %}{% endfor %}";
    let error = rendered(source).unwrap_err().to_string();
    assert_eq!(error, "chat template `test` refuses role `assistant` at message 2: not assistant");
}

#[test]
fn mistakes_of_a_template_are_told_with_the_line() {
    assert!(rendered("\n{% if %}").unwrap_err().to_string().contains("(line 2)"));
    assert!(rendered("{{ strftime_now('%Y') }}").unwrap_err().to_string().contains("must not hang on the day"));
    assert!(rendered("{{ messages.nothing.at_all }}").unwrap_err().to_string().starts_with("chat template `test` cannot render"));
}

#[test]
fn a_template_does_not_run_for_ever() {
    let endless = "{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}";
    assert!(rendered(endless).is_err());
}

#[test]
fn the_clock_is_there_where_it_is_given() {
    let template = ChatTemplate::new("test", "{{ strftime_now('%Y') }}").unwrap().with_clock();
    assert_eq!(template.render(&conversation(&["user"])).unwrap().len(), 4);
}

#[test]
fn messages_are_as_transformers_hands_them_on() {
    let row: Value = serde_json::from_str(r#"{"role": "assistant", "content": null, "thinking": "hm", "z": 1, "a": 2}"#).unwrap();
    let variables = Variables { messages: vec![row], ..Variables::default() };
    let template = ChatTemplate::new("test", "{{ messages[0] | tojson }}").unwrap();
    assert_eq!(
        template.render(&variables).unwrap(),
        r#"{"role": "assistant", "thinking": "hm", "z": 1, "a": 2, "reasoning_content": "hm"}"#
    );
    let forged = Variables { messages: messages(&[Message::new("user", "a\u{F0002}b\u{F0003}")]), ..Variables::default() };
    let template = ChatTemplate::new("test", "{{ messages[0].content }}{% generation %}c{% endgeneration %}").unwrap();
    assert_eq!(template.render_with_generation(&forged).unwrap(), ("abc".to_owned(), vec![2..3; 1]));
}
