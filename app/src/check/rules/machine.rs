//! State machines that wait for what does not come, or for longer than they can.

use std::collections::BTreeMap;

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

/// The way through a machine on which most time adds up.
pub(super) struct Slowest {
    /// What it may take, seconds; zero where no file states anything.
    pub takes_s: i64,
    /// What of it says so, as the end of a sentence.
    pub why: String,
    /// The tasks on it that take time.
    pub tasks: Vec<EdgeId>,
    /// Its waits, and the longest of the timeouts: what adds up when one of the functions takes as long as it may.
    pub one_slow_s: i64,
}

impl Slowest {
    /// What a finding assumes that holds this way against `has_s` seconds. One slow function is one fault; that several
    /// are slow in one execution no file says.
    pub(super) fn assumes(&self, has_s: f64) -> Option<String> {
        let all = words::whole(self.one_slow_s) <= has_s;
        all.then(|| "each of them takes as long as it may, in one execution".to_string())
    }
}

/// What files state of how long one execution may take: waits, and the timeouts of functions that are called one after
/// the other. Of branches and items the longest counts once; retries come on top.
pub(super) fn slowest(look: &Look<'_>, id: NodeId, machine: &Machine) -> Slowest {
    let mut tasks: BTreeMap<&str, (i64, EdgeId)> = BTreeMap::new();
    for (edge_id, edge) in look.design.outgoing(id) {
        let Via::Task(task) = &edge.via else { continue };
        let Kind::Function(function) = &look.design.node(edge.to).kind else { continue };
        let Some(runs_s) = function.timeout_s.stated().copied() else { continue };
        let runs_s = task.timeout_s.stated().map_or(runs_s, |stated| runs_s.min(*stated)).max(0);
        let slot = tasks.entry(task.state.as_str()).or_insert((runs_s, edge_id));
        if slot.0 < runs_s {
            *slot = (runs_s, edge_id);
        }
    }
    let runs_s = |state: &str| tasks.get(state).map_or(0, |(runs_s, _)| *runs_s);
    let way = machine.flow.longest(&|state| state.waits_s.saturating_add(runs_s(&state.name)));
    let on_it: Vec<(&str, EdgeId)> =
        way.states.iter().filter_map(|state| Some((*state, tasks.get(*state)?.1))).collect();
    let waits = on_it.len() < way.states.len();
    let states: Vec<&str> = on_it.iter().map(|(state, _)| *state).collect();
    let why = match (on_it.as_slice(), waits) {
        ([], _) => "its waits".to_string(),
        ([(_, edge)], false) => {
            format!("the timeout of {}", look.design.node(look.design.edge(*edge).to).name)
        }
        ([(state, _)], true) => format!("its waits and the timeout of what {state} calls"),
        (_, waits) => {
            let waits = if waits { "its waits and " } else { "" };
            format!("{waits}the timeouts of what {} call, one after the other", words::list(&states))
        }
    };
    let timeouts = on_it.iter().map(|(state, _)| runs_s(state));
    let (sum, most) = timeouts.fold((0_i64, 0), |(sum, most), s| (sum.saturating_add(s), most.max(s)));
    Slowest {
        takes_s: way.sum,
        why,
        one_slow_s: way.sum.saturating_sub(sum).saturating_add(most),
        tasks: on_it.into_iter().map(|(_, edge)| edge).collect(),
    }
}

fn too_long(look: &Look<'_>, (id, machine): (NodeId, &Machine), most_s: i64, found: &mut Found<'_>) {
    let node = look.design.node(id);
    let name = &node.name;
    let most = words::seconds(words::whole(most_s));
    let way = slowest(look, id, machine);
    if way.takes_s <= most_s {
        return;
    }
    let (takes, what) = (words::seconds(words::whole(way.takes_s)), way.why.clone());
    let message = format!("{name} is stopped after {most}, less than {what}: {takes}");
    let help = format!("make {name} STANDARD, or keep each way through it below {most}");
    let Some(limit) = look.limit(Limit::MachineExpressTimeoutMax, "the longest Express execution") else {
        return;
    };
    let value = Quantity::stated(what, words::whole(way.takes_s), "s");
    let first = way.tasks.first().map(|edge| look.design.edge(*edge));
    let span = first.map_or(node.span, |edge| edge.span);
    let mut draft = Draft::new(id, span, message, help).at_most(Severity::Warning).meets(limit, value);
    if let Some(edge) = first {
        let in_all = if way.tasks.len() > 1 { " in all" } else { "" };
        draft = draft.path(look.hop_pair(edge, most, format!("runs {takes}{in_all}")));
    }
    if let Some(what) = way.assumes(words::whole(most_s)) {
        draft = draft.assuming(what);
    }
    found.add(draft.rests_on(way.tasks));
}
