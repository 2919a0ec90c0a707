//! Guests that misbehave, each in its way: each has its code, and while it is at it another tenant is served.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests: a failure here is the test's failure"
)]

#[expect(dead_code, reason = "shared with the other tests")]
mod site;

use std::sync::atomic::{AtomicUsize, Ordering};

use flyball_core::{Attributes, Body, EventId, Failure, Span, TenantId};
use flyball_server::platform::{EventResult, NewEvent, Platform, SendAnswer};
use site::{Site, until};

/// What the neighbour asks for while the other one misbehaves.
const SERVED: usize = 10;

fn tenant(platform: &Platform, name: &str) -> TenantId {
    platform.tenant_by_name(name).unwrap().id
}

async fn send(platform: &Platform, of: &str, script: &str, key: &str) -> EventId {
    let event = NewEvent {
        target: "work".into(),
        attributes: Attributes {
            kind: "test".into(),
            source: "/test".into(),
            subject: None,
            content_type: "text/plain".into(),
        },
        body: Body::from(script.as_bytes()),
        delay: Span::ZERO,
    };
    match platform.send(tenant(platform, of), event, Some(&key.replace(' ', "-"))).await {
        SendAnswer::Accepted { id, .. } => id,
        SendAnswer::Refused(refusal) => panic!("refused: {refusal}"),
    }
}

/// How an event ended: its result as text, or its failure.
async fn end(platform: &Platform, of: &str, id: EventId) -> Result<String, Failure> {
    let of = tenant(platform, of);
    until("an end", || match platform.result(of, id).unwrap() {
        EventResult::Done { response, .. } => Some(Ok(String::from_utf8_lossy(response.body()).into_owned())),
        EventResult::Failed { failure, .. } => Some(Err(failure)),
        EventResult::Pending { .. } | EventResult::Unknown => None,
    })
    .await
}

/// The neighbour's call and event, which must both succeed.
async fn neighbour(site: &Site, key: &str) {
    let call = site.ask_without_key("GET", "/t/other/hello", &[], "").await;
    assert_eq!(call.status, 200, "{key}: {call:?}");
    let id = send(&site.platform, "other", "increment counters n", key).await;
    let counted = end(&site.platform, "other", id).await;
    assert!(counted.is_ok(), "{key}: {counted:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_misbehaves_has_its_code_and_costs_a_neighbour_nothing() {
    let site = Site::open().await;
    for (command, status, code) in [
        ("trap", 502, "FE2003"),
        ("spin", 504, "FE2004"),
        ("sleep 3600000", 504, "FE2004"),
        ("allocate", 502, "FE2005"),
        ("no-response", 502, "FE2006"),
        ("unfinished", 502, "FE2006"),
        ("big 1000000", 502, "FE2006"),
    ] {
        let served = AtomicUsize::new(0);
        let bad = async {
            let mut misbehaved = 0;
            while misbehaved == 0 || served.load(Ordering::Relaxed) < SERVED {
                let answer = site.ask("GET", "/web/x", &[("x-do", command)], "").await;
                assert_eq!((answer.status, answer.code().as_str()), (status, code), "{command}: {answer:?}");
                misbehaved += 1;
            }
        };
        let good = async {
            for n in 0..SERVED {
                neighbour(&site, &format!("{command} {n}")).await;
                served.fetch_add(1, Ordering::Relaxed);
            }
        };
        tokio::join!(bad, good);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_misbehaves_has_its_code_and_costs_a_neighbour_nothing() {
    let site = Site::open().await;
    let platform = &site.platform;
    for (script, code, said) in [
        ("trap", "FE2003", "unreachable"),
        ("recurse", "FE2003", "stack"),
        ("spin", "FE2004", "deadline"),
        ("allocate", "FE2005", "memory_bytes_max is 16777216"),
        ("result 2000000", "FE2010", "result_bytes_max is 1048576"),
        // A million events, and more bytes than may be: the guest is refused, and says so.
        ("must emit work 1000000 0 trap", "FE2002", "1000"),
        ("must emit-sized work 1000000", "FE2002", "32768"),
    ] {
        let mut bad = Vec::new();
        for n in 0..SERVED {
            bad.push(send(platform, "acme", script, &format!("{script} {n}")).await);
            neighbour(&site, &format!("{script} {n}")).await;
        }
        for id in bad {
            let failure = end(platform, "acme", id).await.unwrap_err();
            assert_eq!(failure.kind.code(), code, "{script}: {failure}");
            assert!(failure.message.contains(said), "{script}: {failure}");
        }
    }
    // Nothing of what was emitted in vain is there: each event was one that was sent here.
    let counts = platform.counts();
    assert_eq!((counts.done as usize, counts.dead as usize), (7 * SERVED, 7 * SERVED), "{counts:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_lines_without_end_the_first_are_kept_and_the_rest_dropped() {
    let site = Site::open().await;
    let platform = &site.platform;
    let most = platform.application().limits.invocation.log_lines_max as usize;
    let script = "stdout x\n".repeat(3 * most);
    let loud = send(platform, "acme", &script, "loud").await;
    neighbour(&site, "beside").await;
    assert_eq!(end(platform, "acme", loud).await, Ok(String::new()));
    let quiet = send(platform, "other", "log info mine", "quiet").await;
    assert!(end(platform, "other", quiet).await.is_ok());
    // The lines' numbers say how many there were, kept or not.
    let mine = platform.logs(tenant(platform, "other"), None, 0, 10);
    assert_eq!(mine.len(), 1);
    assert!(mine[0].cursor as usize <= most + 1, "{} lines were kept", mine[0].cursor - 1);
    let kept = platform.logs(tenant(platform, "acme"), None, 0, 3 * most);
    assert_eq!(kept.len(), most);
}
