//! The search alone: brackets on the ladder of loads.
#![allow(clippy::unwrap_used, reason = "tests")]

use super::*;

/// The bracket of a line at `line`, and the loads that were tried.
fn searched(line: f64, from: i32, width: i32, step: i32) -> (Bracket, Vec<f64>) {
    let mut tried = Vec::new();
    let found = bracket(from, width, step, &mut |load| {
        tried.push(load);
        Ok(Some(load < line))
    });
    (found.unwrap().unwrap(), tried)
}

#[test]
fn every_search_tries_rungs_of_one_ladder() {
    let mut all = Vec::new();
    for line in [0.003, 0.5, 0.999, 1.01, 4.1, 9.3, 900.0] {
        let (found, tried) = searched(line, 0, WIDTH, DOUBLE);
        let Bracket::Between { holds, breaks } = found else { panic!("{line}: {found:?}") };
        assert!(holds < line && line <= breaks && breaks / holds < 1.05, "{line}: {found:?}");
        // The next seed begins at the line of the one before.
        let (again, more) = searched(line * 1.03, rung_of(holds), WIDTH, WIDTH);
        assert!(matches!(again, Bracket::Between { .. }), "{line}: {again:?}");
        all.extend(tried.into_iter().chain(more));
    }
    for load in all {
        assert_eq!(load, load_at(rung_of(load)), "{load} is on no rung");
    }
}

#[test]
fn a_line_that_is_nowhere_ends_the_search() {
    let (never, tried) = searched(f64::INFINITY, 0, WIDTH, DOUBLE);
    assert_eq!((never, tried.len()), (Bracket::Never { tried: LOAD_MAX }, 11));
    let (zero, tried) = searched(0.0, 0, WIDTH, DOUBLE);
    assert_eq!((zero, tried.len()), (Bracket::Zero { tried: LOAD_MIN }, 11));
    assert_eq!(searched(LOAD_MIN * 1.01, 0, WIDTH, DOUBLE).1.last(), Some(&load_at(1 - RUNG_MAX)));
}
