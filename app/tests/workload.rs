//! Traffic files: what a good one is read to, and what a person sees of a wrong one.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test's helpers fail the test by panicking")]

use std::{fs, path::Path};

use flyball_app::{
    FILE_BYTES_MAX,
    workload::{self, Act, Lasting, Read, SOURCES_MAX, Tenants, Volume},
};
use flyball_core::Span;
use proptest::prelude::*;

/// The files of a directory of tests, by name.
fn files(directory: &str) -> Vec<(String, String)> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/workload").join(directory);
    let mut all: Vec<_> = fs::read_dir(path)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|p| (p.file_stem().unwrap().to_string_lossy().into_owned(), fs::read_to_string(&p).unwrap()))
        .collect();
    all.sort();
    all
}

fn good(name: &str) -> Read {
    let (_, text) = files("good").into_iter().find(|(stem, _)| stem == name).unwrap();
    workload::read("traffic.toml", &text).unwrap_or_else(|wrong| panic!("{wrong}"))
}

fn found(text: &str) -> Vec<(&'static str, usize, usize)> {
    let wrong = workload::read("traffic.toml", text).unwrap_err();
    wrong.diagnostics.iter().map(|d| (d.code.as_str(), d.line, d.column)).collect()
}

#[test]
fn wrong_files_are_explained() {
    for (name, text) in files("wrong") {
        let wrong = workload::read("traffic.toml", &text).unwrap_err();
        let places: Vec<_> = wrong.diagnostics.iter().map(|d| (d.line, d.column)).collect();
        assert!(places.is_sorted(), "{name}: {places:?}");
        insta::with_settings!({ omit_expression => true, prepend_module_to_snapshot => false }, {
            insta::assert_snapshot!(format!("workload_{name}"), wrong.to_string());
        });
    }
}

#[test]
fn the_full_file_is_read_to_what_it_says() {
    insta::assert_debug_snapshot!("full", good("full").workload);
}

#[test]
fn what_the_least_file_leaves_out_is_listed() {
    let read = good("least");
    let source = &read.workload.traffic["Tiles"];
    assert_eq!(source.volume, Volume::PerSecond(38.0));
    assert_eq!(source.tenants, Tenants::Many { count: 1, zipf: 0.0 });
    assert_eq!((source.client.retry.times, source.client.timeout), (2, Some(Span::from_secs(30))));
    assert_eq!(read.workload.dependencies["Database"].service, Lasting::Constant(Span::from_millis(10)));
    let assumed: Vec<String> =
        read.workload.assumed.iter().map(|one| format!("{} = {}", one.key, one.value)).collect();
    insta::assert_snapshot!("assumed", assumed.join("\n"));
}

/// A day begins with its least: an hour of it would say nothing of the peak.
#[test]
fn traffic_that_has_days_is_simulated_for_one() {
    let duration = |text: &str| {
        let read = workload::read("t", text).unwrap();
        (read.workload.duration, read.workload.assumed.iter().any(|one| one.key == "duration"))
    };
    let day = "[traffic.a]\npeak_per_s = 1\npeak_to_mean = 2\n";
    assert_eq!(duration(day), (Some(Span::from_secs(86_400)), true));
    let half = "[traffic.b]\npeak_per_s = 1\nshape.diurnal = { peak_to_mean = 2, period = '2d' }\n";
    assert_eq!(duration(&format!("{day}{half}")), (Some(Span::from_secs(2 * 86_400)), true));
    assert_eq!(duration(&format!("duration = '1h'\n{day}")), (Some(Span::from_secs(3_600)), false));
    assert_eq!(duration(&format!("{day}[traffic.c]\ntrace = 'a.csv'\n")), (None, false));
    assert_eq!(duration("[traffic.a]\npeak_per_s = 1\n"), (None, false));
}

#[test]
fn a_file_that_is_too_large_is_not_looked_at() {
    let text = "\n".repeat(FILE_BYTES_MAX + 1);
    assert_eq!(found(&text), [("FE3011", 1, 1)]);
}

#[test]
fn of_everything_there_is_a_most() {
    let many = |n: usize, one: &dyn Fn(usize) -> String| (0..n).map(one).collect::<String>();
    let head = "[traffic.a]\npeak_per_s = 1\n";
    let cases = [
        many(SOURCES_MAX + 1, &|n| format!("[traffic.s{n}]\npeak_per_s = 1\n")),
        head.to_string() + &many(10_001, &|n| format!("[function.f{n}]\n")),
        head.to_string() + &many(1_001, &|n| format!("[dependency.d{n}]\nservice = \"1ms\"\n")),
        head.to_string() + &many(1_001, &|_| "[[expect]]\nmeasure = \"dropped_events\"\nmax = 0\n".into()),
        format!("{head}[function.f]\nsteps = [{}]", many(1_001, &|_| "{ compute = \"1ms\" },".into())),
    ];
    for text in cases {
        let codes: Vec<_> = found(&text).iter().map(|found| found.0).collect();
        assert_eq!(codes, ["FE3011"], "{}", &text[..60]);
    }
    let measured = format!("{head}[function.f]\ninit.measured = [{}]", many(100_001, &|_| "'1ms',".into()));
    assert_eq!(found(&measured), [("FE3004", 4, 1)]);
}

#[test]
fn as_deep_as_steps_may_be_they_are_read() {
    let steps = "{ parallel = [".repeat(8) + "{ compute = '1ms' }" + &"] }".repeat(8);
    let read = workload::read("t", &format!("traffic.a.users = 1\nfunction.f.steps = [{steps}]")).unwrap();
    let mut step = &read.workload.functions["f"].steps.as_ref().unwrap()[0];
    let mut deep = 0;
    while let Act::Parallel(inner) = &step.act {
        (step, deep) = (&inner[0], deep + 1);
    }
    assert_eq!(deep, 8);
    // As deep as a text can be, there is an answer.
    let deep = "{ parallel = [".repeat(10_000) + &"] }".repeat(10_000);
    assert!(workload::read("t", &format!("traffic.a.users = 1\nfunction.f.steps = [{deep}]")).is_err());
}

/// What would speak to a terminal.
const ESCAPE: char = '\u{1b}';

/// Pieces that meet the parser and the reader in odd orders.
fn pieces() -> impl Strategy<Value = String> {
    let keys = files("good").into_iter().find(|(name, _)| name == "full").unwrap().1;
    let lines: Vec<String> = keys.lines().map(|line| format!("{line}\n")).collect();
    let odd = ["[", "}", "'''", "= ", "-1\n", "nan\n", "{ compute = ", "18446744073709551616\n", "é\u{1b}"];
    let piece = prop_oneof![
        4 => proptest::sample::select(lines),
        1 => proptest::sample::select(odd.map(String::from).to_vec()),
    ];
    proptest::collection::vec(piece, 0..30).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, failure_persistence: None, ..Default::default() })]

    #[test]
    fn no_text_is_a_panic(text in prop_oneof![pieces(), any::<String>()]) {
        if let Err(wrong) = workload::read("traffic.toml", &text) {
            prop_assert!(!wrong.diagnostics.is_empty());
            prop_assert_eq!(&workload::read("traffic.toml", &text).unwrap_err(), &wrong);
            prop_assert!(!wrong.to_string().contains(ESCAPE));
        }
    }
}
