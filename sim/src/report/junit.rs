//! For CI: each promise, check and comparison as a test case of JUnit's XML.

use std::fmt::Write as _;

use super::{
    Report,
    against::{Verdict, compare},
    answer::{answer, application_of, failure},
    markup::escaped,
    numbers::{factor, moment, with_unit},
};
use crate::result::{FaultCheck, FaultFailure, FaultsResult, LineVerdict, LoadLineResult, RunResult};

/// Failures of one check that are told; more are counted.
const FAILURES_MAX: usize = 5;

/// One test case.
struct Case {
    suite: &'static str,
    name: String,
    /// A line, and what stands behind it. `None`: it passed.
    failure: Option<(String, String)>,
    skipped: Option<String>,
}

impl Case {
    fn passed(suite: &'static str, name: impl Into<String>) -> Case {
        Case { suite, name: name.into(), failure: None, skipped: None }
    }
}

/// JUnit's XML: each promise, the load line, each check under faults and the comparison are a test case.
pub fn junit(report: &Report<'_>) -> String {
    let simulation = report.simulation;
    let name = application_of(simulation);
    let mut cases = Vec::new();
    if let Some(run) = &simulation.run {
        promises(run, &mut cases);
    }
    if let Some(line) = &simulation.load_line {
        cases.push(load_line(line, &answer(simulation).facts));
    }
    if let Some(faults) = &simulation.faults {
        cases.extend(faults.checks.iter().map(|check| of_check(faults, check)));
    }
    if let Some((base, other)) = report.against {
        let comparison = compare(base, other, simulation);
        let mut case = Case::passed("comparison", format!("no worse than {base}"));
        if comparison.verdict == Verdict::Worse {
            case.failure = Some((comparison.headline, comparison.changes.join("\n")));
        }
        cases.push(case);
    }
    written(&name, &cases)
}

fn promises(run: &RunResult, cases: &mut Vec<Case>) {
    for promise in &run.promises {
        let mut case = Case::passed("promises", &promise.promise);
        if let Some(broken) = &promise.broken {
            let short = format!("{}: {}", promise.promise, with_unit(promise.value, &promise.unit));
            case.failure = Some((short, failure(promise, broken)));
        }
        cases.push(case);
    }
    // A build that checks them ends at the first that does not hold.
    if run.about.invariants_checked {
        cases.push(Case::passed("engine", "invariants"));
    }
}

/// The load line is a failure only where the stated traffic is beyond it.
fn load_line(line: &LoadLineResult, facts: &[(&'static str, String)]) -> Case {
    let behind =
        || facts.iter().map(|(label, words)| format!("{label}: {words}")).collect::<Vec<_>>().join("\n");
    let name = match line.verdict {
        LineVerdict::Found { holds_at, .. } => format!("load line {}", factor(holds_at)),
        LineVerdict::NeverBreaks { tried_up_to } => format!("load line above {}", factor(tried_up_to)),
        LineVerdict::BreaksAtZero { .. } => "load line".to_string(),
        LineVerdict::Between { .. } | LineVerdict::Undecided => {
            let mut case = Case::passed("load line", "load line");
            case.skipped = Some("the search was broken off".into());
            return case;
        }
    };
    let mut case = Case::passed("load line", name);
    case.failure = match line.verdict {
        LineVerdict::Found { holds_at, breaks_at, .. } if holds_at < 1.0 => Some((
            format!("the stated traffic is beyond the load line: it breaks at {}", factor(breaks_at)),
            behind(),
        )),
        LineVerdict::BreaksAtZero { .. } => Some(("a promise breaks at any load".into(), behind())),
        _ => None,
    };
    case
}

fn of_check(faults: &FaultsResult, check: &FaultCheck) -> Case {
    let mut case = Case::passed("faults", &check.what);
    if check.seeds_failed == 0 {
        return case;
    }
    let told: Vec<String> = faults
        .failures
        .iter()
        .filter(|failure| failure.broken == check.what)
        .take(FAILURES_MAX)
        .map(of_failure)
        .collect();
    let short = format!("broken with {} of {} seeds", check.seeds_failed, faults.seeds_run);
    case.failure = Some((short, told.join("\n\n")));
    case
}

fn of_failure(failure: &FaultFailure) -> String {
    let mut out = format!(
        "seed {} at {}: {}\nagain: {}",
        failure.seed,
        moment(failure.at_s),
        failure.detail,
        failure.again
    );
    for fault in &failure.schedule {
        let _ = write!(out, "\nfault at {}: {} {}", moment(fault.at_s), fault.what, fault.of);
    }
    for step in &failure.trace {
        let _ = write!(out, "\n{} {}: {}", moment(step.at_s), step.place, step.what);
    }
    out
}

fn written(name: &str, cases: &[Case]) -> String {
    let counts = |cases: &[&Case]| {
        let failed = cases.iter().filter(|case| case.failure.is_some()).count();
        let skipped = cases.iter().filter(|case| case.skipped.is_some()).count();
        format!("tests=\"{}\" failures=\"{failed}\" errors=\"0\" skipped=\"{skipped}\"", cases.len())
    };
    let all: Vec<&Case> = cases.iter().collect();
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let name = escaped(name);
    let _ = writeln!(out, "<testsuites name=\"flyball simulate {name}\" {}>", counts(&all));
    for suite in ["promises", "engine", "load line", "faults", "comparison"] {
        let cases: Vec<&Case> = cases.iter().filter(|case| case.suite == suite).collect();
        if cases.is_empty() {
            continue;
        }
        let _ = writeln!(out, "  <testsuite name=\"{suite}\" {}>", counts(&cases));
        for case in cases {
            let start =
                format!("    <testcase classname=\"{name}.{suite}\" name=\"{}\"", escaped(&case.name));
            match (&case.failure, &case.skipped) {
                (Some((short, behind)), _) => {
                    let (short, behind) = (escaped(short), escaped(behind));
                    let _ = writeln!(
                        out,
                        "{start}>\n      <failure message=\"{short}\">{behind}</failure>\n    </testcase>"
                    );
                }
                (None, Some(why)) => {
                    let _ = writeln!(
                        out,
                        "{start}>\n      <skipped message=\"{}\"/>\n    </testcase>",
                        escaped(why)
                    );
                }
                (None, None) => {
                    let _ = writeln!(out, "{start}/>");
                }
            }
        }
        out.push_str("  </testsuite>\n");
    }
    out.push_str("</testsuites>\n");
    out
}
