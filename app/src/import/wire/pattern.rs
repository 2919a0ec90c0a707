//! A text of which parts are references or not known, as one text with a character for each such part.
//!
//! So an ARN is taken apart by what stands in it, wherever its parts are from.

use std::fmt::Write as _;

use crate::document::{Piece, Reference, Tree, Unknown, Value};

/// The first character that stands for a part: of a plane for private use.
const HOLE_FIRST: u32 = 0xF_0000;

/// Parts of one text that can stand for themselves; the rest of a longer text is cut off.
const HOLES_MAX: usize = 0x1000;

/// A text with holes.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Pattern<'t> {
    /// The text, with a character for each hole.
    pub text: String,
    holes: Vec<Hole<'t>>,
}

/// A part that is no plain text.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Hole<'t> {
    /// A resource's name or attribute.
    Reference(&'t Reference),
    /// Not known.
    Unknown(&'t Unknown),
}

impl<'t> Pattern<'t> {
    /// Of a text, a reference, or a text of pieces. `None`: the value is nothing of the kind.
    pub(super) fn of(tree: &'t Tree) -> Option<Pattern<'t>> {
        let mut pattern = Pattern { text: String::new(), holes: Vec::new() };
        match &tree.value {
            Value::Text(text) => pattern.literal(text),
            Value::Integer(number) => pattern.literal(&number.to_string()),
            Value::Reference(reference) => pattern.hole(Hole::Reference(reference)),
            Value::Unknown(unknown) => pattern.hole(Hole::Unknown(unknown)),
            Value::Pieces(pieces) => pieces.iter().for_each(|piece| match piece {
                Piece::Literal(text) => pattern.literal(text),
                Piece::Reference(reference) => pattern.hole(Hole::Reference(reference)),
                Piece::Unknown(unknown) => pattern.hole(Hole::Unknown(unknown)),
            }),
            _ => return None,
        }
        Some(pattern)
    }

    /// Another text with the same holes: a part of this one, or what was read from it.
    pub(super) fn with(&self, text: &str) -> Pattern<'t> {
        Pattern { text: text.to_string(), holes: self.holes.clone() }
    }

    fn literal(&mut self, text: &str) {
        let clean =
            text.chars().map(|c| if hole_index(c).is_some() { char::REPLACEMENT_CHARACTER } else { c });
        self.text.extend(clean);
    }

    fn hole(&mut self, hole: Hole<'t>) {
        let next = u32::try_from(self.holes.len()).ok().filter(|_| self.holes.len() < HOLES_MAX);
        if let Some(c) = next.and_then(|next| char::from_u32(HOLE_FIRST + next)) {
            self.text.push(c);
            self.holes.push(hole);
        }
    }

    /// The hole that a text begins with, and what follows it.
    pub(super) fn first_hole<'a>(&self, text: &'a str) -> Option<(Hole<'t>, &'a str)> {
        let first = text.chars().next()?;
        let hole = self.holes.get(hole_index(first)?)?;
        Some((*hole, text.get(first.len_utf8()..)?))
    }

    /// The hole that a text is, where it is nothing else.
    pub(super) fn only_hole(&self, text: &str) -> Option<Hole<'t>> {
        self.first_hole(text).filter(|(_, rest)| rest.is_empty()).map(|(hole, _)| hole)
    }

    /// A text as a name to look up: the same for two texts only if they are the same when deployed. `None`: what
    /// is not known in it could be anything.
    pub(super) fn name(&self, stack: usize) -> Option<String> {
        self.name_of(&self.text, stack)
    }

    /// [`Pattern::name`] of a part of the text.
    pub(super) fn name_of(&self, text: &str, stack: usize) -> Option<String> {
        let mut name = String::new();
        for c in text.chars() {
            match hole_index(c).map(|index| self.holes.get(index)) {
                None => name.push(c),
                Some(Some(Hole::Reference(to))) => {
                    // A reference means the same wherever it stands in a stack.
                    let attribute = to.attribute.as_deref().unwrap_or("");
                    let of = to.stack.clone().unwrap_or_else(|| stack.to_string());
                    write!(name, "\u{0}{of}\u{0}{}\u{0}{attribute}\u{0}", to.resource).ok()?;
                }
                Some(Some(Hole::Unknown(unknown))) if is_one_value(unknown) => {
                    write!(name, "\u{0}{stack}\u{0}{}\u{0}", unknown.why).ok()?;
                }
                Some(Some(Hole::Unknown(_)) | None) => return None,
            }
        }
        Some(name)
    }

    /// A text for people.
    pub(super) fn shown(&self, text: &str) -> String {
        let mut shown = String::new();
        for c in text.chars() {
            match hole_index(c).map(|index| self.holes.get(index)) {
                None => shown.push(c),
                Some(Some(Hole::Reference(to))) => {
                    let attribute = to.attribute.as_ref().map(|name| format!(".{name}")).unwrap_or_default();
                    shown.push_str(&format!("${{{}{attribute}}}", to.resource));
                }
                Some(_) => shown.push('…'),
            }
        }
        shown
    }

    /// Whether a text has parts that are not known.
    pub(super) fn has_holes(text: &str) -> bool {
        text.chars().any(|c| hole_index(c).is_some())
    }
}

fn hole_index(c: char) -> Option<usize> {
    let index = u32::from(c).checked_sub(HOLE_FIRST)? as usize;
    (index < HOLES_MAX).then_some(index)
}

/// Whether what is not known is one and the same wherever the same is said of it in a stack: a parameter, or a
/// pseudo-parameter.
fn is_one_value(unknown: &Unknown) -> bool {
    unknown.why.starts_with("the parameter ") || unknown.why.starts_with("AWS::")
}
