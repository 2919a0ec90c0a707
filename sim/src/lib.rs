//! The application under stated traffic, in virtual time, on the engine that `serve` runs.
//!
//! Pure: no clock, no I/O; randomness comes from the seed. The same build and the same seed give the same bytes.
//!
//! - `plan`: design, profile and workload become what is simulated, with every assumption listed.
//! - `world`: the discrete-event world around `core::Engine`: callers, runs, environments, dependencies, the store.
//! - `aws`: AWS's services as actors. - `dependency`: databases and services under load.
//! - `random`, `lasting`, `arrivals`: what is drawn. - `measure`: what is counted.
//! - `result`: what a simulation says. `report`: how it is said.

pub mod arrivals;
pub mod aws;
pub mod lasting;
pub mod measure;
pub mod message;
pub mod random;
pub mod result;
