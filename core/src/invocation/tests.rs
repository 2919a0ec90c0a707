//! One run as seen from inside.

use std::{collections::BTreeMap, sync::Arc};

use super::*;
use crate::{
    Lineage, Seq, Time,
    model::{Application, Delivery, Grants, InvocationLimits, PlatformLimits, Queue, TenantLimits},
};

const TENANT: TenantId = TenantId(7);

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn application() -> Shared {
    let delivery = Delivery {
        batch_max: 1,
        batch_window: Span::ZERO,
        delay: Span::ZERO,
        visibility: Span::from_secs(60),
        attempts_max: 3,
        retry_base: Span::from_secs(1),
        retry_max: Span::from_secs(1),
        waiting_max: 10,
    };
    let grants = Grants {
        emit: [name("q")].into(),
        kv: [(name("own"), Access::ReadWrite), (name("shown"), Access::Read)].into(),
        secrets: ["token".to_string()].into(),
        http: ["example.com".parse().unwrap()].into(),
        ..Grants::default()
    };
    let function = Function {
        name: name("f"),
        component: "f.wasm".into(),
        timeout: Span::from_secs(1),
        memory_bytes_max: 1 << 20,
        limits: Default::default(),
        per_tenant: Default::default(),
        for_tenants: BTreeMap::new(),
        grants,
        config: BTreeMap::new(),
        inbox: delivery.clone(),
    };
    let invocation = InvocationLimits {
        emits_max: 2,
        emitted_bytes_max: 100,
        value_bytes_max: 10,
        keys_max: 3,
        http_calls_max: 2,
        log_lines_max: 1,
        log_line_bytes_max: 4,
        result_bytes_max: 5,
        ..InvocationLimits::default()
    };
    let application = Application {
        name: name("app"),
        queues: [(name("q"), Queue { name: name("q"), function: name("f"), delivery })].into(),
        functions: [(name("f"), function)].into(),
        topics: BTreeMap::new(),
        buses: BTreeMap::new(),
        routes: Vec::new(),
        limits: PlatformLimits { invocation, ..PlatformLimits::default() },
        tenant_defaults: TenantLimits::default(),
        tenants: BTreeMap::new(),
    };
    Arc::new(application.check().unwrap())
}

fn envelope(seq: u64) -> Envelope {
    let id = EventId::at_edge(1, 1, Seq(seq));
    Envelope {
        id,
        tenant: TENANT,
        target: name("q"),
        attributes: Attributes {
            kind: "k".into(),
            source: "/s".into(),
            subject: None,
            content_type: "text/plain".into(),
        },
        time: Time(5),
        lineage: Lineage::edge(id),
    }
}

fn begun() -> Invocation {
    let mut run = Invocation::new(application(), "f", TENANT).unwrap();
    run.begin(envelope(1));
    run
}

fn emit(target: &str, bytes: usize) -> GuestCall {
    GuestCall::Emit {
        target: target.into(),
        kind: "k".into(),
        subject: None,
        content_type: "c".into(),
        delay: Span::ZERO,
        body: Body::from(vec![0; bytes]),
    }
}

fn get(key: &str) -> GuestCall {
    GuestCall::KvGet { namespace: "own".into(), key: key.into() }
}

fn set(key: &str, value: &str) -> GuestCall {
    let value = Some(Body::from(value.as_bytes()));
    GuestCall::KvSet { namespace: "own".into(), key: key.into(), value }
}

fn refused(step: Step) -> CallError {
    match step {
        Step::Reply(Reply::Refused(error)) => error,
        other => panic!("not refused: {other:?}"),
    }
}

fn value(text: &str) -> Reply {
    Reply::Value(Some(Body::from(text.as_bytes())))
}

#[test]
fn emitted_events_are_derived_from_their_cause_and_carry_its_lineage() {
    let mut run = begun();
    let cause = envelope(1).id;
    assert_eq!(run.call(emit("q", 1)), Step::Reply(Reply::Emitted(cause.emitted(0))));
    assert_eq!(run.call(emit("q", 1)), Step::Reply(Reply::Emitted(cause.emitted(1))));
    run.end(Ok(Body::default()));
    let outcome = run.finish(1, Usage::default());
    let emitted = &outcome.results[0].emits[1].envelope;
    assert_eq!((emitted.lineage.root, emitted.lineage.cause()), (cause, Some(cause)));
    assert_eq!((emitted.tenant, emitted.attributes.source.as_str()), (TENANT, "/app/f"));
}

#[test]
fn what_a_failed_event_did_is_dropped_and_a_later_one_sees_what_a_good_one_wrote() {
    let mut run = begun();
    run.call(set("a", "good"));
    run.end(Ok(Body::default()));
    run.begin(envelope(2));
    run.call(set("a", "bad"));
    run.call(emit("q", 1));
    assert_eq!(run.call(get("a")), Step::Reply(value("bad")));
    run.end(Err(Failure::new(FailureKind::Retry, "later")));
    run.begin(envelope(3));
    assert_eq!(run.call(get("a")), Step::Reply(value("good")));
    run.end(Ok(Body::default()));
    let outcome = run.finish(4, Usage::default());
    assert_eq!(outcome.writes.len(), 1);
    assert_eq!(outcome.writes[0].value, Some(Body::from(&b"good"[..])));
    assert!(outcome.results.iter().all(|result| result.emits.is_empty()));
    let kinds: Vec<_> = outcome.results.iter().map(|r| r.verdict.as_ref().err().map(|f| f.kind)).collect();
    assert_eq!(kinds, [None, Some(FailureKind::Retry), None, Some(FailureKind::NotRun)]);
}

#[test]
fn a_version_is_kept_as_first_read() {
    let mut run = begun();
    for version in [3, 4] {
        let Step::Host(HostCall::KvRead(TENANT, _)) = run.call(get("a")) else { panic!("it asks the host") };
        assert_eq!(run.resume(HostReply::Value(Some(Body::from(&b"x"[..])), version)), value("x"));
    }
    run.end(Ok(Body::default()));
    assert_eq!(run.finish(1, Usage::default()).reads[0].version, 3, "the second read makes the commit fail");
}

#[test]
fn a_listing_has_own_writes_in_it_and_own_deletions_not() {
    let mut run = begun();
    run.call(set("b", "1"));
    run.call(GuestCall::KvSet { namespace: "own".into(), key: "a".into(), value: None });
    let list = GuestCall::KvKeys { namespace: "own".into(), prefix: String::new(), after: None, limit: 2 };
    let Step::Host(HostCall::KvScan { limit, .. }) = run.call(list) else { panic!("it asks the host") };
    assert_eq!(limit, 4, "two, and one for each own write that may hide a key");
    let committed = ["a", "c", "d"].map(|key| (key.to_string(), 1));
    assert_eq!(run.resume(HostReply::Keys(committed.into())), Reply::Keys(vec!["b".into(), "c".into()]));
}

#[test]
fn what_is_not_granted_is_denied_with_the_grant_that_is_missing() {
    let http = |host: &str| GuestCall::Http { host: host.into(), port: 443, name: "GET".into() };
    let table = [
        (emit("elsewhere", 1), "may not emit elsewhere: the grant is missing; add `emit = [\"elsewhere\"]`"),
        (GuestCall::KvGet { namespace: "no".into(), key: "k".into() }, "add `kv = { no = \"read\" }`"),
        (
            GuestCall::KvSet { namespace: "shown".into(), key: "k".into(), value: None },
            "add `kv = { shown = \"read-write\" }`",
        ),
        (GuestCall::BlobPut(Body::default()), "add `blobs = \"read-write\"`"),
        (GuestCall::Secret("other".into()), "add `secrets = [\"other\"]` to [function.f.grants]"),
        (http("evil.net"), "may not send requests to evil.net:443"),
    ];
    for (call, text) in table {
        let mut run = begun();
        let CallError::Denied(said) = refused(run.call(call)) else { panic!("denied: {text}") };
        assert!(said.contains(text), "{said}");
    }
    assert!(matches!(begun().call(http("EXAMPLE.com")), Step::Reply(Reply::Allowed(_))));
}

#[test]
fn listings_without_end_are_refused_with_the_limit() {
    let mut run = begun();
    let page = |n: usize| (0..1_000).map(|key| (format!("{n}-{key:04}"), 1)).collect();
    let listing =
        GuestCall::KvKeys { namespace: "own".into(), prefix: String::new(), after: None, limit: 1_000 };
    for n in 0..16 {
        assert!(matches!(run.call(listing.clone()), Step::Host(HostCall::KvScan { .. })));
        assert!(matches!(run.resume(HostReply::Keys(page(n))), Reply::Keys(_)), "{n}");
    }
    run.call(listing);
    let Reply::Refused(CallError::Limit(said)) = run.resume(HostReply::Keys(page(16))) else {
        panic!("{run:?}")
    };
    assert!(said.contains("is 16003; this would be 17000"), "{said}");
}

#[test]
fn writes_that_no_commit_could_take_are_not_kept_in_memory() {
    let mut roomy = Application::clone(&application());
    roomy.limits.invocation.value_bytes_max = 1 << 20;
    roomy.limits.invocation.keys_max = 1_000;
    let mut run = Invocation::new(Arc::new(roomy.check().unwrap()), "f", TENANT).unwrap();
    let large = |key: u32| GuestCall::KvSet {
        namespace: "own".into(),
        key: format!("{key}"),
        value: Some(Body::from(vec![0; 1 << 20])),
    };
    // Ten in one event, the same again in the next, twenty more: what is written over takes no room.
    for (seq, keys) in [(1, 0..10), (2, 0..10), (3, 10..31)] {
        run.begin(envelope(seq));
        for key in keys {
            assert_eq!(run.call(large(key)), Step::Reply(Reply::Done), "{key}");
            assert_eq!(run.call(large(key)), Step::Reply(Reply::Done), "{key} again");
        }
        run.end(Ok(Body::default()));
    }
    run.begin(envelope(4));
    let said = refused(run.call(large(31))).to_string();
    assert!(said.contains("written bytes of one run is 33554432"), "{said}");
    run.end(Err(Failure::new(FailureKind::Permanent, "full")));
    assert_eq!(run.finish(4, Usage::default()).writes.len(), 31);
}

#[test]
fn a_refusal_quotes_only_the_start_of_what_the_guest_sent() {
    let long = "é".repeat(1 << 20);
    let http = GuestCall::Http { host: long.clone(), port: 443, name: "GET".into() };
    let get = GuestCall::KvGet { namespace: long.clone(), key: "k".into() };
    for call in [emit(&long, 1), get, GuestCall::Secret(long.clone()), http] {
        let said = refused(begun().call(call)).to_string();
        assert!(said.len() < 1_024 && said.contains("é…"), "{} bytes", said.len());
    }
}

#[test]
fn every_limit_is_named_with_its_value() {
    let mut run = begun();
    run.call(emit("q", 1));
    assert_eq!(refused(run.call(emit("q", 100))).to_string(), "emitted_bytes_max is 100; this would be 101");
    run.call(emit("q", 1));
    assert_eq!(refused(run.call(emit("q", 1))).to_string(), "emits_max is 2; this would be 3");
    assert_eq!(
        refused(run.call(set("a", "eleven char"))).to_string(),
        "value_bytes_max is 10; this would be 11"
    );
    for key in ["a", "b", "c", "a"] {
        assert_eq!(run.call(set(key, "x")), Step::Reply(Reply::Done));
    }
    assert_eq!(refused(run.call(set("d", "x"))).to_string(), "keys_max is 3; this would be 4");
    let log = || GuestCall::Log { level: LogLevel::Info, message: "aäöü".into() };
    let Step::Host(HostCall::Log { message, .. }) = run.call(log()) else { panic!("it is passed on") };
    assert_eq!(message, "aä", "cut at a character");
    assert_eq!(run.resume(HostReply::Done), Reply::Done);
    assert!(matches!(refused(run.call(log())), CallError::Limit(_)));
    run.end(Ok(Body::from(&b"six...."[..])));
    let outcome = run.finish(1, Usage::default());
    let failure = outcome.results[0].verdict.as_ref().unwrap_err();
    assert_eq!(failure.to_string(), "FE2010 its result has 7 bytes; result_bytes_max is 5");
    assert!(outcome.writes.is_empty() && outcome.results[0].emits.is_empty());
}

#[test]
fn a_call_to_the_outside_has_a_key_of_its_own_that_is_the_same_at_every_attempt() {
    let keys = || {
        let mut run = begun();
        let mut call = |name: &str| match run.call(GuestCall::Http {
            host: "example.com".into(),
            port: 80,
            name: name.into(),
        }) {
            Step::Reply(Reply::Allowed(key)) => Some(key),
            _ => None,
        };
        [call("POST a"), call("POST a"), call("POST b")]
    };
    let [first, second, third] = keys();
    assert!(first.is_some() && second.is_some() && first != second);
    assert_eq!(third, None, "http_calls_max is 2");
    assert_eq!(keys(), [first, second, third]);
}

#[test]
fn outside_of_an_event_and_after_a_wrong_answer_nothing_is_done() {
    let mut run = Invocation::new(application(), "f", TENANT).unwrap();
    assert!(matches!(refused(run.call(emit("q", 1))), CallError::Invalid(_)));
    run.begin(envelope(1));
    run.call(get("a"));
    assert!(matches!(run.resume(HostReply::Stored([0; 32])), Reply::Refused(CallError::Unavailable(_))));
    assert!(matches!(run.resume(HostReply::Done), Reply::Refused(CallError::Unavailable(_))));
    // A guest that never ended its event.
    let outcome = run.finish(1, Usage::default());
    assert_eq!(outcome.results[0].verdict.as_ref().unwrap_err().kind, FailureKind::Trap);
}
