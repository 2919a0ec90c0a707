//! The application as data: read from `flyball.toml` or from others' files, and checked against limits.
//!
//! Pure: the caller reads the files. Everything that is said of a file has its line and column.
//!
//! Data flows one way: text → [`document`] (trees with places) → [`import`] (what each kind of file says) →
//! [`design`] (one graph for all) → [`check`] (rules, against a [`profile`]) → [`report`] (for people and programs).
//!
//! - [`read`]: the door for `flyball.toml` where it is to be served. [`Diagnostics`]: what it says where a file
//!   is wrong. [`Code`]: every kind of error.

pub mod check;
pub mod design;
pub mod document;
mod file;
pub mod import;
pub mod profile;
pub mod report;
pub mod workload;

pub use file::{
    Code, DIAGNOSTICS_MAX, Diagnostic, Diagnostics, FILE_BYTES_MAX, Level, Read, SourceMap, json_schema,
    read, read_with, template,
};
