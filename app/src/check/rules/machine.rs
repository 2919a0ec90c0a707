//! State machines that wait for what does not come, or for longer than they can.

use crate::{
    check::{About, Draft, Found, Look, Quantity, Rule, Severity, words},
    design::{Edge, EdgeId, Kind, Machine, Node, NodeId, Task, TaskPattern, Via},
    profile::Limit,
};

/// FB0005: a task waits for something that may never come.
pub(super) struct NoTimeout;

impl Rule for NoTimeout {
    fn about(&self) -> &'static About {
        &About {
            code: "FB0005",
            title: "a task waits without a timeout",
            severity: Severity::Warning,
            since: 1,
            page: include_str!("../../../../docs/rules/FB0005.md"),
        }
    }

    fn check(&self, look: &Look<'_>, found: &mut Found<'_>) {
        for (id, node) in look.design.nodes() {
            let Kind::Machine(machine) = &node.kind else { continue };
            if !machine.timeout_s.is_default() || machine.express.stated() == Some(&true) {
                continue;
            }
            for pattern in [TaskPattern::WaitForToken, TaskPattern::RunAJob] {
                let open: Vec<_> = look
                    .design
                    .outgoing(id)
                    .filter_map(|(edge_id, edge)| match &edge.via {
                        Via::Task(task) => Some((edge_id, edge, task.as_ref())),
                        _ => None,
                    })
                    .filter(|(_, _, task)| task.pattern == pattern)
                    // A state machine of these files that is waited for is looked at itself.
                    .filter(|(_, edge, _)| !matches!(look.design.node(edge.to).kind, Kind::Machine(_)))
                    .filter(|(_, _, task)| task.timeout_s.is_default() && task.heartbeat_s.is_default())
                    .collect();
                if let Some(draft) = hangs(look, (id, node), pattern, &open) {
                    found.add(draft);
                }
            }
        }
    }
}

fn hangs(
    look: &Look<'_>,
    (id, node): (NodeId, &Node),
    pattern: TaskPattern,
    open: &[(EdgeId, &Edge, &Task)],
) -> Option<Draft> {
    let (edge_id, edge, _) = open.first()?;
    let mut states: Vec<_> = open.iter().map(|(_, _, task)| task.state.as_str()).collect();
    states.dedup();
    let waits = if states.len() == 1 { "waits" } else { "wait" };
    let (states, name) = (words::list(&states), &node.name);
    let year = words::about(look.profile.value(Limit::MachineTimeoutMax)?);
    let (message, suffix) = match pattern {
        TaskPattern::WaitForToken => (
            format!(
                "{states} {waits} for a token that one lost message or one failed worker never sends: the \
                 execution of {name} hangs for {year}"
            ),
            ".waitForTaskToken",
        ),
        _ => (
            format!(
                "{states} {waits} for a job as long as it runs: one that hangs keeps the execution of {name} for \
                 {year}"
            ),
            ".sync",
        ),
    };
    let help = format!("set TimeoutSeconds or HeartbeatSeconds on {states}, and catch States.Timeout");
    let draft = Draft::new(id, edge.span, message, help).rests_on([*edge_id]).path(look.hop_pair(
        edge,
        "no timeout",
        suffix,
    ));
    match pattern {
        TaskPattern::RunAJob => Some(draft.assuming("the job has no timeout of its own")),
        _ => Some(draft),
    }
}

/// FB0006: an Express machine has a way of more than five minutes, or a task that Express machines can't have.
pub(super) struct Express;

impl Rule for Express {
    fn about(&self) -> &'static About {
        &About {
            code: "FB0006",
            title: "an Express state machine waits longer than it can run",
            severity: Severity::Error,
            since: 1,
            page: include_str!("../../../../docs/rules/FB0006.md"),
        }
    }

    fn check(&self, look: &Look<'_>, found: &mut Found<'_>) {
        let Some(most_s) = look.profile.whole(Limit::MachineExpressTimeoutMax) else { return };
        for (id, node) in look.design.nodes() {
            let Kind::Machine(machine) = &node.kind else { continue };
            if machine.express.stated() == Some(&true) && !rejected(look, id, found) {
                too_long(look, (id, machine), most_s, found);
            }
        }
    }
}

/// A task that Express machines can't have: AWS rejects the definition.
fn rejected(look: &Look<'_>, id: NodeId, found: &mut Found<'_>) -> bool {
    let name = &look.design.node(id).name;
    let mut any = false;
    for (edge_id, edge) in look.design.outgoing(id) {
        let Via::Task(task) = &edge.via else { continue };
        let suffix = match task.pattern {
            TaskPattern::RequestResponse => continue,
            TaskPattern::RunAJob => ".sync",
            TaskPattern::WaitForToken => ".waitForTaskToken",
        };
        let message = format!(
            "AWS rejects {name}: its state {} waits by {suffix}, which Express state machines do not have",
            task.state
        );
        let help = format!("make {name} STANDARD, or start the work without waiting for it");
        let path = look.hop_pair(edge, "5 min at most", suffix);
        found.add(Draft::new(id, edge.span, message, help).rests_on([edge_id]).path(path));
        any = true;
    }
    any
}

fn too_long(look: &Look<'_>, (id, machine): (NodeId, &Machine), most_s: i64, found: &mut Found<'_>) {
    let node = look.design.node(id);
    let name = &node.name;
    let most = words::seconds(words::whole(most_s));
    let tasks = look.design.outgoing(id).filter_map(|(edge_id, edge)| {
        let Via::Task(task) = &edge.via else { return None };
        let Kind::Function(function) = &look.design.node(edge.to).kind else { return None };
        let runs_s = *function.timeout_s.stated()?;
        (task.timeout_s.is_default() && runs_s > most_s).then_some((edge_id, edge, runs_s))
    });
    let task = tasks.max_by_key(|(_, _, runs_s)| *runs_s);
    let (what, takes_s, span) = match &task {
        _ if machine.waits_s > most_s => {
            ("the waits on one way through it together".to_string(), machine.waits_s, node.span)
        }
        Some((_, edge, runs_s)) => {
            (format!("the timeout of {}", look.design.node(edge.to).name), *runs_s, edge.span)
        }
        None => return,
    };
    let takes = words::seconds(words::whole(takes_s));
    let message = format!("{name} is stopped after {most}, less than {what}: {takes}");
    let help = format!("make {name} STANDARD, or keep each way through it below {most}");
    let Some(limit) = look.limit(Limit::MachineExpressTimeoutMax, "the longest Express execution") else {
        return;
    };
    let value = Quantity::stated(what, words::whole(takes_s), "s");
    let mut draft = Draft::new(id, span, message, help).at_most(Severity::Warning).meets(limit, value);
    if let Some((edge_id, edge, _)) = task.filter(|_| machine.waits_s <= most_s) {
        draft = draft.rests_on([edge_id]).path(look.hop_pair(edge, most, format!("runs {takes}")));
    }
    found.add(draft);
}
