//! Routes, drawn → an example that asks for some of them by words of their descriptions, and answers with the word and the name each: what a
//! router does with the key word of its verdict.

use super::routes::Source;
use crate::{
    router::prompt::{self, Form},
    rows::{Message, SftExample},
    sections::policies::{has_word, words},
};

/// How often a policy is asked for by its key word, which is what its examples say, and not by another of its words.
const BY_KEYWORD: f64 = 0.9;

/// Makes the example of a number.
pub(crate) fn lookup(source: &Source<'_>, number: usize) -> SftExample {
    let id = format!("lookup-{number}");
    let mut random = source.random(&id, 0);
    let shown = source.draw(&mut random).shown;
    let mut asked = Vec::new();
    for route in &shown.0 {
        let others = || shown.0.iter().filter(|other| other.name != route.name);
        let own = |word: &&str| !others().any(|other| has_word(&other.description, word));
        let own: Vec<_> = words(&route.description).filter(own).collect();
        let keyword = route.keyword.as_deref().filter(|_| random.uniform() < BY_KEYWORD);
        if let Some(word) = keyword.or_else(|| (!own.is_empty()).then(|| own[random.below(own.len())])) {
            asked.push((word, route.name.as_str()));
        }
    }
    random.shuffle(&mut asked);
    let question = asked.iter().map(|(word, _)| *word).collect::<Vec<_>>().join(" or ") + " ?";
    let answers: Vec<_> = asked.iter().map(|(word, name)| prompt::completion(None, Some(word), name)).collect();
    SftExample {
        id,
        prompt: prompt::prompt(&shown, &question, Form::Direct),
        completion: vec![Message::new("assistant", answers.join("\n"))],
    }
}
