//! What a simulation says: in a terminal, as JSON, as JUnit, against another, on a page.

#[path = "report/fixture.rs"]
mod fixture;

use flyball_app::report::Style;
use flyball_sim::{
    report::{Report, page, text},
    result::*,
};

fn of(simulation: &Simulation) -> Report<'_> {
    Report { simulation, design: None, against: None }
}

#[test]
fn text_says_the_answer_first() {
    let simulation = fixture::codewatch(10_000);
    insta::assert_snapshot!("text_line", text(&of(&simulation), Style::default()));
}

/// Somewhere to look at a page with a browser.
fn kept(name: &str, page: &str) {
    let path = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    #[expect(clippy::disallowed_methods, reason = "a page that nobody looks at is not tested")]
    std::fs::write(path, page).unwrap();
}

#[test]
fn pages() {
    let simulation = fixture::codewatch(10_000);
    let design = fixture_design();
    kept("line.html", &page(&Report { design: Some(&design), ..of(&simulation) }));
}

fn fixture_design() -> flyball_app::design::Design {
    let text = include_str!("../../examples/codewatch/flyball.toml");
    let input = flyball_app::import::Input { name: "flyball.toml".into(), text: text.into() };
    flyball_app::import::import(vec![input], &flyball_app::import::Options::default(), &|_| None).design
}
