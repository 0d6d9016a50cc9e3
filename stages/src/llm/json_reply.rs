//! Replies that have to be a JSON object. Takes a reply; gives the object, or a request that asks for it again.

use serde_json::{Map, Value};

use super::{
    prompt::fill,
    request::{Reply, Request},
};
use crate::rows::{Message, Outcome};

const REPAIR: &str = include_str!("../../prompts/repair@1.txt");

/// Reads the JSON object in a text, which may be in a code fence or behind a sentence.
///
/// # Errors
/// Why there is none, as a text for the turn that asks again.
pub(crate) fn object(text: &str) -> Result<Map<String, Value>, String> {
    let start = text.find('{').ok_or("there is no JSON object in it")?;
    let mut values = serde_json::Deserializer::from_str(&text[start..]).into_iter::<Map<String, Value>>();
    match values.next() {
        Some(Ok(object)) => Ok(object),
        Some(Err(error)) => Err(engine::without_place(&error)),
        None => Err("there is no JSON object in it".to_owned()),
    }
}

/// Returns the text of a reply whose outcome is `ok`.
pub(crate) fn said(reply: &Reply) -> Option<&str> {
    reply.text.as_deref().filter(|_| reply.outcome == Outcome::Ok)
}

/// Appends the reply and a turn that names the problem with it to a request.
pub(crate) fn repair(mut request: Request, said: &str, problem: &str) -> Request {
    request.prompt.push(Message::new("assistant", said));
    request.prompt.push(Message::new("user", fill(REPAIR.trim_end(), &[("problem", problem.to_owned())])));
    request
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_is_found_where_models_put_it() {
        for text in ["{\"a\": 1}", "```json\n{\"a\": 1}\n```", "Here it is: {\"a\": 1} I hope it helps."] {
            assert_eq!(object(text).unwrap()["a"], 1, "{text}");
        }
        for text in ["", "correct", "{\"a\": ", "{a: 1}", "[1]"] {
            assert!(object(text).is_err(), "{text}");
        }
    }
}
