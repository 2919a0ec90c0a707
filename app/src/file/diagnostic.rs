//! What a person or a program is told about a file.

use std::fmt::{self, Write as _};

use serde::Serialize;
use unicode_width::UnicodeWidthStr as _;

/// Diagnostics kept of one file; more are counted.
pub const DIAGNOSTICS_MAX: usize = 100;

/// The width that messages are wrapped to, columns.
const WIDTH: usize = 80;

/// A kind of error in an application file. Its number is stable: there is a docs page for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Code {
    /// Not TOML.
    Syntax,
    /// A key that nothing reads.
    UnknownKey,
    /// A value of another type than the key takes.
    WrongType,
    /// A value of the right type that is not allowed.
    BadValue,
    /// A key that must be there is not.
    MissingKey,
    /// A name or key that is taken already.
    DuplicateName,
    /// A name that nothing declares.
    UnknownReference,
    /// Limits that can't be kept.
    ImpossibleLimit,
    /// A component's file does not exist.
    ComponentMissing,
    /// A component is made for another world than Flyball's.
    ComponentWorld,
    /// The file is too large, or has too many of something.
    TooLarge,
    /// A trace, or an export of what was observed, can't be read.
    TraceUnreadable,
}

impl Code {
    /// All codes, by number.
    pub const ALL: [Code; 12] = [
        Code::Syntax,
        Code::UnknownKey,
        Code::WrongType,
        Code::BadValue,
        Code::MissingKey,
        Code::DuplicateName,
        Code::UnknownReference,
        Code::ImpossibleLimit,
        Code::ComponentMissing,
        Code::ComponentWorld,
        Code::TooLarge,
        Code::TraceUnreadable,
    ];

    /// The code as people see it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Code::Syntax => "FE3001",
            Code::UnknownKey => "FE3002",
            Code::WrongType => "FE3003",
            Code::BadValue => "FE3004",
            Code::MissingKey => "FE3005",
            Code::DuplicateName => "FE3006",
            Code::UnknownReference => "FE3007",
            Code::ImpossibleLimit => "FE3008",
            Code::ComponentMissing => "FE3009",
            Code::ComponentWorld => "FE3010",
            Code::TooLarge => "FE3011",
            Code::TraceUnreadable => "FE3012",
        }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl Serialize for Code {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// How much it matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// The file can be used; for callers that add advice of their own.
    Warning,
    /// The file can't be used. Everything that reading finds is one.
    Error,
}

/// One thing that is wrong with a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Diagnostic {
    /// Its kind.
    pub code: Code,
    /// How much it matters.
    pub level: Level,
    /// What is wrong, with the value and the limit.
    pub message: String,
    /// The file's name, as it was passed in.
    pub file: String,
    /// The line; from 1.
    pub line: usize,
    /// The column in characters; from 1.
    pub column: usize,
    /// The line of the file (its part around the place, where it is long), and under it carets.
    pub snippet: String,
    /// What to do.
    pub help: String,
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let level = match self.level {
            Level::Warning => "warning",
            Level::Error => "error",
        };
        writeln!(f, "{}", wrapped(&format!("{level}[{}]: ", self.code), &self.message, 2))?;
        let number = self.line.to_string();
        let margin = " ".repeat(number.len());
        writeln!(f, "{margin}--> {}:{}:{}", self.file, self.line, self.column)?;
        writeln!(f, "{margin} |")?;
        let mut start = &number;
        for line in self.snippet.lines() {
            writeln!(f, "{start} | {line}")?;
            start = &margin;
        }
        write!(f, "{}", wrapped(&format!("{margin} = help: "), &self.help, margin.len() + 9))
    }
}

/// All that is wrong with a file, in its order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Diagnostics {
    /// The first ones, by position; at most [`DIAGNOSTICS_MAX`].
    pub diagnostics: Vec<Diagnostic>,
    /// How many more there are.
    pub left_out: usize,
}

impl Diagnostics {
    /// As JSON: `{"diagnostics": [...], "left_out": 0}`.
    pub fn to_json(&self) -> serde_json::Value {
        // Strings and numbers only: nothing in it can fail to serialise.
        serde_json::to_value(self).unwrap_or_default()
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for diagnostic in &self.diagnostics {
            writeln!(f, "{diagnostic}\n")?;
        }
        match self.diagnostics.len() + self.left_out {
            1 => f.write_str("1 error"),
            all if self.left_out > 0 => write!(f, "{all} errors, {} not shown", self.left_out),
            all => write!(f, "{all} errors"),
        }
    }
}

impl std::error::Error for Diagnostics {}

/// Text broken at spaces to [`WIDTH`]; further lines are indented.
fn wrapped(start: &str, text: &str, indent: usize) -> String {
    let mut out = start.to_string();
    let mut column = start.width();
    for (index, word) in text.split_whitespace().enumerate() {
        if index > 0 && column + 1 + word.width() > WIDTH {
            // Writing to a string can't fail.
            let _ = write!(out, "\n{:indent$}", "");
            column = indent;
        } else if index > 0 {
            out.push(' ');
            column += 1;
        }
        out.extend(word.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }));
        column += word.width();
    }
    out
}
