//! Files of faults: what a good one is read to, and what a person sees of a wrong one.

#![expect(clippy::unwrap_used, reason = "a test's helpers fail the test by panicking")]

use std::{fs, path::Path};

use flyball_app::{
    FILE_BYTES_MAX,
    workload::faults::{self, FAULTS_MAX},
};
use proptest::prelude::*;

fn text(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/faults").join(name);
    fs::read_to_string(path).unwrap()
}

#[test]
fn the_full_file_is_read_to_what_it_says() {
    let read = faults::read("faults.toml", &text("good/full.toml")).unwrap_or_else(|wrong| panic!("{wrong}"));
    insta::assert_debug_snapshot!(read);
}

#[test]
fn wrong_files_are_explained() {
    let mut said = String::new();
    for name in ["all", "empty"] {
        let wrong = faults::read("faults.toml", &text(&format!("wrong/{name}.toml"))).unwrap_err();
        said += &format!("{wrong}\n");
    }
    insta::assert_snapshot!(said);
}

#[test]
fn of_faults_there_is_a_most_and_of_bytes_too() {
    let many = "[[fault]]\nkind = \"crash\"\nat = \"1s\"\n".repeat(FAULTS_MAX + 1);
    for text in [many, "\n".repeat(FILE_BYTES_MAX + 1)] {
        let wrong = faults::read("faults.toml", &text).unwrap_err();
        assert_eq!(wrong.diagnostics[0].code.as_str(), "FE3011");
    }
}

proptest! {
    #[test]
    fn nothing_panics(
        text in concat!(
            "(\\[\\[fault\\]\\]\n|kind = \"[a-z-]{0,12}\"\n",
            "|(at|by|mean) = \"?[0-9]{0,5}(s|m)?\"?\n|.{0,9}\n){0,9}",
        ),
    ) {
        let _ = faults::read("faults.toml", &text);
    }
}
