//! `flyball simulate --replay LOG --application FILE`: what would have come of the log under other limits.

use std::{path::Path, sync::Arc};

use flyball_core::journal::{LEARNED_BYTES_MAX, Tally, WhatIf};
use serde_json::json;

use super::{log, replay::lasting};
use crate::{
    arguments::Format,
    stop::{Stop, print, print_json},
    table::Table,
};

/// What every estimate takes for granted.
const ASSUMED: [&str; 6] = [
    "what came from outside comes at the same time: nobody tries again, or gives up, because of another answer",
    "the n-th run of a function for a tenant lasts as long, and ends as, the n-th that was recorded",
    "each commit takes as long as the recorded ones on average, and none fails",
    "no run reads what is stale",
    "where a commit had failed, both begin again with what the store held then",
    "tenants have the limits of the other application",
];

/// Estimates, and prints the counts of both.
///
/// # Errors
/// Where the log or the application can't be read: exit 2.
pub fn run(log: &Path, application: &Path, format: Format) -> Result<(), Stop> {
    let file = application.display().to_string();
    let text = std::fs::read_to_string(application)
        .map_err(|error| Stop::wrong(format!("{file} can't be read: {error}")))?;
    let read = flyball_app::read(&file, &text).map_err(|wrong| Stop::wrong(wrong.to_string()))?;
    let mut what_if = WhatIf::new(Arc::new(read.application));
    let shown = log.display().to_string();
    let refused = |error: flyball_core::journal::ReplayError| {
        Stop::wrong(format!("error[{}]: {shown}: {error}", error.code()))
    };
    log::read(log, |entry, offset| what_if.learn(entry, offset))?.map_err(refused)?;
    log::read(log, |entry, offset| what_if.take(entry, offset))?.map_err(refused)?;
    let (recorded, assumed_runs) = (what_if.recorded(), what_if.assumed_runs());
    let estimate = what_if.finish();
    if format == Format::Json {
        return print_json(&json!({
            "log": shown,
            "application": file,
            "result": "what-if",
            "covered_us": recorded.covered().0,
            "recorded": counts_as_json(&recorded),
            "estimate": counts_as_json(&estimate),
            "assumed_runs": assumed_runs,
            "assumed": ASSUMED,
            "learned_bytes_max": LEARNED_BYTES_MAX,
        }));
    }
    print(&as_text(&shown, &file, &recorded, &estimate, assumed_runs))
}

/// What is counted, in the order in which it is read.
fn rows(tally: &Tally) -> [(&'static str, u64); 10] {
    let counts = &tally.counts;
    [
        ("accepted", counts.accepted),
        ("done", counts.done),
        ("waiting at the end", counts.waiting + counts.running + counts.settling),
        ("dead letters at the end", counts.dead),
        ("calls", counts.calls),
        ("refused", counts.refused),
        ("throttled", tally.throttled),
        ("tried again", counts.retried),
        ("duplicates", counts.duplicates),
        ("stopped by the hop budget", counts.stopped),
    ]
}

fn counts_as_json(tally: &Tally) -> serde_json::Value {
    json!({ "counts": tally.counts, "throttled": tally.throttled, "steps": tally.steps })
}

fn as_text(log: &str, file: &str, recorded: &Tally, estimate: &Tally, assumed_runs: u64) -> String {
    let covered = lasting(recorded.covered());
    let mut text = format!("{log} under {file}: a what-if, an estimate and no replay ({covered})\n\n");
    let mut table = Table::new(&["WHAT", ">RECORDED", ">ESTIMATE", ">CHANGE"]);
    for ((what, then), (_, now)) in rows(recorded).into_iter().zip(rows(estimate)) {
        let change = match i128::from(now) - i128::from(then) {
            0 => String::new(),
            change => format!("{change:+}"),
        };
        table.row([what.to_string(), then.to_string(), now.to_string(), change]);
    }
    text.push_str(&table.render());
    text.push_str("\nAssumed:\n");
    for assumption in ASSUMED {
        text.push_str(&format!("- {assumption}\n"));
    }
    text.push_str(&format!(
        "- {assumed_runs} runs that none was recorded of: each lasts as long as the last of its function, \
         and succeeds\n"
    ));
    text
}
