//! The lane against a store that fails and an executor whose runs end when the test says so.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests: a failure here is the test's failure"
)]

mod rig;

use std::{
    path::Path,
    sync::{Arc, Mutex},
    task::Poll,
    time::Duration,
};

use bytes::Bytes;
use flyball_core::{Body, Failure, FailureKind, Name, Refusal, Span, invocation::GuestCall};
use flyball_server::platform::{CallAnswer, DeadFilter, SendAnswer};
use flyball_store::{embedded, faulty::Faulty, memory::Memory};
use http::Request;
use rig::{Rig, end, event, name, set, texts, until};

const APPLICATION: &str = r#"
[application]
name = "lane"

[limits]
event_bytes_max = "12MiB"
request_bytes_max = "12MiB"
invocation = { emitted_bytes_max = "200MiB" }

[tenant.acme]

[function.work]
component = "none.wasm"
timeout = "30s"
grants.emit = ["news"]
grants.kv = { data = "read-write" }

[queue.one]
function = "work"
batch_max = 1
attempts_max = 1

[queue.two]
function = "work"
batch_max = 1

[queue.three]
function = "work"
batch_max = 1

[queue.many]
function = "work"
batch_max = 10
batch_window = "100ms"

[queue.retried]
function = "work"
batch_max = 1
attempts_max = 3
retry = { base = "20ms", max = "20ms" }

[topic.news]
subscribers = [{ queue = "one" }, { queue = "two" }, { queue = "three" }]
"#;

#[tokio::test(flavor = "multi_thread")]
async fn an_event_is_accepted_run_and_remembered_under_its_key() {
    let mut rig = Rig::open(APPLICATION, Arc::new(Memory::new()));
    let (id, duplicate) = rig.send("one", "a", Some("key")).await.unwrap();
    assert!(!duplicate);
    let job = rig.job().await;
    assert_eq!(texts(&job), ["a"]);
    assert_eq!(rig.send("one", "a", Some("key")).await, Ok((id, true)), "while it runs");
    end(job, &[set("1")], Ok("done")).await;
    assert_eq!(until("its result", || rig.result(id)).await, Ok("done".into()));
    assert_eq!(rig.send("one", "a", Some("key")).await, Ok((id, true)), "after it is over");
    assert_eq!(rig.send("one", "b", Some("key")).await, Err(Refusal::KeyReused));
    let counts = rig.platform.counts();
    assert_eq!((counts.accepted, counts.done, counts.duplicates), (1, 1, 2));
    assert!(rig.jobs.try_recv().is_err(), "nothing ran twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_engine_before_the_failure_wanted_is_never_written() {
    let store = Arc::new(Faulty::new(Memory::new()));
    let mut rig = Rig::open(APPLICATION, store.clone());
    let (id, _) = rig.send("retried", "x", Some("x")).await.unwrap();
    let first = rig.job().await;
    // One commit is held back while more gather than one group takes. The group after it fails, and what
    // is left over has the first run's outcome in it.
    let stall = store.stall_next_commit();
    let large = "x".repeat(1 << 20);
    let mut sends = Vec::new();
    for _ in 0..12 {
        let sending = rig.platform.send(rig.acme(), event("one", "text/plain", &large), None);
        let mut sending = Box::pin(sending);
        assert!(
            std::future::poll_fn(|context| Poll::Ready(sending.as_mut().poll(context))).await.is_pending()
        );
        sends.push(sending);
        if sends.len() == 1 {
            tokio::task::block_in_place(|| stall.wait_until_stalled());
        }
    }
    end(first, &[set("first")], Ok("first")).await;
    // A new stall lets the one before go on.
    std::mem::forget(stall);
    let stall = store.stall_next_commit();
    tokio::task::block_in_place(|| stall.wait_until_stalled());
    store.fail_next_commit();
    stall.release();
    let mut answers = Vec::new();
    for sending in sends {
        answers.push(sending.await);
    }
    assert!(matches!(answers.remove(0), SendAnswer::Accepted { .. }));
    assert!(answers.iter().all(|answer| *answer == SendAnswer::Refused(Refusal::Unavailable)), "{answers:?}");
    // What was accepted before the failure had started with its acceptance, and ends for an engine that is gone.
    let stale = rig.job().await;
    assert_eq!(texts(&stale), [large.as_str()]);
    end(stale, &[set("stale")], Ok("stale")).await;
    // What was not committed runs again, whole; and so does what was accepted before the failure.
    let mut again = [rig.job().await, rig.job().await];
    again.sort_by_key(|job| texts(job)[0].len());
    let [second, accepted] = again;
    assert!(texts(&second) == ["x"] && texts(&accepted) == [large]);
    end(accepted, &[], Ok("")).await;
    let get = GuestCall::KvGet { namespace: "data".into(), key: "k".into() };
    end(second, &[get, set("second")], Ok("second")).await;
    let result = until("its result", || rig.result(id)).await;
    assert_eq!(result, Ok("second".into()));
    until("the other is over", || (rig.platform.counts().done == 2).then_some(())).await;
    assert_eq!((rig.platform.not_ready(), rig.platform.counts().waiting), (None, 0));
    assert!(rig.jobs.try_recv().is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_was_made_and_reported_as_failed_is_found_again() {
    let store = Arc::new(Faulty::new(Memory::new()));
    let mut rig = Rig::open(APPLICATION, store.clone());
    store.fail_after_next_commit();
    assert_eq!(rig.send("one", "a", Some("key")).await, Err(Refusal::Unavailable));
    let job = rig.job().await;
    assert_eq!(texts(&job), ["a"], "it is durable, so it runs");
    until("it is ready", || rig.platform.not_ready().is_none().then_some(())).await;
    let (id, duplicate) = rig.send("one", "a", Some("key")).await.unwrap();
    assert!(duplicate);
    end(job, &[], Ok("once")).await;
    assert_eq!(until("its result", || rig.result(id)).await, Ok("once".into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_said_waited_out_and_costs_nothing_that_was_accepted() {
    let store = Arc::new(Faulty::new(Memory::new()));
    let mut rig = Rig::open(APPLICATION, store.clone());
    let (id, _) = rig.send("retried", "a", Some("a")).await.unwrap();
    let before = rig.job().await;
    store.set_disk_full(true);
    assert_eq!(rig.send("one", "b", None).await, Err(Refusal::StoreFull));
    let why = until("it is down", || rig.platform.not_ready()).await;
    assert!(why.contains("no room"), "{why}");
    assert!(rig.platform.result(rig.acme(), id).is_err(), "unknown would say that it was never accepted");
    let call = rig.platform.call(rig.acme(), &name("work"), Request::new(Bytes::new()), None).await;
    assert!(matches!(call, CallAnswer::Refused(Refusal::StoreFull)), "{call:?}");
    // The run that is over meanwhile belongs to an engine that is no more.
    end(before, &[], Ok("unheard")).await;
    store.set_disk_full(false);
    until("it is ready", || rig.platform.not_ready().is_none().then_some(())).await;
    let again = rig.job().await;
    end(again, &[], Ok("heard")).await;
    assert_eq!(until("its result", || rig.result(id)).await, Ok("heard".into()));
    assert_eq!(rig.platform.counts().done, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_caller_is_answered_whenever_the_store_fails() {
    let store = Arc::new(Faulty::new(Memory::new()));
    let mut rig = Rig::open(APPLICATION, store.clone());
    let accepted = Arc::new(Mutex::new(Vec::new()));
    let senders = (0..8).map(|sender| {
        let (platform, tenant, accepted) = (rig.platform.clone(), rig.acme(), accepted.clone());
        tokio::spawn(async move {
            for n in 0..100 {
                let text = format!("{sender}-{n}");
                let sent = platform.send(tenant, event("two", "text/plain", &text), None).await;
                if let SendAnswer::Accepted { .. } = sent {
                    accepted.lock().unwrap().push(text);
                }
                tokio::task::yield_now().await;
            }
        })
    });
    let senders: Vec<_> = senders.collect();
    for _ in 0..20 {
        store.fail_next_commit();
        until("it failed and is open again", || rig.platform.not_ready().is_none().then_some(())).await;
    }
    for sender in senders {
        tokio::time::timeout(Duration::from_secs(20), sender).await.expect("an answer").unwrap();
    }
    // A fault that is left would hit the end.
    drop(rig.send("two", "last", None).await);
    until("it is ready", || rig.platform.not_ready().is_none().then_some(())).await;
    let mut owed = accepted.lock().unwrap().clone();
    while !owed.is_empty() {
        let job = rig.job().await;
        let text = texts(&job).remove(0);
        owed.retain(|owed| *owed != text);
        end(job, &[], Ok("")).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outcome_that_the_store_could_not_take_fails_alone() {
    let mut rig = Rig::open(APPLICATION, Arc::new(Memory::new()));
    let (id, _) = rig.send("one", "flood", None).await.unwrap();
    let job = rig.job().await;
    // 30 MiB emitted, and a copy for each of three subscribers.
    let emit = GuestCall::Emit {
        target: "news".into(),
        kind: "k".into(),
        subject: None,
        content_type: "c".into(),
        delay: Span::ZERO,
        body: Body::from(vec![0; 1 << 20]),
    };
    end(job, &vec![emit; 30], Ok("")).await;
    until("it is dead", || (rig.platform.counts().dead == 1).then_some(())).await;
    let dead = rig.platform.dead_show(id).unwrap().unwrap().dead;
    assert_eq!(dead.failure.kind, FailureKind::LimitExceeded, "{}", dead.failure);
    assert_eq!((rig.platform.not_ready(), rig.platform.counts().accepted), (None, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_whose_copies_no_commit_would_take_is_refused() {
    let mut rig = Rig::open(APPLICATION, Arc::new(Memory::new()));
    let send = |bytes| rig.platform.send(rig.acme(), event("news", "text/plain", &"x".repeat(bytes)), None);
    let refused = send(11 << 20).await;
    assert!(matches!(refused, SendAnswer::Refused(Refusal::TooLarge { .. })), "{refused:?}");
    let accepted = send(10 << 20).await;
    assert!(matches!(accepted, SendAnswer::Accepted { .. }), "{accepted:?}");
    for _ in 0..3 {
        end(rig.job().await, &[], Ok("")).await;
    }
    assert_eq!(rig.platform.not_ready(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_calls_itself_a_request_is_an_event() {
    let mut rig = Rig::open(APPLICATION, Arc::new(Memory::new()));
    let request = event("many", "application/vnd.flyball.http-request", "no request");
    let plain = event("many", "text/plain", "plain");
    let (first, second) = tokio::join!(
        rig.platform.send(rig.acme(), plain, None),
        rig.platform.send(rig.acme(), request, None),
    );
    assert!(matches!((first, second), (SendAnswer::Accepted { .. }, SendAnswer::Accepted { .. })));
    let mut seen = Vec::new();
    while seen.len() < 2 {
        let job = rig.job().await;
        seen.extend(texts(&job));
        end(job, &[], Ok("")).await;
    }
    seen.sort();
    assert_eq!(seen, ["no request", "plain"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_is_not_late_and_a_dead_letter_comes_back_to_its_queue() {
    let mut rig = Rig::open(APPLICATION, Arc::new(Memory::new()));
    let (id, _) = rig.send("retried", "x", None).await.unwrap();
    let begun = std::time::Instant::now();
    for _ in 0..3 {
        end(rig.job().await, &[], Err(Failure::new(FailureKind::Retry, "later"))).await;
    }
    // Two waits of 20 ms and their jitter; the timer's fallback alone would take a second for each.
    assert!(begun.elapsed() < Duration::from_millis(900), "{:?}", begun.elapsed());
    until("it is dead", || (rig.platform.counts().dead == 1).then_some(())).await;
    let filter = DeadFilter { queue: Some(name("retried")), ..DeadFilter::default() };
    let report = rig.platform.redrive(&filter, None, 10, false).await.unwrap();
    assert_eq!(report.moved, [id]);
    end(rig.job().await, &[], Ok("")).await;
    until("it is done", || (rig.platform.counts().done == 1).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn operators_who_are_at_it_together_move_each_letter_once() {
    let mut rig = Rig::open(APPLICATION, Arc::new(Memory::new()));
    for n in 0..60 {
        rig.send("one", &n.to_string(), None).await.unwrap();
        end(rig.job().await, &[], Err(Failure::new(FailureKind::Permanent, "told to"))).await;
    }
    until("all are dead", || (rig.platform.counts().dead == 60).then_some(())).await;
    let operators = (0..6).map(|operator| {
        let platform = rig.platform.clone();
        tokio::spawn(async move {
            let mut moved = 0;
            while platform.counts().dead > 0 {
                let filter = DeadFilter::default();
                let report = match operator % 2 {
                    0 => platform.redrive(&filter, None, 7, false).await,
                    _ => platform.discard(&filter, None, 7, false).await,
                };
                moved += report.unwrap().moved.len();
            }
            moved
        })
    });
    let operators: Vec<_> = operators.collect();
    let mut moved = 0;
    for operator in operators {
        let ended = tokio::time::timeout(Duration::from_secs(20), operator).await;
        moved += ended.expect("it ends").unwrap();
    }
    assert_eq!(moved, 60);
    let discarded = rig.platform.counts().discarded;
    for _ in discarded..60 {
        end(rig.job().await, &[], Ok("")).await;
    }
    until("the rest is done", || (rig.platform.counts().done == 60 - discarded).then_some(())).await;
    assert!(rig.jobs.try_recv().is_err() && rig.platform.counts().accepted == 60);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_writes_nothing_and_one_under_a_key_is_replayed() {
    let store = Arc::new(Faulty::new(Memory::new()));
    let mut rig = Rig::open(APPLICATION, store.clone());
    let (platform, tenant) = (rig.platform.clone(), rig.acme());
    let request = || Request::get("/a").body(Bytes::new()).unwrap();
    // Nothing may be committed: the fault stays for the next commit.
    store.set_disk_full(true);
    let call =
        tokio::spawn(
            async move { platform.call(tenant, &Name::new("work").unwrap(), request(), None).await },
        );
    let job = rig.job().await;
    assert_eq!(texts(&job), ["GET /a"]);
    end(job, &[], Ok("hello")).await;
    let CallAnswer::Done { response, replayed, .. } = call.await.unwrap() else { panic!("it failed") };
    assert_eq!((&response.body()[..], replayed), (&b"hello"[..], false));
    store.set_disk_full(false);
    for again in [false, true] {
        let platform = rig.platform.clone();
        let call = tokio::spawn(async move {
            platform.call(tenant, &Name::new("work").unwrap(), request(), Some("key")).await
        });
        if !again {
            end(rig.job().await, &[set("1")], Ok("kept")).await;
        }
        let CallAnswer::Done { response, replayed, .. } = call.await.unwrap() else { panic!("it failed") };
        assert_eq!((&response.body()[..], replayed), (&b"kept"[..], again));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_loses_nothing_and_commits_nothing_twice() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("data");
    let open = || Arc::new(embedded::Embedded::open(&path, embedded::Options::default()).unwrap());
    let mut rig = Rig::open(APPLICATION, open());
    let mut ids = Vec::new();
    for n in 0..6 {
        ids.push(rig.send("two", &n.to_string(), Some(&format!("k{n}"))).await.unwrap().0);
    }
    let mut over = Vec::new();
    for _ in 0..2 {
        let job = rig.job().await;
        over.push(texts(&job).remove(0));
        end(job, &[], Ok("before")).await;
    }
    until("two are over", || (rig.platform.counts().done == 2).then_some(())).await;
    // The rest runs, and no word of it gets out. Nothing is closed.
    let Rig { platform, jobs } = rig;
    drop((platform, jobs));
    until("the store is let go of", || unlocked(&path).then_some(())).await;
    let mut rig = Rig::open(APPLICATION, open());
    for _ in 0..4 {
        let job = rig.job().await;
        over.push(texts(&job).remove(0));
        end(job, &[], Ok("after")).await;
    }
    over.sort();
    assert_eq!(over, ["0", "1", "2", "3", "4", "5"]);
    for id in &ids {
        assert!(until("its result", || rig.result(*id)).await.is_ok());
    }
    assert_eq!(rig.send("two", "0", Some("k0")).await, Ok((ids[0], true)));
    assert!(rig.jobs.try_recv().is_err());
}

fn unlocked(path: &Path) -> bool {
    std::fs::File::open(path.join("lock")).is_ok_and(|file| file.try_lock().is_ok())
}
