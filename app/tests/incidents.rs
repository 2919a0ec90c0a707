//! Public incidents as small applications in `examples/incidents`: the wall is found, and with the fix it is not.

#![expect(clippy::unwrap_used, reason = "a test that can't read its files fails")]

use std::{fs, path::Path};

use flyball_app::{
    check::{Finding, Level, Look, check, ours},
    import::{Input, Options, import},
    profile::{Given, Profile},
};

/// What all rules find in a file, under the profile beside it.
fn findings(folder: &str, file: &str) -> Vec<Finding> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/incidents").join(folder);
    let text = fs::read_to_string(folder.join(file)).unwrap();
    let base = if file.ends_with(".toml") { "flyball" } else { "aws" };
    let (profile, given) = match fs::read_to_string(folder.join("profile.toml")) {
        Ok(own) => Profile::with("profile.toml", &own).unwrap(),
        Err(_) => (Profile::built_in(base).unwrap(), Given::default()),
    };
    let imported = import(vec![Input { name: file.into(), text }], &Options::default(), &|_| None);
    assert!(imported.problems.is_empty(), "{file}: {:?}", imported.problems);
    check(&Look { design: &imported.design, profile: &profile, given: &given }, &ours())
}

/// Whether a rule finds something at a resource, as more than advice.
fn has(found: &[Finding], code: &str, resource: &str) -> bool {
    found.iter().any(|one| one.code == code && one.resource == resource && one.level > Level::Advice)
}

#[test]
fn each_wall_is_found_and_with_the_fix_it_is_not() {
    let table = [
        ("1-batch-started-again", "FB0025", "Start"),
        ("2-connection-storm", "FB0029", "Tiles"),
        ("3-requeue-loop", "FB0014", "Process"),
        ("4-log-loop", "FB0014", "Log"),
        ("5-lease-shorter-than-work", "FB0007", "Calls"),
        ("7-burst-takes-the-pool", "FB0016", "Consume"),
        ("8-parts-done-many-times", "FB0025", "Verify"),
    ];
    let mut wrong = String::new();
    for (folder, code, resource) in table {
        let (before, after) = (findings(folder, "template.yaml"), findings(folder, "fixed.yaml"));
        let shown = |found: &[Finding]| -> String {
            found
                .iter()
                .map(|one| format!("  {} {} {}\n", one.level.as_str(), one.code, one.resource))
                .collect()
        };
        if !has(&before, code, resource) || after.iter().any(|one| one.code == code) {
            wrong += &format!("{folder}, {code}:\n{} fixed:\n{}", shown(&before), shown(&after));
        }
        let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/incidents").join(folder);
        let readme = fs::read_to_string(readme.join("README.md")).unwrap();
        assert!(readme.contains(&format!("**{code}**")), "{folder}'s page names its rule");
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn who_starves_is_not_said_where_no_file_says_who_sends() {
    for file in ["template.yaml", "fixed.toml"] {
        // What it is advised of is none of it.
        let found = findings("6-tenant-starvation", file);
        assert!(found.iter().all(|one| one.level == Level::Advice), "{file}: {found:?}");
    }
}
