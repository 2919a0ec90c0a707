//! The help texts, as people see them.

#[expect(dead_code, reason = "each test file uses its part")]
mod flyball;

use flyball::{run, text};

#[test]
fn help_says_what_there_is() {
    let here = std::env::temp_dir();
    let verbs: [&[&str]; 16] = [
        &[],
        &["init"],
        &["check"],
        &["explain"],
        &["serve"],
        &["simulate"],
        &["import"],
        &["demo"],
        &["invoke"],
        &["send"],
        &["trace"],
        &["logs"],
        &["tenants"],
        &["limits"],
        &["dead"],
        &["dead", "redrive"],
    ];
    for verb in verbs {
        let output = run(&here, &[verb, &["--help"]].concat());
        let help = text(&output.stdout);
        assert!(output.status.success());
        assert!(help.lines().all(|line| line.chars().count() <= 80), "{help}");
        insta::assert_snapshot!([&["flyball"], verb].concat().join("-"), help);
    }
}

#[test]
fn completions_are_written_for_each_shell() {
    for shell in ["bash", "zsh", "fish"] {
        let output = run(&std::env::temp_dir(), &["completions", shell]);
        assert!(output.status.success() && text(&output.stdout).contains("redrive"), "{shell}");
    }
}

#[test]
fn a_wrong_command_line_is_exit_2() {
    for wrong in [
        &["serv"][..],
        &["serve", "--grace", "soon"],
        &["demo", "--tenants", "1"],
        &["demo", "--duration", "0s"],
    ] {
        let output = run(&std::env::temp_dir(), wrong);
        assert_eq!(output.status.code(), Some(2), "{wrong:?}");
        assert!(!output.stderr.is_empty());
    }
}
