//! Byte ranges. Takes a text; gives a tree of ranges in the shape of the data, and the mistakes of the text.

use std::{collections::BTreeMap, sync::Arc};

use saphyr_parser::{Event, Parser, ScalarStyle, Span as Marks};
use serde_yaml::Value;

use super::{
    syntax::syntax,
    tree::{Frame, Node, Shape, Tree},
};
use crate::{
    diagnostic::Mistake,
    text::{Span, Text},
};

/// The deepest nesting, with aliases expanded.
const MAX_DEPTH: usize = 64;

/// Reads the places of a text, and every mistake in it up to the first one that hides what follows.
pub(super) fn read(source: &Arc<Text>) -> (Tree, Vec<Mistake>) {
    let starts = source.text.char_indices().map(|(at, _)| at).collect();
    let mut builder =
        Builder { source, starts, tree: Tree::default(), frames: Vec::new(), anchors: BTreeMap::new(), mistakes: Vec::new() };
    let mut documents = 0;
    for event in Parser::new_from_str(&source.text) {
        let (event, marks) = match event {
            Ok(read) => read,
            Err(error) => {
                let at = builder.byte(error.marker().index());
                let mistake = syntax(source, at, error.info());
                let opened = builder.frames.last().and_then(|frame| frame.flow).filter(|_| mistake.code == "syntax");
                builder.mistakes.push(match opened {
                    Some(start) => mistake.also_here(Span { start, end: start + 1 }, "opened here"),
                    None => mistake,
                });
                break;
            }
        };
        if matches!(event, Event::DocumentStart(_)) {
            documents += 1;
            if documents > 1 {
                let mistake =
                    Mistake::at(source, builder.span(marks), "several-documents", "a file may contain only one document");
                builder.mistakes.push(mistake.label("a second one starts here").help("put it into a file of its own"));
                break;
            }
        }
        if builder.take(event, marks).is_none() {
            break;
        }
    }
    (builder.tree, builder.mistakes)
}
pub(super) struct Builder<'a> {
    pub(super) source: &'a Arc<Text>,
    /// The byte at which each character starts: the parser counts characters.
    starts: Vec<usize>,
    pub(super) tree: Tree,
    pub(super) frames: Vec<Frame>,
    anchors: BTreeMap<usize, usize>,
    pub(super) mistakes: Vec<Mistake>,
}

impl Builder<'_> {
    pub(super) fn byte(&self, character: usize) -> usize {
        self.starts.get(character).copied().unwrap_or(self.source.text.len())
    }

    /// Converts the parser's marks to a range, without the anchor and tag before a value and the blanks after it.
    fn span(&self, marks: Marks) -> Span {
        let start = self.byte(marks.start.index());
        let end = self.byte(marks.end.index()).max(start);
        let mut rest = &self.source.text[start..end];
        while rest.starts_with(['&', '!']) {
            rest = rest.find(char::is_whitespace).map_or("", |blank| rest[blank..].trim_start());
        }
        Span { start: end - rest.len(), end: end - rest.len() + rest.trim_end().len() }
    }

    pub(super) fn mistake(&mut self, span: Span, code: &'static str, message: impl Into<String>, help: &str) {
        self.mistakes.push(Mistake::at(self.source, span, code, message).help(help));
    }

    /// Takes one event. Returns `None` where reading on makes no sense.
    fn take(&mut self, event: Event<'_>, marks: Marks) -> Option<()> {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                self.refuse_tag(tag.is_some(), marks);
                let span = self.span(marks);
                let data = plain(&text, style);
                if data.as_f64().is_some_and(|number| !number.is_finite()) {
                    self.mistake(span, "non-finite", format!("`{text}` is not a finite number"), "write a finite number");
                }
                let node = self.add(Node { span, shape: Shape::Scalar, values: 1, levels: 0 });
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
            let length = rest[from..].find(|c: char| c.is_whitespace() || c == ',').unwrap_or(rest.len() - from);
            let span = Span { start: start + from, end: start + from + length };
            let tag = self.source.text[span.start..span.end].to_owned();
            self.mistake(span, "tag", format!("the tag `{tag}` has no meaning here"), "remove it; text goes in quotes");
        }
    }

    fn add(&mut self, node: Node) -> usize {
        self.tree.nodes.push(node);
        self.tree.nodes.len() - 1
    }

    fn open(&mut self, anchor: usize, marks: Marks, mapping: bool) -> Option<()> {
        let span = self.span(marks);
        let flow = self.source.text[span.start..span.end].starts_with(['{', '[']).then_some(span.start);
        let node = self.add(Node { span, shape: Shape::Open, values: 1, levels: 1 });
        self.anchors.insert(anchor, node);
        if self.frames.len() >= MAX_DEPTH {
            return self.too_deep(span);
        }
        let (items, entries) = (Vec::new(), Vec::new());
        self.frames.push(Frame { node, mapping, flow, items, entries, pending: None, seen: BTreeMap::new() });
        Some(())
    }

    fn too_deep(&mut self, span: Span) -> Option<()> {
        self.mistake(span, "too-deep", format!("nested deeper than {MAX_DEPTH} levels"), "flatten it");
        None
    }

    fn alias(&mut self, anchor: usize, marks: Marks) -> Option<()> {
        let span = self.span(marks);
        let target = *self.anchors.get(&anchor)?;
        let Node { shape, values, levels, .. } = &self.tree.nodes[target];
        let (values, levels) = (*values, *levels);
        if matches!(shape, Shape::Open) {
            self.mistake(span, "recursive-alias", "this alias is inside the value that it refers to", "remove it");
            return None;
        }
        if self.frames.len() + levels > MAX_DEPTH {
            return self.too_deep(span);
        }
        let node = self.add(Node { span, shape: Shape::Alias(target), values, levels });
        self.attach(node, None)
    }
}

/// Reads a scalar as data. A plain one is read by the data parser's own rules.
fn plain(text: &str, style: ScalarStyle) -> Value {
    // Only these characters can start anything but text. The blank in front keeps `---` from starting a document.
    let maybe = text.is_empty() || text.starts_with(|c: char| c.is_ascii_digit() || "+-.~nNtTfF".contains(c));
    if style != ScalarStyle::Plain || !maybe {
        return Value::String(String::new());
    }
    serde_yaml::from_str(&format!(" {text}")).unwrap_or_else(|_| Value::String(String::new()))
}
