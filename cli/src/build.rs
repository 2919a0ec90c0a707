//! Which build this is: the same inputs are promised to give the same effects within one build.

use std::sync::OnceLock;

use flyball_core::Fingerprint;

/// The version, and a hash over the program where it can be read.
pub fn name() -> &'static str {
    static NAME: OnceLock<String> = OnceLock::new();
    NAME.get_or_init(|| {
        let version = env!("CARGO_PKG_VERSION");
        let program = std::env::current_exe().and_then(std::fs::read);
        match program {
            Ok(program) => format!("{version} ({:016x})", Fingerprint::of(&[&program]).0),
            Err(_) => version.into(),
        }
    })
}
