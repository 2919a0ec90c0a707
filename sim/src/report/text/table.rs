//! Columns for a terminal: names to the left, numbers to the right.

use flyball_app::report::{Paint, Style, printable, shortened};
use unicode_width::UnicodeWidthStr as _;

/// Rows that are shown; more are counted.
const ROWS_MAX: usize = 24;
/// Between two columns.
const GAP: usize = 2;
/// The narrowest column of names.
const NAME_WIDTH_MIN: usize = 12;

/// A table: the first column is names, the last may be words, all between are numbers.
pub(super) struct Table {
    title: String,
    head: Vec<&'static str>,
    rows: Vec<(Paint, Vec<String>)>,
    left_out: usize,
    words_last: bool,
}

impl Table {
    pub(super) fn new(title: impl Into<String>, head: &[&'static str]) -> Table {
        Table { title: title.into(), head: head.to_vec(), rows: Vec::new(), left_out: 0, words_last: false }
    }

    /// The last column is words: to the left, and cut where the line ends.
    pub(super) fn words_last(mut self) -> Table {
        self.words_last = true;
        self
    }

    /// A row, unless there are enough.
    pub(super) fn row(&mut self, paint: Paint, cells: Vec<String>) {
        if self.rows.len() < ROWS_MAX {
            self.rows.push((paint, cells));
        } else {
            self.left_out += 1;
        }
    }

    /// The table, or nothing where it has no rows.
    pub(super) fn drawn(&self, style: Style) -> String {
        if self.rows.is_empty() {
            return String::new();
        }
        let widths = self.widths(style);
        let mut out = self.line(self.head.iter().copied(), &widths, style);
        // The title stands where the names' column has no heading.
        let rest = out.split_off(out.char_indices().nth(first(&widths)).map_or(out.len(), |(at, _)| at));
        let title =
            format!("{:<width$}", shortened(&self.title, first(&widths), style), width = first(&widths));
        let mut out =
            format!("{}{}\n", style.paint(Paint::Heading, &title), style.paint(Paint::Aside, &rest));
        for (paint, cells) in &self.rows {
            let line = self.line(cells.iter().map(String::as_str), &widths, style);
            let line = if *paint == Paint::Aside { line } else { style.paint(*paint, &line) };
            out.push_str(&line);
            out.push('\n');
        }
        if self.left_out > 0 {
            let more = format!("and {} more; --format json has all", self.left_out);
            out.push_str(&style.labelled(2, "", Paint::Aside, &more));
        }
        out.push('\n');
        out
    }

    fn widths(&self, style: Style) -> Vec<usize> {
        let column = |at: usize| {
            let cells = self.rows.iter().filter_map(|(_, cells)| cells.get(at));
            let widest = cells.map(|cell| cell.width()).max().unwrap_or(0);
            widest.max(self.head.get(at).map_or(0, |head| head.width()))
        };
        let mut widths: Vec<usize> = (0..self.head.len()).map(column).collect();
        if let Some(name) = widths.first_mut() {
            *name = (*name + 2).max(self.title.width());
        }
        let over = |widths: &[usize]| {
            (widths.iter().sum::<usize>() + GAP * widths.len().saturating_sub(1)).saturating_sub(style.width)
        };
        if self.words_last {
            let more = over(&widths);
            if let Some(last) = widths.last_mut() {
                *last = last.saturating_sub(more).max(NAME_WIDTH_MIN.min(*last));
            }
        }
        let more = over(&widths);
        if let Some(name) = widths.first_mut() {
            *name = name.saturating_sub(more).max(NAME_WIDTH_MIN.min(*name));
        }
        widths
    }

    fn line<'c>(&self, cells: impl Iterator<Item = &'c str>, widths: &[usize], style: Style) -> String {
        let mut out = String::new();
        let last = widths.len().saturating_sub(1);
        for (at, (cell, width)) in cells.zip(widths).enumerate() {
            let words = self.words_last && at == last;
            let room = if at == 0 { width.saturating_sub(2) } else { *width };
            let cell = if at == 0 || words { shortened(cell, room, style) } else { printable(cell) };
            let pad = " ".repeat(width.saturating_sub(cell.width() + if at == 0 { 2 } else { 0 }));
            match at {
                0 => out.push_str(&format!("  {cell}{pad}")),
                _ if words => out.push_str(&format!("  {cell}")),
                _ => out.push_str(&format!("  {pad}{cell}")),
            }
        }
        out.trim_end().to_string()
    }
}

fn first(widths: &[usize]) -> usize {
    widths.first().copied().unwrap_or(0)
}
