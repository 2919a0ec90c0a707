//! The admin API: health, metrics, tenants, limits, events, traces, logs, dead letters.
//!
//! Every endpoint stands once in [`ENDPOINTS`], which the router and the OpenAPI document are made of.
//! On loopback no token is needed, but a browser must not be led here by another site: requests with a
//! foreign `Host` or `Origin` are refused. Beyond loopback every request needs the token.

mod answer;
mod auth;
mod dead;
mod events;
mod listen;
mod openapi;
mod tenants;
pub mod types;

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{DefaultBodyLimit, Query, State, rejection::QueryRejection},
    http::{StatusCode, header},
    middleware,
    response::{IntoResponse, Response},
    routing::{MethodRouter, delete, get, post, put},
};
use schemars::JsonSchema;
use serde::Deserialize;

pub use answer::{AdminCode, AdminError};
pub use auth::{Auth, AuthError};
pub use listen::{AdminLimits, serve};
pub use openapi::document;

use crate::{platform::Platform, telemetry::FunctionFigures};
use types::{Function, Limit, Limits, Ready, Status};

/// A request's body, bytes.
const BODY_BYTES_MAX: usize = 8 << 20;
/// Rows of a page, where the request names no number.
const PAGE_DEFAULT: usize = 100;
/// Rows of a page, at most.
const PAGE_MAX: usize = 1_000;

type Shared = State<Arc<Platform>>;

/// One endpoint: what the router serves and the OpenAPI document says.
struct Endpoint {
    method: &'static str,
    path: &'static str,
    summary: &'static str,
    route: fn() -> MethodRouter<Arc<Platform>>,
    schemas: fn(&mut openapi::Schemas),
}

/// `endpoint!(METHOD "path" "summary", handler, Request => Response)`; `()` for none, or no JSON. A query
/// that is read comes before the request: `Query; Request => Response`.
macro_rules! endpoint {
    (
        $method:literal $verb:ident $path:literal $summary:literal,
        $handler:path, $query:ty; $request:ty => $response:ty
    ) => {
        Endpoint {
            method: $method,
            path: $path,
            summary: $summary,
            route: || $verb($handler),
            schemas: |schemas| schemas.of::<$query, $request, $response>(),
        }
    };
    ($method:literal $verb:ident $path:literal $summary:literal, $handler:path, $request:ty => $response:ty) => {
        endpoint!($method $verb $path $summary, $handler, (); $request => $response)
    };
}

/// Everything there is.
const ENDPOINTS: &[Endpoint] = &[
    endpoint!("get" get "/healthz" "Whether the process answers", healthz, () => ()),
    endpoint!("get" get "/readyz" "Whether new work is taken; 503 where it is not", readyz, () => Ready),
    endpoint!("get" get "/metrics" "The metrics, as Prometheus text", metrics, () => ()),
    endpoint!("get" get "/api/v1/status" "How much there is of what", status, () => Status),
    endpoint!(
        "get" get "/api/v1/limits" "Every limit, with what stands against it",
        limits, LimitsQuery; () => Limits
    ),
    endpoint!(
        "get" get "/api/v1/tenants" "Tenants by name",
        tenants::list, tenants::ListQuery; () => types::TenantPage
    ),
    endpoint!(
        "post" post "/api/v1/tenants" "Create a tenant",
        tenants::create, types::NewTenant => types::CreatedTenant
    ),
    endpoint!("get" get "/api/v1/tenants/{name}" "One tenant", tenants::show, () => types::Tenant),
    endpoint!(
        "post" post "/api/v1/tenants/{name}/enable" "Let it send and call",
        tenants::enable, () => types::Tenant
    ),
    endpoint!(
        "post" post "/api/v1/tenants/{name}/disable" "Refuse what it sends",
        tenants::disable, () => types::Tenant
    ),
    endpoint!(
        "post" post "/api/v1/tenants/{name}/keys" "Make a key",
        tenants::add_key, types::NewKey => types::CreatedKey
    ),
    endpoint!(
        "delete" delete "/api/v1/tenants/{name}/keys/{id}" "Revoke a key",
        tenants::revoke_key, () => types::Tenant
    ),
    endpoint!(
        "put" put "/api/v1/tenants/{name}/secrets/{secret}" "Set a secret: the body is its value",
        tenants::set_secret, () => ()
    ),
    endpoint!(
        "delete" delete "/api/v1/tenants/{name}/secrets/{secret}" "Remove a secret",
        tenants::remove_secret, () => ()
    ),
    endpoint!(
        "get" get "/api/v1/tenants/{name}/figures" "What is counted of a tenant",
        tenants::figures, () => types::TenantFigures
    ),
    endpoint!(
        "post" post "/api/v1/events" "Send an event",
        events::send, types::NewEvent => types::SentEvent
    ),
    endpoint!(
        "post" post "/api/v1/functions/{name}/invoke" "Call a function",
        events::invoke, types::NewCall => types::CallResponse
    ),
    endpoint!(
        "get" get "/api/v1/results/{tenant}/{id}" "The result of an event",
        events::result, () => types::ResultState
    ),
    endpoint!(
        "get" get "/api/v1/trace/{id}" "An event and all that came of it",
        events::trace, () => types::Trace
    ),
    endpoint!(
        "get" get "/api/v1/logs" "What functions logged",
        events::logs, events::LogsQuery; () => types::LogPage
    ),
    endpoint!(
        "get" get "/api/v1/dead" "Dead letters",
        dead::list, dead::ListQuery; () => types::DeadPage
    ),
    endpoint!("get" get "/api/v1/dead/{id}" "All of a dead letter", dead::show, () => types::DeadShown),
    endpoint!(
        "post" post "/api/v1/dead/redrive" "Put dead letters back",
        dead::redrive, types::DeadSelection => types::DeadMoved
    ),
    endpoint!(
        "post" post "/api/v1/dead/discard" "Throw dead letters away",
        dead::discard, types::DeadSelection => types::DeadMoved
    ),
];

/// The API of this platform.
pub fn router(platform: Arc<Platform>, auth: Auth) -> Router {
    let mut router = Router::new();
    for endpoint in ENDPOINTS {
        router = router.route(endpoint.path, (endpoint.route)());
    }
    router
        .fallback(|| async { AdminError::own(AdminCode::NotFound, "there is no such endpoint") })
        .method_not_allowed_fallback(|| async {
            AdminError::own(AdminCode::Method, "this endpoint has other methods; see docs/admin-api.json")
        })
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(middleware::from_fn_with_state(Arc::new(auth), auth::guard))
        .with_state(platform)
}

/// The number of rows that a request wants, by the parameter of this name.
fn page(name: &str, wanted: Option<usize>) -> Result<usize, AdminError> {
    let rows = wanted.unwrap_or(PAGE_DEFAULT);
    within(name, rows as u64, 1, PAGE_MAX as u64)?;
    Ok(rows)
}

/// Refuses a parameter out of its bounds: one that is cut unasked looks like all there is.
fn within(name: &str, value: u64, min: u64, max: u64) -> Result<(), AdminError> {
    if (min..=max).contains(&value) {
        return Ok(());
    }
    Err(AdminError::invalid(format!("`{name}` is {value}; it must be {min} to {max}")))
}

async fn healthz() -> &'static str {
    "ok\n"
}

async fn readyz(State(platform): Shared) -> (StatusCode, Json<Ready>) {
    let reason = platform.not_ready();
    let status = if reason.is_none() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(Ready { ready: reason.is_none(), reason, damaged_records: platform.damaged_records() }))
}

async fn metrics(State(platform): Shared) -> Response {
    let text = "text/plain; version=0.0.4; charset=utf-8";
    ([(header::CONTENT_TYPE, text)], platform.metrics()).into_response()
}

async fn status(State(platform): Shared) -> Json<Status> {
    let functions = platform.telemetry().figures(|figures| {
        let one =
            |(name, figures): (&flyball_core::Name, &FunctionFigures)| (name.to_string(), function(figures));
        figures.functions.iter().map(one).collect()
    });
    Json(Status {
        application: platform.application().name.to_string(),
        ready: platform.not_ready().is_none(),
        counts: types::counts(&platform.counts()),
        functions,
        tenants: platform.tenants().count() as u64,
    })
}

fn function(figures: &FunctionFigures) -> Function {
    Function {
        invocations: figures.invocations,
        done: figures.done,
        conflicts: figures.conflicts,
        dwell_p50_us: figures.dwell.quantile(500),
        dwell_p99_us: figures.dwell.quantile(990),
        run_p50_us: figures.run.quantile(500),
        run_p99_us: figures.run.quantile(990),
        memory_bytes_peak: figures.memory_bytes_peak,
    }
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct LimitsQuery {
    /// Tenants shown, 0 to 1,000; default 100.
    tenants: Option<usize>,
}

async fn limits(
    State(platform): Shared,
    query: Result<Query<LimitsQuery>, QueryRejection>,
) -> Result<Json<Limits>, AdminError> {
    let query = query?.0;
    let tenants = query.tenants.unwrap_or(PAGE_DEFAULT);
    within("tenants", tenants as u64, 0, PAGE_MAX as u64)?;
    let all = platform.limits(tenants);
    let limit = |limit: flyball_core::LimitStatus| Limit {
        name: limit.name.to_string(),
        max: limit.max,
        guarantee: limit.guarantee,
        now: limit.now,
        peak: limit.peak,
        headroom: limit.max.saturating_sub(limit.now),
    };
    Ok(Json(Limits { limits: all.into_iter().map(limit).collect() }))
}
