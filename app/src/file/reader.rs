//! Walks a parsed file into the tables of `shape`, and goes on after each error.

use std::{collections::BTreeMap, ops::Range};

use flyball_core::{
    Name,
    model::{Problem, nearest},
};
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use crate::file::{Code, DIAGNOSTICS_MAX, Diagnostics, SourceMap, code_of, quoted};

/// Findings kept while reading; past it they are only counted, so that a bad file can't fill the memory.
const FOUND_MAX: usize = 10_000;

/// The longest key for which a suggestion is looked for, bytes.
const SUGGESTED_BYTES_MAX: usize = 64;

pub(crate) type Value<'i> = Spanned<DeValue<'i>>;

/// Something that a value of the file can be read to. After a finding, `None`, or `Self` with what is left.
pub(crate) trait Shape: Sized {
    fn read(value: &Value<'_>, reader: &mut Reader) -> Option<Self>;
}

/// Something that can be a key's value in a table.
pub(crate) trait Field: Sized {
    const REQUIRED: bool;
    fn read(value: Option<&Value<'_>>, reader: &mut Reader) -> Self;
}

/// A key that must be there. Empty only after a finding.
#[derive(Debug)]
pub(crate) struct Need<T>(pub Option<T>);

impl<T> Default for Need<T> {
    fn default() -> Self {
        Need(None)
    }
}

impl<T: Shape> Field for Need<T> {
    const REQUIRED: bool = true;
    fn read(value: Option<&Value<'_>>, reader: &mut Reader) -> Self {
        Need(value.and_then(|value| T::read(value, reader)))
    }
}

impl<T: Shape> Field for Option<T> {
    const REQUIRED: bool = false;
    fn read(value: Option<&Value<'_>>, reader: &mut Reader) -> Self {
        value.and_then(|value| T::read(value, reader))
    }
}

struct Finding {
    at: Range<usize>,
    place: Vec<String>,
    code: Code,
    message: String,
    help: String,
}

/// Where the walk is, and what it found.
#[derive(Default)]
pub(crate) struct Reader {
    path: Vec<String>,
    found: Vec<Finding>,
    uncounted: usize,
}

impl Reader {
    pub fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    pub fn add(&mut self, code: Code, at: Range<usize>, message: String, help: String) {
        self.push(Finding { at, place: self.path.clone(), code, message, help });
    }

    pub fn add_at(&mut self, code: Code, place: &[String], map: &SourceMap, message: String, help: String) {
        let at = map.span_of(place.iter().map(String::as_str));
        self.push(Finding { at, place: place.to_vec(), code, message, help });
    }

    fn push(&mut self, finding: Finding) {
        if self.found.len() < FOUND_MAX { self.found.push(finding) } else { self.uncounted += 1 }
    }

    /// A value of the right type that is not allowed.
    pub fn bad(&mut self, value: &Value<'_>, message: String, help: &str) {
        self.add(Code::BadValue, value.span(), message, help.into());
    }

    /// A value of another type than `wanted`.
    pub fn wrong_type(&mut self, value: &Value<'_>, wanted: &str, help: &str) {
        let is = match value.get_ref() {
            DeValue::String(_) => "a string",
            DeValue::Integer(_) => "an integer",
            DeValue::Float(_) => "a float",
            DeValue::Boolean(_) => "a boolean",
            DeValue::Datetime(_) => "a date",
            DeValue::Array(_) => "an array",
            DeValue::Table(_) => "a table",
        };
        let message = format!("{} is {is}; it takes {wanted}", self.here());
        self.add(Code::WrongType, value.span(), message, help.into());
    }

    /// The key that is being read, in quotes.
    pub fn here(&self) -> String {
        match self.path.iter().rev().find(|key| key.parse::<usize>().is_err()) {
            Some(key) => quoted(key).replace('"', "`"),
            None => "the file".into(),
        }
    }

    /// How much was found so far.
    pub fn found_so_far(&self) -> usize {
        self.found.len() + self.uncounted
    }

    /// How often `key` is on the way to what is being read.
    pub fn depth_of(&self, key: &str) -> usize {
        self.path.iter().filter(|one| *one == key).count()
    }

    /// Reads inside `key`.
    pub fn within<T>(&mut self, key: &str, read: impl FnOnce(&mut Self) -> T) -> T {
        self.enter(key);
        let result = read(self);
        self.leave();
        result
    }

    /// What follows is read inside `key`, until [`Reader::leave`].
    pub fn enter(&mut self, key: &str) {
        self.path.push(key.to_string());
    }

    /// What follows is read outside the last key that was entered.
    pub fn leave(&mut self) {
        self.path.pop();
    }

    /// The table that a value is; reports what is none of its `keys`.
    pub fn table<'v, 'i>(&mut self, value: &'v Value<'i>, keys: &[&str]) -> Option<&'v DeTable<'i>> {
        let DeValue::Table(table) = value.get_ref() else {
            let help = format!("write it with the keys {}", keys.join(", "));
            self.wrong_type(value, "a table", &help);
            return None;
        };
        for key in table.keys().filter(|key| !keys.contains(&key.get_ref().as_ref())) {
            let name = key.get_ref();
            let known = format!("the keys here are {}", keys.join(", "));
            let help = match name.len() <= SUGGESTED_BYTES_MAX {
                true => nearest(name, keys.iter().copied(), &known),
                false => known,
            };
            let message = format!("there is no key {} here", quoted(name));
            self.within(name, |reader| reader.add(Code::UnknownKey, key.span(), message, help));
        }
        Some(table)
    }

    /// Reads one key of a table.
    pub fn field<F: Field>(&mut self, outer: &Value<'_>, table: &DeTable<'_>, key: &str) -> F {
        let value = table.iter().find(|(k, _)| k.get_ref() == key).map(|(_, value)| value);
        if value.is_none() && F::REQUIRED {
            let message = match self.path.is_empty() {
                true => format!("the file has no `{key}`"),
                false => format!("{} has no `{key}`", self.here()),
            };
            self.add(Code::MissingKey, outer.span(), message, format!("add `{key}`: it must be there"));
        }
        self.within(key, |reader| F::read(value, reader))
    }

    pub fn keep_first_of_each_line(&mut self, sources: &SourceMap) {
        self.found.sort_by_key(|f| f.at.start);
        self.found.dedup_by_key(|f| sources.line_of(f.at.start));
    }

    /// Where the text is broken, its parts are not what was meant: what is missing may stand in the broken
    /// part, and a broken line's value is no value.
    pub fn forget_what_follows_from_syntax(&mut self, sources: &SourceMap) {
        let is_syntax =
            |f: &Finding| f.place.is_empty() && matches!(f.code, Code::Syntax | Code::DuplicateName);
        let lines: Vec<usize> =
            self.found.iter().filter(|f| is_syntax(f)).map(|f| sources.line_of(f.at.start)).collect();
        self.found.retain(|f| {
            is_syntax(f) || f.code != Code::MissingKey && !lines.contains(&sources.line_of(f.at.start))
        });
    }

    /// Takes what the model's check found, unless it only follows from something found before.
    pub fn add_problems(&mut self, problems: Vec<Problem>, sources: &SourceMap) {
        let before: Vec<Vec<String>> = self.found.iter().map(|f| f.place.clone()).collect();
        // A wrong key of the root can be a whole kind of thing that is missing now.
        if before.iter().any(|place| place.len() < 2 && place.first().is_none_or(|p| p != "application")) {
            return;
        }
        for problem in problems {
            let code = code_of(&problem);
            // What is wrong further in can spoil a sum of limits, but makes no reference and no name wrong.
            let follows = |place: &Vec<String>| {
                (place.len() <= problem.place.len() || code == Code::ImpossibleLimit)
                    && place.iter().zip(&problem.place).all(|(a, b)| a == b)
            };
            if !before.iter().any(follows) {
                self.add_at(code, &problem.place, sources, problem.message, problem.help);
            }
        }
    }

    pub fn finish(mut self, sources: &SourceMap) -> Diagnostics {
        self.found.sort_by(|a, b| (a.at.start, a.code, &a.message).cmp(&(b.at.start, b.code, &b.message)));
        let left_out = self.uncounted + self.found.len().saturating_sub(DIAGNOSTICS_MAX);
        let first = self.found.iter().take(DIAGNOSTICS_MAX);
        let diagnostics = first.map(|f| sources.diagnostic_at(f.code, &f.at, &f.message, &f.help)).collect();
        Diagnostics { diagnostics, left_out }
    }
}

impl<T: Shape> Shape for Vec<T> {
    fn read(value: &Value<'_>, reader: &mut Reader) -> Option<Self> {
        let DeValue::Array(array) = value.get_ref() else {
            reader.wrong_type(value, "an array", "put it in brackets: [ ]");
            return None;
        };
        let read = |(index, value): (usize, _)| reader.within(&index.to_string(), |r| T::read(value, r));
        Some(array.iter().enumerate().filter_map(read).collect())
    }
}

/// A table whose keys are names that the application gives.
#[derive(Debug)]
pub(crate) struct Named<T>(pub BTreeMap<Name, T>);

impl<T: Shape + Default> Shape for Named<T> {
    fn read(value: &Value<'_>, reader: &mut Reader) -> Option<Self> {
        let DeValue::Table(table) = value.get_ref() else {
            reader.wrong_type(value, "a table of names", "write the name after a dot: [kind.name]");
            return None;
        };
        let mut all = BTreeMap::new();
        for (key, value) in table.iter() {
            let text = key.get_ref();
            reader.within(text, |reader| match Name::new(text) {
                // What could not be read keeps its name, so that references to it are no errors.
                Ok(name) => drop(all.insert(name, T::read(value, reader).unwrap_or_default())),
                Err(error) => {
                    let message = format!("{} can't be a name: {error}", quoted(text));
                    reader.add(Code::BadValue, key.span(), message, "give it another name".into());
                    // Only for what is wrong inside: without a name it can't be kept.
                    drop(T::read(value, reader));
                }
            });
        }
        Some(Named(all))
    }
}
