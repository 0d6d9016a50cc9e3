//! Routes of examples: in other orders, names and words, found by their key words.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::{
    examples::{POLICIES, place, prepare, prepared, run, write_stage},
    place::Place,
};

#[test]
fn routes_are_shuffled_and_said_in_other_words_row_by_row() {
    let with = json!({ "shuffle_routes": true, "paraphrases": { "Complex_Query": ["in other words", "in yet others"] } });
    let place = place(&prepare(&with));
    prepared(&place, [20, 20, 20], "some steps");
    run(&place, 0);
    let rows = place.rows(&["m.yaml", "made.sft"]);
    let systems: Vec<_> = rows.iter().map(|row| row["prompt"][0]["content"].as_str().unwrap()).collect();
    for words in ["about Complex_Query", "in other words", "in yet others"] {
        let said = systems.iter().filter(|system| system.contains(words)).count();
        assert!(said > systems.len() / 6, "{words}: {said} of {}", systems.len());
    }
    for name in POLICIES {
        let first = systems.iter().filter(|system| system.starts_with(&format!("<routes><route name=\"{name}\""))).count();
        assert!(first > systems.len() / 6, "{name}: {first} of {}", systems.len());
    }
}

#[test]
fn routes_have_names_of_their_own_and_others_beside_them() {
    let with = json!({ "rename_routes": 0.5, "dpo": 1.0, "other_routes": { "Weather_Query": "about the weather" } });
    let place = place(&prepare(&with));
    prepared(&place, [20, 20, 20], "some steps");
    run(&place, 0);
    let (mut renamed, mut beside, mut names) = (0, 0, BTreeSet::new());
    for row in [place.rows(&["m.yaml", "made.sft"]), place.rows(&["m.yaml", "made.dpo"])].concat() {
        let system = row["prompt"][0]["content"].as_str().unwrap();
        let policy = row["id"].as_str().unwrap().rsplit_once('-').unwrap().0;
        let (before, _) = system.split_once(&format!("\">about {policy}<")).unwrap();
        let name = before.rsplit_once('"').unwrap().1;
        let answer = if row["completion"].is_null() { &row["chosen"] } else { &row["completion"] };
        let said = answer[0]["content"].as_str().unwrap();
        assert!(said.ends_with(&format!("Policy: {name}")), "{said} of {system}");
        let rejected = row["rejected"][0]["content"].as_str().map(|said| said.rsplit_once(' ').unwrap().1.to_owned());
        assert!(rejected.is_none_or(|rejected| rejected != name && system.contains(&format!("\"{rejected}\""))), "{row}");
        let routes: BTreeSet<_> = system.split("<route name=\"").skip(1).map(|route| route.split_once('"').unwrap().0).collect();
        let shown = system.matches("<route ").count();
        assert_eq!(routes.len(), shown, "{system}");
        assert_eq!(shown, if system.contains("about the weather") { 4 } else { 3 });
        renamed += usize::from(!POLICIES.contains(&name));
        beside += shown - 3;
        names.insert(name.to_owned());
    }
    // 60 questions, each with two examples of SFT and one of DPO under the same routes.
    assert!((45..135).contains(&renamed) && (45..135).contains(&beside), "{renamed} {beside}");
    assert!(names.len() > 20, "{names:?}");
    write_stage(&place, &prepare(&json!({ "rename_routes": 1.0, "variations": 3 })));
    run(&place, 0);
    let rows = place.rows(&["m.yaml", "made.sft"]);
    let prompts: BTreeSet<_> = rows.iter().map(|row| row["prompt"][0]["content"].as_str().unwrap()).collect();
    assert!(rows.len() == 360 && prompts.len() > 350, "{} of {}: each example has routes of its own", prompts.len(), rows.len());
    write_stage(&place, &prepare(&json!({ "variations": 0 })));
    assert!(run(&place, 2).contains("an example is there at least once"));
    write_stage(&place, &prepare(&json!({ "other_routes": { "Complex_Query": "x" } })));
    let said = run(&place, 2);
    assert!(said.contains("`Complex_Query` is a policy, and other routes are never right"), "{said}");
}

const KEYWORDS: [(&str, &str); 3] =
    [("Standard_Query", "pocket"), ("Complex_Query", "scientific"), ("Ambiguous_Query", "neither")];

/// Policies with key words, and what else examples of theirs are prepared with.
fn keyed(more: &Value) -> Value {
    let policy = |(name, keyword): (&str, &str)| {
        (name.to_owned(), json!({ "model": "medium", "keyword": keyword, "description": format!("what, {keyword} is for") }))
    };
    let mut with = json!({ "policies": KEYWORDS.map(policy).into_iter().collect::<BTreeMap<_, _>>() });
    with.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    prepare(&with)
}

/// The routes of a prompt: descriptions by name.
fn shown(row: &Value) -> BTreeMap<String, String> {
    let system = row["prompt"][0]["content"].as_str().unwrap();
    let routes = system.split("<route name=\"").skip(1).map(|route| route.split_once("</route>").unwrap().0);
    routes
        .map(|route| route.split_once("\">").unwrap())
        .map(|(name, description)| (name.to_owned(), description.to_owned()))
        .collect()
}

fn has(description: &str, word: &str) -> bool {
    description.split([' ', ',']).any(|of_description| of_description == word)
}

/// The word and the name of each line of an answer; the route of that name is the only one with that word.
fn found(row: &Value, answer: &str) -> Vec<(String, String)> {
    let routes = shown(row);
    let line = |line: &str| {
        let (word, name) = line.strip_prefix("Policy: ").unwrap().split_once(' ').unwrap();
        let having: Vec<_> = routes.iter().filter(|(_, description)| has(description, word)).map(|(name, _)| name).collect();
        assert_eq!(having, [name], "{word} in {row}");
        (word.to_owned(), name.to_owned())
    };
    row[answer][0]["content"].as_str().unwrap().lines().map(line).collect()
}

fn rows_of(with: &Value) -> (Vec<Value>, Vec<Value>) {
    let place = place(&keyed(with));
    prepared(&place, [20, 20, 20], "some steps");
    run(&place, 0);
    (place.rows(&["m.yaml", "made.sft"]), place.rows(&["m.yaml", "made.dpo"]))
}

#[test]
fn an_answer_has_the_key_word_that_its_route_is_found_by() {
    let with = json!({
        "reasoned": 0.0, "dpo": 1.0, "lookups": 1.5, "shuffle_routes": true, "rename_routes": 0.5, "reword_routes": 0.5,
        "paraphrases": { "Complex_Query": ["in scientific words"] }, "other_routes": { "Weather_Query": "about the weather" },
    });
    let (sft, dpo) = rows_of(&with);
    assert_eq!((sft.len(), dpo.len()), (60 + 90, 60));
    assert_eq!(rows_of(&with), (sft.clone(), dpo.clone()), "the same seed draws the same");
    let (questions, lookups) = sft.split_at(60);

    let (mut own, mut descriptions, mut beside) = (0, 0, 0);
    for row in questions {
        let policy = row["id"].as_str().unwrap().rsplit_once('-').unwrap().0;
        let keyword = BTreeMap::from(KEYWORDS)[policy];
        assert_eq!(found(row, "completion").iter().map(|(word, _)| word).collect::<Vec<_>>(), [keyword]);
        let routes = shown(row);
        for (_, keyword) in KEYWORDS {
            let mut having = routes.values().filter(|description| has(description, keyword));
            let description = having.next().unwrap();
            assert!(having.next().is_none(), "{routes:?}");
            descriptions += 1;
            own += usize::from(description.contains("is for") || description.contains("words"));
        }
        beside += routes.len() - 3 - usize::from(routes.values().any(|description| description == "about the weather"));
    }
    assert!((60..120).contains(&own), "{own} of {descriptions} descriptions are the policies' own");
    assert!((30..90).contains(&beside), "{beside} of up to 120 routes are made up");

    let mut asked = BTreeMap::new();
    for row in lookups {
        let found = found(row, "completion");
        let words: BTreeSet<_> = found.iter().map(|(word, _)| word.as_str()).collect();
        assert!(words.len() == found.len() && found.len() >= 3, "{row}");
        let question: BTreeSet<_> = row["prompt"][1]["content"].as_str().unwrap().trim_end_matches(" ?").split(" or ").collect();
        assert_eq!(question, words);
        for word in words {
            *asked.entry(word.to_owned()).or_insert(0) += 1;
        }
    }
    for (_, keyword) in KEYWORDS {
        assert!((65..=90).contains(&asked[keyword]), "{asked:?}");
    }
    assert!(asked.len() > 50, "{asked:?}");

    for row in &dpo {
        // Half of them have reasoning, and end as the others do.
        let mut row = row.clone();
        for answer in ["chosen", "rejected"] {
            let text = row[answer][0]["content"].as_str().unwrap().to_owned();
            row[answer][0]["content"] = text.strip_prefix("some steps\n").unwrap_or(&text).into();
        }
        assert_ne!(found(&row, "chosen"), found(&row, "rejected"));
    }
}

#[test]
fn key_words_that_find_no_route_or_two_are_refused() {
    let policies = |first: &str, second: &str| {
        let written = |keyword: &str, description: &str| match keyword {
            "" => json!({ "model": "medium", "description": description }),
            _ => json!({ "model": "medium", "description": description, "keyword": keyword }),
        };
        let (first, second) = (first.split_once(": ").unwrap(), second.split_once(": ").unwrap());
        json!({ "policies": { "A": written(first.0, first.1), "B": written(second.0, second.1) } })
    };
    let sound = || policies("easy: what is easy", "hard: what is hard");
    let with = |more: &Value| {
        let mut with = sound();
        with.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        with
    };
    let place = Place::new();
    prepared(&place, [1, 1, 1], "some steps");
    for (with, said) in [
        (policies("easy: what is easy", ": what is hard"), "`B` has no key word, and `A` has one"),
        (policies("easy: what is plain", "hard: what is hard"), "the description of `A` does not have the word `easy`"),
        (policies("is easy: what is easy", "hard: what is hard"), "the description of `A` does not have the word `is easy`"),
        (
            policies("easy: what is easy", "hard: not easy but hard"),
            "the description of `B` has the key word of `A`, `easy`, too",
        ),
        (with(&json!({ "paraphrases": { "A": ["plain"] } })), "\"plain\" does not have the key word `easy`"),
        (with(&json!({ "paraphrases": { "A": ["easy, not hard"] } })), "\"easy, not hard\" has the key word of `B`, `hard`"),
        (with(&json!({ "other_routes": { "C": "hard of hearing" } })), "its description has the key word of `B`, `hard`"),
        (with(&json!({ "lookups": -1.0 })), "-1 times as many examples cannot be made"),
        (with(&json!({ "reasoned": 2.0 })), "`reasoned` is a share"),
        (with(&json!({ "reword_routes": -0.5 })), "`reword_routes` is a share"),
        (json!({ "lookups": 1.0 }), "`lookups` requires policies with key words, and they have none"),
        (json!({ "reword_routes": 0.5 }), "`reword_routes` requires policies with key words, and they have none"),
        (with(&json!({ "reasoned": 0.0, "direct": 0.0 })), "`reasoned` and `direct` are both 0"),
    ] {
        write_stage(&place, &prepare(&with));
        let told = run(&place, 2);
        assert!(told.contains(said), "{told}");
    }
}
