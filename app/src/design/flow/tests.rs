use super::{Flow, FlowState};
use crate::document::{Files, Span};

fn flow(states: Vec<(&str, Vec<usize>, i64)>) -> Flow {
    let file = Files::default().add("m.json", String::new());
    let span = Span { file, start: 0, end: 0 };
    let states = states.into_iter().map(|(name, next, waits_s)| FlowState {
        name: name.into(),
        span,
        next,
        waits_s,
        events_min: 2,
        inside: Vec::new(),
    });
    Flow { states: states.collect(), start: Some(0) }
}

#[test]
fn a_way_back_is_found_and_what_is_on_it_counts_once() {
    let flow = flow(vec![("a", vec![1], 1), ("b", vec![2], 10), ("c", vec![1, 3], 100), ("d", vec![], 1000)]);
    let longest = flow.longest(&|state| state.waits_s);
    assert_eq!((longest.sum, longest.states), (1111, vec!["a", "b", "c", "d"]));
    assert_eq!(flow.loops(), ["c"]);
    let rounds = flow.rounds();
    let names: Vec<&str> = rounds[0].states.iter().map(|state| state.name.as_str()).collect();
    assert_eq!((rounds.len(), names), (1, vec!["b", "c"]));
    assert_eq!((rounds[0].events_min(), rounds[0].waits_s()), (4, 110));
}

#[test]
fn the_longest_branch_counts_and_what_adds_nothing_is_not_named() {
    let mut outer = flow(vec![("p", vec![1], 0), ("q", vec![], 5)]);
    outer.states[0].inside =
        vec![flow(vec![("x", vec![], 7)]), flow(vec![("y", vec![1], 3), ("z", vec![], 6)])];
    let longest = outer.longest(&|state| state.waits_s);
    assert_eq!((longest.sum, longest.states), (14, vec!["y", "z", "q"]));
}

#[test]
fn a_chain_as_long_as_the_file_is_no_problem() {
    let length = 200_000;
    let states = (1..=length).map(|next| ("s", if next < length { vec![next] } else { vec![] }, 1)).collect();
    assert_eq!(flow(states).longest(&|state| state.waits_s).sum, 200_000);
}
