//! The way on which a wall stands, drawn in a line: `Upload ─10 MB→ Ingest 6 MB ✗`.

use unicode_width::UnicodeWidthStr as _;

use super::style::{Paint, Style, printable, shortened};
use crate::{check::Hop, design::Evidence};

/// Columns of one name in a chain.
const NAME_WIDTH: usize = 36;

/// A step: the arrow that leads to it, itself, and whether the wall stands here.
struct Step {
    arrow: String,
    name: String,
    wall: bool,
}

/// Draws a path in lines of at most the style's width, as far as names allow. A step that does not fit begins a
/// new line with its arrow.
pub(super) fn draw(path: &[Hop], style: Style) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut line = String::new();
    let mut column = 0;
    for step in steps(path, style) {
        let wall = if step.wall { style.choose(" ✗", " [X]") } else { "" };
        let gap = usize::from(!step.arrow.is_empty());
        let width = step.arrow.width() + gap + step.name.width() + wall.width();
        if column > 0 && column + 1 + width > style.width {
            lines.push(std::mem::replace(&mut line, "  ".into()));
            column = 2;
        } else if column > 0 {
            line.push(' ');
            column += 1;
        }
        if gap > 0 {
            line.push_str(&style.paint(Paint::Aside, &step.arrow));
            line.push(' ');
        }
        let paint = if step.wall { Paint::Error } else { Paint::Heading };
        line.push_str(&style.paint(paint, &format!("{}{wall}", step.name)));
        column += width;
    }
    lines.push(line);
    lines
}

fn steps(path: &[Hop], style: Style) -> Vec<Step> {
    let mut steps = Vec::with_capacity(path.len());
    let mut before: Option<&Hop> = None;
    for (index, hop) in path.iter().enumerate() {
        let arrow = before.map_or(String::new(), |before| arrow(before, hop, style));
        let name = shortened(&hop.name, NAME_WIDTH, style);
        let last = index + 1 == path.len();
        // What passes a step stands on the arrow that leaves it; what does not pass, beside the step.
        let beside = (hop.wall || last) && !hop.limit.is_empty();
        let name = if beside { format!("{name} {}", printable(&hop.limit)) } else { name };
        steps.push(Step { arrow, name, wall: hop.wall });
        before = Some(hop);
    }
    steps
}

/// The arrow between two steps. It is drawn through where the platform or the author says so, and broken where
/// it is known in a weaker way.
fn arrow(from: &Hop, to: &Hop, style: Style) -> String {
    let sure = to.evidence.is_none_or(|evidence| evidence >= Evidence::Declared);
    let head = style.choose("→", "->");
    let limit = if from.wall { String::new() } else { printable(&from.limit) };
    match (sure, limit.is_empty()) {
        (true, true) => head.to_string(),
        (true, false) => format!("{}{limit}{head}", style.choose("─", "-")),
        (false, _) => format!("{}{limit}{head}", style.choose("╌", "~")),
    }
}
