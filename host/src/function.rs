//! Components that are ready to run.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use wasmtime::{
    Engine,
    component::{Component, HasSelf, Linker},
};
use wasmtime_wasi_http::p2::bindings::ProxyPre;

use crate::{
    artifact::{Cache, Source},
    bindings::{EventFunction, EventFunctionPre},
    engine::HostLimits,
    guest::Guest,
};

/// What a component that answers HTTP exports, but for the patch version.
const HTTP_EXPORT: &str = "wasi:http/incoming-handler@0.2.";
/// What a component that handles events exports.
const EVENTS_EXPORT: &str = "flyball:function/handler@0.1.0";
/// A page of WebAssembly memory.
const PAGE_BYTES: u64 = 64 << 10;
/// Names that a message lists at most.
const NAMES_LISTED_MAX: usize = 32;

/// A component, compiled and linked: what is left for a run is to instantiate it.
pub struct LoadedFunction {
    pub(crate) http: Option<ProxyPre<Guest>>,
    pub(crate) events: Option<EventFunctionPre<Guest>>,
    pub(crate) memory_bytes_max: u64,
    source: Source,
}

impl LoadedFunction {
    /// Whether it answers HTTP requests (`wasi:http/incoming-handler`).
    pub fn answers_http(&self) -> bool {
        self.http.is_some()
    }

    /// Whether it handles events (`flyball:function/handler`).
    pub fn handles_events(&self) -> bool {
        self.events.is_some()
    }

    /// The most memory an instance may have, bytes.
    pub fn memory_bytes_max(&self) -> u64 {
        self.memory_bytes_max
    }

    /// Whether it was compiled just now or mapped from the cache.
    pub fn source(&self) -> Source {
        self.source
    }
}

impl fmt::Debug for LoadedFunction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoadedFunction")
            .field("answers_http", &self.answers_http())
            .field("handles_events", &self.handles_events())
            .field("memory_bytes_max", &self.memory_bytes_max)
            .field("source", &self.source)
            .finish()
    }
}

/// Why a component can't be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// Its file can't be read.
    #[error("can't read the component {}: {error}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        error: std::io::Error,
    },
    /// It is not a component, or uses what Wasmtime does not have.
    #[error("not a component that can be compiled: {0}{hint}", hint = module_hint(.0))]
    Compile(String),
    /// It exports neither world.
    #[error(
        "component of the wrong world: it exports {exports} and needs to export \
         wasi:http/incoming-handler@0.2 (to answer HTTP) or {EVENTS_EXPORT} (to handle events)"
    )]
    WrongWorld {
        /// What it exports.
        exports: String,
    },
    /// It imports what this host does not have.
    #[error(
        "this host has no {imports}, which the component imports; it has wasi 0.2 and flyball:function@0.1.0"
    )]
    MissingImports {
        /// What is missing, all of it.
        imports: String,
    },
    /// An import or export is there, of another type.
    #[error("an import or export does not fit: {0}; build it against the interfaces of this version")]
    WrongType(String),
    /// It starts with more memory than it may have.
    #[error(
        "the component starts with {needed_bytes} bytes of memory and memory_bytes_max is {bytes_max}; \
         raise it or build the component with less"
    )]
    MemoryTooSmall {
        /// What it starts with.
        needed_bytes: u64,
        /// What it may have.
        bytes_max: u64,
    },
    /// It may have more memory than the host gives any instance.
    #[error("memory_bytes_max is {bytes_max} and this host gives an instance {host_bytes_max} at most")]
    MemoryAboveHost {
        /// What it may have.
        bytes_max: u64,
        /// What the host gives.
        host_bytes_max: u64,
    },
}

/// Turns component files into [`LoadedFunction`]s.
pub(crate) struct Loader {
    engine: Engine,
    linker: Linker<Guest>,
    cache: Cache,
    limits: HostLimits,
}

impl Loader {
    pub(crate) fn new(engine: Engine, cache: Cache, limits: HostLimits) -> wasmtime::Result<Loader> {
        let mut linker = Linker::new(&engine);
        wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
        wasmtime_wasi_http::p2::add_only_http_to_linker_async(&mut linker)?;
        EventFunction::add_to_linker::<Guest, HasSelf<Guest>>(&mut linker, |guest| guest)?;
        Ok(Loader { engine, linker, cache, limits })
    }

    /// For a host that has other interfaces than the usual ones.
    pub(crate) fn linker(&mut self) -> &mut Linker<Guest> {
        &mut self.linker
    }

    pub(crate) fn load_file(&self, path: &Path, memory_bytes_max: u64) -> Result<LoadedFunction, LoadError> {
        let read = |error| LoadError::Read { path: path.to_owned(), error };
        self.load(&std::fs::read(path).map_err(read)?, memory_bytes_max)
    }

    pub(crate) fn load(&self, bytes: &[u8], memory_bytes_max: u64) -> Result<LoadedFunction, LoadError> {
        let host_bytes_max = self.limits.memory_bytes_max;
        if memory_bytes_max > host_bytes_max {
            return Err(LoadError::MemoryAboveHost { bytes_max: memory_bytes_max, host_bytes_max });
        }
        let compiled = self.cache.component(&self.engine, bytes);
        let (component, source) = compiled.map_err(|error| LoadError::Compile(format!("{error:#}")))?;
        self.check_memory(&component, memory_bytes_max)?;
        let exports = names(component.component_type().exports(&self.engine));
        let http = exports.iter().any(|name| name.starts_with(HTTP_EXPORT));
        let events = exports.iter().any(|name| name == EVENTS_EXPORT);
        if !http && !events {
            return Err(LoadError::WrongWorld { exports: list(&exports) });
        }
        self.check_imports(&component)?;
        let wrong = |error: wasmtime::Error| LoadError::WrongType(format!("{error:#}"));
        let pre = self.linker.instantiate_pre(&component).map_err(wrong)?;
        Ok(LoadedFunction {
            http: http.then(|| ProxyPre::new(pre.clone())).transpose().map_err(wrong)?,
            events: events.then(|| EventFunctionPre::new(pre)).transpose().map_err(wrong)?,
            memory_bytes_max,
            source,
        })
    }

    fn check_memory(&self, component: &Component, bytes_max: u64) -> Result<(), LoadError> {
        let pages = component.resources_required().and_then(|needed| needed.max_initial_memory_size);
        match pages.map(|pages| pages.saturating_mul(PAGE_BYTES)) {
            Some(needed_bytes) if needed_bytes > bytes_max => {
                Err(LoadError::MemoryTooSmall { needed_bytes, bytes_max })
            }
            _ => Ok(()),
        }
    }

    /// Names every import that is missing, where the linker itself would name the first.
    fn check_imports(&self, component: &Component) -> Result<(), LoadError> {
        let imports = component.component_type();
        let missing: Vec<String> =
            names(imports.imports(&self.engine)).into_iter().filter(|name| !provided(name)).collect();
        if missing.is_empty() {
            return Ok(());
        }
        Err(LoadError::MissingImports { imports: list(&missing) })
    }
}

/// Whether an import is among the interfaces that the linker has.
fn provided(import: &str) -> bool {
    let (interface, version) = import.split_once('@').unwrap_or((import, ""));
    let (package, name) = interface.split_once('/').unwrap_or((interface, ""));
    let wasi = version.starts_with("0.2.");
    let names: &[&str] = match package {
        "flyball:function" if version == "0.1.0" => {
            &["types", "emitter", "keyvalue", "blobs", "configuration", "logging"]
        }
        "wasi:io" if wasi => &["error", "poll", "streams"],
        "wasi:clocks" if wasi => &["wall-clock", "monotonic-clock"],
        "wasi:random" if wasi => &["random", "insecure", "insecure-seed"],
        "wasi:filesystem" if wasi => &["types", "preopens"],
        "wasi:http" if wasi => &["types", "outgoing-handler"],
        "wasi:sockets" if wasi => &[
            "instance-network",
            "ip-name-lookup",
            "network",
            "tcp",
            "tcp-create-socket",
            "udp",
            "udp-create-socket",
        ],
        "wasi:cli" if wasi => &[
            "environment",
            "exit",
            "stderr",
            "stdin",
            "stdout",
            "terminal-input",
            "terminal-output",
            "terminal-stderr",
            "terminal-stdin",
            "terminal-stdout",
        ],
        _ => &[],
    };
    names.contains(&name)
}

fn names<'a, T>(items: impl Iterator<Item = (&'a str, T)>) -> Vec<String> {
    items.map(|(name, _)| name.to_owned()).collect()
}

fn list(names: &[String]) -> String {
    match names {
        [] => "nothing".into(),
        names if names.len() > NAMES_LISTED_MAX => {
            let listed = names.get(..NAMES_LISTED_MAX).unwrap_or(names).join(", ");
            format!("{listed} and {} more", names.len() - NAMES_LISTED_MAX)
        }
        names => names.join(", "),
    }
}

/// The mistake that most first attempts make.
fn module_hint(error: &str) -> &'static str {
    if error.contains("attempted to parse a wasm module with a component parser") {
        " (build for wasm32-wasip2, or make a component of the module with `wasm-tools component new`)"
    } else {
        ""
    }
}
