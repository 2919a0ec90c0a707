//! Events: arbitrary bytes as an envelope, envelopes there and back, and what a function may emit while it
//! handles one. What is asserted is in docs/fuzzing.md.
#![no_main]

use std::sync::{Arc, LazyLock};

use arbitrary::{Arbitrary, Unstructured};
use flyball_core::{
    ATTRIBUTE_BYTES_MAX, Attributes, Body, Envelope, EventId, Failure, FailureKind, Fingerprint, Hop,
    Lineage, Name, Outcome, Span, TenantId, Time, Usage,
    invocation::{GuestCall, HostCall, HostReply, Invocation, LogLevel, Reply, Step},
    model::{Access, Checked},
    record,
};
use libfuzzer_sys::fuzz_target;

/// The longest refusal that a guest is told, bytes: what it sent is quoted in part.
const REFUSAL_BYTES_MAX: usize = 1_024;

static APPLICATION: LazyLock<Arc<Checked>> = LazyLock::new(|| {
    let text = r#"
        [application]
        name = "a"
        [limits]
        event_bytes_max = "1KiB"
        [limits.invocation]
        emits_max = 5
        emitted_bytes_max = "2KiB"
        keys_max = 6
        value_bytes_max = "32B"
        listed_keys_max = 4
        log_lines_max = 3
        log_line_bytes_max = "16B"
        http_calls_max = 3
        result_bytes_max = "32B"
        [function.f]
        component = "f.wasm"
        [function.f.grants]
        emit = ["q", "t"]
        kv = { rw = "read-write", ro = "read" }
        blobs = "read-write"
        secrets = ["s"]
        http = ["*.example.com", "localhost:80"]
        [queue.q]
        function = "f"
        [topic.t]
        subscribers = [{ queue = "q" }]
    "#;
    Arc::new(flyball_app::read("flyball.toml", text).expect("a good file").application)
});

#[derive(Arbitrary, Debug)]
struct AnyEnvelope {
    id: [u8; 16],
    tenant: u32,
    target: String,
    texts: [String; 3],
    subject: Option<String>,
    time: u64,
    root: [u8; 16],
    hops: Vec<([u8; 16], String, u64)>,
}

#[derive(Arbitrary, Debug)]
enum AnyCall {
    Emit { target: Text, kind: String, subject: Option<String>, delay: u64, body: Vec<u8> },
    Get { namespace: Text, key: String },
    Set { namespace: Text, key: String, value: Option<Vec<u8>> },
    Keys { namespace: Text, prefix: String, after: Option<String>, limit: u32, found: Vec<(String, u64)> },
    Put(Vec<u8>),
    Blob(String),
    Secret(Text),
    Log(String),
    Http { host: Text, port: u16, name: String },
    End(Result<Vec<u8>, String>),
    Wrong,
}

/// Often a name that is granted.
#[derive(Debug)]
struct Text(String);

impl<'a> Arbitrary<'a> for Text {
    fn arbitrary(u: &mut Unstructured<'a>) -> arbitrary::Result<Self> {
        let known = ["q", "t", "rw", "ro", "s", "a.example.com", "localhost", "x"];
        Ok(Text(match u.int_in_range(0..=9)? {
            index @ 0..8 => known[index].to_string(),
            8 => "long".repeat(usize::from(u16::arbitrary(u)?)),
            _ => String::arbitrary(u)?,
        }))
    }
}

fuzz_target!(|data: &[u8]| {
    if let Ok(envelope) = record::decode::<Envelope>(data) {
        let encoded = record::encode(&envelope);
        // Numbers may come longer than they need to be, never shorter.
        assert!(encoded.len() <= data.len(), "an envelope grew");
        there_and_back(&envelope);
    }
    if let Ok(text) = std::str::from_utf8(data) {
        ids(text);
    }
    let mut u = Unstructured::new(data);
    if let Ok(any) = AnyEnvelope::arbitrary(&mut u)
        && let Some(envelope) = envelope(any)
    {
        there_and_back(&envelope);
        run(envelope, &mut u);
    }
});

fn ids(text: &str) {
    let hexadecimal = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    match EventId::parse(text) {
        Some(id) => assert!(hexadecimal && id.to_string() == text.to_ascii_lowercase()),
        None => assert!(!hexadecimal, "an id was not read: {text}"),
    }
    if let Ok(name) = Name::new(text) {
        assert!(!name.is_empty() && name.len() <= 64 && name.is_ascii() && !name.contains(['/', '@', '\0']));
        assert!(!name.starts_with(['.', '-', '_']), "a name that could be a path or an option: {name}");
    }
}

fn envelope(any: AnyEnvelope) -> Option<Envelope> {
    let [kind, source, content_type] = any.texts;
    let hops = any.hops.into_iter().map(|(event, function, time)| {
        Some(Hop { event: EventId(event), function: Name::new(&function).ok()?, time: Time(time) })
    });
    Some(Envelope {
        id: EventId(any.id),
        tenant: TenantId(any.tenant),
        target: Name::stored(&any.target).ok()?,
        attributes: Attributes { kind, source, subject: any.subject, content_type },
        time: Time(any.time),
        lineage: Lineage { root: EventId(any.root), hops: hops.collect::<Option<_>>()? },
    })
}

fn there_and_back(envelope: &Envelope) {
    let encoded = record::encode(envelope);
    assert_eq!(record::decode::<Envelope>(&encoded).as_ref(), Ok(envelope));
    assert_eq!(record::encode(envelope), encoded, "one envelope, one encoding");
    let json = serde_json::to_string(envelope).expect("an envelope is JSON");
    assert_eq!(&serde_json::from_str::<Envelope>(&json).expect("what was written reads"), envelope);
    let a = &envelope.attributes;
    let lengths =
        [a.kind.len(), a.source.len(), a.subject.as_ref().map_or(0, String::len), a.content_type.len()];
    assert_eq!(a.too_long().is_some(), lengths.iter().any(|length| *length > ATTRIBUTE_BYTES_MAX));
    let function = Name::new("f").expect("a name");
    let next = envelope.lineage_through(&function);
    assert_eq!((next.root, next.cause()), (envelope.lineage.root, Some(envelope.id)));
    assert_eq!(next.hop_count(), envelope.lineage.hop_count() + 1);
    let parts = [a.kind.as_bytes(), a.source.as_bytes()];
    if !a.source.is_empty() {
        let joined = [[parts[0], parts[1]].concat()];
        assert_ne!(Fingerprint::of(&parts), Fingerprint::of(&[&joined[0], b""]), "parts run together");
    }
}

/// A guest that calls what it likes, and a host that answers well or badly.
fn run(envelope: Envelope, u: &mut Unstructured<'_>) {
    let tenant = envelope.tenant;
    let Some(mut invocation) = Invocation::new(APPLICATION.clone(), "f", tenant) else { unreachable!() };
    let mut begun = vec![envelope.clone()];
    invocation.begin(envelope);
    let mut failed = Vec::new();
    while let Ok(call) = AnyCall::arbitrary(u) {
        if u.is_empty() || begun.len() > 20 {
            break;
        }
        match call {
            AnyCall::End(verdict) => {
                failed.push(verdict.is_err());
                let verdict = verdict.map(Body::from);
                invocation.end(verdict.map_err(|message| Failure::new(FailureKind::Retry, message)));
                let mut next = begun[0].clone();
                next.id = next.id.emitted(u32::try_from(begun.len()).unwrap_or(0) + 1_000);
                begun.push(next.clone());
                invocation.begin(next);
            }
            AnyCall::Wrong => bounded(&invocation.resume(HostReply::Done)),
            call => {
                let found = if let AnyCall::Keys { found, .. } = &call { found.clone() } else { Vec::new() };
                match invocation.call(guest_call(call)) {
                    Step::Reply(reply) => bounded(&reply),
                    Step::Host(call) => {
                        let reply = host(tenant, call, found);
                        bounded(&invocation.resume(reply));
                    }
                }
            }
        }
    }
    checked(&begun, &failed, invocation.finish(begun.len(), Usage::default()));
}

fn guest_call(call: AnyCall) -> GuestCall {
    match call {
        AnyCall::Emit { target, kind, subject, delay, body } => GuestCall::Emit {
            target: target.0,
            kind,
            subject,
            content_type: String::new(),
            delay: Span(delay),
            body: body.into(),
        },
        AnyCall::Get { namespace, key } => GuestCall::KvGet { namespace: namespace.0, key },
        AnyCall::Set { namespace, key, value } => {
            GuestCall::KvSet { namespace: namespace.0, key, value: value.map(Body::from) }
        }
        AnyCall::Keys { namespace, prefix, after, limit, .. } => {
            GuestCall::KvKeys { namespace: namespace.0, prefix, after, limit }
        }
        AnyCall::Put(body) => GuestCall::BlobPut(body.into()),
        AnyCall::Blob(reference) => GuestCall::BlobGet(reference),
        AnyCall::Secret(name) => GuestCall::Secret(name.0),
        AnyCall::Http { host, port, name } => GuestCall::Http { host: host.0, port, name },
        AnyCall::Log(message) => GuestCall::Log { level: LogLevel::Info, message },
        AnyCall::End(_) | AnyCall::Wrong => unreachable!("handled before"),
    }
}

/// Every call to the host is this tenant's, and of what is granted.
fn host(tenant: TenantId, call: HostCall, found: Vec<(String, u64)>) -> HostReply {
    match call {
        HostCall::KvRead(of, key) => {
            assert!(of == tenant && ["rw", "ro"].contains(&key.namespace.as_str()));
            assert!(record::kv_key(of, &key).len() <= 511, "a key that the store would refuse");
            HostReply::Value(None, 0)
        }
        HostCall::KvScan { tenant: of, namespace, .. } => {
            assert!(of == tenant && ["rw", "ro"].contains(&namespace.as_str()));
            HostReply::Keys(found)
        }
        HostCall::BlobWrite(of, _) => {
            assert_eq!(of, tenant);
            HostReply::Stored([0; 32])
        }
        HostCall::BlobRead(of, _) => {
            assert_eq!(of, tenant);
            HostReply::Found(None)
        }
        HostCall::SecretRead(of, name) => {
            assert!(of == tenant && name == "s");
            HostReply::Found(None)
        }
        HostCall::Log { tenant: of, message, .. } => {
            assert!(of == tenant && message.len() <= 16);
            HostReply::Done
        }
    }
}

fn bounded(reply: &Reply) {
    match reply {
        Reply::Refused(why) => {
            let why = why.to_string();
            assert!(!why.is_empty() && why.len() <= REFUSAL_BYTES_MAX, "{} bytes", why.len());
        }
        Reply::Keys(keys) => {
            assert!(keys.len() <= 4 && keys.is_sorted(), "{keys:?}");
        }
        _ => {}
    }
}

/// One result for each event; what failed emits nothing; what was emitted descends from its event.
fn checked(begun: &[Envelope], failed: &[bool], outcome: Outcome) {
    assert_eq!(outcome.results.len(), begun.len());
    for (number, (event, result)) in begun.iter().zip(&outcome.results).enumerate() {
        match &result.verdict {
            Err(failure) => {
                assert!(result.emits.is_empty() && failure.message.len() <= 1_024);
            }
            Ok(body) => assert!(body.len() <= 32 && failed.get(number) == Some(&false)),
        }
        assert!(result.emits.len() <= 5);
        assert!(result.emits.iter().map(|emit| emit.body.len()).sum::<usize>() <= 2_048);
        for (ordinal, emit) in (0..).zip(&result.emits) {
            let e = &emit.envelope;
            assert_eq!((e.tenant, e.id), (event.tenant, event.id.emitted(ordinal)));
            assert_eq!((e.lineage.root, e.lineage.cause()), (event.lineage.root, Some(event.id)));
            assert!(["q", "t"].contains(&e.target.as_str()) && emit.body.len() <= 1_024);
            assert!(e.attributes.too_long().is_none() && e.attributes.source == "/a/f");
        }
    }
    assert!(outcome.reads.len() <= 6 + 16 * 4 + 6, "keys_max, listed_keys_max");
    // What was listed is known, and may be written.
    assert!(outcome.writes.len() <= outcome.reads.len() + 6, "keys_max");
    assert!(outcome.writes.iter().all(|write| write.key.namespace.as_str() == "rw"
        && write.value.as_ref().is_none_or(|value| value.len() <= 32)));
    assert!(
        outcome
            .reads
            .iter()
            .all(|read| APPLICATION.functions["f"].grants.kv[&read.key.namespace] >= Access::Read)
    );
}
