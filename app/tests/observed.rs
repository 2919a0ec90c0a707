//! Exports of a running system: what a traffic file and a profile are made of, and what a person sees of wrong ones.

#![expect(clippy::unwrap_used, reason = "a test's helpers fail the test by panicking")]

use std::{fs, path::Path};

use flyball_app::{
    Diagnostics,
    import::{Input, Options, import},
    profile::{Limit, Profile},
    workload::{
        self, Volume,
        observed::{EXPORT_BYTES_MAX, Observed, commands},
    },
};
use proptest::prelude::*;

fn export(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/workload/observed").join(name);
    fs::read_to_string(path).unwrap()
}

fn all() -> Observed {
    let mut observed = Observed::default();
    observed.names("names.json", &export("names.json")).unwrap();
    observed.metrics("metrics.json", &export("metrics.json")).unwrap();
    observed.logs("logs.json", None, &export("logs.json")).unwrap();
    observed.service_graph("xray.json", &export("xray.json")).unwrap();
    observed.quotas("quotas.json", &export("quotas.json")).unwrap();
    observed
}

#[test]
fn all_exports_make_a_traffic_file_that_reads_back() {
    let observed = all();
    let written = observed.traffic().unwrap();
    insta::assert_snapshot!("observed_traffic", written.text);
    let again = workload::read("traffic.toml", &written.text).unwrap();
    assert_eq!(again.workload, written.read.workload);
    assert_eq!(again.workload.traffic["Tiles"].volume, Volume::PerSecond(19.666667));
    assert_eq!(
        observed.notes(),
        ["metrics.json: 1 series have labels of another form than \
                                   service/name/metric/statistic/period"]
    );
}

#[test]
fn metrics_alone_are_enough() {
    let mut observed = Observed::default();
    observed.metrics("metrics.json", &export("metrics.json")).unwrap();
    insta::assert_snapshot!("observed_metrics", observed.traffic().unwrap().text);
    assert_eq!(observed.profile(), None);
}

#[test]
fn quotas_make_a_profile() {
    let text = all().profile().unwrap();
    insta::assert_snapshot!("observed_profile", text);
    let (profile, _) = Profile::with("profile.toml", &text).unwrap();
    assert_eq!(profile.value(Limit::LambdaConcurrency), Some(3_000.0));
    assert_eq!(profile.value(Limit::ApiRequestsPerS), Some(12_000.0));
    assert_eq!(profile.value(Limit::LambdaScalingPer10s), Some(1_000.0), "as the profile aws has it");
}

#[test]
fn report_lines_are_taken_as_they_are() {
    let mut observed = Observed::default();
    let lines = "START RequestId: 1 Version: $LATEST\n\
                 REPORT RequestId: 1\tDuration: 12.34 ms\tBilled Duration: 13 ms\tMemory Size: 128 MB\tMax Memory \
                 Used: 69 MB\tInit Duration: 146.14 ms\t\n";
    let events = r#"{"events": [{"message": "REPORT RequestId: 2\tDuration: 20.00 ms\tMax Memory Used: 70 MB"},
        {"message": "END RequestId: 2"}]}"#;
    let json = r#"{"time": "t", "type": "platform.report", "record": {"requestId": "3", "metrics": {"durationMs": 30.5,
        "billedDurationMs": 31, "memorySizeMB": 128, "maxMemoryUsedMB": 71, "initDurationMs": 200}}}"#;
    for (file, text) in [("lines.txt", lines), ("events.json", events), ("json.txt", json)] {
        observed.logs(file, Some("Tiles"), text).unwrap();
    }
    let invocations = r#"{"MetricDataResults": [{"Id": "a", "Label": "lambda/Tiles/Invocations/Sum/60",
        "Timestamps": [1795601100, 1795601160], "Values": [6, 12]}]}"#;
    observed.metrics("metrics.json", invocations).unwrap();
    insta::assert_snapshot!("observed_lines", observed.traffic().unwrap().text);
}

type Take = fn(&mut Observed, &str) -> Result<(), Diagnostics>;

#[test]
fn wrong_exports_are_explained() {
    let metrics: Take = |observed, text| observed.metrics("metrics.json", text);
    let logs: Take = |observed, text| observed.logs("logs.json", None, text);
    let graph: Take = |observed, text| observed.service_graph("xray.json", text);
    let quotas: Take = |observed, text| observed.quotas("quotas.json", text);
    let names: Take = |observed, text| observed.names("names.json", text);
    let series = |rest: &str| {
        format!(r#"{{"MetricDataResults": [{{"Label": "lambda/F/Invocations/Sum/60", {rest}}}]}}"#)
    };
    let cut = export("metrics.json").chars().take(400).collect::<String>();
    let cases: Vec<(&str, Take, String)> = vec![
        ("empty", metrics, String::new()),
        ("cut off", metrics, cut),
        ("another export", metrics, export("quotas.json")),
        ("not JSON", metrics, "An error occurred (AccessDenied) when calling GetMetricData\n".into()),
        ("of another length", metrics, series(r#""Timestamps": [1], "Values": []"#)),
        ("below zero", metrics, series(r#""Timestamps": [1], "Values": [-1]"#)),
        ("no timestamp", metrics, series(r#""Timestamps": ["yesterday"], "Values": [1]"#)),
        ("no number", metrics, series(r#""Timestamps": [1], "Values": ["many"]"#)),
        ("still running", logs, r#"{"results": [], "status": "Running"}"#.into()),
        ("no REPORT", logs, "START RequestId: 1\n".into()),
        ("whose", logs, "REPORT RequestId: 1 Duration: 1 ms\n".into()),
        ("a time below zero", graph, export("xray.json").replace("26.0", "-26.0")),
        ("no services", graph, "{}".into()),
        ("a quota below zero", quotas, export("quotas.json").replace("3000.0", "-1")),
        ("no resources", names, "[]".into()),
    ];
    let mut out = String::new();
    for (name, take, text) in cases {
        let wrong = take(&mut Observed::default(), &text).unwrap_err();
        out += &format!("## {name}\n{wrong}\n\n");
    }
    let nothing = Observed::default().traffic().unwrap_err();
    out += &format!("## nothing\n{nothing}\n");
    insta::assert_snapshot!("observed_wrong", out);
}

#[test]
fn an_export_that_is_too_large_is_not_looked_at() {
    let text = " ".repeat(EXPORT_BYTES_MAX + 1);
    let wrong = Observed::default().metrics("metrics.json", &text).unwrap_err();
    assert_eq!(wrong.diagnostics[0].message, "the file has 67108865 bytes; at most 67108864 are read");
}

#[test]
fn commands_name_what_the_template_has() {
    let template = "Resources:\n  Tiles:\n    Type: AWS::Serverless::Function\n    Properties: { Handler: a.b, \
                    Runtime: python3.13, CodeUri: . }\n  Charge:\n    Type: AWS::Lambda::Function\n    Properties: { \
                    FunctionName: shop-charge, Role: r, Code: { ZipFile: x }, Handler: a.b, Runtime: python3.13 }\n  \
                    Orders:\n    Type: AWS::SQS::Queue\nTransform: AWS::Serverless-2016-10-31\n";
    let input = Input { name: "template.yaml".into(), text: template.into() };
    let imported = import(vec![input], &Options::default(), &|_| None);
    insta::assert_snapshot!("commands_of_a_template", commands(Some(&imported.design)));
    insta::assert_snapshot!("commands", commands(None));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..Default::default() })]

    /// Whatever names and numbers an export has, what is written of it is read.
    #[test]
    fn what_is_written_is_read(
        names in proptest::collection::vec(any::<String>(), 3),
        logical in ".{0,300}",
        counts in proptest::collection::vec((0_u64..10_000_000_000, 0.0_f64..1e12), 6),
        minutes in proptest::collection::vec(0_i64..10_000, 1..5),
    ) {
        let mut observed = Observed::default();
        let json = serde_json::json!({ "StackResources": [
            { "LogicalResourceId": logical, "PhysicalResourceId": names[0] } ] });
        observed.names("n\u{1b}\n", &json.to_string()).unwrap();
        let points = |f: f64| serde_json::json!({
            "Timestamps": minutes.iter().map(|m| m * 60).collect::<Vec<_>>(),
            "Values": minutes.iter().map(|_| f).collect::<Vec<_>>() });
        let series: Vec<serde_json::Value> =
            [("Invocations", "Sum", 0), ("Errors", "Sum", 1), ("Duration", "p50", 2), ("Duration", "p99", 3)]
            .iter().flat_map(|(metric, statistic, index)| {
                names.iter().map(move |name| (metric, statistic, index, name))
            })
            .map(|(metric, statistic, index, name)| {
                let mut one = points(counts[*index].1);
                one["Label"] = format!("lambda/{name}/{metric}/{statistic}/60").into();
                one
            }).collect();
        observed.metrics("m", &serde_json::json!({ "MetricDataResults": series }).to_string()).unwrap();
        observed.logs("l", Some(&names[1]), "REPORT RequestId: 1 Duration: 1.5 ms Max Memory Used: 3 MB").unwrap();
        let graph = serde_json::json!({ "Services": [
            { "ReferenceId": 1, "Name": names[0], "Type": "AWS::Lambda::Function",
              "SummaryStatistics": { "TotalCount": counts[0].0, "TotalResponseTime": 5.0 },
              "Edges": [ { "ReferenceId": 2, "SummaryStatistics": { "TotalCount": counts[1].0, "TotalResponseTime": 1 },
                           "ResponseTimeHistogram": [
                                { "Value": 1e-7, "Count": counts[2].0 }, { "Value": 1, "Count": 1 }
                            ] },
                         { "ReferenceId": 3, "SummaryStatistics": { "TotalCount": 5 } } ] },
            { "ReferenceId": 2, "Name": names[1], "Type": "Database::SQL" },
            { "ReferenceId": 3, "Name": names[2], "Type": "AWS::SNS" } ] });
        observed.service_graph("x", &graph.to_string()).unwrap();
        match observed.traffic() {
            Ok(written) => prop_assert!(!written.read.workload.traffic.is_empty()),
            Err(wrong) => prop_assert!(wrong.to_string().contains("nothing would come in"), "{}", wrong),
        }
    }

    #[test]
    fn no_export_is_a_panic(text in any::<String>(), rest in "[{}\\[\\]\":,a-zA-Z0-9.-]{0,200}") {
        let mut observed = Observed::default();
        for text in [&text, &rest, &format!("{{\"MetricDataResults\": [{rest}]}}")] {
            let _ = observed.metrics("f", text);
            let _ = observed.logs("f", Some("F"), text);
            let _ = observed.service_graph("f", text);
            let _ = observed.quotas("f", text);
            let _ = observed.names("f", text);
        }
    }
}

/// A function that is allowed to send to the queue that feeds it; no variable says that it does.
const GRANTED: &str = "
Transform: AWS::Serverless-2016-10-31
Resources:
  Work: {Type: AWS::SQS::Queue, Properties: {VisibilityTimeout: 180}}
  Store: {Type: AWS::DynamoDB::Table, Properties: {TableName: store}}
  Told: {Type: AWS::SNS::Topic, Properties: {TopicName: told}}
  Worker:
    Type: AWS::Serverless::Function
    Properties:
      FunctionName: worker
      Handler: a.b
      Runtime: python3.13
      InlineCode: pass
      Policies:
        - SQSSendMessagePolicy: {QueueName: !GetAtt Work.QueueName}
        - DynamoDBCrudPolicy: {TableName: !Ref Store}
      Events:
        Work: {Type: SQS, Properties: {Queue: !GetAtt Work.Arn}}
";

#[test]
fn what_traces_show_becomes_edges_that_carry() {
    use flyball_app::{
        check::{Level, Look, check, ours},
        design::Evidence,
        profile::Given,
        workload::observed::Connected,
    };
    let graph = serde_json::json!({"Services": [
        {"ReferenceId": 1, "Name": "worker", "Type": "AWS::Lambda::Function", "Edges": [
            {"ReferenceId": 2}, {"ReferenceId": 3}, {"ReferenceId": 4}, {"ReferenceId": 5}]},
        {"ReferenceId": 2, "Name": "https://sqs.eu-west-1.amazonaws.com/1/stack-Work-1A", "Type": "AWS::SQS::Queue"},
        {"ReferenceId": 3, "Name": "store", "Type": "AWS::DynamoDB::Table"},
        {"ReferenceId": 4, "Name": "told", "Type": "AWS::SNS"},
        {"ReferenceId": 5, "Name": "Store", "Type": "AWS::SQS::Queue"},
    ]});
    let names = r#"{"StackResourceSummaries": [{"LogicalResourceId": "Work",
        "PhysicalResourceId": "https://sqs.eu-west-1.amazonaws.com/1/stack-Work-1A"}]}"#;
    let mut observed = Observed::default();
    observed.names("names.json", names).unwrap();
    observed.service_graph("xray.json", &graph.to_string()).unwrap();
    let input = Input { name: "template.yaml".into(), text: GRANTED.into() };
    let mut design = import(vec![input], &Options::default(), &|_| None).design;
    let (profile, given) = (Profile::built_in("aws").unwrap(), Given::default());
    let loops = |design: &flyball_app::design::Design| {
        let findings = check(&Look { design, profile: &profile, given: &given }, &ours());
        findings.into_iter().find(|finding| finding.code == "FB0014")
    };
    assert_eq!(loops(&design), None, "a grant alone is no circle");
    // The queue "Store" is not the table of that name; the table may have been read.
    assert_eq!(observed.connect(&mut design), Connected { calls: 4, found: 3, added: 2 });
    let found = loops(&design).unwrap();
    assert_eq!((found.level, found.evidence), (Level::Warning, Evidence::Observed));
    assert_eq!(observed.connect(&mut design).added, 0, "what is there is not added again");
}
