//! The HTTP gateway: HTTP/1.1 and HTTP/2 on one port, to the application's routes.
//!
//! A request passes, in this order: the connection's limits, the route, the tenant, the body's limits, the
//! platform. Each has one file, and what is refused is refused with a stable code and the limit's name.
//! `/_flyball/results/{id}` is the gateway's own.
//!
//! - `head`: what no request may be.
//! - `router`: which route a path and method lead to. - `refuse`: every way to say no.
//! - `request`: tenant, body, headers on the way in. - `slow`: clients that do not read.

mod head;
mod refuse;
mod request;
mod router;
pub(crate) mod slow;

use std::{
    collections::HashMap,
    convert::Infallible,
    fmt,
    future::Future,
    net::{IpAddr, SocketAddr},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use flyball_core::{EventId, model::Route, model::RouteMode};
use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto, graceful::GracefulShutdown},
};
use tokio::net::{TcpListener, TcpStream};

pub use refuse::{GatewayCode, GatewayError};
use request::{Admitted, Arrived};
use router::Router;
use slow::{Impatient, Untaken};

use crate::{
    lane::locked,
    platform::{CallAnswer, EventResult, Platform, SendAnswer},
};

/// Limits of the gateway. The body's limit is the application's `limits.request_bytes_max`.
#[derive(Debug, Clone)]
pub struct GatewayLimits {
    /// Connections at once; at the limit no further one is accepted until one ends. Default 10,000.
    pub connections_max: usize,
    /// Connections at once from one address; a further one is answered 503 and closed. Default 2,048.
    pub connections_per_peer_max: usize,
    /// A request's head, bytes; past it 431. Default 64 KiB.
    pub header_bytes_max: usize,
    /// A request's headers; past it 431. Default 100.
    pub headers_max: usize,
    /// A request's path and query, bytes; past it 414. Default 8 KiB.
    pub uri_bytes_max: usize,
    /// How long a request's head may take, the wait on an idle connection included; then the connection
    /// is closed. Default 30 s.
    pub header_timeout: Duration,
    /// How long a request's body may take; past it 408. Default 60 s.
    pub body_timeout: Duration,
    /// Bodies of requests in memory at once, bytes, over all connections, and as many of answers that
    /// clients have yet to take; past either 503. Default 512 MiB.
    pub bodies_bytes_max: usize,
    /// How long a client may take none of its response; then the connection is closed. Default 30 s.
    pub write_timeout: Duration,
    /// How long a client may take over one response, however it takes it; then the connection is closed.
    /// Default 5 min.
    pub response_timeout: Duration,
    /// Requests at once on one HTTP/2 connection. Default 128.
    pub streams_max: u32,
    /// How long requests that run may take to end when the gateway stops. Default 30 s.
    pub grace: Duration,
}

impl Default for GatewayLimits {
    fn default() -> Self {
        GatewayLimits {
            connections_max: 10_000,
            connections_per_peer_max: 2_048,
            header_bytes_max: 64 << 10,
            headers_max: 100,
            uri_bytes_max: 8 << 10,
            header_timeout: Duration::from_secs(30),
            body_timeout: Duration::from_secs(60),
            bodies_bytes_max: 512 << 20,
            write_timeout: Duration::from_secs(30),
            response_timeout: Duration::from_secs(300),
            streams_max: 128,
            grace: Duration::from_secs(30),
        }
    }
}

/// See the module's text.
pub struct Gateway {
    platform: Arc<Platform>,
    router: Router,
    limits: GatewayLimits,
    peers: Mutex<HashMap<IpAddr, usize>>,
    next_request: AtomicU64,
    bodies: Arc<request::Room>,
    connections: Mutex<tokio::task::JoinSet<()>>,
}

impl fmt::Debug for Gateway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gateway").field("limits", &self.limits).finish_non_exhaustive()
    }
}

impl Gateway {
    /// Serves until `shutdown` resolves; then no connection is accepted, requests that run may end within
    /// the grace period, and the rest are broken off.
    pub async fn serve(
        listener: TcpListener,
        platform: Arc<Platform>,
        limits: GatewayLimits,
        shutdown: impl Future<Output = ()>,
    ) {
        let router = Router::new(&platform.application().routes);
        let places = Arc::new(tokio::sync::Semaphore::new(limits.connections_max));
        let grace = limits.grace;
        let bodies = request::Room::new(limits.bodies_bytes_max);
        let gateway = Arc::new(Gateway {
            platform,
            router,
            limits,
            peers: Mutex::new(HashMap::new()),
            next_request: AtomicU64::new(1),
            bodies,
            connections: Mutex::new(tokio::task::JoinSet::new()),
        });
        let graceful = GracefulShutdown::new();
        let mut shutdown = std::pin::pin!(shutdown);
        loop {
            // A place first, then the connection: what is not accepted waits in the kernel.
            let accept = async {
                let place = places.clone().acquire_owned().await;
                (place, listener.accept().await)
            };
            let (place, accepted) = tokio::select! {
                accepted = accept => accepted,
                () = &mut shutdown => break,
            };
            match accepted {
                Ok((stream, peer)) => gateway.connection(stream, peer, place.ok(), &graceful),
                Err(error) => {
                    // Too many open files, mostly: waiting is all that helps.
                    tracing::warn!(%error, "a connection can't be accepted");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        }
        drop(listener);
        if tokio::time::timeout(grace, graceful.shutdown()).await.is_err() {
            tracing::warn!(
                grace_s = grace.as_secs(),
                "requests were broken off at the end of the grace period"
            );
        }
    }

    fn connection(
        self: &Arc<Self>,
        stream: TcpStream,
        peer: SocketAddr,
        place: Option<tokio::sync::OwnedSemaphorePermit>,
        graceful: &GracefulShutdown,
    ) {
        let Some(seat) = Seat::take(self, peer.ip()) else {
            tokio::spawn(refuse::connection(stream, self.limits.connections_per_peer_max));
            return;
        };
        // An answer goes out in one piece; waiting for more would only delay it.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "a connection without TCP_NODELAY");
        }
        let gateway = self.clone();
        let untaken = Arc::new(Untaken::default());
        let answers = untaken.clone();
        // Once for the connection, as every request on it is told to its function.
        let from = HeaderValue::from_str(&peer.ip().to_string());
        let from = from.unwrap_or(HeaderValue::from_static("unknown"));
        let service = service_fn(move |request| {
            let (gateway, answers, from) = (gateway.clone(), answers.clone(), from.clone());
            async move {
                let response = gateway.answer(request, &from).await;
                let hold = |body| Full::new(slow::hold(body, &answers, &gateway.bodies));
                Ok::<_, Infallible>(response.map(hold))
            }
        });
        let mut builder = auto::Builder::new(TokioExecutor::new());
        let limits = &self.limits;
        builder
            .http1()
            .timer(TokioTimer::new())
            .header_read_timeout(limits.header_timeout)
            .max_buf_size(limits.header_bytes_max.max(8_192))
            .max_headers(limits.headers_max);
        builder
            .http2()
            .timer(TokioTimer::new())
            .max_concurrent_streams(limits.streams_max)
            .max_header_list_size(u32::try_from(limits.header_bytes_max).unwrap_or(u32::MAX))
            .keep_alive_interval(limits.header_timeout)
            .keep_alive_timeout(limits.header_timeout);
        let io = TokioIo::new(Impatient::new(stream, limits, untaken));
        let connection = builder.serve_connection(io, service).into_owned();
        let connection = graceful.watch(connection);
        let mut connections = locked(&self.connections);
        // Those that have ended are let go of as others come.
        while connections.try_join_next().is_some() {}
        connections.spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, %peer, "a connection ended early");
            }
            drop((seat, place));
        });
    }

    async fn answer(&self, request: Request<Incoming>, peer: &HeaderValue) -> Response<Bytes> {
        let number = self.next_request.fetch_add(1, Ordering::Relaxed);
        let head = request.method() == Method::HEAD;
        let mut response = match self.try_answer(request, peer).await {
            Ok(response) => response,
            Err(error) => error.into_response(number),
        };
        response.headers_mut().insert(REQUEST_ID, request_id(number));
        if head {
            let length = response.body().len();
            response.headers_mut().entry(header::CONTENT_LENGTH).or_insert(HeaderValue::from(length));
            *response.body_mut() = Bytes::new();
        }
        response
    }

    async fn try_answer(
        &self,
        request: Request<Incoming>,
        peer: &HeaderValue,
    ) -> Result<Response<Bytes>, GatewayError> {
        head::check(&request, &self.limits)?;
        self.bodies.check_answers()?;
        if let Some(id) = request.uri().path().strip_prefix("/_flyball/results/") {
            return Box::pin(self.result(&request, id)).await;
        }
        let Admitted { route, tenant, key } = request::admit(&self.platform, &self.router, &request)?;
        let max = self.platform.application().limits.request_bytes_max;
        let request = request::read(request, max, self.limits.body_timeout, &self.bodies).await?;
        let (request, _room) = request;
        let request = request::for_function(request, &tenant, peer);
        let arrived = Arrived { tenant, request, key };
        match route.mode {
            RouteMode::Sync => self.sync(route, arrived).await,
            // On the heap, so that synchronous calls, of which there are most, do not carry it about.
            RouteMode::Async => Box::pin(self.later(route, arrived)).await,
        }
    }

    async fn sync(&self, route: &Route, arrived: Arrived) -> Result<Response<Bytes>, GatewayError> {
        let Arrived { tenant, request, key } = arrived;
        match self.platform.call(tenant.id, &route.function, request, key.as_deref()).await {
            CallAnswer::Done { mut response, replayed, .. } => {
                request::strip_hop_by_hop(response.headers_mut());
                if replayed {
                    response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
                }
                Ok(response)
            }
            CallAnswer::Failed { failure, replayed, .. } => {
                Err(GatewayError::failed(&failure).replayed(replayed))
            }
            CallAnswer::Accepted { id } => Ok(accepted(id)),
            CallAnswer::Refused(refusal) => Err(GatewayError::refused(&refusal)),
        }
    }

    async fn later(&self, route: &Route, arrived: Arrived) -> Result<Response<Bytes>, GatewayError> {
        let Arrived { tenant, request, key } = arrived;
        match self.platform.call_later(tenant.id, &route.function, request, key.as_deref()).await {
            SendAnswer::Accepted { id, duplicate } => {
                let mut response = accepted(id);
                if duplicate {
                    response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
                }
                Ok(response)
            }
            SendAnswer::Refused(refusal) => Err(GatewayError::refused(&refusal)),
        }
    }

    /// The result of a request that was answered 202, for the tenant whose key is shown.
    async fn result(&self, request: &Request<Incoming>, id: &str) -> Result<Response<Bytes>, GatewayError> {
        if request.method() != Method::GET && request.method() != Method::HEAD {
            return Err(GatewayError::method(request.method(), &["GET".to_string()]));
        }
        let tenant = request::by_key(&self.platform, request.headers())?;
        let id = EventId::parse(id).ok_or_else(|| GatewayError::no_result(id))?;
        let platform = self.platform.clone();
        // The store is read: on a thread that may block.
        let found = tokio::task::spawn_blocking(move || platform.result(tenant.id, id)).await;
        let mut response = match found {
            Ok(Ok(EventResult::Done { mut response, .. })) => {
                request::strip_hop_by_hop(response.headers_mut());
                response
            }
            Ok(Ok(EventResult::Failed { failure, .. })) => return Err(GatewayError::failed(&failure)),
            Ok(Ok(EventResult::Pending { running, attempt })) => {
                let status = if running { "running" } else { "waiting" };
                let body = serde_json::json!({ "id": id, "status": status, "attempt": attempt });
                let mut response = json(StatusCode::ACCEPTED, &body);
                response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
                response
            }
            Ok(Ok(EventResult::Unknown)) => return Err(GatewayError::no_result(&id.to_string())),
            Ok(Err(error)) => {
                tracing::error!(%error, "a result can't be read");
                return Err(GatewayError::refused(&flyball_core::Refusal::Unavailable));
            }
            Err(_) => return Err(GatewayError::refused(&flyball_core::Refusal::Unavailable)),
        };
        let retention = self.platform.application().limits.result_retention.as_millis() / 1_000;
        response.headers_mut().insert(RETENTION, HeaderValue::from(retention));
        Ok(response)
    }
}

/// What a request is called in answers.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Says that an answer is the recorded one of an earlier request under the same key.
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
/// How long results are kept, seconds.
const RETENTION: HeaderName = HeaderName::from_static("flyball-result-retention-seconds");

/// 16 hexadecimal digits.
fn request_id(number: u64) -> HeaderValue {
    let mut digits = *b"0000000000000000";
    for (digit, shift) in digits.iter_mut().rev().zip((0..64).step_by(4)) {
        let value = (number >> shift) as u8 & 0xf;
        *digit = if value < 10 { b'0' + value } else { b'a' + value - 10 };
    }
    HeaderValue::from_bytes(&digits).unwrap_or_else(|_| HeaderValue::from_static("0"))
}

fn accepted(id: EventId) -> Response<Bytes> {
    let result = format!("/_flyball/results/{id}");
    let body = serde_json::json!({ "id": id, "status": "accepted", "result": result });
    let mut response = json(StatusCode::ACCEPTED, &body);
    if let Ok(location) = HeaderValue::from_str(&result) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    response
}

fn json(status: StatusCode, body: &serde_json::Value) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(format!("{body}\n")));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// A connection's place among those of its address.
struct Seat {
    gateway: Arc<Gateway>,
    peer: IpAddr,
}

impl Seat {
    fn take(gateway: &Arc<Gateway>, peer: IpAddr) -> Option<Seat> {
        let mut peers = locked(&gateway.peers);
        let seats = peers.entry(peer).or_default();
        if *seats >= gateway.limits.connections_per_peer_max {
            return None;
        }
        *seats += 1;
        Some(Seat { gateway: gateway.clone(), peer })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut peers = locked(&self.gateway.peers);
        if let Some(seats) = peers.get_mut(&self.peer) {
            *seats -= 1;
            if *seats == 0 {
                peers.remove(&self.peer);
            }
        }
    }
}
