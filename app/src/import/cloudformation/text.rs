//! Texts of which parts are references or not known.

use super::scope::{Scope, weight};
use crate::document::{Files, Piece, Span, TEXT_BYTES, Tree, Unknown, Value};

/// The text of a value that is one, or a number or boolean: as it is written, so that `1.10` stays `1.10`.
pub(super) fn literal(files: &Files, tree: &Tree) -> Option<String> {
    match &tree.value {
        Value::Text(text) => Some(text.clone()),
        Value::Integer(number) => Some(number.to_string()),
        Value::Bool(is) => Some(is.to_string()),
        Value::Float(number) => {
            let place = tree.span.start as usize..tree.span.end as usize;
            let written = files.text(tree.span.file).get(place).unwrap_or("");
            let same = written.parse::<f64>().is_ok_and(|parsed| parsed.to_bits() == number.to_bits());
            Some(if same { written.to_string() } else { number.to_string() })
        }
        _ => None,
    }
}

/// A text in the making.
pub(super) struct Words {
    span: Span,
    pieces: Vec<Piece>,
    /// It became too large.
    over: bool,
}

impl Words {
    pub(super) fn new(span: Span) -> Words {
        Words { span, pieces: Vec::new(), over: false }
    }

    /// Adds a text as it is.
    pub(super) fn literal(&mut self, scope: &mut Scope<'_, '_, '_>, text: &str) {
        if self.over || text.is_empty() {
            return;
        }
        self.over = !scope.charge(text.len() / TEXT_BYTES + usize::from(self.pieces.is_empty()), self.span);
        match self.pieces.last_mut() {
            Some(Piece::Literal(last)) => last.push_str(text),
            _ => self.pieces.push(Piece::Literal(text.to_string())),
        }
    }

    /// Adds a value.
    pub(super) fn tree(&mut self, scope: &mut Scope<'_, '_, '_>, tree: &Tree) {
        if let Some(text) = literal(&scope.reading.files, tree) {
            return self.literal(scope, &text);
        }
        self.over |= !scope.charge(weight(tree), self.span);
        if self.over {
            return;
        }
        match &tree.value {
            Value::Reference(reference) => self.pieces.push(Piece::Reference(reference.clone())),
            Value::Unknown(unknown) => self.pieces.push(Piece::Unknown(unknown.clone())),
            Value::Pieces(pieces) => {
                for piece in pieces {
                    match piece {
                        Piece::Literal(text) => self.literal(scope, text),
                        piece => self.pieces.push(piece.clone()),
                    }
                }
            }
            _ => {
                let why = "a list or map stands where a text must".to_string();
                self.pieces.push(Piece::Unknown(Unknown { why, one_of: Vec::new() }));
            }
        }
    }

    /// The text: whole, or in its pieces. A single piece is what it is.
    pub(super) fn finish(self) -> Tree {
        let span = self.span;
        if self.over {
            return Tree::unknown(span, "the text is too long");
        }
        let mut pieces = without_dynamic(self.pieces);
        if pieces.len() > 1 {
            return Tree { value: Value::Pieces(pieces), span };
        }
        let value = match pieces.pop() {
            None => Value::Text(String::new()),
            Some(Piece::Literal(text)) => Value::Text(text),
            Some(Piece::Reference(reference)) => Value::Reference(reference),
            Some(Piece::Unknown(unknown)) => Value::Unknown(unknown),
        };
        Tree { value, span }
    }
}

const DYNAMIC: &str = "{{resolve:";

/// `{{resolve:ssm:name}}` is replaced when it is deployed: from the first to the end of the last, not known.
fn without_dynamic(pieces: Vec<Piece>) -> Vec<Piece> {
    let find = |piece: &Piece| match piece {
        Piece::Literal(text) => text.find(DYNAMIC),
        _ => None,
    };
    let Some((first, start)) = pieces.iter().enumerate().find_map(|(at, piece)| Some((at, find(piece)?)))
    else {
        return pieces;
    };
    let end = |piece: &Piece| match piece {
        Piece::Literal(text) => text.rfind("}}"),
        _ => None,
    };
    let last = pieces.iter().enumerate().rev().find_map(|(at, piece)| Some((at, end(piece)?)));
    let mut left = Vec::new();
    for (at, piece) in pieces.iter().enumerate() {
        let Piece::Literal(text) = piece else {
            let inside = at > first && last.is_none_or(|(last, _)| at < last);
            if !inside {
                left.push(piece.clone());
            }
            continue;
        };
        if at < first || last.is_some_and(|(last, _)| at > last) {
            left.push(piece.clone());
        }
        if at == first {
            left.extend(text.get(..start).filter(|text| !text.is_empty()).map(|t| Piece::Literal(t.into())));
            let why = "a dynamic reference is replaced when it is deployed".to_string();
            left.push(Piece::Unknown(Unknown { why, one_of: Vec::new() }));
        }
        if let Some((_, end)) = last.filter(|(last, _)| at == *last) {
            let rest = text.get(end + 2..).filter(|text| !text.is_empty());
            left.extend(rest.map(|text| Piece::Literal(text.into())));
        }
    }
    left
}

/// Whether a text holds a dynamic reference.
pub(super) fn is_dynamic(text: &str) -> bool {
    text.contains(DYNAMIC)
}

/// A part of a `Fn::Sub`'s text.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Part<'s> {
    Literal(&'s str),
    /// `${name}`, without its braces.
    Name(&'s str),
}

/// Takes a `Fn::Sub`'s text apart. `${!x}` is the text `${x}`; what is not closed is text.
pub(super) fn parts(text: &str) -> Vec<Part<'_>> {
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        let (before, from) = rest.split_at(at);
        let Some(end) = from.find('}') else { break };
        let inside = from.get(2..end).unwrap_or("");
        parts.push(Part::Literal(before));
        match inside.strip_prefix('!') {
            Some(literal) => parts.extend([Part::Literal("${"), Part::Literal(literal), Part::Literal("}")]),
            None => parts.push(Part::Name(inside.trim())),
        }
        rest = from.get(end + 1..).unwrap_or("");
    }
    parts.push(Part::Literal(rest));
    parts.retain(|part| *part != Part::Literal(""));
    parts
}
