//! What a waiting event costs in memory, with a million of them.

use std::process::Command;

use flyball_core::{
    Body, CallerId, CommitResult, Effect, Engine, Input, Send, Settings, Span, TenantId, Time,
};

use crate::{
    allocations::{self, Heap},
    load::{self, Numbers},
};

const TENANTS: u32 = 10_000;

/// What was measured with `count` events waiting.
#[derive(Debug, Clone, Copy)]
pub struct Waiting {
    /// Bytes that the engine holds for each event, as asked for.
    pub bytes_each: f64,
    /// Resident memory above an engine with the same tenants and nothing to do, bytes.
    pub resident: u64,
}

impl Waiting {
    pub fn print(self) {
        println!("{} {}", self.bytes_each, self.resident);
    }
}

/// [`waiting`] in a process of its own: memory that one measurement gave back stays with its process, and
/// the next would not see what it takes of it.
pub fn in_own_process(count: u64, delay_secs: u64) -> Option<Waiting> {
    let arguments = ["--memory-of", &count.to_string(), "--delay-secs", &delay_secs.to_string()];
    let said = Command::new(std::env::current_exe().ok()?).args(arguments).output().ok()?;
    let said = String::from_utf8(said.stdout).ok()?;
    let (bytes_each, resident) = said.trim().split_once(' ')?;
    Some(Waiting { bytes_each: bytes_each.parse().ok()?, resident: resident.parse().ok()? })
}

/// Sends `count` events that wait, for a slot or for `delay`, and measures what stays.
pub fn waiting(count: u64, delay: Span) -> Waiting {
    let mut engine =
        Engine::new(load::application(), Settings { lane: 1, incarnation: 1, process: 1, seed: 7 });
    let now = Time(1_700_000_000_000_000);
    let mut effects = Vec::new();
    for tenant in load::tenants(TENANTS) {
        engine.step(now, tenant, &mut effects);
    }
    engine.step(now, Input::Opened, &mut effects);
    let before = allocations::resident();
    let Heap { kept, .. } = allocations::during(|| fill(&mut engine, now, count, delay));
    let after = allocations::resident();
    let waiting = engine.counts().waiting;
    assert!(waiting + u64::from(load::SLOTS) * 10 >= count, "{waiting} wait");
    let resident = before.zip(after).map_or(0, |(before, after)| after.saturating_sub(before));
    Waiting { bytes_each: kept as f64 / count as f64, resident }
}

fn fill(engine: &mut Engine, now: Time, count: u64, delay: Span) {
    const TARGETS: [&str; 4] = ["orders", "images", "invoices", "index-updates"];
    let mut numbers = Numbers(3);
    let mut effects = Vec::new();
    for number in 0..count {
        let tenant = TenantId(numbers.below(u64::from(TENANTS)) as u32);
        // A tick of a microsecond, so that moments differ as they do outside.
        let now = now.after(Span(number));
        let send = Send {
            caller: CallerId(number),
            tenant,
            target: TARGETS[numbers.below(TARGETS.len() as u64) as usize].into(),
            attributes: load::attributes(&mut numbers),
            body: Body::from(&b"{}"[..]),
            delay,
            key: None,
            want_result: false,
        };
        engine.step(now, Input::Send(Box::new(send)), &mut effects);
        // Runs begin and none ends, so that all slots are taken and the rest waits.
        while let Some(effect) = effects.pop() {
            if let Effect::Commit(commit) = effect {
                engine.step(now, Input::Committed(commit.batch, CommitResult::Done), &mut effects);
            }
        }
    }
}
