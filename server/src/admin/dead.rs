//! Dead letters.

use std::sync::Arc;

use axum::{
    Json,
    extract::{
        Path, Query, State,
        rejection::{JsonRejection, QueryRejection},
    },
};
use flyball_core::{Name, Seq};
use schemars::JsonSchema;
use serde::Deserialize;

use super::{
    AdminCode, AdminError, Shared, answer,
    events::tenant_name,
    page,
    types::{
        ChainLink, Data, DeadLetter, DeadMoved, DeadPage, DeadRefused, DeadSelection, DeadShown, EventIdText,
        FailedRun,
    },
};
use crate::platform::{self, DeadFilter, DeadSummary, Platform};

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ListQuery {
    /// Only of this tenant.
    tenant: Option<String>,
    /// Only of this queue.
    queue: Option<String>,
    /// After this place: `next` of the page before.
    after: Option<u64>,
    /// Letters, 1 to 1,000; default 100.
    limit: Option<usize>,
}

pub(super) async fn list(
    State(platform): Shared,
    query: Result<Query<ListQuery>, QueryRejection>,
) -> Result<Json<DeadPage>, AdminError> {
    let query = query?.0;
    let filter = filter(&platform, query.tenant.as_deref(), query.queue.as_deref(), None)?;
    let (after, limit) = (query.after.map(Seq), page("limit", query.limit)?);
    let reader = platform.clone();
    let found = tokio::task::spawn_blocking(move || reader.dead_list(&filter, after, limit)).await;
    let found = found.map_err(|error| AdminError::broken(&error))??;
    let letters = found.letters.into_iter().map(|letter| summary(&platform, letter)).collect();
    Ok(Json(DeadPage { letters, next: found.next.map(|seq| seq.0) }))
}

pub(super) async fn show(
    State(platform): Shared,
    Path(id): Path<String>,
) -> Result<Json<DeadShown>, AdminError> {
    let id = answer::event_id(&id)?;
    let reader = platform.clone();
    let found = tokio::task::spawn_blocking(move || reader.dead_show(id)).await;
    let found = found.map_err(|error| AdminError::broken(&error))??;
    let shown =
        found.ok_or_else(|| AdminError::own(AdminCode::NotFound, format!("there is no dead letter {id}")))?;
    Ok(Json(all(&platform, shown)))
}

pub(super) async fn redrive(
    State(platform): Shared,
    body: Result<Json<DeadSelection>, JsonRejection>,
) -> Result<Json<DeadMoved>, AdminError> {
    let DeadSelection { tenant, queue, id, after, max, dry_run } = body?.0;
    let filter = filter(&platform, tenant.as_deref(), queue.as_deref(), id)?;
    let max = page("max", max.map(|max| max as usize))?;
    moved(platform.redrive(&filter, after.map(Seq), max, dry_run).await?)
}

pub(super) async fn discard(
    State(platform): Shared,
    body: Result<Json<DeadSelection>, JsonRejection>,
) -> Result<Json<DeadMoved>, AdminError> {
    let DeadSelection { tenant, queue, id, after, max, dry_run } = body?.0;
    let filter = filter(&platform, tenant.as_deref(), queue.as_deref(), id)?;
    let max = page("max", max.map(|max| max as usize))?;
    moved(platform.discard(&filter, after.map(Seq), max, dry_run).await?)
}

fn moved(report: platform::RedriveReport) -> Result<Json<DeadMoved>, AdminError> {
    let refused = report.refused.iter();
    Ok(Json(DeadMoved {
        moved: report.moved.into_iter().map(EventIdText).collect(),
        refused: refused
            .map(|(id, why)| DeadRefused { id: EventIdText(*id), error: answer::refused(why) })
            .collect(),
        next: report.next.map(|seq| seq.0),
    }))
}

fn filter(
    platform: &Arc<Platform>,
    tenant: Option<&str>,
    queue: Option<&str>,
    id: Option<EventIdText>,
) -> Result<DeadFilter, AdminError> {
    let tenant = tenant.map(|name| answer::tenant(platform, name)).transpose()?.map(|tenant| tenant.id);
    let name =
        |text: &str| Name::stored(text).map_err(|error| AdminError::invalid(format!("{text:?}: {error}")));
    Ok(DeadFilter { tenant, queue: queue.map(name).transpose()?, id: id.map(|id| id.0) })
}

fn summary(platform: &Platform, letter: DeadSummary) -> DeadLetter {
    let DeadSummary { seq, dead } = letter;
    DeadLetter {
        id: EventIdText(dead.event.id),
        seq: seq.0,
        tenant: tenant_name(platform, dead.event.tenant),
        queue: dead.event.queue.to_string(),
        attempts: dead.event.attempt,
        accepted_ms: dead.event.accepted.as_millis(),
        died_ms: dead.at.as_millis(),
        failure: answer::failed(&dead.failure),
    }
}

fn all(platform: &Platform, shown: platform::DeadShown) -> DeadShown {
    let platform::DeadShown { seq, dead, envelope, history, body, body_bytes } = shown;
    let hops = envelope.lineage.hops.iter();
    DeadShown {
        letter: summary(platform, DeadSummary { seq, dead }),
        target: envelope.target.to_string(),
        kind: envelope.attributes.kind,
        source: envelope.attributes.source,
        subject: envelope.attributes.subject,
        content_type: envelope.attributes.content_type,
        root: EventIdText(envelope.lineage.root),
        chain: hops
            .map(|hop| ChainLink {
                event: EventIdText(hop.event),
                function: hop.function.to_string(),
                at_ms: hop.time.as_millis(),
            })
            .collect(),
        history: history
            .iter()
            .map(|run| FailedRun {
                attempt: run.attempt,
                at_ms: run.at.as_millis(),
                failure: answer::failed(&run.failure),
            })
            .collect(),
        data: Data::of(&body),
        data_bytes: body_bytes as u64,
    }
}
