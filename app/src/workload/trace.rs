//! Recorded traffic of others, read line by line in bounded memory. The caller opens the files.
//!
//! | format | what | source |
//! |---|---|---|
//! | [`Format::Azure2019`] | invocations of each function in each minute of a day | Azure Public Dataset, 2019 |
//! | [`Format::Azure2021`] | single invocations | Azure Public Dataset, 2021 |
//! | [`Format::Pacslab`] | measured invocations of AWS Lambda | pacslab/serverless-performance-modeling |
//! | [`Format::Arrivals`] | starts of single invocations | ours: `start_ms,application` |
//!
//! Columns are found by their names in the first line, so that their order and further ones do not matter.

mod application;
mod azure2019;
mod rows;
mod single;

use std::io::BufRead;

pub use application::{Application, application};
use rows::Rows;

use crate::{Diagnostics, workload::Recorded};

/// The largest file of a trace, bytes.
pub const TRACE_BYTES_MAX: u64 = 2 << 30;
/// The longest line of a trace, bytes.
pub const TRACE_LINE_BYTES_MAX: usize = 256 << 10;
/// Functions of one trace.
pub const SERIES_MAX: usize = 100_000;
/// Counts of one trace: series × slots; 4 bytes each.
pub const COUNTS_MAX: usize = 100_000_000;
/// Invocations of a trace that has a line for each.
pub const INVOCATIONS_MAX: usize = 10_000_000;
/// Durations kept of one function where each invocation has one: past it every second is dropped, again and again.
pub const DURATIONS_KEPT_MAX: usize = 1_024;
/// Functions of a trace that has a line for each invocation.
pub const INVOKED_SERIES_MAX: usize = 10_000;
/// Errors of one file that are told; reading stops there.
pub const TRACE_ERRORS_MAX: usize = 20;

/// A kind of trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Format {
    /// Azure Functions 2019: invocations of each function in each minute of a day; durations of each function and
    /// memory of each application in files of their own.
    Azure2019,
    /// Azure Functions 2021: single invocations.
    Azure2021,
    /// Measured invocations of AWS Lambda, cold and warm.
    Pacslab,
    /// Starts of single invocations, with the application that each was of.
    Arrivals,
}

impl Format {
    /// All of them.
    pub const ALL: [Format; 4] = [Format::Azure2019, Format::Azure2021, Format::Pacslab, Format::Arrivals];

    /// Its name in a traffic file.
    pub const fn key(self) -> &'static str {
        match self {
            Format::Azure2019 => "azure2019",
            Format::Azure2021 => "azure2021",
            Format::Pacslab => "pacslab",
            Format::Arrivals => "arrivals",
        }
    }

    /// Columns that the first line must have.
    const fn columns(self) -> &'static [&'static str] {
        match self {
            Format::Azure2019 => &["HashOwner", "HashApp", "HashFunction"],
            Format::Azure2021 => &["app", "func", "end_timestamp", "duration"],
            Format::Pacslab => {
                &["is_cold", "aws_duration", "aws_max_mem", "client_start_time", "client_elapsed_time"]
            }
            Format::Arrivals => &["start_ms", "application"],
        }
    }
}

/// An opened file of a trace.
pub struct Input<'a> {
    /// Its name, only for messages.
    pub name: &'a str,
    /// Its bytes.
    pub text: &'a mut dyn BufRead,
}

/// Opened files of a trace.
pub struct Inputs<'a> {
    /// Arrivals.
    pub arrivals: Input<'a>,
    /// Durations of functions: [`Format::Azure2019`] only.
    pub durations: Option<Input<'a>>,
    /// Memory of applications: [`Format::Azure2019`] only.
    pub memory: Option<Input<'a>>,
}

/// Reads a trace. Without a `format` the first line tells it.
///
/// # Errors
/// What is wrong with the first file that is, up to [`TRACE_ERRORS_MAX`]: not readable, empty, another format, a row
/// with too few columns, a value that is no number or below zero, more than the limits of this module.
pub fn read(format: Option<Format>, inputs: Inputs<'_>) -> Result<Recorded, Diagnostics> {
    let Inputs { arrivals, durations, memory } = inputs;
    let rows = Rows::open(arrivals)?;
    let has = |format: &Format| format.columns().iter().all(|name| rows.column(name).is_some());
    let Some(format) = format.or_else(|| Format::ALL.into_iter().find(has)) else {
        let known = Format::ALL.map(|format| format!("{} ({})", format.key(), format.columns().join(", ")));
        let help = format!("the first line names the columns; known are {}", known.join("; "));
        return Err(rows.refuse("no known trace has these columns".into(), &help));
    };
    if let Some(name) = format.columns().iter().find(|name| rows.column(name).is_none()) {
        let message = format!("a trace of {} has a column `{name}`; this file has none", format.key());
        return Err(rows.refuse(message, "correct `format`, or leave it out"));
    }
    if format != Format::Azure2019 && (durations.is_some() || memory.is_some()) {
        let message = format!("a trace of {} has no further files of durations or memory", format.key());
        return Err(rows.refuse(message, "remove `trace_durations` and `trace_memory`"));
    }
    match format {
        Format::Azure2019 => azure2019::read(rows, durations, memory),
        Format::Azure2021 => single::azure2021(rows),
        Format::Pacslab => single::pacslab(rows),
        Format::Arrivals => single::arrivals(rows),
    }
}
