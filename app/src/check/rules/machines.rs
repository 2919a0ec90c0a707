//! What an execution of a state machine can hold.

use crate::{
    check::{About, Draft, Found, Look, Quantity, Rule, Severity, load::number, words},
    design::{Kind, Via},
    profile::Limit,
};

/// FB0036: results that are joined do not fit in a state's output.
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
