//! The design as a drawing: nodes, who gives work to whom, and the walls.
//!
//! - `layout`: where each node stands: layers from left to right, few crossings, always the same.
//! - `svg`: drawn by ourselves. `dot`, `mermaid`: for others to draw.

mod dot;
mod layout;
mod mermaid;
mod svg;

use std::collections::{BTreeMap, BTreeSet};

use super::Report;
use crate::{
    check::Level,
    design::{ApiKind, DatabaseKind, Evidence, Kind, Mode, Node, Setting, Via},
};

/// What draws it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Drawing {
    /// An image, for browsers.
    Svg,
    /// The same as a part of a page: without styles and background, which are the page's.
    Inline,
    /// For Graphviz.
    Dot,
    /// For Markdown.
    Mermaid,
}

/// Draws the design of a report, with its findings at their nodes and ways.
pub fn graph(report: &Report<'_>, drawing: Drawing) -> String {
    let picture = Picture::of(report);
    match drawing {
        Drawing::Svg => svg::draw(&picture, svg::Dress::Own),
        Drawing::Inline => svg::draw(&picture, svg::Dress::Page),
        Drawing::Dot => dot::draw(&picture),
        Drawing::Mermaid => mermaid::draw(&picture),
    }
}

/// What is drawn: boxes and lines between them.
struct Picture {
    boxes: Vec<Shape>,
    lines: Vec<Line>,
}

/// A node.
struct Shape {
    name: String,
    /// What it is and what bounds it: `function · 30 s`.
    about: String,
    look: Look,
    /// The worst finding, and the codes of all.
    level: Option<Level>,
    codes: BTreeSet<&'static str>,
    /// The findings' messages.
    messages: Vec<String>,
}

/// How a node looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Look {
    Entrance,
    Function,
    Queue,
    Topic,
    Store,
    Machine,
    External,
}

/// An edge, or several that look the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Line {
    from: usize,
    to: usize,
    stroke: Stroke,
    /// On the way to a wall: the worst finding.
    level: Option<Level>,
}

/// How an edge looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Stroke {
    /// The giver waits.
    Sync,
    /// It does not.
    Async,
    /// Known by a name and a grant, or by a grant alone.
    Weak,
    /// What failed.
    Dead,
}

impl Picture {
    fn of(report: &Report<'_>) -> Picture {
        let design = report.design;
        let mut boxes: Vec<Shape> = design.nodes().map(|(_, node)| Shape::of(node)).collect();
        let mut by_name: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for (id, node) in design.nodes() {
            by_name.entry(node.name.as_str()).or_default().push(id.index());
        }
        let mut walled: BTreeMap<(usize, usize), Level> = BTreeMap::new();
        for finding in report.walls() {
            let wall =
                finding.path.iter().find(|hop| hop.wall).map_or(finding.resource.as_str(), |hop| &hop.name);
            for at in
                by_name.get(wall).or_else(|| by_name.get(finding.resource.as_str())).into_iter().flatten()
            {
                let Some(one) = boxes.get_mut(*at) else { continue };
                one.level = one.level.max(Some(finding.level));
                one.codes.insert(finding.code);
                one.messages.push(format!("{}: {}", finding.code, finding.message));
            }
            for pair in finding.path.windows(2) {
                let [from, to] = pair else { continue };
                for from in by_name.get(from.name.as_str()).into_iter().flatten() {
                    for to in by_name.get(to.name.as_str()).into_iter().flatten() {
                        let level = walled.entry((*from, *to)).or_insert(finding.level);
                        *level = finding.level.max(*level);
                    }
                }
            }
        }
        let lines: BTreeSet<Line> = design
            .edges()
            .map(|(_, edge)| {
                let (from, to) = (edge.from.index(), edge.to.index());
                let stroke = match (&edge.via, edge.evidence, edge.mode) {
                    (Via::DeadLetters { .. }, ..) => Stroke::Dead,
                    (_, Evidence::Granted | Evidence::Named, _) => Stroke::Weak,
                    (.., Mode::Sync) => Stroke::Sync,
                    _ => Stroke::Async,
                };
                Line { from, to, stroke, level: walled.get(&(from, to)).copied() }
            })
            .collect();
        Picture { boxes, lines: lines.into_iter().collect() }.without_lonely()
    }

    /// Without what has no line and no wall and takes part in nothing: tables, buckets and others' resources.
    fn without_lonely(self) -> Picture {
        let linked: BTreeSet<usize> = self.lines.iter().flat_map(|line| [line.from, line.to]).collect();
        let mut place = BTreeMap::new();
        let mut boxes = Vec::new();
        for (index, one) in self.boxes.into_iter().enumerate() {
            let bystander = matches!(one.look, Look::Store | Look::External | Look::Entrance);
            if linked.contains(&index) || one.level.is_some() || !bystander {
                place.insert(index, boxes.len());
                boxes.push(one);
            }
        }
        let lines = self.lines.iter().filter_map(|line| {
            Some(Line { from: *place.get(&line.from)?, to: *place.get(&line.to)?, ..*line })
        });
        Picture { lines: lines.collect(), boxes }
    }
}

impl Shape {
    fn of(node: &Node) -> Shape {
        let (look, word, bound) = match &node.kind {
            Kind::Function(function) => (Look::Function, "function", seconds(&function.timeout_s)),
            Kind::Queue(queue) if queue.fifo => (Look::Queue, "FIFO queue", seconds(&queue.visibility_s)),
            Kind::Queue(queue) => (Look::Queue, "queue", seconds(&queue.visibility_s)),
            Kind::Topic(_) => (Look::Topic, "topic", None),
            Kind::Bus(_) => (Look::Topic, "bus", None),
            Kind::Rule(_) => (Look::Topic, "rule", None),
            Kind::Schedule(schedule) => {
                (Look::Entrance, "schedule", schedule.expression.stated().map(|text| shorter(text, 22)))
            }
            Kind::Stream(_) => (Look::Queue, "stream", None),
            Kind::Table(_) => (Look::Store, "table", None),
            Kind::Bucket(_) => (Look::Store, "bucket", None),
            Kind::Api(api) => (Look::Entrance, api_word(api.kind), None),
            Kind::Machine(machine) => (Look::Machine, "state machine", seconds(&machine.timeout_s)),
            Kind::Pipe(_) => (Look::Topic, "pipe", None),
            Kind::Database(database) if database.kind == DatabaseKind::Proxy => {
                (Look::Store, "database proxy", None)
            }
            Kind::Database(_) => (Look::Store, "database", None),
            Kind::External(external) => {
                return Shape::plain(node, shorter(&external.what, 30), Look::External);
            }
        };
        let about = bound.map_or(word.to_string(), |bound| format!("{word} · {bound}"));
        Shape::plain(node, about, look)
    }

    fn plain(node: &Node, about: String, look: Look) -> Shape {
        let name = node.name.clone();
        Shape { name, about, look, level: None, codes: BTreeSet::new(), messages: Vec::new() }
    }

    /// The codes of its findings, as a mark.
    fn mark(&self) -> String {
        let shown: Vec<&str> = self.codes.iter().take(3).copied().collect();
        let more = self.codes.len() - shown.len();
        let more = if more > 0 { format!(" +{more}") } else { String::new() };
        format!("{}{more}", shown.join(" "))
    }
}

const fn api_word(kind: ApiKind) -> &'static str {
    match kind {
        ApiKind::Rest => "REST API",
        ApiKind::Http => "HTTP API",
        ApiKind::WebSocket => "WebSocket API",
        ApiKind::FunctionUrl => "function URL",
        ApiKind::LoadBalancer => "load balancer",
        ApiKind::GraphQl => "GraphQL API",
        ApiKind::Flyball => "gateway",
    }
}

fn seconds(setting: &Setting<i64>) -> Option<String> {
    setting.stated().map(|seconds| format!("{seconds} s"))
}

/// At most so many characters, without control characters.
fn shorter(text: &str, chars: usize) -> String {
    let mut out: String =
        text.chars().take(chars).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    if text.chars().nth(chars).is_some() {
        out.pop();
        out.push('…');
    }
    out
}

/// The word for a level, as a class of styles.
const fn class(level: Level) -> &'static str {
    match level {
        Level::Error => "error",
        Level::Warning => "warning",
        Level::Note | Level::Advice => "note",
    }
}
