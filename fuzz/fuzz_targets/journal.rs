//! The log of what an engine was told: arbitrary bytes, arbitrary entries, and logs with a changed byte. What is
//! asserted is in docs/fuzzing.md. Run with `-O`: a history that no driver makes breaks invariants, which
//! debug builds check; what is asserted is that a replay of it ends.
#![no_main]

use std::sync::{Arc, LazyLock};

use flyball_core::{
    Input, Name, Settings, Tenant, TenantId, Time,
    journal::{Decoder, EffectsHash, Encoder, End, Entry, Head, Replay, ReplayError, Step},
    model::Checked,
};
use libfuzzer_sys::fuzz_target;

static APPLICATION: LazyLock<Arc<Checked>> = LazyLock::new(|| {
    let text = r#"
        [application]
        name = "a"
        [limits]
        concurrency = { cap = 3 }
        [tenant.t1]
        concurrency = { cap = 2, guarantee = 1 }
        [function.f]
        component = "f.wasm"
        grants.emit = ["q", "t"]
        [queue.q]
        function = "f"
        batch_max = 3
        [topic.t]
        subscribers = [{ queue = "q" }, { function = "f" }]
    "#;
    Arc::new(flyball_app::read("flyball.toml", text).expect("a good file").application)
});

fuzz_target!(|data: &[u8]| {
    let Some((which, rest)) = data.split_first() else { return };
    match which % 3 {
        0 => bytes(rest),
        1 => history(rest),
        _ => changed(rest),
    }
});

/// Any bytes, also with a good start, at once and in pieces.
fn bytes(data: &[u8]) {
    let Some((&piece, data)) = data.split_first() else { return };
    let mut log = Vec::new();
    if piece % 2 == 0 {
        Encoder::begin(&mut log);
    }
    log.extend(data);
    let whole = replay(&log, usize::MAX);
    assert_eq!(whole, replay(&log, usize::from(piece) + 1), "the pieces are of account");
}

/// Inputs that decode, whatever they say: the log reads as it was written, and its replay ends.
fn history(data: &[u8]) {
    let entries = entries(data);
    let log = written(&entries);
    let mut decoder = Decoder::default();
    decoder.feed(&log);
    let mut read = Vec::new();
    while let Some(entry) = decoder.next_entry().expect("what was written reads") {
        read.push(entry);
    }
    assert_eq!((read, decoder.left_bytes()), (entries, 0));
    let mut replay = Replay::new();
    for (index, entry) in decoded(&log).into_iter().enumerate() {
        match replay.take(entry, index as u64) {
            // What an effect's hash would be is not known here.
            Ok(()) | Err(ReplayError::Different(_)) => {}
            Err(ReplayError::Damaged { why, .. }) => assert!(!why.is_empty() && why.len() < 300, "{why}"),
            Err(other) => panic!("{other:?}"),
        }
        let _ = replay.tally();
    }
}

/// One changed byte is told, and a log that is cut off reads up to there.
fn changed(data: &[u8]) {
    let Some((place, data)) = data.split_first_chunk::<3>() else { return };
    let log = written(&entries(data));
    let at = usize::from(u16::from_le_bytes([place[0], place[1]])) % log.len();
    let mut wrong = log.clone();
    wrong[at] ^= place[2].max(1);
    let mut decoder = Decoder::default();
    decoder.feed(&wrong);
    let told = loop {
        match decoder.next_entry() {
            Ok(Some(_)) => {}
            Ok(None) => break None,
            Err(error) => break Some(error),
        }
    };
    assert!(told.is_some(), "byte {at} changed and nobody saw");
    assert!(decoder.offset() <= at as u64);
    let mut decoder = Decoder::default();
    decoder.feed(&log[..at]);
    while decoder.next_entry().expect("what is whole reads").is_some() {}
    assert!(decoder.offset() <= at as u64);
}

fn entries(mut data: &[u8]) -> Vec<Entry> {
    let application = (**APPLICATION).clone().into_application();
    let settings = Settings { lane: 1, incarnation: 3, process: 2, seed: 1 };
    let mut entries =
        vec![Entry::Head(Box::new(Head { build: "fuzz".into(), application })), Entry::Engine(settings)];
    let mut now = Time(1_000_000);
    let mut step = |now, input| entries.push(Entry::Step(Step { now, input, effects: EffectsHash::of(&[]) }));
    for number in 1..=3 {
        let name = Name::new(&format!("t{number}")).expect("a name");
        let limits = APPLICATION.limits_of(&name).clone();
        step(now, Input::SetTenant(Tenant { id: TenantId(number), name, limits, enabled: number != 3 }));
    }
    let mut steps = 0;
    while steps < 64
        && let Some((&later, rest)) = data.split_first()
        && let Ok((input, rest)) = postcard::take_from_bytes::<Input>(rest)
    {
        // Powers of two: from a microsecond to years.
        now = Time(now.0.saturating_add(1 << (later % 48)));
        step(now, input);
        data = rest;
        steps += 1;
    }
    if !data.is_empty() {
        entries.push(Entry::End(End::Closed));
    }
    entries
}

fn written(entries: &[Entry]) -> Vec<u8> {
    let mut log = Vec::new();
    let mut encoder = Encoder::begin(&mut log);
    for entry in entries {
        encoder.encode(entry, &mut log).expect("it is small");
    }
    log
}

fn decoded(log: &[u8]) -> Vec<Entry> {
    let mut decoder = Decoder::default();
    decoder.feed(log);
    std::iter::from_fn(|| decoder.next_entry().ok().flatten()).collect()
}

/// Where a replay ends, and how.
fn replay(log: &[u8], piece: usize) -> (u64, Option<ReplayError>) {
    let (mut decoder, mut replay) = (Decoder::default(), Replay::new());
    for piece in log.chunks(piece) {
        decoder.feed(piece);
        loop {
            match decoder.next_entry() {
                Ok(Some(entry)) => {
                    // Before the first entry a log's beginning may be read or not; after one it is.
                    if let Err(error) = replay.take(entry, decoder.offset()) {
                        return (decoder.offset(), Some(error));
                    }
                }
                Ok(None) => break,
                Err(error) => return (decoder.offset(), Some(error)),
            }
        }
    }
    (decoder.offset(), None)
}
