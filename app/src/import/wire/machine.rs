//! Step Functions: state machines, and what their states call.

use super::{
    Reached, Row, Wire,
    index::At,
    lead::{Lead, To},
    pattern::Pattern,
    read,
};
use crate::{
    design::{External, Kind, Machine, NodeId, Setting, Task, TaskPattern, Via},
    document::{Span, Tree, Value},
    import::machine::{self, Call, Callee, Definition, text},
};

/// What this module reads.
pub(super) const ROWS: &[Row] = &[
    Row::of("AWS::StepFunctions::StateMachine").node(machine).edges(tasks),
    Row::of("AWS::StepFunctions::StateMachineAlias").stands_for(alias_of),
    Row::of("AWS::StepFunctions::StateMachineVersion").stands_for(version_of),
    Row::of("AWS::StepFunctions::Activity").node(activity),
];

fn machine(wire: &mut Wire<'_>, at: At) {
    let properties = &wire.resource(at).properties;
    let Definition { mut machine, calls, open } = match definition(wire, at) {
        Ok(tree) => machine::read(&tree),
        Err(why) => {
            let what = format!("its definition can't be read: {why}");
            wire.unresolved(at, wire.resource(at).span, what);
            let machine = Machine { unread: Some(why), ..Machine::default() };
            Definition { machine, ..Definition::default() }
        }
    };
    machine.express = read::is(properties.get("StateMachineType"), "EXPRESS");
    machine.logs_data = logs_data(properties.get("LoggingConfiguration"));
    wire.add(at, Kind::Machine(machine));
    wire.calls.insert(at, calls);
    for (span, what) in open {
        wire.unresolved(at, span, what);
    }
}

/// The definition, wherever it is written, with its substitutions.
fn definition(wire: &Wire<'_>, at: At) -> Result<Tree, String> {
    let written = ["Definition", "DefinitionString", "DefinitionS3Location"];
    let written = written.into_iter().filter_map(|key| wire.property(at, key).map(|tree| (key, tree)));
    let mut written = written.filter(|(_, tree)| tree.value != Value::Null);
    let mut tree = match written.next() {
        None => return Err("nothing says what it is".into()),
        Some(("DefinitionS3Location", tree)) if tree.get("States").is_none() => {
            return Err("it is not among the files".into());
        }
        Some((_, tree)) => text::tree(tree, &wire.design.files)?,
    };
    text::Substitutions::new(wire.property(at, "DefinitionSubstitutions")).apply(&mut tree);
    Ok(tree)
}

/// Everything is logged, with the data of each state.
fn logs_data(logging: Option<&Tree>) -> Setting<bool> {
    let Some(logging) = logging else { return Setting::Default };
    let all = read::is(logging.get("Level"), "ALL");
    let data = read::boolean(logging.get("IncludeExecutionData"));
    match (&all, &data) {
        (Setting::Unknown { .. }, _) if data.stated() == Some(&true) => all,
        (_, Setting::Unknown { .. }) if all.stated() == Some(&true) => data,
        _ if all.stated() == Some(&true) => data,
        _ => Setting::Stated(false, logging.span),
    }
}

fn activity(wire: &mut Wire<'_>, at: At) {
    wire.add(at, Kind::External(External { what: "an activity, whose workers fetch".into() }));
}

/// An alias leads to the machine of its versions.
fn alias_of(wire: &Wire<'_>, at: At, depth: usize) -> Vec<Lead> {
    let routes = wire.property(at, "RoutingConfiguration").map(Tree::items).unwrap_or_default();
    let version = routes.first().and_then(|route| route.get("StateMachineVersionArn"));
    let version = version
        .or_else(|| wire.resource(at).properties.at(&["DeploymentPreference", "StateMachineVersionArn"]));
    stands_for(wire, at, version, depth)
}

fn version_of(wire: &Wire<'_>, at: At, depth: usize) -> Vec<Lead> {
    stands_for(wire, at, wire.property(at, "StateMachineArn"), depth)
}

fn stands_for(wire: &Wire<'_>, at: At, of: Option<&Tree>, depth: usize) -> Vec<Lead> {
    match of {
        Some(of) => wire.leads_from(at.stack(), of, "states", depth),
        None => vec![Lead::to(To::Nothing("it names no state machine".into()))],
    }
}

fn tasks(wire: &mut Wire<'_>, at: At) {
    let Some(node) = wire.node(at, None) else { return };
    for call in wire.calls.remove(&at).unwrap_or_default() {
        task(wire, at, node, call);
    }
}

fn task(wire: &mut Wire<'_>, at: At, machine: NodeId, call: Call) {
    let Call { task, span, mode, qualifier, callee } = call;
    let action = task.action.clone();
    let reached = match callee {
        Callee::Named { service, name } => named(wire, at, &task, (service, &name)),
        Callee::Endpoint(url) => endpoint(wire, at, &url),
        Callee::DefaultBus => vec![wire.default_bus(span).into()],
        Callee::Service(words) => {
            vec![wire.outside("states", &format!("{words} ({action})"), words, span).into()]
        }
        Callee::Open(why) => {
            let state = &task.state;
            wire.unresolved(at, span, format!("what state {state} calls ({action}) is not known: {why}"));
            vec![unknown(wire, at, &task, span)]
        }
    };
    let only = reached.len() == 1;
    for to in reached {
        let is_activity = wire.design.node(to.node).resource_type == "AWS::StepFunctions::Activity";
        let mut task = task.clone();
        if is_activity {
            task.pattern = TaskPattern::WaitForToken;
            task.action = "states:activity".into();
        }
        let own = qualifier.clone().filter(|_| only && to.qualifier.is_none());
        let to = Reached { qualifier: to.qualifier.clone().or(own), ..to };
        wire.wired(at, span, &machine.into(), &to, (mode, Via::Task(Box::new(task))));
    }
}

fn named(wire: &mut Wire<'_>, at: At, task: &Task, (service, name): (&str, &Tree)) -> Vec<Reached> {
    // What a map answers to that is not whole is no name: `States.Format(...)`.
    let reached = wire.reach(at, name, service);
    if reached.is_empty() { vec![unknown(wire, at, task, name.span)] } else { reached }
}

/// A node for what a state calls and nobody knows.
fn unknown(wire: &mut Wire<'_>, at: At, task: &Task, span: Span) -> Reached {
    let name = format!("{}/{}", wire.resource(at).id, task.state);
    let what = format!("what {} calls", task.action);
    wire.outside("states", &name, what, span).into()
}

/// An API of ours where the URL says so, or an endpoint somewhere.
fn endpoint(wire: &mut Wire<'_>, at: At, url: &Tree) -> Vec<Reached> {
    if let Some(api) = api_of(wire, at, url) {
        return vec![api.into()];
    }
    let shown = Pattern::of(url).map_or_else(|| "an endpoint".to_string(), |url| url.shown(&url.text));
    vec![wire.outside("https", &shown, "an HTTPS endpoint".into(), url.span).into()]
}

/// The API whose host a URL names: `https://${Api}.execute-api.REGION.amazonaws.com/…`, or its `ApiEndpoint`.
pub(super) fn api_of(wire: &Wire<'_>, at: At, url: &Tree) -> Option<NodeId> {
    let references = url.references();
    let [reference] = references.as_slice() else { return None };
    let text = Pattern::of(url)?.text;
    let whole = reference.attribute.is_some();
    if !whole && !text.contains(".execute-api.") {
        return None;
    }
    let to = wire.referenced(at.stack(), reference)?;
    let node = wire.node(to, None)?;
    matches!(wire.design.node(node).kind, Kind::Api(_)).then_some(node)
}
