use std::fmt::Write as _;

#[path = "../../tests/schema/mod.rs"]
mod schema;

use super::*;
use crate::{
    check::{About, Draft, Fix, Found, Hop, Look, Quantity, Rule, Severity, check},
    design::{
        Api, ApiKind, Edge, Evidence, Function, Kind, Mode, Node, NodeId, Platform, Queue, Setting,
        Unresolved, Via,
    },
    document::{FileId, Files, Span},
    profile::{Given, Profile},
};

const TEXT: &str = "\
Resources:
  Upload: # the entrance
    Type: AWS::Serverless::HttpApi
  Ingest:
    Type: AWS::Serverless::Function
    Properties:
      Timeout: 60
  Orders:
    Type: AWS::SQS::Queue
    Properties:
      VisibilityTimeout: 30
  Old\u{1b}[31m: {Type: \"AWS::SQS::Queue\"}
";

static NARROWING: About = About {
    code: "FB0001",
    title: "payload narrowing along a path",
    severity: Severity::Error,
    since: 1,
    page: "# FB0001: payload narrowing\n\nA message passes one hop\nand not the next.\n\n## The fix\n\nLess.\n",
};
static VISIBILITY: About = About {
    code: "FB0007",
    title: "visibility below the timeout",
    severity: Severity::Error,
    since: 1,
    page: "",
};
static ADVICE: About =
    About { code: "FB0101", title: "log retention", severity: Severity::Advice, since: 1, page: "" };

fn span(file: FileId, part: &str) -> Span {
    let start = TEXT.find(part).unwrap();
    Span { file, start: u32::try_from(start).unwrap(), end: u32::try_from(start + part.len()).unwrap() }
}

fn node(name: &str, kind: Kind, span: Span) -> Node {
    Node {
        name: name.into(),
        stack: None,
        resource_type: String::new(),
        kind,
        span,
        physical_name: None,
        construct_path: None,
        conditional: None,
        allowed: Vec::new(),
    }
}

fn edge(from: NodeId, to: NodeId, via: Via, evidence: Evidence, span: Span) -> Edge {
    Edge {
        from,
        to,
        mode: Mode::Sync,
        evidence,
        via,
        span,
        resource: None,
        conditional: None,
        qualifier: None,
    }
}

/// An entrance, a function, its queue and a queue whose name wants to colour the terminal.
fn design() -> Design {
    let mut files = Files::default();
    let file = files.add("app/template.yaml", TEXT.into());
    let mut design = Design::new(files, Platform::Aws);
    let api = Api {
        kind: ApiKind::Http,
        endpoint: Setting::Default,
        throttled: false,
        logs_bodies: Setting::Default,
    };
    let upload = design.add(node("Upload", Kind::Api(api), span(file, "Upload")));
    let function = Function { timeout_s: Setting::Stated(60, span(file, "60")), ..Function::default() };
    let ingest = design.add(node("Ingest", Kind::Function(Box::new(function)), span(file, "Ingest")));
    let queue = Queue { visibility_s: Setting::Stated(30, span(file, "30")), ..Queue::default() };
    let orders = design.add(node("Orders", Kind::Queue(queue), span(file, "Orders")));
    let mut old = node("Old\u{1b}[31m", Kind::Queue(Queue::default()), span(file, "Old"));
    old.allowed.push(("FB0007".into(), "goes away in spring".into()));
    design.add(old);
    let route = Via::Integration(Box::default());
    design.connect(edge(upload, ingest, route, Evidence::Wired, span(file, "Upload")));
    let source = Via::EventSource(Box::default());
    design.connect(edge(orders, ingest, source, Evidence::Named, span(file, "Orders")));
    for number in 0..7 {
        design.unresolved.push(Unresolved {
            span: span(file, "Ingest"),
            resource: Some("Ingest".into()),
            what: format!("the value of parameter P{number} is not known: it has no default"),
        });
    }
    design
}

fn hop(name: &str, limit: &str, evidence: Option<Evidence>, wall: bool) -> Hop {
    Hop { name: name.into(), kind: "function", limit: limit.into(), evidence, wall }
}

struct Says(&'static About, fn(&Design, &mut Found<'_>));

impl Rule for Says {
    fn about(&self) -> &'static About {
        self.0
    }
    fn check(&self, look: &Look<'_>, found: &mut Found<'_>) {
        (self.1)(look.design, found);
    }
}

fn narrowing(design: &Design, found: &mut Found<'_>) {
    let (edge, way) = design.edges().next().unwrap();
    let message = "A body of 6 MiB to 10 MiB passes Upload and is refused by Ingest with 413.";
    let help = "Let the client put the body into a bucket through a presigned URL, and pass its key.";
    let quantity = |of: &str, number, source: &str| Quantity {
        of: of.into(),
        number,
        unit: "bytes",
        source: source.into(),
    };
    let draft = Draft::new(way.to, way.span, message.into(), help.into())
        .rests_on([edge])
        .path(vec![hop("Upload", "10 MB", None, false), hop("Ingest", "6 MB", Some(Evidence::Wired), true)])
        .meets(
            quantity("a synchronous request", 6_291_456.0, "Lambda quotas, 2026-11-17"),
            quantity("a request of an HTTP API", 10_485_760.0, ""),
        )
        .related(way.span, "the entrance");
    found.add(draft);
}

fn visibility(design: &Design, found: &mut Found<'_>) {
    for (id, node, queue) in design.queues() {
        let edge = design.outgoing(id).next().map(|(edge, _)| edge);
        let span = queue.visibility_s.span().unwrap_or(node.span);
        let path =
            vec![hop(&node.name, "30 s", None, false), hop("Ingest", "60 s", Some(Evidence::Named), true)];
        let fix = Fix { title: "raise it to 360".into(), safe: false, edits: vec![(span, "360".into())] };
        let draft =
            Draft::new(id, span, "A message is seen again while it is worked on.".into(), "Raise it.".into())
                .rests_on(edge)
                .path(path)
                .fix(fix)
                .assuming("the function takes its whole timeout");
        found.add(draft);
    }
}

fn advice(design: &Design, found: &mut Found<'_>) {
    for (id, node) in design.nodes() {
        found.add(Draft::new(id, node.span, "Logs stay for ever.".into(), "Set a retention.".into()));
    }
}

/// A report over all that a report can say.
fn with_report<T>(see: impl FnOnce(&Report<'_>) -> T) -> T {
    let design = design();
    let (profile, given) = (Profile::default(), Given::default());
    let look = Look { design: &design, profile: &profile, given: &given };
    let rules = [Says(&NARROWING, narrowing), Says(&VISIBILITY, visibility), Says(&ADVICE, advice)];
    let rules: Vec<&dyn Rule> = rules.iter().map(|rule| rule as &dyn Rule).collect();
    let findings = check(&look, &rules);
    let problem = Problem {
        code: "FE3101",
        span: span(design.files.ids().next().unwrap(), "Type: AWS::SQS::Queue"),
        message: "a property that \u{7}nobody reads".into(),
        help: "leave it out".into(),
    };
    see(&Report {
        design: &design,
        problems: &[problem],
        findings: &findings,
        rules: &[&NARROWING, &VISIBILITY, &ADVICE],
        rules_version: 1,
        profile: "aws",
        files_read: 1,
        against: Some(&Against { base: "main".into(), known: 2, gone: 1 }),
    })
}

#[test]
fn a_person_reads_it() {
    let said = with_report(|report| text(report, Style::default()));
    insta::assert_snapshot!("text", said);
    assert!(said.lines().all(|line| unicode_width::UnicodeWidthStr::width(line) <= 80), "{said}");
    assert!(!said.contains(|c: char| c.is_control() && c != '\n'), "{said:?}");
    let ascii = with_report(|report| text(report, Style { ascii: true, ..Style::default() }));
    assert!(ascii.contains("Upload -10 MB-> Ingest 6 MB [X]"), "{ascii}");
    let colour = with_report(|report| text(report, Style { colour: true, ..Style::default() }));
    assert!(colour.contains("\u{1b}[1;31mIngest 6 MB ✗\u{1b}[0m"), "{colour}");
    let mut plain = colour;
    for code in ["1", "1;31", "1;33", "1;36", "32", "2", "0"] {
        plain = plain.replace(&format!("\u{1b}[{code}m"), "");
    }
    assert_eq!(plain, said, "colour changes nothing else");
}

#[test]
fn a_clean_design_is_said_to_be_one() {
    let design = Design::default();
    let report = with_report(|report| {
        let empty = Report { design: &design, problems: &[], findings: &[], against: None, ..*report };
        text(&empty, Style::default())
    });
    assert_eq!(report, "No walls found in 0 functions and 0 edges of 1 file, by the limits of aws.\n");
}

#[test]
fn a_program_reads_it() {
    let document = with_report(json);
    insta::assert_json_snapshot!("json", document);
    insta::assert_json_snapshot!("sarif", with_report(sarif));
}

#[test]
fn the_schema_describes_what_is_printed() {
    let described = json_schema();
    let document = with_report(json);
    schema::fits(&described, &described, &document, "report");
    let document =
        with_report(|report| json(&Report { findings: &[], problems: &[], against: None, ..*report }));
    schema::fits(&described, &described, &document, "empty");
}

#[test]
fn what_is_found_often_is_explained_five_times() {
    let said = with_report(|report| {
        let wall = report.findings.iter().find(|finding| finding.code == "FB0001").unwrap();
        let many: Vec<Finding> = (0..8)
            .map(|number| {
                let mut one = wall.clone();
                one.path[1].name = format!("Ingest{number}");
                one
            })
            .collect();
        text(&Report { findings: &many, ..*report }, Style::default())
    });
    assert_eq!((said.matches("error FB0001").count(), said.matches("fix:").count()), (8, 5), "{said}");
}

#[test]
fn long_ways_are_broken_at_their_arrows() {
    let path: Vec<Hop> = (0..12)
        .map(|n| hop(&format!("{n}{}", "Function".repeat(n)), "256 KiB", Some(Evidence::Wired), n == 11))
        .collect();
    for (ascii, width) in [(false, 80), (true, 80), (false, 60)] {
        let lines = chain::draw(&path, Style { ascii, width, colour: false });
        let widths: Vec<usize> =
            lines.iter().map(|l| unicode_width::UnicodeWidthStr::width(l.as_str())).collect();
        assert!(widths.iter().all(|one| *one <= width), "{lines:#?}");
        assert!(
            lines.len() > 3 && lines[1].starts_with(if ascii { "  -256" } else { "  ─256" }),
            "{lines:#?}"
        );
    }
}

#[test]
fn walls_are_marked_in_every_drawing() {
    with_report(|report| {
        let svg = graph(report, Drawing::Svg);
        assert!(svg.contains("class=\"function error\"") && svg.contains(">FB0001 FB0007<"), "{svg}");
        assert!(!svg.contains('\u{1b}'), "{svg}");
        let inline = graph(report, Drawing::Inline);
        assert!(inline.contains(">FB0001 FB0007<"), "{inline}");
        assert!(!inline.contains("<style") && !inline.contains("#fff\"/>"), "{inline}");
        insta::assert_snapshot!("dot", graph(report, Drawing::Dot));
        insta::assert_snapshot!("mermaid", graph(report, Drawing::Mermaid));
    });
}

/// A design of `count` functions in which each calls some of the next ones, and now and then one before.
fn web(count: usize) -> Design {
    let mut files = Files::default();
    let mut text = String::new();
    for n in 0..count {
        writeln!(text, "Function{n}").unwrap();
    }
    let file = files.add("web.yaml", text);
    let span = Span { file, start: 0, end: 1 };
    let mut design = Design::new(files, Platform::Aws);
    let ids: Vec<NodeId> = (0..count)
        .map(|n| design.add(node(&format!("Function{n}"), Kind::Function(Box::default()), span)))
        .collect();
    for (n, from) in ids.iter().enumerate() {
        for step in [1, 2, 7].into_iter().take(1 + n % 3) {
            if let Some(to) = ids.get(n / 2 + step) {
                design.connect(edge(*from, *to, Via::Enrichment, Evidence::Wired, span));
            }
        }
    }
    design
}

#[test]
fn boxes_never_overlap_and_the_same_design_gives_the_same_drawing() {
    for count in [0, 1, 2, 50, 300] {
        let design = web(count);
        let drawn = with_report(|report| {
            let report = Report { design: &design, findings: &[], ..*report };
            (graph(&report, Drawing::Svg), graph(&report, Drawing::Svg))
        });
        assert!(drawn.0 == drawn.1, "{count}");
        let number = |text: &str| text.parse::<f64>().unwrap();
        let boxes: Vec<(f64, f64, f64, f64)> = drawn
            .0
            .lines()
            .filter(|line| line.starts_with("<g class=\"function"))
            .map(|line| {
                let part = |from: &str, to: &str| line.split(from).nth(1).unwrap().split(to).next().unwrap();
                let (x, y) = part("translate(", ")").split_once(' ').unwrap();
                (number(x), number(y), number(part("width=\"", "\"")), number(part("height=\"", "\"")))
            })
            .collect();
        assert_eq!(boxes.len(), count);
        for (index, a) in boxes.iter().enumerate() {
            for b in &boxes[index + 1..] {
                let apart = a.0 + a.2 <= b.0 || b.0 + b.2 <= a.0 || a.1 + a.3 <= b.1 || b.1 + b.3 <= a.1;
                assert!(apart, "{a:?} {b:?}");
            }
        }
    }
}
