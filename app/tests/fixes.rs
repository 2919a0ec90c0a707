//! Changes that mend: after one, the file is read again and the finding is gone, and nothing else has changed.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that can't go on fails")]

use flyball_app::{
    check::{
        Finding, Look, check,
        fix::{Mend, Mended, mend},
        ours,
    },
    import::{Imported, Input, Options, import},
    profile::{Given, Profile},
};
use proptest::prelude::*;

fn looked(name: &str, text: &str) -> (Imported, Vec<Finding>) {
    let input = Input { name: name.into(), text: text.into() };
    let imported = import(vec![input], &Options::default(), &|_| None);
    assert!(imported.problems.is_empty(), "{text}\n{:?}", imported.problems);
    let (profile, given) = (Profile::built_in("aws").unwrap(), Given::default());
    let look = Look { design: &imported.design, profile: &profile, given: &given };
    let findings = check(&look, &ours());
    (imported, findings)
}

/// Mends, and sees that each finding that was mended is gone and none came. Gives the new text.
fn mended(name: &str, text: &str, which: Mend) -> (Mended, String) {
    let (imported, findings) = looked(name, text);
    let mended = mend(&imported.design.files, &findings, which);
    let new = mended.files.first().map_or_else(|| text.to_string(), |(_, text)| text.clone());
    let (_, after) = looked(name, &new);
    for (at, title) in &mended.made {
        let finding = &findings[*at];
        let left = after.iter().any(|other| other.fingerprint == finding.fingerprint);
        assert!(!left, "{} is still there after \"{title}\":\n{new}", finding.code);
    }
    (mended, new)
}

fn codes(name: &str, text: &str) -> Vec<&'static str> {
    looked(name, text).1.iter().filter(|finding| finding.fix.is_some()).map(|finding| finding.code).collect()
}

/// A function that reads a queue, as people write it.
fn yaml(indent: usize, visibility: &str, timeout: u32, batch: &str, dead: &str) -> String {
    let text = format!(
        "# Orders.
Resources:
 Orders: # from the shop
  Type: AWS::SQS::Queue
  Properties:
   VisibilityTimeout: {visibility} # seconds
   # kept long
   MessageRetentionPeriod: 1209600
 Failed:
  Type: AWS::SQS::Queue
 Charge:
  Type: AWS::Serverless::Function
  Properties:
   Runtime: python3.13
   Handler: app.handler
   InlineCode: pass
   Timeout: {timeout}{dead}
   Events:
    Order:
     Type: SQS
     Properties:
      Queue: !GetAtt Orders.Arn
      BatchSize: {batch}   # many
"
    );
    let wider = |line: &str| {
        let spaces = line.len() - line.trim_start_matches(' ').len();
        format!("{}{}\n", " ".repeat(spaces * indent), line.trim_start_matches(' '))
    };
    text.lines().map(wider).collect()
}

const DEAD: [&str; 4] = [
    "",
    "\n   DeadLetterQueue:\n    Type: SQS\n    # nobody knows\n    TargetArn: !GetAtt Failed.Arn",
    "\n   DeadLetterQueue: {Type: SQS, TargetArn: !GetAtt Failed.Arn} # here",
    "\n   EventInvokeConfig:\n    DestinationConfig:\n     OnFailure:\n      Type: SQS\n      \
     Destination: !GetAtt Failed.Arn",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn what_is_mended_is_gone(
        indent in 1_usize..5,
        visibility in 0_u32..2_000,
        quotes in any::<bool>(),
        timeout in 1_u32..900,
        batch in 1_u32..40,
        dead in 0..DEAD.len(),
    ) {
        let visibility = if quotes { format!("\"{visibility}\"") } else { visibility.to_string() };
        let text = yaml(indent, &visibility, timeout, &batch.to_string(), DEAD[dead]);
        let (safe, text) = mended("template.yaml", &text, Mend::Safe);
        prop_assert_eq!(safe.made.len(), usize::from(dead > 0));
        prop_assert!(!text.contains("GetAtt Failed"), "{}", text);
        let (_, new) = mended("template.yaml", &text, Mend::All);
        for kept in ["# Orders.", "# from the shop", "# seconds", "# kept long", "# many"] {
            prop_assert!(new.contains(kept), "{}", new);
        }
        // A second time there is nothing left to do.
        let (again, same) = mended("template.yaml", &new, Mend::All);
        prop_assert!(again.files.is_empty(), "{}", same);
    }
}

#[test]
fn what_a_parameter_says_is_not_changed_where_it_is_used() {
    let parameters = "Parameters:\n  Wait: {Type: Number, Default: 30}\n";
    let text = parameters.to_string() + &yaml(2, "!Ref Wait", 60, "10", "");
    let (imported, findings) = looked("template.yaml", &text);
    assert!(findings.iter().any(|finding| finding.code == "FB0007"), "{findings:?}");
    let mended = mend(&imported.design.files, &findings, Mend::All);
    let changed: Vec<_> = mended.made.iter().map(|(at, _)| findings[*at].code).collect();
    assert!(!changed.contains(&"FB0007") || mended.files[0].1.contains("Default: 360"), "{mended:?}");
}

#[test]
fn json_keeps_its_form() {
    let text = r#"{
  "Resources": {
    "Orders": {"Type": "AWS::SQS::Queue", "Properties": {"VisibilityTimeout": 30}},
    "Failed": {"Type": "AWS::SQS::Queue"},
    "Charge": {
      "Type": "AWS::Lambda::Function",
      "Properties": {
        "Runtime": "python3.13", "Handler": "app.handler", "Code": {"ZipFile": "pass"},
        "DeadLetterConfig": {"TargetArn": {"Fn::GetAtt": ["Failed", "Arn"]}},
        "Timeout": 60
      }
    },
    "Mapping": {
      "Type": "AWS::Lambda::EventSourceMapping",
      "Properties": {
        "FunctionName": {"Ref": "Charge"},
        "EventSourceArn": {"Fn::GetAtt": ["Orders", "Arn"]}
      }
    }
  }
}
"#;
    assert_eq!(codes("template.json", text), ["FB0007", "FB0010"]);
    let (_, new) = mended("template.json", text, Mend::All);
    let dead = "\n        \"DeadLetterConfig\": {\"TargetArn\": {\"Fn::GetAtt\": [\"Failed\", \"Arn\"]}},";
    let wanted = text.replace("Timeout\": 30", "Timeout\": 360").replace(dead, "");
    assert_eq!(new, wanted);
}

#[test]
fn single_failures_are_reported_where_the_event_source_is_written() {
    let queues = r#"    "Orders": {"Type": "AWS::SQS::Queue", "Properties": {"VisibilityTimeout": 300,
      "RedrivePolicy": {"deadLetterTargetArn": {"Fn::GetAtt": ["Failed", "Arn"]}, "maxReceiveCount": 2}}},
    "Failed": {"Type": "AWS::SQS::Queue", "Properties": {"MessageRetentionPeriod": 1209600}}"#;
    let json = format!(
        r#"{{"Resources": {{
{queues},
    "Charge": {{"Type": "AWS::Lambda::Function",
      "Properties": {{"Runtime": "python3.13", "Handler": "a.b", "Code": {{"ZipFile": "pass"}}}}}},
    "Mapping": {{
      "Type": "AWS::Lambda::EventSourceMapping",
      "Properties": {{
        "FunctionName": {{"Ref": "Charge"}},
        "EventSourceArn": {{"Fn::GetAtt": ["Orders", "Arn"]}}
      }}
    }}
}}}}
"#
    );
    let sam = format!(
        "Transform: AWS::Serverless-2016-10-31\nResources:\n  # as JSON\n  {}\n{}",
        queues.trim().replace(",\n    \"Failed\"", "\n  \"Failed\"").replace("\n      ", " "),
        "  Charge:
    Type: AWS::Serverless::Function
    Properties:
      Runtime: python3.13
      Handler: app.handler
      InlineCode: pass
      Events:
        Order:
          Type: SQS
          Properties:
            Queue: !GetAtt Orders.Arn # new ones
"
    );
    let service = format!(
        "service: shop\nprovider: {{name: aws, runtime: python3.13}}\nfunctions:\n  charge:\n    handler: a.b\n    \
         events:\n      - sqs:\n          arn: !GetAtt Orders.Arn\nresources:\n  Resources:\n    {}\n",
        queues.trim().replace(",\n    \"Failed\"", "\n    \"Failed\"").replace("\n      ", " "),
    );
    for (name, text, new) in [
        ("template.json", json, ",\n        \"FunctionResponseTypes\": [\"ReportBatchItemFailures\"]\n"),
        ("template.yaml", sam, "            FunctionResponseTypes: [\"ReportBatchItemFailures\"]\n"),
        ("serverless.yml", service, "          functionResponseType: ReportBatchItemFailures\n"),
    ] {
        assert_eq!(codes(name, &text), ["FB0025"], "{text}");
        let (made, mended) = mended(name, &text, Mend::All);
        assert_eq!(made.made.len(), 1, "{text}");
        assert!(mended.contains(new) && mended.replace(new, "\n").len() <= text.len() + 1, "{mended}");
    }
}
