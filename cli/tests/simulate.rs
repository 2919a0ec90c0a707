//! `flyball simulate`, on the real binary: what is wrong with its input is said, with its place, and ends it.
#![expect(clippy::unwrap_used, reason = "a test that can't go on fails")]

#[expect(dead_code, reason = "each test file uses its part")]
mod flyball;

use std::{
    fmt::Write as _,
    fs,
    path::Path,
    process::Output,
    time::{Duration, Instant},
};

use flyball::{run, text};

const SHOP: &str = "\
[application]
name = \"shop\"
[function.ship]
component = \"ship.wasm\"
[queue.paid]
function = \"ship\"
";
const TRAFFIC: &str = "duration = \"30s\"\n[traffic.paid]\npeak_per_s = 5\n";
/// A template of its own.
const TEMPLATE: &str = "\
Transform: AWS::Serverless-2016-10-31
Resources:
  Jobs:
    Type: AWS::SQS::Queue
    Properties: {VisibilityTimeout: 60}
  Work:
    Type: AWS::Serverless::Function
    Properties:
      Handler: a.b
      Runtime: python3.13
      InlineCode: pass
      Timeout: 10
      Events:
        Jobs: {Type: SQS, Properties: {Queue: !GetAtt Jobs.Arn}}
";

fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        fs::write(folder.path().join(name), text).unwrap();
    }
    folder
}

fn simulate(folder: &Path, arguments: &[&str]) -> Output {
    run(folder, &[&["simulate"], arguments].concat())
}

/// What is said of wrong input: exit code 2, nothing on standard output.
fn refused(folder: &Path, arguments: &[&str]) -> String {
    let began = Instant::now();
    let output = simulate(folder, arguments);
    let said = text(&output.stderr);
    assert_eq!((output.status.code(), text(&output.stdout).as_str()), (Some(2), ""), "{said}");
    assert!(began.elapsed() < Duration::from_secs(60), "{said}");
    said.replace(&folder.display().to_string(), "FOLDER")
}

#[test]
fn wrong_traffic_is_refused_with_its_place() {
    let source = |line: &str| format!("[traffic.paid]\n{line}\n");
    let cases = [
        ("empty", String::new()),
        ("no TOML", "[traffic.paid\npeak_per_s = 5\n".into()),
        ("no table", "traffic = 5\n".into()),
        ("negative", source("peak_per_s = -3")),
        ("nothing", source("peak_per_s = 0")),
        ("not a number", source("peak_per_s = nan")),
        ("a word", source("peak_per_s = \"many\"")),
        ("no rate", source("tenants = 3")),
        ("unsorted", source("peak_per_s = 1\nshape = { points = [[\"10m\", 1], [\"0s\", 2]] }")),
        (
            "p99 below p50",
            format!("{TRAFFIC}[function.ship]\nduration = {{ p50 = \"9ms\", p99 = \"1ms\" }}\n"),
        ),
        ("no unit", format!("{TRAFFIC}[function.ship]\nduration = 9\n")),
        ("a key that is none", source("peak_per_s = 1\npeek = 2")),
        ("no such function", format!("{TRAFFIC}[function.shop]\nduration = \"9ms\"\n")),
        ("no such node", TRAFFIC.replace("traffic.paid", "traffic.payed")),
        ("no such dependency", format!("{TRAFFIC}[function.ship]\nsteps = [{{ call = \"db\" }}]\n")),
        ("too long", TRAFFIC.replace("30s", "3000d")),
    ];
    let mut told = String::new();
    for (name, traffic) in cases {
        let folder = folder(&[("flyball.toml", SHOP), ("traffic.toml", &traffic)]);
        let said = refused(folder.path(), &["flyball.toml"]);
        let _ = writeln!(told, "--- {name}\n{said}");
    }
    insta::assert_snapshot!(told);
}

#[test]
fn files_that_are_none_are_refused_and_hardly_read() {
    let folder = folder(&[("flyball.toml", SHOP), ("template.yaml", TEMPLATE)]);
    fs::File::create(folder.path().join("huge.toml")).unwrap().set_len(1 << 30).unwrap();
    fs::write(folder.path().join("binary.toml"), [0xff, 0xfe, 0x00, 0x9f]).unwrap();
    fs::write(folder.path().join("traffic.toml"), TRAFFIC).unwrap();
    let mut told = String::new();
    for arguments in [
        ["flyball.toml", "--traffic", "huge.toml"],
        ["flyball.toml", "--traffic", "binary.toml"],
        ["flyball.toml", "--traffic", "."],
        ["flyball.toml", "--traffic", "missing.toml"],
        ["flyball.toml", "--against", "huge.toml"],
        ["flyball.toml", "--against", "traffic.toml"],
        ["flyball.toml", "--load", "-1"],
        ["flyball.toml", "--duration", "0s"],
        ["huge.toml", "--traffic", "traffic.toml"],
        ["missing.yaml", "--traffic", "traffic.toml"],
    ] {
        let _ = writeln!(told, "--- {}\n{}", arguments.join(" "), refused(folder.path(), &arguments));
    }
    insta::assert_snapshot!(told);
}

#[test]
fn what_is_not_stated_is_assumed_and_listed() {
    let folder = folder(&[("flyball.toml", SHOP), ("traffic.toml", TRAFFIC)]);
    let output = simulate(folder.path(), &["flyball.toml"]);
    let said = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(said.contains("duration of ship: p50 5 ms, p99 50 ms (nothing is stated of it)"), "{said}");
    assert!(said.contains("state it as"), "{said}");
}

#[test]
fn a_directory_with_two_applications_lets_its_user_choose() {
    let fixed = TEMPLATE.replace("Timeout: 10", "Timeout: 20");
    let files = [("template.yaml", TEMPLATE), ("fixed.yaml", &fixed), ("traffic.toml", "")];
    let folder = folder(&files);
    let traffic = TRAFFIC.replace("traffic.paid", "traffic.Jobs");
    fs::write(folder.path().join("traffic.toml"), traffic).unwrap();
    insta::assert_snapshot!(refused(folder.path(), &["."]));
    for chosen in ["template.yaml", "fixed.yaml"] {
        let output = simulate(folder.path(), &[chosen]);
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    }
    // One application is no choice, and `check` reads them all, as ever.
    let checked = text(&run(folder.path(), &["check", ".", "--format", "json"]).stdout);
    assert!(checked.contains("fixed.yaml") && checked.contains("template.yaml"), "{checked}");
    fs::remove_file(folder.path().join("fixed.yaml")).unwrap();
    assert_eq!(simulate(folder.path(), &["."]).status.code(), Some(0));
}
