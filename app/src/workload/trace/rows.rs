//! Lines of comma-separated values, one at a time, never more than one in memory.

use std::{io::BufRead, ops::Range};

use super::{Input, TRACE_BYTES_MAX, TRACE_ERRORS_MAX, TRACE_LINE_BYTES_MAX};
use crate::{Code, Diagnostic, Diagnostics, SourceMap, file::quoted};

/// How compressed files begin.
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// The largest value that is taken.
const VALUE_MAX: f64 = 1e15;

/// How much of a wrong line is shown, bytes.
const SHOWN_BYTES: usize = 400;

/// A file's rows.
pub(super) struct Rows<'a> {
    name: &'a str,
    text: &'a mut dyn BufRead,
    header: Vec<String>,
    line: usize,
    bytes: u64,
    row: String,
    fields: Vec<Range<usize>>,
    wrong: Vec<Diagnostic>,
    /// Nothing more is read.
    over: bool,
}

impl<'a> Rows<'a> {
    /// Reads the first line.
    pub fn open(input: Input<'a>) -> Result<Rows<'a>, Diagnostics> {
        let Input { name, text } = input;
        let mut rows = Rows {
            name,
            text,
            header: Vec::new(),
            line: 0,
            bytes: 0,
            row: String::new(),
            fields: Vec::new(),
            wrong: Vec::new(),
            over: false,
        };
        if !rows.read_line() {
            if rows.wrong.is_empty() {
                rows.line = 1;
                return Err(
                    rows.refuse("the file is empty".into(), "a trace has a line of columns, and rows")
                );
            }
            return Err(rows.finish());
        }
        if rows.row.starts_with('\u{feff}') {
            rows.row.remove(0);
        }
        rows.split();
        rows.header = (0..rows.fields.len()).map(|index| rows.field(index).trim().to_string()).collect();
        Ok(rows)
    }

    /// Which column has this name.
    pub fn column(&self, name: &str) -> Option<usize> {
        self.header.iter().position(|one| one == name)
    }

    /// The names of the columns.
    pub fn header(&self) -> &[String] {
        &self.header
    }

    /// Goes to the next row that has all columns.
    pub fn advance(&mut self) -> bool {
        while self.read_line() {
            if self.row.is_empty() {
                continue;
            }
            self.split();
            if self.fields.len() == self.header.len() {
                return true;
            }
            let message =
                format!("this row has {} columns, the first line {}", self.fields.len(), self.header.len());
            self.wrong(0..self.row.len(), message, "the file was cut off here, or is no trace");
        }
        false
    }

    /// A field of the row.
    pub fn field(&self, index: usize) -> &str {
        let range = self.fields.get(index).cloned().unwrap_or_default();
        self.row.get(range).unwrap_or_default()
    }

    /// A field as a number from zero on. After an error, `None`.
    pub fn number(&mut self, index: usize) -> Option<f64> {
        let text = self.field(index).trim();
        let number = text.parse::<f64>().ok().filter(|number| (0.0..=VALUE_MAX).contains(number));
        if number.is_none() {
            let column = self.header.get(index).map_or("", String::as_str);
            let message = format!("`{}` is {}, no number from 0 to 1e15", cut(column), quoted(text));
            self.wrong_field(index, message, "correct the row, or leave it out");
        }
        number
    }

    /// A field as a count. After an error, `None`.
    pub fn count(&mut self, index: usize) -> Option<u32> {
        let text = self.field(index).trim();
        let count = text.parse::<u32>().ok();
        if count.is_none() {
            let column = self.header.get(index).map_or("", String::as_str);
            let message = format!("`{}` is {}, no whole number from 0 on", cut(column), quoted(text));
            self.wrong_field(index, message, "correct the row, or leave it out");
        }
        count
    }

    /// Notes that a field is wrong.
    pub fn wrong_field(&mut self, index: usize, message: String, help: &str) {
        let range = self.fields.get(index).cloned().unwrap_or_default();
        self.wrong(range, message, help);
    }

    fn wrong(&mut self, at: Range<usize>, message: String, help: &str) {
        // Of a long line only the part around the place is kept.
        let mut from = at.start.saturating_sub(SHOWN_BYTES).min(self.row.len());
        while !self.row.is_char_boundary(from) {
            from -= 1;
        }
        let before = self.row.get(..from).unwrap_or_default().chars().count();
        let shown: String = self.row.get(from..).unwrap_or_default().chars().take(2 * SHOWN_BYTES).collect();
        let span = at.start - from..(at.end - from).min(shown.len()).max(at.start - from);
        let map = SourceMap::of_text(self.name, &shown);
        let found = map.diagnostic_at(Code::TraceUnreadable, &span, &message, help);
        self.wrong.push(Diagnostic { line: self.line, column: before + found.column, ..found });
        self.over |= self.wrong.len() >= TRACE_ERRORS_MAX;
    }

    /// Ends with this error beside those noted.
    pub fn refuse(mut self, message: String, help: &str) -> Diagnostics {
        self.wrong(0..0, message, help);
        self.finish()
    }

    /// What was noted. Empty: all is well.
    pub fn finish(self) -> Diagnostics {
        Diagnostics { diagnostics: self.wrong, left_out: 0 }
    }

    /// Takes what was noted.
    pub fn noted(&mut self) -> Vec<Diagnostic> {
        std::mem::take(&mut self.wrong)
    }

    /// Whether nothing wrong was noted.
    pub fn is_good(&self) -> bool {
        self.wrong.is_empty()
    }

    /// Notes an error after which nothing more is read.
    pub fn stop(&mut self, message: String, help: &str) {
        self.wrong(0..self.row.len(), message, help);
        self.over = true;
    }

    /// Reads one line into `row`, without its end.
    fn read_line(&mut self) -> bool {
        self.row.clear();
        self.fields.clear();
        if self.over {
            return false;
        }
        self.line += 1;
        let mut line = Vec::new();
        let mut ended = false;
        while !ended {
            let (taken, many) = match self.text.fill_buf() {
                Ok([]) => break,
                Ok(buffer) => match buffer.iter().position(|byte| *byte == b'\n') {
                    Some(at) => {
                        ended = true;
                        (buffer.get(..at), at + 1)
                    }
                    None => (Some(buffer), buffer.len()),
                },
                Err(error) => {
                    self.stop(format!("the file can't be read: {error}"), "look at the file and its disk");
                    return false;
                }
            };
            line.extend_from_slice(taken.unwrap_or_default());
            self.text.consume(many);
            self.bytes += many as u64;
            if line.len() > TRACE_LINE_BYTES_MAX {
                self.stop(
                    format!("this line has more than {TRACE_LINE_BYTES_MAX} bytes"),
                    "a trace has one row a line; is it another kind of file?",
                );
                return false;
            }
            if self.bytes > TRACE_BYTES_MAX {
                self.stop(format!("the file has more than {TRACE_BYTES_MAX} bytes"), "take a part of it");
                return false;
            }
        }
        if line.is_empty() && !ended {
            return false;
        }
        if self.line == 1 && line.starts_with(&GZIP) {
            self.stop("the file is compressed".into(), "unpack it first: gunzip -k FILE");
            return false;
        }
        if line.last() == Some(&b'\r') {
            line.pop();
        }
        match String::from_utf8(line) {
            Ok(row) => self.row = row,
            Err(_) => {
                self.stop("this line is not UTF-8".into(), "is it another kind of file?");
                return false;
            }
        }
        true
    }

    /// Finds the fields of the row. In quotes a comma is none; a quote that does not end ends with the row.
    fn split(&mut self) {
        let (mut start, mut quoted) = (0, false);
        for (at, byte) in self.row.bytes().enumerate() {
            match byte {
                b'"' => quoted = !quoted,
                b',' if !quoted => {
                    self.fields.push(start..at);
                    start = at + 1;
                }
                _ => {}
            }
        }
        self.fields.push(start..self.row.len());
    }
}

/// A name of the file for a message.
fn cut(name: &str) -> String {
    name.chars().take(60).collect()
}
