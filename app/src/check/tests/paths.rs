//! Ways through designs that are only names and arrows.

use crate::{
    check::paths::{Budget, HOPS_MAX, Step, Steps, cycles, entries, reach, simple_ways},
    design::{Design, Edge, Evidence, External, Kind, Mode, Node, NodeId, Platform, Via},
    document::{Files, Span},
};

fn node(name: &str, span: Span) -> Node {
    Node {
        name: name.to_string(),
        stack: None,
        resource_type: String::new(),
        kind: Kind::External(External::default()),
        span,
        physical_name: None,
        construct_path: None,
        conditional: None,
        allowed: Vec::new(),
    }
}

/// A design of `count` nodes with arrows between them.
fn design(count: u32, arrows: impl IntoIterator<Item = (u32, u32)>) -> Design {
    let mut files = Files::default();
    let span = Span { file: files.add("a.yaml", String::new()), start: 0, end: 0 };
    let mut design = Design::new(files, Platform::Aws);
    for index in 0..count {
        design.add(node(&index.to_string(), span));
    }
    for (from, to) in arrows {
        design.connect(Edge {
            from: NodeId(from),
            to: NodeId(to),
            mode: Mode::Async,
            evidence: Evidence::Wired,
            via: Via::Matches,
            span,
            resource: None,
            conditional: None,
            qualifier: None,
        });
    }
    design
}

/// Every edge is a step.
fn steps(design: &Design, follow: impl Fn(&Edge) -> bool) -> Steps {
    let mut steps = Steps::new(design);
    for (id, edge) in design.edges().filter(|(_, edge)| follow(edge)) {
        steps.add(edge.from, Step { edges: vec![id], to: edge.to });
    }
    steps
}

fn names(design: &Design, way: &[crate::design::EdgeId]) -> String {
    let first = way.first().map(|edge| design.node(design.edge(*edge).from).name.clone());
    let rest = way.iter().map(|edge| design.node(design.edge(*edge).to).name.clone());
    first.into_iter().chain(rest).collect::<Vec<_>>().join(">")
}

#[test]
fn ways_end_where_nothing_leads_on_or_back() {
    let design = design(6, [(0, 1), (1, 2), (1, 3), (3, 0), (3, 4), (5, 5)]);
    let ways = |from| {
        let ways = simple_ways(&design, NodeId(from), &mut Budget::of(&design), &|_| true);
        ways.iter().map(|way| names(&design, way)).collect::<Vec<_>>()
    };
    assert_eq!(ways(0), ["0>1>2", "0>1>3>4"]);
    assert_eq!(ways(3), ["3>0>1>2", "3>4"]);
    assert!(ways(2).is_empty() && ways(5).is_empty());
    assert!(simple_ways(&design, NodeId(0), &mut Budget::of(&design), &|_| false).is_empty());
}

#[test]
fn each_group_has_one_shortest_cycle() {
    let design = design(8, [(0, 1), (1, 2), (2, 0), (1, 0), (3, 3), (4, 5), (5, 6), (6, 4), (6, 7), (2, 3)]);
    let found = cycles(&steps(&design, |_| true));
    let found: Vec<_> = found.iter().map(|cycle| names(&design, &cycle.way)).collect();
    assert_eq!(found, ["0>1>0", "3>3", "4>5>6>4"]);
    assert!(cycles(&steps(&design, |edge| edge.from < edge.to)).is_empty());
}

#[test]
fn entries_give_work_and_are_given_none() {
    let design = design(5, [(0, 1), (2, 1), (1, 3)]);
    assert_eq!(entries(&design), [NodeId(0), NodeId(2)]);
    assert_eq!(reach(&design, NodeId(0), &|_| true), [NodeId(1), NodeId(3)]);
}

#[test]
fn large_designs_take_bounded_work() {
    // A ring through everything, and a thicket in which the ways are beyond counting.
    let ring = (0..10_000).map(|n| (n, (n + 1) % 10_000));
    let thicket = (0..100).flat_map(|from| (0..100).map(move |to| (from, to)));
    let design = design(10_000, ring.chain(thicket));
    let mut budget = Budget::of(&design);
    let ways: usize =
        (0..10_000).map(|n| simple_ways(&design, NodeId(n), &mut budget, &|_| true).len()).sum();
    assert!(ways > 0 && ways < 1_000_000, "{ways}");
    assert_eq!(cycles(&steps(&design, |_| true)).len(), 1);
    let long = simple_ways(&design, NodeId(5_000), &mut Budget::of(&design), &|_| true);
    assert_eq!(long.iter().map(Vec::len).collect::<Vec<_>>(), [HOPS_MAX]);
}
