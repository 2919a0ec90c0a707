//! The function itself.
#![allow(missing_docs, reason = "generated bindings")]

use wasip2::http::outgoing_handler;
use wasip2::http::types::{ErrorCode, Fields, Method, OutgoingBody, OutgoingRequest, Scheme};

use crate::address::Address;

wit_bindgen::generate!({ world: "event-function", path: "../../../../wit" });

use exports::flyball::function::handler::{Event, Failure, Guest};
use flyball::function::configuration;
use flyball::function::logging::{self, Level};
use flyball::function::types::Error;

const ADDRESS: &str = "notify-url";

struct Notify;

impl Guest for Notify {
    fn handle(event: Event) -> Result<Option<Vec<u8>>, Failure> {
        let Some(url) = url()? else {
            logging::log(Level::Info, &format!("nobody listens: tenant {} has no `{ADDRESS}`", event.tenant));
            return Ok(None);
        };
        let address = Address::parse(&url).map_err(Failure::Permanent)?;
        let status = send(&address, &event.data)?;
        // The path may be a secret of the receiver's: only the host is named.
        let host = address.authority;
        match status {
            200..=299 => Ok(None),
            408 | 425 | 429 | 500..=599 => Err(Failure::Retry(format!("{host} answered {status}"))),
            _ => Err(Failure::Permanent(format!("{host} answered {status}"))),
        }
    }
}

/// The tenant's own address, else the application's.
fn url() -> Result<Option<String>, Failure> {
    let secret = configuration::secret(ADDRESS).map_err(|error| match error {
        Error::Unavailable(text) => Failure::Retry(text),
        Error::Denied(text) | Error::Limit(text) | Error::Invalid(text) => Failure::Permanent(text),
    })?;
    match secret {
        None => Ok(configuration::get(ADDRESS)),
        Some(bytes) => String::from_utf8(bytes)
            .map(|text| Some(text.trim().to_string()))
            .map_err(|_| Failure::Permanent(format!("secret `{ADDRESS}` is not UTF-8"))),
    }
}

fn send(address: &Address<'_>, json: &[u8]) -> Result<u16, Failure> {
    let host = address.authority;
    let headers = Fields::new();
    for (name, value) in [
        ("content-type", "application/json"),
        ("user-agent", "codewatch"),
        ("idempotency-key", &configuration::event_id()),
        ("content-length", &json.len().to_string()),
    ] {
        headers.set(name, &[value.as_bytes().to_vec()]).map_err(wrong(host, "header"))?;
    }
    let request = OutgoingRequest::new(headers);
    let scheme = if address.https { Scheme::Https } else { Scheme::Http };
    request.set_method(&Method::Post).map_err(wrong(host, "method"))?;
    request.set_scheme(Some(&scheme)).map_err(wrong(host, "scheme"))?;
    request.set_authority(Some(host)).map_err(wrong(host, "host"))?;
    request.set_path_with_query(Some(address.path)).map_err(wrong(host, "path"))?;
    let body = request.body().map_err(wrong(host, "body"))?;
    let pending = outgoing_handler::handle(request, None).map_err(|code| failure(host, code))?;
    // Where the other side stops reading, its answer or the call's error says why.
    if let Ok(stream) = body.write() {
        for piece in json.chunks(4096) {
            if stream.blocking_write_and_flush(piece).is_err() {
                break;
            }
        }
    }
    let _ = OutgoingBody::finish(body, None);
    pending.subscribe().block();
    let answer = pending.get().and_then(Result::ok);
    let answer = answer.ok_or_else(|| Failure::Retry(format!("{host}: no answer")))?;
    Ok(answer.map_err(|code| failure(host, code))?.status())
}

fn wrong<E>(host: &str, what: &str) -> impl FnOnce(E) -> Failure {
    move |_| Failure::Permanent(format!("{host}: wrong {what}"))
}

/// What can't be helped by another attempt is permanent: a grant that is missing, a host or certificate that is wrong.
fn failure(host: &str, code: ErrorCode) -> Failure {
    let text = format!("{host}: {code:?}");
    match code {
        ErrorCode::HttpRequestDenied
        | ErrorCode::DestinationIpProhibited
        | ErrorCode::HttpRequestUriInvalid
        | ErrorCode::HttpRequestMethodInvalid
        | ErrorCode::TlsCertificateError
        | ErrorCode::HttpProtocolError => Failure::Permanent(text),
        _ => Failure::Retry(text),
    }
}

export!(Notify);
