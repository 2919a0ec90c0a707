//! A small HTTP/1.1 client on hyper: one connection that is opened again when it was closed.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Request, Response, Uri, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// The longest response that is read, bytes.
const RESPONSE_BYTES_MAX: usize = 64 << 20;

/// A server, by its address.
#[derive(Debug)]
pub struct Peer {
    authority: String,
    base: String,
    sender: Option<SendRequest<Full<Bytes>>>,
}

/// Why there is no response.
#[derive(Debug)]
pub enum HttpError {
    /// Nobody listens there.
    Unreachable(String),
    /// The connection broke, or what came was no HTTP.
    Broken(String),
    /// It took longer than this.
    Slow(Duration),
}

impl std::fmt::Display for HttpError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            HttpError::Unreachable(why) => write!(f, "it can't be reached: {why}"),
            HttpError::Broken(why) => write!(f, "the connection broke: {why}"),
            HttpError::Slow(limit) => write!(f, "no answer within {} s", limit.as_secs()),
        }
    }
}

impl Peer {
    /// A server at this `http://` URL; its path is put before each request's.
    ///
    /// # Errors
    /// Where it is no such URL.
    pub fn new(url: &str) -> Result<Peer, String> {
        let uri: Uri = url.parse().map_err(|error| format!("{url:?} is no URL: {error}"))?;
        if uri.scheme_str() != Some("http") {
            return Err(format!("{url:?} does not start with http://; put a TLS proxy's plain side there"));
        }
        let Some(authority) = uri.authority() else { return Err(format!("{url:?} names no host")) };
        let port = authority.port_u16().unwrap_or(80);
        let authority = format!("{}:{port}", authority.host());
        Ok(Peer { authority, base: uri.path().trim_end_matches('/').to_string(), sender: None })
    }

    /// Sends a request and reads its whole response.
    ///
    /// # Errors
    /// Where there is none. The request may have arrived all the same.
    pub async fn send(
        &mut self,
        request: Request<Bytes>,
        limit: Duration,
    ) -> Result<Response<Bytes>, HttpError> {
        let answered = tokio::time::timeout(limit, self.exchange(request)).await;
        let answered = answered.unwrap_or(Err(HttpError::Slow(limit)));
        if answered.is_err() {
            self.sender = None;
        }
        answered
    }

    async fn exchange(&mut self, mut request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let broken = |error: &dyn std::fmt::Display| HttpError::Broken(error.to_string());
        let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
        *request.uri_mut() = format!("{}{path}", self.base).parse().map_err(|error| broken(&error))?;
        let host = HeaderValue::from_str(&self.authority).map_err(|error| broken(&error))?;
        request.headers_mut().insert(header::HOST, host);
        let mut sender = match self.sender.take().filter(|sender| !sender.is_closed()) {
            Some(sender) => sender,
            None => self.connect().await?,
        };
        sender.ready().await.map_err(|error| broken(&error))?;
        let response = sender.send_request(request.map(Full::new)).await.map_err(|error| broken(&error))?;
        let (head, body) = response.into_parts();
        let body = Limited::new(body, RESPONSE_BYTES_MAX).collect().await.map_err(|error| broken(&error))?;
        self.sender = Some(sender);
        Ok(Response::from_parts(head, body.to_bytes()))
    }

    async fn connect(&self) -> Result<SendRequest<Full<Bytes>>, HttpError> {
        let stream = TcpStream::connect(&self.authority).await;
        let stream = stream.map_err(|error| HttpError::Unreachable(error.to_string()))?;
        // A request goes out in one piece; waiting for more would only delay it.
        stream.set_nodelay(true).map_err(|error| HttpError::Broken(error.to_string()))?;
        let (sender, connection) =
            handshake(TokioIo::new(stream)).await.map_err(|error| HttpError::Broken(error.to_string()))?;
        // Its end is seen by the sender.
        tokio::spawn(connection);
        Ok(sender)
    }
}

/// Text as a part of a query or a path.
pub fn quoted(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_http_urls_are_taken() {
        let peer = Peer::new("http://localhost:9440/flyball/").unwrap();
        assert_eq!((peer.authority.as_str(), peer.base.as_str()), ("localhost:9440", "/flyball"));
        for wrong in ["localhost:9440", "https://a.test", "http://", "a b"] {
            assert!(Peer::new(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_has_a_meaning_in_a_url_is_quoted() {
        assert_eq!(quoted("octo/cat one"), "octo%2Fcat%20one");
    }
}
