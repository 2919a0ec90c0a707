//! An image: boxes in layers, lines between them, walls in red.

use std::fmt::Write as _;

use unicode_width::UnicodeWidthStr as _;

use super::{
    Line, Look, Picture, Shape, Stroke, class,
    layout::{Layout, Size, layout},
    shorter,
};

/// Around everything, pixels.
const MARGIN: f64 = 24.0;
/// A box without a mark; one with a mark is higher by [`MARK_HEIGHT`], pixels.
const BOX_HEIGHT: f64 = 44.0;
const MARK_HEIGHT: f64 = 20.0;
/// The legend's room at the bottom, pixels.
const LEGEND_HEIGHT: f64 = 44.0;
/// The narrowest box, and the legend's width, pixels.
const BOX_WIDTH_MIN: f64 = 110.0;
const LEGEND_WIDTH: f64 = 700.0;
/// How far below the middle of a box lines against the flow meet it, pixels.
const BACK_ASIDE: f64 = 11.0;
/// How much smaller a drawing may be shown so that its texts can be read.
const READABLE: f64 = 0.8;
/// Characters of a name.
const NAME_CHARS: usize = 34;

const STYLES: &str = "<style>
text{font-family:Helvetica,Arial,'Liberation Sans',sans-serif;fill:#1d2330}
.name{font-size:13px;font-weight:600}.about{font-size:11px;fill:#5b6470}
.mark text{font-size:11px;font-weight:700;fill:#fff}
.box{fill:#fff;stroke:#8a94a3;stroke-width:1.2}
.entrance .box{fill:#e8f1fb}.function .box{fill:#fff4e0}.queue .box{fill:#efe9fb}.topic .box{fill:#fdeaf3}
.store .box{fill:#e6f5ec}.machine .box{fill:#e3f4f4}.external .box{fill:#f4f5f7;stroke-dasharray:4 3}
.error>.box{stroke:#c62828;stroke-width:2.6}.warning>.box{stroke:#c77700;stroke-width:2.6}
.note>.box{stroke:#1565c0;stroke-width:2.2}
.error .mark rect{fill:#c62828}.warning .mark rect{fill:#c77700}.note .mark rect{fill:#1565c0}
.line{fill:none;stroke:#7a8494;stroke-width:1.4}.line.sync{stroke-width:2.6}
.line.weak{stroke-dasharray:6 4}.line.dead{stroke-dasharray:1.5 4;stroke-linecap:round;stroke-width:2}
.line.error{stroke:#c62828;stroke-width:2.8}.line.warning{stroke:#c77700;stroke-width:2.8}
.line.note{stroke:#1565c0;stroke-width:2.2}
</style>
";

/// Where colours and fonts come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dress {
    /// From the image itself.
    Own,
    /// From the page around it, by the same classes.
    Page,
}

pub(super) fn draw(picture: &Picture, dress: Dress) -> String {
    let sizes: Vec<Size> = picture.boxes.iter().map(size).collect();
    let pairs: Vec<(usize, usize)> = picture.lines.iter().map(|line| (line.from, line.to)).collect();
    let layout = layout(&sizes, &pairs);
    let width = (layout.width + 2.0 * MARGIN).max(LEGEND_WIDTH);
    let height = layout.height + 2.0 * MARGIN + LEGEND_HEIGHT;
    let about = match dress {
        Dress::Own => String::new(),
        // As wide as the page, unless its texts would be too small to read.
        Dress::Page => format!(
            " class=\"design\" role=\"img\" aria-label=\"the design and its walls\" style=\"min-width:{}px\"",
            pixels(width * READABLE)
        ),
    };
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\"{about} width=\"{0}\" height=\"{1}\" \
         viewBox=\"0 0 {0} {1}\">\n",
        pixels(width),
        pixels(height)
    );
    if dress == Dress::Own {
        out.push_str(STYLES);
    }
    out.push_str("<defs>");
    for (name, colour) in
        [("", "#7a8494"), ("-error", "#c62828"), ("-warning", "#c77700"), ("-note", "#1565c0")]
    {
        let _ = write!(
            out,
            "<marker id=\"head{name}\" viewBox=\"0 0 10 10\" refX=\"9\" refY=\"5\" markerWidth=\"10\" \
             markerHeight=\"10\" markerUnits=\"userSpaceOnUse\" orient=\"auto\">\
             <path d=\"M0 0 10 5 0 10z\" fill=\"{colour}\"/></marker>"
        );
    }
    out.push_str("</defs>\n");
    if dress == Dress::Own {
        let (width, height) = (pixels(width), pixels(height));
        let _ = writeln!(out, "<rect width=\"{width}\" height=\"{height}\" fill=\"#fff\"/>");
    }
    let _ = writeln!(out, "<g transform=\"translate({MARGIN} {MARGIN})\">");
    // Walls are drawn last, so that nothing covers them.
    let mut order: Vec<usize> = (0..picture.lines.len()).collect();
    order.sort_by_key(|at| picture.lines.get(*at).and_then(|line| line.level));
    for at in order {
        if let Some(line) = picture.lines.get(at) {
            of_line(&mut out, line, at, &sizes, &layout);
        }
    }
    for ((one, size), corner) in picture.boxes.iter().zip(&sizes).zip(&layout.corners) {
        of_box(&mut out, one, *size, *corner);
    }
    out.push_str("</g>\n");
    legend(&mut out, height - LEGEND_HEIGHT / 2.0);
    out.push_str("</svg>\n");
    out
}

/// A box takes the room that its texts need.
fn size(one: &Shape) -> Size {
    let name = chars(&shorter(&one.name, NAME_CHARS)) * 7.6;
    let about = chars(&one.about) * 6.2;
    let mark = chars(&one.mark()) * 7.0 + 12.0;
    let width = name.max(about).max(mark) + 24.0;
    let height = if one.level.is_some() { BOX_HEIGHT + MARK_HEIGHT } else { BOX_HEIGHT };
    Size { width: width.max(BOX_WIDTH_MIN), height }
}

#[expect(clippy::cast_precision_loss, reason = "a text in a box has few characters")]
fn chars(text: &str) -> f64 {
    text.width() as f64
}

fn of_box(out: &mut String, one: &Shape, size: Size, (x, y): (f64, f64)) {
    let look = match one.look {
        Look::Entrance => "entrance",
        Look::Function => "function",
        Look::Queue => "queue",
        Look::Topic => "topic",
        Look::Store => "store",
        Look::Machine => "machine",
        Look::External => "external",
    };
    let wall = one.level.map_or("", class);
    let gap = if wall.is_empty() { "" } else { " " };
    let _ =
        write!(out, "<g class=\"{look}{gap}{wall}\" transform=\"translate({} {})\">", pixels(x), pixels(y));
    let title = [&[one.name.clone()][..], &one.messages].concat().join("\n");
    let _ = write!(out, "<title>{}</title>", escaped(&title));
    let radius = if matches!(one.look, Look::Queue | Look::Store) { 3 } else { 9 };
    let (width, height) = (pixels(size.width), pixels(size.height));
    let _ = write!(out, "<rect class=\"box\" width=\"{width}\" height=\"{height}\" rx=\"{radius}\"/>");
    let name = escaped(&shorter(&one.name, NAME_CHARS));
    let _ = write!(out, "<text class=\"name\" x=\"12\" y=\"19\">{name}</text>");
    let _ = write!(out, "<text class=\"about\" x=\"12\" y=\"35\">{}</text>", escaped(&one.about));
    if !wall.is_empty() {
        let mark = one.mark();
        let _ = write!(
            out,
            "<g class=\"mark\"><rect x=\"10\" y=\"42\" width=\"{}\" height=\"16\" rx=\"8\"/>\
             <text x=\"16\" y=\"54\">{mark}</text></g>",
            pixels(chars(&mark) * 7.0 + 12.0)
        );
    }
    out.push_str("</g>\n");
}

/// From the giver's side to the receiver's, through the line's bends.
fn of_line(out: &mut String, line: &Line, at: usize, sizes: &[Size], layout: &Layout) {
    let at_side = |index: usize, right: bool| {
        let (x, y) = layout.corners.get(index).copied().unwrap_or_default();
        let (width, height) = sizes.get(index).map_or((0.0, 0.0), |size| (size.width, size.height));
        (if right { x + width } else { x }, y + height / 2.0)
    };
    let stroke = match line.stroke {
        Stroke::Sync => "sync",
        Stroke::Async => "async",
        Stroke::Weak => "weak",
        Stroke::Dead => "dead",
    };
    let wall = line.level.map_or("", class);
    let (gap, dash) = if wall.is_empty() { ("", "") } else { (" ", "-") };
    let _ =
        write!(out, "<path class=\"line {stroke}{gap}{wall}\" marker-end=\"url(#head{dash}{wall})\" d=\"");
    if line.from == line.to {
        let (x, y) = at_side(line.from, true);
        let half = sizes.get(line.from).map_or(0.0, |size| size.height / 2.0);
        let (x, top) = (x - 18.0, y - half);
        let _ = write!(
            out,
            "M{0} {1}C{0} {2} {3} {2} {3} {4}",
            pixels(x - 22.0),
            pixels(top),
            pixels(top - 24.0),
            pixels(x + 30.0),
            pixels(top + 8.0)
        );
        out.push_str("\"/>\n");
        return;
    }
    let back = layout.back.get(at).copied().unwrap_or(false);
    // Beside the line the other way, not upon it.
    let aside = |(x, y): (f64, f64)| if back { (x, y + BACK_ASIDE) } else { (x, y) };
    let mut points = vec![aside(at_side(line.from, !back))];
    let bends = layout.bends.get(at).map_or(&[][..], Vec::as_slice);
    if back {
        points.extend(bends.iter().rev());
    } else {
        points.extend(bends);
    }
    points.push(aside(at_side(line.to, back)));
    let mut before = None;
    for (index, (x, y)) in points.into_iter().enumerate() {
        match before {
            None => {
                let _ = write!(out, "M{} {}", pixels(x), pixels(y));
            }
            // Through a layer straight, between two layers in a curve.
            Some(_) if index % 2 == 0 => {
                let _ = write!(out, "L{} {}", pixels(x), pixels(y));
            }
            Some((from_x, from_y)) => {
                let middle = f64::midpoint(from_x, x);
                let _ = write!(
                    out,
                    "C{} {} {} {} {} {}",
                    pixels(middle),
                    pixels(from_y),
                    pixels(middle),
                    pixels(y),
                    pixels(x),
                    pixels(y)
                );
            }
        }
        before = Some((x, y));
    }
    out.push_str("\"/>\n");
}

fn legend(out: &mut String, y: f64) {
    let lines =
        [("sync", "waits"), ("async", "hands over"), ("weak", "by name and grant"), ("dead", "dead letters")];
    let mut x = MARGIN;
    for (class, words) in lines {
        let (from, to, text) = (pixels(x), pixels(x + 34.0), pixels(x + 42.0));
        let (line, base) = (pixels(y), pixels(y + 4.0));
        let _ = write!(out, "<path class=\"line {class}\" d=\"M{from} {line}H{to}\"/>");
        let _ = writeln!(out, "<text class=\"about\" x=\"{text}\" y=\"{base}\">{words}</text>");
        x += 62.0 + chars(words) * 6.2;
    }
    let _ =
        write!(out, "<path class=\"line error\" d=\"M{} {}H{}\"/>", pixels(x), pixels(y), pixels(x + 34.0));
    let _ = writeln!(
        out,
        "<text class=\"about\" x=\"{}\" y=\"{}\">leads to a wall</text>",
        pixels(x + 42.0),
        pixels(y + 4.0)
    );
}

/// A length with one decimal at most.
fn pixels(length: f64) -> String {
    let text = format!("{length:.1}");
    let text = text.strip_suffix(".0").unwrap_or(&text);
    if text == "-0" { "0".into() } else { text.into() }
}

fn escaped(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '<' => "&lt;".to_string(),
            '>' => "&gt;".to_string(),
            '&' => "&amp;".to_string(),
            '"' => "&quot;".to_string(),
            '\n' => "\n".to_string(),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => "\u{fffd}".to_string(),
            c => c.to_string(),
        })
        .collect()
}
