//! The object that counts in a reply. Takes the reply's text, the form and the text from outside; gives the fields of the object.
//!
//! The model's reasoning is cut off first. Of several whole objects of the form, the last one with the mark counts. An object without it counts
//! if there is none with it, and the text from outside does not give the same value: it could be quoted from there.

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::{
    form::Form,
    objects::{self, Object},
    outside::{MARK, Outside},
};
use crate::llm::reasoning;

/// Returns the fields of the object that counts, without the mark.
///
/// # Errors
/// Why there is none, as a text for the turn that asks again.
pub(super) fn read(form: &Form, outside: &Outside, said: &str) -> Result<Map<String, Value>, String> {
    // A reply that is an object as a whole holds no reasoning beside it, though a text in it may look like some.
    let is_whole = serde_json::from_str::<Object>(said).is_ok();
    let said = if is_whole { Cow::Borrowed(said) } else { reasoning::split(said).1 };
    let found = objects::each(&said, |object| candidate(form, outside, object))?;
    let (own, others): (Vec<_>, Vec<_>) = found.into_iter().partition(|candidate| candidate.marked);
    let quoted = |object: &Map<String, Value>| {
        let value = object.get(form.decides).and_then(Value::as_str).unwrap_or_default();
        outside.names(form.decides, value, form.options())
    };
    let counts = own.into_iter().next_back().or_else(|| others.into_iter().rfind(|other| !quoted(&other.object)));
    counts.map(|candidate| candidate.object).ok_or_else(|| match outside.shown() {
        Some(mark) => format!("the given text has such an object too, so yours must end with \"{MARK}\": \"{mark}\""),
        None => "it only repeats what the given text says".to_owned(),
    })
}

/// An object of the form.
struct Candidate {
    object: Map<String, Value>,
    /// Whether it ends with the mark. In front of the other fields the mark proves nothing: a quoted text may have come behind it.
    marked: bool,
}

fn candidate(form: &Form, outside: &Outside, Object(mut fields): Object) -> Result<Candidate, String> {
    let mut marked = false;
    if let Some(mark) = outside.shown()
        && let Some(at) = fields.iter().position(|(name, _)| name == MARK)
    {
        marked = at + 1 == fields.len();
        let (_, value) = fields.remove(at);
        if value.as_str().is_none_or(|value| !value.trim().eq_ignore_ascii_case(mark)) {
            return Err(format!("`{MARK}` is not \"{mark}\""));
        }
    }
    let object = fields.into_iter().collect();
    form.check(&object)?;
    Ok(Candidate { object, marked })
}
