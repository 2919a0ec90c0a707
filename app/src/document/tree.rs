//! A value with its place.

use super::Span;

/// A value and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Tree {
    /// What it is.
    pub value: Value,
    /// Where it stands. Of what was made for it (by a transform), the place of what it was made for.
    pub span: Span,
}

/// What stands at a place.
///
/// [`Value::Pieces`], [`Value::Reference`] and [`Value::Unknown`] come only from resolving intrinsic functions
/// and variables: no parser makes them.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Nothing.
    Null,
    /// True or false.
    Bool(bool),
    /// A number without a fraction.
    Integer(i64),
    /// A number with a fraction.
    Float(f64),
    /// A text.
    Text(String),
    /// Values in order.
    List(Vec<Tree>),
    /// Keys and values, in the file's order; no key twice.
    Map(Vec<Entry>),
    /// A text of which parts are references or unknown.
    Pieces(Vec<Piece>),
    /// Another resource, or one of its attributes.
    Reference(Reference),
    /// What the files do not say.
    Unknown(Unknown),
}

/// A key and its value.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The key.
    pub key: String,
    /// Where the key stands.
    pub key_span: Span,
    /// The value.
    pub value: Tree,
}

/// A part of a text.
#[derive(Debug, Clone, PartialEq)]
pub enum Piece {
    /// As it is.
    Literal(String),
    /// A resource's name or attribute.
    Reference(Reference),
    /// Not known.
    Unknown(Unknown),
}

/// A resource of the same file, or of another of the same run.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reference {
    /// The [`name`](crate::import::Stack::name) of its stack; `None`: the stack in which the reference stands.
    pub stack: Option<String>,
    /// Its logical id.
    pub resource: String,
    /// `Fn::GetAtt`'s attribute; `None`: `Ref`.
    pub attribute: Option<String>,
}

impl Reference {
    /// A resource of the same stack: its `Ref`, or an attribute of it.
    pub fn to(resource: impl Into<String>, attribute: Option<&str>) -> Reference {
        Reference { stack: None, resource: resource.into(), attribute: attribute.map(str::to_string) }
    }
}

/// Something that the files do not say.
#[derive(Debug, Clone, PartialEq)]
pub struct Unknown {
    /// Why, as the end of a sentence that begins with "not known: ".
    pub why: String,
    /// What it can be, where only a condition is not known.
    pub one_of: Vec<Tree>,
}

impl Tree {
    /// A text.
    pub fn text(span: Span, text: impl Into<String>) -> Tree {
        Tree { value: Value::Text(text.into()), span }
    }

    /// Something that is not known.
    pub fn unknown(span: Span, why: impl Into<String>) -> Tree {
        Tree { value: Value::Unknown(Unknown { why: why.into(), one_of: Vec::new() }), span }
    }

    /// A map.
    pub fn map(span: Span, entries: Vec<Entry>) -> Tree {
        Tree { value: Value::Map(entries), span }
    }

    /// The value of a key. `None` too where this is no map.
    pub fn get(&self, key: &str) -> Option<&Tree> {
        self.entries().iter().find(|entry| entry.key == key).map(|entry| &entry.value)
    }

    /// The value at keys, one inside the other.
    pub fn at(&self, keys: &[&str]) -> Option<&Tree> {
        keys.iter().try_fold(self, |tree, key| tree.get(key))
    }

    /// The entries of a map; none where this is no map.
    pub fn entries(&self) -> &[Entry] {
        match &self.value {
            Value::Map(entries) => entries,
            _ => &[],
        }
    }

    /// The elements of a list; none where this is no list.
    pub fn items(&self) -> &[Tree] {
        match &self.value {
            Value::List(items) => items,
            _ => &[],
        }
    }

    /// The elements of a list, or the value itself where a single one stands for a list.
    pub fn one_or_many(&self) -> &[Tree] {
        match &self.value {
            Value::List(items) => items,
            Value::Null => &[],
            _ => std::slice::from_ref(self),
        }
    }

    /// A text that is known whole.
    pub fn as_str(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// A whole number, in quotes or not, as CloudFormation takes them.
    pub fn as_i64(&self) -> Option<i64> {
        match &self.value {
            Value::Integer(number) => Some(*number),
            // Floats are used for whole numbers in JSON; what has a fraction is no whole number.
            #[expect(clippy::cast_possible_truncation, reason = "checked to have no fraction and to fit")]
            Value::Float(number) if number.fract() == 0.0 && number.abs() < 9e15 => Some(*number as i64),
            Value::Text(text) => text.trim().parse().ok(),
            _ => None,
        }
    }

    /// True or false, in quotes or not.
    pub fn as_bool(&self) -> Option<bool> {
        match &self.value {
            Value::Bool(is) => Some(*is),
            Value::Text(text) if text.eq_ignore_ascii_case("true") => Some(true),
            Value::Text(text) if text.eq_ignore_ascii_case("false") => Some(false),
            _ => None,
        }
    }

    /// The resource that this is the name, ARN, URL or another attribute of.
    pub fn reference(&self) -> Option<&Reference> {
        match &self.value {
            Value::Reference(reference) => Some(reference),
            _ => None,
        }
    }

    /// Every resource that is named anywhere inside.
    pub fn references(&self) -> Vec<&Reference> {
        let mut found = Vec::new();
        self.visit(&mut |tree| match &tree.value {
            Value::Reference(reference) => found.push(reference),
            Value::Pieces(pieces) => found.extend(pieces.iter().filter_map(|piece| match piece {
                Piece::Reference(reference) => Some(reference),
                Piece::Literal(_) | Piece::Unknown(_) => None,
            })),
            _ => {}
        });
        found
    }

    /// Calls `see` with this value and each inside it; depth is bounded where trees are made.
    pub fn visit<'t>(&'t self, see: &mut impl FnMut(&'t Tree)) {
        see(self);
        match &self.value {
            Value::List(items) => items.iter().for_each(|item| item.visit(see)),
            Value::Map(entries) => entries.iter().for_each(|entry| entry.value.visit(see)),
            Value::Unknown(unknown) => unknown.one_of.iter().for_each(|tree| tree.visit(see)),
            _ => {}
        }
    }
}
