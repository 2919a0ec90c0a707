//! The page: well-formed, complete in itself, closed to what others wrote, and of a bounded size.

use std::path::Path;

use flyball_app::{
    design::Design,
    import::{Input, Options, import},
};
use flyball_sim::{
    report::{Report, page},
    result::*,
};
use sha2::Digest as _;

use super::{fixture, of, single};

/// A page is smaller than this with 10,000 tenants, bytes.
const PAGE_BYTES_MAX: usize = 1 << 20;

fn codewatch() -> Design {
    let text = include_str!("../../../examples/codewatch/flyball.toml");
    let input = Input { name: "flyball.toml".into(), text: text.into() };
    import(vec![input], &Options::default(), &|_| None).design
}

/// A page as an XML reader sees it: it is written so that both kinds of reader agree on it.
fn parsed(page: &str) -> roxmltree::Document<'_> {
    let options = roxmltree::ParsingOptions { allow_dtd: true, ..roxmltree::ParsingOptions::default() };
    roxmltree::Document::parse_with_options(page, options).unwrap()
}

/// Every page that the tests make, by name. They are also left in the target directory, to be looked at.
#[expect(clippy::disallowed_methods, reason = "a page that nobody looks at is not tested")]
fn pages() -> Vec<(&'static str, String)> {
    let design = codewatch();
    let line = fixture::codewatch(10_000);
    let mut worse = line.clone();
    if let Some(line) = &mut worse.load_line {
        line.verdict = LineVerdict::Found { holds_at: 1.3, breaks_at: 1.32, seeds_low: 1.3, seeds_high: 1.3 };
    }
    let broken = Simulation { faults: Some(fixture::faults(true)), ..single(4.1) };
    let pages = vec![
        ("line", page(&Report { design: Some(&design), ..of(&line) })),
        ("run", page(&Report { design: Some(&design), ..of(&single(1.0)) })),
        ("broken", page(&Report { design: Some(&design), ..of(&broken) })),
        ("against", page(&Report { against: Some(("main", &line)), ..of(&worse) })),
        ("empty", page(&of(&Simulation::default()))),
    ];
    for (name, page) in &pages {
        std::fs::write(Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}.html")), page).unwrap();
    }
    pages
}

#[test]
fn pages_are_well_formed_complete_and_small() {
    for (name, page) in pages() {
        assert!(page.len() < PAGE_BYTES_MAX, "{name}: {} bytes", page.len());
        let read = parsed(&page);
        // The names of XML's own languages are the only addresses, and nothing is asked of any.
        for part in page.split("http").skip(1) {
            let ours = ["://www.w3.org/2000/svg", "://www.w3.org/1999/xhtml", "-equiv"];
            assert!(ours.iter().any(|ours| part.starts_with(ours)), "{name}: http{}", &part[..40]);
        }
        for word in ["src=", "@import", "url(http", "<link", "<iframe", "<img", "javascript:"] {
            assert!(!page.contains(word), "{name}: {word}");
        }
        for node in read.descendants().filter(|node| node.is_element()) {
            let tag = node.tag_name().name();
            if tag == "svg" {
                assert!(node.attribute("aria-label").is_some_and(|label| !label.is_empty()), "{name}");
            }
            if tag == "a" {
                let to = node.attribute("href").unwrap().trim_start_matches('#');
                assert!(read.descendants().any(|node| node.attribute("id") == Some(to)), "{name}: {to}");
            }
            assert!(node.attributes().all(|one| !one.name().starts_with("on")), "{name}: {tag}");
        }
        let plots = page.matches("<svg class=\"plot\"").count();
        assert_eq!(page.matches("<details class=\"values\"").count(), plots, "{name}: a table for each plot");
        assert_eq!(plots > 0, name != "empty");
    }
}

#[test]
fn the_same_simulation_gives_the_same_page() {
    assert!(pages() == pages());
}

#[test]
fn names_of_others_stay_text() {
    let evil = "</title></script><script>alert(1)</script><img src=x onerror=\"alert(2)\"/>'\"&\u{202e}";
    let mut simulation = Simulation { faults: Some(fixture::faults(true)), ..fixture::codewatch(10_000) };
    fixture::spoil(&mut simulation, evil);
    let mut design = codewatch();
    let first = design.nodes().next().map(|(id, _)| id).unwrap();
    design.node_mut(first).name = evil.into();
    let said =
        page(&Report { design: Some(&design), against: Some((evil, &simulation)), simulation: &simulation });
    let read = parsed(&said);
    let tags = |tag: &str| read.descendants().filter(|node| node.has_tag_name(tag)).count();
    let tags =
        |name: &str| tags(name) + read.descendants().filter(|node| node.tag_name().name() == name).count();
    assert_eq!((tags("script") > 0, tags("img")), (true, 0));
    assert_eq!(said.matches("<script").count(), 1);
    assert!(!said.contains('\u{202e}'));
    // It is there, as text.
    assert!(said.contains("&lt;script&gt;alert(1)"));
    assert!(said.len() < 2 * PAGE_BYTES_MAX);
}

#[test]
fn the_page_lets_its_own_script_run_and_no_other() {
    let said = page(&of(&single(1.0)));
    let script = said.split("<script>").nth(1).unwrap().split("</script>").next().unwrap();
    let hash = base64(&sha2::Sha256::digest(script));
    assert!(said.contains(&format!("script-src 'sha256-{hash}'")), "SCRIPT_HASH is sha256-{hash}");
    assert!(said.contains("default-src 'none'"));
}

/// As browsers write a hash.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    bytes
        .chunks(3)
        .flat_map(|chunk| {
            let all =
                chunk.iter().fold(0_u32, |all, byte| all << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
            (0..4).map(move |at| {
                if at > chunk.len() { '=' } else { char::from(DIGITS[(all >> (18 - 6 * at)) as usize & 63]) }
            })
        })
        .collect()
}

#[test]
fn numbers_that_mean_nothing_break_nothing() {
    let odd = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -1.0, 0.0, 1e300, 1e-300];
    for value in odd {
        let mut simulation = fixture::codewatch(10_000);
        for run in [
            simulation.run.as_mut().unwrap(),
            simulation.load_line.as_mut().unwrap().beyond.as_mut().unwrap(),
        ] {
            run.slot_s = value;
            run.about.simulated_s = value;
            run.about.load_factor = value;
            run.platform.times.concurrency.fill(value);
            run.platform.times.dwell_p99_ms.fill(value);
            run.platform.concurrency_max = Some(value);
            run.cost.usd_per_month = value;
            for limit in &mut run.limits {
                (limit.limit.value, limit.peak, limit.headroom_percent) = (value, value, value);
            }
            for source in &mut run.sources {
                source.times.arrivals_per_s = vec![value; 3];
                source.arrivals_peak_per_s = value;
            }
        }
        let line = simulation.load_line.as_mut().unwrap();
        line.base_per_s = value;
        line.recovery = Recovery::At { load_factor: value, after_s: value };
        line.curve.iter_mut().for_each(|point| (point.load_factor, point.median.p99_ms) = (value, value));
        let said = page(&of(&simulation));
        parsed(&said);
        assert!(!said.contains("NaN") && !said.contains("inf"), "{value}");
    }
}

#[test]
fn a_large_design_is_named_and_not_drawn() {
    let mut design = codewatch();
    let node = design.nodes().next().map(|(_, node)| node.clone()).unwrap();
    for number in 0..200 {
        design.add(flyball_app::design::Node { name: format!("node{number}"), ..node.clone() });
    }
    let said = page(&Report { design: Some(&design), ..of(&single(1.0)) });
    assert!(said.contains("more than a drawing can show") && !said.contains("class=\"design\""));
}
