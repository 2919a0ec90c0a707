//! The pool of environments that all functions of an account share.

use std::collections::BTreeMap;

use crate::{
    check::{
        About, Draft, Found, Look, Quantity, Rule, Severity,
        load::{Flow, number, reserved},
        words,
    },
    design::{EdgeId, Function, Kind, Mode, Node, NodeId, Setting, Via},
    profile::Limit,
};

/// FB0015: what is reserved is more than can be.
pub(super) struct Reservations;

/// FB0016: at its peak one function takes what others need.
pub(super) struct Starving;

/// FB0018: what one event starts, times how long that runs, against the pool.
pub(super) struct FanOut;

impl Rule for Reservations {
    fn about(&self) -> &'static About {
        &About {
            code: "FB0015",
            title: "reservations above the pool",
            severity: Severity::Error,
            since: 1,
            page: include_str!("../../../../docs/rules/FB0015.md"),
        }
    }

    fn check(&self, look: &Look<'_>, found: &mut Found<'_>) {
        if !look.is_aws() {
            return;
        }
        for (id, node, function) in look.design.functions() {
            warm_above_reserved(id, node, function, found);
        }
        // Stacks of one run may be for different accounts, unless the author says that they are one.
        let mut sums: BTreeMap<Option<&str>, Vec<(NodeId, f64)>> = BTreeMap::new();
        for (id, node, function) in look.design.functions().filter(|(_, node, _)| node.conditional.is_none())
        {
            let held = held(function);
            let stack = if look.given.account_complete { None } else { node.stack.as_deref() };
            if held > 0.0 {
                sums.entry(stack).or_default().push((id, held));
            }
        }
        for holders in sums.into_values() {
            above_pool(look, holders, found);
        }
    }
}

/// What a function takes from the pool for itself: its reservation, or else what is kept warm.
fn held(function: &Function) -> f64 {
    let warm = function.provisioned.iter().filter_map(|provisioned| provisioned.count.stated());
    reserved(function).max(warm.map(|count| number(*count)).sum())
}

fn warm_above_reserved(id: NodeId, node: &Node, function: &Function, found: &mut Found<'_>) {
    let Setting::Stated(reserved, span) = function.reserved else { return };
    for provisioned in &function.provisioned {
        let Some(warm) = provisioned.count.stated().copied().filter(|warm| *warm > reserved) else {
            continue;
        };
        let (name, alias) = (&node.name, &provisioned.qualifier);
        let message = format!(
            "AWS rejects the deployment: {warm} environments of {name}:{alias} are to be kept warm, \
             and only {reserved} are reserved for {name}"
        );
        let help = format!("set ReservedConcurrentExecutions of {name} to {warm} or more, or leave it out");
        let draft = Draft::new(id, provisioned.span, message, help)
            .meets(
                Quantity::stated(format!("the reservation of {name}"), number(reserved), ""),
                Quantity::stated(format!("what is kept warm of {name}"), number(warm), ""),
            )
            .related(span, "the reservation");
        found.add(draft);
    }
}

fn above_pool(look: &Look<'_>, mut holders: Vec<(NodeId, f64)>, found: &mut Found<'_>) {
    let pool = look.profile.value(Limit::LambdaConcurrency);
    let floor = look.profile.value(Limit::LambdaUnreservedMin);
    let (Some(pool), Some(floor)) = (pool, floor) else { return };
    let sum: f64 = holders.iter().map(|(_, held)| held).sum();
    if sum <= pool - floor {
        return;
    }
    holders.sort_by(|a, b| b.1.total_cmp(&a.1));
    let names: Vec<String> = holders
        .iter()
        .map(|(id, held)| format!("{} {}", look.design.node(*id).name, words::decimal(*held)))
        .collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let [sum_said, pool_said, left] = [sum, pool, pool - floor].map(words::decimal);
    let message = format!(
        "AWS rejects the deployment: reservations add up to {sum_said} ({}), and of a pool of {pool_said} \
         at most {left} can be reserved",
        words::list(&names)
    );
    let help =
        format!("reserve {left} in all, or have the account's quota raised and state it in the profile");
    let Some((first, _)) = holders.first() else { return };
    let Some(limit) = look.limit(Limit::LambdaConcurrency, "the account's pool") else { return };
    let Some(span) = span_of(look, *first) else { return };
    let mut draft = Draft::new(*first, span, message, help)
        .meets(limit, Quantity::stated("all reservations", sum, ""))
        .by(look, Limit::LambdaConcurrency);
    for (id, held) in holders.iter().skip(1).take(20) {
        if let Some(span) = span_of(look, *id) {
            let name = &look.design.node(*id).name;
            draft = draft.related(span, format!("{name} holds {}", words::decimal(*held)));
        }
    }
    found.add(draft);
}

fn span_of(look: &Look<'_>, id: NodeId) -> Option<crate::document::Span> {
    let node = look.design.node(id);
    let Kind::Function(function) = &node.kind else { return None };
    function.reserved.span().or_else(|| function.provisioned.first().map(|first| first.span))
}

/// How many of a function run at once at the stated peak.
struct Demand<'a> {
    id: NodeId,
    node: &'a Node,
    function: &'a Function,
    per_s: f64,
    run_s: f64,
    ways: Vec<EdgeId>,
}

impl Demand<'_> {
    fn at_once(&self) -> f64 {
        self.per_s * self.run_s
    }

    /// `Import (400/s × 2 s = 800)`.
    fn said(&self) -> String {
        let [per_s, run_s, at_once] = [self.per_s, self.run_s, self.at_once()].map(words::decimal);
        format!("{} ({per_s}/s × {run_s} s = {at_once})", self.node.name)
    }
}

fn demand<'a>(look: &Look<'a>, id: NodeId, flows: &[&Flow]) -> Option<Demand<'a>> {
    let node = look.design.node(id);
    let Kind::Function(function) = &node.kind else { return None };
    let run_s = flows.iter().find_map(|flow| look.duration_s(id, flow))?;
    // What an event source takes at once at most, no traffic exceeds: the rest waits in its queue.
    let at_most = |flow: &Flow| {
        let Some(Via::EventSource(source)) = flow.way.last().map(|edge| &look.design.edge(*edge).via) else {
            return flow.per_s;
        };
        match source.concurrency_max.stated() {
            Some(most) if run_s > 0.0 => flow.per_s.min(number(*most) / run_s),
            _ => flow.per_s,
        }
    };
    let per_s = flows.iter().map(|flow| at_most(flow)).sum();
    let ways = flows.iter().flat_map(|flow| flow.way.iter().copied()).collect();
    Some(Demand { id, node, function, per_s, run_s, ways })
}

impl Rule for Starving {
    fn about(&self) -> &'static About {
        &About {
            code: "FB0016",
            title: "who starves when each function is at its peak",
            severity: Severity::Warning,
            since: 1,
            page: include_str!("../../../../docs/rules/FB0016.md"),
        }
    }

    fn check(&self, look: &Look<'_>, found: &mut Found<'_>) {
        if !look.is_aws() {
            return;
        }
        let mut demands: Vec<Demand<'_>> = Vec::new();
        for (id, flows) in look.flows() {
            let flows: Vec<&Flow> = flows.iter().collect();
            demands.extend(demand(look, id, &flows));
        }
        for demand in &demands {
            if let Setting::Stated(reserved, span) = demand.function.reserved {
                own_reservation(demand, number(reserved), span, found);
            }
        }
        demands.retain(|demand| demand.function.reserved.is_default());
        shared(look, demands, found);
    }
}

/// What the stated peak of all functions without a reservation needs at once, and what they share, where that is
/// less.
pub(super) fn above_shared(look: &Look<'_>) -> Option<(f64, f64)> {
    let pool = look.shared_pool()?;
    let demands = look.flows().into_iter().filter_map(|(id, flows)| {
        let flows: Vec<&Flow> = flows.iter().collect();
        demand(look, id, &flows).filter(|demand| demand.function.reserved.is_default())
    });
    let sum = demands.map(|demand| demand.at_once()).sum();
    (sum > pool).then_some((sum, pool))
}

/// A function that is at its peak above its own reservation.
fn own_reservation(demand: &Demand<'_>, reserved: f64, span: crate::document::Span, found: &mut Found<'_>) {
    // Zero is how a function is switched off.
    if reserved < 1.0 || demand.at_once() <= reserved {
        return;
    }
    let name = &demand.node.name;
    let [at_once, per_s, run_s] = [demand.at_once(), demand.per_s, demand.run_s].map(words::decimal);
    let message = format!(
        "at the stated peak {at_once} of {name} run at once ({per_s}/s × {run_s} s), and only {} are \
         reserved for it: the rest is refused or waits",
        words::decimal(reserved)
    );
    let needed = words::decimal(demand.at_once().ceil());
    let help = format!("reserve at least {needed} for {name}, or make its work wait in a queue");
    found.add(Draft::new(demand.id, span, message, help).rests_on(demand.ways.clone()).meets(
        Quantity::stated(format!("the reservation of {name}"), reserved, ""),
        Quantity::stated(format!("{name} at its peak"), demand.at_once(), ""),
    ));
}

fn shared(look: &Look<'_>, mut demands: Vec<Demand<'_>>, found: &mut Found<'_>) {
    let Some(pool) = look.shared_pool() else { return };
    let sum: f64 = demands.iter().map(Demand::at_once).sum();
    demands.sort_by(|a, b| b.at_once().total_cmp(&a.at_once()));
    let Some(first) = demands.first().filter(|_| sum > pool) else { return };
    let takers: Vec<String> = demands.iter().map(Demand::said).collect();
    let takers: Vec<&str> = takers.iter().map(String::as_str).collect();
    let waits: Vec<&str> = look
        .design
        .functions()
        .filter(|(id, _, function)| *id != first.id && function.reserved.is_default())
        .filter(|(id, _, _)| look.design.incoming(*id).any(|(_, edge)| edge.mode == Mode::Sync))
        .map(|(_, node, _)| node.name.as_str())
        .collect();
    let who = match waits.as_slice() {
        [] => "the rest is refused or waits".to_string(),
        waits => format!("callers of {} are refused (429) though these are idle", words::list(waits)),
    };
    let message = format!(
        "the stated peak needs {} environments at once, for {}, and {} are shared by all functions without a \
         reservation: {who}",
        words::decimal(sum),
        words::list(&takers),
        words::decimal(pool)
    );
    let name = &first.node.name;
    let help =
        format!("cap {name} by ReservedConcurrentExecutions, or reserve for those that must always answer");
    let Some(limit) = look.limit(Limit::LambdaConcurrency, "the account's pool") else { return };
    let edges: Vec<EdgeId> = demands.iter().flat_map(|demand| demand.ways.iter().copied()).collect();
    found.add(
        Draft::new(first.id, first.node.span, message, help)
            .rests_on(edges)
            .meets(limit, Quantity::stated("all without a reservation at their peak", sum, ""))
            .by(look, Limit::LambdaConcurrency),
    );
}

impl Rule for FanOut {
    fn about(&self) -> &'static About {
        &About {
            code: "FB0018",
            title: "fan-out times duration against the pool",
            severity: Severity::Warning,
            since: 1,
            page: include_str!("../../../../docs/rules/FB0018.md"),
        }
    }

    fn check(&self, look: &Look<'_>, found: &mut Found<'_>) {
        if !look.is_aws() {
            return;
        }
        maps(look, found);
        let mut origins: BTreeMap<NodeId, Vec<(NodeId, Flow)>> = BTreeMap::new();
        for (id, flows) in look.flows() {
            for flow in flows.into_iter().filter(|flow| !flow.way.is_empty()) {
                origins.entry(flow.origin).or_default().push((id, flow));
            }
        }
        for (origin, flows) in origins {
            fan_out(look, origin, &flows, found);
        }
    }
}

fn fan_out(look: &Look<'_>, origin: NodeId, flows: &[(NodeId, Flow)], found: &mut Found<'_>) {
    let Some(pool) = look.shared_pool() else { return };
    let mut demands: Vec<Demand<'_>> =
        flows.iter().filter_map(|(id, flow)| demand(look, *id, &[flow])).collect();
    demands.retain(|demand| demand.function.reserved.is_default());
    let sum: f64 = demands.iter().map(Demand::at_once).sum();
    // One alone is another rule's matter.
    if demands.len() < 2 || sum <= pool {
        return;
    }
    demands.sort_by(|a, b| b.at_once().total_cmp(&a.at_once()));
    let said: Vec<String> = demands.iter().map(Demand::said).collect();
    let said: Vec<&str> = said.iter().map(String::as_str).collect();
    let node = look.design.node(origin);
    let message = format!(
        "each event of {} starts {} functions: the stated peak needs {} environments at once, for {}, and \
         {} are shared",
        node.name,
        demands.len(),
        words::decimal(sum),
        words::list(&said),
        words::decimal(pool)
    );
    let help =
        "put a queue with MaximumConcurrency before the slow ones, or cap them by a reservation".into();
    let Some(limit) = look.limit(Limit::LambdaConcurrency, "the account's pool") else { return };
    let Some(first) = demands.first() else { return };
    let edges: Vec<EdgeId> = demands.iter().flat_map(|demand| demand.ways.iter().copied()).collect();
    found.add(
        Draft::new(origin, node.span, message, help)
            .rests_on(edges)
            .path(look.hops(&first.ways, |_| String::new()))
            .meets(limit, Quantity::stated(format!("what {} starts", node.name), sum, ""))
            .by(look, Limit::LambdaConcurrency),
    );
}

/// Maps that run more of a function at once than it, or the pool, has.
fn maps(look: &Look<'_>, found: &mut Found<'_>) {
    let Some(pool) = look.shared_pool() else { return };
    for (id, edge) in look.design.edges() {
        let Via::Task(task) = &edge.via else { continue };
        let Kind::Function(function) = &look.design.node(edge.to).kind else { continue };
        let Some(concurrency) = &task.map_concurrency else { continue };
        let most =
            if task.distributed { Limit::MachineDistributedMapMax } else { Limit::MachineInlineMapMax };
        if task.retries.iter().any(|retry| retry.errors.iter().any(|error| retries_throttles(error))) {
            continue;
        }
        // Zero stands for no bound of its own.
        let Some(most) = look.profile.value(most) else { continue };
        let stated = concurrency.stated().copied().filter(|stated| *stated > 0).map(number);
        let at_once = match stated {
            Some(stated) => stated.min(most),
            None if concurrency.is_unknown() => continue,
            None => most,
        };
        let reserved = function.reserved.stated().copied().filter(|reserved| *reserved > 0).map(number);
        let has = match reserved {
            Some(reserved) => reserved,
            None if function.reserved.is_default() => pool,
            None => continue,
        };
        if at_once <= has {
            continue;
        }
        let (machine, name) = (look.design.node(edge.from), &look.design.node(edge.to).name);
        let [at_once_said, has_said] = [at_once, has].map(words::decimal);
        let of = if reserved.is_some() { "are reserved for it" } else { "are shared by all functions" };
        let bound = if stated.is_some() { "runs" } else { "sets no MaxConcurrency and runs" };
        let message = format!(
            "the map around {} in {} {bound} {name} for up to {at_once_said} items at once, and {has_said} \
             {of}",
            task.state, machine.name
        );
        let help = format!(
            "set MaxConcurrency of the map below {has_said}, and retry Lambda.TooManyRequestsException"
        );
        let mut draft = Draft::new(edge.from, edge.span, message, help)
            .rests_on([id])
            .path(look.hop_pair(edge, format!("{at_once_said} at once"), format!("{has_said} environments")))
            .assuming("the map gets that many items");
        if reserved.is_none() {
            draft = draft.by(look, Limit::LambdaConcurrency);
        }
        found.add(draft);
    }
}

/// Whether a retrier of this error tries again what was refused for want of an environment.
fn retries_throttles(error: &str) -> bool {
    matches!(error, "States.ALL" | "States.TaskFailed" | "Lambda.TooManyRequestsException")
}

/// The functions that a finding names: the one, or how many there are and who.
pub(super) fn named(names: &[&str]) -> String {
    match names {
        [one] => (*one).to_string(),
        names => format!("{} functions ({})", names.len(), words::list(names)),
    }
}
