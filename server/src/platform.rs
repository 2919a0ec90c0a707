//! The platform: an application with its functions, its tenants and its lane. The door for the gateway,
//! the admin API and whoever embeds Flyball.

mod dead;
mod load;

use std::{
    fmt,
    path::PathBuf,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use flyball_core::{
    Answer, Attributes, Body, Counts, Engine, EventId, Failure, Fingerprint, Input, LimitStatus, Name,
    Refusal, Send as SendEvent, Span, TenantId, Time,
    model::{Function, Shared},
};
use flyball_host::{HostConfig, HostError, WasmHost, wire};
use flyball_store::{Store, StoreError, embedded, memory::Memory};
use http::{Request, Response};

pub use crate::lane::{LookUpError, Record};
use crate::{
    backend::StoreBackend,
    executor::{Executor, Wasm},
    lane::{KeyOf, Lane, Parts, StoredRequest, locked},
    telemetry::{EventTrace, Exposition, LogLine, Telemetry},
    tenants::{Identity, KeyView, TenantError, TenantView, Tenants},
};

pub use dead::{DeadFilter, DeadPage, DeadShown, DeadSummary, RedriveReport};

/// The longest idempotency key, bytes.
pub const KEY_BYTES_MAX: usize = 255;

/// What a platform is opened with.
#[derive(Debug, Clone)]
pub struct PlatformConfig {
    /// The application.
    pub application: Shared,
    /// Where components' paths start: the application file's directory.
    pub base: PathBuf,
    /// Where data and compiled components are kept; `None` keeps data in memory, for tests.
    pub data: Option<PathBuf>,
    /// Where compiled components are kept; `None` for a directory within `data`.
    pub cache: Option<PathBuf>,
    /// Threads that guests run on; `None` for as many as there are processors.
    pub guest_threads: Option<usize>,
}

/// Why a platform can't be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Functions whose components can't be used, each with what is wrong.
    #[error("{}", functions(.0))]
    Functions(Vec<FunctionError>),
    /// The store can't be opened.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What the store holds can't be restored.
    #[error("the data can't be restored: {0}")]
    Restore(String),
    /// The WebAssembly host can't be started.
    #[error(transparent)]
    Host(#[from] HostError),
}

/// A function whose component can't be used.
#[derive(Debug)]
pub struct FunctionError {
    /// Which.
    pub function: Name,
    /// Its component's file.
    pub component: PathBuf,
    /// Whether its component is of a world that its triggers do not fit.
    pub wrong_world: bool,
    /// What is wrong, and what to do.
    pub message: String,
}

fn functions(errors: &[FunctionError]) -> String {
    let lines =
        errors.iter().map(|e| format!("function {} ({}): {}", e.function, e.component.display(), e.message));
    lines.collect::<Vec<_>>().join("\n")
}

/// A synchronous call's answer.
#[derive(Debug)]
pub enum CallAnswer {
    /// The function's response.
    Done {
        /// The call's id.
        id: EventId,
        /// The response.
        response: Response<Bytes>,
        /// It is the recorded one of an earlier call under the same key.
        replayed: bool,
    },
    /// The function failed.
    Failed {
        /// The call's id.
        id: EventId,
        /// Why.
        failure: Failure,
        /// It is the recorded one of an earlier call under the same key.
        replayed: bool,
    },
    /// Under a key, and no slot came free in time: it is durable and will run. [`Platform::result`] has
    /// its result.
    Accepted {
        /// The call's id.
        id: EventId,
    },
    /// Not taken on.
    Refused(Refusal),
}

/// An event to send.
#[derive(Debug, Clone)]
pub struct NewEvent {
    /// The queue, topic or bus.
    pub target: String,
    /// What it is.
    pub attributes: Attributes,
    /// Its bytes.
    pub body: Body,
    /// How long it waits before its first run.
    pub delay: Span,
}

/// What became of an event that was to be accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SendAnswer {
    /// It is durable.
    Accepted {
        /// Its id.
        id: EventId,
        /// It had been accepted before, under the same key.
        duplicate: bool,
    },
    /// Not taken on.
    Refused(Refusal),
}

/// What there is of a result.
#[derive(Debug)]
pub enum EventResult {
    /// Nothing is known of such an event of this tenant: it never was, or is forgotten.
    Unknown,
    /// It waits, or runs.
    Pending {
        /// Whether it runs now.
        running: bool,
        /// Runs begun.
        attempt: u16,
    },
    /// It succeeded.
    Done {
        /// When.
        at: Time,
        /// The response; an event's result is a response with its bytes.
        response: Response<Bytes>,
    },
    /// It failed for good.
    Failed {
        /// When.
        at: Time,
        /// Why.
        failure: Failure,
    },
}

/// See the module's text.
pub struct Platform {
    application: Shared,
    lane: Arc<Lane>,
    tenants: Arc<Tenants>,
    telemetry: Arc<Telemetry>,
    draining: Mutex<bool>,
    /// Held by whoever moves dead letters.
    dead: tokio::sync::Mutex<()>,
}

impl fmt::Debug for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Platform").field("application", &self.application.name).finish_non_exhaustive()
    }
}

impl Platform {
    /// Opens a platform: loads every component, restores what the store holds, and begins to run what
    /// waits. It blocks, for as long as components that are not in the cache take to compile. To be
    /// called within the tokio runtime that is to do the I/O.
    ///
    /// # Errors
    /// Every function that can't be used, or the first thing else that is wrong.
    pub fn open(config: PlatformConfig) -> Result<Arc<Platform>, OpenError> {
        Platform::open_recorded(config, None)
    }

    /// The same, and records what the engine is told.
    ///
    /// # Errors
    /// As [`Platform::open`].
    pub fn open_recorded(config: PlatformConfig, record: Option<Record>) -> Result<Arc<Platform>, OpenError> {
        let PlatformConfig { application, base, data, cache, guest_threads } = config;
        let io = tokio::runtime::Handle::current();
        let store: Arc<dyn Store> = match &data {
            Some(directory) => Arc::new(embedded::Embedded::open(directory, embedded::Options::default())?),
            None => Arc::new(Memory::new()),
        };
        let cache = cache.or_else(|| data.map(|data| data.join("components"))).unwrap_or_else(|| {
            std::env::temp_dir().join(format!("flyball-components-{}", std::process::id()))
        });
        let mut host = HostConfig::new(cache);
        host.threads = guest_threads;
        let cap = application.limits.limits.concurrency.cap;
        host.limits.instances_max = cap.saturating_add(cap / 8).saturating_add(8);
        let most = application.functions.values().map(|f| f.memory_bytes_max).max().unwrap_or(0);
        host.limits.memory_bytes_max = most.max(1 << 20);
        let host = WasmHost::new(host, &io)?;
        let functions = load::all(&application, &base, &host)?;
        let executor = Arc::new(Wasm::new(host, functions));
        Platform::open_with(application, store, executor, record, &io)
    }

    /// Opens a platform on this store and executor: for tests, and for whoever brings their own. What the
    /// engine is told goes to `record`.
    ///
    /// # Errors
    /// Where what the store holds can't be restored.
    pub fn open_with(
        application: Shared,
        store: Arc<dyn Store>,
        executor: Arc<dyn Executor>,
        record: Option<Record>,
        io: &tokio::runtime::Handle,
    ) -> Result<Arc<Platform>, OpenError> {
        let telemetry = Arc::new(Telemetry::new(application.limits.traced_events_max));
        let tenants = Arc::new(Tenants::open(application.clone(), store.clone())?);
        let backend = Arc::new(StoreBackend {
            store: store.clone(),
            tenants: tenants.clone(),
            telemetry: telemetry.clone(),
        });
        let parts = Parts {
            application: application.clone(),
            store,
            tenants: tenants.clone(),
            telemetry: telemetry.clone(),
            executor,
            backend,
            record,
        };
        let lane = Lane::open(parts, io).map_err(|error| OpenError::Restore(error.to_string()))?;
        let platform = Platform {
            application,
            lane,
            tenants,
            telemetry,
            draining: Mutex::new(false),
            dead: tokio::sync::Mutex::default(),
        };
        Ok(Arc::new(platform))
    }

    /// The application.
    pub fn application(&self) -> &Shared {
        &self.application
    }

    /// What is counted and remembered.
    pub fn telemetry(&self) -> &Telemetry {
        &self.telemetry
    }

    /// Why no new work is taken, if so.
    pub fn not_ready(&self) -> Option<String> {
        if *locked(&self.draining) {
            return Some("draining".into());
        }
        self.lane.down()
    }

    /// How many records could not be read when the store was opened. They are left where they are; the log
    /// names them.
    pub fn damaged_records(&self) -> u64 {
        self.lane.damaged()
    }

    /// Calls a function and waits for its response. Dropping the future abandons the call: one that waits
    /// is dropped, one that runs ends unheard.
    pub async fn call(
        &self,
        tenant: TenantId,
        function: &Name,
        request: Request<Bytes>,
        key: Option<&str>,
    ) -> CallAnswer {
        if let Some(refusal) = key.and_then(wrong_key) {
            return CallAnswer::Refused(refusal);
        }
        let answered = match key {
            None => self.lane.call(tenant, function.clone(), request).await,
            Some(key) => {
                let key = KeyOf { key, fingerprint: fingerprint_of(&request) };
                let attributes = wire::attributes(&request);
                let stored = StoredRequest { attributes, body: wire::encode_request(&request) };
                // On the heap: it is large, and calls without a key should not carry it about.
                Box::pin(self.lane.call_keyed(tenant, function.clone(), &key, stored)).await
            }
        };
        match answered.answer {
            Answer::Done { id, body, replayed } => {
                let response = answered.response.unwrap_or_else(|| wire::response(&body));
                CallAnswer::Done { id, response, replayed }
            }
            Answer::Failed { id, failure, replayed } => CallAnswer::Failed { id, failure, replayed },
            Answer::Accepted { id, .. } => CallAnswer::Accepted { id },
            Answer::Refused(refusal) => CallAnswer::Refused(refusal),
            Answer::LookAgain => CallAnswer::Refused(Refusal::Unavailable),
        }
    }

    /// Stores a request for a function; its result is kept for [`Platform::result`].
    pub async fn call_later(
        &self,
        tenant: TenantId,
        function: &Name,
        request: Request<Bytes>,
        key: Option<&str>,
    ) -> SendAnswer {
        let event = NewEvent {
            target: Name::inbox_of(function).to_string(),
            attributes: wire::attributes(&request),
            body: wire::encode_request(&request),
            delay: Span::ZERO,
        };
        let fingerprint = fingerprint_of(&request);
        self.accept(tenant, event, key.map(|key| KeyOf { key, fingerprint }), true).await
    }

    /// Sends an event.
    pub async fn send(&self, tenant: TenantId, event: NewEvent, key: Option<&str>) -> SendAnswer {
        let NewEvent { target, attributes, body, .. } = &event;
        if target.starts_with('@') {
            // Inboxes hold requests that were checked on their way in, and what topics and rules copy.
            return SendAnswer::Refused(Refusal::NoTarget { target: target.clone() });
        }
        let fingerprint = Fingerprint::of(&[
            target.as_bytes(),
            attributes.kind.as_bytes(),
            attributes.source.as_bytes(),
            attributes.subject.as_deref().unwrap_or_default().as_bytes(),
            attributes.content_type.as_bytes(),
            body,
        ]);
        self.accept(tenant, event, key.map(|key| KeyOf { key, fingerprint }), false).await
    }

    async fn accept(
        &self,
        tenant: TenantId,
        event: NewEvent,
        key: Option<KeyOf<'_>>,
        want_result: bool,
    ) -> SendAnswer {
        if let Some(refusal) = key.and_then(|key| wrong_key(key.key)) {
            return SendAnswer::Refused(refusal);
        }
        let NewEvent { target, attributes, body, delay } = event;
        let event = SendEvent {
            caller: flyball_core::CallerId(0),
            tenant,
            target,
            attributes,
            body,
            delay,
            key: None,
            want_result,
        };
        match self.lane.send(event, key.as_ref()).await.answer {
            Answer::Accepted { id, duplicate } => SendAnswer::Accepted { id, duplicate },
            Answer::Refused(refusal) => SendAnswer::Refused(refusal),
            Answer::Done { .. } | Answer::Failed { .. } | Answer::LookAgain => {
                SendAnswer::Refused(Refusal::Unavailable)
            }
        }
    }

    /// The result of a stored request, a keyed call or a keyed event, of this tenant.
    ///
    /// # Errors
    /// Where the record can't be read.
    pub fn result(&self, tenant: TenantId, id: EventId) -> Result<EventResult, LookUpError> {
        let status = self.lane.ask(|engine| engine.status(id)).flatten();
        if let Some(status) = status.filter(|status| status.tenant == tenant) {
            let running = status.invocation.is_some();
            return Ok(EventResult::Pending { running, attempt: status.attempt });
        }
        let settled = self.lane.settled(id)?.filter(|settled| settled.tenant == tenant);
        Ok(match settled {
            None => EventResult::Unknown,
            Some(settled) => match settled.verdict {
                Ok(body) => EventResult::Done { at: settled.at, response: wire::response(&body) },
                Err(failure) => EventResult::Failed { at: settled.at, failure },
            },
        })
    }

    /// What is remembered of the flow that an event belongs to, oldest first.
    pub fn trace(&self, id: EventId) -> Vec<EventTrace> {
        self.telemetry.trace(id)
    }

    /// A tenant's log lines after a cursor.
    pub fn logs(&self, tenant: TenantId, function: Option<&str>, after: u64, limit: usize) -> Vec<LogLine> {
        self.telemetry.logs(tenant, function, after, limit)
    }

    /// Every limit, with what stands against it; of `tenants_max` tenants at most.
    pub fn limits(&self, tenants_max: usize) -> Vec<LimitStatus> {
        self.lane.ask(|engine| engine.limits(tenants_max)).unwrap_or_default()
    }

    /// How much there is of what.
    pub fn counts(&self) -> Counts {
        self.lane.ask(Engine::counts).unwrap_or_default()
    }

    /// The metrics, as Prometheus text.
    pub fn metrics(&self) -> String {
        let mut page = Exposition::default();
        page.counts(&self.counts());
        page.damaged(self.damaged_records());
        page.recording(self.lane.recording());
        self.telemetry.figures(|figures| page.figures(figures));
        page.limits(&self.limits(50));
        page.finish()
    }

    /// The tenants, to look at.
    pub fn tenants(&self) -> &Tenants {
        &self.tenants
    }

    /// Whose key this is.
    pub fn tenant_by_key(&self, key: &str) -> Option<Identity> {
        self.tenants.by_key(key)
    }

    /// The tenant of this name.
    pub fn tenant_by_name(&self, name: &str) -> Option<Identity> {
        self.tenants.by_name(name)
    }

    /// Creates a tenant with a first key; the key's text is shown this once.
    ///
    /// # Errors
    /// As [`Tenants::create`] and [`Tenants::add_key`].
    pub fn create_tenant(self: &Arc<Self>, name: Name) -> Result<(TenantView, String), TenantError> {
        self.tenants.create(name.clone())?;
        let (key, _) = self.tenants.add_key(&name, None)?;
        let view = self.tenants.show(&name)?;
        self.tell_engine(view.id);
        Ok((view, key))
    }

    /// Enables or disables a tenant.
    ///
    /// # Errors
    /// As [`Tenants::set_enabled`].
    pub fn set_tenant_enabled(&self, name: &Name, enabled: bool) -> Result<TenantView, TenantError> {
        let view = self.tenants.set_enabled(name, enabled)?;
        self.tell_engine(view.id);
        Ok(view)
    }

    /// Makes a key. With `rotate` the keys there were stay valid for that long.
    ///
    /// # Errors
    /// As [`Tenants::add_key`].
    pub fn add_key(&self, name: &Name, rotate: Option<Span>) -> Result<(String, KeyView), TenantError> {
        self.tenants.add_key(name, rotate.map(|grace| crate::lane::wall_clock().after(grace)))
    }

    fn tell_engine(&self, id: TenantId) {
        if let Some(tenant) = self.tenants.one(id) {
            self.lane.step(Input::SetTenant(tenant));
        }
    }

    /// Takes no new work from here on; resolves when nothing runs, or after `grace`. Answers whether all
    /// that ran has ended; what had not goes on after the next start.
    pub async fn drain(&self, grace: Duration) -> bool {
        *locked(&self.draining) = true;
        self.lane.drain(grace).await
    }

    /// What still runs returns to its queue; what was committed and the time become durable; the store is let
    /// go of. Blocks.
    pub fn close(&self) {
        self.lane.close();
        if let Err(error) = self.lane.save_now() {
            tracing::warn!(%error, "the time of the end can't be saved");
        }
    }

    fn declared(&self, function: &str) -> Option<&Function> {
        self.application.functions.get(function)
    }

    /// Whether there is such a function.
    pub fn has_function(&self, function: &str) -> bool {
        self.declared(function).is_some()
    }
}

fn wrong_key(key: &str) -> Option<Refusal> {
    let wrong = key.bytes().position(|byte| !(0x21..=0x7e).contains(&byte));
    let why = match wrong {
        Some(at) => format!("byte {} is a space or no visible ASCII character", at + 1),
        None if key.is_empty() => "it is empty".to_string(),
        None if key.len() > KEY_BYTES_MAX => format!("it has {} bytes", key.len()),
        None => return None,
    };
    let message =
        format!("an idempotency key is 1 to {KEY_BYTES_MAX} visible ASCII characters without spaces; {why}");
    Some(Refusal::Invalid { message })
}

/// A hash of what a request asks for.
fn fingerprint_of(request: &Request<Bytes>) -> Fingerprint {
    let uri = request.uri().path_and_query().map_or("/", |path| path.as_str());
    let content_type =
        request.headers().get(http::header::CONTENT_TYPE).map_or(&b""[..], |value| value.as_bytes());
    Fingerprint::of(&[request.method().as_str().as_bytes(), uri.as_bytes(), content_type, request.body()])
}
