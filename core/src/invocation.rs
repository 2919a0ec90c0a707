//! One invocation as seen from inside: a small state machine between a guest and its host.
//!
//! A guest (a WebAssembly component, a process, a model in the simulator) makes calls; each is either
//! answered at once or turned into something the host must fetch: [`Invocation::call`] gives a [`Step`],
//! [`Invocation::resume`] takes the host's reply. Grants, limits, the buffer of key-value writes and the
//! ordinals of emitted events are decided here and nowhere else, so every executor agrees.
//!
//! ```text
//! begin(event) → call* (→ resume)* → end(verdict) → begin(next event) … → finish(usage) → Outcome
//! ```
//!
//! Invariant: a tenant is fixed at `new` and no call can name another.
//! Invariant: what an event emitted and wrote is dropped with its failure, whole.

use std::collections::BTreeMap;

use crate::{
    Attributes, Body, Emit, Envelope, EventId, EventResult, Failure, FailureKind, KvKey, KvWrite, Name,
    Outcome, Read, Span, TenantId, Usage,
    model::{Access, Function, Shared},
    record::OUTCOME_BYTES_MAX,
};

/// A call that a guest makes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GuestCall {
    /// Emit an event to a queue, topic or bus.
    Emit {
        /// The target's name.
        target: String,
        /// CloudEvents `type`.
        kind: String,
        /// CloudEvents `subject`.
        subject: Option<String>,
        /// CloudEvents `datacontenttype`.
        content_type: String,
        /// How long it waits before its first run.
        delay: Span,
        /// Its bytes.
        body: Body,
    },
    /// Read a key.
    KvGet {
        /// The namespace.
        namespace: String,
        /// The key.
        key: String,
    },
    /// Write a key, or delete it.
    KvSet {
        /// The namespace.
        namespace: String,
        /// The key.
        key: String,
        /// The value; `None` deletes.
        value: Option<Body>,
    },
    /// List keys.
    KvKeys {
        /// The namespace.
        namespace: String,
        /// What they start with.
        prefix: String,
        /// Only keys after this one.
        after: Option<String>,
        /// How many at most.
        limit: u32,
    },
    /// Store a blob.
    BlobPut(Body),
    /// Read a blob: 64 hexadecimal digits.
    BlobGet(String),
    /// Read a secret of the tenant.
    Secret(String),
    /// Log a line.
    Log {
        /// How bad it is.
        level: LogLevel,
        /// The line.
        message: String,
    },
    /// Send a request to the outside; the host sends it where the reply allows it.
    Http {
        /// The host, without port.
        host: String,
        /// The port.
        port: u16,
        /// What the request is: method, URL and body hash, or a name the caller gave.
        name: String,
    },
}

/// How bad a log line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogLevel {
    /// For whoever debugs.
    Debug,
    /// Of note.
    Info,
    /// Suspicious.
    Warn,
    /// Wrong.
    Error,
}

/// What becomes of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// The answer.
    Reply(Reply),
    /// The host must do this and [`Invocation::resume`] with what came of it.
    Host(HostCall),
}

/// What only the host can do. The tenant is in it, put there by the invocation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostCall {
    /// Read the committed value of a key.
    KvRead(TenantId, KvKey),
    /// List committed keys in byte order.
    KvScan {
        /// Whose.
        tenant: TenantId,
        /// The namespace.
        namespace: Name,
        /// What they start with.
        prefix: String,
        /// Only keys after this one.
        after: Option<String>,
        /// How many at most.
        limit: u32,
    },
    /// Store a blob durably.
    BlobWrite(TenantId, Body),
    /// Read a blob.
    BlobRead(TenantId, [u8; 32]),
    /// Read a secret.
    SecretRead(TenantId, String),
    /// Pass on a log line.
    Log {
        /// Whose.
        tenant: TenantId,
        /// The function that logs.
        function: Name,
        /// The event being handled.
        event: EventId,
        /// How bad it is.
        level: LogLevel,
        /// The line, within its limit.
        message: String,
    },
}

/// What came of a [`HostCall`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostReply {
    /// A committed value with its version; `None` and version 0 where there is none.
    Value(Option<Body>, u64),
    /// Committed keys with their versions.
    Keys(Vec<(String, u64)>),
    /// A blob is stored under this hash.
    Stored([u8; 32]),
    /// A blob or secret, if there is one.
    Found(Option<Body>),
    /// It is done.
    Done,
    /// It can't be done now, and why.
    Unavailable(String),
}

/// The answer to a [`GuestCall`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// The event will have this id.
    Emitted(EventId),
    /// A value, blob or secret, if there is one.
    Value(Option<Body>),
    /// Keys in byte order.
    Keys(Vec<String>),
    /// A blob's reference.
    Stored([u8; 32]),
    /// It is done.
    Done,
    /// The request may be sent, with this idempotency key.
    Allowed(EventId),
    /// It was refused.
    Refused(CallError),
}

/// Why a call was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// A grant is missing; the text says which and where to add it.
    #[error("{0}")]
    Denied(String),
    /// A limit was reached; the text names it with its value.
    #[error("{0}")]
    Limit(String),
    /// An argument is wrong.
    #[error("{0}")]
    Invalid(String),
    /// The host can't do it now.
    #[error("{0}")]
    Unavailable(String),
}

/// How many full listings one invocation may make, about.
const LISTINGS_MAX: u64 = 16;

/// What of a name that was not granted is quoted, bytes.
const DENIED_BYTES_MAX: usize = 100;

/// What one event has done so far.
#[derive(Debug)]
struct Current {
    envelope: Envelope,
    emits: Vec<Emit>,
    emitted_bytes: u64,
    writes: BTreeMap<KvKey, Option<Body>>,
    written_bytes: u64,
    /// How often each outbound call was made, for its key's occurrence.
    outbound: BTreeMap<String, u32>,
    http_calls: u32,
    log_lines: u32,
}

/// What the host was asked, so that its reply can be read.
#[derive(Debug)]
enum Waiting {
    Read(KvKey),
    Scan { namespace: Name, prefix: String, after: Option<String>, limit: usize },
    Other,
}

/// The state machine. See the module's text.
#[derive(Debug)]
pub struct Invocation {
    application: Shared,
    function: Function,
    tenant: TenantId,
    current: Option<Current>,
    waiting: Option<Waiting>,
    results: Vec<EventResult>,
    /// Writes of events that succeeded, later ones over earlier ones.
    writes: BTreeMap<KvKey, Option<Body>>,
    written_bytes: u64,
    /// The first version read of each key.
    reads: BTreeMap<KvKey, u64>,
}

impl Invocation {
    /// A run of `function` for `tenant`; `None` where the application has no such function.
    pub fn new(application: Shared, function: &str, tenant: TenantId) -> Option<Invocation> {
        let function = application.functions.get(function)?.clone();
        Some(Invocation {
            application,
            function,
            tenant,
            current: None,
            waiting: None,
            results: Vec::new(),
            writes: BTreeMap::new(),
            written_bytes: 0,
            reads: BTreeMap::new(),
        })
    }

    /// The function that runs.
    pub fn function(&self) -> &Function {
        &self.function
    }

    /// Whose run it is.
    pub fn tenant(&self) -> TenantId {
        self.tenant
    }

    /// The event being handled.
    pub fn event(&self) -> Option<&Envelope> {
        self.current.as_ref().map(|current| &current.envelope)
    }

    /// How many events have ended.
    pub fn ended(&self) -> usize {
        self.results.len()
    }

    /// The handling of this event (or call) begins. An event that was not ended counts as failed.
    pub fn begin(&mut self, envelope: Envelope) {
        debug_assert_eq!(envelope.tenant, self.tenant, "a batch holds one tenant's events");
        if self.current.is_some() {
            self.end(Err(Failure::new(FailureKind::Trap, "its handling was broken off")));
        }
        self.waiting = None;
        self.current = Some(Current {
            envelope,
            emits: Vec::new(),
            emitted_bytes: 0,
            writes: BTreeMap::new(),
            written_bytes: 0,
            outbound: BTreeMap::new(),
            http_calls: 0,
            log_lines: 0,
        });
    }

    /// The guest calls.
    pub fn call(&mut self, call: GuestCall) -> Step {
        let outcome = match call {
            GuestCall::Emit { target, kind, subject, content_type, delay, body } => {
                self.emit(&target, kind, subject, content_type, delay, body).map(Step::Reply)
            }
            GuestCall::KvGet { namespace, key } => self.kv_get(&namespace, key),
            GuestCall::KvSet { namespace, key, value } => {
                self.kv_set(&namespace, key, value).map(Step::Reply)
            }
            GuestCall::KvKeys { namespace, prefix, after, limit } => {
                self.kv_keys(&namespace, prefix, after, limit)
            }
            GuestCall::BlobPut(body) => self.blob_put(body),
            GuestCall::BlobGet(reference) => self.blob_get(&reference),
            GuestCall::Secret(name) => self.secret(name),
            GuestCall::Log { level, message } => self.log(level, message),
            GuestCall::Http { host, port, name } => self.http(&host, port, name).map(Step::Reply),
        };
        outcome.unwrap_or_else(|refused| Step::Reply(Reply::Refused(refused)))
    }

    /// The host has done what [`Step::Host`] asked.
    pub fn resume(&mut self, reply: HostReply) -> Reply {
        match (self.waiting.take(), reply) {
            (_, HostReply::Unavailable(why)) => Reply::Refused(CallError::Unavailable(why)),
            (Some(Waiting::Read(key)), HostReply::Value(value, version)) => {
                self.reads.entry(key).or_insert(version);
                Reply::Value(value)
            }
            (Some(Waiting::Scan { namespace, prefix, after, limit }), HostReply::Keys(keys)) => {
                self.listed(&namespace, &prefix, after.as_deref(), limit, keys)
            }
            (Some(Waiting::Other), HostReply::Stored(hash)) => Reply::Stored(hash),
            (Some(Waiting::Other), HostReply::Found(body)) => Reply::Value(body),
            (Some(Waiting::Other), HostReply::Done) => Reply::Done,
            // A host that answers another question than it was asked has lost its place.
            _ => Reply::Refused(CallError::Unavailable("the host's answer does not fit the call".into())),
        }
    }

    /// The handling of the current event has ended. What it did is kept with a success and dropped
    /// with a failure. Does nothing where no event is being handled.
    pub fn end(&mut self, verdict: Result<Body, Failure>) {
        self.waiting = None;
        let Some(current) = self.current.take() else { return };
        let limit = self.application.limits.invocation.result_bytes_max;
        let verdict = verdict.and_then(|body| {
            if body.len() as u64 > limit {
                let message = format!("its result has {} bytes; result_bytes_max is {limit}", body.len());
                return Err(Failure::new(FailureKind::LimitExceeded, message));
            }
            Ok(body)
        });
        let emits = if verdict.is_ok() {
            self.writes.extend(current.writes);
            self.written_bytes = self.writes.iter().map(|(key, value)| written(key, value.as_ref())).sum();
            current.emits
        } else {
            Vec::new()
        };
        self.results.push(EventResult { verdict, emits });
    }

    /// All is over. `events` is how many were started with it: those whose turn did not come are
    /// reported as not run.
    pub fn finish(mut self, events: usize, usage: Usage) -> Outcome {
        if self.current.is_some() {
            self.end(Err(Failure::new(FailureKind::Trap, "its handling was broken off")));
        }
        while self.results.len() < events {
            let failure = Failure::new(FailureKind::NotRun, "the run ended before its turn came");
            self.results.push(EventResult { verdict: Err(failure), emits: Vec::new() });
        }
        Outcome {
            results: self.results,
            // Whether they are checked is the engine's to say: only where something is written.
            reads: self.reads.into_iter().map(|(key, version)| Read { key, version }).collect(),
            writes: self.writes.into_iter().map(|(key, value)| KvWrite { key, value }).collect(),
            usage,
        }
    }

    fn current(&mut self) -> Result<&mut Current, CallError> {
        self.current
            .as_mut()
            .ok_or_else(|| CallError::Invalid("no event is being handled: call while handling one".into()))
    }

    fn emit(
        &mut self,
        target: &str,
        kind: String,
        subject: Option<String>,
        content_type: String,
        delay: Span,
        body: Body,
    ) -> Result<Reply, CallError> {
        let name = self.function.name.clone();
        let granted = self
            .function
            .grants
            .emit
            .get(target)
            .cloned()
            .ok_or_else(|| denied(&name, "emit", target, |target| format!("emit = [\"{target}\"]")))?;
        let limits = self.application.limits.invocation.clone();
        let event_bytes_max = self.application.limits.event_bytes_max;
        let source = format!("/{}/{name}", self.application.name);
        let tenant = self.tenant;
        let attributes = Attributes { kind, source, subject, content_type };
        if let Some((what, bytes)) = attributes.too_long() {
            let most = crate::event::ATTRIBUTE_BYTES_MAX;
            return Err(CallError::Invalid(format!(
                "the attribute {what} has {bytes} bytes, {most} at most"
            )));
        }
        within("event_bytes_max", body.len() as u64, event_bytes_max)?;
        within("delay_max (ms)", delay.as_millis(), limits.delay_max.as_millis())?;
        let current = self.current()?;
        let ordinal = current.emits.len() as u32; // bounded by `emits_max`, a `u32`
        within("emits_max", u64::from(ordinal) + 1, u64::from(limits.emits_max))?;
        let bytes = current.emitted_bytes.saturating_add(body.len() as u64);
        within("emitted_bytes_max", bytes, limits.emitted_bytes_max)?;
        current.emitted_bytes = bytes;
        let id = current.envelope.id.emitted(ordinal);
        let lineage = current.envelope.lineage_through(&name);
        let time = current.envelope.time;
        let envelope = Envelope { id, tenant, target: granted, attributes, time, lineage };
        current.emits.push(Emit { envelope, body, delay });
        Ok(Reply::Emitted(id))
    }

    fn namespace(&self, namespace: &str, needed: Access) -> Result<Name, CallError> {
        match self.function.grants.kv.get_key_value(namespace) {
            Some((name, access)) if *access >= needed => Ok(name.clone()),
            _ => {
                let how = if needed == Access::Read { "read" } else { "read-write" };
                let add = |namespace: &str| format!("kv = {{ {namespace} = \"{how}\" }}");
                Err(denied(&self.function.name, &format!("{how} key-value namespace"), namespace, add))
            }
        }
    }

    fn key(&self, namespace: &str, key: String, needed: Access) -> Result<KvKey, CallError> {
        let namespace = self.namespace(namespace, needed)?;
        let limits = &self.application.limits.invocation;
        if key.is_empty() {
            return Err(CallError::Invalid("a key can't be empty".into()));
        }
        within("key_bytes_max", key.len() as u64, u64::from(limits.key_bytes_max))?;
        let key = KvKey { namespace, key };
        let pending = self.current.as_ref().map_or(0, |current| current.writes.len());
        let known = self.reads.contains_key(&key)
            || self.writes.contains_key(&key)
            || self.current.as_ref().is_some_and(|current| current.writes.contains_key(&key));
        if !known {
            let used = self.reads.len() + self.writes.len() + pending;
            within("keys_max", used as u64 + 1, u64::from(limits.keys_max))?;
        }
        Ok(key)
    }

    /// The value that this invocation itself has written, if it has.
    fn own_write(&self, key: &KvKey) -> Option<&Option<Body>> {
        let current = self.current.as_ref().and_then(|current| current.writes.get(key));
        current.or_else(|| self.writes.get(key))
    }

    fn kv_get(&mut self, namespace: &str, key: String) -> Result<Step, CallError> {
        let key = self.key(namespace, key, Access::Read)?;
        self.current()?;
        if let Some(value) = self.own_write(&key) {
            return Ok(Step::Reply(Reply::Value(value.clone())));
        }
        self.waiting = Some(Waiting::Read(key.clone()));
        Ok(Step::Host(HostCall::KvRead(self.tenant, key)))
    }

    fn kv_set(&mut self, namespace: &str, key: String, value: Option<Body>) -> Result<Reply, CallError> {
        let key = self.key(namespace, key, Access::ReadWrite)?;
        let most = self.application.limits.invocation.value_bytes_max;
        within("value_bytes_max", value.as_ref().map_or(0, |v| v.len() as u64), most)?;
        let before = self.written_bytes;
        let current = self.current()?;
        let replaced = current.writes.get(&key).map_or(0, |old| written(&key, old.as_ref()));
        let bytes = current.written_bytes - replaced + written(&key, value.as_ref());
        // Host memory, which the guest's own limit does not bound. More than that could never be committed.
        within("written bytes of one run", before + bytes, OUTCOME_BYTES_MAX)?;
        current.written_bytes = bytes;
        current.writes.insert(key, value);
        Ok(Reply::Done)
    }

    fn kv_keys(
        &mut self,
        namespace: &str,
        prefix: String,
        after: Option<String>,
        limit: u32,
    ) -> Result<Step, CallError> {
        let namespace = self.namespace(namespace, Access::Read)?;
        self.current()?;
        let limit = limit.min(self.application.limits.invocation.listed_keys_max);
        // Own deletions may hide keys, so that many more are fetched.
        let hidden = self.writes.len() + self.current.as_ref().map_or(0, |current| current.writes.len());
        self.waiting = Some(Waiting::Scan {
            namespace: namespace.clone(),
            prefix: prefix.clone(),
            after: after.clone(),
            limit: limit as usize,
        });
        let limit = limit.saturating_add(u32::try_from(hidden).unwrap_or(u32::MAX));
        Ok(Step::Host(HostCall::KvScan { tenant: self.tenant, namespace, prefix, after, limit }))
    }

    /// Committed keys with this run's own writes laid over them.
    fn listed(
        &mut self,
        namespace: &Name,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
        committed: Vec<(String, u64)>,
    ) -> Reply {
        let limits = &self.application.limits.invocation;
        // A version is kept for each key that was listed, however many listings there are.
        let most = u64::from(limits.keys_max) + LISTINGS_MAX * u64::from(limits.listed_keys_max);
        let kept = (self.reads.len() + committed.len()) as u64;
        if let Err(refused) = within("keys read and listed (keys_max + 16 × listed_keys_max)", kept, most) {
            return Reply::Refused(refused);
        }
        let mut keys: BTreeMap<String, bool> = BTreeMap::new();
        for (key, version) in committed {
            let id = KvKey { namespace: namespace.clone(), key: key.clone() };
            self.reads.entry(id).or_insert(version);
            keys.insert(key, true);
        }
        let own = self.current.as_ref().map(|current| &current.writes);
        for (key, value) in self.writes.iter().chain(own.into_iter().flatten()) {
            let wanted = key.namespace == *namespace
                && key.key.starts_with(prefix)
                && after.is_none_or(|after| key.key.as_str() > after);
            if wanted {
                keys.insert(key.key.clone(), value.is_some());
            }
        }
        let there = keys.into_iter().filter(|(_, exists)| *exists).map(|(key, _)| key);
        Reply::Keys(there.take(limit).collect())
    }

    fn blobs(&self, needed: Access) -> Result<(), CallError> {
        if self.function.grants.blobs.is_some_and(|access| access >= needed) {
            return Ok(());
        }
        let how = if needed == Access::Read { "read" } else { "read-write" };
        Err(denied(&self.function.name, how, "blobs", |blobs| format!("{blobs} = \"{how}\"")))
    }

    fn blob_put(&mut self, body: Body) -> Result<Step, CallError> {
        self.blobs(Access::ReadWrite)?;
        within("blob_bytes_max", body.len() as u64, self.application.limits.invocation.blob_bytes_max)?;
        self.waiting = Some(Waiting::Other);
        Ok(Step::Host(HostCall::BlobWrite(self.tenant, body)))
    }

    fn blob_get(&mut self, reference: &str) -> Result<Step, CallError> {
        self.blobs(Access::Read)?;
        let hash = parse_reference(reference)
            .ok_or_else(|| CallError::Invalid("a blob's reference is 64 hexadecimal digits".into()))?;
        self.waiting = Some(Waiting::Other);
        Ok(Step::Host(HostCall::BlobRead(self.tenant, hash)))
    }

    fn secret(&mut self, name: String) -> Result<Step, CallError> {
        if !self.function.grants.secrets.contains(&name) {
            let add = |name: &str| format!("secrets = [\"{name}\"]");
            return Err(denied(&self.function.name, "read secret", &name, add));
        }
        self.waiting = Some(Waiting::Other);
        Ok(Step::Host(HostCall::SecretRead(self.tenant, name)))
    }

    fn log(&mut self, level: LogLevel, mut message: String) -> Result<Step, CallError> {
        let limits = &self.application.limits.invocation;
        let (lines_max, bytes_max) = (limits.log_lines_max, limits.log_line_bytes_max as usize);
        let (tenant, function) = (self.tenant, self.function.name.clone());
        let current = self.current()?;
        current.log_lines = current.log_lines.saturating_add(1);
        if current.log_lines > lines_max {
            return Err(CallError::Limit(format!("log_lines_max is {lines_max}; this line is dropped")));
        }
        message.truncate(message.floor_char_boundary(bytes_max));
        let event = current.envelope.id;
        self.waiting = Some(Waiting::Other);
        Ok(Step::Host(HostCall::Log { tenant, function, event, level, message }))
    }

    fn http(&mut self, host: &str, port: u16, name: String) -> Result<Reply, CallError> {
        if !self.function.grants.http.iter().any(|pattern| pattern.allows(host, port)) {
            let add = |host: &str| format!("http = [\"{host}\"]");
            return Err(denied(&self.function.name, "send requests to", &format!("{host}:{port}"), add));
        }
        let most = self.application.limits.invocation.http_calls_max;
        let current = self.current()?;
        within("http_calls_max", u64::from(current.http_calls) + 1, u64::from(most))?;
        current.http_calls += 1;
        let occurrence = current.outbound.entry(name.clone()).or_default();
        let key = current.envelope.id.outbound_key(&name, *occurrence);
        *occurrence += 1;
        Ok(Reply::Allowed(key))
    }
}

/// `add`: the grant that is missing, of what the guest named.
fn denied(function: &Name, what: &str, which: &str, add: impl FnOnce(&str) -> String) -> CallError {
    // The guest chose it, and it may fill the guest's memory: only the start of it is quoted.
    let mut shown = which.get(..which.floor_char_boundary(DENIED_BYTES_MAX)).unwrap_or("").to_string();
    if shown.len() < which.len() {
        shown.push('…');
    }
    let add = add(&shown);
    CallError::Denied(format!(
        "function {function} may not {what} {shown}: the grant is missing; add `{add}` to [function.{function}.grants]"
    ))
}

/// What a write takes.
fn written(key: &KvKey, value: Option<&Body>) -> u64 {
    (key.namespace.len() + key.key.len() + value.map_or(0, |value| value.len())) as u64
}

fn within(limit: &str, value: u64, most: u64) -> Result<(), CallError> {
    if value <= most {
        return Ok(());
    }
    Err(CallError::Limit(format!("{limit} is {most}; this would be {value}")))
}

fn parse_reference(text: &str) -> Option<[u8; 32]> {
    let (high, low) = text.split_at_checked(32)?;
    let (high, low) = (EventId::parse(high)?, EventId::parse(low)?);
    let mut hash = [0; 32];
    hash[..16].copy_from_slice(&high.0);
    hash[16..].copy_from_slice(&low.0);
    Some(hash)
}

#[cfg(test)]
mod tests;
