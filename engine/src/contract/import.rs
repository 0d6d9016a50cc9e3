//! Answers that were paid for outside of this program, and the replies that they become.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, PoisonError},
};

use cache::Digest;
use serde_json::Value;

/// Answers of one payee, by the id or the text of what was asked.
pub struct Answers {
    /// Who gave them, as the manifest names it.
    pub payee: String,
    /// Each answer with its line.
    lines: Vec<(usize, Value)>,
    /// Which of the answers belongs to a name.
    by_name: BTreeMap<String, usize>,
    /// Those that became replies.
    used: Mutex<BTreeSet<usize>>,
}

impl Answers {
    /// Takes no answers yet.
    pub(crate) fn new(payee: &str) -> Self {
        Self { payee: payee.to_owned(), lines: Vec::new(), by_name: BTreeMap::new(), used: Mutex::default() }
    }

    /// Adds the answer in a line under its names.
    ///
    /// # Errors
    /// A sentence, if there is another answer under one of the names.
    pub(crate) fn add(&mut self, line: usize, names: Vec<String>, answer: Value) -> Result<(), String> {
        let new = self.lines.len();
        self.lines.push((line, answer));
        for name in names {
            let before = *self.by_name.entry(name.clone()).or_insert(new);
            let (first, other) = &self.lines[before];
            if *other != self.lines[new].1 {
                return Err(format!("a second answer to `{name}`; it differs from the first, line {first}"));
            }
        }
        Ok(())
    }

    /// Returns the answer under the first of these names that has one, with its number.
    pub(crate) fn find<'a>(&self, names: impl Iterator<Item = &'a str>) -> Option<(usize, &Value)> {
        let mut names = names;
        let number = names.find_map(|name| self.by_name.get(name).copied())?;
        Some((number, &self.lines.get(number)?.1))
    }

    /// Notes that an answer became a reply.
    pub(crate) fn used(&self, number: usize) {
        self.used.lock().unwrap_or_else(PoisonError::into_inner).insert(number);
    }

    /// Returns the lines whose answers became no reply.
    pub(crate) fn unused(&self) -> Vec<usize> {
        let used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        // An equal answer under the same names is used with the first.
        let names: BTreeSet<_> = self.by_name.values().copied().collect();
        let unused = (0..self.lines.len()).filter(|number| names.contains(number) && !used.contains(number));
        unused.map(|number| self.lines[number].0).collect()
    }
}

/// The replies that answers become, each with the digest of its unit.
#[derive(Default)]
pub struct Adopted {
    /// What rows ask for first.
    pub first: Vec<(Digest, Vec<u8>)>,
    /// What they ask for once more, after an answer that is not whole.
    pub again: Vec<(Digest, Vec<u8>)>,
}
