//! `flyball import`, on the real binary.

#[expect(dead_code, reason = "each test file uses its part")]
mod flyball;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Output,
};

use flyball::{run, text};

fn export(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../app/tests/workload/observed").join(name);
    path.display().to_string()
}

/// Imports all exports, in a folder, with more arguments.
fn import(folder: &Path, more: &[&str]) -> Output {
    let exports = ["names", "metrics", "xray", "quotas", "logs"];
    let mut arguments = vec!["import".to_string()];
    for kind in exports {
        arguments.extend([format!("--{kind}"), export(&format!("{kind}.json"))]);
    }
    arguments.extend(more.iter().map(|one| (*one).to_string()));
    run(folder, &arguments.iter().map(String::as_str).collect::<Vec<_>>())
}

#[test]
fn exports_become_a_traffic_file_and_a_profile() {
    let folder = tempfile::tempdir().unwrap();
    let out = import(folder.path(), &["--out", "traffic.toml", "--profile-out", "profile.toml"]);
    assert_eq!(out.status.code(), Some(0), "{}", text(&out.stderr));
    assert!(text(&out.stdout).is_empty());
    assert!(text(&out.stderr).contains("wrote traffic.toml\nwrote profile.toml"), "{}", text(&out.stderr));
    let read = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap();
    let traffic = flyball_app::workload::read("traffic.toml", &read("traffic.toml")).unwrap();
    assert!(traffic.workload.traffic.contains_key("Tiles"));
    flyball_app::profile::Profile::with("profile.toml", &read("profile.toml")).unwrap();
    // What is there is not written over, and then nothing is.
    fs::remove_file(folder.path().join("traffic.toml")).unwrap();
    let again = import(folder.path(), &["--out", "traffic.toml", "--profile-out", "profile.toml"]);
    assert_eq!(again.status.code(), Some(2));
    assert!(text(&again.stderr).contains("profile.toml is there already"), "{}", text(&again.stderr));
    assert!(!folder.path().join("traffic.toml").exists());
    let forced = import(folder.path(), &["--profile-out", "profile.toml", "--force", "--format", "json"]);
    let said: serde_json::Value = serde_json::from_slice(&forced.stdout).unwrap();
    assert!(said["traffic"].as_str().unwrap().contains("[traffic.Tiles]"));
    assert_eq!(said["wrote"], serde_json::json!(["profile.toml"]));
}

#[test]
fn wrong_exports_write_nothing() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("empty.json"), "").unwrap();
    let missing = PathBuf::from("missing.json").display().to_string();
    let cases: [(&[&str], &str); 5] = [
        (&["import"], "nothing to import"),
        (&["import", "--metrics", "empty.json", "--out", "t.toml"], "the file is empty"),
        (&["import", "--metrics", &missing], "missing.json can't be read"),
        (&["import", "--logs", "F=empty.json"], "there is no REPORT in it"),
        (&["import", "--quotas", &export("quotas.json"), "--out", "t.toml"], "there is no traffic to write"),
    ];
    for (arguments, message) in cases {
        let out = run(folder.path(), arguments);
        assert_eq!(out.status.code(), Some(2), "{arguments:?}");
        assert!(text(&out.stderr).contains(message), "{arguments:?}: {}", text(&out.stderr));
    }
    assert!(!folder.path().join("t.toml").exists());
}

#[test]
fn commands_are_printed_for_a_template_and_without() {
    let folder = tempfile::tempdir().unwrap();
    let template = "Resources:\n  Charge:\n    Type: AWS::Lambda::Function\n    Properties: { Role: r, Code: { \
                    ZipFile: x }, Handler: a.b, Runtime: python3.13 }\n";
    fs::write(folder.path().join("template.yaml"), template).unwrap();
    let of_template = run(folder.path(), &["import", "--print-commands", "template.yaml"]);
    assert!(
        text(&of_template.stdout).contains("lambda/Charge/Invocations/Sum/60"),
        "{}",
        text(&of_template.stderr)
    );
    let without = run(folder.path(), &["import", "--print-commands"]);
    assert!(text(&without.stdout).contains("SEARCH("), "{}", text(&without.stderr));
    let none = run(folder.path(), &["import", "--print-commands", "missing.yaml"]);
    assert_eq!(none.status.code(), Some(2));
}
