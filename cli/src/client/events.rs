//! `invoke`, `send`, `result` and `trace`.

use std::{collections::BTreeMap, io::Write as _};

use flyball_server::admin::types::{
    CallResponse, NewCall, NewEvent, ResultState, SentEvent, Trace, TracedEvent, TracedRun,
};

use super::{Admin, at, data, show};
use crate::{
    arguments::{Format, Invoke, Send, Server},
    http::quoted,
    stop::{Stop, print},
    table::{micros, plain},
};

/// Calls a function. The response's body goes to standard output as it is.
pub(super) async fn invoke(invoke: Invoke, format: Format) -> Result<(), Stop> {
    let mut headers = BTreeMap::new();
    for header in &invoke.headers {
        let (name, value) = header
            .split_once(':')
            .ok_or_else(|| Stop::wrong(format!("--header {header:?}: write \"name: value\"")))?;
        headers.insert(name.trim().to_string(), value.trim().to_string());
    }
    let usual = if invoke.data.is_some() { "POST" } else { "GET" };
    let call = NewCall {
        tenant: invoke.tenant,
        method: Some(invoke.method.unwrap_or_else(|| usual.into())),
        path: Some(invoke.path),
        headers,
        body: data(invoke.data.as_deref())?,
        key: invoke.key,
    };
    let path = format!("/api/v1/functions/{}/invoke", quoted(&invoke.function));
    let response: CallResponse = Admin::new(&invoke.server)?.post(&path, &call).await?;
    match format {
        Format::Json | Format::Sarif => show(format, &response, String::new)?,
        Format::Text => raw(&response)?,
    }
    match response.status {
        ..400 => Ok(()),
        status => Err(Stop::failed(format!("the function answered {status}"))),
    }
}

fn raw(response: &CallResponse) -> Result<(), Stop> {
    let body = response.body.bytes().unwrap_or_default();
    // The status is no part of the body: it goes beside it.
    let mark = if response.replayed { ", replayed" } else { "" };
    let id = response.id.map(|id| format!(" {}", id.0)).unwrap_or_default();
    let _ = writeln!(std::io::stderr(), "{}{mark}{id}", response.status);
    std::io::stdout().lock().write_all(&body).map_err(|error| Stop::failed(error.to_string()))?;
    if body.last().is_some_and(|last| *last != b'\n') { print("\n") } else { Ok(()) }
}

/// Sends an event.
pub(super) async fn send(send: Send, format: Format) -> Result<(), Stop> {
    let event = NewEvent {
        tenant: send.tenant,
        target: send.target,
        kind: send.kind,
        source: Some(send.source),
        subject: send.subject,
        content_type: Some(send.content_type),
        data: data(send.data.as_deref())?,
        delay_ms: u64::try_from(send.delay.as_millis()).unwrap_or(u64::MAX),
        key: send.key,
    };
    let sent: SentEvent = Admin::new(&send.server)?.post("/api/v1/events", &event).await?;
    show(format, &sent, || {
        let known = if sent.duplicate { "  (accepted before, under the same key)" } else { "" };
        format!("{}{known}\n", sent.id.0)
    })
}

/// Fetches a result.
pub(super) async fn result(event: &str, tenant: &str, server: &Server, format: Format) -> Result<(), Stop> {
    let path = format!("/api/v1/results/{}/{}", quoted(tenant), quoted(event));
    let result: ResultState = Admin::new(server)?.get(&path).await?;
    match (&result.response, format) {
        (Some(response), Format::Text) => raw(response)?,
        _ => show(format, &result, || {
            let attempt = result.attempt.map(|run| format!(", run {run}")).unwrap_or_default();
            let why = result.failure.as_ref();
            let why = why.map(|f| format!(": {}: {}", plain(&f.code), plain(&f.message))).unwrap_or_default();
            format!("{}{attempt}{why}\n", plain(&result.state))
        })?,
    }
    if result.failure.is_some() { Err(Stop::silent()) } else { Ok(()) }
}

/// Shows a flow as a tree.
pub(super) async fn trace(event: &str, server: &Server, format: Format) -> Result<(), Stop> {
    let trace: Trace = Admin::new(server)?.get(&format!("/api/v1/trace/{}", quoted(event))).await?;
    show(format, &trace, || tree(&trace.events))
}

/// Each event under the one whose handling emitted it; those without one known are roots.
fn tree(events: &[TracedEvent]) -> String {
    let known: Vec<_> = events.iter().map(|event| event.id).collect();
    let mut text = String::new();
    let is_root = |event: &&TracedEvent| event.cause.is_none_or(|cause| !known.contains(&cause));
    for root in events.iter().filter(is_root) {
        branch(events, root, 0, &mut text);
    }
    text
}

/// Lineages are no deeper than the hop budget; this bounds what a broken one could do.
const DEPTH_MAX: usize = 64;

fn branch(events: &[TracedEvent], event: &TracedEvent, depth: usize, text: &mut String) {
    let margin = "  ".repeat(depth);
    let place = event.queue.as_deref().map_or("call".to_string(), plain);
    let end = match (&event.end, &event.failure) {
        (Some(end), Some(failure)) => {
            format!("{end}: {}: {}", plain(&failure.code), plain(&failure.message))
        }
        (Some(end), None) => end.clone(),
        (None, _) if event.runs.is_empty() => "waiting".into(),
        (None, _) => "running".into(),
    };
    text.push_str(&format!("{margin}{} {place}  {end}  {}\n", event.id.0, at(event.accepted_ms)));
    for (index, run) in event.runs.iter().enumerate() {
        let last = index + 1 == event.runs.len();
        let ended = if last { event.end_ms } else { None };
        text.push_str(&format!("{margin}  {}\n", run_line(run, ended)));
    }
    if depth < DEPTH_MAX {
        for child in events.iter().filter(|child| child.cause == Some(event.id) && child.id != event.id) {
            branch(events, child, depth + 1, text);
        }
    }
}

fn run_line(run: &TracedRun, ended_ms: Option<u64>) -> String {
    let mut line = format!("{} run {}: waited {}", plain(&run.function), run.attempt, micros(run.dwell_us));
    if let Some(limit) = &run.waited_for {
        line.push_str(&format!(" for {}", plain(limit)));
    }
    if let Some(ended) = ended_ms {
        line.push_str(&format!(", took {} ms", ended.saturating_sub(run.started_ms)));
    }
    if let Some(failure) = &run.failure {
        line.push_str(&format!(", failed: {}: {}", plain(&failure.code), plain(&failure.message)));
    }
    if let Some(again) = run.retry_ms {
        line.push_str(&format!("; again at {}", at(again)));
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flow_is_a_tree_with_the_reason_of_each_wait() {
        let id = |n: u8| format!("{n:02x}").repeat(16);
        let run = |function: &str| {
            let (started_ms, dwell_us) = (1_000, 4_200);
            serde_json::json!({
                "function": function, "attempt": 1, "started_ms": started_ms, "dwell_us": dwell_us,
            })
        };
        let mut waited = run("scan");
        waited["waited_for"] = "tenant acme concurrency".into();
        let events = serde_json::json!([
            { "id": id(1), "root": id(1), "tenant": "acme", "accepted_ms": 1_000, "runs": [run("webhook")],
              "end": "done", "end_ms": 1_007, "emitted": 1 },
            { "id": id(2), "root": id(1), "cause": id(1), "tenant": "acme", "queue": "files",
              "accepted_ms": 1_007, "runs": [waited], "emitted": 0 },
        ]);
        let events: Vec<TracedEvent> = serde_json::from_value(events).unwrap();
        let expected = format!(
            "{} call  done  1970-01-01 00:00:01.000\n  webhook run 1: waited 4.2 ms, took 7 ms\n  {} files  \
             running  1970-01-01 00:00:01.007\n    scan run 1: waited 4.2 ms for tenant acme concurrency\n",
            id(1),
            id(2)
        );
        assert_eq!(tree(&events), expected);
    }
}
