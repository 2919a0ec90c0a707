//! What the benchmarks share: rounds that are interleaved, quantiles, and a report that sets each figure
//! beside its promise.
//!
//! Machines are shared, so one absolute time says little. Contestants therefore run in turns within one
//! run, and what counts is the ratio of their medians. A benchmark always ends with success; whether a
//! promise held is in what it prints, and in the table that `cargo xtask compare` asks for.

pub mod bare;
pub mod load;
pub mod platform;
pub mod process;
pub mod redis;

use std::{
    collections::BTreeMap,
    fmt::{self, Write as _},
    path::PathBuf,
};

/// What a benchmark was started with: `--NAME VALUE` and `--NAME`, after cargo's own `--bench`.
#[derive(Debug, Default)]
pub struct Arguments(BTreeMap<String, String>);

impl Arguments {
    /// Reads the process's arguments. What starts with no dashes and follows no name is ignored: cargo hands
    /// filters to every benchmark.
    pub fn read() -> Arguments {
        let mut found = BTreeMap::new();
        let mut words = std::env::args().skip(1).peekable();
        while let Some(word) = words.next() {
            let Some(name) = word.strip_prefix("--") else { continue };
            let value = words.next_if(|next| !next.starts_with("--")).unwrap_or_default();
            found.insert(name.to_string(), value);
        }
        Arguments(found)
    }

    /// The value of `--name`, if it was given.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// The number after `--name`, or else this.
    pub fn number(&self, name: &str, otherwise: u64) -> u64 {
        self.get(name).and_then(|value| value.parse().ok()).unwrap_or(otherwise)
    }
}

/// A promise's direction and bound.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Promise {
    /// The figure is at least this.
    AtLeast(f64),
    /// The figure is at most this.
    AtMost(f64),
}

impl Promise {
    /// Whether a figure keeps it.
    pub fn held_by(self, figure: f64) -> bool {
        match self {
            Promise::AtLeast(bound) => figure >= bound,
            Promise::AtMost(bound) => figure <= bound,
        }
    }
}

/// One figure.
#[derive(Debug, Clone)]
pub struct Figure {
    /// What was measured.
    pub what: String,
    /// Its value.
    pub value: f64,
    /// Its unit; `×` for a ratio.
    pub unit: String,
    /// What is promised of it, if anything is.
    pub promise: Option<Promise>,
}

/// What a benchmark found.
#[derive(Debug, Clone)]
pub struct Report {
    /// The benchmark's name.
    pub name: String,
    /// The conditions: sizes, rounds, what stood beside it.
    pub conditions: String,
    /// In the order in which they are read.
    pub figures: Vec<Figure>,
    table: Option<PathBuf>,
}

impl Report {
    /// A report that is still empty. `--table FILE` also writes it as a table for a page.
    pub fn new(name: &str, conditions: impl Into<String>, arguments: &Arguments) -> Report {
        let table = arguments.get("table").map(PathBuf::from);
        Report { name: name.into(), conditions: conditions.into(), figures: Vec::new(), table }
    }

    /// A figure that nothing is promised of.
    pub fn figure(&mut self, what: impl Into<String>, value: f64, unit: &str) {
        self.figures.push(Figure { what: what.into(), value, unit: unit.into(), promise: None });
    }

    /// A figure and its promise.
    pub fn promised(&mut self, what: impl Into<String>, value: f64, unit: &str, promise: Promise) {
        self.figures.push(Figure { what: what.into(), value, unit: unit.into(), promise: Some(promise) });
    }

    /// Prints the report, and writes it where `--table` said.
    pub fn finish(self) {
        print!("{}", self.text());
        if let Some(path) = &self.table
            && let Err(error) = std::fs::write(path, self.page())
        {
            eprintln!("{} can't be written: {error}", path.display());
        }
    }

    fn text(&self) -> String {
        let mut text = format!("\n{}: {}\n", self.name, self.conditions);
        let width = self.figures.iter().map(|f| f.what.chars().count()).max().unwrap_or(0);
        for figure in &self.figures {
            let shown = format!("{} {}", number(figure.value), figure.unit);
            let promised = figure.promise.map_or(String::new(), |promise| {
                let held = if promise.held_by(figure.value) { "held" } else { "NOT HELD" };
                format!("  {promise}: {held}")
            });
            // Writing to a String can't fail.
            let _ = writeln!(text, "  {:<width$}  {shown:>16}{promised}", figure.what);
        }
        text
    }

    fn page(&self) -> String {
        let Report { name, conditions, .. } = self;
        let mut page = format!("### `{name}`\n\n{conditions}.\n\n| what | measured | promised | held |\n");
        page.push_str("|---|---|---|---|\n");
        for Figure { what, value, unit, promise } in &self.figures {
            let (promised, held) = match promise {
                None => (String::new(), ""),
                Some(promise) if promise.held_by(*value) => (promise.to_string(), "yes"),
                Some(promise) => (promise.to_string(), "**no**"),
            };
            // Writing to a String can't fail.
            let _ = writeln!(page, "| {what} | {} {unit} | {promised} | {held} |", number(*value));
        }
        page
    }
}

impl fmt::Display for Promise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Promise::AtLeast(bound) => write!(f, "at least {}", number(*bound)),
            Promise::AtMost(bound) => write!(f, "at most {}", number(*bound)),
        }
    }
}

/// Three significant digits, or the whole number with separators.
pub fn number(value: f64) -> String {
    if value.abs() < 100.0 {
        return format!("{value:.2}");
    }
    let digits = format!("{value:.0}");
    let mut grouped = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) && !grouped.ends_with('-') {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// One that is measured against others.
pub type Contestant<'a> = Box<dyn FnMut() -> f64 + 'a>;

/// Lets each contestant run once a round, in an order that turns from round to round, and answers the
/// median of each. The first round warms up and does not count.
pub fn interleaved(rounds: usize, contestants: &mut [Contestant<'_>]) -> Vec<f64> {
    let count = contestants.len();
    let mut samples = vec![Vec::with_capacity(rounds); count];
    for round in 0..=rounds {
        for turn in 0..count {
            let index = (turn + round) % count;
            let (Some(contestant), Some(samples)) = (contestants.get_mut(index), samples.get_mut(index))
            else {
                continue;
            };
            let value = contestant();
            if round > 0 {
                samples.push(value);
            }
        }
    }
    samples.iter_mut().map(|samples| quantile(samples, 0.5)).collect()
}

/// The value below which this share of the samples lies; sorts them. 0 where there are none.
pub fn quantile(samples: &mut [f64], share: f64) -> f64 {
    samples.sort_by(f64::total_cmp);
    let rank = ((samples.len() as f64 * share).ceil() as usize).saturating_sub(1);
    samples.get(rank).copied().unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_and_the_first_round_does_not_count() {
        let mut values = [9.0, 1.0, 5.0, 3.0].into_iter();
        let medians = interleaved(3, &mut [Box::new(move || values.next().unwrap())]);
        assert_eq!(medians, [3.0]);
        assert_eq!(quantile(&mut [], 0.99), 0.0);
        assert_eq!(quantile(&mut [4.0, 1.0], 0.99), 4.0);
    }

    #[test]
    fn a_report_says_what_held() {
        let mut report = Report::new("b", "here", &Arguments::default());
        report.promised("ratio", 0.5, "×", Promise::AtLeast(0.75));
        report.promised("steps", 1_234_567.0, "/s", Promise::AtLeast(500_000.0));
        let text = report.text();
        assert!(text.contains("0.50 ×  at least 0.75: NOT HELD"), "{text}");
        assert!(text.contains("1,234,567 /s  at least 500,000: held"), "{text}");
        let page = report.page();
        assert!(page.contains("| ratio | 0.50 × | at least 0.75 | **no** |"), "{page}");
        assert!(page.contains("| steps | 1,234,567 /s | at least 500,000 | yes |"), "{page}");
    }
}
