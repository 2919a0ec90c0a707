//! Every way to say no. The body is `{"error": {"code", "message", "limit", "value", "request_id"}}`.

use bytes::Bytes;
use flyball_core::{Failure, FailureKind, Refusal};
use http::{HeaderName, HeaderValue, Method, Response, StatusCode, header};
use serde_json::{Value, json};
use tokio::{io::AsyncWriteExt, net::TcpStream};

/// What of a client's text is quoted, bytes.
const SHOWN_BYTES_MAX: usize = 200;

/// What the gateway refuses by itself; `docs/errors/` has a page for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GatewayCode {
    /// No route has this path.
    NoRoute,
    /// The route has other methods.
    Method,
    /// A key is needed and none was shown.
    NoKey,
    /// The key is nobody's, expired or revoked.
    WrongKey,
    /// The tenant named by path, header or host does not exist or is disabled.
    NoTenant,
    /// The key is another tenant's than the one named.
    OtherTenant,
    /// The body is too large.
    BodyTooLarge,
    /// The body did not come in time.
    BodyTooSlow,
    /// The body broke off.
    BodyBroken,
    /// Path and query are too long.
    UriTooLong,
    /// A header has no valid value.
    BadHeader,
    /// Too many connections from one address.
    Connections,
    /// There is no result of that id for this tenant, or it is forgotten.
    NoResult,
    /// No memory is left for another body.
    Busy,
    /// There are too many headers.
    TooManyHeaders,
}

impl GatewayCode {
    /// All of them.
    pub const ALL: [GatewayCode; 15] = [
        GatewayCode::NoRoute,
        GatewayCode::Method,
        GatewayCode::NoKey,
        GatewayCode::WrongKey,
        GatewayCode::NoTenant,
        GatewayCode::OtherTenant,
        GatewayCode::BodyTooLarge,
        GatewayCode::BodyTooSlow,
        GatewayCode::BodyBroken,
        GatewayCode::UriTooLong,
        GatewayCode::BadHeader,
        GatewayCode::Connections,
        GatewayCode::NoResult,
        GatewayCode::Busy,
        GatewayCode::TooManyHeaders,
    ];

    /// The stable code.
    pub const fn code(self) -> &'static str {
        self.row().0
    }

    /// The HTTP status.
    pub const fn status(self) -> StatusCode {
        self.row().1
    }

    const fn row(self) -> (&'static str, StatusCode) {
        match self {
            GatewayCode::NoRoute => ("FE4001", StatusCode::NOT_FOUND),
            GatewayCode::Method => ("FE4002", StatusCode::METHOD_NOT_ALLOWED),
            GatewayCode::NoKey => ("FE4003", StatusCode::UNAUTHORIZED),
            GatewayCode::WrongKey => ("FE4004", StatusCode::UNAUTHORIZED),
            GatewayCode::NoTenant => ("FE4005", StatusCode::FORBIDDEN),
            GatewayCode::OtherTenant => ("FE4006", StatusCode::FORBIDDEN),
            GatewayCode::BodyTooLarge => ("FE4007", StatusCode::PAYLOAD_TOO_LARGE),
            GatewayCode::BodyTooSlow => ("FE4008", StatusCode::REQUEST_TIMEOUT),
            GatewayCode::BodyBroken => ("FE4009", StatusCode::BAD_REQUEST),
            GatewayCode::UriTooLong => ("FE4010", StatusCode::URI_TOO_LONG),
            GatewayCode::BadHeader => ("FE4011", StatusCode::BAD_REQUEST),
            GatewayCode::Connections => ("FE4012", StatusCode::SERVICE_UNAVAILABLE),
            GatewayCode::NoResult => ("FE4013", StatusCode::NOT_FOUND),
            GatewayCode::Busy => ("FE4014", StatusCode::SERVICE_UNAVAILABLE),
            GatewayCode::TooManyHeaders => ("FE4015", StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE),
        }
    }
}

/// A refusal on its way out. Boxed, because most requests are not refused.
#[derive(Debug)]
pub struct GatewayError(Box<Parts>);

#[derive(Debug)]
struct Parts {
    status: StatusCode,
    code: &'static str,
    message: String,
    limit: Option<Value>,
    value: Option<Value>,
    headers: Vec<(HeaderName, String)>,
}

impl GatewayError {
    fn own(code: GatewayCode, message: String) -> GatewayError {
        let (status, code) = (code.status(), code.code());
        GatewayError(Box::new(Parts { status, code, message, limit: None, value: None, headers: Vec::new() }))
    }

    fn limited(mut self, limit: impl Into<Value>, value: impl Into<Value>) -> GatewayError {
        self.0.limit = Some(limit.into());
        self.0.value = Some(value.into());
        self
    }

    fn with(mut self, name: HeaderName, value: String) -> GatewayError {
        self.0.headers.push((name, value));
        self
    }

    pub(super) fn no_route(path: &str) -> GatewayError {
        GatewayError::own(GatewayCode::NoRoute, format!("no route leads to {}", shown(path)))
    }

    pub(super) fn method(method: &Method, others: &[String]) -> GatewayError {
        let allow = others.join(", ");
        let method = shown(method.as_str());
        GatewayError::own(GatewayCode::Method, format!("{method} is not among the methods here: {allow}"))
            .with(header::ALLOW, allow)
    }

    pub(super) fn no_key() -> GatewayError {
        let message = "an API key is needed: `Authorization: Bearer fb_…` or `X-Api-Key: fb_…`";
        GatewayError::own(GatewayCode::NoKey, message.into()).with(header::WWW_AUTHENTICATE, "Bearer".into())
    }

    pub(super) fn wrong_key() -> GatewayError {
        let message = "the API key is unknown, expired or revoked; `flyball tenants rotate` makes a new one";
        GatewayError::own(GatewayCode::WrongKey, message.into())
            .with(header::WWW_AUTHENTICATE, "Bearer error=\"invalid_token\"".into())
    }

    pub(super) fn no_tenant(name: Option<&str>) -> GatewayError {
        let message = match name {
            Some(name) => format!("there is no tenant {:?}, or it is disabled", shown(name)),
            None => "the request names no tenant where its route looks for one".into(),
        };
        GatewayError::own(GatewayCode::NoTenant, message)
    }

    pub(super) fn other_tenant(named: &str) -> GatewayError {
        let named = shown(named);
        let message = format!("the API key is not one of tenant {named:?}, which the request names");
        GatewayError::own(GatewayCode::OtherTenant, message)
    }

    /// `bytes`: as announced, or what had come when it was too much.
    pub(super) fn body_too_large(max: u64, bytes: u64) -> GatewayError {
        let message = format!("the body has {bytes} bytes or more; request_bytes_max is {max}");
        GatewayError::own(GatewayCode::BodyTooLarge, message)
            .limited(max, bytes)
            // What is still coming is not read.
            .with(header::CONNECTION, "close".into())
    }

    pub(super) fn body_too_slow(seconds: u64) -> GatewayError {
        let message = format!("the body did not come within {seconds} s");
        GatewayError::own(GatewayCode::BodyTooSlow, message).with(header::CONNECTION, "close".into())
    }

    pub(super) fn busy(max: usize) -> GatewayError {
        let message = format!(
            "the bodies of other requests, or answers that nobody takes, fill their memory: \
             bodies_bytes_max is {max}"
        );
        let mut error = GatewayError::own(GatewayCode::Busy, message)
            .with(header::RETRY_AFTER, "1".into())
            .with(header::CONNECTION, "close".into());
        error.0.limit = Some(max.into());
        error
    }

    /// Says whether it is the recorded answer of an earlier request under the same key.
    pub(super) fn replayed(self, replayed: bool) -> GatewayError {
        if replayed { self.with(super::REPLAYED, "true".into()) } else { self }
    }

    pub(super) fn body_broken(why: &str) -> GatewayError {
        GatewayError::own(GatewayCode::BodyBroken, format!("the body broke off: {why}"))
    }

    pub(super) fn uri_too_long(max: usize, bytes: usize) -> GatewayError {
        let message = format!("path and query have {bytes} bytes; uri_bytes_max is {max}");
        GatewayError::own(GatewayCode::UriTooLong, message).limited(max, bytes)
    }

    pub(super) fn too_many_headers(max: usize, headers: usize) -> GatewayError {
        let message = format!("there are {headers} headers; headers_max is {max}");
        GatewayError::own(GatewayCode::TooManyHeaders, message).limited(max, headers)
    }

    pub(super) fn tunnel() -> GatewayError {
        let message = "CONNECT asks for a tunnel, and this is no proxy: send the request itself";
        GatewayError::own(GatewayCode::Method, message.into()).with(header::ALLOW, String::new())
    }

    pub(super) fn bad_header(name: &str, why: &str) -> GatewayError {
        GatewayError::own(GatewayCode::BadHeader, format!("the header {name}: {why}"))
            // Whoever reads the head otherwise may see other requests in what follows.
            .with(header::CONNECTION, "close".into())
    }

    pub(super) fn no_result(id: &str) -> GatewayError {
        let id = shown(id);
        let message = format!("there is no result {id:?} for this tenant, or it is forgotten");
        GatewayError::own(GatewayCode::NoResult, message)
    }

    /// The platform has refused.
    pub(super) fn refused(refusal: &Refusal) -> GatewayError {
        let status = StatusCode::from_u16(refusal.http_status()).unwrap_or(StatusCode::SERVICE_UNAVAILABLE);
        let mut error = GatewayError(Box::new(Parts {
            status,
            code: refusal.code(),
            message: refusal.to_string(),
            limit: None,
            value: None,
            headers: Vec::new(),
        }));
        error.0.limit = match refusal {
            Refusal::Throttled { limit, .. } | Refusal::Waiting { limit, .. } => {
                Some(limit.to_string().into())
            }
            Refusal::TooLarge { max, .. } | Refusal::Remembered { max } => Some((*max).into()),
            _ => None,
        };
        error.0.value = match refusal {
            Refusal::TooLarge { bytes, .. } => Some((*bytes).into()),
            Refusal::Waiting { max, .. } => Some((*max).into()),
            _ => None,
        };
        match refusal.retry_after() {
            Some(after) => error.with(header::RETRY_AFTER, after.as_secs_ceil().to_string()),
            None => error,
        }
    }

    /// The function has failed. What it said of itself is for its owner, so it is in the message.
    pub(super) fn failed(failure: &Failure) -> GatewayError {
        let status = match failure.kind {
            FailureKind::Timeout | FailureKind::Lost => StatusCode::GATEWAY_TIMEOUT,
            FailureKind::NotStarted | FailureKind::NotRun | FailureKind::Conflict => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            _ => StatusCode::BAD_GATEWAY,
        };
        GatewayError(Box::new(Parts {
            status,
            code: failure.kind.code(),
            message: failure.message.clone(),
            limit: None,
            value: None,
            headers: Vec::new(),
        }))
    }

    pub(super) fn into_response(self, request: u64) -> Response<Bytes> {
        let Parts { status, code, message, limit, value, headers } = *self.0;
        let mut error = json!({ "code": code, "message": message, "request_id": format!("{request:016x}") });
        if let Value::Object(fields) = &mut error {
            fields.extend(limit.map(|limit| ("limit".to_string(), limit)));
            fields.extend(value.map(|value| ("value".to_string(), value)));
        }
        let mut response = super::json(status, &json!({ "error": error }));
        for (name, value) in headers {
            if let Ok(value) = HeaderValue::from_str(&value) {
                response.headers_mut().insert(name, value);
            }
        }
        response
    }
}

/// The start of what a client sent, for a message: an answer does not grow with what was asked.
fn shown(text: &str) -> std::borrow::Cow<'_, str> {
    match text.get(..text.floor_char_boundary(SHOWN_BYTES_MAX)) {
        Some(start) if start.len() < text.len() => format!("{start}…").into(),
        _ => text.into(),
    }
}

/// Answers a connection that is one too many, and closes it.
pub(super) async fn connection(mut stream: TcpStream, max: usize) {
    let message = format!("{max} connections from one address at most; close some");
    let body =
        json!({ "error": { "code": GatewayCode::Connections.code(), "message": message, "limit": max } });
    let body = format!("{body}\n");
    let answer = format!(
        "HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\nconnection: close\r\n\
         retry-after: 1\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let write = async {
        stream.write_all(answer.as_bytes()).await?;
        stream.shutdown().await
    };
    // Whoever does not even read this gets nothing.
    drop(tokio::time::timeout(std::time::Duration::from_secs(1), write).await);
}
