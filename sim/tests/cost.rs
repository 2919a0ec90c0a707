//! Bills worked out by hand from the rows of `app/src/profile/prices.toml`: us-east-1, without free tiers.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

mod said_by;

use flyball_sim::{
    Question,
    plan::Plan,
    result::{Basis, CostResult, RunResult},
};
use said_by::Patient;

fn plan(resources: &str, traffic: &str) -> Plan {
    let text = format!("Transform: AWS::Serverless-2016-10-31\nResources:\n{resources}");
    said_by::plan(&text, traffic)
}

fn run(resources: &str, traffic: &str) -> RunResult {
    flyball_sim::run(&plan(resources, traffic), 1, 1.0, &mut |_| false).unwrap()
}

/// A function of 1 GiB with these further properties.
fn function(name: &str, properties: &str) -> String {
    format!(
        "  {name}:\n    Type: AWS::Serverless::Function\n    Properties:\n      Handler: main.handler\n      \
         Runtime: python3.13\n      InlineCode: pass\n      Timeout: 30\n      MemorySize: 1024\n{properties}"
    )
}

const API: &str = "      Events:\n        Get:\n          Type: HttpApi\n          Properties:\n            \
                   Path: /\n            Method: GET\n";
const REST: &str = "      Events:\n        Get:\n          Type: Api\n          Properties:\n            \
                    Path: /\n            Method: GET\n";

/// One event a second for 59 minutes of an hour: 3,540, one after the other, so that one environment is enough.
const EACH_SECOND: &str = "duration = \"1h\"\n[traffic.web]\nto = \"GET /\"\npeak_per_s = 1\n\
                           arrivals = \"constant\"\nuntil = \"59m\"\n[traffic.web.client]\ntimeout = \"10s\"\n";
const EVENTS: f64 = 3_540.0;
/// Hours of a month, of which one was simulated.
const HOURS: f64 = 730.0;

fn paid(cost: &CostResult, service: &str, what: &str) -> f64 {
    let found = cost.services.iter().find(|one| one.service == service && one.what.starts_with(what));
    found.unwrap_or_else(|| panic!("no {what} of {service}: {:?}", cost.services)).usd_per_month
}

/// As much as four digits say.
fn near(got: f64, usd: f64) {
    assert!((got - usd).abs() <= usd * 1e-3, "{got}, not {usd}");
}

#[test]
fn a_function_behind_an_http_api_costs_time_requests_and_logs() {
    let traffic = format!("{EACH_SECOND}[function.F]\ninit = \"300ms\"\nduration = \"100200us\"\n");
    let result = run(&function("F", API), &traffic);
    let (cost, function) = (&result.cost, &result.functions[0]);
    assert_eq!((function.runs, function.cold_starts), (3_540, 1));
    // 100.2 ms are paid as 101; the first run with its INIT, 400.2 ms, as 401.
    let seconds = 3_539.0 * 0.101 + 0.401;
    near(function.billed_gb_s, seconds);
    near(paid(cost, "Lambda", "GB-seconds"), seconds * HOURS * 16.6667e-6);
    near(paid(cost, "Lambda", "requests"), EVENTS * HOURS * 0.20e-6);
    // Assumed: 1 KiB of log for each run.
    near(paid(cost, "CloudWatch Logs", "GB"), EVENTS * HOURS * 1_024.0 / 1e9 * 0.50);
    near(paid(cost, "API Gateway", "requests, HTTP"), EVENTS * HOURS * 1e-6);
    let month = seconds * HOURS * 16.6667e-6 + EVENTS * HOURS * (0.20e-6 + 1e-6 + 1_024.0 / 1e9 * 0.50);
    near(cost.usd_per_month, month);
    near(cost.usd_per_event, month / HOURS / EVENTS);
    assert_eq!(cost.wasted_usd_per_month, 0.0);
    assert!(cost.services.iter().all(|one| one.basis == Basis::Sourced && !one.source.is_empty()));
    // Over time it is the same money.
    let slots = &result.platform.times.cost_usd_per_h;
    near(slots.iter().sum::<f64>() / slots.len() as f64 * HOURS, month);
    assert!(slots.last() < slots.first(), "the last minute is idle: {slots:?}");
}

#[test]
fn arm_and_a_rest_api_have_their_own_prices() {
    let traffic = format!("{EACH_SECOND}[function.F]\ninit = \"1ms\"\nduration = \"99ms\"\n");
    let arm = format!("      Architectures: [arm64]\n{REST}");
    let cost = run(&function("F", &arm), &traffic).cost;
    near(paid(&cost, "Lambda", "GB-seconds, arm"), (EVENTS * 0.099 + 0.001) * HOURS * 13.3334e-6);
    near(paid(&cost, "API Gateway", "requests, REST"), EVENTS * HOURS * 3.50e-6);
}

#[test]
fn a_queue_costs_what_is_sent_received_deleted_and_polled_in_vain_by_chunks() {
    let queue = "  Jobs:\n    Type: AWS::SQS::Queue\n    Properties:\n      VisibilityTimeout: 60\n";
    let reads = "      Events:\n        Jobs:\n          Type: SQS\n          Properties:\n            \
                 Queue: !GetAtt Jobs.Arn\n            BatchSize: 1\n";
    let bill = |bytes: &str| {
        let traffic = format!(
            "{}event_bytes = \"{bytes}\"\n[function.F]\nduration = \"100ms\"\n",
            EACH_SECOND.replace("GET /", "Jobs").replace("[traffic.web.client]\ntimeout = \"10s\"\n", "")
        );
        paid(&run(&format!("{queue}{}", function("F", reads)), &traffic).cost, "SQS", "requests, standard")
    };
    // Each poller that finds nothing asks again every 20 s: five of them, 180 times an hour.
    let in_vain = 5.0 * 180.0;
    near(bill("1KiB"), (EVENTS * (1.0 + 1.0 + 1.0) + in_vain) * HOURS * 0.40e-6);
    // 100 KiB are two chunks, each time they are sent or received; to delete them is one request.
    near(bill("100KiB"), (EVENTS * (2.0 + 2.0 + 1.0) + in_vain) * HOURS * 0.40e-6);
}

#[test]
fn topics_buses_and_state_machines_cost_by_what_comes_in() {
    let topic = "  Orders:\n    Type: AWS::SNS::Topic\n";
    let told = "      Events:\n        Orders:\n          Type: SNS\n          Properties:\n            \
                Topic: !Ref Orders\n";
    let bus = "  Events:\n    Type: AWS::Events::EventBus\n    Properties:\n      Name: events\n";
    let placed = "      Events:\n        Placed:\n          Type: EventBridgeRule\n          Properties:\n            \
                  EventBusName: !Ref Events\n            Pattern:\n              \
                  detail-type:\n                - placed\n";
    let cases = [
        ("Orders", format!("{topic}{}", function("F", told)), "SNS", "publishes", 0.50e-6),
        ("Events", format!("{bus}{}", function("F", placed)), "EventBridge", "events", 1e-6),
    ];
    for (to, resources, service, what, usd) in cases {
        let traffic =
            EACH_SECOND.replace("GET /", to).replace("[traffic.web.client]\ntimeout = \"10s\"\n", "");
        let cost = run(&resources, &format!("{traffic}[function.F]\nduration = \"100ms\"\n")).cost;
        near(paid(&cost, service, what), EVENTS * HOURS * usd);
    }
}

#[test]
fn tenants_share_the_bill_by_their_time_and_by_their_events() {
    let source = |name: &str, per_s: u32| {
        format!(
            "[traffic.{name}]\nto = \"GET /\"\ntenant = \"{name}\"\npeak_per_s = {per_s}\narrivals = \"constant\"\n\
             until = \"59m\"\n"
        )
    };
    let traffic = format!(
        "duration = \"1h\"\n{}{}[function.F]\ninit = \"1ms\"\nduration = \"100ms\"\n",
        source("small", 1),
        source("large", 4)
    );
    let cost = run(&function("F", API), &traffic).cost;
    let of = |name: &str| cost.tenants_top.iter().find(|one| one.name == name).unwrap();
    near(of("large").usd_per_month, cost.usd_per_month * 0.8);
    near(of("small").usd_per_month, cost.usd_per_month * 0.2);
    near(of("large").share_percent, 80.0);
    assert_eq!(cost.tenants_top[0].name, "large");
}

#[test]
fn what_fails_and_what_nobody_waits_for_is_wasted() {
    let wasted = |function: &str, client: &str, more: &str| {
        let traffic = EACH_SECOND.replace("timeout = \"10s\"", client);
        let cost = run(&self::function("F", &format!("{more}{API}")), &format!("{traffic}{function}")).cost;
        let runs = ["GB-seconds", "requests"].iter().map(|what| paid(&cost, "Lambda", what)).sum::<f64>();
        (cost.wasted_usd_per_month, runs + paid(&cost, "CloudWatch Logs", "GB"))
    };
    let well = "[function.F]\ninit = \"1ms\"\nduration = \"100ms\"\n";
    assert_eq!(wasted(well, "timeout = \"10s\"", "").0, 0.0);
    // Every run fails.
    let (lost, all) = wasted(&format!("{well}error_rate = 1.0\n"), "timeout = \"10s\"", "");
    near(lost, all);
    // Every caller has gone when its run ends well.
    let (lost, all) = wasted(well, "timeout = \"50ms\"", "");
    near(lost, all);
}

#[test]
fn a_message_that_is_handed_out_again_while_it_is_worked_on_is_work_for_nobody() {
    let queue = "  Jobs:\n    Type: AWS::SQS::Queue\n    Properties:\n      VisibilityTimeout: 30\n";
    let reads = "      Events:\n        Jobs:\n          Type: SQS\n          Properties:\n            \
                 Queue: !GetAtt Jobs.Arn\n            BatchSize: 1\n";
    let traffic = "duration = \"10m\"\n[traffic.Jobs]\npeak_per_s = 1\narrivals = \"constant\"\nevents_max = 8\n\
                   [function.F]\nduration = { measured = [\"31s\", \"5s\"] }\n";
    let template = format!("{queue}{}", function("F", reads).replace("Timeout: 30", "Timeout: 60"));
    let result = run(&template, traffic);
    let function = &result.functions[0];
    // A run of 31 s deletes nothing: its message has been handed out again after 30 s. One of 5 s ends it.
    let node = &result.nodes[0];
    assert_eq!((function.runs - function.orphans, node.left), (8, 8));
    assert!(
        function.orphans > 0 && function.runs == node.receives,
        "{} runs, {}",
        function.runs,
        node.receives
    );
    assert_eq!(node.receives_mean, node.receives as f64 / 8.0);
    assert!(node.handled_again > 0 && node.handled_again <= 8);
    let wasted = function.orphans as f64 * 31.0 / function.billed_s;
    let all = paid(&result.cost, "Lambda", "GB-seconds");
    assert!(
        result.cost.wasted_usd_per_month >= all * wasted * 0.99,
        "{:?}",
        result.cost.wasted_usd_per_month
    );
}

#[test]
fn a_cost_says_what_it_leaves_out() {
    let table = "  Orders:\n    Type: AWS::DynamoDB::Table\n    Properties:\n      TableName: orders\n";
    let traffic = format!(
        "{EACH_SECOND}[function.F]\nduration = \"100ms\"\nsteps = [{{ call = \"Bank\" }}]\n[dependency.Bank]\n\
         service = \"5ms\"\n"
    );
    let plan = plan(&format!("{table}{}", function("F", API)), &traffic);
    let question = Question { seed: 1, load: 1.0, line: None };
    let simulation = flyball_sim::simulate(&plan, &question, &mut Patient).unwrap();
    let unpriced = &simulation.run.unwrap().cost.unpriced;
    assert_eq!(unpriced.as_slice(), ["Bank", "Orders (table)"]);
    let prices = simulation.assumptions.iter().find(|one| one.what == "prices").unwrap();
    assert_eq!(prices.value, "list prices of us-east-1");
    assert!(prices.why.contains("without free tiers"), "{}", prices.why);
}
