//! Retries that multiply, and retries that outlive what they try.

use crate::{
    check::{About, Draft, Found, Look, Quantity, Rule, Severity, paths, words},
    design::{Edge, EdgeId, Evidence, Kind, Machine, Mode, NodeId, Queue, Retry, Task, Via},
    profile::Limit,
};

/// FB0013: how often one event is tried, and how long until it is given up.
pub(super) struct Retries;

/// Attempts of one event above which they count as a storm: three levels of the usual three retries.
const ATTEMPTS_MANY: f64 = 30.0;

/// Attempts of one hop that are many by themselves.
const ATTEMPTS_MANY_ALONE: f64 = 100.0;

impl Rule for Retries {
    fn about(&self) -> &'static About {
        &About {
            code: "FB0013",
            title: "retries multiply",
            severity: Severity::Warning,
            since: 1,
            page: include_str!("../../../../docs/rules/FB0013.md"),
        }
    }

    fn check(&self, look: &Look<'_>, found: &mut Found<'_>) {
        let outlived = outlived(look, found);
        storms(look, &outlived, found);
    }
}

/// Queues that delete a message before they have tried it as often as they should; sorted.
fn outlived(look: &Look<'_>, found: &mut Found<'_>) -> Vec<NodeId> {
    let mut outlived = Vec::new();
    if !look.is_aws() {
        return outlived;
    }
    for (id, node, queue) in look.design.queues() {
        let reads = |edge: &Edge| matches!(edge.via, Via::EventSource(_) | Via::PipeSource(_));
        let read = look.design.outgoing(id).any(|(_, edge)| reads(edge) && paths::carries(edge));
        let redrive = look.design.outgoing(id).find_map(|(edge_id, edge)| match &edge.via {
            Via::DeadLetters { attempts_max } => Some((edge_id, edge, *attempts_max.stated()?)),
            _ => None,
        });
        let Some((edge_id, edge, attempts)) = redrive.filter(|_| read) else { continue };
        let (Some(hidden_s), Some(kept_s)) = (look.visibility_s(queue), look.retention_s(queue)) else {
            continue;
        };
        let takes_s = attempts.saturating_mul(hidden_s);
        if takes_s <= kept_s {
            continue;
        }
        let (name, dead) = (&node.name, &look.design.node(edge.to).name);
        let [hidden, kept] = [hidden_s, kept_s].map(|time| words::seconds(words::whole(time)));
        let takes = words::about(words::whole(takes_s));
        let attempts = words::decimal(words::whole(attempts));
        let message = format!(
            "{name} tries a failing message {attempts} times, {hidden} apart, which takes {takes}, and deletes it \
             after {kept}: it never reaches {dead}"
        );
        let help = format!("lower maxReceiveCount of {name} to 5, or raise its MessageRetentionPeriod");
        let path = look.hop_pair(edge, format!("keeps {kept}"), format!("after {takes}"));
        let draft = Draft::new(id, edge.span, message, help).rests_on([edge_id]).path(path).meets(
            Quantity::stated(format!("the retention of {name}"), words::whole(kept_s), "s"),
            Quantity::stated("the time of all attempts", words::whole(takes_s), "s"),
        );
        found.add(draft);
        outlived.push(id);
    }
    outlived
}

/// A hop that tries again what failed behind it: how often at most, and in words.
fn attempts(look: &Look<'_>, edge: &Edge) -> Option<(f64, String)> {
    let from = look.design.node(edge.from);
    match (&edge.via, &from.kind) {
        (Via::EventSource(_) | Via::PipeSource(_), Kind::Queue(queue)) => {
            let attempts = deliveries(look, edge.from, queue)?;
            let attempts = words::whole(attempts);
            Some((attempts, format!("{} deliveries", words::decimal(attempts))))
        }
        (Via::Task(task), _) => {
            let attempts = task_attempts(look, task)?;
            Some((attempts, format!("{} attempts of {}", words::decimal(attempts), task.state)))
        }
        _ if paths::invokes_async(look.design, edge) && look.is_aws() => {
            let Kind::Function(function) = &look.design.node(edge.to).kind else { return None };
            let retries = look.or(&function.async_retries_max, Limit::LambdaAsyncRetriesDefault)?;
            let attempts = words::whole(retries.saturating_add(1));
            Some((attempts, format!("{} invocations", words::decimal(attempts))))
        }
        _ => None,
    }
}

/// Deliveries of a queue before its dead letters, where they are stated.
fn deliveries(look: &Look<'_>, id: NodeId, queue: &Queue) -> Option<i64> {
    let redrive = look.design.outgoing(id).find_map(|(_, edge)| match &edge.via {
        Via::DeadLetters { attempts_max } => attempts_max.stated().copied(),
        _ => None,
    });
    redrive.or_else(|| queue.attempts_max.stated().copied())
}

/// Attempts of a task whose work fails: the first and what its retriers add. Those for throttles and the like are
/// not for work that fails.
fn task_attempts(look: &Look<'_>, task: &Task) -> Option<f64> {
    let default = look.profile.whole(Limit::MachineRetriesDefault)?;
    let retries = task.retries.iter().filter(is_for_failures).map(|retry| retry.attempts_max.or(default));
    let mut all = 1.0;
    for retries in retries {
        all += words::whole(retries?);
    }
    Some(all)
}

/// Retries of one retrier whose waits are added up one by one; the rest wait as long as the last of these.
const WAITS_MAX: i64 = 10_000;

/// Seconds that the waits between all attempts of a way take, where each attempt fails at once.
fn lasts_s(look: &Look<'_>, way: &[EdgeId]) -> Option<f64> {
    way.iter().rev().try_fold(0.0, |behind_s, edge| {
        let edge = look.design.edge(*edge);
        match (&edge.via, &look.design.node(edge.from).kind) {
            (Via::EventSource(_) | Via::PipeSource(_), Kind::Queue(queue)) => {
                // What failed is visible again when its visibility timeout ends, and not before.
                let Some(deliveries) = deliveries(look, edge.from, queue) else { return Some(behind_s) };
                Some(words::whole(deliveries) * words::whole(look.visibility_s(queue)?).max(behind_s))
            }
            (Via::Task(task), _) => Some(task_attempts(look, task)? * behind_s + task_waits_s(look, task)?),
            _ if paths::invokes_async(look.design, edge) && look.is_aws() => {
                let Kind::Function(function) = &look.design.node(edge.to).kind else { return None };
                let retries = look.or(&function.async_retries_max, Limit::LambdaAsyncRetriesDefault)?;
                let wait_s = look.profile.value(Limit::LambdaAsyncRetryWait)?;
                // One wait before the first retry, two before the second.
                let waits_s: f64 = (1..=retries.clamp(0, 2)).map(|turn| words::whole(turn) * wait_s).sum();
                Some(words::whole(retries.saturating_add(1)) * behind_s + waits_s)
            }
            _ => Some(behind_s),
        }
    })
}

/// Seconds that a task's retriers wait in all.
fn task_waits_s(look: &Look<'_>, task: &Task) -> Option<f64> {
    let mut all_s = 0.0;
    for retry in task.retries.iter().filter(is_for_failures) {
        let retries = retry.attempts_max.or(look.profile.whole(Limit::MachineRetriesDefault)?)?;
        let backoff = retry.backoff.or(look.profile.value(Limit::MachineRetryBackoffDefault)?)?;
        let wait = look.profile.whole(Limit::MachineRetryWaitDefault)?;
        let mut wait_s = words::whole(retry.interval_s.or(wait)?);
        let most_s = match retry.delay_max_s.or(i64::MAX)? {
            i64::MAX => f64::INFINITY,
            most_s => words::whole(most_s),
        };
        for _ in 0..retries.min(WAITS_MAX) {
            all_s += wait_s.min(most_s);
            wait_s *= backoff;
        }
        all_s += words::whole(retries.saturating_sub(WAITS_MAX).max(0)) * wait_s.min(most_s);
    }
    Some(all_s)
}

/// Whether a retrier tries again what failed, and not only what was refused.
fn is_for_failures(retry: &&Retry) -> bool {
    let errors = ["States.ALL", "States.TaskFailed", "States.Timeout"];
    retry.errors.iter().any(|error| errors.contains(&error.as_str()))
}

/// Whether what fails behind an edge fails the one who gave it: then a retry before it repeats the edge.
fn fails_back(look: &Look<'_>, edge: &Edge) -> bool {
    let waits = match (&edge.via, &look.design.node(edge.from).kind) {
        (Via::Task(task), Kind::Machine(_)) => {
            use crate::design::TaskPattern;
            let lambda = matches!(look.design.node(edge.to).kind, Kind::Function(_));
            lambda || task.pattern != TaskPattern::RequestResponse
        }
        (Via::EventSource(_) | Via::PipeSource(_), _) => true,
        _ => edge.mode == Mode::Sync,
    };
    waits && paths::gives_work(edge)
}

/// Ways on which the attempts of all hops multiply to many.
fn storms(look: &Look<'_>, outlived: &[NodeId], found: &mut Found<'_>) {
    let mut budget = paths::Budget::of(look.design);
    for (id, node) in look.design.nodes() {
        // Ways begin at what tries again and nobody waits for.
        let begins = match &node.kind {
            Kind::Queue(_) | Kind::Topic(_) | Kind::Rule(_) | Kind::Schedule(_) | Kind::Bucket(_) => true,
            Kind::Machine(machine) => is_started(look, id, machine),
            _ => false,
        };
        if !begins || outlived.binary_search(&id).is_ok() {
            continue;
        }
        let follow =
            |edge: &Edge| fails_back(look, edge) || edge.from == id && attempts(look, edge).is_some();
        let mut worst: Option<(f64, Vec<EdgeId>)> = None;
        for way in paths::simple_ways(look.design, id, &mut budget, &follow) {
            let factors = way.iter().filter_map(|edge| attempts(look, look.design.edge(*edge)));
            let factors: Vec<f64> =
                factors.map(|(attempts, _)| attempts).filter(|count| *count > 1.0).collect();
            let all: f64 = factors.iter().product();
            let many = if factors.len() > 1 { ATTEMPTS_MANY } else { ATTEMPTS_MANY_ALONE };
            if all >= many && worst.as_ref().is_none_or(|(other, _)| *other < all) {
                worst = Some((all, way));
            }
        }
        if let Some((all, way)) = worst {
            found.add(storm(look, id, all, &way));
        }
    }
}

/// A machine that is not waited for by what is in the files: its retries are the first.
fn is_started(look: &Look<'_>, id: NodeId, machine: &Machine) -> bool {
    machine.unread.is_none() && !look.design.incoming(id).any(|(_, edge)| fails_back(look, edge))
}

/// How often an event is tried, over what time, and where it is then.
fn tried(look: &Look<'_>, first: NodeId, all: f64, lasts_s: Option<f64>) -> String {
    let year_s = look.profile.value(Limit::MachineTimeoutMax).unwrap_or(f64::MAX);
    let times = words::decimal(all);
    match lasts_s.filter(|s| *s > 0.0) {
        None => format!("is tried {times} times"),
        // An execution ends after a year, however many attempts are left.
        Some(lasts_s) if lasts_s >= year_s => {
            format!("is tried up to {times} times, for {}", words::about(year_s))
        }
        Some(lasts_s) => {
            let mut edges = look.design.outgoing(first).map(|(_, edge)| edge);
            let dead = edges.find(|edge| matches!(edge.via, Via::DeadLetters { .. }));
            let then = dead.map_or_else(String::new, |edge| {
                format!(" until it is in {}", look.design.node(edge.to).name)
            });
            format!("is tried {times} times, over {} or more{then}", words::about(lasts_s))
        }
    }
}

fn storm(look: &Look<'_>, id: NodeId, all: f64, way: &[EdgeId]) -> Draft {
    let factors: Vec<String> = way
        .iter()
        .filter_map(|edge| attempts(look, look.design.edge(*edge)))
        .filter(|(attempts, _)| *attempts > 1.0)
        .map(|(_, words)| words)
        .collect();
    let last = way.last().map_or(id, |edge| look.design.edge(*edge).to);
    let (name, last) = (&look.design.node(id).name, &look.design.node(last).name);
    let tried = tried(look, id, all, lasts_s(look, way));
    let message = format!("one event of {name} that fails in {last} {tried}: {}", factors.join(" × "));
    let help =
        "retry in one place of the way, the nearest to what fails, and let the others pass the error on";
    let span = way.first().map_or(look.design.node(id).span, |edge| look.design.edge(*edge).span);
    let mut path = look.hops(way, |_| String::new());
    for (hop, edge) in path.iter_mut().skip(1).zip(way) {
        hop.limit = attempts(look, look.design.edge(*edge)).map_or_else(String::new, |(_, words)| words);
    }
    let limit = Quantity::stated("attempts that are many", ATTEMPTS_MANY, "attempts");
    let edges = way.iter().copied().filter(|edge| look.design.edge(*edge).evidence > Evidence::Granted);
    Draft::new(id, span, message, help.to_string())
        .rests_on(edges)
        .path(path)
        .meets(limit, Quantity::stated("attempts of one event", all, "attempts"))
}
