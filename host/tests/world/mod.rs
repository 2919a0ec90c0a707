//! A host, an application with one function, and a backend in memory, for the tests beside this folder.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test's own mistakes may panic")]

use std::{
    collections::BTreeMap,
    path::PathBuf,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll},
    time::{Duration, Instant},
};

use bytes::Bytes;
use flyball_core::{
    Attributes, Body, Envelope, EventId, FailureKind, Lineage, Name, Seq, Span, TenantId, Time,
    invocation::{HostCall, HostReply, Invocation, LogLevel},
    model::{
        Access, Application, Delivery as Inbox, Function, Grants, Limits, PlatformLimits, Shared,
        TenantLimits, Topic,
    },
};
use flyball_host::{
    Backend, BoxFuture, Delivery, Finished, FirstSlice, HostConfig, HostLimits, HttpCall, Input,
    LoadedFunction, Run, Stopper, WasmHost,
};
use tokio::sync::oneshot;

pub const MEMORY_BYTES_MAX: u64 = 16 << 20;
pub const LONG: Duration = Duration::from_secs(60);

pub struct World {
    pub host: WasmHost,
    pub io: tokio::runtime::Runtime,
    pub cache: tempfile::TempDir,
    pub backend: Arc<Memory>,
    pub grants: Grants,
}

/// A run that was started; dropping it stops it.
pub struct Running {
    pub stopper: Stopper,
    finished: oneshot::Receiver<Finished>,
}

impl Future for Running {
    type Output = Finished;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Finished> {
        // The host promises to tell how every run ended.
        Pin::new(&mut self.finished).poll(context).map(Result::unwrap)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stopper.stop();
    }
}

impl World {
    pub fn new(threads: usize) -> World {
        let io = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let cache = tempfile::tempdir().unwrap();
        let limits = HostLimits { instances_max: 16, memory_bytes_max: 64 << 20, ..HostLimits::default() };
        let config = HostConfig { threads: Some(threads), limits, ..HostConfig::new(cache.path()) };
        let host = WasmHost::new(config, io.handle()).unwrap();
        World { host, io, cache, backend: Arc::default(), grants: Grants::default() }
    }

    pub fn load(&self, guest: &str) -> Arc<LoadedFunction> {
        Arc::new(self.host.load(&guest_bytes(guest), MEMORY_BYTES_MAX).unwrap())
    }

    fn application(&self) -> Shared {
        application(&self.grants)
    }

    pub fn start(
        &self,
        function: &Arc<LoadedFunction>,
        tenant: u32,
        input: Input,
        timeout: Duration,
    ) -> Running {
        let invocation = Invocation::new(self.application(), "f", TenantId(tenant)).unwrap();
        let (tell, finished) = oneshot::channel();
        let stopper = self.host.start(Run {
            function: function.clone(),
            invocation,
            tenant: "acme".into(),
            input,
            deadline: Instant::now() + timeout,
            response_bytes_max: 64 << 10,
            backend: self.backend.clone(),
            first_slice: FirstSlice::Queued,
            done: Box::new(move |finished| drop(tell.send(finished))),
        });
        Running { stopper, finished }
    }

    pub fn events(&self, function: &Arc<LoadedFunction>, scripts: &[&str], timeout: Duration) -> Finished {
        self.io.block_on(self.start(function, 1, events(1, scripts), timeout))
    }

    pub fn request(&self, function: &Arc<LoadedFunction>, x_do: &str, timeout: Duration) -> Finished {
        let request = http::Request::post("/a/b?c=d").header("x-do", x_do).body(Bytes::from_static(b"hello"));
        let call = HttpCall { envelope: envelope(1, 1), request: request.unwrap(), https: false };
        self.io.block_on(self.start(function, 1, Input::Http(Box::new(call)), timeout))
    }
}

/// An application with one function, `f`, that may do this.
pub fn application(grants: &Grants) -> Shared {
    let name = Name::new("f").unwrap();
    let announcements = Name::new("announcements").unwrap();
    let inbox = Inbox {
        batch_max: 10,
        batch_window: Span::ZERO,
        delay: Span::ZERO,
        visibility: Span::from_secs(120),
        attempts_max: 3,
        retry_base: Span::from_secs(1),
        retry_max: Span::from_secs(60),
        waiting_max: 1_000,
    };
    let function = Function {
        name: name.clone(),
        component: "f.wasm".into(),
        timeout: Span::from_secs(60),
        memory_bytes_max: MEMORY_BYTES_MAX,
        limits: Limits::default(),
        per_tenant: Limits::default(),
        for_tenants: BTreeMap::new(),
        grants: grants.clone(),
        config: BTreeMap::from([("colour".to_string(), "green".to_string())]),
        inbox,
    };
    let application = Application {
        name: Name::new("app").unwrap(),
        functions: BTreeMap::from([(name, function)]),
        queues: BTreeMap::new(),
        topics: BTreeMap::from([(
            announcements.clone(),
            Topic { name: announcements, subscribers: Vec::new() },
        )]),
        buses: BTreeMap::new(),
        routes: Vec::new(),
        limits: PlatformLimits::default(),
        tenant_defaults: TenantLimits::default(),
        tenants: BTreeMap::new(),
    };
    Arc::new(application.check().unwrap_or_else(|problems| panic!("{problems:?}")))
}

pub fn events(tenant: u32, scripts: &[&str]) -> Input {
    let delivery = |(number, script): (usize, &&str)| Delivery {
        envelope: envelope(tenant, number as u64),
        body: Body::from(script.as_bytes()),
        attempt: 1,
    };
    Input::Events(scripts.iter().enumerate().map(delivery).collect())
}

pub fn envelope(tenant: u32, seq: u64) -> Envelope {
    let id = EventId::at_edge(0, 1, Seq(seq));
    Envelope {
        id,
        tenant: TenantId(tenant),
        target: Name::new("jobs").unwrap(),
        attributes: Attributes {
            kind: "test".into(),
            source: "/test".into(),
            subject: None,
            content_type: "text/plain".into(),
        },
        time: Time(1_000_000),
        lineage: Lineage::edge(id),
    }
}

/// A guest that `cargo xtask guests` built.
pub fn guest_bytes(name: &str) -> Vec<u8> {
    let directory = std::env::var_os("FLYBALL_TEST_GUESTS").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/guests/dist"),
        PathBuf::from,
    );
    let plain = directory.join(format!("{name}.wasm"));
    let crated = directory.join(format!("guest_{}.wasm", name.replace('-', "_")));
    std::fs::read(&plain)
        .or_else(|_| std::fs::read(&crated))
        .unwrap_or_else(|error| panic!("{}: {error}; `cargo xtask guests` builds it", plain.display()))
}

/// What each event answered: its text, or the kind of its failure with the message.
pub fn verdicts(finished: &Finished) -> Vec<Result<String, (FailureKind, String)>> {
    let verdict = |result: &flyball_core::EventResult| match &result.verdict {
        Ok(body) => Ok(String::from_utf8_lossy(body).trim_end().to_string()),
        Err(failure) => Err((failure.kind, failure.message.clone())),
    };
    finished.outcome.results.iter().map(verdict).collect()
}

pub fn failure(finished: &Finished) -> (FailureKind, String) {
    verdicts(finished).remove(0).unwrap_err()
}

/// Key-value data and log lines in memory.
#[derive(Default)]
pub struct Memory {
    pub values: Mutex<BTreeMap<(u32, String), Vec<u8>>>,
    pub lines: Mutex<Vec<(LogLevel, String)>>,
}

impl Backend for Memory {
    fn call(&self, call: HostCall) -> BoxFuture<HostReply> {
        let reply = match call {
            HostCall::KvRead(tenant, key) => {
                let value = self.values.lock().unwrap().get(&(tenant.0, key.key)).cloned();
                let version = u64::from(value.is_some());
                HostReply::Value(value.map(Body::from), version)
            }
            other => HostReply::Unavailable(format!("{other:?}")),
        };
        // Not ready at once, so that the run really waits.
        Box::pin(async move { tokio::task::spawn(async move { reply }).await.unwrap() })
    }

    fn log(&self, call: HostCall) {
        if let HostCall::Log { level, message, .. } = call {
            self.lines.lock().unwrap().push((level, message));
        }
    }
}

pub fn may_use(namespace: &str) -> Grants {
    Grants { kv: BTreeMap::from([(Name::new(namespace).unwrap(), Access::ReadWrite)]), ..Grants::default() }
}
