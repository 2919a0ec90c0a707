//! Each rule on small files: `rules/FB0007/finds-*.yaml` has walls, `rules/FB0007/leaves-*.yaml` has none of them.
//!
//! Comments at the head of a file say what is expected and under what:
//! - `# expect: warning Work`: a finding of the folder's code, its level and its resource; in the files' order.
//! - `#! [traffic.Orders]`: a line of the user's profile.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test's helpers fail the test by panicking")]

use std::{
    collections::BTreeSet,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

use flyball_app::{
    check::{About, Finding, Level, Look, Rule, check, ours},
    import::{Input, Options, import},
    profile::{Given, Profile},
};

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/rules").join(name)
}

/// The entries of a folder by name.
fn entries(folder: &Path) -> Vec<(String, PathBuf)> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut all: Vec<_> = entries
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.file_name().unwrap().to_string_lossy().into_owned(), path))
        .collect();
    all.sort();
    all
}

fn profile_of(name: &str, text: &str) -> (Profile, Given) {
    let lines: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("#! ")).collect();
    if lines.is_empty() {
        let base = if name.ends_with(".toml") { "flyball" } else { "aws" };
        return (Profile::built_in(base).unwrap(), Given::default());
    }
    Profile::with("profile.toml", &lines.join("\n")).unwrap_or_else(|wrong| panic!("{name}: {wrong}"))
}

/// What all rules find in one file.
fn findings(name: &str, path: &Path) -> Vec<Finding> {
    let text = fs::read_to_string(path).unwrap();
    let (profile, given) = profile_of(name, &text);
    let beside = path.parent().unwrap().to_path_buf();
    let local = move |file: &str| fs::read_to_string(beside.join(file)).ok();
    let imported = import(vec![Input { name: name.to_string(), text }], &Options::default(), &local);
    assert!(imported.problems.is_empty(), "{name}: {:?}", imported.problems);
    assert_eq!(imported.read, 1, "{name} could not be read");
    assert!(imported.design.nodes().count() > 0, "{name} has nothing in it");
    let look = Look { design: &imported.design, profile: &profile, given: &given };
    check(&look, &ours())
}

/// A finding as a person sees it, for snapshots.
fn shown(finding: &Finding) -> String {
    let mut out = format!("{} {}: {}\n", finding.level.as_str(), finding.code, finding.message);
    let place = &finding.place;
    writeln!(out, "  at {} {}:{}:{}", finding.resource, place.file, place.line, place.column).unwrap();
    for hop in &finding.path {
        let wall = if hop.wall { " <- wall" } else { "" };
        let limit = if hop.limit.is_empty() { String::new() } else { format!(": {}", hop.limit) };
        writeln!(out, "  > {} {}{limit}{wall}", hop.kind, hop.name).unwrap();
    }
    for (what, quantity) in [("limit", &finding.limit), ("value", &finding.value)] {
        if let Some(q) = quantity {
            let source = if q.source.is_empty() { String::new() } else { format!(" ({})", q.source) };
            writeln!(out, "  {what}: {} = {} {}{source}", q.of, q.number, q.unit).unwrap();
        }
    }
    for what in &finding.assumed {
        writeln!(out, "  assumed: {what}").unwrap();
    }
    for (place, what) in &finding.related {
        writeln!(out, "  see {}:{}: {what}", place.line, place.column).unwrap();
    }
    writeln!(out, "  help: {}", finding.help).unwrap();
    out
}

#[test]
fn rules_find_what_they_should_and_leave_the_rest() {
    let mut wrong = Vec::new();
    for (code, path) in entries(&folder("")).into_iter().filter(|(name, _)| name.starts_with("FB")) {
        for (name, path) in entries(&path).into_iter().filter(|(name, _)| !name.starts_with("with-")) {
            let text = fs::read_to_string(&path).unwrap();
            let expected: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("# expect: ")).collect();
            let all = findings(&name, &path);
            let of_code: Vec<_> = all.iter().filter(|finding| finding.code == code).collect();
            let got: Vec<_> =
                of_code.iter().map(|f| format!("{} {}", f.level.as_str(), f.resource)).collect();
            if got != expected {
                wrong.push(format!("{code}/{name}: {got:?}, not {expected:?}"));
                continue;
            }
            assert_eq!(name.starts_with("leaves-"), expected.is_empty(), "{code}/{name} is named wrongly");
            if !of_code.is_empty() {
                let shown: Vec<_> = of_code.into_iter().map(shown).collect();
                let stem = name.rsplit_once('.').map_or(name.as_str(), |(stem, _)| stem);
                let mut settings = insta::Settings::clone_current();
                settings.set_snapshot_path(folder("snapshots"));
                settings.set_prepend_module_to_snapshot(false);
                settings.set_omit_expression(true);
                settings.bind(|| insta::assert_snapshot!(format!("{code}-{stem}"), shown.join("\n")));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn good_designs_are_silent() {
    for (name, path) in entries(&folder("clean")) {
        let loud: Vec<_> = findings(&name, &path).into_iter().filter(|f| f.level > Level::Advice).collect();
        let shown: Vec<_> = loud.iter().map(shown).collect();
        assert!(loud.is_empty(), "{name}:\n{}", shown.join("\n"));
    }
}

#[test]
fn each_rule_has_a_page_and_files_that_it_finds_and_leaves() {
    let rules: Vec<&dyn Rule> = ours();
    let codes: Vec<_> = rules.iter().map(|rule| rule.about().code).collect();
    assert!(codes.is_sorted(), "{codes:?}");
    assert_eq!(codes.iter().collect::<BTreeSet<_>>().len(), codes.len(), "{codes:?}");
    for rule in rules {
        let about = rule.about();
        let (first, _) = about.page.split_once('\n').unwrap();
        assert_eq!(first, format!("# {}: {}", about.code, about.title));
        let parts = ["The wall", "How it shows in production", "The fix", "When it is silent", "Sources"];
        let headings: Vec<_> = about.page.lines().filter_map(|line| line.strip_prefix("## ")).collect();
        assert_eq!(headings, parts, "{}", about.code);
        let files = entries(&folder(about.code));
        for kind in ["finds-", "leaves-"] {
            assert!(files.iter().any(|(name, _)| name.starts_with(kind)), "{} has no {kind}", about.code);
        }
    }
}

#[test]
fn the_list_of_rules_has_all_of_them_and_no_other() {
    let list = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/rules/README.md");
    let list = fs::read_to_string(list).unwrap();
    let rows: Vec<_> = list.lines().filter(|line| line.starts_with("| [")).collect();
    let row = |rule: &&dyn Rule| {
        let About { code, title, severity, .. } = rule.about();
        format!("| [{code}]({code}.md) | {title} | {} |", format!("{severity:?}").to_lowercase())
    };
    assert_eq!(rows, ours().iter().map(row).collect::<Vec<_>>());
}

/// One wall in each, as people plant it without meaning to; `docs/check-peers.md` says who else sees it.
#[test]
fn planted_defects_are_seen_and_no_other_error() {
    let planted = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/planted");
    for (name, path) in entries(&planted) {
        let text = fs::read_to_string(&path).unwrap();
        let wall = text.lines().find_map(|line| line.strip_prefix("# wall: ")).unwrap();
        let found: Vec<_> = findings(&name, &path).into_iter().filter(|f| f.level > Level::Advice).collect();
        let shown: Vec<_> = found.iter().map(shown).collect();
        assert!(found.iter().any(|finding| finding.code == wall), "{name}:\n{}", shown.join("\n"));
        let false_errors = found.iter().any(|finding| finding.level == Level::Error && finding.code != wall);
        assert!(!false_errors, "{name}:\n{}", shown.join("\n"));
    }
}
