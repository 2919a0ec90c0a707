//! One plot as SVG: lines with their names beside them, limits as rules, moments as marks; and its values as a table.

use std::fmt::Write as _;

use super::{
    super::markup::{cut, escaped},
    axis::Axis,
};

/// The plot's own pixels; the page scales it.
const WIDTH: f64 = 440.0;
const HEIGHT: f64 = 210.0;
const LEFT: f64 = 52.0;
const RIGHT: f64 = 98.0;
const TOP: f64 = 16.0;
const BOTTOM: f64 = 26.0;
/// Between two names beside lines.
const LABEL_HEIGHT: f64 = 14.0;
/// Characters of a name beside a line.
const LABEL_CHARS: usize = 13;
/// Rows of a plot's table at most; further points are left out evenly.
const ROWS_MAX: usize = 60;

/// A line of a plot.
pub(super) struct Line {
    /// Its name.
    pub(super) label: String,
    /// Points, by `x`.
    pub(super) points: Vec<(f64, f64)>,
    /// Which of the looks: colour and dash.
    pub(super) look: usize,
    /// Points are drawn too: what was measured at single places.
    pub(super) dots: bool,
}

/// A height that must not be passed.
pub(super) struct Rule {
    pub(super) label: String,
    pub(super) y: f64,
}

/// A place on the way.
pub(super) struct Mark {
    pub(super) label: String,
    pub(super) x: f64,
    pub(super) class: &'static str,
}

/// A plot.
pub(super) struct Plot {
    /// What it shows, in words.
    pub(super) about: String,
    pub(super) x: Axis,
    pub(super) y: Axis,
    pub(super) lines: Vec<Line>,
    pub(super) rules: Vec<Rule>,
    pub(super) marks: Vec<Mark>,
    /// The table's first heading.
    pub(super) x_head: &'static str,
}

impl Plot {
    /// The drawing, and below it the values as a table.
    pub(super) fn drawn(&self) -> String {
        let mut out = format!(
            "<svg class=\"plot\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{}\" \
             data-left=\"{}\" data-right=\"{}\">",
            escaped(&self.about),
            px(LEFT / WIDTH * 1_000.0),
            px((WIDTH - RIGHT) / WIDTH * 1_000.0)
        );
        self.frame(&mut out);
        self.marks(&mut out);
        for line in &self.lines {
            self.line(&mut out, line);
        }
        self.labels(&mut out);
        let _ = write!(
            out,
            "<line class=\"cursor\" x1=\"0\" x2=\"0\" y1=\"{}\" y2=\"{}\"/></svg>",
            px(TOP),
            px(HEIGHT - BOTTOM)
        );
        out.push_str("<p class=\"read\" aria-hidden=\"true\"></p>");
        out.push_str(&self.table());
        out
    }

    fn at(&self, x: f64, y: f64) -> (f64, f64) {
        (
            LEFT + self.x.place(x) * (WIDTH - LEFT - RIGHT),
            HEIGHT - BOTTOM - self.y.place(y) * (HEIGHT - TOP - BOTTOM),
        )
    }

    /// Ticks and the lines behind them.
    fn frame(&self, out: &mut String) {
        let (right, bottom) = (WIDTH - RIGHT, HEIGHT - BOTTOM);
        for (place, words) in self.y.ticks() {
            let y = bottom - place * (bottom - TOP);
            let class = if place == 0.0 { "base" } else { "grid" };
            let _ = write!(
                out,
                "<path class=\"{class}\" d=\"M{} {}H{}\"/><text class=\"tick\" x=\"{}\" y=\"{}\" \
                 text-anchor=\"end\">{}</text>",
                px(LEFT),
                px(y),
                px(right),
                px(LEFT - 7.0),
                px(y + 4.0),
                escaped(&words)
            );
        }
        for (place, words) in self.x.ticks() {
            let x = LEFT + place * (right - LEFT);
            let _ = write!(
                out,
                "<path class=\"base\" d=\"M{} {}v4\"/><text class=\"tick\" x=\"{}\" y=\"{}\" \
                 text-anchor=\"middle\">{}</text>",
                px(x),
                px(bottom),
                px(x),
                px(bottom + 18.0),
                escaped(&words)
            );
        }
    }

    fn marks(&self, out: &mut String) {
        for mark in self.marks.iter().filter(|mark| self.x.holds(mark.x)) {
            let (x, _) = self.at(mark.x, 0.0);
            // Near the end, or before another mark, the words stand to the left.
            let close = self.marks.iter().map(|other| self.at(other.x, 0.0).0 - x);
            let late = x > WIDTH - RIGHT - 90.0 || close.into_iter().any(|by| by > 0.0 && by < 90.0);
            let (anchor, aside) = if late { ("end", -4.0) } else { ("start", 4.0) };
            let _ = write!(
                out,
                "<path class=\"mark {}\" d=\"M{} {}V{}\"/><text class=\"mark {}\" x=\"{}\" y=\"{}\" \
                 text-anchor=\"{anchor}\">{}</text>",
                mark.class,
                px(x),
                px(TOP - 6.0),
                px(HEIGHT - BOTTOM),
                mark.class,
                px(x + aside),
                px(TOP - 5.0),
                escaped(&mark.label)
            );
        }
    }

    fn line(&self, out: &mut String, line: &Line) {
        let mut path = String::new();
        let mut last = String::new();
        for (x, y) in &line.points {
            let (x, y) = self.at(*x, *y);
            let y = px(y);
            // A level stretch needs its ends alone.
            let start = if path.is_empty() { 'M' } else { 'L' };
            if y != last || line.dots {
                let _ = write!(path, "{start}{} {y}", px(x));
            } else {
                let _ = write!(path, "H{}", px(x));
            }
            last = y;
        }
        let _ = write!(out, "<path class=\"line look{}\" d=\"{}\"/>", line.look, shortened(&path));
        if line.dots {
            for (x, y) in &line.points {
                let (x, y) = self.at(*x, *y);
                let _ = write!(
                    out,
                    "<circle class=\"dot look{}\" cx=\"{}\" cy=\"{}\" r=\"2.6\"/>",
                    line.look,
                    px(x),
                    px(y)
                );
            }
        }
    }

    /// Names at the ends of lines and rules, moved apart where they would touch.
    fn labels(&self, out: &mut String) {
        for rule in self.rules.iter().filter(|rule| self.y.holds(rule.y)) {
            let (_, y) = self.at(0.0, rule.y);
            let _ = write!(out, "<path class=\"rule\" d=\"M{} {}H{}\"/>", px(LEFT), px(y), px(WIDTH - RIGHT));
        }
        let ends = self.lines.iter().filter_map(|line| {
            let (x, y) = line.points.last()?;
            Some((self.at(*x, *y).1, format!("name look{}", line.look), line.label.as_str()))
        });
        let rules = self
            .rules
            .iter()
            .filter(|rule| self.y.holds(rule.y))
            .map(|rule| (self.at(0.0, rule.y).1, "name rule".to_string(), rule.label.as_str()));
        let mut labels: Vec<(f64, String, &str)> = ends.chain(rules).collect();
        labels.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mut free = TOP - LABEL_HEIGHT;
        for label in &mut labels {
            label.0 = label.0.max(free + LABEL_HEIGHT);
            free = label.0;
        }
        // What was pushed below the plot pushes back.
        let mut free = HEIGHT - BOTTOM + LABEL_HEIGHT;
        for label in labels.iter_mut().rev() {
            label.0 = label.0.min(free - LABEL_HEIGHT);
            free = label.0;
        }
        for (y, class, words) in labels {
            let _ = write!(
                out,
                "<text class=\"{class}\" x=\"{}\" y=\"{}\">{}</text>",
                px(WIDTH - RIGHT + 7.0),
                px(y + 4.0),
                cut(words, LABEL_CHARS)
            );
        }
    }

    /// The values, for those who can't see the drawing, and for what is shown under the pointer.
    fn table(&self) -> String {
        let mut rows: Vec<f64> =
            self.lines.iter().flat_map(|line| line.points.iter().map(|(x, _)| *x)).collect();
        rows.sort_by(f64::total_cmp);
        rows.dedup();
        let each = rows.len().div_ceil(ROWS_MAX).max(1);
        let mut out = String::from(
            "<details class=\"values\"><summary>Values</summary><div class=\"wide\"><table><thead><tr>",
        );
        let _ = write!(out, "<th scope=\"col\">{}</th>", escaped(self.x_head));
        for line in &self.lines {
            let _ = write!(out, "<th scope=\"col\">{}</th>", escaped(&line.label));
        }
        out.push_str("</tr></thead><tbody>");
        for x in rows.iter().step_by(each) {
            let place = px(self.x.place(*x) * 1_000.0);
            let _ =
                write!(out, "<tr data-x=\"{place}\"><th scope=\"row\">{}</th>", escaped(&self.x.words(*x)));
            for line in &self.lines {
                let value = line.points.iter().find(|(at, _)| at == x);
                let words = value.map_or("–".to_string(), |(_, y)| self.y.words(*y));
                let _ = write!(out, "<td>{}</td>", escaped(&words));
            }
            out.push_str("</tr>");
        }
        out.push_str("</tbody></table></div></details>");
        out
    }
}

/// Of several level steps in a row the last alone.
fn shortened(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    let mut level: Option<&str> = None;
    let mut rest = path;
    while !rest.is_empty() {
        let next = rest
            .char_indices()
            .skip(1)
            .find(|(_, c)| c.is_ascii_uppercase())
            .map_or(rest.len(), |(at, _)| at);
        let (step, after) = rest.split_at(next);
        if step.starts_with('H') {
            level = Some(step);
        } else {
            out.push_str(level.take().unwrap_or(""));
            out.push_str(step);
        }
        rest = after;
    }
    out.push_str(level.unwrap_or(""));
    out
}

/// A length with one decimal at most.
pub(super) fn px(length: f64) -> String {
    let text = format!("{length:.1}");
    let text = text.strip_suffix(".0").unwrap_or(&text);
    if text == "-0" { "0".into() } else { text.into() }
}
