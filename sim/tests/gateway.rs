//! API Gateway: how many requests it lets in, and what it leaves behind when it has waited long enough.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

mod said_by;

use flyball_sim::result::RunResult;
use said_by::{function, profile, run, run_with};

/// A function behind a route of an HTTP API (`Api`), of a REST API, or with a URL of its own.
fn behind(entrance: &str, timeout_s: u32) -> String {
    let (events, url) = match entrance {
        "url" => (String::new(), "      FunctionUrlConfig: { AuthType: NONE }\n".to_string()),
        kind => {
            let route = "          Properties: { Method: GET, Path: /things }\n";
            (format!("      Events:\n        Get:\n          Type: {kind}\n{route}"), String::new())
        }
    };
    format!(
        "Transform: AWS::Serverless-2016-10-31
Resources:
  Answer:
    Type: AWS::Serverless::Function
    Properties:
      Handler: main.handler
      Runtime: python3.13
      InlineCode: pass
      Timeout: {timeout_s}
{url}{events}"
    )
}

/// So many requests at one moment.
fn at_once(entrance: &str, requests: u32, client: &str) -> RunResult {
    let traffic = format!(
        "duration = \"1m\"\n[traffic.Answer]\npeak_per_s = 10_000\narrivals = {{ bursts = {requests} }}\n\
         events_max = {requests}\n{client}[function.Answer]\nduration = \"10ms\"\ninit = \"1ms\"\n"
    );
    let wide = "[limits]\n\"lambda.concurrency\" = { value = 100_000 }\n\
        \"lambda.scaling_per_10s\" = { value = 100_000 }\n";
    run_with(&behind(entrance, 5), &traffic, &profile(wide))
}

#[test]
fn all_apis_take_5_000_requests_at_once_and_answer_the_rest_429() {
    for entrance in ["Api", "HttpApi"] {
        let result = at_once(entrance, 6_000, "");
        let source = &result.sources[0];
        assert_eq!((source.answered, source.failed), (5_000, 1_000), "{entrance}");
        assert_eq!((source.refused["API Gateway rate"], source.errors["throttled"]), (1_000, 1_000));
        let answer = function(&result, "Answer");
        assert_eq!((answer.runs, answer.throttled.len()), (5_000, 0), "the function hears of none of them");
        let limit = result.limits.iter().find(|limit| limit.limit.of == "API Gateway").unwrap();
        assert_eq!((limit.limit.value, limit.refused), (10_000.0, 1_000));
        let broken = result.broken().next().unwrap().broken.as_ref().unwrap();
        assert_eq!(broken.because.as_ref().unwrap().of, "API Gateway");
    }
}

#[test]
fn what_all_apis_do_not_take_comes_in_when_it_is_tried_again() {
    let client = "[traffic.Answer.client]\nretries = 3\nretry_base = \"1s\"\n";
    let result = at_once("HttpApi", 6_000, client);
    let source = &result.sources[0];
    assert_eq!((source.answered, source.failed), (6_000, 0));
    assert!(source.refused["API Gateway rate"] >= 1_000, "{:?}", source.refused);
}

#[test]
fn a_function_url_does_not_count_against_the_rate_of_all_apis() {
    let result = at_once("url", 6_000, "");
    assert_eq!((result.sources[0].answered, result.sources[0].refused.len()), (6_000, 0));
}

#[test]
fn what_a_profile_states_of_all_apis_is_shared_by_them_and_refills_continuously() {
    // Two sources through one account: 40/s of which 25/s come in, after 10 at once.
    let traffic = "duration = \"100s\"\n[traffic.one]\nto = \"Answer\"\npeak_per_s = 20\narrivals = \"constant\"\n\
        [traffic.two]\nto = \"Answer\"\npeak_per_s = 20\narrivals = \"constant\"\n\
        [function.Answer]\nduration = \"10ms\"\n";
    let stated = "[limits]\n\"api.requests_per_s\" = { value = 25 }\n\"api.burst\" = { value = 10 }\n";
    let result = run_with(&behind("Api", 5), traffic, &profile(stated));
    let answered: u64 = result.sources.iter().map(|source| source.answered).sum();
    assert!((2_500..=2_515).contains(&answered), "{answered}");
    let let_in = |result: &RunResult| {
        let services = result.cost.services.iter().filter(|one| one.service == "API Gateway");
        services.map(|one| one.units_per_month).sum::<f64>()
    };
    let all = run(&behind("Api", 5), traffic);
    let share = let_in(&result) / let_in(&all);
    assert!((0.62..0.64).contains(&share), "what is not let in is not paid for: {share}");
}

/// A function that takes a minute, and asks a database for most of it; callers that wait for as long as it takes.
fn slow(entrance: &str) -> RunResult {
    let traffic = "duration = \"10m\"\n[traffic.Answer]\npeak_per_s = 1\nevents_max = 100\n\
        [function.Answer]\nsteps = [{ compute = \"1s\" }, { call = \"Database\" }]\n\
        [dependency.Database]\nservice = \"55s\"\n";
    run(&behind(entrance, 900), traffic)
}

#[test]
fn a_gateway_answers_504_and_the_function_and_what_it_called_go_on() {
    for (entrance, waits_s) in [("Api", 29.0), ("HttpApi", 30.0)] {
        let result = slow(entrance);
        let (source, answer) = (&result.sources[0], function(&result, "Answer"));
        assert_eq!((source.answered, source.failed, source.errors["gateway timeout"]), (0, 100, 100));
        assert_eq!((answer.runs, answer.succeeded, answer.timeouts), (100, 100, 0), "{entrance}");
        assert_eq!(answer.orphans, 100, "all of them worked for nobody");
        assert!(answer.duration.p50_ms > 55_000.0, "{:?}", answer.duration);
        assert_eq!(result.dependencies[0].calls, 100);
        let first = result.promises.iter().find(|promise| promise.measure == "errors_percent").unwrap();
        assert!(first.broken.as_ref().unwrap().at_s >= waits_s, "{:?}", first.broken);
    }
}

#[test]
fn a_function_url_waits_as_long_as_its_function_runs() {
    let result = slow("url");
    assert_eq!((result.sources[0].answered, result.sources[0].failed), (100, 0));
}
