//! Calls out. The event's data is `METHOD URL`, a space between; what follows the first line is the request's
//! body. The result is the status, a line feed, and the first 64 KiB of the answer's body. A call that fails is a
//! permanent failure with the error's name.

use wasip2::http::outgoing_handler;
use wasip2::http::types::{ErrorCode, Fields, Method, OutgoingBody, OutgoingRequest, Scheme};

wit_bindgen::generate!({ world: "event-function", path: "../../../wit" });

use exports::flyball::function::handler::{Event, Failure, Guest};

const BODY_BYTES_MAX: usize = 64 * 1024;

struct Fetch;

impl Guest for Fetch {
    fn handle(event: Event) -> Result<Option<Vec<u8>>, Failure> {
        let text = String::from_utf8(event.data).map_err(|_| Failure::Permanent("not UTF-8".into()))?;
        let (line, body) = text.split_once('\n').unwrap_or((&text, ""));
        let (method, url) = line.split_once(' ').unwrap_or(("GET", line));
        fetch(method, url, body.as_bytes()).map(Some).map_err(Failure::Permanent)
    }
}

fn fetch(method: &str, url: &str, body: &[u8]) -> Result<Vec<u8>, String> {
    let (scheme, rest) = url.split_once("://").ok_or("no scheme in the URL")?;
    let (authority, path) = rest.find('/').map_or((rest, "/"), |at| rest.split_at(at));
    let request = OutgoingRequest::new(Fields::new());
    let wrong = |what: &'static str| move |()| what.to_string();
    request.set_method(&named_method(method)).map_err(wrong("method"))?;
    let scheme = if scheme == "https" { Scheme::Https } else { Scheme::Http };
    request.set_scheme(Some(&scheme)).map_err(wrong("scheme"))?;
    request.set_authority(Some(authority)).map_err(wrong("authority"))?;
    request.set_path_with_query(Some(path)).map_err(wrong("path"))?;
    let out = request.body().map_err(wrong("body"))?;
    let pending = outgoing_handler::handle(request, None).map_err(name)?;
    if !body.is_empty() {
        let stream = out.write().map_err(wrong("body"))?;
        for piece in body.chunks(4096) {
            stream.blocking_write_and_flush(piece).map_err(|_| "the request's body was not taken")?;
        }
    }
    OutgoingBody::finish(out, None).map_err(name)?;
    pending.subscribe().block();
    let response = pending.get().ok_or("no answer")?.map_err(wrong("taken twice"))?.map_err(name)?;
    let mut result = format!("{}\n", response.status()).into_bytes();
    let incoming = response.consume().map_err(wrong("consumed twice"))?;
    let stream = incoming.stream().map_err(wrong("streamed twice"))?;
    let end = result.len() + BODY_BYTES_MAX;
    while result.len() < end {
        match stream.blocking_read((end - result.len()) as u64) {
            Ok(piece) => result.extend_from_slice(&piece),
            Err(_) => break,
        }
    }
    Ok(result)
}

fn named_method(method: &str) -> Method {
    match method {
        "GET" => Method::Get,
        "POST" => Method::Post,
        "PUT" => Method::Put,
        "DELETE" => Method::Delete,
        other => Method::Other(other.into()),
    }
}

// The Debug text of an error code is its name in the interface, e.g. `ErrorCode::ConnectionRefused`.
fn name(code: ErrorCode) -> String {
    format!("{code:?}")
}

export!(Fetch);
