//! Schedules.

use crate::{
    check::{About, Draft, Found, Look, Quantity, Rule, Severity, load::number, words},
    design::{Kind, Via},
};

/// FB0028: the next run begins while this one may still run.
pub(super) struct Overlap;

impl Rule for Overlap {
    fn about(&self) -> &'static About {
        &About {
            code: "FB0028",
            title: "schedule interval below the function's timeout",
            severity: Severity::Warning,
            since: 1,
            page: include_str!("../../../../docs/rules/FB0028.md"),
        }
    }

    fn check(&self, look: &Look<'_>, found: &mut Found<'_>) {
        if !look.is_aws() {
            return;
        }
        for (id, edge) in look.design.edges() {
            let Via::Target(_) = &edge.via else { continue };
            let Kind::Schedule(schedule) = &look.design.node(edge.from).kind else { continue };
            let Kind::Function(function) = &look.design.node(edge.to).kind else { continue };
            let Some(interval) = schedule.interval_s.stated().copied().filter(|interval| *interval > 0)
            else {
                continue;
            };
            let Some(timeout) = look.timeout_s(function) else { continue };
            let on = schedule.enabled.or(true) == Some(true);
            // With one environment the next run waits; zero switches the function off.
            let one =
                function.reserved.is_unknown() || function.reserved.stated().is_some_and(|most| *most <= 1);
            if !on || one || interval >= timeout {
                continue;
            }
            let name = &look.design.node(edge.to).name;
            let [interval_said, timeout_said] = [interval, timeout].map(|time| words::seconds(number(time)));
            let message = format!(
                "{name} is started every {interval_said} and may run {timeout_said}: one slow run, and the \
                 next works beside it on the same things"
            );
            let help = format!(
                "set ReservedConcurrentExecutions of {name} to 1, or its timeout below {interval_said}"
            );
            let span = function.timeout_s.span().unwrap_or(edge.span);
            found.add(
                Draft::new(edge.to, span, message, help)
                    .rests_on([id])
                    .path(look.hop_pair(
                        edge,
                        format!("every {interval_said}"),
                        format!("runs {timeout_said}"),
                    ))
                    .meets(
                        Quantity::stated("the schedule's interval", number(interval), "s"),
                        Quantity::stated(format!("the timeout of {name}"), number(timeout), "s"),
                    )
                    .related(edge.span, "the schedule"),
            );
        }
    }
}
