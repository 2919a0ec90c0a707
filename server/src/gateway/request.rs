//! A request on its way in: whose it is, its body within limits, its headers as the function may see them.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use flyball_core::model::{Route, TenantFrom};
use http::{HeaderMap, HeaderName, HeaderValue, Request, header, uri};
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{
    GatewayError,
    router::{Found, Parameters, Router},
};
use crate::{platform::Platform, tenants::Identity};

/// A request that may go to the platform.
#[derive(Debug)]
pub(super) struct Arrived {
    pub(super) tenant: Identity,
    pub(super) request: Request<Bytes>,
    pub(super) key: Option<String>,
}

/// What the head of a request says: whose it is and where it goes.
#[derive(Debug)]
pub(super) struct Admitted<'a> {
    pub(super) route: &'a Route,
    pub(super) tenant: Identity,
    pub(super) key: Option<String>,
}

/// Reads the head; nothing of the body is read for a request that is refused here.
pub(super) fn admit<'a, B>(
    platform: &Platform,
    router: &'a Router,
    request: &Request<B>,
) -> Result<Admitted<'a>, GatewayError> {
    let (route, parameters) = match router.find(request.method(), request.uri().path()) {
        Found::Route(route, parameters) => (route, parameters),
        Found::OtherMethods(methods) => return Err(GatewayError::method(request.method(), &methods)),
        Found::Nothing => return Err(GatewayError::no_route(request.uri().path())),
    };
    let tenant = tenant(platform, &route.tenant, &parameters, request)?;
    let key = idempotency_key(request.headers())?;
    Ok(Admitted { route, tenant, key })
}

const API_KEY: HeaderName = HeaderName::from_static("x-api-key");
/// How our keys begin.
const OURS: &[u8] = b"fb_";
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// What a function is told: whose request it is, and where it came from.
const TENANT: HeaderName = HeaderName::from_static("x-flyball-tenant");
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

/// Headers of one connection, not of the message: RFC 9110, 7.6.1.
const HOP_BY_HOP: [HeaderName; 8] = [
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// Whose request it is, by the route's rule. A key that is shown must be valid, and of the tenant that
/// the request names, whatever the rule.
fn tenant<B>(
    platform: &Platform,
    from: &TenantFrom,
    parameters: &Parameters,
    request: &Request<B>,
) -> Result<Identity, GatewayError> {
    let parameter = parameters.iter().find(|(name, _)| name == "tenant").map(|(_, value)| value.as_str());
    let named = match from {
        TenantFrom::Key | TenantFrom::Path => parameter,
        TenantFrom::Header(name) => {
            let mut values = request.headers().get_all(name.as_str()).iter();
            let value = values.next();
            if values.next().is_some() {
                // A proxy and we might each believe another one.
                return Err(GatewayError::bad_header(name, "it stands twice; send one"));
            }
            value.and_then(|value| value.to_str().ok())
        }
        TenantFrom::Host => host_label(request),
    };
    let keyed = match api_key(request.headers())? {
        // Without a rule for keys, another scheme's `Authorization` is the function's own business.
        None if *from == TenantFrom::Key => return Err(GatewayError::no_key()),
        None => None,
        Some(key) => Some(platform.tenant_by_key(key).ok_or_else(GatewayError::wrong_key)?),
    };
    if let (Some(keyed), Some(named)) = (&keyed, named)
        && keyed.name.as_str() != named
    {
        return Err(GatewayError::other_tenant(named));
    }
    let identity = match (keyed, named) {
        (Some(keyed), _) => Some(keyed),
        (None, Some(named)) => platform.tenant_by_name(named),
        (None, None) => None,
    };
    identity.filter(|identity| identity.enabled).ok_or_else(|| GatewayError::no_tenant(named))
}

/// Whose key is shown.
pub(super) fn by_key(platform: &Platform, headers: &HeaderMap) -> Result<Identity, GatewayError> {
    let key = api_key(headers)?.ok_or_else(GatewayError::no_key)?;
    let identity = platform.tenant_by_key(key).ok_or_else(GatewayError::wrong_key)?;
    if identity.enabled { Ok(identity) } else { Err(GatewayError::no_tenant(Some(&identity.name))) }
}

/// A key of ours: `X-Api-Key` or a bearer token that looks like one. Others are the function's business.
fn api_key(headers: &HeaderMap) -> Result<Option<&str>, GatewayError> {
    let tokens = headers.get_all(header::AUTHORIZATION).iter().filter_map(|value| bearer(value.as_bytes()));
    let plain = headers.get_all(API_KEY).iter().map(HeaderValue::as_bytes);
    let mut keys = plain.chain(tokens).filter(|key| key.starts_with(OURS));
    let Some(key) = keys.next() else { return Ok(None) };
    if keys.any(|other| other != key) {
        // Whichever we took, somebody else might take the other.
        return Err(GatewayError::bad_header("X-Api-Key or Authorization", "two keys are shown; send one"));
    }
    std::str::from_utf8(key).map(Some).map_err(|_| GatewayError::wrong_key())
}

/// The token of `Bearer TOKEN`.
fn bearer(value: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = value.split_at_checked(b"bearer ".len())?;
    scheme.eq_ignore_ascii_case(b"bearer ").then(|| token.trim_ascii())
}

fn host_label<B>(request: &Request<B>) -> Option<&str> {
    let host = request.uri().host().or_else(|| request.headers().get(header::HOST)?.to_str().ok())?;
    host.split_once('.').map(|(label, _)| label)
}

/// The idempotency key, if the request has one. Its length and characters are the platform's to check.
fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, GatewayError> {
    let mut values = headers.get_all(IDEMPOTENCY_KEY).iter();
    let Some(first) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(GatewayError::bad_header("Idempotency-Key", "it stands twice; send one"));
    }
    let text = first.to_str().map_err(|_| {
        GatewayError::bad_header("Idempotency-Key", "it holds something else than visible ASCII")
    })?;
    Ok(Some(text.to_string()))
}

/// Room in memory for bodies, over all connections: of requests, and as much of answers.
#[derive(Debug)]
pub(super) struct Room {
    places: Arc<Semaphore>,
    /// Bytes of answers that clients have yet to take.
    answers: AtomicUsize,
    bytes_max: usize,
}

/// Bytes of a place: fine enough, and few enough for the semaphore.
const PLACE_BYTES: usize = 4 << 10;

impl Room {
    pub(super) fn new(bytes_max: usize) -> Arc<Room> {
        let places = (bytes_max / PLACE_BYTES).min(Semaphore::MAX_PERMITS);
        Arc::new(Room { places: Arc::new(Semaphore::new(places)), answers: AtomicUsize::new(0), bytes_max })
    }

    /// Refuses a request while the answers of others fill the room: before it runs, since what has run is
    /// answered. So there is more than may be by the answers of what runs at once.
    pub(super) fn check_answers(&self) -> Result<(), GatewayError> {
        let full = self.answers.load(Ordering::Relaxed) >= self.bytes_max;
        if full { Err(GatewayError::busy(self.bytes_max)) } else { Ok(()) }
    }

    /// An answer is there to be taken.
    pub(super) fn answer(&self, bytes: usize) {
        self.answers.fetch_add(bytes, Ordering::Relaxed);
    }

    /// It was taken, or never will be.
    pub(super) fn answer_gone(&self, bytes: usize) {
        self.answers.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Makes what is taken enough for so many bytes.
    fn grow(&self, taken: &mut Option<OwnedSemaphorePermit>, bytes: usize) -> Result<(), GatewayError> {
        let have = taken.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        let want = bytes.div_ceil(PLACE_BYTES).saturating_sub(have);
        if want == 0 {
            return Ok(());
        }
        let more =
            u32::try_from(want).ok().and_then(|want| self.places.clone().try_acquire_many_owned(want).ok());
        let more = more.ok_or_else(|| GatewayError::busy(self.bytes_max))?;
        match taken {
            Some(taken) => taken.merge(more),
            None => *taken = Some(more),
        }
        Ok(())
    }
}

/// Reads the body: refused by its announced length, or as soon as more has come than may. What it takes
/// of the room is given back with the permit.
pub(super) async fn read(
    request: Request<Incoming>,
    max: u64,
    timeout: Duration,
    room: &Room,
) -> Result<(Request<Bytes>, Option<OwnedSemaphorePermit>), GatewayError> {
    let (head, mut body) = request.into_parts();
    let announced = body.size_hint().lower();
    if announced > max {
        return Err(GatewayError::body_too_large(max, announced));
    }
    let mut taken = None;
    if body.is_end_stream() {
        return Ok((Request::from_parts(head, Bytes::new()), None));
    }
    let gather = async {
        let mut bytes = BytesMut::with_capacity(usize::try_from(announced).unwrap_or(0).min(64 << 10));
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| GatewayError::body_broken(&error.to_string()))?;
            // Trailers are of no use to a function that gets the body whole.
            let Ok(data) = frame.into_data() else { continue };
            let length = (bytes.len() + data.len()) as u64;
            if length > max {
                return Err(GatewayError::body_too_large(max, length));
            }
            room.grow(&mut taken, bytes.len() + data.len())?;
            bytes.extend_from_slice(&data);
        }
        Ok(bytes.freeze())
    };
    let late = |_| GatewayError::body_too_slow(timeout.as_secs());
    let bytes = tokio::time::timeout(timeout, gather).await.map_err(late)??;
    Ok((Request::from_parts(head, bytes), taken))
}

/// The request as the function sees it: without what belongs to the connection or to us, and with who
/// asks and from where.
pub(super) fn for_function(
    mut request: Request<Bytes>,
    tenant: &Identity,
    peer: &HeaderValue,
) -> Request<Bytes> {
    let host = request.headers().get(header::HOST).cloned();
    let headers = request.headers_mut();
    strip_hop_by_hop(headers);
    let ours = |value: &HeaderValue| value.as_bytes().windows(OURS.len()).any(|part| part == OURS);
    for name in [API_KEY, header::AUTHORIZATION] {
        if headers.get_all(&name).iter().any(ours) {
            headers.remove(name);
        }
    }
    while let Some(name) = headers.keys().find(|name| is_spoken_for(name.as_str())).cloned() {
        headers.remove(name);
    }
    if let Ok(name) = HeaderValue::from_str(&tenant.name) {
        headers.insert(TENANT, name);
    }
    // What the client says of itself is worth nothing, so it is replaced, not added to.
    headers.insert(FORWARDED_FOR, peer.clone());
    headers.insert(FORWARDED_PROTO, HeaderValue::from_static("http"));
    if let Some(host) = host {
        headers.insert(FORWARDED_HOST, host);
    }
    // The head's form differs between HTTP/1.1 and HTTP/2; the function sees one.
    let mut parts = uri::Parts::default();
    parts.path_and_query = request.uri().path_and_query().cloned();
    let authority = request.uri().authority().and_then(|a| HeaderValue::from_str(a.as_str()).ok());
    if let Some(host) = authority {
        request.headers_mut().entry(header::HOST).or_insert(host);
    }
    if let Ok(uri) = uri::Uri::from_parts(parts) {
        *request.uri_mut() = uri;
    }
    request
}

/// Whether only we may say it to a function: who asks, and from where. Some read `_` as `-`.
fn is_spoken_for(name: &str) -> bool {
    let same = |(byte, wanted): (u8, u8)| byte == wanted || (byte == b'_' && wanted == b'-');
    let starts = |prefix: &str| name.len() >= prefix.len() && name.bytes().zip(prefix.bytes()).all(same);
    starts("x-flyball-")
        || starts("x-forwarded-")
        || name == "forwarded"
        || (starts("x-real-ip") && name.len() == "x-real-ip".len())
}

/// Removes what belongs to a connection, and what `Connection` names.
pub(super) fn strip_hop_by_hop(headers: &mut HeaderMap) {
    if headers.contains_key(header::CONNECTION) {
        let named: Vec<String> = headers
            .get_all(header::CONNECTION)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(',').map(|name| name.trim().to_ascii_lowercase()))
            .collect();
        for name in named {
            headers.remove(name.as_str());
        }
    }
    // Most messages have none, and looking at each name once costs less than looking each up.
    while let Some(name) = headers.keys().find(|name| HOP_BY_HOP.contains(name)).cloned() {
        headers.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_sees_neither_keys_nor_the_connections_headers() {
        let request = Request::builder()
            .uri("http://acme.example.com/a?b")
            .header("connection", "close, X-Hop")
            .header("x-hop", "1")
            .header("x-api-key", "fb_acme_1")
            .header("x-api-key", "another")
            .header("x-flyball-tenant", "somebody-else")
            .header("x_flyball_tenant", "somebody-else")
            .header("x-real-ip", "6.6.6.6")
            .header("x-forwarded-host", "evil.example")
            .header("x-forwarded-port", "1")
            .header("forwarded", "for=6.6.6.6")
            .header("x-kept", "1")
            .body(Bytes::new())
            .unwrap();
        let tenant = Identity {
            id: flyball_core::TenantId(1),
            name: flyball_core::Name::new("acme").unwrap(),
            enabled: true,
        };
        let seen = for_function(request, &tenant, &HeaderValue::from_static("10.0.0.1"));
        let mut headers: Vec<_> =
            seen.headers().iter().map(|(n, v)| format!("{n}: {}", v.to_str().unwrap())).collect();
        headers.sort();
        assert_eq!(
            headers,
            [
                "host: acme.example.com",
                "x-flyball-tenant: acme",
                "x-forwarded-for: 10.0.0.1",
                "x-forwarded-proto: http",
                "x-kept: 1"
            ]
        );
        assert_eq!(seen.uri(), "/a?b");
    }

    #[test]
    fn only_our_bearer_tokens_are_keys() {
        let headers = |name: &'static str, value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(name, HeaderValue::from_static(value));
            headers
        };
        let table = [
            ("authorization", "Bearer fb_a_1", Some("fb_a_1")),
            ("authorization", "bearer   fb_a_1", Some("fb_a_1")),
            ("authorization", "Bearer other", None),
            ("authorization", "Basic fb_", None),
            ("x-api-key", "fb_a_1", Some("fb_a_1")),
            ("x-api-key", "anything", None),
        ];
        for (name, value, key) in table {
            assert_eq!(api_key(&headers(name, value)).unwrap(), key, "{name}: {value}");
        }
    }

    #[test]
    fn of_two_keys_none_is_taken() {
        let mut headers = HeaderMap::new();
        headers.append("x-api-key", HeaderValue::from_static("not-ours"));
        headers.append("x-api-key", HeaderValue::from_static("fb_a_1"));
        headers.append("authorization", HeaderValue::from_static("Bearer fb_a_1"));
        assert_eq!(api_key(&headers).unwrap(), Some("fb_a_1"), "the same, twice");
        headers.append("authorization", HeaderValue::from_static("Bearer fb_b_2"));
        assert!(api_key(&headers).is_err());
        headers.clear();
        headers.append("x-api-key", HeaderValue::from_bytes(b"fb_\xff").unwrap());
        assert!(api_key(&headers).is_err(), "a key that is no text is a wrong key, not none");
    }
}
