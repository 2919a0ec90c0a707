//! The only owner of sockets, clock and tasks: the driver of the engine, the HTTP gateway and the admin API.
//!
//! - [`gateway`]: HTTP to the application's routes. [`admin`]: the API of those who operate it.
//! - [`platform`]: the door: an application with its functions, tenants and lane.
//! - `lane`: drives one engine with a real clock, a store and an executor.
//! - [`tenants`]: names, API keys and secrets. [`telemetry`]: figures, traces, logs, metrics.
//! - `backend`: what functions reach through the host. [`executor`]: what runs them.

pub mod admin;
mod backend;
pub mod executor;
pub mod gateway;
mod lane;
pub mod platform;
pub mod telemetry;
pub mod tenants;
