//! Lookups: examples that practise to find a route by a word of its description. Takes routes, drawn at random; gives an example.
//!
//! The example asks for some of the routes by words of their descriptions, and answers with each word and the route's name, as a router does
//! with the key word of its verdict.

use super::routes::Source;
use crate::{
    router::prompt::{self, Form},
    rows::{Message, SftExample},
    sections::policies::{has_word, words},
};

/// Share of the policies that are asked for by their key word, as the other examples say it, and not by another word of the description.
const BY_KEYWORD: f64 = 0.9;

/// Builds the lookup of this number; each number has its own.
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
