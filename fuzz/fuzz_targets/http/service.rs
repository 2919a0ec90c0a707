//! The way of a request up to the platform, as the gateway goes it, with what must be so at each step.

use std::{
    cell::RefCell,
    convert::Infallible,
    pin::Pin,
    sync::{Arc, LazyLock, Mutex},
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use flyball_core::{EventId, Name, model::TenantFrom};
use flyball_store::memory::Memory;
use http::{HeaderMap, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioTimer},
    server::conn::auto,
};

use super::{GatewayError, GatewayLimits, head, request, request::Admitted, router::Router};
use crate::{
    platform::Platform,
    tenants::{Identity, Tenants},
    wire,
};

const BODY_BYTES_MAX: u64 = 4 << 10;
/// An answer's message quotes the request in part.
const MESSAGE_BYTES_MAX: usize = 2 << 10;

const APPLICATION: &str = r#"
    [application]
    name = "a"
    [tenant.acme]
    [tenant.other]
    [tenant.off]
    [function.f]
    component = "f.wasm"
    [[route]]
    path = "/key/{rest...}"
    function = "f"
    [[route]]
    path = "/t/{tenant}/x"
    methods = ["GET", "POST"]
    function = "f"
    tenant = "path"
    [[route]]
    path = "/host/{a}/b"
    function = "f"
    tenant = "host"
    [[route]]
    path = "/header"
    function = "f"
    tenant = { header = "x-tenant" }
"#;

struct World {
    platform: Platform,
    router: Router,
    limits: GatewayLimits,
    /// Each tenant's key, with what stands for it in an input.
    keys: [(&'static str, &'static str, String); 3],
}

static WORLD: LazyLock<World> = LazyLock::new(|| {
    let application =
        Arc::new(flyball_app::read("flyball.toml", APPLICATION).expect("a good file").application);
    let router = Router::new(&application.routes);
    let tenants = Tenants::open(application, Arc::new(Memory::new())).expect("a store in memory");
    let keys = ["acme", "other", "off"].map(|name| {
        let id = Name::new(name).expect("a name");
        tenants.add_key(&id, None).expect("a key").0
    });
    tenants.set_enabled(&Name::new("off").expect("a name"), false).expect("stored");
    let [acme, other, off] = keys;
    let keys = [("acme", "fb_ACME", acme), ("other", "fb_OTHER", other), ("off", "fb_OFF", off)];
    let limits = GatewayLimits { uri_bytes_max: 1 << 10, headers_max: 20 };
    World { platform: Platform { tenants }, router, limits, keys }
});

thread_local! {
    static RUNTIME: RefCell<tokio::runtime::Runtime> = RefCell::new(
        tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime")
    );
}

pub fn check(data: &[u8]) {
    let Some((piece, data)) = data.split_first() else { return };
    stored(data);
    // Keys are drawn at the start, so an input has what stands for them.
    let mut bytes = data.to_vec();
    for (_, stands, key) in &WORLD.keys {
        bytes = replaced(&bytes, stands.as_bytes(), key.as_bytes());
    }
    let written = Arc::new(Mutex::new(Vec::new()));
    let sent = Bytes::from(bytes);
    let wire = Wire { input: sent.clone(), piece: usize::from(*piece) * 16 + 1, written: written.clone() };
    let ended = RUNTIME.with_borrow_mut(|runtime| {
        runtime.block_on(async {
            let service = service_fn(|request| async { Ok::<_, Infallible>(answer(request).await) });
            let mut builder = auto::Builder::new(TokioExecutor::new());
            builder.http1().timer(TokioTimer::new()).max_buf_size(8_192).max_headers(20).half_close(true);
            builder.http2().timer(TokioTimer::new()).max_header_list_size(8_192).max_concurrent_streams(8);
            let connection = builder.serve_connection(wire, service);
            tokio::time::timeout(Duration::from_secs(5), connection).await
        })
    });
    assert!(ended.is_ok(), "a connection whose client has gone does not end");
    let written = written.lock().expect("one thread");
    for (_, _, key) in &WORLD.keys {
        // What a client shows in its own path or host may be quoted back to it.
        assert!(
            contains(&sent, key.as_bytes()) || !contains(&written, key.as_bytes()),
            "an answer tells a key"
        );
    }
}

async fn answer(request: Request<Incoming>) -> Response<Full<Bytes>> {
    let response = match way(request).await {
        Ok(response) => response,
        Err(error) => {
            let response = error.into_response(7);
            assert!(response.status().is_client_error() || response.status().is_server_error());
            let json: serde_json::Value = serde_json::from_slice(response.body()).expect("an error is JSON");
            let text = |field: &str| json["error"][field].as_str().expect("a text").to_string();
            assert!(text("code").starts_with("FE4") && text("code").len() == 6);
            let message = text("message");
            assert!(!message.is_empty() && message.len() <= MESSAGE_BYTES_MAX, "{} bytes", message.len());
            response
        }
    };
    response.map(Full::new)
}

async fn way(request: Request<Incoming>) -> Result<Response<Bytes>, GatewayError> {
    head::check(&request, &WORLD.limits)?;
    let hosts = request.headers().get_all(header::HOST).iter().count();
    assert!(hosts <= 1 && request.headers().len() <= WORLD.limits.headers_max);
    if let Some(id) = request.uri().path().strip_prefix("/_flyball/results/") {
        let tenant = request::by_key(&WORLD.platform, request.headers())?;
        assert!(shows(request.headers(), &tenant), "a result for whoever asks");
        let id = EventId::parse(id).ok_or_else(|| GatewayError::no_result(id))?;
        return Ok(Response::new(Bytes::from(id.to_string())));
    }
    let Admitted { route, tenant, key } = request::admit(&WORLD.platform, &WORLD.router, &request)?;
    assert!(tenant.enabled && tenant.name.as_str() != "off");
    let named = named(&request, &tenant);
    match &route.tenant {
        TenantFrom::Key => assert!(shows(request.headers(), &tenant), "no key of {tenant:?} was shown"),
        _ => assert!(named || shows(request.headers(), &tenant), "{tenant:?} was not named"),
    }
    for (name, _, _) in &WORLD.keys {
        let other = WORLD.platform.tenant_by_name(name).expect("it is there");
        assert!(other == tenant || !shows(request.headers(), &other), "a key of {name} was overlooked");
    }
    assert!(key.is_none_or(|key| request.headers()["idempotency-key"] == key));
    let room = request::Room::new(64 << 10);
    let read = request::read(request, BODY_BYTES_MAX, Duration::from_secs(2), &room).await?;
    assert!(read.0.body().len() as u64 <= BODY_BYTES_MAX);
    let seen = request::for_function(read.0, &tenant, &http::HeaderValue::from_static("10.1.2.3"));
    seen_by_function(&seen, &tenant);
    let attributes = wire::attributes(&seen);
    assert!(attributes.too_long().is_none());
    let stored =
        wire::request(&attributes, &wire::encode_request(&seen)).expect("a request").expect("it reads");
    assert_eq!((stored.method(), stored.uri()), (seen.method(), seen.uri()));
    assert_eq!((stored.headers(), stored.body()), (seen.headers(), seen.body()));
    let mut response = Response::new(seen.body().clone());
    *response.headers_mut() = seen.headers().clone();
    request::strip_hop_by_hop(response.headers_mut());
    for name in ["connection", "transfer-encoding", "upgrade", "keep-alive", "te"] {
        assert!(!response.headers().contains_key(name));
    }
    response.headers_mut().remove(header::CONTENT_LENGTH);
    let back = wire::response(&wire::encode_response(&response));
    assert_eq!(
        (back.status(), back.headers(), back.body()),
        (response.status(), response.headers(), response.body())
    );
    *response.headers_mut() = HeaderMap::new();
    Ok(response)
}

/// Who asks is ours to say, and our keys stay with us.
fn seen_by_function(seen: &Request<Bytes>, tenant: &Identity) {
    let headers = seen.headers();
    assert!(!headers.contains_key(header::TRANSFER_ENCODING) && !headers.contains_key(header::CONNECTION));
    for name in headers.keys() {
        let name = name.as_str().replace('_', "-");
        assert!(!name.starts_with("x-flyball-") || name == "x-flyball-tenant", "{name}");
        assert!(name != "forwarded" && name != "x-real-ip", "{name}");
    }
    assert_eq!(headers.get_all("x-flyball-tenant").iter().collect::<Vec<_>>(), [tenant.name.as_str()]);
    assert_eq!(headers.get_all("x-forwarded-for").iter().collect::<Vec<_>>(), ["10.1.2.3"]);
    assert!(headers.get_all("x-forwarded-host").iter().count() <= 1);
    for name in ["x-api-key", "authorization"] {
        assert!(headers.get_all(name).iter().all(|value| !contains(value.as_bytes(), b"fb_")));
    }
    assert!(seen.uri().authority().is_none() && seen.uri().scheme().is_none());
}

/// Whether a key of the tenant is shown where keys are.
fn shows(headers: &HeaderMap, tenant: &Identity) -> bool {
    let (_, _, key) =
        WORLD.keys.iter().find(|(name, ..)| *name == tenant.name.as_str()).expect("one of ours");
    let plain = headers.get_all("x-api-key").iter().any(|value| value.as_bytes() == key.as_bytes());
    plain
        || headers.get_all(header::AUTHORIZATION).iter().any(|value| {
            let text = String::from_utf8_lossy(value.as_bytes()).into_owned();
            text.to_ascii_lowercase().starts_with("bearer ") && text[7..].trim() == key
        })
}

/// Whether the tenant is named somewhere at all.
fn named<B>(request: &Request<B>, tenant: &Identity) -> bool {
    let name = tenant.name.as_str();
    let host = request.uri().host().map(str::to_string);
    let hosts =
        request.headers().get_all(header::HOST).iter().map(|v| String::from_utf8_lossy(v.as_bytes()).into());
    hosts.chain(host).any(|host| host.starts_with(&format!("{name}.")))
        || request.headers().get("x-tenant").is_some_and(|value| value == name)
        || decoded(request.uri().path()).split('/').any(|part| part == name)
}

fn decoded(path: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = path.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let digits = after.get(..2).and_then(|d| std::str::from_utf8(d).ok());
        match digits.filter(|_| *first == b'%').and_then(|d| u8::from_str_radix(d, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Arbitrary bytes as what is stored: a response comes of any, a request of those that are one.
fn stored(data: &[u8]) {
    let response = wire::response(data);
    let again = wire::response(&wire::encode_response(&response));
    assert_eq!(
        (again.status(), again.headers(), again.body()),
        (response.status(), response.headers(), response.body())
    );
    assert!(response.body().len() <= data.len() && response.status() >= StatusCode::CONTINUE);
    let attributes = wire::attributes(&Request::new(Bytes::new()));
    if let Some(Ok(request)) = wire::request(&attributes, data) {
        assert!(request.body().len() <= data.len());
        let again =
            wire::request(&attributes, &wire::encode_request(&request)).expect("one").expect("it reads");
        assert_eq!((again.method(), again.uri()), (request.method(), request.uri()));
        assert_eq!((again.headers(), again.body()), (request.headers(), request.body()));
    }
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

fn replaced(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((first, after)) = rest.split_first() {
        if let Some(after) = rest.strip_prefix(from) {
            out.extend_from_slice(to);
            rest = after;
        } else {
            out.push(*first);
            rest = after;
        }
    }
    out
}

/// A client that sends all of its bytes, in pieces, and then no more.
struct Wire {
    input: Bytes,
    piece: usize,
    written: Arc<Mutex<Vec<u8>>>,
}

impl hyper::rt::Read for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        mut buffer: hyper::rt::ReadBufCursor<'_>,
    ) -> Poll<std::io::Result<()>> {
        let length = self.piece.min(self.input.len()).min(buffer.remaining());
        let piece = self.input.split_to(length);
        buffer.put_slice(&piece);
        Poll::Ready(Ok(()))
    }
}

impl hyper::rt::Write for Wire {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<std::io::Result<usize>> {
        self.written.lock().expect("one thread").extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
