//! The application file: any text is either explained or read to an application that an engine can be made
//! of. What is asserted is in docs/fuzzing.md.
#![no_main]

use std::sync::Arc;

use flyball_app::{DIAGNOSTICS_MAX, Diagnostics, read_with};
use flyball_core::{Engine, Input, Settings, Tenant, TenantId, Time, invariant, model::Application};
use libfuzzer_sys::fuzz_target;

/// The longest message, help or snippet, bytes: each quotes a bounded part of the file.
const TEXT_BYTES_MAX: usize = 4_096;

fuzz_target!(|text: &str| {
    let exists = |path: &str| !path.contains("missing");
    let first = read_with("flyball.toml", text, exists);
    match &first {
        Ok(read) => {
            accepted(&Arc::new(read.application.clone()));
            let longer = format!("{text}\n");
            let again = read_with("flyball.toml", &longer, exists).expect("a line's end changes nothing");
            assert_eq!(*again.application, *read.application);
        }
        Err(wrong) => {
            explained(text, wrong);
            let again = read_with("flyball.toml", text, exists).expect_err("the same text, the same answer");
            assert_eq!(again.diagnostics, wrong.diagnostics);
        }
    }
});

/// What is read holds together, and the engine takes it.
fn accepted(application: &Arc<flyball_core::model::Checked>) {
    let plain: Application = (***application).clone();
    assert!(plain.check().is_ok(), "what was checked passes the check again");
    let settings = Settings { lane: 1, incarnation: 1, process: 1, seed: 1 };
    let mut engine = Engine::new(application.clone(), settings);
    let mut effects = Vec::new();
    for (name, number) in application.tenants.keys().zip(1..=64) {
        let limits = application.limits_of(name).clone();
        let tenant = Tenant { id: TenantId(number), name: name.clone(), limits, enabled: true };
        engine.step(Time(1), Input::SetTenant(tenant), &mut effects);
    }
    engine.step(Time(1), Input::Opened, &mut effects);
    invariant::check(&engine).expect("an engine with nothing in it");
    assert!(effects.is_empty());
}

/// Each finding is somewhere in the file, says what to do, and can't reach a terminal's controls.
fn explained(text: &str, wrong: &Diagnostics) {
    assert!(!wrong.diagnostics.is_empty() && wrong.diagnostics.len() <= DIAGNOSTICS_MAX);
    let lines: Vec<&str> = text.split('\n').collect();
    let places: Vec<_> = wrong.diagnostics.iter().map(|d| (d.line, d.column)).collect();
    assert!(places.is_sorted(), "{places:?}");
    for found in &wrong.diagnostics {
        assert!(found.line >= 1 && found.line <= lines.len(), "{found:?}");
        let chars = lines[found.line - 1].chars().count();
        assert!(found.column >= 1 && found.column <= chars + 1, "{found:?}");
        for part in [&found.message, &found.help, &found.snippet] {
            assert!(!part.is_empty() && part.len() <= TEXT_BYTES_MAX, "{} bytes: {found:?}", part.len());
            assert!(!part.chars().any(|c| c.is_control() && c != '\n'), "{found:?}");
        }
    }
    assert!(!wrong.to_string().is_empty());
    let json = serde_json::to_string(&wrong.to_json()).expect("findings are JSON");
    assert!(serde_json::from_str::<serde_json::Value>(&json).is_ok());
}
