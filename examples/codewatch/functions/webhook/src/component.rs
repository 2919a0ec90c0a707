//! The function itself: HTTP in, events out.
#![allow(missing_docs, reason = "generated bindings")]

use codewatch_http::{answer_json, body, header, json_string};
use wasip2::http::types::{IncomingRequest, Method, ResponseOutparam};

use crate::{batches, signature};

wit_bindgen::generate!({ world: "imports", path: "../../../../wit" });

use flyball::function::logging::{self, Level};
use flyball::function::types::{Error, NewEvent};
use flyball::function::{configuration, emitter};

/// GitHub caps a payload at 25 MB; one with contents for us needs far less.
const BODY_BYTES_MAX: usize = 8 << 20;
const SECRET: &str = "github-webhook";
const QUEUE: &str = "files";

wasip2::http::proxy::export!(Webhook);

struct Webhook;

impl wasip2::exports::http::incoming_handler::Guest for Webhook {
    fn handle(request: IncomingRequest, out: ResponseOutparam) {
        let (status, json) = match handled(&request) {
            Ok(json) => (if json.starts_with("{\"pong\"") { 200 } else { 202 }, json),
            Err((status, message)) => {
                logging::log(Level::Warn, &format!("{status}: {message}"));
                (status, format!("{{\"error\":{}}}", json_string(&message)))
            }
        };
        answer_json(out, status, &json);
    }
}

type Refusal = (u16, String);

fn handled(request: &IncomingRequest) -> Result<String, Refusal> {
    if !matches!(request.method(), Method::Post) {
        return Err((405, "a webhook is a POST".into()));
    }
    let body = body(request, BODY_BYTES_MAX)
        .ok_or_else(|| (413, format!("the payload is longer than {BODY_BYTES_MAX} bytes")))?;
    verify(request, &body)?;
    match header(request, "x-github-event").as_deref() {
        Some("push") => push(&body),
        Some("ping") => Ok("{\"pong\":true}".into()),
        Some(other) => Ok(format!("{{\"ignored\":{}}}", json_string(other))),
        None => Err((400, "header X-GitHub-Event is missing".into())),
    }
}

fn verify(request: &IncomingRequest, body: &[u8]) -> Result<(), Refusal> {
    let secret = configuration::secret(SECRET).map_err(refusal)?;
    let tenant = configuration::tenant();
    let secret = secret.ok_or_else(|| (401, format!("tenant {tenant} has no secret `{SECRET}`: set one")))?;
    let given = header(request, "x-hub-signature-256")
        .ok_or_else(|| (401, "header X-Hub-Signature-256 is missing: give the webhook a secret".into()))?;
    if signature::holds(&given, &secret, body) {
        return Ok(());
    }
    Err((401, format!("X-Hub-Signature-256 is not the body's signature under tenant {tenant}'s `{SECRET}`")))
}

fn push(body: &[u8]) -> Result<String, Refusal> {
    let push: batches::Push =
        serde_json::from_slice(body).map_err(|error| (400, format!("the payload is no push: {error}")))?;
    let repository = push.repository.full_name.clone();
    let batches = batches::of(push).map_err(|message| (422, message))?;
    let mut ids = Vec::with_capacity(batches.len());
    for batch in &batches {
        let data = serde_json::to_vec(batch).map_err(|error| (500, error.to_string()))?;
        let event = NewEvent {
            kind: "codewatch.files".into(),
            subject: Some(repository.clone()),
            content_type: "application/json".into(),
            delay_ms: 0,
            data,
        };
        ids.push(json_string(&emitter::emit(QUEUE, &event).map_err(refusal)?));
    }
    logging::log(Level::Info, &format!("{repository}: {} batches", ids.len()));
    Ok(format!("{{\"batches\":{},\"events\":[{}]}}", ids.len(), ids.join(",")))
}

fn refusal(error: Error) -> Refusal {
    match error {
        Error::Denied(text) => (500, format!("the application does not grant this: {text}")),
        Error::Limit(text) => (429, text),
        Error::Invalid(text) => (500, text),
        Error::Unavailable(text) => (503, text),
    }
}
