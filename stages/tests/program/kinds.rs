//! What `kinds` says of each kind: a sentence, an example that checks, its ports, its settings with their meaning.

use serde_json::Value;

use crate::place::Place;

fn kinds(place: &Place) -> Vec<Value> {
    let document: Value = serde_json::from_str(&place.good(&["kinds", "--format", "json"])).unwrap();
    document["kinds"].as_array().unwrap().clone()
}

#[test]
fn the_examples_of_all_kinds_make_a_manifest_without_mistakes() {
    let place = Place::new();
    let policies = "policies:\n  Standard_Query: { model: medium, description: easy }\n  Complex_Query: { model: large, description: hard }\n";
    let mut manifest = format!("version: 1\n{policies}stages:\n");
    for kind in kinds(&place) {
        let (name, example) = (kind["kind"].as_str().unwrap(), kind["example"].as_str().unwrap());
        assert!(example.contains(&format!("uses: {name}")), "{name}: {example}");
        for line in example.lines() {
            manifest += &format!("  {line}\n");
        }
    }
    std::fs::write(place.path("all.yaml"), manifest).unwrap();
    let checked = place.good(&["check", "all.yaml"]);
    assert!(checked.contains(&format!("{} stages", kinds(&place).len())), "{checked}");
}

#[test]
fn a_kind_is_explained_with_every_setting() {
    let place = Place::new();
    for kind in kinds(&place) {
        let name = kind["kind"].as_str().unwrap();
        let text = place.good(&["kinds", name]);
        assert!(text.contains("Example") && !text.contains("\"properties\""), "{text}");
        for (setting, schema) in kind["params"]["properties"].as_object().into_iter().flatten() {
            assert!(text.contains(&format!("  {setting}: ")), "{name} has `{setting}`: {text}");
            let meaning = schema["description"].as_str().unwrap_or_default();
            assert!(!meaning.is_empty(), "{name}: `{setting}` has no meaning");
        }
    }
    let judge = place.good(&["kinds", "judge"]);
    assert!(judge.contains("`judge` can be") && judge.contains("numeric"), "{judge}");
    assert!(place.good(&["kinds", "benchmark"]).contains("simpleqa"));
}
