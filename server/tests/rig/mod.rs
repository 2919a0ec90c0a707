//! A platform on any store, and an executor whose runs end when the test says so.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests: a failure here is the test's failure, and not every file uses all of it"
)]

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use flyball_core::{
    Attributes, Body, EventId, Failure, Name, Refusal, Span, TenantId, Usage,
    invocation::{GuestCall, Reply, Step},
};
use flyball_host::{Finished, Input};
use flyball_server::{
    executor::{Executor, Job},
    platform::{EventResult, NewEvent, Platform, Record, SendAnswer},
};
use flyball_store::Store;
use http::Response;
use tokio::sync::mpsc;

/// Hands every run to the test.
struct Hand(mpsc::UnboundedSender<Job>);

impl Executor for Hand {
    fn start(&self, job: Job) {
        // A test that has ended takes no more runs.
        drop(self.0.send(job));
    }
}

pub struct Rig {
    pub platform: Arc<Platform>,
    pub jobs: mpsc::UnboundedReceiver<Job>,
}

impl Rig {
    /// Opens a platform with this application on this store.
    pub fn open(application: &str, store: Arc<dyn Store>) -> Rig {
        Rig::recorded(application, store, None)
    }

    /// The same, with what the engine is told recorded.
    pub fn recorded(application: &str, store: Arc<dyn Store>, record: Option<Record>) -> Rig {
        let read = flyball_app::read("flyball.toml", application).map_err(|wrong| wrong.to_string()).unwrap();
        let (send, jobs) = mpsc::unbounded_channel();
        let io = tokio::runtime::Handle::current();
        let (application, executor) = (Arc::new(read.application), Arc::new(Hand(send)));
        let platform = Platform::open_with(application, store, executor, record, &io).unwrap();
        Rig { platform, jobs }
    }

    pub async fn job(&mut self) -> Job {
        let job = tokio::time::timeout(Duration::from_secs(20), self.jobs.recv()).await;
        job.expect("a run starts").unwrap()
    }

    pub fn acme(&self) -> TenantId {
        self.platform.tenant_by_name("acme").unwrap().id
    }

    pub async fn send(
        &self,
        target: &str,
        text: &str,
        key: Option<&str>,
    ) -> Result<(EventId, bool), Refusal> {
        match self.platform.send(self.acme(), event(target, "text/plain", text), key).await {
            SendAnswer::Accepted { id, duplicate } => Ok((id, duplicate)),
            SendAnswer::Refused(refusal) => Err(refusal),
        }
    }

    pub fn result(&self, id: EventId) -> Option<Result<String, Failure>> {
        match self.platform.result(self.acme(), id) {
            Ok(EventResult::Done { response, .. }) => {
                Some(Ok(String::from_utf8_lossy(response.body()).into_owned()))
            }
            Ok(EventResult::Failed { failure, .. }) => Some(Err(failure)),
            _ => None,
        }
    }
}

pub fn event(target: &str, content_type: &str, text: &str) -> NewEvent {
    let attributes = Attributes {
        kind: "test".into(),
        source: "/test".into(),
        subject: None,
        content_type: content_type.into(),
    };
    NewEvent { target: target.into(), attributes, body: Body::from(text.as_bytes()), delay: Span::ZERO }
}

pub fn texts(job: &Job) -> Vec<String> {
    match &job.input {
        Input::Events(events) => {
            events.iter().map(|event| String::from_utf8_lossy(&event.body).into_owned()).collect()
        }
        Input::Http(call) => vec![format!("{} {}", call.request.method(), call.request.uri())],
    }
}

/// Ends a run: each event makes these calls and ends like this.
pub async fn end(job: Job, calls: &[GuestCall], verdict: Result<&str, Failure>) {
    let Job { mut invocation, input, backend, done, .. } = job;
    let (envelopes, http) = match input {
        Input::Events(events) => (events.into_iter().map(|event| event.envelope).collect(), false),
        Input::Http(call) => (vec![call.envelope], true),
    };
    let events = envelopes.len();
    for envelope in envelopes {
        invocation.begin(envelope);
        for call in calls {
            let reply = match invocation.call(call.clone()) {
                Step::Reply(reply) => reply,
                Step::Host(call) => invocation.resume(backend.call(call).await),
            };
            assert!(!matches!(reply, Reply::Refused(_)), "{reply:?}");
        }
        invocation.end(verdict.clone().map(|text| Body::from(text.as_bytes())));
    }
    let response = http.then(|| Response::new(Bytes::from(verdict.unwrap_or_default().to_owned())));
    done(Finished { outcome: invocation.finish(events, Usage::default()), response });
}

pub fn set(value: &str) -> GuestCall {
    let value = Some(Body::from(value.as_bytes()));
    GuestCall::KvSet { namespace: "data".into(), key: "k".into(), value }
}

pub async fn until<T>(what: &str, mut check: impl FnMut() -> Option<T>) -> T {
    let end = std::time::Instant::now() + Duration::from_secs(20);
    loop {
        if let Some(found) = check() {
            return found;
        }
        assert!(std::time::Instant::now() < end, "not in time: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

pub fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}
