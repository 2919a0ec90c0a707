//! One page for a browser, complete in itself: no network, no fonts or scripts from elsewhere.
//!
//! - `line`: the load line as a picture. - `times`: figures over time. - `drawing`: the design with its walls.
//! - `plot`, `axis`, `table`: what they are made of. - `parts`: limits, functions, cost, tenants, assumptions.
//!
//! Everything that others wrote is escaped, and the page's own policy lets no other script run than the one whose
//! hash it names.

mod axis;
mod drawing;
mod line;
mod parts;
mod plot;
mod table;
mod times;

use std::fmt::Write as _;

use super::{
    Report,
    against::{Verdict, compare},
    answer::{Tone, answer, application, application_of, ended, fidelity},
    markup::{cut, escaped},
    numbers::{count, counted, factor, seconds},
};
use crate::result::{RunResult, Simulation};

const STYLE: &str = include_str!("page/style.css");
const SCRIPT: &str = include_str!("page/script.js");
/// SHA-256 of the script, as browsers compare it; a test holds it to the file.
const SCRIPT_HASH: &str = "sha256-7Wx4Wrb3XV1U52YEmm1HxS3ZQBGmd3FZkRoFHZmFKCE=";

/// The report as one HTML page.
pub fn page(report: &Report<'_>) -> String {
    let simulation = report.simulation;
    let answer = answer(simulation);
    let name = application_of(simulation);
    let mut out = String::with_capacity(256 << 10);
    head(&mut out, &name);
    let tone = match answer.tone {
        Tone::Good => "good",
        Tone::Wall => "bad",
        Tone::Unknown => "open",
    };
    let _ = write!(
        out,
        "<header class=\"{tone}\"><p class=\"eyebrow\">flyball simulate</p><h1>{}</h1>",
        cut(&answer.headline, 400)
    );
    if let Some(line) = &simulation.load_line {
        out.push_str(&line::loads(line));
    }
    out.push_str("<dl class=\"facts\">");
    for (label, words) in &answer.facts {
        let _ = write!(out, "<div><dt>{label}</dt><dd>{}</dd></div>", cut(words, 1_000));
    }
    out.push_str("</dl>");
    against(&mut out, report);
    let mut body = Body::default();
    sections(&mut body, report);
    out.push_str("<nav aria-label=\"contents\">");
    for (id, title) in &body.index {
        let _ = write!(out, "<a href=\"#{id}\">{title}</a>");
    }
    let _ = write!(out, "</nav></header><main>{}</main>", body.out);
    footer(&mut out, simulation);
    let _ = writeln!(out, "<script>{SCRIPT}</script></body></html>");
    out
}

fn head(out: &mut String, name: &str) {
    let _ = write!(
        out,
        "<!DOCTYPE html>\n<html lang=\"en\" xmlns=\"http://www.w3.org/1999/xhtml\"><head><meta charset=\"utf-8\"/>\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; \
         script-src '{SCRIPT_HASH}'; base-uri 'none'; form-action 'none'\"/>\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\
         <meta name=\"color-scheme\" content=\"light dark\"/>\
         <title>{}: flyball simulate</title><style>{STYLE}</style></head><body>",
        cut(name, 100)
    );
}

/// The page below its answer, and what is in it.
#[derive(Default)]
struct Body {
    out: String,
    index: Vec<(&'static str, &'static str)>,
}

impl Body {
    /// A section, unless it has nothing to say.
    fn section(&mut self, id: &'static str, title: &'static str, about: &str, body: &str) {
        if body.is_empty() {
            return;
        }
        let about = if about.is_empty() {
            String::new()
        } else {
            format!("<p class=\"about\">{}</p>", escaped(about))
        };
        let _ = write!(self.out, "<section id=\"{id}\"><h2>{title}</h2>{about}{body}</section>");
        self.index.push((id, title));
    }
}

fn sections(body: &mut Body, report: &Report<'_>) {
    let simulation = report.simulation;
    if let Some(drawn) = drawing::drawing(report.design, simulation) {
        let drawn = match drawn {
            Ok(svg) => format!(
                "<div class=\"wide drawing\" tabindex=\"0\" role=\"region\" aria-label=\"the design\">{svg}</div>"
            ),
            Err(why) => format!("<p>{}</p>", escaped(&why)),
        };
        let about = "Who gives work to whom. What breaks first is marked in red, with the way that leads there; \
                     what would break next is marked in amber. Point at a box to read what was found there; a \
                     wide design can be scrolled.";
        body.section("way", "Where it breaks", about, &drawn);
    }
    if let Some(line) = &simulation.load_line {
        let about = "The same traffic, more and more of it, until a promise breaks; then less and less, until it \
                     holds again.";
        body.section("line", "How it breaks", about, &line::curve(line));
        let about = "What is assumed and not stated, and where the line would be with 30 % less or more of it. \
                     State these first.";
        body.section("rests", "What the line rests on most", about, &line::sensitive(line));
    }
    parts::before(body, simulation);
    over_time(body, simulation);
    parts::after(body, simulation);
}

fn over_time(body: &mut Body, simulation: &Simulation) {
    let beyond = simulation.load_line.as_ref().and_then(|line| line.beyond.as_deref());
    let runs: Vec<(String, &RunResult)> = simulation
        .run
        .as_ref()
        .map(|run| (times::title(run, false), run))
        .into_iter()
        .chain(beyond.map(|run| (times::title(run, true), run)))
        .collect();
    let runs: Vec<(&str, &RunResult)> = runs.iter().map(|(title, run)| (title.as_str(), *run)).collect();
    if runs.is_empty() {
        return;
    }
    let about = if runs.len() > 1 {
        "On the left your traffic as stated, on the right just past the line, by the same scale."
    } else {
        "The run from its beginning to its end."
    };
    body.section("time", "Over time", about, &times::figures(&runs));
}

fn against(out: &mut String, report: &Report<'_>) {
    let Some((base, other)) = report.against else { return };
    let comparison = compare(base, other, report.simulation);
    let class = match comparison.verdict {
        Verdict::Better => "good",
        Verdict::Same => "open",
        Verdict::Worse => "bad",
    };
    let _ = write!(
        out,
        "<div class=\"against {class}\"><p><b>Against {}:</b> {}.</p>",
        cut(base, 120),
        cut(&comparison.headline, 400)
    );
    if !comparison.changes.is_empty() || !comparison.doubts.is_empty() {
        out.push_str("<ul>");
        for change in &comparison.changes {
            let _ = write!(out, "<li>{}</li>", cut(change, 300));
        }
        for doubt in &comparison.doubts {
            let _ = write!(out, "<li>Mind: {}</li>", cut(doubt, 300));
        }
        out.push_str("</ul>");
    }
    out.push_str("</div>");
}

fn footer(out: &mut String, simulation: &Simulation) {
    out.push_str("<footer>");
    if let Some(run) = &simulation.run {
        let about = &run.about;
        let mut said = format!(
            "{} with the semantics of {}, by the limits of {}{}; {} of traffic at {}; {}; {}; seed {}",
            application(Some(run)),
            about.platform,
            about.profile,
            if about.profile_date.is_empty() { String::new() } else { format!(" ({})", about.profile_date) },
            seconds(about.simulated_s),
            factor(about.load_factor),
            counted(about.arrivals, "event"),
            counted(about.tenants, "tenant"),
            about.seed,
        );
        if about.engine_steps > 0 {
            said.push_str(&format!("; {} steps of the engine", count(about.engine_steps)));
        }
        if let Some(line) = &simulation.load_line {
            said.push_str(&format!(
                "; {} with {}",
                counted(line.runs, "run"),
                counted(line.seeds.len() as u64, "seed")
            ));
        }
        if let Some(ended) = ended(about.ended, about.simulated_s) {
            said.push_str(&format!(". Broken off: {ended}"));
        }
        let _ = write!(out, "<p>{}.</p>", cut(&said, 800));
    }
    let _ = write!(
        out,
        "<p>{}</p><p>Made by Flyball {}. The same build, input and seed give the same page.</p></footer>",
        escaped(fidelity(simulation)),
        cut(&simulation.flyball, 40)
    );
}
