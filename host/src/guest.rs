//! What belongs to one instance of a guest, and the calls it can make.

use std::{fmt::Write as _, sync::Arc};

use flyball_core::{
    Body, Span,
    invocation::{CallError, GuestCall, LogLevel, Reply},
};
use rand_core::{Rng as _, SeedableRng as _};
use rand_xoshiro::Xoshiro256PlusPlus;
use wasmtime::component::ResourceTable;
use wasmtime_wasi::{WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};

use crate::{
    bindings::flyball::function::{
        blobs, configuration, emitter, keyvalue, logging,
        types::{self, Error, NewEvent},
    },
    control::Control,
    deterministic::Inside,
    memory::MemoryLimit,
    outbound::Outbound,
    output::Lines,
};

/// The data of a store: one instance of one guest.
pub(crate) struct Guest {
    control: Arc<Control>,
    pub(crate) memory: MemoryLimit,
    output: [Lines; 2],
    table: ResourceTable,
    wasi: WasiCtx,
    http: WasiHttpCtx,
    outbound: Outbound,
}

impl Guest {
    /// No files, no environment, no sockets: clocks, randomness and output only.
    pub(crate) fn new(control: Arc<Control>, memory_bytes_max: u64) -> Guest {
        let out = Lines::new(control.clone(), LogLevel::Info);
        let err = Lines::new(control.clone(), LogLevel::Warn);
        let mut wasi = WasiCtx::builder();
        wasi.stdout(out.clone()).stderr(err.clone());
        if let Some(inside) = control.inside() {
            seeded(&mut wasi, inside.instance());
        }
        let wasi = wasi.build();
        Guest {
            memory: MemoryLimit::new(control.clone(), memory_bytes_max),
            output: [out, err],
            table: ResourceTable::new(),
            wasi,
            http: WasiHttpCtx::new(),
            outbound: Outbound::new(control.clone()),
            control,
        }
    }

    /// The state machine that decides its calls.
    pub(crate) fn control(&self) -> &Control {
        &self.control
    }

    /// What a deterministic run has instead of a machine.
    pub(crate) fn inside(&self) -> Option<&Arc<Inside>> {
        self.control.inside()
    }

    /// Logs what was written and not ended by a line's end.
    pub(crate) fn flush(&self) {
        self.output.iter().for_each(Lines::flush);
    }
}

/// All randomness follows from a seed, the secure kind too.
fn seeded(wasi: &mut WasiCtxBuilder, seed: [u8; 32]) {
    let of =
        |what: &str| Xoshiro256PlusPlus::from_seed(*blake3::keyed_hash(&seed, what.as_bytes()).as_bytes());
    let mut once = of("seed");
    let mut low = [0; 16];
    once.fill_bytes(&mut low);
    wasi.secure_random(of("secure")).insecure_random(of("insecure"));
    wasi.insecure_random_seed(u128::from_be_bytes(low));
}

impl WasiView for Guest {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl WasiHttpView for Guest {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView { hooks: &mut self.outbound, table: &mut self.table, ctx: &mut self.http }
    }
}

impl types::Host for Guest {}

impl emitter::Host for Guest {
    fn emit(&mut self, target: String, event: NewEvent) -> Result<String, Error> {
        let NewEvent { kind, subject, content_type, delay_ms, data } = event;
        let delay = Span(delay_ms.saturating_mul(1_000));
        let call = GuestCall::Emit { target, kind, subject, content_type, delay, body: Body::from(data) };
        match self.control.call_now(call) {
            Reply::Emitted(id) => Ok(id.to_string()),
            other => Err(refused(other)),
        }
    }
}

impl keyvalue::Host for Guest {
    async fn get(&mut self, namespace: String, key: String) -> Result<Option<Vec<u8>>, Error> {
        value(self.control.call(GuestCall::KvGet { namespace, key }).await)
    }

    fn set(&mut self, namespace: String, key: String, value: Vec<u8>) -> Result<(), Error> {
        let value = Some(Body::from(value));
        done(self.control.call_now(GuestCall::KvSet { namespace, key, value }))
    }

    fn delete(&mut self, namespace: String, key: String) -> Result<(), Error> {
        done(self.control.call_now(GuestCall::KvSet { namespace, key, value: None }))
    }

    async fn keys(
        &mut self,
        namespace: String,
        prefix: String,
        after: Option<String>,
        limit: u32,
    ) -> Result<Vec<String>, Error> {
        match self.control.call(GuestCall::KvKeys { namespace, prefix, after, limit }).await {
            Reply::Keys(keys) => Ok(keys),
            other => Err(refused(other)),
        }
    }
}

impl blobs::Host for Guest {
    async fn put(&mut self, data: Vec<u8>) -> Result<String, Error> {
        match self.control.call(GuestCall::BlobPut(Body::from(data))).await {
            Reply::Stored(hash) => Ok(hexadecimal(&hash)),
            other => Err(refused(other)),
        }
    }

    async fn get(&mut self, reference: String) -> Result<Option<Vec<u8>>, Error> {
        value(self.control.call(GuestCall::BlobGet(reference)).await)
    }
}

impl configuration::Host for Guest {
    fn get(&mut self, name: String) -> Option<String> {
        self.control.with(|invocation| invocation.function().config.get(&name).cloned()).flatten()
    }

    async fn secret(&mut self, name: String) -> Result<Option<Vec<u8>>, Error> {
        value(self.control.call(GuestCall::Secret(name)).await)
    }

    fn tenant(&mut self) -> String {
        self.control.tenant.to_string()
    }

    fn event_id(&mut self) -> String {
        let event =
            |run: &mut flyball_core::invocation::Invocation| run.event().map(|event| event.id.to_string());
        // A guest runs only while an event is being handled; while it is instantiated, too.
        self.control.with(event).flatten().unwrap_or_default()
    }
}

impl logging::Host for Guest {
    fn log(&mut self, level: logging::Level, message: String) {
        let level = match level {
            logging::Level::Debug => LogLevel::Debug,
            logging::Level::Info => LogLevel::Info,
            logging::Level::Warn => LogLevel::Warn,
            logging::Level::Error => LogLevel::Error,
        };
        self.control.log(level, message);
    }
}

fn value(reply: Reply) -> Result<Option<Vec<u8>>, Error> {
    match reply {
        Reply::Value(value) => Ok(value.map(|body| body.to_vec())),
        other => Err(refused(other)),
    }
}

fn done(reply: Reply) -> Result<(), Error> {
    match reply {
        Reply::Done => Ok(()),
        other => Err(refused(other)),
    }
}

fn refused(reply: Reply) -> Error {
    match reply {
        Reply::Refused(CallError::Denied(text)) => Error::Denied(text),
        Reply::Refused(CallError::Limit(text)) => Error::Limit(text),
        Reply::Refused(CallError::Invalid(text)) => Error::Invalid(text),
        Reply::Refused(CallError::Unavailable(text)) => Error::Unavailable(text),
        _ => Error::Unavailable("the answer does not fit the call".into()),
    }
}

fn hexadecimal(hash: &[u8; 32]) -> String {
    hash.iter().fold(String::with_capacity(64), |mut text, byte| {
        // Writing to a string can't fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
