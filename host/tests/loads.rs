//! Loading components: worlds, imports, limits, the cache of compiled artifacts.

#![expect(clippy::unwrap_used, reason = "a test's own mistakes may panic")]

#[expect(dead_code, reason = "shared with the other tests")]
mod world;

use std::{fs, path::PathBuf};

use flyball_host::{LoadError, Source};
use world::{MEMORY_BYTES_MAX, World, guest_bytes};

fn wat(text: &str) -> Vec<u8> {
    wat::parse_str(text).unwrap()
}

fn load(world: &World, text: &str) -> LoadError {
    world.host.load(&wat(text), MEMORY_BYTES_MAX).unwrap_err()
}

#[test]
fn a_component_of_the_wrong_world_is_told_what_it_exports_and_needs() {
    let world = World::new(1);
    let text = r#"(component (component $c) (instance $i (instantiate $c)) (export "a:b/c" (instance $i)))"#;
    let error = load(&world, text);
    assert!(matches!(error, LoadError::WrongWorld { .. }), "{error}");
    for part in ["exports a:b/c", "wasi:http/incoming-handler@0.2", "flyball:function/handler@0.1.0"] {
        assert!(error.to_string().contains(part), "{error}");
    }
}

#[test]
fn every_missing_import_is_named() {
    let world = World::new(1);
    let text = r#"(component
        (import "a:b/one@1.0.0" (instance))
        (import "wasi:cli/environment@0.2.0" (instance))
        (import "a:b/two" (instance))
        (component $c) (instance $i (instantiate $c))
        (export "flyball:function/handler@0.1.0" (instance $i)))"#;
    let error = load(&world, text);
    assert!(matches!(error, LoadError::MissingImports { .. }), "{error}");
    let text = error.to_string();
    assert!(text.contains("a:b/one@1.0.0, a:b/two") && !text.contains("environment"), "{text}");
}

#[test]
fn a_handler_of_another_type_and_what_is_no_component_are_refused() {
    let world = World::new(1);
    let handler = r#"(component (component $c) (instance $i (instantiate $c))
        (export "flyball:function/handler@0.1.0" (instance $i)))"#;
    let error = load(&world, handler);
    assert!(matches!(error, LoadError::WrongType(_)), "{error}");
    let error = load(&world, "(module)");
    assert!(matches!(error, LoadError::Compile(_)) && error.to_string().contains("wasm32-wasip2"), "{error}");
    let error = world.host.load(b"nonsense", MEMORY_BYTES_MAX).unwrap_err();
    assert!(matches!(error, LoadError::Compile(_)), "{error}");
}

#[test]
fn memory_limits_are_checked_at_loading() {
    let world = World::new(1);
    let script = guest_bytes("script");
    let error = world.host.load(&script, 64 << 10).unwrap_err();
    assert!(matches!(error, LoadError::MemoryTooSmall { bytes_max: 65_536, .. }), "{error}");
    let error = world.host.load(&script, 1 << 40).unwrap_err();
    assert!(matches!(error, LoadError::MemoryAboveHost { .. }), "{error}");
}

#[test]
fn a_damaged_artifact_is_compiled_again() {
    let world = World::new(1);
    let script = guest_bytes("http-hello");
    let load = || world.host.load(&script, MEMORY_BYTES_MAX).unwrap().source();
    assert_eq!(load(), Source::Compiled);
    assert_eq!(load(), Source::Cached);
    let artifact = entry(&world, "cwasm");

    let mut bytes = fs::read(&artifact).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::remove_file(&artifact).unwrap();
    fs::write(&artifact, &bytes).unwrap();
    assert_eq!(load(), Source::Compiled, "one bit");
    assert_eq!(load(), Source::Cached);

    bytes.truncate(100);
    fs::remove_file(&artifact).unwrap();
    fs::write(&artifact, &bytes).unwrap();
    assert_eq!(load(), Source::Compiled, "truncated");

    fs::remove_file(entry(&world, "sum")).unwrap();
    assert_eq!(load(), Source::Compiled, "no checksum");
    assert_eq!(load(), Source::Cached);
}

fn entry(world: &World, extension: &str) -> PathBuf {
    let paths = fs::read_dir(world.cache.path()).unwrap().map(|entry| entry.unwrap().path());
    paths.into_iter().find(|path| path.extension().is_some_and(|found| found == extension)).unwrap()
}
