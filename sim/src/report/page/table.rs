//! Tables of the page: names, numbers, bars.

use std::fmt::Write as _;

use super::super::markup::cut;

/// Rows of a table at most; the JSON has all.
const ROWS_MAX: usize = 50;
/// Characters of a cell at most.
const CELL_CHARS: usize = 240;

/// A cell.
pub(super) enum Cell {
    /// A name: the row's heading.
    Name(String),
    /// Words.
    Words(String),
    /// A number as it is read, and as it is sorted.
    Number(String, f64),
    /// A share of a hundred as a bar, with what is read beside it.
    Bar(String, f64),
}

/// A row: its class, its cells.
pub(super) struct Row(pub(super) &'static str, pub(super) Vec<Cell>);

/// A table with a caption for those who can't see where it stands.
pub(super) fn table(caption: &str, heads: &[&str], rows: &[Row]) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let mut out = String::from("<div class=\"wide\" tabindex=\"0\" role=\"region\" aria-label=\"");
    let _ = write!(
        out,
        "{0}\"><table class=\"sorts\"><caption>{0}</caption><thead><tr>",
        cut(caption, CELL_CHARS)
    );
    let first = rows.first().map_or(&[][..], |row| row.1.as_slice());
    for (at, head) in heads.iter().enumerate() {
        let class = match first.get(at) {
            Some(Cell::Number(..)) => " class=\"number\"",
            _ => "",
        };
        let _ = write!(out, "<th scope=\"col\"{class}>{}</th>", cut(head, CELL_CHARS));
    }
    out.push_str("</tr></thead><tbody>");
    for Row(class, cells) in rows.iter().take(ROWS_MAX) {
        let class = if class.is_empty() { String::new() } else { format!(" class=\"{class}\"") };
        let _ = write!(out, "<tr{class}>");
        cells.iter().for_each(|cell| cell.write(&mut out));
        out.push_str("</tr>");
    }
    out.push_str("</tbody></table></div>");
    if let Some(more @ 1..) = rows.len().checked_sub(ROWS_MAX) {
        let _ = write!(out, "<p class=\"aside\">and {more} more; the JSON has all.</p>");
    }
    out
}

impl Cell {
    fn write(&self, out: &mut String) {
        let _ = match self {
            Cell::Name(name) => write!(out, "<th scope=\"row\">{}</th>", cut(name, CELL_CHARS)),
            Cell::Words(words) => write!(out, "<td>{}</td>", cut(words, CELL_CHARS)),
            Cell::Number(words, value) => {
                let value = sorted(*value);
                write!(out, "<td class=\"number\" data-sort=\"{value}\">{}</td>", cut(words, CELL_CHARS))
            }
            Cell::Bar(words, share) => {
                let value = sorted(*share);
                write!(
                    out,
                    "<td class=\"used\" data-sort=\"{value}\"><span class=\"track\"><span class=\"fill\" \
                     style=\"width:{}%\"></span></span><span class=\"share\">{}</span></td>",
                    super::plot::px(super::super::numbers::finite(*share).clamp(0.0, 100.0)),
                    cut(words, CELL_CHARS)
                )
            }
        };
    }
}

/// A number that scripts can sort by.
fn sorted(value: f64) -> String {
    let value = super::super::numbers::finite(value);
    format!("{value:.6}").trim_end_matches('0').trim_end_matches('.').to_string()
}
