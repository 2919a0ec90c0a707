//! What is written to logs.

use crate::{
    check::{About, Draft, Found, Look, Rule, Severity, words},
    design::{Kind, NodeId, Setting},
};

/// FB0034: everything that goes through is logged.
pub(super) struct Bodies;

/// From this rate on, what is logged costs more than what runs; below, it is advice.
const HOT_PER_S: f64 = 10.0;

impl Rule for Bodies {
    fn about(&self) -> &'static About {
        &About {
            code: "FB0034",
            title: "execution data or bodies logged",
            severity: Severity::Warning,
            since: 1,
            page: include_str!("../../../../docs/rules/FB0034.md"),
        }
    }

    fn check(&self, look: &Look<'_>, found: &mut Found<'_>) {
        if !look.is_aws() {
            return;
        }
        for (id, node) in look.design.nodes() {
            match &node.kind {
                Kind::Machine(machine) => {
                    let what =
                        "the input and output of each of its states (IncludeExecutionData at level ALL)";
                    let help = "set IncludeExecutionData: false or Level: ERROR";
                    logs(look, id, &machine.logs_data, what, help, found);
                }
                Kind::Api(api) => {
                    let what = "each request and answer whole (DataTraceEnabled)";
                    let help = "set DataTraceEnabled: false, and log what is needed by access logs";
                    logs(look, id, &api.logs_bodies, what, help, found);
                }
                _ => {}
            }
        }
    }
}

fn logs(look: &Look<'_>, id: NodeId, logs: &Setting<bool>, what: &str, help: &str, found: &mut Found<'_>) {
    let Setting::Stated(true, span) = logs else { return };
    let name = &look.design.node(id).name;
    let traffic = look.traffic(id);
    let rate = traffic.and_then(|traffic| traffic.peak_per_s);
    let hot = rate.is_some_and(|rate| rate >= HOT_PER_S);
    let often = rate.map_or_else(String::new, |rate| format!(" {}/s at the peak,", words::decimal(rate)));
    let cost = rate.zip(traffic.and_then(|traffic| traffic.event_bytes)).map_or_else(
        || " 0.50 USD for each GB, and whoever reads logs sees the data".to_string(),
        |(rate, bytes)| {
            let gb_a_day = rate * bytes * 86_400.0 / 1e9;
            let [gb, usd] = [gb_a_day, gb_a_day * 0.5].map(words::decimal);
            format!(
                " about {gb} GB or {usd} USD a day for one copy of each event, and whoever reads logs \
                 sees the data"
            )
        },
    );
    let message = format!("{name} logs {what}:{often}{cost}");
    let draft = Draft::new(id, *span, message, help.to_string());
    found.add(if hot { draft } else { draft.at_most(Severity::Advice) });
}
