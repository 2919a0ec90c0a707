//! Reads the tenant's reports: `GET …?repository=owner/name` answers one, `GET …` the first twenty by name with
//! `next` where there are more (`?after=NEXT` goes on).
#![cfg(target_family = "wasm")]
#![allow(missing_docs, reason = "generated bindings")]

use codewatch_http::{answer_json, json_string};
use wasip2::http::types::{IncomingRequest, Method, ResponseOutparam};

wit_bindgen::generate!({ world: "imports", path: "../../../../wit" });

use flyball::function::keyvalue;
use flyball::function::types::Error;

const NAMESPACE: &str = "reports";
const PAGE: u32 = 20;

wasip2::http::proxy::export!(Reports);

struct Reports;

impl wasip2::exports::http::incoming_handler::Guest for Reports {
    fn handle(request: IncomingRequest, out: ResponseOutparam) {
        let (status, json) = answered(&request)
            .unwrap_or_else(|(status, message)| (status, format!("{{\"error\":{}}}", json_string(&message))));
        answer_json(out, status, &json);
    }
}

type Refusal = (u16, String);

fn answered(request: &IncomingRequest) -> Result<(u16, String), Refusal> {
    if !matches!(request.method(), Method::Get | Method::Head) {
        return Err((405, "reports are read by GET".into()));
    }
    let path = request.path_with_query().unwrap_or_default();
    let query = path.split_once('?').map_or("", |(_, query)| query);
    if let Some(repository) = parameter(query, "repository") {
        let report = stored(&repository)?;
        return report
            .map(|report| (200, report))
            .ok_or_else(|| (404, format!("no report of `{repository}`: nothing was found in it so far")));
    }
    page(parameter(query, "after").as_deref())
}

fn page(after: Option<&str>) -> Result<(u16, String), Refusal> {
    let keys = keyvalue::keys(NAMESPACE, "", after, PAGE).map_err(refusal)?;
    let mut json = String::from("{\"reports\":[");
    for (at, key) in keys.iter().enumerate() {
        if at > 0 {
            json.push(',');
        }
        json.push_str(&stored(key)?.unwrap_or_else(|| "null".into()));
    }
    json.push(']');
    if let Some(last) = keys.last().filter(|_| keys.len() == PAGE as usize) {
        json.push_str(",\"next\":");
        json.push_str(&json_string(last));
    }
    json.push('}');
    Ok((200, json))
}

/// A stored report is JSON already.
fn stored(repository: &str) -> Result<Option<String>, Refusal> {
    let bytes = keyvalue::get(NAMESPACE, repository).map_err(refusal)?;
    Ok(bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
}

fn parameter(query: &str, name: &str) -> Option<String> {
    let value = query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))?;
    let mut decoded = Vec::with_capacity(value.len());
    let mut bytes = value.bytes();
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'+' => b' ',
            b'%' => {
                let mut digit = || char::from(bytes.next()?).to_digit(16);
                (digit()? * 16 + digit()?) as u8
            }
            plain => plain,
        });
    }
    String::from_utf8(decoded).ok()
}

fn refusal(error: Error) -> Refusal {
    match error {
        Error::Denied(text) => (500, format!("the application does not grant this: {text}")),
        Error::Limit(text) => (429, text),
        Error::Invalid(text) => (400, text),
        Error::Unavailable(text) => (503, text),
    }
}
