//! The tree of places. Takes a path; gives the range of bytes of its key or value, through aliases and merges.

use std::collections::BTreeMap;

use super::{Path, Place, Segment};
use crate::text::Span;

/// The places of all values, in order of appearance.
#[derive(Debug, Default)]
pub(super) struct Tree {
    pub(super) nodes: Vec<Node>,
    pub(super) root: Option<usize>,
}

#[derive(Debug)]
pub(super) struct Node {
    pub(super) span: Span,
    pub(super) shape: Shape,
    /// How many values this one consists of, itself included, with aliases expanded.
    pub(super) values: usize,
    /// How many levels this one has, with aliases expanded.
    pub(super) levels: usize,
}

#[derive(Debug)]
pub(super) enum Shape {
    /// A collection whose end has not been read yet.
    Open,
    Scalar,
    Sequence(Vec<usize>),
    Mapping(Vec<Entry>),
    Alias(usize),
}

#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) name: String,
    pub(super) key: Span,
    pub(super) value: usize,
}

impl Tree {
    pub(super) fn is_empty(&self) -> bool {
        self.root.is_none_or(|root| self.nodes[root].span.start == self.nodes[root].span.end)
    }

    pub(super) fn key(&self, path: &Path) -> Option<Span> {
        self.find(path).and_then(|(key, ..)| key)
    }

    pub(super) fn value(&self, path: &Path) -> Option<Place> {
        let (_, node, used) = self.find(path)?;
        let (target, alias) = self.target(node);
        Some(Place { written: self.nodes[target].span, used: used.or(alias) })
    }

    /// Walks down a path. Returns the last key, the value's node, and the first alias on the way.
    fn find(&self, path: &Path) -> Option<(Option<Span>, usize, Option<Span>)> {
        let (mut key, mut node, mut used) = (None, self.root?, None);
        for segment in path.segments() {
            let (target, alias) = self.target(node);
            used = used.or(alias);
            match (&self.nodes[target].shape, segment) {
                (Shape::Sequence(items), Segment::Index(index)) => {
                    (key, node) = (None, *items.get(*index)?);
                }
                (Shape::Mapping(entries), Segment::Key(name)) => {
                    let (entry, merge) = self.entry(entries, name)?;
                    (key, node, used) = (Some(entry.key), entry.value, used.or(merge));
                }
                _ => return None,
            }
        }
        Some((key, node, used))
    }

    /// Finds an entry by name. The mapping's own entries win, then those of the first merged mapping.
    fn entry<'a>(&'a self, entries: &'a [Entry], name: &str) -> Option<(&'a Entry, Option<Span>)> {
        if let Some(own) = entries.iter().find(|entry| entry.name == name) {
            return Some((own, None));
        }
        let merge = entries.iter().find(|entry| entry.name == "<<")?;
        let (target, alias) = self.target(merge.value);
        let merged = match &self.nodes[target].shape {
            Shape::Sequence(items) => items.clone(),
            _ => vec![merge.value],
        };
        merged.into_iter().find_map(|node| {
            let (target, own_alias) = self.target(node);
            let Shape::Mapping(entries) = &self.nodes[target].shape else {
                return None;
            };
            let (entry, deeper) = self.entry(entries, name)?;
            Some((entry, alias.or(own_alias).or(deeper)))
        })
    }

    fn target(&self, node: usize) -> (usize, Option<Span>) {
        match self.nodes[node].shape {
            Shape::Alias(target) => (target, Some(self.nodes[node].span)),
            _ => (node, None),
        }
    }

    /// Returns whether a value can be merged: a mapping or, where `list` allows it, a list of mappings.
    pub(super) fn merges(&self, node: usize, list: bool) -> bool {
        match &self.nodes[self.target(node).0].shape {
            Shape::Mapping(_) => true,
            Shape::Sequence(items) => list && items.iter().all(|&item| self.merges(item, false)),
            _ => false,
        }
    }
}

/// A collection whose end has not been read yet, and what it consists of so far.
pub(super) struct Frame {
    pub(super) node: usize,
    pub(super) mapping: bool,
    /// Where a flow collection starts; a block collection starts with its first key or item.
    pub(super) flow: Option<usize>,
    pub(super) items: Vec<usize>,
    pub(super) entries: Vec<Entry>,
    pub(super) pending: Option<(String, Span)>,
    pub(super) seen: BTreeMap<String, Span>,
}
