use super::{BATCHES_MAX, Batch, Commit, Content, Push, Repository, of};

fn commit(id: &str, message: &str, added: &[&str], modified: &[&str]) -> Commit {
    let owned = |paths: &[&str]| paths.iter().map(ToString::to_string).collect();
    Commit { id: id.into(), message: message.into(), added: owned(added), modified: owned(modified) }
}

fn push(commits: Vec<Commit>, contents: &[(&str, Content)]) -> Push {
    Push {
        reference: "refs/heads/main".into(),
        repository: Repository { full_name: "octo/cat".into() },
        commits,
        flyball_contents: contents
            .iter()
            .map(|(path, content)| (path.to_string(), content.clone()))
            .collect(),
    }
}

fn shape(batches: &[Batch]) -> Vec<(String, bool, Vec<String>)> {
    let paths = |batch: &Batch| batch.files.iter().map(|file| file.path.clone()).collect();
    batches.iter().map(|batch| (batch.commit.clone(), batch.message.is_some(), paths(batch))).collect()
}

#[test]
fn ten_files_make_one_event_and_the_eleventh_another() {
    let paths: Vec<String> = (0..11).map(|at| format!("src/{at}.rs")).collect();
    let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
    let batches = of(push(vec![commit("c1", "all", &paths, &[])], &[])).unwrap();
    let sizes: Vec<usize> = batches.iter().map(|batch| batch.files.len()).collect();
    assert_eq!(sizes, [10, 1]);
    assert_eq!(batches[0].message.as_deref(), Some("all"));
    assert_eq!(batches[1].message, None);
}

#[test]
fn commits_keep_their_order_and_a_content_belongs_to_the_last_that_touched_it() {
    let commits = vec![
        commit("old", "first", &["a", "b"], &[]),
        commit("none", "", &[], &[]),
        commit("message", "only words", &[], &[]),
        commit("new", "second", &[], &["a"]),
    ];
    let batches = of(push(commits, &[("a", Content::Text("newest".into()))])).unwrap();
    let expected = [("old", true, vec!["a", "b"]), ("message", true, vec![]), ("new", true, vec!["a"])];
    let expected: Vec<_> = expected
        .into_iter()
        .map(|(id, message, paths)| (id.to_string(), message, paths.into_iter().map(String::from).collect()))
        .collect();
    assert_eq!(shape(&batches), expected);
    assert_eq!(batches[0].files[0].content, None);
    assert_eq!(batches[2].files[0].content.as_deref(), Some("newest"));
}

#[test]
fn what_may_be_refused_goes_alone() {
    let contents = [
        ("long", Content::Text("x".repeat(super::CONTENT_BYTES_SHARED_MAX + 1))),
        ("short", Content::Text("x".into())),
        ("logo.png", Content::Bytes { base64: "iVBORw0KGgo=".into() }),
    ];
    let batches = of(push(vec![commit("c", "m", &["long", "logo.png", "short"], &[])], &contents)).unwrap();
    let paths: Vec<_> =
        shape(&batches).into_iter().map(|(_, message, paths)| (message, paths.join(","))).collect();
    let expected = [(true, "short"), (false, "long"), (false, "logo.png")];
    assert_eq!(paths, expected.map(|(message, path)| (message, path.to_string())));
}

#[test]
fn the_bytes_of_an_event_are_bounded() {
    let contents: Vec<(String, Content)> = (0..9)
        .map(|at| (format!("f{at}"), Content::Text("x".repeat(super::CONTENT_BYTES_SHARED_MAX))))
        .collect();
    let contents: Vec<(&str, Content)> =
        contents.iter().map(|(path, text)| (path.as_str(), text.clone())).collect();
    let paths: Vec<&str> = contents.iter().map(|(path, _)| *path).collect();
    let batches = of(push(vec![commit("c", "m", &paths, &[])], &contents)).unwrap();
    assert_eq!(batches.iter().map(|batch| batch.files.len()).collect::<Vec<_>>(), [2, 2, 2, 2, 1]);
}

#[test]
fn too_many_batches_are_refused_with_the_limit() {
    let commits = (0..=BATCHES_MAX).map(|at| commit(&at.to_string(), "m", &[], &[])).collect();
    let refusal = of(push(commits, &[])).err().unwrap();
    assert!(refusal.contains("256"), "{refusal}");
}

#[test]
fn the_real_payloads_are_read() {
    let samples = concat!(env!("CARGO_MANIFEST_DIR"), "/../../samples/");
    for (name, expected) in [("push.json", 1), ("push-tag.json", 0), ("push-with-contents.json", 1)] {
        let text = std::fs::read_to_string(format!("{samples}{name}")).unwrap();
        let push: Push = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(push.repository.full_name, "Codertocat/Hello-World");
        assert_eq!(of(push).unwrap().len(), expected, "{name}");
    }
}
