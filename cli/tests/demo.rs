//! The demo, small: every promise must hold.

#[expect(dead_code, reason = "each test file uses its part")]
mod flyball;

use flyball::{run, text};

#[test]
fn every_promise_holds() {
    let demo = ["demo", "--tenants", "4", "--duration", "2s", "--format", "json"];
    let output = run(&std::env::temp_dir(), &demo);
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{}{said}", text(&output.stdout));
    let summary: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(summary["held"], true);
    assert_eq!(summary["pushes"], 103, "{summary}");
    assert!(summary["events"]["duplicates"].as_u64() > Some(0), "{summary}");
    assert!(summary["promises"].as_array().unwrap().len() >= 9, "{summary}");
}
