//! Reads YAML, JSON and TOML into trees.
//!
//! Each format has its module; all make their trees through `builder`, which holds the bounds.

mod brackets;
mod builder;
mod json;
mod offsets;
mod scalar;
#[cfg(test)]
mod tests;
mod toml;
mod yaml;

use std::fmt;

use super::{FileId, Files, Span, Tree};
use builder::Builder;

/// The largest document that is read, bytes.
pub const DOCUMENT_BYTES_MAX: usize = 64 << 20;

/// How deep values may lie in one another.
pub const DEPTH_MAX: usize = 128;

/// Values in one file after its aliases are followed; a text counts as one more for each [`TEXT_BYTES`] of it.
pub const NODES_MAX: usize = 2_000_000;

/// Bytes of a text that count as much as a value, so that aliases of long texts are bounded too.
pub const TEXT_BYTES: usize = 64;

/// How a text is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// YAML 1.1 as CloudFormation reads it, with its tags: `!Ref x` is read as `{Ref: x}`.
    Yaml,
    /// JSON; comments are passed over.
    Json,
    /// TOML.
    Toml,
}

impl Format {
    /// The word people see.
    pub const fn as_str(self) -> &'static str {
        match self {
            Format::Yaml => "YAML",
            Format::Json => "JSON",
            Format::Toml => "TOML",
        }
    }
}

/// Why a text could not be read, or what is doubtful in one that could.
#[derive(Debug, Clone, PartialEq)]
pub struct ParseError {
    /// Where.
    pub span: Span,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub help: String,
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {}", self.message, self.help)
    }
}

impl std::error::Error for ParseError {}

/// What a file holds.
#[derive(Debug, Clone, PartialEq)]
pub struct Parsed {
    /// A tree for each document: YAML can have several, none where there is nothing but comments.
    pub documents: Vec<Tree>,
    /// What is doubtful and was read all the same: keys that stand twice.
    pub doubts: Vec<ParseError>,
}

/// Reads the first document of a file of `files`; [`Null`](super::Value::Null) where it has none.
///
/// # Errors
/// The first thing that is wrong: no such syntax, too large, too deep, too many values.
pub fn parse(files: &Files, file: FileId, format: Format) -> Result<Tree, ParseError> {
    let empty = Tree { value: super::Value::Null, span: Span { file, start: 0, end: 0 } };
    Ok(parse_all(files, file, format)?.documents.into_iter().next().unwrap_or(empty))
}

/// Reads all documents of a file of `files`.
///
/// # Errors
/// The first thing that is wrong: no such syntax, too large, too deep, too many values.
pub fn parse_all(files: &Files, file: FileId, format: Format) -> Result<Parsed, ParseError> {
    read(files.text(file), || Builder::new(file, None), format)
}

/// Reads a text that stands inside another, such as a definition in a string: every place in it is `at`.
///
/// # Errors
/// The first thing that is wrong: no such syntax, too large, too deep, too many values.
pub fn parse_inside(text: &str, at: Span, format: Format) -> Result<Tree, ParseError> {
    let parsed = read(text, || Builder::new(at.file, Some(at)), format)?;
    let empty = Tree { value: super::Value::Null, span: at };
    Ok(parsed.documents.into_iter().next().unwrap_or(empty))
}

fn read(text: &str, new: impl Fn() -> Builder, format: Format) -> Result<Parsed, ParseError> {
    let mut builder = new();
    if text.len() > DOCUMENT_BYTES_MAX {
        let message = format!("{} bytes; at most {DOCUMENT_BYTES_MAX} are read", text.len());
        return Err(builder.error(0..0, message, "leave out what is no template, or split it"));
    }
    match format {
        Format::Yaml => return yaml::read(text, new),
        Format::Json => {
            if let Err(error) = json::read(text, &mut builder) {
                return json::with_placeholders(text, new()).unwrap_or(Err(error));
            }
        }
        Format::Toml => toml::read(text, &mut builder)?,
    }
    Ok(builder.finish())
}
