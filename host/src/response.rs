//! Collecting the response of a guest, within its limit.

use bytes::{Bytes, BytesMut};
use flyball_core::{Failure, FailureKind};
use http::{Response, response::Parts};
use http_body_util::BodyExt;
use tokio::sync::oneshot;
use wasmtime_wasi_http::p2::{bindings::http::types::ErrorCode, body::HyperOutgoingBody};

/// What a guest gives to `response-outparam.set`.
pub(crate) type Given = Result<Response<HyperOutgoingBody>, ErrorCode>;

/// Waits for the response and its whole body, of `bytes_max` bytes at most.
pub(crate) async fn collect(
    given: oneshot::Receiver<Given>,
    bytes_max: u64,
) -> Result<Response<Bytes>, Failure> {
    let (parts, mut body) = match given.await {
        Ok(Ok(response)) => response.into_parts(),
        Ok(Err(code)) => return Err(invalid(format!("the function answered the error {code:?}"))),
        Err(_) => return Err(invalid("the function returned without setting a response")),
    };
    let mut first = Bytes::new();
    let mut rest = BytesMut::new();
    let mut total: u64 = 0;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| invalid(format!("its response's body is broken off: {error}")))?;
        // Trailers are dropped: the gateway's answer has a length.
        let Ok(data) = frame.into_data() else { continue };
        total = total.saturating_add(data.len() as u64);
        if total > bytes_max {
            return Err(too_large(&parts, total, bytes_max));
        }
        // One frame, which is the usual case, is not copied.
        if first.is_empty() && rest.is_empty() {
            first = data;
        } else {
            rest.extend_from_slice(&data);
        }
    }
    if !rest.is_empty() {
        let mut whole = BytesMut::with_capacity(first.len().saturating_add(rest.len()));
        whole.extend_from_slice(&first);
        whole.extend_from_slice(&rest);
        first = whole.freeze();
    }
    Ok(Response::from_parts(parts, first))
}

fn too_large(parts: &Parts, read: u64, bytes_max: u64) -> Failure {
    let length = parts.headers.get(http::header::CONTENT_LENGTH).and_then(|length| length.to_str().ok());
    let size = length.map_or_else(|| format!("{read} bytes or more"), |length| format!("{length} bytes"));
    invalid(format!("response too large: its body has {size} and response_bytes_max is {bytes_max}"))
}

fn invalid(message: impl Into<String>) -> Failure {
    Failure::new(FailureKind::InvalidResponse, message)
}
