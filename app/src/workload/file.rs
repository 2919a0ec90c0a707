//! Reads a traffic file, such as `traffic.toml`, into a [`Workload`]; every error at once, with line and column.
//!
//! - `shape`: the file's tables. - `values`, `lasting`, `step`: what their keys take, and the bounds.
//! - `resolve`: defaults, and what keys mean together.

mod lasting;
mod resolve;
mod shape;
mod step;
pub(super) mod values;

pub(crate) use lasting::in_words;

use crate::{
    Diagnostics, SourceMap,
    file::{self, Parsed, reader::Shape as _},
    workload::Workload,
};

/// Sources of traffic in one file.
pub const SOURCES_MAX: usize = 1_000;
/// Functions in one file.
pub const FUNCTIONS_MAX: usize = 10_000;
/// Dependencies in one file.
pub const DEPENDENCIES_MAX: usize = 1_000;
/// Shares of `[filter.FROM]`, in one file.
pub const FILTERS_MAX: usize = 10_000;
/// Promises, and assertions, in one file.
pub const PROMISES_MAX: usize = 1_000;
/// Tenants of one source.
pub const TENANTS_MAX: u32 = 100_000;
/// Items in one event.
pub const ITEMS_MAX: u32 = 10_000;
/// Users that send to one place.
pub const USERS_MAX: u32 = 1_000_000;
/// Events a second at one place.
pub const PER_SECOND_MAX: u32 = 1_000_000;
/// Calls (`times`) or events (`count`) of one step.
pub const REPEATS_MAX: u32 = 10_000;
/// Steps of one function, those side by side included.
pub const STEPS_MAX: usize = 1_000;
/// `parallel` within `parallel`.
pub const STEPS_DEEP_MAX: usize = 8;
/// What all steps of one run for one event come to, repeats and items multiplied out.
pub const ACTS_PER_RUN_MAX: u64 = 1_000_000;
/// Points of a shape, of a growth, or of quantiles.
pub const POINTS_MAX: usize = 10_000;
/// Values in one `measured`.
pub const MEASURED_MAX: usize = 100_000;
/// The longest stretch of time in a file, days.
pub const DAYS_MAX: u64 = 366;

/// What a good traffic file is read to.
#[derive(Debug)]
pub struct Read {
    /// What it says.
    pub workload: Workload,
    /// Where in the file each key is, for diagnostics about it that come later.
    pub sources: SourceMap,
}

/// A key that a file leaves out, and what was taken for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assumed {
    /// Such as `traffic.tiles.event_bytes`.
    pub key: String,
    /// As the file would have it, such as `"1KiB"`.
    pub value: String,
}

/// Reads a traffic file. `file_name` is only for messages.
///
/// # Errors
/// Everything that is wrong, in the order of the file; at most [`crate::DIAGNOSTICS_MAX`], with how many more. A text
/// of more than [`crate::FILE_BYTES_MAX`] bytes is not looked at.
pub fn read(file_name: &str, text: &str) -> Result<Read, Diagnostics> {
    let help = "a traffic file says little; recorded arrivals belong in a trace";
    let Parsed { mut reader, sources, broken, root } = file::parse(file_name, text, help)?;
    let file = shape::File::read(&root, &mut reader).unwrap_or_default();
    let workload = resolve::workload(file, &sources, &mut reader);
    if broken {
        reader.forget_what_follows_from_syntax(&sources);
    }
    match reader.is_empty() {
        true => Ok(Read { workload, sources }),
        false => Err(reader.finish(&sources)),
    }
}

/// The JSON Schema of a traffic file, for editors.
pub fn json_schema() -> serde_json::Value {
    file::shape::schema_of::<shape::File>()
}
