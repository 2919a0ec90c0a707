//! Sending, calling, results, traces, logs.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use axum::{
    Json,
    extract::{
        Path, Query, State,
        rejection::{JsonRejection, QueryRejection},
    },
};
use bytes::Bytes;
use flyball_core::{Attributes, Body, Span, TenantId};
use http::{HeaderValue, Request, Response};
use schemars::JsonSchema;
use serde::Deserialize;

use super::{
    AdminCode, AdminError, Shared, answer, page,
    types::{
        CallResponse, Data, EventIdText, LogLine, LogPage, NewCall, NewEvent, ResultState, SentEvent, Trace,
        TracedEvent, TracedRun,
    },
    within,
};
use crate::{
    platform::{self, CallAnswer, EventResult, Platform, SendAnswer},
    telemetry::{EventTrace, RunTrace, Verdict},
};

/// How long a request for logs may wait for a line.
const WAIT_MS_MAX: u64 = 30_000;
/// How often it looks.
const LOOK_EVERY: Duration = Duration::from_millis(100);

pub(super) async fn send(
    State(platform): Shared,
    body: Result<Json<NewEvent>, JsonRejection>,
) -> Result<Json<SentEvent>, AdminError> {
    let event = body?.0;
    let tenant = answer::tenant(&platform, &event.tenant)?;
    let attributes = Attributes {
        kind: event.kind,
        source: event.source.unwrap_or_else(|| "/admin".into()),
        subject: event.subject,
        content_type: event.content_type.unwrap_or_else(|| "application/json".into()),
    };
    let body = Body::from(bytes(&event.data)?);
    let new = platform::NewEvent {
        target: event.target,
        attributes,
        body,
        delay: Span::from_millis(event.delay_ms),
    };
    match platform.send(tenant.id, new, event.key.as_deref()).await {
        SendAnswer::Accepted { id, duplicate } => Ok(Json(SentEvent { id: EventIdText(id), duplicate })),
        SendAnswer::Refused(refusal) => Err(refusal.into()),
    }
}

pub(super) async fn invoke(
    State(platform): Shared,
    Path(name): Path<String>,
    body: Result<Json<NewCall>, JsonRejection>,
) -> Result<Json<CallResponse>, AdminError> {
    let call = body?.0;
    let tenant = answer::tenant(&platform, &call.tenant)?;
    let function = answer::name(&name)?;
    let path = call.path.unwrap_or_else(|| "/".into());
    let mut request = Request::builder().method(call.method.as_deref().unwrap_or("POST")).uri(path);
    for (name, value) in &call.headers {
        request = request.header(name, value);
    }
    let mut request = request
        .body(Bytes::from(bytes(&call.body)?))
        .map_err(|error| AdminError::invalid(format!("the request: {error}")))?;
    // Instead of any that was given: who asks is never the caller's word.
    if let Ok(name) = HeaderValue::from_str(&tenant.name) {
        request.headers_mut().insert("x-flyball-tenant", name);
    }
    match platform.call(tenant.id, &function, request, call.key.as_deref()).await {
        CallAnswer::Done { id, response, replayed } => {
            Ok(Json(call_response(Some(EventIdText(id)), &response, replayed)))
        }
        CallAnswer::Failed { failure, .. } => Err(failure.into()),
        CallAnswer::Accepted { id } => {
            let body = format!("no slot came free in time; it is durable and runs, as event {id}");
            let response = Response::builder().status(202).body(Bytes::from(body)).unwrap_or_default();
            Ok(Json(call_response(Some(EventIdText(id)), &response, false)))
        }
        CallAnswer::Refused(refusal) => Err(refusal.into()),
    }
}

pub(super) async fn result(
    State(platform): Shared,
    Path((tenant, id)): Path<(String, String)>,
) -> Result<Json<ResultState>, AdminError> {
    let tenant = answer::tenant(&platform, &tenant)?.id;
    let id = answer::event_id(&id)?;
    let found = tokio::task::spawn_blocking(move || platform.result(tenant, id)).await;
    let empty =
        ResultState { state: String::new(), attempt: None, at_ms: None, response: None, failure: None };
    Ok(Json(match found.map_err(|error| AdminError::broken(&error))?? {
        EventResult::Unknown => {
            let message = format!("there is no result {id} for this tenant, or it is forgotten");
            return Err(AdminError::own(AdminCode::NotFound, message));
        }
        EventResult::Pending { running, attempt } => {
            let state = if running { "running" } else { "waiting" };
            ResultState { state: state.into(), attempt: Some(attempt), ..empty }
        }
        EventResult::Done { at, response } => {
            let response = Some(call_response(None, &response, true));
            ResultState { state: "done".into(), at_ms: Some(at.as_millis()), response, ..empty }
        }
        EventResult::Failed { at, failure } => {
            let failure = Some(answer::failed(&failure));
            ResultState { state: "failed".into(), at_ms: Some(at.as_millis()), failure, ..empty }
        }
    }))
}

fn call_response(id: Option<EventIdText>, response: &Response<Bytes>, replayed: bool) -> CallResponse {
    let mut headers: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, value) in response.headers() {
        if let Ok(value) = value.to_str() {
            headers.entry(name.to_string()).or_default().push(value.to_string());
        }
    }
    CallResponse {
        id,
        status: response.status().as_u16(),
        headers,
        body: Data::of(response.body()),
        replayed,
    }
}

pub(super) async fn trace(
    State(platform): Shared,
    Path(id): Path<String>,
) -> Result<Json<Trace>, AdminError> {
    let id = answer::event_id(&id)?;
    let events = platform.trace(id);
    if events.is_empty() {
        let max = platform.application().limits.traced_events_max;
        let message = format!(
            "nothing is remembered of event {id}: traces are of the last {max} events (traced_events_max)"
        );
        return Err(AdminError::own(AdminCode::NotFound, message));
    }
    Ok(Json(Trace { events: events.into_iter().map(|event| traced(&platform, event)).collect() }))
}

fn traced(platform: &Platform, event: EventTrace) -> TracedEvent {
    let (end, end_ms, emitted, failure) = match event.end {
        None => (None, None, 0, None),
        Some((at, Verdict::Done(emitted))) => (Some("done".into()), Some(at.as_millis()), emitted, None),
        Some((at, Verdict::Dead(failure))) => {
            (Some("dead".into()), Some(at.as_millis()), 0, Some(answer::failed(&failure)))
        }
    };
    TracedEvent {
        id: EventIdText(event.id),
        root: EventIdText(event.root),
        cause: event.cause.map(EventIdText),
        tenant: tenant_name(platform, event.tenant),
        queue: event.queue.map(|queue| queue.to_string()),
        accepted_ms: event.accepted.as_millis(),
        runs: event.runs.into_iter().map(run).collect(),
        end,
        end_ms,
        emitted,
        failure,
    }
}

fn run(run: RunTrace) -> TracedRun {
    TracedRun {
        function: run.function.to_string(),
        attempt: run.attempt,
        started_ms: run.started.as_millis(),
        dwell_us: run.dwell.0,
        waited_for: run.waited_for.map(|limit| limit.to_string()),
        retry_ms: run.failed.as_ref().map(|(_, at)| at.as_millis()),
        failure: run.failed.map(|(failure, _)| answer::failed(&failure)),
    }
}

/// A tenant's name, or its number where it is unknown.
pub(super) fn tenant_name(platform: &Platform, id: TenantId) -> String {
    platform.tenants().name_of(id).map_or_else(|| id.0.to_string(), |name| name.to_string())
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct LogsQuery {
    /// Whose.
    tenant: String,
    /// Only of this function.
    function: Option<String>,
    /// After this line: `next` of the page before. Without it, the newest.
    after: Option<u64>,
    /// Lines, 1 to 1,000; default 100.
    limit: Option<usize>,
    /// How long to wait for a line where there is none, 0 to 30,000; default 0.
    wait_ms: Option<u64>,
}

pub(super) async fn logs(
    State(platform): Shared,
    query: Result<Query<LogsQuery>, QueryRejection>,
) -> Result<Json<LogPage>, AdminError> {
    let query = query?.0;
    let tenant = answer::tenant(&platform, &query.tenant)?.id;
    let after = query.after.unwrap_or(0);
    let limit = page("limit", query.limit)?;
    let wait_ms = query.wait_ms.unwrap_or(0);
    within("wait_ms", wait_ms, 0, WAIT_MS_MAX)?;
    let end = tokio::time::Instant::now() + Duration::from_millis(wait_ms);
    let platform: Arc<Platform> = platform;
    let lines = loop {
        let lines = platform.logs(tenant, query.function.as_deref(), after, limit);
        if !lines.is_empty() || tokio::time::Instant::now() >= end {
            break lines;
        }
        tokio::time::sleep(LOOK_EVERY).await;
    };
    let next = lines.last().map_or(after, |line| line.cursor);
    let line = |line: crate::telemetry::LogLine| LogLine {
        cursor: line.cursor,
        at_ms: line.at.as_millis(),
        function: line.function.to_string(),
        event: EventIdText(line.event),
        level: format!("{:?}", line.level).to_lowercase(),
        message: line.message,
    };
    Ok(Json(LogPage { lines: lines.into_iter().map(line).collect(), next }))
}

fn bytes(data: &Data) -> Result<Vec<u8>, AdminError> {
    data.bytes().ok_or_else(|| AdminError::invalid("`hex` takes two hexadecimal digits for each byte"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_that_stands_twice_is_shown_twice() {
        let response = Response::builder()
            .header("set-cookie", "a=1")
            .header("x-other", "2")
            .header("set-cookie", "b=2")
            .header("x-bytes", HeaderValue::from_bytes(b"\xff").unwrap())
            .body(Bytes::new())
            .unwrap();
        let shown = call_response(None, &response, false).headers;
        let expected = [("set-cookie", vec!["a=1", "b=2"]), ("x-other", vec!["2"])];
        let shown: Vec<_> = shown.iter().map(|(name, values)| (name.as_str(), values.clone())).collect();
        assert_eq!(
            shown,
            expected.map(|(name, values)| (name, values.into_iter().map(String::from).collect()))
        );
    }
}
