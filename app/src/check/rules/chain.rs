//! Callers that wait for what may take longer than they have.

use std::collections::BTreeMap;

use super::machine;
use crate::{
    check::{About, Draft, Found, Look, Quantity, Rule, Severity, paths, words},
    design::{Edge, EdgeId, Kind, Machine, Mode, NodeId, Via},
};

/// FB0004: the time of a synchronous chain is more than its caller has.
pub(super) struct Chain;

/// A wait in which the caller has less time than what it waits for may take, in seconds.
struct Wait {
    id: EdgeId,
    has_s: f64,
    takes_s: f64,
    why: String,
    assumes: Option<String>,
}

impl Rule for Chain {
    fn about(&self) -> &'static About {
        &About {
            code: "FB0004",
            title: "a synchronous chain takes longer than its caller has",
            severity: Severity::Warning,
            since: 1,
            page: include_str!("../../../../docs/rules/FB0004.md"),
        }
    }

    fn check(&self, look: &Look<'_>, found: &mut Found<'_>) {
        by_timeouts(look, found);
        by_traffic(look, found);
    }
}

/// Whether `edge` makes its giver wait for a function or a machine.
fn waits(look: &Look<'_>, edge: &Edge) -> bool {
    let callee = matches!(look.design.node(edge.to).kind, Kind::Function(_) | Kind::Machine(_));
    callee && edge.mode == Mode::Sync && paths::gives_work(edge)
}

/// Seconds that the giver of an edge has for what it waits for.
fn has_s(look: &Look<'_>, edge: &Edge) -> Option<f64> {
    match (&look.design.node(edge.from).kind, &edge.via) {
        (Kind::Api(api), Via::Integration(integration)) => {
            look.integration_ms(api, integration).map(|ms| words::whole(ms) / 1_000.0)
        }
        (Kind::Function(function), _) => look.timeout_s(function).map(words::whole),
        _ => None,
    }
}

/// How a machine that answers when it is done can take longer than its caller has, by what files state.
fn machine_takes(look: &Look<'_>, id: EdgeId, machine: &Machine, has_s: f64) -> Option<Wait> {
    if machine.express.stated() != Some(&true) {
        return None;
    }
    let way = machine::slowest(look, look.design.edge(id).to, machine);
    // What the definition as a whole may take bounds what its states may.
    let bound = machine.timeout_s.stated().copied().filter(|bound| *bound < way.takes_s);
    let takes_s = words::whole(bound.unwrap_or(way.takes_s));
    let assumes = way.assumes(has_s);
    let why = bound.map_or(way.why, |_| "its TimeoutSeconds".to_string());
    Some(Wait { id, has_s, takes_s, why, assumes })
}

fn by_timeouts(look: &Look<'_>, found: &mut Found<'_>) {
    let mut worst: BTreeMap<NodeId, Wait> = BTreeMap::new();
    for (id, edge) in look.design.edges().filter(|(_, edge)| waits(look, edge)) {
        let Some(has_s) = has_s(look, edge) else { continue };
        let from_api = matches!(look.design.node(edge.from).kind, Kind::Api(_));
        let wait = match &look.design.node(edge.to).kind {
            // FB0003 is about these.
            Kind::Function(_) if from_api => None,
            Kind::Function(function) => function.timeout_s.stated().map(|stated| {
                let (takes_s, why) = (words::whole(*stated), "its timeout".to_string());
                Wait { id, has_s, takes_s, why, assumes: None }
            }),
            Kind::Machine(machine) => machine_takes(look, id, machine, has_s),
            _ => None,
        };
        let Some(wait) = wait.filter(|wait| wait.takes_s > has_s) else { continue };
        match worst.get(&edge.from) {
            Some(other) if other.takes_s >= wait.takes_s => {}
            _ => drop(worst.insert(edge.from, wait)),
        }
    }
    for (from, wait) in worst {
        let edge = look.design.edge(wait.id);
        let (caller, callee) = (&look.design.node(from).name, &look.design.node(edge.to).name);
        let (has, takes) = (words::seconds(wait.has_s), words::seconds(wait.takes_s));
        let message = format!(
            "{caller} waits for {callee}, which may take {takes} ({}), and has {has} itself: it fails first, and \
             what it started goes on",
            wait.why
        );
        let help = format!(
            "give {callee} less time than {caller} has, or start it asynchronously and be told when it is done"
        );
        let limit = Quantity::stated(format!("the time that {caller} has"), wait.has_s, "s");
        let value = Quantity::stated(format!("the time that {callee} may take"), wait.takes_s, "s");
        let draft = Draft::new(from, edge.span, message, help)
            .rests_on([wait.id])
            .path(look.hop_pair(edge, format!("has {has}"), format!("takes {takes}")))
            .meets(limit, value);
        found.add(match wait.assumes {
            Some(what) => draft.assuming(what),
            None => draft,
        });
    }
}

/// The stated times of all functions of a chain against what its entrance has.
fn by_traffic(look: &Look<'_>, found: &mut Found<'_>) {
    if look.given.traffic.values().all(|traffic| traffic.p99_ms.is_none()) {
        return;
    }
    let mut budget = paths::Budget::of(look.design);
    let entrances = look.design.nodes().filter(|(_, node)| matches!(node.kind, Kind::Api(_)));
    for (entrance, node) in entrances {
        let ways = paths::simple_ways(look.design, entrance, &mut budget, &|edge| waits(look, edge));
        let mut worst: Option<(f64, f64, Vec<EdgeId>)> = None;
        for way in ways {
            let Some(has_s) = way.first().and_then(|edge| has_s(look, look.design.edge(*edge))) else {
                continue;
            };
            let takes_s = way.iter().filter_map(|edge| p99_s(look, look.design.edge(*edge).to)).sum::<f64>();
            if takes_s > has_s && worst.as_ref().is_none_or(|(_, other, _)| *other < takes_s) {
                worst = Some((has_s, takes_s, way));
            }
        }
        let Some((has_s, takes_s, way)) = worst else { continue };
        let (has, takes) = (words::seconds(has_s), words::seconds(takes_s));
        let name = &node.name;
        let timed = way.iter().filter(|edge| p99_s(look, look.design.edge(**edge).to).is_some()).count();
        let message = format!(
            "{timed} stated times of what waits for one another come to {takes}, and {name} gives up after {has}"
        );
        let help =
            "take the last of them out of the request: hand over to a queue and answer at once".to_string();
        let path = look.hops(&way, |id| match p99_s(look, id) {
            Some(p99_s) => format!("99 of 100 in {}", words::seconds(p99_s)),
            None => String::new(),
        });
        let span = way.first().map_or(node.span, |edge| look.design.edge(*edge).span);
        let limit = Quantity::stated(format!("the wait of {name}"), has_s, "s");
        let value = Quantity::stated("the stated times together", takes_s, "s");
        found.add(Draft::new(entrance, span, message, help).rests_on(way).path(path).meets(limit, value));
    }
}

fn p99_s(look: &Look<'_>, id: NodeId) -> Option<f64> {
    let traffic = look.given.traffic.get(&look.design.node(id).name)?;
    traffic.p99_ms.map(|ms| ms / 1_000.0)
}
