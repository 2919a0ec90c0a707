//! JSON of exports as typed values, with the place of what does not fit.

use serde::de::DeserializeOwned;

use super::EXPORT_BYTES_MAX;
use crate::{Code, Diagnostics, SourceMap};

/// Reads a text that holds one answer, or several one after the other. `what` says what the file should be.
pub(super) fn answers<T: DeserializeOwned>(
    file: &str,
    text: &str,
    what: &str,
) -> Result<Vec<T>, Diagnostics> {
    fits(file, text)?;
    let mut all = Vec::new();
    for answer in serde_json::Deserializer::from_str(text).into_iter::<T>() {
        match answer {
            Ok(answer) => all.push(answer),
            Err(error) => {
                let kind = if error.is_eof() { "the file was cut off" } else { "the file does not fit" };
                let message = format!("{kind}: {}", reason(&error));
                return Err(wrong(file, text, (error.line(), error.column()), &message, what));
            }
        }
    }
    if all.is_empty() {
        return Err(wrong(file, text, (1, 1), "the file is empty", what));
    }
    Ok(all)
}

/// Refuses what is too large.
pub(super) fn fits(file: &str, text: &str) -> Result<(), Diagnostics> {
    if text.len() > EXPORT_BYTES_MAX {
        let message = format!("the file has {} bytes; at most {EXPORT_BYTES_MAX} are read", text.len());
        return Err(wrong(file, "", (1, 1), &message, "export less: a shorter time, or fewer functions"));
    }
    Ok(())
}

/// An error at a line and column, both from 1.
pub(super) fn wrong(file: &str, text: &str, at: (usize, usize), message: &str, help: &str) -> Diagnostics {
    let (line, column) = at;
    let start: usize = text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
    let mut offset = (start + column.saturating_sub(1)).min(text.len());
    while !text.is_char_boundary(offset) {
        offset -= 1;
    }
    let map = SourceMap::of_text(file, text);
    let found = map.diagnostic_at(Code::TraceUnreadable, &(offset..offset), message, help);
    Diagnostics { diagnostics: vec![found], left_out: 0 }
}

/// What the reader says, without the place: that is said beside it.
fn reason(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    let text = text.strip_suffix(&place).unwrap_or(&text);
    text.chars().take(300).collect()
}
