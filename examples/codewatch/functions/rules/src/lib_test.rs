use std::collections::BTreeSet;

use super::{ALLOW, FINDINGS_MAX, RULES, check, scan, scan_path};

/// The cases of `cases.txt`: (line number, rules expected, text). The text has its secrets in one piece.
fn cases() -> Vec<(usize, Vec<String>, String)> {
    let mut cases = Vec::new();
    for (at, line) in include_str!("../cases.txt").lines().enumerate() {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (rules, text) = line.split_once(": ").unwrap_or_else(|| panic!("line {}: no `: `", at + 1));
        let rules = rules.split_whitespace().filter(|rule| *rule != "none").map(String::from).collect();
        cases.push((at + 1, rules, joined(text)));
    }
    cases
}

/// Takes the joints out, and writes the checksum for `~~crc`.
fn joined(text: &str) -> String {
    let Some((before, after)) = text.split_once("~~crc") else { return text.replace("~~", "") };
    let before = before.replace("~~", "");
    let random = &before[before.len() - 30..];
    let sum = check::base62(check::crc32(random.as_bytes()));
    format!("{before}{}{}", String::from_utf8_lossy(&sum), after.replace("~~", ""))
}

#[test]
fn every_case_is_found_or_not_as_its_line_says() {
    let mut wrong = Vec::new();
    for (line, rules, text) in cases() {
        let found: Vec<String> =
            scan("some/file", &text).iter().map(|finding| finding.rule.to_string()).collect();
        if found != rules {
            wrong.push(format!("cases.txt:{line}: expected {rules:?}, found {found:?} in {text}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_rule_has_a_case_and_compiles() {
    let covered: BTreeSet<String> = cases().into_iter().flat_map(|(_, rules, _)| rules).collect();
    for rule in RULES {
        assert!(covered.contains(rule.id), "{} has no true positive in cases.txt", rule.id);
        let pattern =
            regex_lite::Regex::new(rule.pattern).unwrap_or_else(|error| panic!("{}: {error}", rule.id));
        assert!(pattern.captures_len() >= 2, "{} has no group for the secret", rule.id);
        assert!(rule.keywords.iter().all(|word| *word == word.to_lowercase()), "{}: lower case", rule.id);
    }
}

#[test]
fn no_excerpt_shows_a_secret() {
    for (line, rules, text) in cases() {
        for finding in scan("some/file", &text) {
            let longest = longest_word_in_common(&finding.excerpt, &text);
            let private = rules.iter().any(|rule| rule == "private-key");
            assert!(
                private || longest < 16,
                "cases.txt:{line}: {} shows {longest} characters",
                finding.excerpt
            );
        }
    }
}

/// Of runs that could be a secret: no blanks, quotes or signs of assignment.
fn longest_word_in_common(excerpt: &str, text: &str) -> usize {
    let words = excerpt.split(|sign: char| sign.is_whitespace() || "\"'=:…@/".contains(sign));
    words
        .filter(|word| word.chars().any(|sign| sign.is_ascii_digit()) && text.contains(word))
        .map(str::len)
        .max()
        .unwrap_or(0)
}

#[test]
fn two_secrets_of_a_line_are_both_redacted_in_both_excerpts() {
    let (first, second) = ("Zq8vN2xK7pLw4RtY", "mB6cD9fGh3JkQ1sX");
    let found = scan("f", &format!("token = '{first}', password = '{second}' # both"));
    let excerpts: Vec<&str> = found.iter().map(|finding| finding.excerpt.as_str()).collect();
    assert_eq!(
        excerpts,
        ["token = 'Zq8v…(16)', password = 'mB6c…(16)", "token = 'Zq8v…(16)', password = 'mB6c…(16)' # both"]
    );
}

#[test]
fn a_fingerprint_stays_when_the_secret_moves_and_differs_by_file() {
    let line = "token = 'Zq8vN2xK7pLw4RtY'";
    let here = scan("a", line);
    let moved = scan("a", &format!("\n\n{line}"));
    let elsewhere = scan("b", line);
    assert_eq!((here[0].line, moved[0].line), (1, 3));
    assert_eq!(here[0].fingerprint, moved[0].fingerprint);
    assert_ne!(here[0].fingerprint, elsewhere[0].fingerprint);
    assert_eq!(here[0].fingerprint.len(), 32);
}

#[test]
fn an_allowed_line_is_skipped_and_findings_are_bounded() {
    let line = "token = 'Zq8vN2xK7pLw4RtY'";
    assert_eq!(scan("f", &format!("{line} // {ALLOW}")), []);
    assert_eq!(scan("f", &format!("{line}\n").repeat(FINDINGS_MAX + 5)).len(), FINDINGS_MAX);
}

#[test]
fn file_names_are_judged() {
    for (path, expected) in [
        ("home/.ssh/id_rsa", 1),
        ("home/.ssh/id_rsa.pub", 0),
        ("deploy/.env", 1),
        ("deploy/.env.example", 0),
        ("certs/server.pem", 1),
        ("certs/cacert.pem", 0),
        ("src/environment.rs", 0),
        ("README.md", 0),
    ] {
        assert_eq!(scan_path(path).len(), expected, "{path}");
    }
}
