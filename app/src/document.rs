//! Text of others' files as trees in which every part knows where it stands.
//!
//! - [`Tree`]: a value of YAML, JSON or TOML, its place, and what could not be known of it.
//! - [`Files`]: the texts, so that a [`Span`] becomes file, line and column.
//! - [`parse`]: the door. Bounded in size, depth and in what aliases may multiply to. [`parse_inside`]: of a text
//!   that stands in another.

mod files;
mod parse;
mod tree;

pub use files::{FileId, Files, Place, Span};
pub use parse::{
    DEPTH_MAX, DOCUMENT_BYTES_MAX, Format, NODES_MAX, ParseError, Parsed, TEXT_BYTES, parse, parse_all,
    parse_inside,
};
pub use tree::{Entry, Piece, Reference, Tree, Unknown, Value};
