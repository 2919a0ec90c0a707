//! Definitions that are written as text inside a template.

use std::collections::BTreeMap;

use crate::document::{Entry, Files, Format, Piece, Span, Tree, Unknown, Value, parse};

/// Stands around the number of a piece while the text is read as JSON. Of the private use area.
const MARK: char = '\u{e000}';

/// Keys that are looked for in the template's text and not found, before the search is given up.
const LOST_MAX: usize = 16;

/// What substitutions may put into one definition, bytes. AWS takes definitions of 1 MB.
const SUBSTITUTED_MAX: usize = 4 << 20;

/// The longest name of a substitution, in characters.
const NAME_CHARS_MAX: usize = 256;

/// A definition from what stands for it: a map as it is, a text (whole or in pieces) read as JSON.
///
/// # Errors
/// Why it can't be read, as the end of a sentence.
pub(crate) fn tree(written: &Tree, files: &Files) -> Result<Tree, String> {
    let pieces = match &written.value {
        Value::Map(_) => return Ok(written.clone()),
        Value::Text(text) => vec![Piece::Literal(text.clone())],
        Value::Pieces(pieces) => pieces.clone(),
        Value::Reference(reference) => return Err(format!("it is made by {}", reference.resource)),
        Value::Unknown(unknown) => return Err(unknown.why.clone()),
        _ => return Err("it is neither a text nor an object".into()),
    };
    let text = marked(&pieces);
    let mut own = Files::default();
    let file = own.add("", text);
    let mut tree = parse(&own, file, Format::Json).map_err(|error| {
        let place = own.place(error.span);
        format!("in its line {}, column {}: {}", place.line, place.column, error.message)
    })?;
    let source = files.text(written.span.file);
    let range = written.span.start as usize..(written.span.end as usize).min(source.len());
    let source = source.get(range).unwrap_or("");
    Placing { source, pieces: &pieces, base: written.span, at: 0, lost: 0 }.place(&mut tree);
    Ok(tree)
}

/// The text with a mark for each piece that is not literal, in quotes where it stands outside of a string.
/// `${Name}` outside of a string gets quotes too: a substitution can be a number.
fn marked(pieces: &[Piece]) -> String {
    let mut out = String::new();
    let (mut quoted, mut escaped) = (false, false);
    for (index, piece) in pieces.iter().enumerate() {
        let Piece::Literal(literal) = piece else {
            let quote = if quoted { "" } else { "\"" };
            out.push_str(&format!("{quote}{MARK}{index}{MARK}{quote}"));
            continue;
        };
        let mut open = false;
        for (at, char) in literal.char_indices().filter(|(_, char)| *char != MARK) {
            if !quoted && char == '$' && literal.get(at..).is_some_and(|rest| rest.starts_with("${")) {
                open = true;
                out.push('"');
            }
            out.push(char);
            if open && char == '}' {
                open = false;
                out.push('"');
            }
            (quoted, escaped) = match char {
                '"' if !escaped && !open => (!quoted, false),
                '\\' if quoted => (true, !escaped),
                _ => (quoted, false),
            };
        }
    }
    out
}

/// A text in which marks stand for pieces, as what they stand for.
fn unmarked(text: &str, pieces: &[Piece]) -> Option<Vec<Piece>> {
    if !text.contains(MARK) {
        return None;
    }
    let parts = text.split(MARK).enumerate();
    let found = parts.filter_map(|(turn, part)| {
        // Every other part stood between two marks.
        if turn % 2 == 0 {
            return (!part.is_empty()).then(|| Piece::Literal(part.to_string()));
        }
        part.parse().ok().and_then(|index: usize| pieces.get(index).cloned())
    });
    Some(found.collect())
}

/// Pieces as the plainest value that holds them.
fn value(mut pieces: Vec<Piece>) -> Value {
    if pieces.len() > 1 {
        let text = pieces.iter().map(|piece| match piece {
            Piece::Literal(literal) => Some(literal.as_str()),
            Piece::Reference(_) | Piece::Unknown(_) => None,
        });
        return match text.collect::<Option<String>>() {
            Some(text) => Value::Text(text),
            None => Value::Pieces(pieces),
        };
    }
    match pieces.pop() {
        Some(Piece::Reference(reference)) => Value::Reference(reference),
        Some(Piece::Unknown(unknown)) => Value::Unknown(unknown),
        Some(Piece::Literal(text)) => Value::Text(text),
        None => Value::Text(String::new()),
    }
}

/// Gives the parts of a definition their places in the template: it looks for the keys, one after the other.
struct Placing<'s> {
    source: &'s str,
    pieces: &'s [Piece],
    base: Span,
    at: usize,
    lost: usize,
}

impl Placing<'_> {
    fn place(&mut self, tree: &mut Tree) {
        tree.span = self.span(0);
        match &mut tree.value {
            Value::Map(entries) => entries.iter_mut().for_each(|entry| self.entry(entry)),
            Value::List(items) => items.iter_mut().for_each(|item| self.place(item)),
            Value::Text(text) => {
                if let Some(pieces) = unmarked(text, self.pieces) {
                    tree.value = value(pieces);
                }
            }
            _ => {}
        }
    }

    fn entry(&mut self, entry: &mut Entry) {
        if !entry.key.contains(MARK) {
            self.find(&entry.key);
        }
        entry.key_span = self.span(entry.key.len());
        self.place(&mut entry.value);
    }

    /// The place that was found last, `length` bytes long; the whole definition where nothing was found.
    fn span(&self, length: usize) -> Span {
        let start = u32::try_from(self.at).ok().and_then(|at| self.base.start.checked_add(at));
        match start {
            Some(start) if self.at > 0 => {
                let end = start.saturating_add(u32::try_from(length).unwrap_or(0));
                Span { file: self.base.file, start, end: end.min(self.base.end.max(start)) }
            }
            _ => self.base,
        }
    }

    /// Goes on to the next `"key":`, in whose quotes there may be backslashes.
    fn find(&mut self, key: &str) {
        if self.lost >= LOST_MAX || key.is_empty() {
            return;
        }
        let from = self.at;
        let rest = self.source.get(from..).unwrap_or("");
        let found = rest.match_indices(key).map(|(offset, _)| from + offset).find(|start| {
            let before = self.source.get(..*start).unwrap_or("");
            let after = self.source.get(start + key.len()..).unwrap_or("");
            let after = after.strip_prefix('\\').unwrap_or(after);
            let colon = after.strip_prefix('"').map(str::trim_start);
            before.ends_with('"') && colon.is_some_and(|after| after.starts_with(':'))
        });
        match found {
            Some(start) => self.at = start,
            None => self.lost += 1,
        }
    }
}

/// `DefinitionSubstitutions`, by name.
pub(crate) struct Substitutions<'t> {
    by_name: BTreeMap<&'t str, &'t Tree>,
    left: usize,
}

impl<'t> Substitutions<'t> {
    /// From the map in the resource's properties.
    pub fn new(map: Option<&'t Tree>) -> Substitutions<'t> {
        let entries = map.map(Tree::entries).unwrap_or_default();
        let by_name = entries.iter().map(|entry| (entry.key.as_str(), &entry.value)).collect();
        Substitutions { by_name, left: SUBSTITUTED_MAX }
    }

    /// Replaces each `${Name}` inside by what it stands for. A name that is not there stays as it is.
    pub fn apply(&mut self, tree: &mut Tree) {
        if self.by_name.is_empty() {
            return;
        }
        match &mut tree.value {
            Value::Map(entries) => entries.iter_mut().for_each(|entry| self.apply(&mut entry.value)),
            Value::List(items) => items.iter_mut().for_each(|item| self.apply(item)),
            Value::Text(text) => {
                if let Some(pieces) = self.replaced(text) {
                    tree.value = value(pieces);
                }
            }
            Value::Pieces(pieces) => {
                let replaced = pieces.iter().flat_map(|piece| match piece {
                    Piece::Literal(text) => self.replaced(text).unwrap_or_else(|| vec![piece.clone()]),
                    Piece::Reference(_) | Piece::Unknown(_) => vec![piece.clone()],
                });
                tree.value = value(replaced.collect());
            }
            _ => {}
        }
    }

    fn replaced(&mut self, text: &str) -> Option<Vec<Piece>> {
        let mut pieces = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        let mut any = false;
        while let Some((before, after)) = rest.split_once("${") {
            literal.push_str(before);
            let end = after.char_indices().take(NAME_CHARS_MAX).find(|(_, char)| *char == '}');
            let name = end.and_then(|(end, _)| after.split_at_checked(end));
            let tree = name.and_then(|(name, _)| self.by_name.get(name.trim()));
            let (Some((_, behind)), Some(tree)) = (name, tree) else {
                literal.push_str("${");
                rest = after;
                continue;
            };
            any = true;
            if !literal.is_empty() {
                pieces.push(Piece::Literal(std::mem::take(&mut literal)));
            }
            pieces.extend(of(tree, &mut self.left));
            rest = behind.strip_prefix('}').unwrap_or(behind);
        }
        literal.push_str(rest);
        if !literal.is_empty() {
            pieces.push(Piece::Literal(literal));
        }
        any.then_some(pieces)
    }
}

/// What a substitution stands for, as parts of a text. `left`: bytes that may still be put in.
fn of(tree: &Tree, left: &mut usize) -> Vec<Piece> {
    let pieces = match &tree.value {
        Value::Text(text) => vec![Piece::Literal(text.clone())],
        Value::Integer(number) => vec![Piece::Literal(number.to_string())],
        Value::Float(number) => vec![Piece::Literal(number.to_string())],
        Value::Bool(is) => vec![Piece::Literal(is.to_string())],
        Value::Pieces(pieces) => pieces.clone(),
        Value::Reference(reference) => vec![Piece::Reference(reference.clone())],
        // What it can be is of no use here, and may be large.
        Value::Unknown(unknown) => vec![unknown_piece(&unknown.why)],
        Value::Null | Value::List(_) | Value::Map(_) => vec![unknown_piece("a substitution that is no text")],
    };
    let size = pieces.iter().map(|piece| match piece {
        Piece::Literal(literal) => literal.len(),
        Piece::Reference(_) | Piece::Unknown(_) => 64,
    });
    match left.checked_sub(size.sum()) {
        Some(rest) => {
            *left = rest;
            pieces
        }
        None => vec![unknown_piece("its substitutions make the definition too long")],
    }
}

fn unknown_piece(why: &str) -> Piece {
    Piece::Unknown(Unknown { why: why.to_string(), one_of: Vec::new() })
}
