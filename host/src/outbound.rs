//! `wasi:http/outgoing-handler`: requests to the outside, where the function's grants allow them.

use std::{
    future::Future,
    sync::Arc,
    time::{Duration, Instant},
};

use flyball_core::{
    EventId, Span,
    invocation::{CallError, GuestCall, LogLevel, Reply},
};
use http::{HeaderName, HeaderValue, Request, Response, StatusCode, Uri, uri::Scheme};
use http_body_util::{BodyExt, Full, Limited};
use wasmtime_wasi_http::{Error, RequestOptions, Result, WasiBody, WasiHttpHooks, default_send_request};

use crate::{
    control::Control,
    deterministic::{Answer, Inside, Outgoing},
};

/// How long a connection may take, whatever the guest asks for.
const CONNECT_TIMEOUT_MAX: Duration = Duration::from_secs(10);
/// The header that lets the receiver recognise a request that is sent again.
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// Decides and sends one invocation's requests. Redirects are the guest's to follow: each is a request
/// of its own, under the same grants.
pub(crate) struct Outbound {
    control: Arc<Control>,
}

type Worker = Box<dyn Future<Output = Result<()>> + Send>;
type Sending = Box<dyn Future<Output = Result<(Response<WasiBody>, Worker)>> + Send>;

impl Outbound {
    pub(crate) fn new(control: Arc<Control>) -> Outbound {
        Outbound { control }
    }

    /// The idempotency key under which the request may be sent, or the refusal, which is logged too.
    fn permit(&self, request: &Request<WasiBody>) -> Result<EventId> {
        let Some((host, port)) = host_and_port(request.uri()) else {
            return Err(Error::HttpRequestUriInvalid);
        };
        // By header a function names the call itself, so that its key holds when the URL changes.
        let name = match request.headers().get(IDEMPOTENCY_KEY) {
            Some(given) => String::from_utf8_lossy(given.as_bytes()).into_owned(),
            None => format!("{} {}", request.method(), request.uri()),
        };
        let refused = match self.control.call_now(GuestCall::Http { host, port, name }) {
            Reply::Allowed(key) => return Ok(key),
            Reply::Refused(refused) => refused,
            _ => CallError::Unavailable("the answer does not fit the call".into()),
        };
        self.control.log(LogLevel::Error, format!("request to {} refused: {refused}", request.uri()));
        Err(match refused {
            CallError::Denied(_) => Error::HttpRequestDenied,
            CallError::Limit(_) => Error::ConnectionLimitReached,
            CallError::Invalid(text) | CallError::Unavailable(text) => Error::InternalError(Some(text)),
        })
    }
}

impl WasiHttpHooks for Outbound {
    fn send_request(
        &mut self,
        mut request: Request<WasiBody>,
        options: Option<RequestOptions>,
        _processed: Worker,
    ) -> Sending {
        let key = match self.permit(&request) {
            Ok(key) => key,
            Err(refused) => return Box::new(async move { Err(refused) }),
        };
        // A key that the function chose itself goes out as it is.
        if !request.headers().contains_key(IDEMPOTENCY_KEY)
            && let Ok(value) = HeaderValue::from_str(&key.to_string())
        {
            request.headers_mut().insert(IDEMPOTENCY_KEY, value);
        }
        if let Some(inside) = self.control.inside() {
            let key = match request.headers().get(IDEMPOTENCY_KEY) {
                Some(given) => String::from_utf8_lossy(given.as_bytes()).into_owned(),
                None => key.to_string(),
            };
            let event = self.control.with(|invocation| invocation.event().map(|envelope| envelope.id));
            let sent = (key, event.flatten());
            return Box::new(simulated(inside.clone(), request, options.unwrap_or_default(), sent));
        }
        let deadline = self.control.deadline;
        Box::new(async move {
            let left = deadline.saturating_duration_since(Instant::now());
            let mut options = options.unwrap_or_default();
            let connect = options.connect_timeout.unwrap_or(CONNECT_TIMEOUT_MAX);
            options.connect_timeout = Some(connect.min(CONNECT_TIMEOUT_MAX).min(left));
            // The connection's own timeouts leave out the TLS handshake; this one is around everything.
            let sent = tokio::time::timeout(left, default_send_request(request, Some(options))).await;
            let (response, worker) = sent.map_err(|_| Error::HttpResponseTimeout)??;
            Ok((response.map(BodyExt::boxed_unsync), Box::new(worker) as Worker))
        })
    }
}

/// The longest body of a request that leaves no process, bytes.
const SIMULATED_BYTES_MAX: usize = 64 << 20;

/// A request of a deterministic run: whoever drives the run answers it.
async fn simulated(
    inside: Arc<Inside>,
    request: Request<WasiBody>,
    options: RequestOptions,
    (key, event): (String, Option<EventId>),
) -> Result<(Response<WasiBody>, Worker)> {
    let (parts, body) = request.into_parts();
    let (host, port) = host_and_port(&parts.uri).ok_or(Error::HttpRequestUriInvalid)?;
    // Sent when it is whole: a receiver answers what it has read.
    let body = Limited::new(body, SIMULATED_BYTES_MAX).collect().await;
    let body = body.map_err(|_| Error::HttpRequestBodySize(None))?.to_bytes();
    let least = [options.connect_timeout, options.first_byte_timeout].into_iter().flatten().min();
    let micros = |span: Duration| Span(u64::try_from(span.as_micros()).unwrap_or(u64::MAX));
    let outgoing = Outgoing {
        host,
        port,
        method: parts.method.to_string(),
        uri: parts.uri.to_string(),
        key,
        event,
        body,
        patience: least.map(micros),
    };
    let (status, body) = match inside.send(outgoing).await {
        Answer::Response { status, body } => (status, body),
        Answer::Refused => return Err(Error::ConnectionRefused),
        Answer::Late => return Err(Error::HttpResponseTimeout),
    };
    let mut response = Response::new(Full::new(body).map_err(Error::from).boxed_unsync());
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    Ok((response, Box::new(async { Ok(()) }) as Worker))
}

/// The host without brackets or port, and the port, by the scheme where none is given.
fn host_and_port(uri: &Uri) -> Option<(String, u16)> {
    // `user@host` is refused: what is granted must be what is connected to, however it is parsed.
    let authority = uri.authority().filter(|authority| !authority.as_str().contains('@'))?;
    let host = authority.host();
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let scheme_port = if uri.scheme() == Some(&Scheme::HTTP) { 80 } else { 443 };
    let port = match authority.port() {
        Some(port) => port.as_str().parse().ok()?,
        None => scheme_port,
    };
    (!host.is_empty()).then(|| (host.to_owned(), port))
}

#[cfg(test)]
mod tests {
    use super::host_and_port;

    #[test]
    fn the_port_is_the_schemes_unless_given() {
        let of = |uri: &str| host_and_port(&uri.parse().unwrap());
        assert_eq!(of("http://a.example/x"), Some(("a.example".into(), 80)));
        assert_eq!(of("https://a.example/x"), Some(("a.example".into(), 443)));
        assert_eq!(of("https://a.example:8443"), Some(("a.example".into(), 8443)));
        assert_eq!(of("http://[::1]:81/"), Some(("::1".into(), 81)));
        assert_eq!(of("/x"), None);
    }

    #[test]
    fn a_user_in_the_authority_does_not_pass_for_the_host() {
        let uri = "http://granted.example:80@other.example/x".parse().unwrap();
        assert_eq!(host_and_port(&uri), None);
    }
}
