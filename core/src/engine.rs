//! The engine: one type with one door.

mod io;

pub use io::*;
