//! Lambda's pool and environments end to end: who gets a place, how long it lasts, and what it costs to make one.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

mod said_by;

use flyball_sim::result::RunResult;
use said_by::{function, profile, run, run_with};

/// Functions with a URL each: name, timeout in seconds, reserved environments.
fn template(functions: &[(&str, u32, Option<u32>)]) -> String {
    let mut text = String::from("Transform: AWS::Serverless-2016-10-31\nResources:\n");
    for (name, timeout_s, reserved) in functions {
        let reserved =
            reserved.map_or(String::new(), |n| format!("      ReservedConcurrentExecutions: {n}\n"));
        text.push_str(&format!(
            "  {name}:
    Type: AWS::Serverless::Function
    Properties:
      Handler: main.handler
      Runtime: python3.13
      InlineCode: pass
      Timeout: {timeout_s}
      FunctionUrlConfig: {{ AuthType: NONE }}
{reserved}"
        ));
    }
    text
}

/// One function under this traffic.
fn one(timeout_s: u32, traffic: &str) -> RunResult {
    run(&template(&[("Work", timeout_s, None)]), traffic)
}

/// Work for ten seconds that comes to two functions, of an account with 50 environments.
fn fifty(reserved: Option<u32>, per_s: (u32, u32)) -> RunResult {
    let of = |name: &str, per_s: u32| match per_s {
        0 => String::new(),
        n => format!("[traffic.{name}]\npeak_per_s = {n}\narrivals = \"constant\"\n"),
    };
    let traffic = format!(
        "duration = \"2m\"\n{}{}[function.Kept]\nduration = \"10s\"\n[function.Other]\nduration = \"10s\"\n\
         [environments]\ninit = \"1ms\"\n",
        of("Kept", per_s.0),
        of("Other", per_s.1)
    );
    let account = profile("[limits]\n\"lambda.concurrency\" = { value = 50 }\n");
    run_with(&template(&[("Kept", 60, reserved), ("Other", 60, None)]), &traffic, &account)
}

#[test]
fn a_reservation_is_taken_from_the_pool_whether_it_is_used_or_not() {
    let idle = fifty(Some(20), (0, 20));
    let other = function(&idle, "Other");
    assert_eq!(other.concurrency_peak, 30.0, "20 of 50 are kept for a function that nobody calls");
    assert!(other.throttled["platform concurrency"] > 1_000, "{:?}", other.throttled);
    assert_eq!(function(&fifty(None, (0, 20)), "Other").concurrency_peak, 50.0);
}

#[test]
fn a_reservation_caps_its_function_and_nobody_else_takes_it() {
    let result = fifty(Some(20), (20, 20));
    let (kept, other) = (function(&result, "Kept"), function(&result, "Other"));
    assert_eq!((kept.concurrency_peak, other.concurrency_peak), (20.0, 30.0));
    assert_eq!(kept.throttled.len(), 1, "{:?}", kept.throttled);
    assert!(kept.throttled["function Kept concurrency"] > 1_000, "its own cap, though the pool has room");
}

#[test]
fn functions_without_a_reservation_share_the_pool_first_come_first_served() {
    let result = fifty(None, (1, 40));
    let kept = function(&result, "Kept");
    assert_eq!(result.platform.concurrency_peak, 50.0);
    assert!(kept.throttled["platform concurrency"] > 50, "of 120 calls: {:?}", kept.throttled);
    assert_eq!(function(&fifty(Some(20), (1, 40)), "Kept").throttled.len(), 0);
}

#[test]
fn a_run_that_times_out_takes_its_environment_with_it() {
    let traffic = |duration: &str| {
        format!(
            "duration = \"10m\"\n[traffic.Work]\npeak_per_s = 0.2\narrivals = \"constant\"\n\
             [function.Work]\nduration = \"{duration}\"\ninit = \"500ms\"\n"
        )
    };
    let killed = one(1, &traffic("2s"));
    let work = function(&killed, "Work");
    assert!(work.runs > 100);
    assert_eq!((work.timeouts, work.cold_starts), (work.runs, work.runs), "each is cold again");
    let warm = one(3, &traffic("2s"));
    assert_eq!((function(&warm, "Work").timeouts, function(&warm, "Work").cold_starts), (0, 1));
}

#[test]
fn an_error_leaves_its_environment_as_it_is() {
    let result = one(
        3,
        "duration = \"10m\"\n[traffic.Work]\npeak_per_s = 0.2\narrivals = \"constant\"\n\
         [function.Work]\nduration = \"100ms\"\nerror_rate = 1\n",
    );
    let work = function(&result, "Work");
    assert_eq!((work.succeeded, work.cold_starts), (0, 1));
}

#[test]
fn init_holds_its_place_in_the_pool() {
    // 20 calls at once find 10 environments, which need 5 s to begin; three seconds later nobody has been served.
    let traffic = "duration = \"1m\"\n[traffic.Work]\npeak_per_s = 20\narrivals = { bursts = 20 }\n\
        events_max = 20\n[traffic.late]\nto = \"Work\"\npeak_per_s = 1\narrivals = \"constant\"\nfrom = \"2s\"\n\
        until = \"5s\"\n[function.Work]\nduration = \"1ms\"\ninit = \"5s\"\n";
    let account = profile("[limits]\n\"lambda.concurrency\" = { value = 10 }\n");
    let result = run_with(&template(&[("Work", 10, None)]), traffic, &account);
    let work = function(&result, "Work");
    assert_eq!((work.concurrency_peak, work.cold_starts), (10.0, 10));
    assert_eq!(result.sources.iter().find(|s| s.name == "late").unwrap().answered, 0);
    assert_eq!(work.runs, 10);
}

#[test]
fn init_that_is_broken_off_runs_again_within_the_timeout_of_the_first_run() {
    let traffic = |init: &str| {
        format!(
            "duration = \"2m\"\n[traffic.Work]\npeak_per_s = 1\nevents_max = 1\n\
             [function.Work]\nduration = \"1s\"\ninit = \"{init}\"\n"
        )
    };
    let latency = |result: &RunResult| result.sources[0].latency.p50_ms;
    let close = |value: f64, to: f64| (value - to).abs() < to * 0.02;
    // Its timeout is shorter than INIT, which does not count towards it.
    let whole = one(3, &traffic("9s"));
    assert!(close(latency(&whole), 10_000.0), "{}", latency(&whole));
    // 10 s until INIT is broken off, 12 s of INIT again, 1 s of work: 13 s of the timeout.
    let again = one(14, &traffic("12s"));
    assert!(close(latency(&again), 23_000.0), "{}", latency(&again));
    assert!(close(function(&again, "Work").duration.p50_ms, 13_000.0));
    let never = one(3, &traffic("12s"));
    assert_eq!((function(&never, "Work").timeouts, function(&never, "Work").succeeded), (1, 0));
    let stepwise = one(3, &traffic("12s").replace("duration = \"1s\"\n", "steps = [{ compute = \"1s\" }]\n"));
    assert_eq!((function(&stepwise, "Work").timeouts, function(&stepwise, "Work").succeeded), (1, 0));
}

/// Two calls, so many minutes apart.
fn twice(minutes: u32, more: &str) -> u64 {
    let traffic = format!(
        "duration = \"2h\"\n[traffic.first]\nto = \"Work\"\npeak_per_s = 1\narrivals = \"constant\"\nevents_max = 1\n\
         [traffic.second]\nto = \"Work\"\npeak_per_s = 1\narrivals = \"constant\"\nevents_max = 1\n\
         from = \"{minutes}m\"\n\
         [function.Work]\nduration = \"100ms\"\ninit = \"200ms\"\n{more}"
    );
    let result = one(3, &traffic);
    assert_eq!(function(&result, "Work").runs, 2);
    function(&result, "Work").cold_starts
}

#[test]
fn an_environment_is_used_again_unless_it_was_idle_for_10_minutes() {
    assert_eq!((twice(9, ""), twice(11, "")), (1, 2));
    let stated = "[environments]\nidle_max = \"30m\"\n";
    assert_eq!((twice(29, stated), twice(31, stated)), (1, 2));
}

#[test]
fn an_environment_runs_one_request_at_a_time_and_the_one_used_last_is_used_first() {
    // Ten at once, again ten half an hour later, and between them one a minute: it needs one environment, and the
    // other nine are removed.
    let many = |name: &str, from: &str| {
        format!(
            "[traffic.{name}]\nto = \"Work\"\npeak_per_s = 10\narrivals = {{ bursts = 10 }}\nevents_max = 10\n\
             from = \"{from}\"\n"
        )
    };
    let traffic = format!(
        "duration = \"1h\"\n{}{}[traffic.few]\nto = \"Work\"\npeak_per_s = 0.0167\narrivals = \"constant\"\n\
         [function.Work]\nduration = \"2s\"\ninit = \"100ms\"\n",
        many("first", "0s"),
        many("second", "30m")
    );
    let result = one(10, &traffic);
    let work = function(&result, "Work");
    assert!((10.0..=11.0).contains(&work.concurrency_peak), "{}", work.concurrency_peak);
    assert!((19..=20).contains(&work.cold_starts), "{} of {} runs are cold", work.cold_starts, work.runs);
}

#[test]
fn an_environment_is_replaced_when_it_is_2_hours_old() {
    let traffic = "duration = \"7h\"\n[traffic.Work]\npeak_per_s = 0.0167\narrivals = \"constant\"\n\
        [function.Work]\nduration = \"100ms\"\ninit = \"100ms\"\n";
    let result = one(3, traffic);
    let work = function(&result, "Work");
    assert_eq!((work.cold_starts, work.concurrency_peak), (4, 1.0), "the first, and one each two hours");
    let stated = one(3, &format!("{traffic}[environments]\nage_max = \"1h\"\n"));
    let cold = function(&stated, "Work").cold_starts;
    assert!((6..=7).contains(&cold), "{cold}");
}

#[test]
fn a_function_takes_ten_requests_a_second_for_each_of_its_concurrency() {
    // Runs of 10 ms: five environments could do 500 a second.
    let traffic = "duration = \"1m\"\n[traffic.Work]\npeak_per_s = 100\narrivals = \"constant\"\n\
        [function.Work]\nduration = \"10ms\"\ninit = \"1ms\"\n";
    let result = run(&template(&[("Work", 3, Some(5))]), traffic);
    let work = function(&result, "Work");
    assert!((3_000..=3_060).contains(&work.runs), "50/s, and 50 at once: {}", work.runs);
    assert!(work.concurrency_peak < 5.0, "{}", work.concurrency_peak);
    assert_eq!(work.throttled["function Work rate"], 6_000 - work.runs);
    let unreserved = one(3, traffic);
    assert_eq!(function(&unreserved, "Work").runs, 6_000, "of the account's 1,000: 10,000 a second");
}
