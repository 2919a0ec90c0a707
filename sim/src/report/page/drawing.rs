//! The design with its walls marked: drawn as `check` draws it, with what only the traffic file knows beside it.

use std::collections::BTreeMap;

use flyball_app::{
    check::{Finding, Hop, Level},
    design::{Design, Edge, Evidence, External, Kind, Mode, Node, NodeId, Via},
    document::Span,
    report::{Drawing, Report as Drawn, graph},
};

use super::super::numbers::{counted, plain, rate};
use super::super::{
    answer::{because_of, because_of_wall},
    markup::is_turning,
};
use crate::result::{LimitRef, RunResult, Simulation, Wall};

/// A larger design makes a drawing that nobody reads, and a page that takes long to open.
const NODES_MAX: usize = 120;

/// The drawing, or why there is none; `None` where nothing is known of the design.
pub(super) fn drawing(design: Option<&Design>, simulation: &Simulation) -> Option<Result<String, String>> {
    let design = design?;
    let nodes = design.nodes().count();
    if nodes > NODES_MAX {
        let nodes = counted(nodes as u64, "node");
        return Some(Err(format!(
            "The design has {nodes}: more than a drawing can show. `flyball check --graph` draws it all."
        )));
    }
    let run = simulation
        .run
        .as_ref()
        .or_else(|| simulation.load_line.as_ref().and_then(|line| line.beyond.as_deref()));
    let mut design = design.clone();
    if let Some(run) = run {
        with_surroundings(&mut design, run);
    }
    let findings = findings(&design, simulation);
    let report = Drawn {
        design: &design,
        problems: &[],
        findings: &findings,
        rules: &[],
        rules_version: 0,
        profile: "",
        files_read: 0,
        against: None,
    };
    Some(Ok(graph(&report, Drawing::Inline).replace(is_turning, "\u{fffd}")))
}

/// Adds who sends and what is called: both are known from the traffic file alone.
fn with_surroundings(design: &mut Design, run: &RunResult) {
    let by_name: BTreeMap<String, (NodeId, Span)> =
        design.nodes().map(|(id, node)| (node.name.clone(), (id, node.span))).collect();
    for source in &run.sources {
        let Some((to, span)) = by_name.get(&source.to).copied() else { continue };
        if by_name.contains_key(&source.name) {
            continue;
        }
        let node = external(&source.name, format!("traffic · {}", rate(source.arrivals_mean_per_s)), span);
        let from = design.add(node);
        let mode = if source.synchronous { Mode::Sync } else { Mode::Async };
        design.connect(edge(from, to, mode, span));
    }
    for dependency in &run.dependencies {
        let Some((_, span)) = dependency.callers.iter().find_map(|caller| by_name.get(caller)).copied()
        else {
            continue;
        };
        let to = by_name.get(&dependency.name).map(|(id, _)| *id).unwrap_or_else(|| {
            let bound = dependency
                .connections_max
                .map_or(String::new(), |max| format!(" · {} connections", plain(max)));
            design.add(external(&dependency.name, format!("dependency{bound}"), span))
        });
        for (from, span) in dependency.callers.iter().filter_map(|caller| by_name.get(caller)) {
            let known = design.outgoing(*from).any(|(_, edge)| edge.to == to);
            if !known {
                design.connect(edge(*from, to, Mode::Sync, *span));
            }
        }
    }
}

fn external(name: &str, what: String, span: Span) -> Node {
    Node {
        name: name.into(),
        stack: None,
        resource_type: String::new(),
        kind: Kind::External(External { what }),
        span,
        physical_name: None,
        construct_path: None,
        conditional: None,
        allowed: Vec::new(),
    }
}

fn edge(from: NodeId, to: NodeId, mode: Mode, span: Span) -> Edge {
    Edge {
        from,
        to,
        mode,
        evidence: Evidence::Declared,
        qualifier: None,
        via: Via::Trigger("the traffic file".into()),
        span,
        resource: None,
        conditional: None,
    }
}

/// The first wall and the one behind it, in the drawing's terms.
fn findings(design: &Design, simulation: &Simulation) -> Vec<Finding> {
    let mut findings = Vec::new();
    if let Some(line) = &simulation.load_line {
        if let Some(wall) = &line.wall {
            findings.extend(of_wall(design, "first wall", Level::Error, wall));
        }
        if let Some(next) = line.raising.as_ref().and_then(|raising| raising.next.as_deref()) {
            findings.extend(of_wall(design, "next wall", Level::Warning, next));
        }
    } else if let Some(run) = &simulation.run {
        for (index, promise) in run.broken().enumerate().take(3) {
            let Some(broken) = &promise.broken else { continue };
            let (code, level) =
                if index == 0 { ("first broken", Level::Error) } else { ("broken", Level::Warning) };
            let message = format!("{}: {}", promise.promise, because_of(promise, broken));
            let at = at(design, broken.because.as_ref(), &broken.path).unwrap_or(&promise.of);
            findings.extend(finding(design, code, level, message, at, &broken.path));
        }
    }
    findings
}

fn of_wall(design: &Design, code: &'static str, level: Level, wall: &Wall) -> Option<Finding> {
    let message = format!("{}: {}", wall.promise, because_of_wall(wall));
    let at = at(design, wall.because.as_ref(), &wall.path).unwrap_or("");
    finding(design, code, level, message, at, &wall.path)
}

/// Where it is met: the limit of a node stands there; one that all share is met at the end of the way.
fn at<'a>(design: &Design, because: Option<&'a LimitRef>, path: &'a [String]) -> Option<&'a str> {
    let own = because.map(|limit| limit.of.as_str()).filter(|of| !of.is_empty());
    let exists = |name: &&str| design.nodes().any(|(_, node)| node.name == *name);
    own.filter(exists).or_else(|| path.last().map(String::as_str))
}

fn finding(
    design: &Design,
    code: &'static str,
    level: Level,
    message: String,
    at: &str,
    path: &[String],
) -> Option<Finding> {
    let (_, node) = design.nodes().find(|(_, node)| node.name == at)?;
    let hop = |name: &String| Hop {
        name: name.clone(),
        kind: "",
        limit: String::new(),
        evidence: None,
        wall: name == at,
    };
    Some(Finding {
        code,
        level,
        message,
        help: String::new(),
        place: design.files.place(node.span),
        resource: at.to_string(),
        construct_path: None,
        path: path.iter().map(hop).collect(),
        limit: None,
        value: None,
        evidence: Evidence::Declared,
        assumed: Vec::new(),
        related: Vec::new(),
        fingerprint: String::new(),
        suppressed: None,
        span: node.span,
        fix: None,
    })
}
