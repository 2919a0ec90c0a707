//! The function itself.
#![allow(missing_docs, reason = "generated bindings")]

use crate::batch;

wit_bindgen::generate!({ world: "event-function", path: "../../../../wit" });

use exports::flyball::function::handler::{Event, Failure, Guest};
use flyball::function::emitter;
use flyball::function::logging::{self, Level};
use flyball::function::types::{Error, NewEvent};

const QUEUE: &str = "findings";

struct Scan;

impl Guest for Scan {
    fn handle(event: Event) -> Result<Option<Vec<u8>>, Failure> {
        let scanned = batch::scanned(&event.data).map_err(Failure::Permanent)?;
        for finding in &scanned.findings {
            let new = NewEvent {
                kind: "codewatch.finding".into(),
                subject: Some(scanned.repository.clone()),
                content_type: "application/json".into(),
                delay_ms: 0,
                data: finding.to_string().into_bytes(),
            };
            emitter::emit(QUEUE, &new).map_err(failure)?;
        }
        let files = scanned.findings.len();
        if files > 0 {
            logging::log(Level::Info, &format!("{}: findings in {files} files", scanned.repository));
        }
        Ok(None)
    }
}

fn failure(error: Error) -> Failure {
    match error {
        Error::Denied(text) | Error::Invalid(text) => Failure::Permanent(text),
        Error::Limit(text) | Error::Unavailable(text) => Failure::Retry(text),
    }
}

export!(Scan);
