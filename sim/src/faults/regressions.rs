//! Seeds with which something broke, in a file: one line each, replayed first by every later run.
//!
//! ```text
//! # seed  what broke
//! 17  no order is charged twice: bank took effect 2 times for one request
//! ```

use crate::result::FaultsResult;

/// Lines of a file at most.
pub const LINES_MAX: usize = 10_000;

/// What is wrong with a file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {what}")]
pub struct Wrong {
    /// Which line, from 1.
    pub line: usize,
    /// What is wrong, and what to do.
    pub what: String,
}

/// The seeds of a file, each once, in its order.
///
/// # Errors
/// The first line that is neither empty, nor a comment, nor begins with a seed.
pub fn read(text: &str) -> Result<Vec<u64>, Wrong> {
    let mut seeds = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if seeds.len() == LINES_MAX {
            let what = format!("there are more than {LINES_MAX} seeds; remove those that were mended");
            return Err(Wrong { line: number + 1, what });
        }
        let first = line.split_whitespace().next().unwrap_or("");
        match first.parse::<u64>() {
            Ok(seed) if seeds.contains(&seed) => {}
            Ok(seed) => seeds.push(seed),
            Err(_) => {
                let shown: String = first.chars().take(40).collect();
                let what = format!("{shown:?} is no seed; a line is a number and then what broke");
                return Err(Wrong { line: number + 1, what });
            }
        }
    }
    Ok(seeds)
}

/// The lines to add for what broke, without those seeds that are there.
pub fn lines(result: &FaultsResult, known: &[u64]) -> String {
    let mut text = String::new();
    for failure in result.failures.iter().filter(|failure| !known.contains(&failure.seed)) {
        let what = format!("{}: {}", failure.broken, failure.detail);
        let one_line: Vec<&str> = what.split_whitespace().collect();
        text.push_str(&format!("{}  {}\n", failure.seed, one_line.join(" ")));
    }
    text
}
