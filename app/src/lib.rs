//! The application as data: read from `flyball.toml` or from others' files, and checked against limits.
//!
//! Pure: the caller reads the files. Everything that is said of a file has its line and column.
//!
//! Where to look:
//! - [`read`]: the door for `flyball.toml`. [`Diagnostics`]: what it says where a file is wrong.
//!   [`Code`]: every kind of error.

mod file;

pub use file::{
    Code, DIAGNOSTICS_MAX, Diagnostic, Diagnostics, FILE_BYTES_MAX, Level, Read, SourceMap, json_schema,
    read, read_with, template,
};
