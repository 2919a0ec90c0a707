//! Makes trees from what a reader sees, within the bounds. Recursion is a stack here.

use std::{collections::BTreeMap, ops::Range};

use super::{DEPTH_MAX, NODES_MAX, ParseError, Parsed, TEXT_BYTES};
use crate::document::{Entry, FileId, Span, Tree, Value};

/// Doubts about one file that are told.
const DOUBTS_MAX: usize = 1_000;

/// Makes trees: a reader opens and closes lists and maps, and puts what is in them.
pub(super) struct Builder {
    file: FileId,
    /// Every place is this one, of a text inside another.
    at: Option<Span>,
    frames: Vec<Frame>,
    anchors: BTreeMap<usize, Anchored>,
    /// Values made so far.
    weight: usize,
    parsed: Parsed,
}

/// A list or map that is not closed yet.
struct Frame {
    inside: Inside,
    anchor: usize,
    wrap: Wrap,
    start: usize,
    weight_before: usize,
    /// How deep the deepest value in it lies under it.
    height: usize,
}

enum Inside {
    List(Vec<Tree>),
    Map {
        entries: Vec<Entry>,
        /// The key whose value comes next.
        key: Option<(String, Span)>,
        /// `<<`: the trees, and before which entry.
        merges: Vec<Tree>,
        merge_next: bool,
    },
}

/// A value that aliases can stand for.
struct Anchored {
    tree: Tree,
    weight: usize,
    height: usize,
}

/// What a tag makes of a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Wrap {
    /// As it stands.
    None,
    /// `{key: value}`.
    In(String),
    /// Not known: why.
    Unknown(String),
}

/// A value that is put, with what belongs to it.
pub(super) struct Put {
    pub value: Value,
    /// In the text, bytes.
    pub place: Range<usize>,
    /// Its anchor; 0: none.
    pub anchor: usize,
    pub wrap: Wrap,
}

impl Put {
    pub(super) fn plain(value: Value, place: Range<usize>) -> Put {
        Put { value, place, anchor: 0, wrap: Wrap::None }
    }
}

impl Builder {
    pub(super) fn new(file: FileId, at: Option<Span>) -> Builder {
        let parsed = Parsed { documents: Vec::new(), doubts: Vec::new() };
        Builder { file, at, frames: Vec::new(), anchors: BTreeMap::new(), weight: 0, parsed }
    }

    pub(super) fn span(&self, place: Range<usize>) -> Span {
        let small = |offset: usize| u32::try_from(offset).unwrap_or(u32::MAX);
        self.at.unwrap_or(Span { file: self.file, start: small(place.start), end: small(place.end) })
    }

    pub(super) fn error(&self, place: Range<usize>, message: String, help: &str) -> ParseError {
        ParseError { span: self.span(place), message, help: help.to_string() }
    }

    fn weigh(&mut self, weight: usize, place: &Range<usize>) -> Result<(), ParseError> {
        self.weight = self.weight.saturating_add(weight);
        if self.weight <= NODES_MAX {
            return Ok(());
        }
        let message = format!("more than {NODES_MAX} values, those that aliases stand for included");
        Err(self.error(place.clone(), message, "split the file, or use fewer aliases"))
    }

    fn deep(&self, height: usize, place: &Range<usize>) -> Result<(), ParseError> {
        if self.frames.len() + height <= DEPTH_MAX {
            return Ok(());
        }
        Err(self.too_deep(place.clone()))
    }

    pub(super) fn too_deep(&self, place: Range<usize>) -> ParseError {
        let message = format!("values lie in one another more than {DEPTH_MAX} deep");
        self.error(place, message, "make it flatter")
    }

    /// Opens a list.
    pub(super) fn open_list(&mut self, start: usize, anchor: usize, wrap: Wrap) -> Result<(), ParseError> {
        self.open(Inside::List(Vec::new()), start, anchor, wrap)
    }

    /// Opens a map.
    pub(super) fn open_map(&mut self, start: usize, anchor: usize, wrap: Wrap) -> Result<(), ParseError> {
        let inside = Inside::Map { entries: Vec::new(), key: None, merges: Vec::new(), merge_next: false };
        self.open(inside, start, anchor, wrap)
    }

    fn open(&mut self, inside: Inside, start: usize, anchor: usize, wrap: Wrap) -> Result<(), ParseError> {
        self.deep(2, &(start..start))?;
        let weight_before = self.weight;
        self.weigh(1, &(start..start))?;
        self.frames.push(Frame { inside, anchor, wrap, start, weight_before, height: 0 });
        Ok(())
    }

    /// Whether what comes next is a key.
    pub(super) fn wants_key(&self) -> bool {
        let inside = self.frames.last().map(|frame| &frame.inside);
        matches!(inside, Some(Inside::Map { key: None, merge_next: false, .. }))
    }

    /// A key; its value comes next.
    pub(super) fn key(&mut self, name: String, place: Range<usize>) {
        let span = self.span(place);
        if let Some(Frame { inside: Inside::Map { key, .. }, .. }) = self.frames.last_mut() {
            *key = Some((name, span));
        }
    }

    /// `<<`: the map or the list of maps that comes next is merged into this one.
    pub(super) fn merge_key(&mut self) {
        if let Some(Frame { inside: Inside::Map { merge_next, .. }, .. }) = self.frames.last_mut() {
            *merge_next = true;
        }
    }

    /// A value that holds no others.
    pub(super) fn put(&mut self, put: Put) -> Result<(), ParseError> {
        let before = self.weight;
        let bytes = match &put.value {
            Value::Text(text) => text.len(),
            _ => 0,
        };
        self.weigh(1 + bytes / TEXT_BYTES, &put.place)?;
        self.deep(2, &put.place)?;
        let tree = Tree { value: put.value, span: self.span(put.place.clone()) };
        self.wrapped(tree, put.anchor, put.wrap, (before, 1), &put.place)
    }

    /// Puts the value that an anchor was given to.
    pub(super) fn alias(&mut self, anchor: usize, place: Range<usize>) -> Result<(), ParseError> {
        let Some((weight, height)) = self.anchors.get(&anchor).map(|a| (a.weight, a.height)) else {
            let message = "this alias stands inside of the value that it stands for".to_string();
            return Err(self.error(place, message, "write the value out"));
        };
        self.weigh(weight, &place)?;
        self.deep(height + 1, &place)?;
        if let Some(anchored) = self.anchors.get(&anchor) {
            let tree = anchored.tree.clone();
            self.add(tree, height);
        }
        Ok(())
    }

    /// Closes the innermost list or map. `end`: behind it, where its end is marked; else its last value's end.
    pub(super) fn close(&mut self, end: Option<usize>) -> Result<(), ParseError> {
        let Some(frame) = self.frames.pop() else { return Ok(()) };
        let last = match &frame.inside {
            Inside::List(items) => items.last().map(|item| item.span),
            Inside::Map { entries, .. } => entries.last().map(|entry| entry.value.span),
        };
        let end = end.or(last.map(|span| span.end as usize)).unwrap_or(frame.start).max(frame.start);
        let place = frame.start..end;
        let value = match frame.inside {
            Inside::List(items) => Value::List(items),
            Inside::Map { entries, merges, .. } => Value::Map(self.entries(entries, merges, &place)?),
        };
        let tree = Tree { value, span: self.span(place.clone()) };
        self.wrapped(tree, frame.anchor, frame.wrap, (frame.weight_before, frame.height + 1), &place)
    }

    /// Adds a value as its tag makes it; `size` is the weight before it, and its height.
    fn wrapped(
        &mut self,
        tree: Tree,
        anchor: usize,
        wrap: Wrap,
        size: (usize, usize),
        place: &Range<usize>,
    ) -> Result<(), ParseError> {
        let (weight_before, mut height) = size;
        let span = tree.span;
        let tree = match wrap {
            Wrap::None => tree,
            Wrap::In(key) => {
                self.weigh(1, place)?;
                height += 1;
                Tree::map(span, vec![Entry { key, key_span: span, value: tree }])
            }
            Wrap::Unknown(why) => Tree::unknown(span, why),
        };
        self.deep(height, place)?;
        if anchor != 0 {
            // What is kept for aliases is memory too.
            let weight = self.weight - weight_before;
            self.weigh(weight, place)?;
            self.anchors.insert(anchor, Anchored { tree: tree.clone(), weight, height });
        }
        self.add(tree, height);
        Ok(())
    }

    fn add(&mut self, tree: Tree, height: usize) {
        let Some(frame) = self.frames.last_mut() else {
            self.parsed.documents.push(tree);
            return;
        };
        frame.height = frame.height.max(height);
        match &mut frame.inside {
            Inside::List(items) => items.push(tree),
            Inside::Map { merges, merge_next: next @ true, .. } => {
                *next = false;
                merges.push(tree);
            }
            Inside::Map { entries, key, .. } => {
                if let Some((key, key_span)) = key.take() {
                    entries.push(Entry { key, key_span, value: tree });
                }
            }
        }
    }

    /// A map's entries: of those with the same key the last, then those of merged maps whose keys are not there.
    fn entries(
        &mut self,
        mut entries: Vec<Entry>,
        merges: Vec<Tree>,
        place: &Range<usize>,
    ) -> Result<Vec<Entry>, ParseError> {
        self.drop_earlier(&mut entries);
        if merges.is_empty() {
            return Ok(entries);
        }
        let mut merged: Vec<Entry> = Vec::new();
        for tree in merges {
            for map in tree.one_or_many() {
                if !matches!(map.value, Value::Map(_)) {
                    let message = "`<<` takes a map or a list of maps; this is passed over".to_string();
                    let help = "give it an alias of a map".to_string();
                    self.doubtful(ParseError { span: map.span, message, help });
                }
                self.weigh(map.entries().len(), place)?;
                merged.extend(map.entries().iter().cloned());
            }
        }
        // The first of a key wins: the map's own, then those of earlier maps.
        entries.append(&mut merged);
        let mut order: Vec<usize> = (0..entries.len()).collect();
        let key = |index: &usize| entries.get(*index).map(|entry| &entry.key);
        order.sort_by(|a, b| key(a).cmp(&key(b)).then(a.cmp(b)));
        order.dedup_by(|later, first| key(later) == key(first));
        order.sort_unstable();
        let mut kept = order.into_iter().peekable();
        let entries = entries.into_iter().enumerate();
        Ok(entries.filter(|(at, _)| kept.next_if_eq(at).is_some()).map(|(_, entry)| entry).collect())
    }

    fn drop_earlier(&mut self, entries: &mut Vec<Entry>) {
        let mut order: Vec<usize> = (0..entries.len()).collect();
        let key = |index: usize| entries.get(index).map(|entry| entry.key.as_str());
        order.sort_by(|a, b| key(*a).cmp(&key(*b)).then(a.cmp(b)));
        let twice = order.windows(2).filter_map(|pair| match pair {
            [earlier, later] if key(*earlier) == key(*later) => Some((*earlier, *later)),
            _ => None,
        });
        let mut dropped: Vec<(usize, usize)> = twice.collect();
        if dropped.is_empty() {
            return;
        }
        dropped.sort_unstable();
        for (_, later) in &dropped {
            if let Some(entry) = entries.get(*later) {
                let doubt = ParseError {
                    span: entry.key_span,
                    message: format!("the key {} stands twice; this one counts", quoted(&entry.key)),
                    help: "remove one of them".to_string(),
                };
                self.doubtful(doubt);
            }
        }
        let mut dropped = dropped.into_iter().map(|(at, _)| at).peekable();
        let mut at = 0;
        entries.retain(|_| {
            let gone = dropped.next_if_eq(&at).is_some();
            at += 1;
            !gone
        });
    }

    pub(super) fn doubt(&mut self, place: Range<usize>, message: String, help: &str) {
        let doubt = self.error(place, message, help);
        self.doubtful(doubt);
    }

    fn doubtful(&mut self, doubt: ParseError) {
        if self.parsed.doubts.len() < DOUBTS_MAX {
            self.parsed.doubts.push(doubt);
        }
    }

    pub(super) fn finish(self) -> Parsed {
        self.parsed
    }
}

/// A text in quotes for a message, cut where it is long, without control characters.
pub(super) fn quoted(text: &str) -> String {
    let mut short: String = text.chars().take(60).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    format!("{short:?}")
}
