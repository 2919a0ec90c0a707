//! What the HTTP functions of codewatch share: a header, a bounded body, an answer.

use wasip2::http::types::{Fields, IncomingRequest, OutgoingBody, OutgoingResponse, ResponseOutparam};

/// A stream takes at most this much at once without asking how much it has room for.
const PIECE_BYTES: usize = 4096;

/// The first value of a header, if it is text.
pub fn header(request: &IncomingRequest, name: &str) -> Option<String> {
    let value = request.headers().get(name).into_iter().next()?;
    String::from_utf8(value).ok()
}

/// The request's body.
///
/// # Errors
///
/// None where it is longer than `bytes_max`; it is read no further then.
pub fn body(request: &IncomingRequest, bytes_max: usize) -> Option<Vec<u8>> {
    let mut read = Vec::new();
    let body = request.consume().ok()?;
    let stream = body.stream().ok()?;
    // The end of the stream is its error `closed`.
    while let Ok(piece) = stream.blocking_read(64 * 1024) {
        read.extend_from_slice(&piece);
        if read.len() > bytes_max {
            return None;
        }
    }
    Some(read)
}

/// Answers with a JSON text. A caller that went away is nothing to report.
pub fn answer_json(out: ResponseOutparam, status: u16, json: &str) {
    let fields = Fields::new();
    let _ = fields.set("content-type", &[b"application/json".to_vec()]);
    let response = OutgoingResponse::new(fields);
    let _ = response.set_status_code(status);
    let Ok(body) = response.body() else { return };
    ResponseOutparam::set(out, Ok(response));
    if let Ok(stream) = body.write() {
        for piece in json.as_bytes().chunks(PIECE_BYTES) {
            if stream.blocking_write_and_flush(piece).is_err() {
                break;
            }
        }
    }
    let _ = OutgoingBody::finish(body, None);
}

/// A JSON string literal of a text, quotes included.
pub fn json_string(text: &str) -> String {
    let mut json = String::with_capacity(text.len() + 2);
    json.push('"');
    for character in text.chars() {
        match character {
            '"' => json.push_str("\\\""),
            '\\' => json.push_str("\\\\"),
            '\n' => json.push_str("\\n"),
            control if (control as u32) < 0x20 => json.push_str(&format!("\\u{:04x}", control as u32)),
            other => json.push(other),
        }
    }
    json.push('"');
    json
}
