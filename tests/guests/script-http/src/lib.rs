//! One `wasi:http` function for many tests. Header `x-do` names what it does; without one it echoes the request.
//! README.md beside this crate lists the commands.

use std::fmt::Write as _;

use wasip2::http::types::{
    Fields, IncomingRequest, Method, OutgoingBody, OutgoingResponse, ResponseOutparam, Scheme,
};

wit_bindgen::generate!({ world: "imports", path: "../../../wit" });

use flyball::function::types::{Error, NewEvent};
use flyball::function::{configuration, emitter, keyvalue};

wasip2::http::proxy::export!(Script);

struct Script;

impl wasip2::exports::http::incoming_handler::Guest for Script {
    fn handle(request: IncomingRequest, out: ResponseOutparam) {
        let command = header(&request, "x-do").unwrap_or_default();
        let (command, argument) = command.split_once(' ').unwrap_or((&command, ""));
        match command {
            "" | "echo" => echo(request, out),
            "status" => answer(out, argument.parse().unwrap_or(500), b"status\n"),
            "big" => big(out, argument.parse().unwrap_or(1 << 20)),
            "tenant" => answer(out, 200, configuration::tenant().as_bytes()),
            "increment" => increment(out, argument),
            "no-response" => {}
            // The head and half a body, then the end without `finish`.
            "unfinished" => {
                let response = OutgoingResponse::new(Fields::new());
                let body = response.body().unwrap();
                ResponseOutparam::set(out, Ok(response));
                body.write().unwrap().blocking_write_and_flush(b"half").unwrap();
            }
            "sleep" => {
                std::thread::sleep(std::time::Duration::from_millis(argument.parse().unwrap_or(0)));
                answer(out, 200, b"slept\n");
            }
            "spin" => loop {
                std::hint::black_box(0);
            },
            "allocate" => {
                let mut kept = Vec::new();
                loop {
                    kept.push(std::hint::black_box(vec![1_u8; 1 << 20]));
                }
            }
            "trap" => core::arch::wasm32::unreachable(),
            _ => answer(out, 400, b"wrong x-do\n"),
        }
    }
}

fn header(request: &IncomingRequest, name: &str) -> Option<String> {
    let value = request.headers().get(name).into_iter().next()?;
    String::from_utf8(value).ok()
}

fn method(request: &IncomingRequest) -> String {
    match request.method() {
        Method::Get => "GET".into(),
        Method::Head => "HEAD".into(),
        Method::Post => "POST".into(),
        Method::Put => "PUT".into(),
        Method::Delete => "DELETE".into(),
        Method::Patch => "PATCH".into(),
        Method::Options => "OPTIONS".into(),
        Method::Connect => "CONNECT".into(),
        Method::Trace => "TRACE".into(),
        Method::Other(name) => name,
    }
}

/// Method and path, each header, an empty line, the body. Header `x-emit: TARGET` emits the body to the target, and
/// the answer has the event's id (or the refusal) in a header of the same name.
fn echo(request: IncomingRequest, out: ResponseOutparam) {
    let scheme = match request.scheme() {
        Some(Scheme::Https) => "https",
        Some(Scheme::Http) => "http",
        _ => "none",
    };
    let path = request.path_with_query().unwrap_or_default();
    let authority = request.authority().unwrap_or_default();
    let mut text = format!("{} {path}\n:scheme: {scheme}\n:authority: {authority}\n", method(&request));
    for (name, value) in request.headers().entries() {
        let _ = writeln!(text, "{name}: {}", String::from_utf8_lossy(&value));
    }
    text.push('\n');
    let mut echoed = text.into_bytes();
    let target = header(&request, "x-emit");
    let body = read(request);
    let fields = Fields::new();
    fields.set("content-type", &[b"text/plain; charset=utf-8".to_vec()]).unwrap();
    if let Some(target) = target {
        let new = NewEvent {
            kind: "test.http".into(),
            subject: None,
            content_type: "application/octet-stream".into(),
            delay_ms: 0,
            data: body.clone(),
        };
        let outcome = emitter::emit(&target, &new).unwrap_or_else(|error| refusal(&error));
        fields.set("x-emit", &[outcome.into_bytes()]).unwrap();
    }
    echoed.extend_from_slice(&body);
    send(out, 200, fields, &echoed);
}

fn read(request: IncomingRequest) -> Vec<u8> {
    let mut read = Vec::new();
    let body = request.consume().unwrap();
    let stream = body.stream().unwrap();
    while let Ok(piece) = stream.blocking_read(64 * 1024) {
        read.extend_from_slice(&piece);
    }
    read
}

fn refusal(error: &Error) -> String {
    match error {
        Error::Denied(text) => format!("! denied: {text}"),
        Error::Limit(text) => format!("! limit: {text}"),
        Error::Invalid(text) => format!("! invalid: {text}"),
        Error::Unavailable(text) => format!("! unavailable: {text}"),
    }
}

/// `NAMESPACE KEY`: adds one to a number in the key-value store, and answers it.
fn increment(out: ResponseOutparam, argument: &str) {
    let (namespace, key) = argument.split_once(' ').unwrap_or((argument, "count"));
    let counted = keyvalue::get(namespace, key).and_then(|stored| {
        let before = stored.and_then(|bytes| String::from_utf8(bytes).ok()?.parse::<u64>().ok()).unwrap_or(0);
        let after = (before + 1).to_string();
        keyvalue::set(namespace, key, after.as_bytes()).map(|()| after)
    });
    match counted {
        Ok(count) => answer(out, 200, count.as_bytes()),
        Err(error) => answer(out, 500, refusal(&error).as_bytes()),
    }
}

fn big(out: ResponseOutparam, bytes: usize) {
    let response = OutgoingResponse::new(Fields::new());
    let body = response.body().unwrap();
    ResponseOutparam::set(out, Ok(response));
    let stream = body.write().unwrap();
    let piece = [b'x'; 4096];
    let mut left = bytes;
    while left > 0 {
        let now = left.min(piece.len());
        if stream.blocking_write_and_flush(&piece[..now]).is_err() {
            break;
        }
        left -= now;
    }
    drop(stream);
    OutgoingBody::finish(body, None).unwrap();
}

fn answer(out: ResponseOutparam, status: u16, text: &[u8]) {
    send(out, status, Fields::new(), text);
}

fn send(out: ResponseOutparam, status: u16, fields: Fields, bytes: &[u8]) {
    let response = OutgoingResponse::new(fields);
    response.set_status_code(status).unwrap();
    let body = response.body().unwrap();
    ResponseOutparam::set(out, Ok(response));
    let stream = body.write().unwrap();
    for piece in bytes.chunks(4096) {
        if stream.blocking_write_and_flush(piece).is_err() {
            break;
        }
    }
    drop(stream);
    OutgoingBody::finish(body, None).unwrap();
}
