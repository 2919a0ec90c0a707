//! `flyball check` and `explain`, on the real binary.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that can't go on fails")]

#[expect(dead_code, reason = "each test file uses its part")]
mod flyball;
#[path = "../../app/tests/schema/mod.rs"]
mod schema;

use std::{
    fs,
    io::Write as _,
    path::Path,
    process::{Command, Output, Stdio},
};

use flyball::{flyball, run, text};
use serde_json::Value;

/// A queue whose messages come back while they are worked on: FB0007.
const WALL: &str = "\
# Orders are charged here.
AWSTemplateFormatVersion: '2010-09-09'
Resources:
  Orders: # from the shop
    Type: AWS::SQS::Queue
    Properties:
      VisibilityTimeout: 30   # seconds
      RedrivePolicy: {deadLetterTargetArn: !GetAtt Dead.Arn, maxReceiveCount: 5}
  Dead:
    Type: AWS::SQS::Queue
    Properties:
      MessageRetentionPeriod: 1209600
  Charge:
    Type: AWS::Lambda::Function
    Properties:
      Handler: app.handler
      Runtime: python3.13
      Role: arn:aws:iam::123456789012:role/charge
      Code: {ZipFile: pass}
      Timeout: 60
  Mapping:
    Type: AWS::Lambda::EventSourceMapping
    Properties:
      FunctionName: !Ref Charge
      EventSourceArn: !GetAtt Orders.Arn
      FunctionResponseTypes: [ReportBatchItemFailures]
";

fn clean() -> String {
    WALL.replace("VisibilityTimeout: 30 ", "VisibilityTimeout: 360")
}

fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    folder
}

fn check(folder: &Path, arguments: &[&str]) -> Output {
    run(folder, &[&["check"], arguments].concat())
}

fn code(output: &Output) -> i32 {
    output.status.code().unwrap_or_else(|| panic!("{}", text(&output.stderr)))
}

fn json(folder: &Path, arguments: &[&str]) -> Value {
    let output = check(folder, &[&["--format", "json"], arguments].concat());
    let document = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}{}", text(&output.stdout), text(&output.stderr)));
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../app/check.schema.json");
    let described: Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    schema::fits(&described, &described, &document, "report");
    document
}

#[test]
fn a_wall_is_told_to_a_person_in_80_columns_and_is_exit_1() {
    let folder = folder(&[("template.yaml", WALL)]);
    let output = check(folder.path(), &[]);
    let said = text(&output.stdout);
    assert_eq!(code(&output), 1, "{said}{}", text(&output.stderr));
    assert!(said.lines().all(|line| line.chars().count() <= 80), "{said}");
    assert!(output.stderr.is_empty());
    insta::assert_snapshot!("check", said);
}

#[test]
fn programs_get_json_and_sarif() {
    let folder = folder(&[("a b/template.yaml", WALL)]);
    let document = json(folder.path(), &["."]);
    let finding = &document["findings"][0];
    assert_eq!((finding["code"].as_str(), finding["where"]["line"].as_u64()), (Some("FB0007"), Some(7)));
    assert_eq!(document["summary"]["errors"], 1);
    let output = check(folder.path(), &[".", "--format", "sarif"]);
    assert_eq!(code(&output), 1);
    let log: Value = serde_json::from_slice(&output.stdout).unwrap();
    let result = &log["runs"][0]["results"][0];
    assert_eq!((log["version"].as_str(), result["ruleId"].as_str()), (Some("2.1.0"), Some("FB0007")));
    let rule = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
    assert_eq!(log["runs"][0]["tool"]["driver"]["rules"][rule]["id"], "FB0007");
    let place = &result["locations"][0]["physicalLocation"];
    assert_eq!(place["artifactLocation"]["uri"], "a%20b/template.yaml");
    assert_eq!(place["region"]["startLine"], 7);
}

#[test]
fn the_exit_code_is_by_the_denied_level() {
    let folder = folder(&[("template.yaml", &clean())]);
    let output = check(folder.path(), &[]);
    assert_eq!(code(&output), 0, "{}", text(&output.stdout));
    assert!(text(&output.stdout).starts_with("No walls found"), "{}", text(&output.stdout));
    // Nothing is denied that a comment lets be.
    let reason = "# flyball: allow FB0007 because the shop is closed";
    let allowed = WALL.replace("  Orders: #", &format!("  {reason}\n  Orders: #"));
    fs::write(folder.path().join("template.yaml"), allowed).unwrap();
    let output = check(folder.path(), &["--deny", "warning"]);
    assert_eq!(code(&output), 0, "{}", text(&output.stdout));
    assert!(text(&output.stdout).contains("1 let be by a comment"), "{}", text(&output.stdout));
}

#[test]
fn bad_input_is_said_with_its_place_and_the_rest_is_checked() {
    let folder = folder(&[
        ("good/template.yaml", WALL),
        ("torn/template.yaml", &WALL[..WALL.len() - 60]),
        ("other/values.yaml", "replicas: 3\n"),
        ("no/template.yaml", "Resources:\n  - \"AWS::\n"),
        ("empty/readme.txt", ""),
    ]);
    for wrong in ["no/template.yaml", "gone.yaml", "empty", "other/values.yaml"] {
        let output = check(folder.path(), &[wrong]);
        let said = text(&output.stdout) + &text(&output.stderr);
        assert_eq!(code(&output), 2, "{wrong}: {said}");
        assert!(said.contains("problem[FE31") && said.contains(&format!("--> {wrong}")), "{wrong}: {said}");
        let document = json(folder.path(), &[wrong]);
        assert_eq!(document["problems"].as_array().map(Vec::len), Some(1), "{document}");
    }
    let output = check(folder.path(), &["no/template.yaml", "gone.yaml", "good"]);
    let said = text(&output.stdout);
    assert_eq!(code(&output), 1, "{said}");
    assert!(
        said.contains("FB0007") && said.contains("gone.yaml") && said.contains("no/template.yaml"),
        "{said}"
    );
    let output = check(folder.path(), &["torn/template.yaml"]);
    assert_ne!(code(&output), 101, "{}", text(&output.stderr));
    let nothing = check(&folder.path().join("empty"), &[]);
    assert_eq!(code(&nothing), 2);
    assert!(text(&nothing.stderr).contains("there is no flyball.toml"), "{}", text(&nothing.stderr));
}

#[test]
fn standard_input_is_a_file_too() {
    let folder = folder(&[]);
    let mut command = flyball(&["check", "-"]);
    command.current_dir(folder.path()).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(WALL.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(code(&output), 1);
    assert!(text(&output.stdout).contains("FB0007 stdin:7:"), "{}", text(&output.stdout));
}

#[test]
fn a_wrong_command_line_is_exit_2_and_says_what_to_do() {
    let folder = folder(&[("template.yaml", WALL), ("p.toml", "[limit]\n")]);
    for (arguments, said) in [
        (&["--rules-version", "99"][..], "there are 1 to"),
        (&["--profile", "azure"], "aws or flyball"),
        (&["--profile", "p.toml"], "p.toml:1:"),
        (&["--graph", "a.png"], ".svg"),
        (&["--against", "nothing"], "neither a file nor a git revision"),
        (&["--against", "template.yaml"], "is no baseline"),
        (&["--parameter", "Stage"], "KEY=VALUE"),
        (&["--fix", "--fix-unsafe"], "cannot be used with"),
    ] {
        let output = check(folder.path(), arguments);
        let stderr = text(&output.stderr);
        assert_eq!(code(&output), 2, "{arguments:?}: {stderr}");
        assert!(stderr.contains(said), "{arguments:?}: {stderr}");
    }
    let output = run(folder.path(), &["status", "--format", "sarif"]);
    assert_eq!(code(&output), 2);
}

fn git(folder: &Path, arguments: &[&str]) {
    let who = ["-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"];
    let done = Command::new("git").args(who).args(arguments).current_dir(folder).output().unwrap();
    assert!(done.status.success(), "{arguments:?}: {}", text(&done.stderr));
}

#[test]
fn against_a_git_revision_only_what_is_new_counts() {
    let folder = folder(&[("infra/shop/template.yaml", WALL)]);
    git(folder.path(), &["init", "--quiet"]);
    git(folder.path(), &["add", "."]);
    git(folder.path(), &["commit", "--quiet", "-m", "one"]);
    let infra = folder.path().join("infra");
    // Lines that move make nothing new; and a file that moves makes nothing new for its directory.
    fs::rename(infra.join("shop"), infra.join("sales")).unwrap();
    let moved = format!("# A line more.\n\n{WALL}");
    fs::write(infra.join("sales/template.yaml"), &moved).unwrap();
    let output = check(&infra, &[".", "--against", "HEAD"]);
    let said = text(&output.stdout);
    assert_eq!(code(&output), 0, "{said}{}", text(&output.stderr));
    assert!(said.contains("New since HEAD; 1 known there."), "{said}");
    // Another function of the same queue is.
    let more = moved.replace("  Mapping:", "  Refund:").replace("!GetAtt Orders.Arn", "!GetAtt Late.Arn");
    let late = "  Late:\n    Type: AWS::SQS::Queue\n    Properties: {VisibilityTimeout: 20}\n  Dead:";
    fs::write(infra.join("sales/template.yaml"), more.replace("  Dead:", late)).unwrap();
    let document = json(&infra, &["sales", "--against", "HEAD"]);
    assert_eq!(document["findings"][0]["where"]["resource"], "Late", "{document}");
    let output = check(&infra, &[".", "--against", "HEAD"]);
    assert_eq!(code(&output), 1);
    assert!(text(&output.stdout).contains("1 gone since"), "{}", text(&output.stdout));
}

#[test]
fn against_a_baseline_file_only_what_is_new_counts() {
    let folder = folder(&[("template.yaml", WALL)]);
    let output = check(folder.path(), &["--write-baseline", "known.json"]);
    assert_eq!(code(&output), 0, "{}", text(&output.stderr));
    assert!(fs::read_to_string(folder.path().join("known.json")).unwrap().contains("FB0007"));
    assert_eq!(code(&check(folder.path(), &["--against", "known.json"])), 0);
    // A report is a baseline too.
    let report = check(folder.path(), &["--format", "json"]).stdout;
    fs::write(folder.path().join("report.json"), report).unwrap();
    assert_eq!(code(&check(folder.path(), &["--against", "report.json"])), 0);
    fs::write(folder.path().join("template.yaml"), clean()).unwrap();
    let output = check(folder.path(), &["--against", "known.json"]);
    assert!(text(&output.stdout).contains("0 known there, 1 gone since"), "{}", text(&output.stdout));
}

#[test]
fn an_unsafe_fix_is_shown_and_keeps_comments_and_form() {
    let folder = folder(&[("template.yaml", WALL)]);
    let file = folder.path().join("template.yaml");
    let output = check(folder.path(), &["--fix"]);
    assert!(text(&output.stdout).starts_with("nothing to mend"), "{}", text(&output.stdout));
    let output = check(folder.path(), &["--fix-unsafe", "--dry-run"]);
    assert_eq!((code(&output), fs::read_to_string(&file).unwrap().as_str()), (1, WALL));
    let output = check(folder.path(), &["--fix-unsafe"]);
    let said = text(&output.stdout);
    assert_eq!(code(&output), 0, "{said}{}", text(&output.stderr));
    insta::assert_snapshot!("fix-unsafe", said);
    let mended = fs::read_to_string(&file).unwrap();
    assert_eq!(
        mended,
        WALL.replace("VisibilityTimeout: 30   # seconds", "VisibilityTimeout: 360   # seconds")
    );
}

#[test]
fn names_of_a_profile_that_nothing_has_are_stated_with_their_place() {
    let profile = "# ours\n[traffic.Ordres]\npeak_per_s = 5\n";
    let folder = folder(&[("template.yaml", WALL), ("limits.toml", profile)]);
    let output = check(folder.path(), &["--profile", "limits.toml"]);
    let stated = "- limits.toml:2:1: [traffic.Ordres] is stated, and nothing";
    assert!(text(&output.stdout).contains(stated), "{}", text(&output.stdout));
}

#[test]
fn what_x_ray_saw_is_evidence() {
    let template = "\
Transform: AWS::Serverless-2016-10-31
Resources:
  Work: {Type: AWS::SQS::Queue, Properties: {QueueName: work, VisibilityTimeout: 180}}
  Worker:
    Type: AWS::Serverless::Function
    Properties:
      FunctionName: worker
      Handler: a.b
      Runtime: python3.13
      InlineCode: pass
      Policies: [SQSSendMessagePolicy: {QueueName: !GetAtt Work.QueueName}]
      Events: {Work: {Type: SQS, Properties: {Queue: !GetAtt Work.Arn}}}
";
    let graph = |queue: &str| {
        format!(
            "{{\"Services\": [{{\"ReferenceId\": 1, \"Name\": \"worker\", \"Type\": \"AWS::Lambda::Function\", \
             \"Edges\": [{{\"ReferenceId\": 2}}]}}, \
             {{\"ReferenceId\": 2, \"Name\": \"{queue}\", \"Type\": \"AWS::SQS::Queue\"}}]}}"
        )
    };
    let (seen, other) = (graph("work"), graph("other"));
    let folder = folder(&[("template.yaml", template), ("seen.json", &seen), ("other.json", &other)]);
    let told = |arguments: &[&str]| text(&check(folder.path(), arguments).stdout);
    assert!(!told(&[]).contains("FB0014"), "a grant alone is no circle");
    let seen = told(&["--xray", "seen.json"]);
    assert!(seen.contains("warning FB0014 template.yaml:4:3 (observed)"), "{seen}");
    let other = told(&["--xray", "other.json"]);
    assert!(other.contains("none of the calls in the traces (1) is"), "{other}");
}

#[test]
fn a_drawing_has_the_walls_in_it() {
    let folder = folder(&[("template.yaml", WALL)]);
    let output = check(folder.path(), &["--graph", "out.svg"]);
    assert_eq!(code(&output), 1);
    let svg = fs::read_to_string(folder.path().join("out.svg")).unwrap();
    assert!(svg.starts_with("<svg") && svg.contains("FB0007"), "{svg}");
    let output = check(folder.path(), &["--graph", "mermaid"]);
    assert!(text(&output.stdout).starts_with("flowchart LR\n"), "{}", text(&output.stdout));
}

#[test]
fn pages_are_explained() {
    let here = std::env::temp_dir();
    let output = run(&here, &["explain", "fb0007"]);
    let page = text(&output.stdout);
    assert!(output.status.success() && page.starts_with("FB0007: "), "{page}");
    let widest =
        page.lines().filter(|line| !line.starts_with(['|', ' '])).map(|line| line.chars().count()).max();
    assert!(widest <= Some(80), "{page}");
    assert!(text(&run(&here, &["explain", "FE3001"]).stdout).starts_with("FE3001: not TOML\n"));
    let output = run(&here, &["explain", "FB007"]);
    assert_eq!(code(&output), 2);
    assert!(text(&output.stderr).contains("nearest is FB0007"), "{}", text(&output.stderr));
}
