//! Runs functions that are WebAssembly components.
//!
//! The door is [`WasmHost`]: [`WasmHost::load`] turns a component into a [`LoadedFunction`],
//! [`WasmHost::start`] runs it once for one tenant and tells how it [`Finished`]. Guests run on threads of their
//! own, give way every 1 to 2 ms, and go on in the tenants' fair order; each run has a fresh instance, a
//! memory limit and a deadline that also stops a busy loop. What a guest may call is decided by
//! [`flyball_core::invocation`]; what the host must fetch for it comes from a [`Backend`].

mod artifact;
mod backend;
mod bindings;
mod control;
pub mod deterministic;
mod engine;
mod executor;
mod fair;
mod function;
mod guest;
mod memory;
mod outbound;
mod output;
mod response;
mod run;
mod wasm;
pub mod wire;

pub use artifact::Source;
pub use backend::{Backend, BoxFuture};
pub use engine::{Allocation, HostLimits, bare_engine};
pub use function::{LoadError, LoadedFunction};
pub use run::{Delivery, Finished, HttpCall, Input};
pub use wasm::{Done, FirstSlice, HostConfig, HostError, Run, Stopper, WasmHost};
