//! kill -9 in the middle of commits: what was acknowledged is there, and nothing is there by half.
#![expect(clippy::unwrap_used, reason = "helpers of tests: a panic fails the test")]

use std::env;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use flyball_store::conformance::{batch, page, put};
use flyball_store::embedded::{Embedded, Options};
use flyball_store::{CommitResult, Hash, Store, Table};

const DIR: &str = "FLYBALL_STORE_CRASH_DIR";

/// Commits until it is killed, three batches a group, and says each number that is durable.
fn commit_for_ever(dir: &Path) {
    let store = Embedded::open(dir, Options::default()).unwrap();
    let mut next = store.count(Table::Events).unwrap();
    loop {
        let group = [0, 1, 2].map(|offset| {
            let number = (next + offset).to_be_bytes();
            let hash = store.put_blob(1, &number).unwrap();
            batch([
                put(Table::Events, &number, hash.as_bytes()),
                put(Table::Bodies, &number, &[number[7]; 3000]),
                put(Table::KeyValue, b"last", &number),
            ])
        });
        let results = store.commit(&group).unwrap();
        assert!(results.iter().all(|result| matches!(result, CommitResult::Committed { .. })));
        next += 3;
        println!("durable {next}");
    }
}

#[test]
fn acknowledged_batches_survive_kill_9() {
    if let Some(dir) = env::var_os(DIR) {
        commit_for_ever(Path::new(&dir));
    }
    let dir = tempfile::tempdir().unwrap();
    let mut last_version = 0;
    for (round, lines) in [1, 2, 7, 20, 41, 3].into_iter().enumerate() {
        let mut child = Command::new(env::current_exe().unwrap())
            .args(["--exact", "acknowledged_batches_survive_kill_9", "--nocapture"])
            .env(DIR, dir.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut numbers = output
            .filter_map(|line| line.unwrap().strip_prefix("durable ").and_then(|n| n.parse::<u64>().ok()));
        let mut acknowledged = numbers.by_ref().take(lines).last().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        // What it still said before it died.
        acknowledged = numbers.last().unwrap_or(acknowledged);

        let store = Embedded::open(dir.path(), Options::default()).unwrap();
        assert_eq!(store.incarnation(), 2 * (round as u64 + 1));
        let count = store.count(Table::Events).unwrap();
        assert!(count >= acknowledged, "{count} batches are there and {acknowledged} were acknowledged");
        assert_eq!(count % 3, 0, "a group is there by half");
        let (events, bodies) = (page(&store, Table::Events, b""), page(&store, Table::Bodies, b""));
        assert_eq!(bodies.rows.len() as u64, count);
        for (number, (event, body)) in (0..count).zip(events.rows.iter().zip(&bodies.rows)) {
            let number = number.to_be_bytes();
            assert_eq!((&event.key[..], &body.key[..]), (&number[..], &number[..]));
            assert_eq!(body.value, vec![number[7]; 3000]);
            let hash = Hash::from_bytes(event.value[..].try_into().unwrap());
            assert_eq!(store.get_blob(1, &hash).unwrap().unwrap(), &number[..]);
        }
        let (version, last) = store.get_versioned(Table::KeyValue, b"last").unwrap().unwrap();
        assert_eq!(last, &(count - 1).to_be_bytes()[..]);
        assert!(version > last_version);
        last_version = version;
    }
}
