//! Trees that are made, at the place of what they are made for.

use std::fmt::Write;

use crate::document::{Entry, Piece, Reference, Span, Tree, Unknown, Value};

/// Makes trees at one place.
#[derive(Clone, Copy)]
pub(super) struct At(pub Span);

impl At {
    pub fn text(self, text: impl Into<String>) -> Tree {
        Tree::text(self.0, text)
    }

    pub fn boolean(self, is: bool) -> Tree {
        self.tree(Value::Bool(is))
    }

    pub fn integer(self, number: i64) -> Tree {
        self.tree(Value::Integer(number))
    }

    pub fn list(self, items: Vec<Tree>) -> Tree {
        self.tree(Value::List(items))
    }

    pub fn texts(self, texts: &[&str]) -> Tree {
        self.list(texts.iter().map(|text| self.text(*text)).collect())
    }

    pub fn map<const N: usize>(self, entries: [(&str, Tree); N]) -> Tree {
        let entries = entries.into_iter().map(|(key, value)| self.entry(key, value)).collect();
        self.tree(Value::Map(entries))
    }

    pub fn entry(self, key: &str, value: Tree) -> Entry {
        Entry { key: key.to_string(), key_span: self.0, value }
    }

    /// `Ref`.
    pub fn reference(self, resource: &str) -> Tree {
        self.tree(Value::Reference(Reference {
            resource: resource.to_string(),
            attribute: None,
            stack: None,
        }))
    }

    /// `Fn::GetAtt`.
    pub fn attribute(self, resource: &str, attribute: &str) -> Tree {
        let attribute = Some(attribute.to_string());
        self.tree(Value::Reference(Reference { resource: resource.to_string(), attribute, stack: None }))
    }

    /// A text with names in braces, which `value` knows. `{P}`, `{R}` and `{A}` are partition, region and account,
    /// which no file states.
    pub fn filled(self, pattern: &str, value: &dyn Fn(&str) -> Option<Tree>) -> Tree {
        let mut pieces = Vec::new();
        let mut rest = pattern;
        while let Some((before, after)) = rest.split_once('{') {
            let (name, behind) = after.split_once('}').unwrap_or((after, ""));
            if !before.is_empty() {
                pieces.push(Piece::Literal(before.to_string()));
            }
            add(&mut pieces, name, value(name));
            rest = behind;
        }
        if !rest.is_empty() {
            pieces.push(Piece::Literal(rest.to_string()));
        }
        self.joined(pieces)
    }

    /// A text of pieces; a plain text where all of it is known, a reference where it is one.
    pub fn joined(self, pieces: Vec<Piece>) -> Tree {
        if let [Piece::Reference(reference)] = pieces.as_slice() {
            return self.tree(Value::Reference(reference.clone()));
        }
        if let [Piece::Unknown(unknown)] = pieces.as_slice() {
            return self.tree(Value::Unknown(unknown.clone()));
        }
        let mut text = String::new();
        for piece in &pieces {
            match piece {
                Piece::Literal(part) => text.push_str(part),
                Piece::Reference(_) | Piece::Unknown(_) => return self.tree(Value::Pieces(pieces)),
            }
        }
        self.text(text)
    }

    fn tree(self, value: Value) -> Tree {
        Tree { value, span: self.0 }
    }
}

/// Adds what is in the place of a name in braces.
fn add(pieces: &mut Vec<Piece>, name: &str, value: Option<Tree>) {
    let unknown = |why: &str| Piece::Unknown(Unknown { why: why.to_string(), one_of: Vec::new() });
    let Some(tree) = value else {
        pieces.push(match name {
            "P" => Piece::Literal("aws".to_string()),
            "R" => unknown("AWS::Region is known only when it is deployed"),
            "A" => unknown("AWS::AccountId is known only when it is deployed"),
            _ => unknown("the parameter is not given"),
        });
        return;
    };
    match tree.value {
        Value::Text(text) => pieces.push(Piece::Literal(text)),
        Value::Integer(number) => pieces.push(Piece::Literal(number.to_string())),
        Value::Pieces(more) => pieces.extend(more),
        Value::Reference(reference) => pieces.push(Piece::Reference(reference)),
        Value::Unknown(it) => pieces.push(Piece::Unknown(it)),
        _ => pieces.push(unknown("it is no text")),
    }
}

/// The value of a key that is there and not null.
pub(super) fn given<'t>(tree: &'t Tree, key: &str) -> Option<&'t Tree> {
    tree.get(key).filter(|value| value.value != Value::Null)
}

/// A map in the making.
pub(super) struct Fields {
    at: At,
    entries: Vec<Entry>,
}

impl Fields {
    pub fn new(at: At) -> Fields {
        Fields { at, entries: Vec::new() }
    }

    pub fn put(mut self, key: &str, value: Tree) -> Fields {
        self.entries.push(self.at.entry(key, value));
        self
    }

    pub fn put_some(self, key: &str, value: Option<Tree>) -> Fields {
        match value {
            Some(value) => self.put(key, value),
            None => self,
        }
    }

    /// An entry of another map under another key; its places stay.
    pub fn take(mut self, from: &Tree, key: &str, named: &str) -> Fields {
        if let Some(entry) = from.entries().iter().find(|entry| entry.key == key)
            && entry.value.value != Value::Null
        {
            self.entries.push(Entry { key: named.to_string(), ..entry.clone() });
        }
        self
    }

    /// All entries of another map but those with these keys; their places stay.
    pub fn rest(mut self, from: &Tree, without: &[&str]) -> Fields {
        let kept =
            |entry: &&Entry| !without.contains(&entry.key.as_str()) && entry.value.value != Value::Null;
        self.entries.extend(from.entries().iter().filter(kept).cloned());
        self
    }

    pub fn done(self) -> Tree {
        Tree::map(self.at.0, self.entries)
    }
}

/// The value of a key, which is made as an empty map where it is not there. `None`: this is no map.
pub(super) fn inner<'t>(tree: &'t mut Tree, at: At, key: &str) -> Option<&'t mut Tree> {
    if tree.value == Value::Null {
        tree.value = Value::Map(Vec::new());
    }
    let Value::Map(entries) = &mut tree.value else { return None };
    let index = entries.iter().position(|entry| entry.key == key).unwrap_or_else(|| {
        entries.push(at.entry(key, at.map([])));
        entries.len() - 1
    });
    entries.get_mut(index).map(|entry| &mut entry.value)
}

/// A value without its places: the same for the same.
pub(super) fn fingerprint(tree: &Tree) -> String {
    let mut text = String::new();
    match &tree.value {
        Value::Text(it) => text.push_str(it),
        Value::Reference(reference) => write_reference(&mut text, reference),
        Value::Pieces(pieces) => {
            for piece in pieces {
                match piece {
                    Piece::Literal(it) => text.push_str(it),
                    Piece::Reference(reference) => write_reference(&mut text, reference),
                    Piece::Unknown(unknown) => text.push_str(&unknown.why),
                }
            }
        }
        Value::Unknown(unknown) => text.push_str(&unknown.why),
        other => drop(write!(text, "{other:?}")),
    }
    text
}

fn write_reference(text: &mut String, reference: &Reference) {
    let attribute = reference.attribute.as_deref().unwrap_or_default();
    // Writing to a text does not fail.
    let _ = write!(text, "${{{}.{attribute}}}", reference.resource);
}
