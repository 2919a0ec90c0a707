//! HTTP requests and responses as bodies of events: how a call that is stored comes back to its function,
//! and its response to whoever asks for it later.

use bytes::Bytes;
use flyball_core::{Attributes, Body, record};
use http::{HeaderName, HeaderValue, Request, Response, StatusCode};
use serde::{Deserialize, Serialize};

/// The content type of a stored request.
pub const REQUEST: &str = "application/vnd.flyball.http-request";

/// A head that can be stored, before the body's bytes.
#[derive(Serialize, Deserialize)]
struct Head {
    /// Of a request.
    method: String,
    /// Of a request.
    uri: String,
    /// Of a response.
    status: u16,
    headers: Vec<(String, Vec<u8>)>,
    /// Its length: the body follows.
    body: Vec<u8>,
}

/// What a request is as an event.
pub fn attributes(request: &Request<Bytes>) -> Attributes {
    let mut subject = request.uri().path().to_string();
    subject.truncate(subject.floor_char_boundary(flyball_core::ATTRIBUTE_BYTES_MAX));
    Attributes {
        kind: "flyball.http.request".into(),
        source: "/gateway".into(),
        subject: Some(subject),
        content_type: REQUEST.into(),
    }
}

/// A request as an event's body.
pub fn encode_request(request: &Request<Bytes>) -> Body {
    record::encode(&Head {
        method: request.method().to_string(),
        uri: request.uri().to_string(),
        status: 0,
        headers: headers(request.headers()),
        body: request.body().to_vec(),
    })
}

/// The request that an event is, if it is one.
pub fn request(attributes: &Attributes, body: &[u8]) -> Option<Result<Request<Bytes>, String>> {
    (attributes.content_type == REQUEST).then(|| {
        let head: Head = record::decode(body).map_err(|error| error.to_string())?;
        let mut request = Request::builder().method(head.method.as_str()).uri(head.uri);
        for (name, value) in head.headers {
            request = request.header(name, value);
        }
        request.body(Bytes::from(head.body)).map_err(|error| error.to_string())
    })
}

/// A response as a result.
pub fn encode_response(response: &Response<Bytes>) -> Body {
    record::encode(&Head {
        method: String::new(),
        uri: String::new(),
        status: response.status().as_u16(),
        headers: headers(response.headers()),
        body: response.body().to_vec(),
    })
}

/// The response that a result is; a result that is none, an event's bytes, is a response with them.
pub fn response(result: &[u8]) -> Response<Bytes> {
    let decoded = record::decode::<Head>(result).ok().and_then(|head| {
        let status = StatusCode::from_u16(head.status).ok()?;
        let mut response = Response::new(Bytes::from(head.body));
        *response.status_mut() = status;
        for (name, value) in head.headers {
            let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
            response.headers_mut().append(name, HeaderValue::from_bytes(&value).ok()?);
        }
        Some(response)
    });
    decoded.unwrap_or_else(|| Response::new(Bytes::copy_from_slice(result)))
}

fn headers(map: &http::HeaderMap) -> Vec<(String, Vec<u8>)> {
    map.iter().map(|(name, value)| (name.to_string(), value.as_bytes().to_vec())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_and_a_response_come_back_as_they_were() {
        let sent = Request::builder()
            .method("POST")
            .uri("http://h/a?b=c")
            .header("x-a", "1")
            .header("x-a", "2")
            .body(Bytes::from_static(b"\0body"))
            .unwrap();
        let back = request(&attributes(&sent), &encode_request(&sent)).unwrap().unwrap();
        assert_eq!((back.method(), back.uri(), back.headers()), (sent.method(), sent.uri(), sent.headers()));
        assert_eq!(back.body(), sent.body());
        let sent = Response::builder().status(418).header("a", "b").body(Bytes::from_static(b"tea")).unwrap();
        let back = response(&encode_response(&sent));
        assert_eq!(
            (back.status(), back.headers(), back.body()),
            (sent.status(), sent.headers(), sent.body())
        );
    }

    #[test]
    fn what_is_no_request_is_an_event() {
        let mut other = attributes(&Request::new(Bytes::new()));
        other.content_type = "text/plain".into();
        assert!(request(&other, b"x").is_none());
        assert_eq!(response(b"plain").body(), &Bytes::from_static(b"plain"));
    }
}
