//! Replies that have to be a JSON object. Takes the form of the object and the replies so far; gives the object, the request that is to be
//! sent next, or nothing.
//!
//! Read `form` (what an object has), `outside` (the text that the model reads, and the mark that this text cannot hold), `objects` (the
//! objects in a reply), `read` (which of them counts), then this file, which asks again.

mod form;
mod objects;
mod outside;
mod read;
#[cfg(test)]
mod tests;

use serde_json::{Map, Value};

use super::{
    prompt::fill,
    request::{Reply, Request},
};
use crate::rows::{Message, Outcome};
pub(crate) use form::{Field, Form};
pub(crate) use outside::Outside;

const REPAIR: &str = include_str!("../../../prompts/repair@1.txt");

/// What the replies to a request come to.
#[derive(Debug)]
pub(crate) enum Heard {
    /// The fields of the object.
    Object(Map<String, Value>),
    /// The request that is to be sent next.
    Next(Box<Request>),
    /// No object, and nothing more to ask.
    Nothing,
}

/// Reads the replies to a request in their order: the first one, and those to the requests that asked again. A reply that cannot be read is
/// asked for again, once, and one that is cut at the cap, once, with a larger cap.
pub(crate) fn hear(form: &Form, outside: &Outside, mut request: Request, replies: &[&Reply]) -> Heard {
    let (mut repaired, mut enlarged) = (false, false);
    for reply in replies {
        let next = match (reply.outcome, reply.text.as_deref()) {
            (Outcome::Ok, Some(said)) => match read::read(form, outside, said) {
                Ok(object) => return Heard::Object(object),
                Err(problem) if !repaired => {
                    repaired = true;
                    repair(request, said, &problem)
                }
                Err(_) => return Heard::Nothing,
            },
            // Without a cap the same request would bring the same.
            (Outcome::Truncated, _) if !enlarged && request.settings.max_output_tokens.is_some() => {
                enlarged = true;
                request.with_larger_cap(1)
            }
            // So it would after a reply that is blocked, refused or empty.
            _ => return Heard::Nothing,
        };
        request = next;
    }
    Heard::Next(Box::new(request))
}

/// Appends the reply and a turn that names the problem with it to a request.
fn repair(mut request: Request, said: &str, problem: &str) -> Request {
    request.prompt.push(Message::new("assistant", said));
    request.prompt.push(Message::new("user", fill(REPAIR.trim_end(), &[("problem", problem.to_owned())])));
    request
}
