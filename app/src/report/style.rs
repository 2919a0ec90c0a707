//! How text looks: width, colour, characters.

use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

/// How a report for people looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Style {
    /// With colours and bold text, as a terminal takes them.
    pub colour: bool,
    /// With nothing but ASCII in what is ours; names of the files stay as they are.
    pub ascii: bool,
    /// Columns that lines are wrapped to; a word that is longer stays whole.
    pub width: usize,
}

impl Default for Style {
    fn default() -> Style {
        Style { colour: false, ascii: false, width: 80 }
    }
}

/// What a part of a text is, for its colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Paint {
    /// What the lines below are about.
    Heading,
    /// It fails.
    Error,
    /// It may fail.
    Warning,
    /// Worth knowing.
    Note,
    /// What to do, or that all is well.
    Fix,
    /// What may be passed over.
    Aside,
}

impl Style {
    /// A text as its paint has it.
    pub fn paint(self, paint: Paint, text: &str) -> String {
        if !self.colour || text.is_empty() {
            return text.to_string();
        }
        let code = match paint {
            Paint::Heading => "1",
            Paint::Error => "1;31",
            Paint::Warning => "1;33",
            Paint::Note => "1;36",
            Paint::Fix => "32",
            Paint::Aside => "2",
        };
        format!("\u{1b}[{code}m{text}\u{1b}[0m")
    }

    /// `unicode`, or `ascii` where only that may be.
    pub fn choose<'t>(self, unicode: &'t str, ascii: &'t str) -> &'t str {
        if self.ascii { ascii } else { unicode }
    }

    /// Words in lines behind a label, whose further lines begin at the margin.
    pub fn flowing(self, label: &str, paint: Paint, words: &str) -> String {
        let mut out = wrapped(&format!("{label} {words}"), self.width).join("\n");
        out.push('\n');
        match out.strip_prefix(label) {
            Some(rest) => format!("{}{rest}", self.paint(paint, label)),
            None => out,
        }
    }

    /// Words in lines behind a label, whose further lines are indented to where the words began. Paint is for the
    /// label alone, so that it has no part in the width.
    pub fn labelled(self, indent: usize, label: &str, paint: Paint, words: &str) -> String {
        let label_width = if label.is_empty() { 0 } else { label.width() + 1 };
        let lines = wrapped(words, self.width.saturating_sub(indent + label_width));
        let margin = " ".repeat(indent);
        let mut out = String::new();
        for (index, line) in lines.iter().enumerate() {
            out.push_str(&margin);
            if index == 0 && label_width > 0 {
                out.push_str(&self.paint(paint, label));
                out.push(' ');
            } else {
                out.push_str(&" ".repeat(label_width));
            }
            out.push_str(line);
            out.push('\n');
        }
        out
    }
}

/// Text in lines of at most `width` columns, broken at spaces; a longer word is a line of its own.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    let mut column = 0;
    for word in text.split_whitespace() {
        let word = printable(word);
        let needed = word.width() + usize::from(column > 0);
        if column > 0 && column + needed > width {
            lines.push(String::new());
            column = 0;
        }
        if let Some(line) = lines.last_mut() {
            if column > 0 {
                line.push(' ');
                column += 1;
            }
            column += word.width();
            line.push_str(&word);
        }
    }
    lines
}

/// Text without control characters: what others wrote must not reach a terminal as it is.
pub fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

/// Text of at most `width` columns; what is cut is cut from its middle, where names differ least.
pub fn shortened(text: &str, width: usize, style: Style) -> String {
    let text = printable(text);
    if text.width() <= width {
        return text;
    }
    let gap = style.choose("…", "..");
    let keep = width.saturating_sub(gap.width()) / 2;
    let head: String = fitting(text.chars(), keep);
    let tail: String = fitting(text.chars().rev(), keep).chars().rev().collect();
    format!("{head}{gap}{tail}")
}

/// The first of these that fit.
fn fitting(chars: impl Iterator<Item = char>, width: usize) -> String {
    let mut left = width;
    let fits = |char: &char| {
        let own = char.width().unwrap_or(0);
        let fits = own <= left;
        left = left.saturating_sub(own);
        fits
    };
    chars.take_while(fits).collect()
}
