//! Where in the file each key is.

use std::{collections::BTreeMap, ops::Range};

use toml::de::{DeTable, DeValue};
use unicode_width::UnicodeWidthChar as _;

use crate::file::{Code, Diagnostic, Level};

/// The widest part of a line that is shown, columns; so many before the place, where the line is longer.
const SHOWN: usize = 72;
const SHOWN_BEFORE: usize = 30;

/// A file's text and the positions of its keys.
#[derive(Debug, Clone)]
pub struct SourceMap {
    file: String,
    text: String,
    /// Byte offset of each line's start.
    lines: Vec<usize>,
    root: Node,
}

#[derive(Debug, Clone, Default)]
struct Node {
    key: Range<usize>,
    value: Range<usize>,
    children: BTreeMap<String, Node>,
}

impl SourceMap {
    pub(crate) fn of_text(file: &str, text: &str) -> SourceMap {
        let starts = text.match_indices('\n').map(|(at, _)| at + 1);
        let lines = std::iter::once(0).chain(starts).collect();
        SourceMap { file: file.to_string(), text: text.to_string(), lines, root: Node::default() }
    }

    pub(crate) fn new(file: &str, text: &str, root: &DeTable<'_>) -> SourceMap {
        SourceMap { root: Node { children: entries(root), ..Node::default() }, ..Self::of_text(file, text) }
    }

    /// A diagnostic at the value of a key, for errors that are found after reading: `place` is keys from
    /// the root of the file, such as `["function", "scan", "component"]`; an element of `[[route]]` is its
    /// index. Where there is no such key it points at the table that would have it.
    pub fn diagnostic(&self, code: Code, place: &[&str], message: &str, help: &str) -> Diagnostic {
        let span = self.span_of(place.iter().copied());
        self.diagnostic_at(code, &span, message, help)
    }

    /// Whether the file has this key; `place` as in [`SourceMap::diagnostic`].
    pub fn has(&self, place: &[&str]) -> bool {
        let mut node = Some(&self.root);
        for key in place {
            node = node.and_then(|node| node.children.get(*key));
        }
        node.is_some()
    }

    /// Where a value is, such as `traffic.toml:7:6`; `place` as in [`SourceMap::diagnostic`].
    pub fn place(&self, place: &[&str]) -> String {
        let start = self.span_of(place.iter().copied()).start;
        let line = self.line_of(start);
        let before = self.lines.get(line - 1).and_then(|from| self.text.get(*from..start)).unwrap_or("");
        format!("{}:{line}:{}", self.file, before.chars().count() + 1)
    }

    pub(crate) fn span_of<'a>(&self, place: impl Iterator<Item = &'a str>) -> Range<usize> {
        let mut node = &self.root;
        for key in place {
            match node.children.get(key) {
                Some(child) => node = child,
                None => return node.key.clone(),
            }
        }
        node.value.clone()
    }

    /// The bytes of a key itself; of the table that would have it, where there is no such key.
    pub(crate) fn key_of(&self, place: &[&str]) -> Range<usize> {
        let mut node = &self.root;
        for key in place {
            match node.children.get(*key) {
                Some(child) => node = child,
                None => break,
            }
        }
        node.key.clone()
    }

    pub(crate) fn line_of(&self, offset: usize) -> usize {
        self.lines.partition_point(|start| *start <= offset).max(1)
    }

    pub(crate) fn diagnostic_at(
        &self,
        code: Code,
        span: &Range<usize>,
        message: &str,
        help: &str,
    ) -> Diagnostic {
        let line = self.line_of(span.start);
        let start = self.lines.get(line - 1).copied().unwrap_or(0);
        let end = self.lines.get(line).map_or(self.text.len(), |next| next - 1);
        let text = self.text.get(start..end).unwrap_or("").trim_end_matches('\r');
        let before = text.get(..span.start.saturating_sub(start)).unwrap_or(text).chars().count();
        let marked = self.text.get(span.start..span.end.min(end)).unwrap_or("").chars().count().max(1);
        Diagnostic {
            code,
            level: Level::Error,
            message: printable(message),
            file: self.file.clone(),
            line,
            column: before + 1,
            snippet: snippet(text, before, marked),
            help: printable(help),
        }
    }
}

/// Quotes of the file can hold anything, and control characters must not reach a terminal or a log.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

/// The line with carets under `marked` characters after the first `before`.
fn snippet(line: &str, before: usize, marked: usize) -> String {
    let long = line.chars().nth(SHOWN).is_some();
    let skipped = if long { before.saturating_sub(SHOWN_BEFORE) } else { 0 };
    let (mut shown, mut carets) = (String::new(), String::new());
    if skipped > 0 {
        shown.push('…');
        carets.push(' ');
    }
    let mut rest = line.chars().enumerate().skip(skipped);
    for (index, char) in rest.by_ref().take(SHOWN) {
        // Tabs have no width of their own, and control characters must not reach a terminal.
        let (char, width) = match char {
            '\t' => (' ', 4),
            c if c.is_control() => ('\u{fffd}', 1),
            c => (c, c.width().unwrap_or(0)),
        };
        shown.extend(std::iter::repeat_n(char, if char == ' ' { width } else { 1 }));
        let marker = if (before..before + marked).contains(&index) { '^' } else { ' ' };
        carets.extend(std::iter::repeat_n(marker, width));
    }
    if rest.next().is_some() {
        shown.push('…');
    }
    if !carets.contains('^') {
        carets.push('^');
    }
    format!("{}\n{}", shown.trim_end(), carets.trim_end())
}

fn entries(table: &DeTable<'_>) -> BTreeMap<String, Node> {
    let node = |key: Range<usize>, value: &toml::Spanned<DeValue<'_>>| Node {
        key,
        value: value.span(),
        children: children(value.get_ref()),
    };
    table.iter().map(|(key, value)| (key.get_ref().to_string(), node(key.span(), value))).collect()
}

/// The parser bounds how deep this goes.
fn children(value: &DeValue<'_>) -> BTreeMap<String, Node> {
    match value {
        DeValue::Table(table) => entries(table),
        DeValue::Array(array) => array
            .iter()
            .enumerate()
            .map(|(index, value)| {
                let node =
                    Node { key: value.span(), value: value.span(), children: children(value.get_ref()) };
                (index.to_string(), node)
            })
            .collect(),
        _ => BTreeMap::new(),
    }
}
