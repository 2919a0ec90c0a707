//! What a person sees of good and wrong files.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test's helpers fail the test by panicking")]

use std::{collections::BTreeSet, fs, path::Path};

use flyball_app::{Code, DIAGNOSTICS_MAX, FILE_BYTES_MAX, json_schema, read, read_with, template};
use flyball_core::{
    Name, Span,
    model::{Access, Destination, RouteMode, TenantFrom},
};
use proptest::prelude::*;
use serde_json::Value;

/// The files of a directory of tests, by name.
fn files(directory: &str) -> Vec<(String, String)> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(directory);
    let mut all: Vec<_> = fs::read_dir(path)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|p| (p.file_stem().unwrap().to_string_lossy().into_owned(), fs::read_to_string(&p).unwrap()))
        .collect();
    all.sort();
    all
}

fn good(name: &str) -> String {
    files("good").into_iter().find(|(stem, _)| stem == name).unwrap().1
}

/// What is found wrong in one small file, in a form for comparing.
fn found(text: &str) -> Vec<(&'static str, usize, usize)> {
    let wrong = read("flyball.toml", text).unwrap_err();
    wrong.diagnostics.iter().map(|d| (d.code.as_str(), d.line, d.column)).collect()
}

#[test]
fn wrong_files_are_explained() {
    for (name, text) in files("wrong") {
        let wrong = read_with("flyball.toml", &text, |path| !path.contains("missing")).unwrap_err();
        let places: Vec<_> = wrong.diagnostics.iter().map(|d| (d.line, d.column)).collect();
        assert!(places.is_sorted(), "{name}: {places:?}");
        insta::with_settings!({ omit_expression => true, prepend_module_to_snapshot => false }, {
            insta::assert_snapshot!(name, wrong.to_string());
        });
    }
}

#[test]
fn a_diagnostic_is_json_too() {
    let wrong = read("flyball.toml", "[application]\nnam = 'a'\nname = 'a'\n").unwrap_err();
    insta::assert_json_snapshot!("json", wrong.to_json());
}

#[test]
fn control_characters_of_the_file_are_in_no_message() {
    // The parser goes on after an error, with what stands in the broken number.
    let text = "[application]\nname = 'a'\n[limits]\nwaiting_events_max = 2_000_00\u{11}0\n\u{1b}[31m = 1\n";
    let wrong = read("flyball.toml", text).unwrap_err();
    for found in &wrong.diagnostics {
        for part in [&found.message, &found.help, &found.snippet] {
            assert!(!part.contains(|c: char| c.is_control() && c != '\n'), "{found:?}");
        }
    }
}

#[test]
fn the_full_file_is_read_to_what_it_says() {
    let read = read("flyball.toml", &good("full")).unwrap_or_else(|wrong| panic!("{wrong}"));
    insta::assert_debug_snapshot!("full", *read.application);
}

#[test]
fn the_example_is_read_with_defaults() {
    let read = read("flyball.toml", &good("example")).unwrap_or_else(|wrong| panic!("{wrong}"));
    let app = &*read.application;
    let scan = &app.functions["scan"];
    assert_eq!((scan.timeout, scan.memory_bytes_max), (Span::from_secs(30), 64 << 20));
    assert_eq!((scan.inbox.batch_max, scan.inbox.visibility), (1, Span::from_secs(60)));
    assert_eq!((scan.inbox.retry_base, scan.inbox.retry_max), (Span::from_secs(1), Span::from_secs(300)));
    assert_eq!((scan.inbox.attempts_max, scan.inbox.waiting_max), (3, 1_000_000));
    assert_eq!(app.queues["files"].delivery.batch_max, 10);
    assert_eq!(app.limits.long_concurrency_max, 100, "half of the cap");
    assert_eq!(app.tenants["acme"].waiting_events_max, 1_000_000, "from tenant_defaults");
    assert_eq!(app.functions["webhook"].grants.blobs, Some(Access::Read));
    assert_eq!((app.routes[0].mode, &app.routes[0].tenant), (RouteMode::Sync, &TenantFrom::Path));
    let notify = Destination::Function(Name::new("notify").unwrap());
    assert_eq!(app.topics["announcements"].subscribers, [notify]);
}

#[test]
fn the_template_is_good_and_its_examples_are_too() {
    let text = template(&Name::new("my-app").unwrap());
    let read = read("flyball.toml", &text).unwrap_or_else(|wrong| panic!("{wrong}"));
    assert_eq!(read.application.name.as_str(), "my-app");
    assert_eq!(read.application.routes[0].path, "/hello");
    // With the examples' comment signs removed it only misses the functions that the examples speak of.
    let is_example = |line: &str| {
        let (start, rest) = line.split_once(' ').unwrap_or((line, ""));
        start.starts_with('[') || (rest.starts_with("= ") && !start.contains(':'))
    };
    let lines = text.lines().map(|line| line.strip_prefix("# ").filter(|l| is_example(l)).unwrap_or(line));
    let wrong = flyball_app::read("flyball.toml", &lines.collect::<Vec<_>>().join("\n")).unwrap_err();
    let missing: Vec<&str> = wrong.diagnostics.iter().map(|d| d.message.as_str()).collect();
    assert_eq!(missing, ["there is no function worker", "there is no function notify"], "{wrong}");
}

#[test]
fn a_component_of_the_wrong_world_is_shown_at_its_key() {
    let read = read("flyball.toml", &template(&Name::new("a").unwrap())).unwrap();
    let place = ["function", "hello", "component"];
    let wrong = read.sources.diagnostic(Code::ComponentWorld, &place, "it exports nothing", "build it anew");
    insta::assert_snapshot!("wrong_world", wrong.to_string());
}

#[test]
fn codes_are_in_order_and_each_its_own() {
    let all: Vec<&str> = Code::ALL.iter().map(|code| code.as_str()).collect();
    let expected: Vec<String> = (1..=Code::ALL.len()).map(|n| format!("FE{}", 3000 + n)).collect();
    assert_eq!(all, expected);
}

#[test]
fn a_file_that_is_too_large_is_refused() {
    let text = " ".repeat(FILE_BYTES_MAX + 1);
    assert_eq!(found(&text), [("FE3011", 1, 1)]);
    let message = read("flyball.toml", &text).unwrap_err().diagnostics[0].message.clone();
    assert_eq!(message, "the file has 4194305 bytes; at most 4194304 are read");
}

#[test]
fn of_very_many_errors_the_first_are_shown_and_the_others_counted() {
    let many: String = (0..20_000).map(|n| format!("k{n:05} = 1\n")).collect();
    let head = "function.f.component = 'f'\n[application]\nname = 'a'\n";
    let wrong = read("flyball.toml", &format!("{head}{many}")).unwrap_err();
    assert_eq!(wrong.diagnostics[0].line, 4, "{wrong}");
    assert_eq!((wrong.diagnostics.len(), wrong.left_out), (DIAGNOSTICS_MAX, 20_000 - DIAGNOSTICS_MAX));
    // All in one line: what is shown of it stays short.
    let many: String = (0..20_000).map(|n| format!("k{n:05} = 1, ")).collect();
    let wrong = read("flyball.toml", &format!("application = {{ {many}name = 'a' }}")).unwrap_err();
    assert!(wrong.to_string().len() < 100_000);
}

#[test]
fn an_error_does_not_make_others_of_what_is_right() {
    let head = "[application]\nname = 'a'\n[function.f]\ncomponent = 'f'\n";
    // `q` has no function that could be read, but it is declared.
    assert_eq!(found(&format!("{head}grants.emit = ['q']\n[queue.q]\nfunction = 5\n")), [("FE3003", 7, 12)]);
    assert_eq!(found(&format!("{head}grants.emit = ['q']\n[queue]\nq = 5\n")), [("FE3003", 7, 5)]);
    assert_eq!(found(&format!("{head}grants.emit = ['q']\n[qeue.q]\nfunction = 'f'\n")), [("FE3002", 6, 2)]);
    // An error in one function hides none in another, nor in what is only checked at the end.
    let text = format!("{head}timeout = 1\n[function.g]\ncomponent = 'g'\ntimeout = '1h'\n");
    assert_eq!(found(&text), [("FE3003", 5, 11), ("FE3008", 8, 11)]);
    // Nor does a route that can't be read move what is found about the next one.
    let text = format!("{head}[[route]]\npath = '/a'\n[[route]]\npath = '/b'\nfunction = 'g'\n");
    assert_eq!(found(&text), [("FE3005", 5, 1), ("FE3007", 9, 12)]);
}

#[test]
fn the_schema_files_are_in_step() {
    let report = flyball_app::report::json_schema();
    let workload = flyball_app::workload::json_schema();
    let all = [
        ("flyball.schema.json", json_schema()),
        ("check.schema.json", report),
        ("workload.schema.json", workload),
        ("faults.schema.json", flyball_app::workload::faults::json_schema()),
    ];
    for (name, schema) in all {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
        let schema = format!("{schema:#}\n");
        if std::env::var_os("UPDATE_SCHEMA").is_some() {
            fs::write(&path, &schema).unwrap();
        }
        let written = fs::read_to_string(&path).unwrap_or_default();
        assert!(written == schema, "app/{name} is old: run this test with UPDATE_SCHEMA=1");
    }
}

/// Walks the schema along a file; notes each key of the schema, and which of them the file has.
fn walk(root: &Value, schema: &Value, value: &Value, at: &str, keys: &mut [BTreeSet<String>; 2]) {
    if let Some(name) = schema.get("$ref").and_then(Value::as_str) {
        let target = root.pointer(name.trim_start_matches('#')).unwrap();
        walk(root, target, value, &name.replace("#/$defs/", ""), keys);
    }
    for way in schema.get("anyOf").and_then(Value::as_array).into_iter().flatten() {
        walk(root, way, value, at, keys);
    }
    if let (Some(items), Some(array)) = (schema.get("items"), value.as_array()) {
        array.iter().for_each(|value| walk(root, items, value, at, keys));
    }
    let Some(table) = value.as_object() else { return };
    let none = serde_json::Map::new();
    let properties = schema.get("properties").and_then(Value::as_object).unwrap_or(&none);
    keys[0].extend(properties.keys().map(|key| format!("{at}.{key}")));
    if !properties.is_empty() {
        assert_eq!(schema.get("additionalProperties"), Some(&Value::Bool(false)), "{at}");
    }
    for (key, value) in table {
        if let Some(property) = properties.get(key) {
            keys[1].insert(format!("{at}.{key}"));
            walk(root, property, value, &format!("{at}.{key}"), keys);
        } else if let Some(any @ Value::Object(_)) = schema.get("additionalProperties") {
            walk(root, any, value, at, keys);
        } else if schema.get("type").is_some_and(|t| t == "object") {
            panic!("{at}.{key} is read, but the schema does not have it");
        }
    }
}

/// The full file is good for the reader, so a key of the schema that it has is one that the reader takes;
/// and it has all of them.
#[test]
fn the_schema_and_the_reader_know_the_same_keys() {
    let traffic = files("workload/good").into_iter().find(|(stem, _)| stem == "full").unwrap().1;
    let kinds = [(good("full"), json_schema()), (traffic, flyball_app::workload::json_schema())];
    for (full, schema) in kinds {
        let full: Value = toml::from_str(&full).unwrap();
        let mut keys = [BTreeSet::new(), BTreeSet::new()];
        walk(&schema, &schema, &full, "", &mut keys);
        assert_eq!(keys[0], keys[1]);
        assert!(keys[0].len() > 80, "{}", keys[0].len());
        assert!(!schema.to_string().contains("null"));
    }
}

/// What would speak to a terminal.
const ESCAPE: char = '\u{1b}';

/// Pieces that meet the parser and the reader in odd orders.
fn pieces() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("[application]\nname = 'a'\n"),
        Just("[function.f]\n"),
        Just("component = 'x'\n"),
        Just("[[route]]\n"),
        Just("[route]\n"),
        Just("path = '/{tenant}'\n"),
        Just("function = 'f'\n"),
        Just("[queue.q]\n"),
        Just("[queue]\n"),
        Just("q.function = "),
        Just("timeout = '1"),
        Just("s'\n"),
        Just("grants.emit = ['q',"),
        Just("]\n"),
        Just("[bus.b.rule.r]\n"),
        Just("to = {queue='q'}\n"),
        Just("["),
        Just("{"),
        Just("}"),
        Just("'''"),
        Just("\n"),
        Just("\r\n\t"),
        Just("é日\u{1b}"),
        Just(". = "),
        Just("[topic.t]\nsubscribers = [{}, {queue='q'}]\n"),
        Just("18446744073709551616"),
        Just("-0x1"),
        Just("[limits]\nconcurrency.cap = 4294967295\n"),
        Just("concurrency.guarantee = 4294967295\n"),
    ];
    proptest::collection::vec(piece, 0..20).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..Default::default() })]

    #[test]
    fn no_text_is_a_panic(text in prop_oneof![pieces(), any::<String>()]) {
        if let Err(wrong) = read("flyball.toml", &text) {
            prop_assert!(!wrong.diagnostics.is_empty());
            prop_assert_eq!(&read("flyball.toml", &text).unwrap_err(), &wrong);
            prop_assert!(!wrong.to_string().contains(ESCAPE));
        }
    }
}
