//! Tables for a terminal: as wide as they must be, and never wider than 80 columns.

use unicode_width::UnicodeWidthStr as _;

const WIDTH: usize = 80;
/// A cell is not cut below this many columns.
const CELL_MIN: usize = 6;

/// Rows under a heading. Columns whose heading starts with `>` are aligned to the right.
#[derive(Debug)]
pub struct Table {
    rows: Vec<Vec<String>>,
    right: Vec<bool>,
}

impl Table {
    /// With this heading.
    pub fn new(heading: &[&str]) -> Table {
        let right = heading.iter().map(|title| title.starts_with('>')).collect();
        let titles = heading.iter().map(|title| title.trim_start_matches('>').to_string()).collect();
        Table { rows: vec![titles], right }
    }

    /// Adds a row. Control characters are replaced: what others wrote must not reach the terminal as is.
    pub fn row<const N: usize>(&mut self, cells: [String; N]) {
        self.rows.push(cells.into_iter().map(|cell| plain(&cell)).collect());
    }

    /// As text, a line for each row.
    pub fn render(&self) -> String {
        let columns = self.right.len();
        let mut widths: Vec<usize> = (0..columns)
            .map(|column| self.rows.iter().filter_map(|row| row.get(column)).map(|c| c.width()).max())
            .map(|width| width.unwrap_or(0))
            .collect();
        let room = WIDTH.saturating_sub(2 * columns.saturating_sub(1));
        while widths.iter().sum::<usize>() > room {
            match widths.iter_mut().max() {
                Some(widest) if *widest > CELL_MIN => *widest -= 1,
                _ => break,
            }
        }
        let mut out = String::new();
        for row in &self.rows {
            let mut line = String::new();
            for ((cell, width), right) in row.iter().zip(&widths).zip(&self.right) {
                let cell = cut(cell, *width);
                let pad = " ".repeat(width.saturating_sub(cell.width()));
                line.push_str(&if *right { pad + &cell } else { cell + &pad });
                line.push_str("  ");
            }
            out.push_str(line.trim_end());
            out.push('\n');
        }
        out
    }
}

/// Text without control characters.
pub fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

fn cut(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_string();
    }
    let mut out = String::new();
    for char in text.chars() {
        if out.width() + 2 > width {
            break;
        }
        out.push(char);
    }
    out.push('…');
    out
}

/// Microseconds as people read them: `87 µs`, `4.2 ms`, `1.25 s`.
pub fn micros(value: u64) -> String {
    match value {
        0..1_000 => format!("{value} µs"),
        1_000..1_000_000 => format!("{}.{} ms", value / 1_000, value % 1_000 / 100),
        _ => format!("{}.{:02} s", value / 1_000_000, value % 1_000_000 / 10_000),
    }
}

/// A number with a comma at each thousand.
pub fn number(value: u64) -> String {
    let digits = value.to_string();
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A moment, microseconds since 1970, as `2026-11-24 01:02:03.004` in UTC.
pub fn moment(micros: u64) -> String {
    let (days, rest) = (micros / 86_400_000_000, micros % 86_400_000_000);
    // Civil date of a day count: eras of 400 years that begin on the first of March.
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let shifted = (5 * day + 2) / 153;
    let day = day - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = era * 400 + year + u64::from(month <= 2);
    let (seconds, millis) = (rest / 1_000_000, rest % 1_000_000 / 1_000);
    let (hour, minute, second) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}.{millis:03}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_never_wider_than_a_terminal() {
        let mut table = Table::new(&["NAME", ">COUNT", "WHY"]);
        table.row(["a".into(), "1".into(), "short".into()]);
        table.row(["b\u{1b}[31m".into(), "1,000".into(), "x".repeat(200)]);
        let text = table.render();
        assert!(text.lines().all(|line| line.width() <= WIDTH), "{text}");
        assert!(text.starts_with("NAME    COUNT  WHY\na           1  short\n"), "{text}");
        assert!(!text.contains('\u{1b}') && text.ends_with("x…\n"), "{text}");
    }

    #[test]
    fn figures_are_readable() {
        assert_eq!([micros(87), micros(4_250), micros(1_259_999)], ["87 µs", "4.2 ms", "1.25 s"]);
        assert_eq!([number(0), number(999), number(1_234_567)], ["0", "999", "1,234,567"]);
        assert_eq!(moment(0), "1970-01-01 00:00:00.000");
        assert_eq!(moment(951_782_400_000_000 + 1_000), "2000-02-29 00:00:00.001");
        assert_eq!(moment(1_795_482_123_004_000), "2026-11-24 01:02:03.004");
    }
}
