//! Answers by what they answer. Takes recordings; gives the one of a question: by its text or by its id. A second one that differs is an
//! error that names both places.

use std::collections::BTreeMap;

use engine::StageError;

use super::Recording;
use crate::rows::Question;

/// What a file says of each question.
pub(crate) struct ByName<T> {
    ids: BTreeMap<String, Entry<T>>,
    questions: BTreeMap<String, Entry<T>>,
}

#[derive(Clone)]
struct Entry<T> {
    place: String,
    /// The text of what was asked, if the file has it.
    question: Option<String>,
    /// Nothing, where two questions with this text have different answers.
    value: Option<T>,
}

impl<T> Default for ByName<T> {
    fn default() -> Self {
        Self { ids: BTreeMap::new(), questions: BTreeMap::new() }
    }
}

impl<T: Clone + PartialEq> ByName<T> {
    /// Adds what a recording in `file` says. `what` names it in an error.
    pub(crate) fn insert(&mut self, file: &str, recording: &Recording, what: &str, value: T) -> Result<(), StageError> {
        let entry = Entry { place: recording.place.clone(), question: recording.question.clone(), value: Some(value) };
        let double = |name: &str, before: &Entry<T>| {
            StageError::failed(format!(
                "`{file}`, {}: a second {what} to `{name}`; it differs from the first, {}",
                recording.place, before.place
            ))
            .help("keep one of them in the file, or give them different ids")
        };
        if let Some(question) = recording.question.as_deref().map(str::trim) {
            match self.questions.get_mut(question) {
                Some(before) if before.value == entry.value => {}
                Some(before) if recording.id.is_empty() => return Err(double(question, before)),
                Some(before) => before.value = None,
                None => drop(self.questions.insert(question.to_owned(), entry.clone())),
            }
        }
        if !recording.id.is_empty() {
            match self.ids.get(&recording.id) {
                Some(before) if before.value == entry.value => {}
                Some(before) => return Err(double(&recording.id, before)),
                None => drop(self.ids.insert(recording.id.clone(), entry)),
            }
        }
        Ok(())
    }

    /// Returns what the file says of a question. An id alone does not count, if the file has another text for it.
    pub(crate) fn get(&self, question: &Question) -> Option<&T> {
        let text = question.question.trim();
        let by_text = self.questions.get(text).and_then(|entry| entry.value.as_ref());
        let asks = |recorded: &str| recorded.contains(text) || text.contains(recorded.trim());
        let by_id = self.ids.get(&question.id).filter(|entry| entry.question.as_deref().is_none_or(asks));
        by_text.or_else(|| by_id?.value.as_ref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recording(id: &str, question: Option<&str>, place: &str) -> Recording {
        Recording { id: id.to_owned(), question: question.map(str::to_owned), answers: BTreeMap::new(), place: place.to_owned() }
    }

    fn question(id: &str, text: &str) -> Question {
        let row = serde_json::json!({ "id": id, "question": text, "gold": ["x"], "benchmark": "b", "split": "test" });
        serde_json::from_value(row).unwrap()
    }

    #[test]
    fn a_second_answer_is_refused_if_it_differs() {
        let mut names = ByName::default();
        names.insert("f", &recording("a", None, "line 1"), "answer", 1).unwrap();
        names.insert("f", &recording("a", None, "line 2"), "answer", 1).unwrap();
        let told = names.insert("f", &recording("a", None, "line 3"), "answer", 2).unwrap_err().to_string();
        assert!(told.contains("`f`, line 3: a second answer to `a`; it differs from the first, line 1"), "{told}");
        names.insert("f", &recording("", Some("Who?"), "line 4"), "answer", 3).unwrap();
        names.insert("f", &recording("", Some("Who? "), "line 5"), "answer", 4).unwrap_err();
    }

    #[test]
    fn a_text_counts_before_an_id_and_an_id_only_for_its_text() {
        let mut names = ByName::default();
        names.insert("f", &recording("1", Some("Answer this: Who?"), "line 1"), "answer", 1).unwrap();
        names.insert("f", &recording("2", Some("When?"), "line 2"), "answer", 2).unwrap();
        names.insert("f", &recording("3", Some("Which?"), "line 3"), "answer", 3).unwrap();
        names.insert("f", &recording("4", Some("Which?"), "line 4"), "answer", 4).unwrap();
        assert_eq!(names.get(&question("1", "Who?")), Some(&1));
        assert_eq!(names.get(&question("1", "When?")), Some(&2));
        assert_eq!(names.get(&question("1", "Where?")), None);
        assert_eq!(names.get(&question("4", "Which?")), Some(&4));
        assert_eq!(names.get(&question("9", "Which?")), None);
    }
}
