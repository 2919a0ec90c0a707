//! The load line as a picture: loads as bars, the curve, and what moves the line.

use std::fmt::Write as _;

use super::{
    super::{
        answer::insensitive,
        markup::{cut, escaped},
        numbers::{count, factor, finite, millis, percent, plain, range, rate},
    },
    axis::{Axis, Of},
    plot::{Line, Mark, Plot, px},
    table::{Cell, Row, table},
};
use crate::result::{CurvePoint, Figures, LineVerdict, LoadLineResult, Recovery, Sensitivity};

/// Loads past so many times the line are left out of the curve: there nothing new is to be seen.
const CURVE_TIMES_MAX: f64 = 2.5;

/// A load with a name.
struct Bar {
    label: &'static str,
    note: String,
    load: f64,
    class: &'static str,
}

/// Loads that matter, one below the other, by one scale.
pub(super) fn loads(line: &LoadLineResult) -> String {
    let bar = |label, load, class| Bar { label, note: rate(load * finite(line.base_per_s)), load, class };
    let mut bars = vec![bar("Your traffic", 1.0, "yours")];
    match line.verdict {
        LineVerdict::Found { holds_at, breaks_at, .. } => {
            bars.push(bar("Holds up to", holds_at, "holds"));
            bars.push(bar("Breaks at", breaks_at, "breaks"));
        }
        LineVerdict::NeverBreaks { tried_up_to } => {
            bars.push(bar("Holds, tried up to", tried_up_to, "holds"))
        }
        LineVerdict::BreaksAtZero { tried_down_to } => bars.push(bar("Breaks at", tried_down_to, "breaks")),
        LineVerdict::Between { holds_at, breaks_at } => {
            if holds_at > 0.0 {
                bars.push(bar("Holds at least at", holds_at, "holds"));
            }
            if breaks_at > 0.0 {
                bars.push(bar("Breaks at least at", breaks_at, "breaks"));
            }
        }
        LineVerdict::Undecided => return String::new(),
    }
    match line.recovery {
        Recovery::At { load_factor, .. } => bars.push(bar("Recovers at", load_factor, "back")),
        Recovery::NotAbove { load_factor, .. } => bars.push(bar("No recovery above", load_factor, "back")),
        Recovery::Untried | Recovery::Unasked => {}
    }
    if let Some(raising) = &line.raising {
        bars.push(bar("With the limit raised", raising.holds_at, "raised"));
    }
    let greatest = bars.iter().map(|bar| finite(bar.load)).fold(0.0, f64::max).max(1e-9);
    let mut out = String::from("<dl class=\"loads\">");
    for bar in &bars {
        let _ = write!(
            out,
            "<div class=\"{}\"><dt>{}</dt><dd><span class=\"track\"><span class=\"fill\" style=\"width:{}%\"></span>\
             <span class=\"one\" style=\"left:{}%\"></span></span><b>{}</b> <small>{}</small></dd></div>",
            bar.class,
            bar.label,
            px((finite(bar.load) / greatest * 100.0).max(0.4)),
            px(100.0 / greatest.max(1.0)),
            factor(bar.load),
            escaped(&bar.note)
        );
    }
    out.push_str("</dl>");
    out
}

/// What is worth drawing of the curve, and the places on it.
fn in_sight(line: &LoadLineResult) -> (Vec<&CurvePoint>, Vec<Mark>) {
    let (holds_at, breaks_at) = match line.verdict {
        LineVerdict::Found { holds_at, breaks_at, .. } | LineVerdict::Between { holds_at, breaks_at } => {
            (holds_at, breaks_at)
        }
        _ => (0.0, 0.0),
    };
    let widest = if breaks_at > 0.0 { (breaks_at * CURVE_TIMES_MAX).max(1.2) } else { f64::INFINITY };
    let points: Vec<&CurvePoint> = line.curve.iter().filter(|point| point.load_factor <= widest).collect();
    let mut marks = Vec::new();
    if breaks_at > 0.0 {
        marks.push(Mark { label: "load line".into(), x: f64::midpoint(holds_at, breaks_at), class: "wall" });
    }
    if let Recovery::At { load_factor, .. } = line.recovery {
        marks.push(Mark { label: "recovers".into(), x: load_factor, class: "back" });
    }
    (points, marks)
}

/// A backlog of fewer messages than this is none, for a figure.
const BACKLOG_MIN: f64 = 20.0;

/// What was tried: goodput, p99 and backlog by load, and the same as a table.
pub(super) fn curve(line: &LoadLineResult) -> String {
    if line.curve.len() < 2 {
        return String::new();
    }
    let sight = in_sight(line);
    let points = &sight.0;
    let goodput = of_both("end well", 1, points, |point| point.median.goodput_per_s);
    let come = series(points, |point| point.arrivals_per_s, false);
    let come = Line { label: "come in".into(), points: come, look: 0, dots: false };
    let slow = of_both("99 of 100", 0, points, |point| point.median.p99_ms);
    let waits = of_both("waiting", 0, points, |point| point.median.backlog_end);
    let values = |lines: &[Line]| -> Vec<f64> {
        lines.iter().flat_map(|line| &line.points).map(|(_, y)| *y).collect()
    };
    let through: Vec<Line> = std::iter::once(come).chain(goodput).collect();
    let most = |lines: &[Line]| values(lines).into_iter().fold(0.0, f64::max);
    let (y, y_slow) =
        (Axis::linear(Of::PerSecond, most(&through)), Axis::decades(Of::Millis, values(&slow).into_iter()));
    let mut out = figure(
        "Goodput by load",
        "Events per second that come in, and those whose sender got a good answer. Where senders wait for answers, \
         the two part past the line.",
        (y, through),
        &sight,
    );
    out.push_str(&figure(
        "Time by load",
        "99 of 100 good answers (or runs, where nobody waits) take less. Each step upwards is ten times as long.",
        (y_slow, slow),
        &sight,
    ));
    if most(&waits) >= BACKLOG_MIN {
        out.push_str(&figure(
            "Backlog by load",
            "Messages that still wait at the end. Where nobody waits for an answer, this is what grows past the line.",
            (Axis::linear(Of::Count, most(&waits)), waits),
            &sight,
        ));
    }
    format!("<div class=\"grid\">{out}</div>{}", tried(line))
}

/// A figure by load.
fn figure(
    title: &str,
    about: &str,
    (y, lines): (Axis, Vec<Line>),
    (points, marks): &(Vec<&CurvePoint>, Vec<Mark>),
) -> String {
    let plot = Plot {
        about: format!("{title}. {about}"),
        x: Axis::until(Of::Load, points.iter().map(|point| point.load_factor).fold(0.0, f64::max)),
        y,
        lines,
        rules: Vec::new(),
        marks: marks.iter().map(|mark| Mark { label: mark.label.clone(), ..*mark }).collect(),
        x_head: "load",
    };
    format!(
        "<figure><figcaption><h3>{title}</h3><p>{about}</p></figcaption><div class=\"panel\">{}</div></figure>",
        plot.drawn()
    )
}

/// A figure's values on the way up, and those on the way back where there are any.
fn of_both(label: &str, look: usize, points: &[&CurvePoint], of: fn(&CurvePoint) -> f64) -> Vec<Line> {
    let make = |label: &str, look, points| Line { label: label.into(), points, look, dots: true };
    let mut lines = vec![make(label, look, series(points, of, false))];
    if points.iter().any(|point| point.on_way_back) {
        lines.push(make("on way back", 2, series(points, of, true)));
    }
    lines
}

fn series(points: &[&CurvePoint], of: fn(&CurvePoint) -> f64, back: bool) -> Vec<(f64, f64)> {
    let points = points.iter().filter(|point| point.on_way_back == back);
    let mut points: Vec<(f64, f64)> =
        points.map(|point| (finite(point.load_factor), finite(of(point)))).collect();
    points.sort_by(|a, b| a.0.total_cmp(&b.0));
    points
}

/// Each load that was tried.
fn tried(line: &LoadLineResult) -> String {
    let rows: Vec<Row> = line
        .curve
        .iter()
        .map(|point| {
            let back = if point.on_way_back { " (on the way back)" } else { "" };
            let verdict = match (point.holds, point.broken.is_empty()) {
                (true, _) => format!("holds{back}"),
                (false, true) => format!("breaks{back}"),
                (false, false) => format!("breaks{back}: {}", point.broken.join("; ")),
            };
            // From the least to the greatest of the seeds, sorted by the median.
            let number = |words: fn(f64) -> String, of: fn(&Figures) -> f64| {
                Cell::Number(
                    range(words, of(&point.min), of(&point.median), of(&point.max)),
                    of(&point.median),
                )
            };
            let seeds = if point.on_way_back {
                String::new()
            } else {
                format!("{} of {}", count(point.seeds_broken), count(point.seeds_tried))
            };
            Row(
                if point.holds { "" } else { "broken" },
                vec![
                    Cell::Number(factor(point.load_factor), point.load_factor),
                    Cell::Number(rate(point.arrivals_per_s), point.arrivals_per_s),
                    number(rate, |one| one.goodput_per_s),
                    number(millis, |one| one.p99_ms),
                    number(percent, |one| one.errors_percent),
                    number(percent, |one| one.throttled_percent),
                    number(plain, |one| one.dead_letters + one.dropped),
                    number(plain, |one| one.backlog_end),
                    Cell::Number(seeds, point.seeds_broken as f64),
                    Cell::Words(verdict),
                ],
            )
        })
        .collect();
    let heads = [
        "load",
        "come in",
        "end well",
        "p99",
        "errors",
        "throttled",
        "dead or lost",
        "waiting at end",
        "seeds that break",
        "verdict",
    ];
    format!(
        "<details class=\"more\"><summary>Every load that was tried</summary><p class=\"aside\">Each seed searches for \
         its own line. Figures are medians over the seeds that tried a load; in brackets the least and the greatest, \
         where they differ.</p>{}</details>",
        table("Loads tried", &heads, &rows)
    )
}

/// How far each assumption moves the line.
pub(super) fn sensitive(line: &LoadLineResult) -> String {
    if line.sensitive.is_empty() {
        return insensitive(line).map_or_else(String::new, |words| format!("<p>{}</p>", escaped(&words)));
    }
    let now = match line.verdict {
        LineVerdict::Found { holds_at, .. } | LineVerdict::Between { holds_at, .. } => holds_at,
        _ => 0.0,
    };
    let greatest = line
        .sensitive
        .iter()
        .flat_map(|one| [one.less.holds_at, one.more.holds_at])
        .map(finite)
        .fold(finite(now), f64::max)
        .max(1e-9);
    let mut out = String::from("<div class=\"sensitive\">");
    for one in &line.sensitive {
        out.push_str(&swing(one, now, greatest));
    }
    out.push_str("</div>");
    out
}

fn swing(one: &Sensitivity, now: f64, greatest: f64) -> String {
    let place = |load: f64| (finite(load) / greatest * 100.0).clamp(0.0, 100.0);
    let (less, more) = (place(one.less.holds_at), place(one.more.holds_at));
    let (from, to) = (less.min(more), less.max(more));
    let key = if one.key.is_empty() { String::new() } else { format!(" <code>{}</code>", cut(&one.key, 80)) };
    let differ = one.less.because != one.more.because;
    let side = |word: &str, side: &crate::result::WallSide| {
        let told = differ && !side.because.is_empty();
        let because = if told { format!(" ({})", cut(&side.because, 80)) } else { String::new() };
        let value = if side.value.is_empty() { String::new() } else { format!(", {}", cut(&side.value, 40)) };
        format!("{word}{value}: <b>{}</b>{because}", factor(side.holds_at))
    };
    format!(
        "<div><p class=\"what\">{}: {}{key}</p><span class=\"track\"><span class=\"swing\" \
         style=\"left:{}%;width:{}%\"></span><span class=\"now\" style=\"left:{}%\"></span></span>\
         <p class=\"sides\">{}; {}</p></div>",
        cut(&one.what, 120),
        cut(&one.value, 60),
        px(from),
        px((to - from).max(0.5)),
        px(place(now)),
        side("30 % less", &one.less),
        side("30 % more", &one.more)
    )
}
