//! A text comes in; a tree of byte ranges, shaped as the data, and the mistakes of the text go out.

use std::collections::BTreeMap;
use std::sync::Arc;

use saphyr_parser::{Event, Parser, ScalarStyle, Span as Marks};
use serde_yaml::Value;

use super::syntax::syntax;
use super::{Path, Place, Segment, Source, Span};
use crate::diagnostic::Mistake;

/// The deepest nesting, counted through aliases.
const MAX_DEPTH: usize = 64;
/// The most values after aliases are written out; a few lines can otherwise stand for billions.
const MAX_VALUES: usize = 1_000_000;

/// The places of all values, in order of appearance.
#[derive(Debug, Default)]
pub(super) struct Tree {
    nodes: Vec<Node>,
    root: Option<usize>,
}

#[derive(Debug)]
struct Node {
    span: Span,
    shape: Shape,
    /// How many values this one holds, itself included, with aliases written out.
    values: usize,
    /// How many levels this one holds, with aliases written out.
    levels: usize,
}

#[derive(Debug)]
enum Shape {
    /// A collection before its end.
    Open,
    Scalar,
    Sequence(Vec<usize>),
    Mapping(Vec<Entry>),
    Alias(usize),
}

#[derive(Debug, Clone)]
struct Entry {
    name: String,
    key: Span,
    value: usize,
}

impl Tree {
    pub(super) fn is_empty(&self) -> bool {
        self.root
            .is_none_or(|root| self.nodes[root].span.start == self.nodes[root].span.end)
    }

    pub(super) fn key(&self, path: &Path) -> Option<Span> {
        self.find(path).and_then(|(key, ..)| key)
    }

    pub(super) fn value(&self, path: &Path) -> Option<Place> {
        let (_, node, used) = self.find(path)?;
        let (target, alias) = self.target(node);
        Some(Place {
            written: self.nodes[target].span,
            used: used.or(alias),
        })
    }

    /// Walks down a path: the last key, the value's node, and the first alias on the way.
    fn find(&self, path: &Path) -> Option<(Option<Span>, usize, Option<Span>)> {
        let (mut key, mut node, mut used) = (None, self.root?, None);
        for segment in path.segments() {
            let (target, alias) = self.target(node);
            used = used.or(alias);
            match (&self.nodes[target].shape, segment) {
                (Shape::Sequence(items), Segment::Index(index)) => {
                    (key, node) = (None, *items.get(*index)?)
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

    /// Finds an entry by name: its own ones win, then the first of the merged ones.
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

    /// Returns whether a value can be merged: a mapping, or a list of mappings where `list` says so.
    fn merges(&self, node: usize, list: bool) -> bool {
        match &self.nodes[self.target(node).0].shape {
            Shape::Mapping(_) => true,
            Shape::Sequence(items) => list && items.iter().all(|&item| self.merges(item, false)),
            _ => false,
        }
    }
}

/// Reads the places of a text, and every mistake in it up to the first one that hides what follows.
pub(super) fn read(source: &Arc<Source>) -> (Tree, Vec<Mistake>) {
    let starts = source.text.char_indices().map(|(at, _)| at).collect();
    let mut builder = Builder {
        source,
        starts,
        tree: Tree::default(),
        frames: Vec::new(),
        anchors: BTreeMap::new(),
        mistakes: Vec::new(),
    };
    let mut documents = 0;
    for event in Parser::new_from_str(&source.text) {
        let (event, marks) = match event {
            Ok(read) => read,
            Err(error) => {
                let at = builder.byte(error.marker().index());
                let mistake = syntax(source, at, error.info());
                let opened = builder
                    .frames
                    .last()
                    .and_then(|frame| frame.flow)
                    .filter(|_| mistake.code == "syntax");
                builder.mistakes.push(match opened {
                    Some(start) => mistake.also_here(
                        Span {
                            start,
                            end: start + 1,
                        },
                        "opened here",
                    ),
                    None => mistake,
                });
                break;
            }
        };
        if matches!(event, Event::DocumentStart(_)) {
            documents += 1;
            if documents > 1 {
                let mistake = Mistake::at(
                    source,
                    builder.span(marks),
                    "several-documents",
                    "a file holds one document",
                );
                builder.mistakes.push(
                    mistake
                        .label("a second one starts here")
                        .help("put it into a file of its own"),
                );
                break;
            }
        }
        if builder.take(event, marks).is_none() {
            break;
        }
    }
    (builder.tree, builder.mistakes)
}

/// A collection whose end has not come yet.
struct Frame {
    node: usize,
    mapping: bool,
    /// Where a flow collection starts; a block collection starts with its first key or item.
    flow: Option<usize>,
    items: Vec<usize>,
    entries: Vec<Entry>,
    pending: Option<(String, Span)>,
    seen: BTreeMap<String, Span>,
}

struct Builder<'a> {
    source: &'a Arc<Source>,
    /// The byte at which each character starts: the parser counts characters.
    starts: Vec<usize>,
    tree: Tree,
    frames: Vec<Frame>,
    anchors: BTreeMap<usize, usize>,
    mistakes: Vec<Mistake>,
}

impl Builder<'_> {
    fn byte(&self, character: usize) -> usize {
        self.starts
            .get(character)
            .copied()
            .unwrap_or(self.source.text.len())
    }

    /// Converts the parser's marks, without the anchor and tag before a value and the blanks behind it.
    fn span(&self, marks: Marks) -> Span {
        let start = self.byte(marks.start.index());
        let end = self.byte(marks.end.index()).max(start);
        let mut rest = &self.source.text[start..end];
        while rest.starts_with(['&', '!']) {
            rest = rest
                .find(char::is_whitespace)
                .map_or("", |blank| rest[blank..].trim_start());
        }
        Span {
            start: end - rest.len(),
            end: end - rest.len() + rest.trim_end().len(),
        }
    }

    fn mistake(&mut self, span: Span, code: &'static str, message: impl Into<String>, help: &str) {
        self.mistakes
            .push(Mistake::at(self.source, span, code, message).help(help));
    }

    /// Takes one event; nothing comes back where reading on makes no sense.
    fn take(&mut self, event: Event<'_>, marks: Marks) -> Option<()> {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                self.refuse_tag(tag.is_some(), marks);
                let span = self.span(marks);
                let data = plain(&text, style);
                if data.as_f64().is_some_and(|number| !number.is_finite()) {
                    self.mistake(
                        span,
                        "non-finite",
                        format!("`{text}` is no number that can be used"),
                        "write a finite number",
                    );
                }
                let node = self.add(Node {
                    span,
                    shape: Shape::Scalar,
                    values: 1,
                    levels: 0,
                });
                self.anchors.insert(anchor, node);
                let key = matches!(data, Value::String(_)).then(|| text.into_owned());
                self.attach(node, key)
            }
            Event::SequenceStart(anchor, tag) => {
                self.refuse_tag(tag.is_some(), marks);
                self.open(anchor, marks, false)
            }
            Event::MappingStart(anchor, tag) => {
                self.refuse_tag(tag.is_some(), marks);
                self.open(anchor, marks, true)
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(marks),
            Event::Alias(anchor) => self.alias(anchor, marks),
            _ => Some(()),
        }
    }

    fn refuse_tag(&mut self, tagged: bool, marks: Marks) {
        if tagged {
            let start = self.byte(marks.start.index());
            let rest = &self.source.text[start..];
            let from = rest.find('!').unwrap_or(0);
            let length = rest[from..]
                .find(|c: char| c.is_whitespace() || c == ',')
                .unwrap_or(rest.len() - from);
            let span = Span {
                start: start + from,
                end: start + from + length,
            };
            let tag = self.source.text[span.start..span.end].to_owned();
            self.mistake(
                span,
                "tag",
                format!("the tag `{tag}` has no meaning here"),
                "remove it; text goes in quotes",
            );
        }
    }

    fn add(&mut self, node: Node) -> usize {
        self.tree.nodes.push(node);
        self.tree.nodes.len() - 1
    }

    fn open(&mut self, anchor: usize, marks: Marks, mapping: bool) -> Option<()> {
        let span = self.span(marks);
        let flow = self.source.text[span.start..span.end]
            .starts_with(['{', '['])
            .then_some(span.start);
        let node = self.add(Node {
            span,
            shape: Shape::Open,
            values: 1,
            levels: 1,
        });
        self.anchors.insert(anchor, node);
        if self.frames.len() >= MAX_DEPTH {
            return self.too_deep(span);
        }
        let (items, entries) = (Vec::new(), Vec::new());
        self.frames.push(Frame {
            node,
            mapping,
            flow,
            items,
            entries,
            pending: None,
            seen: BTreeMap::new(),
        });
        Some(())
    }

    fn too_deep(&mut self, span: Span) -> Option<()> {
        self.mistake(
            span,
            "too-deep",
            format!("nested deeper than {MAX_DEPTH} levels"),
            "flatten it",
        );
        None
    }

    fn close(&mut self, marks: Marks) -> Option<()> {
        let frame = self.frames.pop()?;
        let children: Vec<usize> = frame
            .items
            .iter()
            .copied()
            .chain(frame.entries.iter().map(|entry| entry.value))
            .collect();
        let first = frame
            .entries
            .first()
            .map(|entry| entry.key)
            .or(children.first().map(|&child| self.tree.nodes[child].span));
        let last = children.last().map(|&child| self.tree.nodes[child].span);
        let start = self.tree.nodes[frame.node].span.start;
        let span = match (frame.flow, first, last) {
            (Some(start), ..) => Span {
                start,
                end: self.byte(marks.end.index()).max(start),
            },
            (None, Some(first), Some(last)) => {
                let last_key = frame.entries.last().map_or(0, |entry| entry.key.end);
                Span {
                    start: first.start,
                    end: last.end.max(last_key).max(first.start),
                }
            }
            _ => Span { start, end: start },
        };
        let end = span.start + self.source.text[span.start..span.end].trim_end().len();
        let values = children.iter().fold(1, |sum: usize, &child| {
            sum.saturating_add(self.tree.nodes[child].values)
        });
        let levels = 1 + children
            .iter()
            .map(|&child| self.tree.nodes[child].levels)
            .max()
            .unwrap_or(0);
        let shape = if frame.mapping {
            Shape::Mapping(frame.entries)
        } else {
            Shape::Sequence(frame.items)
        };
        self.tree.nodes[frame.node] = Node {
            span: Span {
                start: span.start,
                end,
            },
            shape,
            values,
            levels,
        };
        self.attach(frame.node, None)
    }

    fn alias(&mut self, anchor: usize, marks: Marks) -> Option<()> {
        let span = self.span(marks);
        let target = *self.anchors.get(&anchor)?;
        let Node {
            shape,
            values,
            levels,
            ..
        } = &self.tree.nodes[target];
        let (values, levels) = (*values, *levels);
        if matches!(shape, Shape::Open) {
            self.mistake(
                span,
                "recursive-alias",
                "this alias stands inside of what it names",
                "remove it",
            );
            return None;
        }
        if self.frames.len() + levels > MAX_DEPTH {
            return self.too_deep(span);
        }
        let node = self.add(Node {
            span,
            shape: Shape::Alias(target),
            values,
            levels,
        });
        self.attach(node, None)
    }

    /// Gives a finished value to the collection around it, as a key where one is due; `key` is its text, if it has one.
    fn attach(&mut self, node: usize, key: Option<String>) -> Option<()> {
        let Node { span, values, .. } = self.tree.nodes[node];
        if values > MAX_VALUES {
            let message = format!("its aliases stand for more than {MAX_VALUES} values");
            self.mistake(
                span,
                "too-large",
                message,
                "write less, or keep data in files of its own",
            );
            return None;
        }
        let Some(frame) = self.frames.last_mut() else {
            self.tree.root = Some(node);
            return Some(());
        };
        if !frame.mapping {
            frame.items.push(node);
        } else if let Some((name, key)) = frame.pending.take() {
            frame.entries.push(Entry {
                name: name.clone(),
                key,
                value: node,
            });
            if name == "<<" && !self.tree.merges(node, true) {
                let message = "`<<` merges a mapping or a list of mappings";
                self.mistake(
                    span,
                    "merge",
                    message,
                    "write `<<: *anchor` or `<<: [*first, *second]`",
                );
            }
        } else if let Some(name) = key {
            let first = *frame.seen.entry(name.clone()).or_insert(span);
            frame.pending = Some((name.clone(), span));
            if first != span {
                let mistake = Mistake::at(
                    self.source,
                    span,
                    "duplicate-key",
                    format!("`{name}` is set twice"),
                );
                self.mistakes.push(
                    mistake
                        .label("set again here")
                        .also_here(first, "first set here")
                        .help("keep one of them"),
                );
            }
        } else {
            frame.pending = Some((String::new(), span));
            let message = match &self.source.text[span.start..span.end] {
                "" => "a key is missing".to_owned(),
                text if text.contains('\n') || text.len() > 40 => "this key is no text".to_owned(),
                text => format!("the key `{text}` is no text"),
            };
            self.mistake(
                span,
                "key-not-text",
                message,
                "write keys as plain words, or in quotes",
            );
        }
        Some(())
    }
}

/// Reads a scalar as data, by the data parser's own rules for plain ones.
fn plain(text: &str, style: ScalarStyle) -> Value {
    // Only these can start anything but text; the blank keeps `---` from starting a document.
    let maybe = text.is_empty()
        || text.starts_with(|c: char| c.is_ascii_digit() || "+-.~nNtTfF".contains(c));
    if style != ScalarStyle::Plain || !maybe {
        return Value::String(String::new());
    }
    serde_yaml::from_str(&format!(" {text}")).unwrap_or_else(|_| Value::String(String::new()))
}
