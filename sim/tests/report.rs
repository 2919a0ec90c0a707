//! What a simulation says: in a terminal, as JSON, as JUnit, against another, on a page.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that can't go on fails")]

#[path = "report/fixture.rs"]
mod fixture;
#[path = "report/page.rs"]
mod page;
#[path = "../../app/tests/schema/mod.rs"]
mod schema;

use std::path::Path;

use flyball_app::report::Style;
use flyball_sim::{
    report::{
        Report, Unreadable, Verdict, compare, fails, json, json_schema, junit, page as html, read, text,
    },
    result::*,
};
use serde_json::json;

fn of(simulation: &Simulation) -> Report<'_> {
    Report { simulation, design: None, against: None }
}

/// One run without a load line.
fn single(load: f64) -> Simulation {
    Simulation { run: Some(fixture::run(load, 10_000)), load_line: None, ..fixture::codewatch(10_000) }
}

/// A load line that ended otherwise.
fn ended(verdict: LineVerdict, recovery: Recovery) -> Simulation {
    let mut simulation = fixture::codewatch(3);
    if let Some(line) = &mut simulation.load_line {
        line.verdict = verdict;
        line.recovery = recovery;
        if let LineVerdict::NeverBreaks { .. } | LineVerdict::Undecided = verdict {
            (line.wall, line.raising, line.beyond) = (None, None, None);
            line.sensitive.clear();
        }
    }
    simulation
}

#[test]
fn text_says_the_answer_first() {
    let line = fixture::codewatch(10_000);
    insta::assert_snapshot!("text_line", text(&of(&line), Style::default()));
    insta::assert_snapshot!("text_run_broken", text(&of(&single(4.1)), Style::default()));
    let faults = Simulation { run: None, load_line: None, faults: Some(fixture::faults(true)), ..line };
    insta::assert_snapshot!("text_faults", text(&of(&faults), Style::default()));
}

#[test]
fn the_limit_that_breaks_is_the_first_of_the_limits_at_the_line() {
    let mut simulation = fixture::codewatch(3);
    let line = simulation.load_line.as_mut().unwrap();
    // As a search leaves it: all limits but the one that breaks.
    line.headroom.remove(0);
    let limits: Vec<&str> = line.limits().iter().map(|one| one.limit.of.as_str()).collect();
    assert_eq!(limits, ["scan", "megacorp", "", "files", "notify-address", ""]);
    assert!(line.limits()[0].headroom_percent.abs() < f64::EPSILON);
    let said = text(&of(&simulation), Style::default());
    let table = said.split("Limits at the line").nth(1).unwrap();
    assert!(table.lines().nth(1).unwrap().contains("concurrency of scan"), "{table}");
}

#[test]
fn that_no_assumption_moves_the_line_is_said() {
    let mut simulation = fixture::codewatch(3);
    let words =
        "None of the 5 assumptions that were tried, each 30 % smaller and larger, moves the line by 15 %.";
    let said = |simulation: &Simulation| {
        let text = text(&of(simulation), Style::default()).replace('\n', " ");
        [text, html(&of(simulation))].map(|said| said.contains(words))
    };
    assert_eq!(said(&simulation), [false, false]);
    simulation.load_line.as_mut().unwrap().sensitive.clear();
    assert_eq!(said(&simulation), [true, true]);
    // Where none was tried, nothing is known.
    simulation.load_line.as_mut().unwrap().assumptions_tried = 0;
    assert_eq!(said(&simulation), [false, false]);
}

#[test]
fn every_end_of_a_search_has_its_own_sentence() {
    let not = Recovery::NotAbove { load_factor: 0.6, waited_s: 3_600.0 };
    let answers: Vec<String> = [
        ended(LineVerdict::Found { holds_at: 0.6, breaks_at: 0.61, seeds_low: 0.6, seeds_high: 0.6 }, not),
        ended(LineVerdict::NeverBreaks { tried_up_to: 256.0 }, Recovery::Untried),
        ended(LineVerdict::BreaksAtZero { tried_down_to: 0.004 }, not),
        ended(LineVerdict::Between { holds_at: 2.0, breaks_at: 8.0 }, Recovery::Untried),
        ended(LineVerdict::Between { holds_at: 2.0, breaks_at: 0.0 }, Recovery::Untried),
        ended(LineVerdict::Between { holds_at: 0.0, breaks_at: 1.0 }, Recovery::Untried),
        ended(LineVerdict::Undecided, Recovery::Untried),
        single(1.0),
        Simulation { faults: Some(fixture::faults(false)), ..single(1.0) },
        Simulation { faults: Some(fixture::faults(true)), ..single(4.1) },
        Simulation { run: None, load_line: None, faults: Some(fixture::faults(false)), ..single(1.0) },
        Simulation::default(),
    ]
    .iter()
    .map(|simulation| {
        let said = text(&of(simulation), Style::default());
        said.split("\n\n").next().unwrap_or_default().to_string()
    })
    .collect();
    insta::assert_snapshot!("answers", answers.join("\n\n"));
}

#[test]
fn text_keeps_to_its_width_and_style() {
    let simulation = fixture::codewatch(10_000);
    let plain = text(&of(&simulation), Style::default());
    assert!(!plain.contains('\u{1b}'));
    for line in plain.lines() {
        assert!(line.chars().count() <= 80, "{} columns: {line}", line.chars().count());
    }
    let ascii = text(&of(&simulation), Style { ascii: true, ..Style::default() });
    assert!(ascii.is_ascii(), "{:?}", ascii.chars().find(|c| !c.is_ascii()));
    let coloured = text(&of(&simulation), Style { colour: true, ..Style::default() });
    assert!(coloured.starts_with("\u{1b}[1;31m"), "{coloured}");
}

#[test]
fn names_of_others_reach_no_terminal_as_they_are() {
    let mut simulation = fixture::codewatch(10);
    fixture::spoil(&mut simulation, "x\u{1b}[31m\u{7}\n</script>");
    let said = text(&of(&simulation), Style::default());
    assert!(!said.contains(['\u{1b}', '\u{7}']), "{said}");
}

#[test]
fn the_command_fails_where_something_broke() {
    assert!(!fails(&fixture::codewatch(10)));
    assert!(fails(&single(4.1)));
    let faults = |failing| Simulation { faults: Some(fixture::faults(failing)), ..single(1.0) };
    assert_eq!([false, true].map(|failing| fails(&faults(failing))), [false, true]);
}

#[test]
fn the_schema_describes_what_is_printed() {
    let described = json_schema();
    let full = Simulation { faults: Some(fixture::faults(true)), ..fixture::codewatch(10_000) };
    for (name, simulation) in [("full", full), ("run", single(4.1)), ("empty", Simulation::default())] {
        schema::fits(&described, &described, &json(&simulation), name);
    }
}

#[test]
#[expect(clippy::disallowed_methods, reason = "the schema lies beside the crate")]
fn the_schema_file_is_in_step() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("simulate.schema.json");
    let described = format!("{:#}\n", json_schema());
    if option_env!("UPDATE_SCHEMA").is_some() {
        std::fs::write(&path, &described).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == described,
        "sim/simulate.schema.json is old: build and run this test with UPDATE_SCHEMA=1"
    );
}

#[test]
fn what_is_written_is_read_again() {
    let simulation = Simulation { faults: Some(fixture::faults(true)), ..fixture::codewatch(10_000) };
    assert_eq!(read(&json(&simulation).to_string()), Ok(simulation));
    // An older document lacks keys; a newer one of the same version has more.
    let lean = json!({"version": 1, "run": {"about": {"seed": 7}, "new": 1}}).to_string();
    assert_eq!(read(&lean).unwrap().run.unwrap().about.seed, 7);
    assert_eq!(read(&json!({"version": 9}).to_string()), Err(Unreadable::Later { version: 9 }));
    let refused =
        ["", "{", "[]", "7", "{}", "{\"version\": 0}", "{\"version\": 1}", "{\"version\": 1, \"run\": 3}"];
    for text in refused {
        let error = read(text).unwrap_err();
        assert!(matches!(error, Unreadable::NotASimulation { .. }), "{text}: {error}");
    }
}

#[test]
fn junit_has_a_case_for_each_promise_and_check() {
    let mut simulation = Simulation { faults: Some(fixture::faults(true)), ..single(4.1) };
    simulation.load_line = ended(
        LineVerdict::Found { holds_at: 0.6, breaks_at: 0.61, seeds_low: 0.6, seeds_high: 0.6 },
        Recovery::Untried,
    )
    .load_line;
    let base = fixture::codewatch(10_000);
    let said = junit(&Report { against: Some(("main", &base)), ..of(&simulation) });
    let read = roxmltree::Document::parse(&said).unwrap();
    let all = read.root_element();
    let count = |name: &str| all.descendants().filter(|node| node.has_tag_name(name)).count().to_string();
    assert_eq!(all.attribute("tests"), Some(count("testcase").as_str()));
    assert_eq!(all.attribute("failures"), Some(count("failure").as_str()));
    insta::assert_snapshot!("junit", said);
    fixture::spoil(&mut simulation, "\u{1b}]]></failure>&'\"");
    roxmltree::Document::parse(&junit(&of(&simulation))).unwrap();
}

#[test]
fn a_comparison_says_what_moved_and_why() {
    let base = fixture::codewatch(10_000);
    let mut changes = Vec::new();
    let mut tell = |name: &str, wanted: Verdict, change: &dyn Fn(&mut LoadLineResult, &mut Simulation)| {
        let mut simulation = base.clone();
        let mut line = simulation.load_line.take().unwrap();
        change(&mut line, &mut simulation);
        simulation.load_line = Some(line);
        let found = compare("main", &base, &simulation);
        assert_eq!(found.verdict, wanted, "{name}: {found:?}");
        let said = text(&Report { against: Some(("main", &base)), ..of(&simulation) }, Style::default());
        let said = said.split("\n\n").nth(1).unwrap_or_default().to_string();
        changes.push(format!("{name}\n{said}"));
    };
    let found = |holds_at: f64, breaks_at: f64| LineVerdict::Found {
        holds_at,
        breaks_at,
        seeds_low: holds_at,
        seeds_high: breaks_at,
    };
    tell("the same", Verdict::Same, &|_, _| {});
    tell("a lower cap", Verdict::Worse, &|line, simulation| {
        line.verdict = found(1.3, 1.32);
        let cap = |limit: &mut LimitRef| limit.value = 10.0;
        cap(line.wall.as_mut().unwrap().because.as_mut().unwrap());
        let run = simulation.run.as_mut().unwrap();
        cap(&mut run.limits[0].limit);
        run.cost.usd_per_month *= 1.4;
        run.sources[0].latency.p99_ms *= 3.0;
    });
    tell("another wall", Verdict::Worse, &|line, simulation| {
        line.verdict = found(1.3, 1.32);
        line.wall = line.raising.clone().unwrap().next.map(|next| *next);
        simulation.run.as_mut().unwrap().functions[1].duration.p99_ms = 2_400.0;
        simulation.assumptions[2].value = "30 ms".into();
    });
    tell("stated otherwise", Verdict::Worse, &|line, simulation| {
        line.verdict = found(1.3, 1.32);
        line.wall.as_mut().unwrap().because =
            base.load_line.as_ref().unwrap().wall.as_ref().unwrap().because.clone();
        simulation.stated.insert("function.scan.per_item".into(), "p50 9 ms, p99 40 ms".into());
        simulation.stated.insert("dependency.Archive.service".into(), "20 ms".into());
        simulation.run.as_mut().unwrap().functions[1].duration.p50_ms *= 4.0;
    });
    tell("never breaks", Verdict::Better, &|line, _| {
        line.verdict = LineVerdict::NeverBreaks { tried_up_to: 256.0 };
        line.wall = None;
    });
    tell("twice the traffic", Verdict::Same, &|line, _| {
        line.verdict = found(2.0, 2.05);
        line.base_per_s *= 2.0;
    });
    tell("a promise broke", Verdict::Worse, &|_, simulation| {
        simulation.run = Some(fixture::run(4.1, 10_000));
    });
    tell("broken off", Verdict::Same, &|line, _| line.verdict = LineVerdict::Undecided);
    insta::assert_snapshot!("comparison", changes.join("\n\n"));
}

#[test]
fn figures_have_four_digits_and_are_finite() {
    let cases = [
        (0.0, 0.0),
        (f64::NAN, 0.0),
        (f64::INFINITY, 0.0),
        (1.0 / 3.0, 0.333_3),
        (-1.0 / 3.0, -0.333_3),
        (123_456.0, 123_500.0),
        (999.96, 1_000.0),
        (12.0, 12.0),
        (1e-9 / 3.0, 3.333e-10),
    ];
    for (value, expected) in cases {
        let said = figure(value);
        assert!((said - expected).abs() <= expected.abs() * 1e-12, "{value}: {said}");
    }
}
