//! Nesting. Takes the end of a value; gives the value to the collection around it, as an item, a key or an entry.

use saphyr_parser::Span as Marks;

use super::{
    spans::Builder,
    tree::{Entry, Node, Shape},
};
use crate::{diagnostic::Mistake, text::Span};

/// The most values, with aliases expanded; otherwise a few lines could stand for billions.
const MAX_VALUES: usize = 1_000_000;

impl Builder<'_> {
    /// Ends the innermost collection.
    pub(super) fn close(&mut self, marks: Marks) -> Option<()> {
        let frame = self.frames.pop()?;
        let children: Vec<usize> = frame.items.iter().copied().chain(frame.entries.iter().map(|entry| entry.value)).collect();
        let first = frame.entries.first().map(|entry| entry.key).or(children.first().map(|&child| self.tree.nodes[child].span));
        let last = children.last().map(|&child| self.tree.nodes[child].span);
        let start = self.tree.nodes[frame.node].span.start;
        let span = match (frame.flow, first, last) {
            (Some(start), ..) => Span { start, end: self.byte(marks.end.index()).max(start) },
            (None, Some(first), Some(last)) => {
                let last_key = frame.entries.last().map_or(0, |entry| entry.key.end);
                Span { start: first.start, end: last.end.max(last_key).max(first.start) }
            }
            _ => Span { start, end: start },
        };
        let end = span.start + self.source.text[span.start..span.end].trim_end().len();
        let values = children.iter().fold(1, |sum: usize, &child| sum.saturating_add(self.tree.nodes[child].values));
        let levels = 1 + children.iter().map(|&child| self.tree.nodes[child].levels).max().unwrap_or(0);
        let shape = if frame.mapping { Shape::Mapping(frame.entries) } else { Shape::Sequence(frame.items) };
        self.tree.nodes[frame.node] = Node { span: Span { start: span.start, end }, shape, values, levels };
        self.attach(frame.node, None)
    }

    /// Adds a finished value to the collection around it, as a key where a key comes next; `key` is its text, if it has one.
    pub(super) fn attach(&mut self, node: usize, key: Option<String>) -> Option<()> {
        let Node { span, values, .. } = self.tree.nodes[node];
        if values > MAX_VALUES {
            let message = format!("its aliases expand to more than {MAX_VALUES} values");
            self.mistake(span, "too-large", message, "write less, or keep data in files of its own");
            return None;
        }
        let Some(frame) = self.frames.last_mut() else {
            self.tree.root = Some(node);
            return Some(());
        };
        if !frame.mapping {
            frame.items.push(node);
        } else if let Some((name, key)) = frame.pending.take() {
            frame.entries.push(Entry { name: name.clone(), key, value: node });
            if name == "<<" && !self.tree.merges(node, true) {
                let message = "`<<` merges a mapping or a list of mappings";
                self.mistake(span, "merge", message, "write `<<: *anchor` or `<<: [*first, *second]`");
            }
        } else if let Some(name) = key {
            let first = *frame.seen.entry(name.clone()).or_insert(span);
            frame.pending = Some((name.clone(), span));
            if first != span {
                let mistake = Mistake::at(self.source, span, "duplicate-key", format!("`{name}` is set twice"));
                self.mistakes.push(mistake.label("set again here").also_here(first, "first set here").help("keep one of them"));
            }
        } else {
            frame.pending = Some((String::new(), span));
            let message = match &self.source.text[span.start..span.end] {
                "" => "a key is missing".to_owned(),
                text if text.contains('\n') || text.len() > 40 => "this key is not text".to_owned(),
                text => format!("the key `{text}` is not text"),
            };
            self.mistake(span, "key-not-text", message, "write keys as plain words, or in quotes");
        }
        Some(())
    }
}
