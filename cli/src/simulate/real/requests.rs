//! What the events of a source are: requests to routes, or bodies of events.

use std::{collections::BTreeMap, path::Path};

use bytes::Bytes;
use flyball_app::{
    FILE_BYTES_MAX,
    workload::{Sent, Workload},
};
use flyball_core::{Attributes, Body, model::Application};
use flyball_host::wire;
use flyball_sim::guests::{Arrival, Arrived};
use hmac::{Hmac, Mac as _};
use http::Request;
use sha2::{Digest as _, Sha256};

use crate::stop::Stop;

/// What a function is told of where a request came from: an address that is nobody's (RFC 5737).
const PEER: &str = "192.0.2.1";

/// What every source sends.
#[derive(Debug)]
pub(super) struct Requests {
    of: BTreeMap<String, Source>,
}

#[derive(Debug)]
struct Source {
    /// Where it goes: of a request.
    path: Option<String>,
    sent: Sent,
    bodies: Vec<Bytes>,
    key: Option<String>,
}

impl Requests {
    /// Reads the files that sources name.
    pub(super) fn new(
        application: &Application,
        workload: &Workload,
        beside: &Path,
        answers: impl Fn(&str) -> bool,
    ) -> Result<Requests, Stop> {
        let mut of = BTreeMap::new();
        let unknown = workload.real.traffic.keys().find(|name| !workload.traffic.contains_key(*name));
        if let Some(name) = unknown {
            return Err(Stop::wrong(format!("[real.traffic.{name}]: there is no [traffic.{name}]")));
        }
        for (name, source) in &workload.traffic {
            let sent = workload.real.traffic.get(name).cloned().unwrap_or_default();
            let to = source.to.as_deref().unwrap_or(name);
            let bodies = sent.bodies.iter().map(|file| read(&beside.join(file)));
            let source = Source {
                path: path(application, to, &answers),
                bodies: bodies.collect::<Result<_, _>>()?,
                key: sent.sign_secret.as_ref().and_then(|secret| workload.real.secrets.get(secret)).cloned(),
                sent,
            };
            of.insert(name.to_string(), source);
        }
        Ok(Requests { of })
    }

    /// The event as it comes to the gateway, and its body.
    pub(super) fn arrives(&self, arrival: &Arrival<'_>) -> Option<(Arrived, Bytes)> {
        let source = self.of.get(arrival.source)?;
        let words = Words::new(arrival);
        let body = match source.bodies.get(words.choice(source.bodies.len())) {
            Some(body) => words.fill_bytes(body),
            None => Bytes::new(),
        };
        let Some(path) = source.sent.path.as_ref().or(source.path.as_ref()) else {
            let attributes = Attributes {
                kind: source.sent.kind.clone().unwrap_or_else(|| arrival.source.into()),
                source: "/simulation".into(),
                subject: None,
                content_type: source.sent.content_type.clone().unwrap_or_else(|| "application/json".into()),
            };
            return Some((Arrived { attributes, body: Body::from(&body[..]) }, body));
        };
        let method = source.sent.method.as_deref().unwrap_or("POST");
        let mut request = Request::builder()
            .method(method)
            .uri(words.fill(path))
            .header("host", "simulation.example")
            .header("x-flyball-tenant", arrival.tenant)
            .header("x-forwarded-for", PEER)
            .header("x-forwarded-proto", "http");
        for (name, value) in &source.sent.headers {
            request = request.header(name, words.fill(value));
        }
        if let (Some(header), Some(key)) = (&source.sent.sign_header, &source.key) {
            request = request.header(header, sign(key, &body));
        }
        // What can't be a request was refused when the file was read.
        let request = request.body(body.clone()).ok()?;
        let arrived =
            Arrived { attributes: wire::attributes(&request), body: wire::encode_request(&request) };
        Some((arrived, body))
    }
}

/// The path of a request, where a source sends to a route or to a function that answers HTTP.
fn path(application: &Application, to: &str, answers: impl Fn(&str) -> bool) -> Option<String> {
    let path = to.split_once(' ').map_or(to, |(_, path)| path);
    if path.starts_with('/') {
        return Some(path.into());
    }
    let route = application.routes.iter().find(|route| route.function.as_str() == to);
    route.map(|route| route.path.clone()).or_else(|| answers(to).then(|| "/".into()))
}

fn read(file: &Path) -> Result<Bytes, Stop> {
    let unread = |why: String| Stop::wrong(format!("the body {} can't be read: {why}", file.display()));
    let bytes = std::fs::metadata(file).map_err(|error| unread(error.to_string()))?.len();
    if bytes > FILE_BYTES_MAX as u64 {
        return Err(unread(format!("it has {bytes} bytes; at most {FILE_BYTES_MAX} are read")));
    }
    std::fs::read(file).map(Bytes::from).map_err(|error| unread(error.to_string()))
}

fn sign(key: &str, body: &[u8]) -> String {
    #[expect(clippy::expect_used, reason = "HMAC takes keys of any length")]
    let mut mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).expect("any key");
    mac.update(body);
    format!("sha256={}", hex(&mac.finalize().into_bytes()))
}

/// What stands for `{event}`, `{tenant}` and `{random}`.
struct Words<'a> {
    event: String,
    tenant: &'a str,
    random: [u8; 32],
}

impl<'a> Words<'a> {
    fn new(arrival: &Arrival<'a>) -> Words<'a> {
        let mut hash = Sha256::new();
        hash.update(arrival.seed.to_be_bytes());
        hash.update(arrival.number.to_be_bytes());
        hash.update(arrival.source);
        Words { event: arrival.number.to_string(), tenant: arrival.tenant, random: hash.finalize().into() }
    }

    /// One of so many.
    fn choice(&self, of: usize) -> usize {
        let drawn = self.random.iter().take(4).fold(0_usize, |all, byte| (all << 8) | usize::from(*byte));
        drawn % of.max(1)
    }

    fn fill(&self, text: &str) -> String {
        let filled = text.replace("{event}", &self.event).replace("{tenant}", self.tenant);
        filled.replace("{random}", &hex(&self.random))
    }

    /// Bytes that are no text stay as they are.
    fn fill_bytes(&self, bytes: &Bytes) -> Bytes {
        match std::str::from_utf8(bytes) {
            Ok(text) if text.contains('{') => Bytes::from(self.fill(text)),
            _ => bytes.clone(),
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
