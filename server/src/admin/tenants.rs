//! Tenants, their keys and secrets. Changes write to the store, on a thread that may block.

use std::sync::Arc;

use axum::{
    Json,
    body::Bytes,
    extract::{
        Path, Query, State,
        rejection::{JsonRejection, QueryRejection},
    },
    http::StatusCode,
};
use flyball_core::Span;
use schemars::JsonSchema;
use serde::Deserialize;

use super::{
    AdminError, Shared, answer, page,
    types::{CreatedKey, CreatedTenant, Key, NewKey, NewTenant, Tenant, TenantFigures, TenantPage},
};
use crate::{
    platform::Platform,
    tenants::{KeyView, TenantError, TenantView},
};

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ListQuery {
    /// After this name: `next` of the page before.
    after: Option<String>,
    /// Tenants, 1 to 1,000; default 100.
    limit: Option<usize>,
}

pub(super) async fn list(
    State(platform): Shared,
    query: Result<Query<ListQuery>, QueryRejection>,
) -> Result<Json<TenantPage>, AdminError> {
    let query = query?.0;
    let limit = page("limit", query.limit)?;
    let mut views = platform.tenants().list(query.after.as_deref(), limit + 1);
    let more = views.len() > limit;
    views.truncate(limit);
    let next = views.last().filter(|_| more).map(|view| view.name.to_string());
    Ok(Json(TenantPage { tenants: views.into_iter().map(tenant).collect(), next }))
}

pub(super) async fn create(
    State(platform): Shared,
    body: Result<Json<NewTenant>, JsonRejection>,
) -> Result<(StatusCode, Json<CreatedTenant>), AdminError> {
    let name = answer::name(&body?.0.name)?;
    let (view, key) = blocking(platform, move |platform| platform.create_tenant(name)).await?;
    Ok((StatusCode::CREATED, Json(CreatedTenant { tenant: tenant(view), key })))
}

pub(super) async fn show(
    State(platform): Shared,
    Path(name): Path<String>,
) -> Result<Json<Tenant>, AdminError> {
    Ok(Json(tenant(platform.tenants().show(&answer::name(&name)?)?)))
}

pub(super) async fn enable(state: Shared, path: Path<String>) -> Result<Json<Tenant>, AdminError> {
    set_enabled(state, path, true).await
}

pub(super) async fn disable(state: Shared, path: Path<String>) -> Result<Json<Tenant>, AdminError> {
    set_enabled(state, path, false).await
}

async fn set_enabled(
    State(platform): Shared,
    Path(name): Path<String>,
    enabled: bool,
) -> Result<Json<Tenant>, AdminError> {
    let name = answer::name(&name)?;
    let view = blocking(platform, move |platform| platform.set_tenant_enabled(&name, enabled)).await?;
    Ok(Json(tenant(view)))
}

pub(super) async fn add_key(
    State(platform): Shared,
    Path(name): Path<String>,
    body: Result<Json<NewKey>, JsonRejection>,
) -> Result<(StatusCode, Json<CreatedKey>), AdminError> {
    let name = answer::name(&name)?;
    let rotate = body?.0.rotate_ms.map(Span::from_millis);
    let (key, view) = blocking(platform, move |platform| platform.add_key(&name, rotate)).await?;
    Ok((StatusCode::CREATED, Json(CreatedKey { id: view.id, key })))
}

pub(super) async fn revoke_key(
    State(platform): Shared,
    Path((name, id)): Path<(String, String)>,
) -> Result<Json<Tenant>, AdminError> {
    let name = answer::name(&name)?;
    let view = blocking(platform, move |platform| platform.tenants().revoke_key(&name, &id)).await?;
    Ok(Json(tenant(view)))
}

pub(super) async fn set_secret(
    State(platform): Shared,
    Path((name, secret)): Path<(String, String)>,
    value: Bytes,
) -> Result<StatusCode, AdminError> {
    change_secret(platform, &name, secret, Some(value)).await
}

pub(super) async fn remove_secret(
    State(platform): Shared,
    Path((name, secret)): Path<(String, String)>,
) -> Result<StatusCode, AdminError> {
    change_secret(platform, &name, secret, None).await
}

async fn change_secret(
    platform: Arc<Platform>,
    name: &str,
    secret: String,
    value: Option<Bytes>,
) -> Result<StatusCode, AdminError> {
    let name = answer::name(name)?;
    blocking(platform, move |platform| platform.tenants().set_secret(&name, &secret, value)).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn figures(
    State(platform): Shared,
    Path(name): Path<String>,
) -> Result<Json<TenantFigures>, AdminError> {
    let id = answer::tenant(&platform, &name)?.id;
    let figures = platform.telemetry().figures(|all| all.tenants.get(&id).cloned()).unwrap_or_default();
    let dwell = figures.dwell.unwrap_or_default();
    Ok(Json(TenantFigures {
        accepted: figures.accepted,
        started: figures.started,
        done: figures.done,
        retried: figures.retried,
        dead: figures.dead,
        refused: figures.refused,
        duplicates: figures.duplicates,
        throttled: figures.throttled,
        dwell_p50_us: dwell.quantile(500),
        dwell_p99_us: dwell.quantile(990),
        cost: figures.cost,
    }))
}

async fn blocking<T: Send + 'static>(
    platform: Arc<Platform>,
    work: impl FnOnce(&Arc<Platform>) -> Result<T, TenantError> + Send + 'static,
) -> Result<T, AdminError> {
    let done = tokio::task::spawn_blocking(move || work(&platform)).await;
    Ok(done.map_err(|error| AdminError::broken(&error))??)
}

fn tenant(view: TenantView) -> Tenant {
    Tenant {
        name: view.name.to_string(),
        id: view.id.0,
        enabled: view.enabled,
        created_ms: view.created.as_millis(),
        keys: view.keys.into_iter().map(key).collect(),
        secrets: view.secrets,
    }
}

fn key(view: KeyView) -> Key {
    let expires_ms = view.expires.map(|at| at.as_millis());
    Key { id: view.id, created_ms: view.created.as_millis(), expires_ms }
}
