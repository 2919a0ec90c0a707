//! What an execution of a state machine can hold.

use crate::{
    check::{About, Draft, Found, Look, Quantity, Rule, Severity, load::number, words},
    design::{Kind, Machine, NodeId, Round, Via},
    profile::Limit,
};

/// FB0036: results that are joined do not fit in a state's output; a loop fills the history.
pub(super) struct Joins;

impl Rule for Joins {
    fn about(&self) -> &'static About {
        &About {
            code: "FB0036",
            title: "payload and history of a state machine",
            severity: Severity::Warning,
            since: 1,
            page: include_str!("../../../../docs/rules/FB0036.md"),
        }
    }

    fn check(&self, look: &Look<'_>, found: &mut Found<'_>) {
        if !look.is_aws() {
            return;
        }
        for (id, node) in look.design.nodes() {
            let Kind::Machine(machine) = &node.kind else { continue };
            if let Some(draft) = fills_history(look, id, machine) {
                found.add(draft);
            }
        }
        let Some(most) = look.profile.value(Limit::MachinePayloadBytesMax) else { return };
        for (id, edge) in look.design.edges() {
            let Via::Task(task) = &edge.via else { continue };
            let Kind::Machine(_) = look.design.node(edge.from).kind else { continue };
            // A distributed map may write its results to a bucket; one without a bound says nothing of its items.
            let items = task.map_concurrency.as_ref().and_then(|most| most.stated()).copied();
            let Some(items) = items.filter(|items| *items > 0 && !task.distributed).map(number) else {
                continue;
            };
            let Some(bytes) = look.traffic(edge.to).and_then(|traffic| traffic.event_bytes) else { continue };
            let joined = items * bytes;
            if joined <= most {
                continue;
            }
            let [machine, name] = [edge.from, edge.to].map(|id| &look.design.node(id).name);
            let [items_said, bytes_said, joined_said, most_said] =
                [words::decimal(items), words::bytes(bytes), words::bytes(joined), words::bytes(most)];
            let message = format!(
                "the map around {} in {machine} joins what {name} answers: {items_said} × {bytes_said} = \
                 {joined_said}, and a state's output has at most {most_said} (States.DataLimitExceeded)",
                task.state
            );
            let help =
                "answer with a reference to a bucket, or use a distributed map with a ResultWriter".into();
            let Some(limit) = look.limit(Limit::MachinePayloadBytesMax, "a state's output") else { continue };
            found.add(
                Draft::new(edge.from, edge.span, message, help)
                    .rests_on([id])
                    .path(look.hop_pair(edge, most_said, format!("{items_said} × {bytes_said}")))
                    .meets(limit, Quantity::stated("what is joined", joined, "bytes"))
                    .assuming(
                        "the map has as many items as may run at once, and each answer is as large as stated",
                    ),
            );
        }
    }
}

/// How long a loop that polls must go on to count, seconds: few jobs are waited for longer than six hours.
const POLLS_MAX_S: i64 = 21_600;

/// Rounds from which on a loop is taken to end before: few go through so many pages or items.
const ROUNDS_MAX: i64 = 4_000;

/// The loop that fills the history in the fewest rounds. How often it turns no file says.
fn fills_history(look: &Look<'_>, id: NodeId, machine: &Machine) -> Option<Draft> {
    let most = look.profile.whole(Limit::MachineHistoryMax)?;
    if machine.express.or(false) != Some(false) {
        return None;
    }
    let rounds = machine.flow.rounds();
    let counted = rounds.iter().filter_map(|round| {
        let count = most / round.events_min().max(1);
        let lasts_s = count.saturating_mul(round.waits_s());
        let stopped = machine.timeout_s.stated().is_some_and(|timeout_s| *timeout_s <= lasts_s);
        let fits = count > ROUNDS_MAX || lasts_s > POLLS_MAX_S;
        let ends = stopped || fits || begins_anew(look, id, round);
        (!ends).then_some((count, lasts_s, round))
    });
    let (count, lasts_s, round) = counted.min_by_key(|(count, ..)| *count)?;
    let name = &look.design.node(id).name;
    let span = round.states.first()?.span;
    let states: Vec<&str> = round.states.iter().map(|state| state.name.as_str()).collect();
    let [events, count_said, most_said] =
        [round.events_min(), count, most].map(|count| words::decimal(number(count)));
    let waiting = match lasts_s {
        0 => String::new(),
        lasts_s => format!(" ({} of waiting)", words::about(number(lasts_s))),
    };
    let message = format!(
        "each round of {name} through {} adds at least {events} events to its history: after {count_said} \
         rounds{waiting} it has {most_said}, and the execution fails",
        words::list(&states)
    );
    let help = "start a new execution before that, or go through the items by a distributed map; \
                wait for a job by .sync or a task token"
        .to_string();
    let limit = look.limit(Limit::MachineHistoryMax, "events of an execution's history")?;
    let value = Quantity::stated("events of a round", number(round.events_min()), "");
    Some(
        Draft::new(id, span, message, help)
            .meets(limit, value)
            .assuming(format!("an execution goes round {count_said} times")),
    )
}

/// Whether a round starts the machine again: so a long loop is meant to go on.
fn begins_anew(look: &Look<'_>, id: NodeId, round: &Round<'_>) -> bool {
    look.design.outgoing(id).any(|(_, edge)| match &edge.via {
        Via::Task(task) => edge.to == id && round.states.iter().any(|state| state.name == task.state),
        _ => false,
    })
}
