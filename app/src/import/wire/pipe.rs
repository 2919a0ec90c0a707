//! EventBridge Pipes: source, enrichment and target.

use super::{Row, Wire, index::At, read, source};
use crate::{
    design::{EventSource, Kind, Mode, Pipe, Setting, Target, Via},
    document::Tree,
};

/// What this module reads.
pub(super) const ROWS: &[Row] = &[Row::of("AWS::Pipes::Pipe").node(pipe).edges(edges)];

fn pipe(wire: &mut Wire<'_>, at: At) {
    let enabled = read::setting(
        wire.property(at, "DesiredState"),
        |tree| tree.as_str().map(|state| state == "RUNNING"),
        "state",
    );
    wire.add(at, Kind::Pipe(Pipe { enabled }));
}

fn edges(wire: &mut Wire<'_>, at: At) {
    let Some(node) = wire.node(at, None) else { return };
    let properties = &wire.resource(at).properties;
    let parameters = properties.get("SourceParameters");
    if let Some(from) = properties.get("Source") {
        let settings = EventSource { enabled: Setting::Default, ..source::of_pipe(parameters) };
        for reached in wire.reach(at, from, "") {
            let via = Via::PipeSource(Box::new(settings.clone()));
            wire.wired(at, from.span, &reached, &node.into(), (Mode::Poll, via));
        }
    }
    if let Some(dead) = source::dead_letters_of_pipe(parameters) {
        let via = Via::DeadLetters { attempts_max: Setting::Default };
        wire.wired_to(at, node, dead, "", &(Mode::Async, via));
    }
    if let Some(enrichment) = properties.get("Enrichment") {
        wire.wired_to(at, node, enrichment, "", &(Mode::Sync, Via::Enrichment));
    }
    if let Some(target) = properties.get("Target") {
        let parameters = properties.get("TargetParameters");
        let via = Via::Target(Box::new(Target {
            message_group: parameters
                .and_then(|tree| tree.at(&["SqsQueueParameters", "MessageGroupId"]))
                .is_some(),
            reshaped: parameters.is_some_and(|tree| tree.get("InputTemplate").is_some()),
            // A pipe can do nothing without its role.
            role: true,
            ..Target::default()
        }));
        for to in wire.reach(at, target, "") {
            let mode = mode(parameters, &wire.design.node(to.node).kind);
            wire.wired(at, target.span, &node.into(), &to, (mode, via.clone()));
        }
    }
}

/// A pipe waits for functions and express machines unless it is told not to.
fn mode(parameters: Option<&Tree>, to: &Kind) -> Mode {
    let (of, waits) = match to {
        Kind::Function(_) => ("LambdaFunctionParameters", true),
        Kind::Machine(_) => ("StepFunctionStateMachineParameters", false),
        _ => return Mode::Async,
    };
    let said = parameters.and_then(|tree| tree.at(&[of, "InvocationType"]));
    match said.map(Tree::as_str) {
        Some(Some("REQUEST_RESPONSE")) => Mode::Sync,
        Some(Some("FIRE_AND_FORGET")) => Mode::Async,
        Some(_) => Mode::Unknown,
        None if waits => Mode::Sync,
        // Express machines are waited for, standard ones can't be.
        None => match to {
            Kind::Machine(machine) => match machine.express.or(false) {
                Some(true) => Mode::Sync,
                Some(false) => Mode::Async,
                None => Mode::Unknown,
            },
            _ => Mode::Async,
        },
    }
}
