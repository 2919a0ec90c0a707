//! A request's head, before anything is looked up by it: what is too large, and what a proxy before us could
//! read otherwise than we do, is refused.

use http::{Method, Request, Version, header, uri::Authority};

use super::{GatewayError, GatewayLimits};

pub(super) fn check<B>(request: &Request<B>, limits: &GatewayLimits) -> Result<(), GatewayError> {
    let uri = request.uri();
    let bytes = uri.path_and_query().map_or(0, |path| path.as_str().len());
    if bytes > limits.uri_bytes_max {
        return Err(GatewayError::uri_too_long(limits.uri_bytes_max, bytes));
    }
    // HTTP/1.1 is cut off by its parser; in HTTP/2 only the bytes are bounded there.
    let headers = request.headers().len();
    if headers > limits.headers_max {
        return Err(GatewayError::too_many_headers(limits.headers_max, headers));
    }
    if request.method() == Method::CONNECT {
        return Err(GatewayError::tunnel());
    }
    host(request)
}

/// The request names one host, or none, and names it once.
fn host<B>(request: &Request<B>) -> Result<(), GatewayError> {
    let refused = |why: &str| Err(GatewayError::bad_header("Host", why));
    let mut values = request.headers().get_all(header::HOST).iter();
    let target = request.uri().authority();
    if target.is_some_and(|target| target.as_str().contains('@')) {
        return refused("the request's target names a user; send no more than host and port");
    }
    let Some(value) = values.next() else {
        // Required by RFC 9112, 3.2; HTTP/2 and HTTP/1.0 may do without.
        let needed = request.version() == Version::HTTP_11 && target.is_none();
        return if needed { refused("it is missing; HTTP/1.1 needs it") } else { Ok(()) };
    };
    if values.next().is_some() {
        return refused("it stands twice; send one");
    }
    if value.is_empty() {
        return Ok(());
    }
    let named = Authority::try_from(value.as_bytes());
    let Some(named) = named.ok().filter(|named| !named.as_str().contains('@')) else {
        return refused("it is no host with a port or without");
    };
    if target.is_some_and(|target| !target.host().eq_ignore_ascii_case(named.host())) {
        return refused("it names another host than the request's target; send one of them");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(request: http::request::Builder, version: Version) -> Result<(), String> {
        let request = request.version(version).body(bytes::Bytes::new()).unwrap();
        check(&request, &GatewayLimits::default()).map_err(|error| {
            let body = error.into_response(1);
            let json: serde_json::Value = serde_json::from_slice(body.body()).unwrap();
            format!("{} {}", body.status().as_u16(), json["error"]["code"].as_str().unwrap())
        })
    }

    #[test]
    fn a_request_that_two_readers_could_understand_in_two_ways_is_refused() {
        let get = |uri: &str, hosts: &[&str]| {
            let builder = Request::get(uri);
            hosts.iter().fold(builder, |builder, host| builder.header("host", *host))
        };
        let (good, bad) = (Ok(()), Err("400 FE4011".to_string()));
        let table = [
            (get("/", &["a.example.com"]), &good),
            (get("/", &["a.example.com:8080"]), &good),
            (get("/", &["[::1]:8080"]), &good),
            (get("/", &[""]), &good),
            (get("http://a.example.com/", &["A.example.com"]), &good),
            (get("http://a.example.com:80/", &["a.example.com"]), &good),
            (get("http://a.example.com/", &[]), &good),
            (get("/", &[]), &bad),
            (get("/", &["a.example.com", "a.example.com"]), &bad),
            (get("/", &["a.example.com", "b.example.com"]), &bad),
            (get("/", &["a@b.example.com"]), &bad),
            (get("/", &["a.example.com/b"]), &bad),
            (get("/", &["a b"]), &bad),
            (get("http://a.example.com/", &["b.example.com"]), &bad),
            (get("http://a@b.example.com/", &[]), &bad),
        ];
        for (request, expected) in table {
            let shown = format!("{request:?}");
            assert_eq!(&code(request, Version::HTTP_11), expected, "{shown}");
        }
        assert_eq!(code(get("/", &[]), Version::HTTP_10), good);
        assert_eq!(code(get("/", &[]), Version::HTTP_2), good);
        let tunnel = Request::builder().method("CONNECT").uri("a.example.com:443");
        assert_eq!(code(tunnel.header("host", "a.example.com"), Version::HTTP_11), Err("405 FE4002".into()));
    }

    #[test]
    fn headers_are_counted_in_http_2_too() {
        let many = |count: usize| {
            (0..count).fold(Request::get("/"), |builder, n| builder.header(format!("x-{n}"), "1"))
        };
        let max = GatewayLimits::default().headers_max;
        assert_eq!(code(many(max), Version::HTTP_2), Ok(()));
        assert_eq!(code(many(max + 1), Version::HTTP_2), Err("431 FE4015".into()));
    }
}
