//! What recording costs: whoever steps copies the input before the step and hashes the effects after it; a
//! thread of its own encodes and writes.

use std::{hint::black_box, time::Instant};

use flyball_benches::{Report, interleaved};
use flyball_core::{
    Effect, Input, Time,
    journal::{EffectsHash, Encoder, Entry, Step},
};

use super::{FEW, OUTSTANDING, STEPS, world::World};

/// What a world records.
#[derive(Debug)]
pub struct Tape {
    taken: Vec<Entry>,
    encoder: Encoder,
    bytes: Vec<u8>,
    /// Steps, the nanoseconds that they took to encode, and their bytes.
    pub written: (u64, u64, u64),
}

impl Tape {
    /// An empty one.
    pub fn new() -> Tape {
        let mut bytes = Vec::new();
        Tape { taken: Vec::new(), encoder: Encoder::begin(&mut bytes), bytes, written: (0, 0, 0) }
    }

    /// After a step: what whoever stepped does.
    pub fn take(&mut self, now: Time, input: Input, effects: &[Effect]) {
        self.taken.push(Entry::Step(Step { now, input, effects: EffectsHash::of(effects) }));
    }

    /// What the recorder's thread does, but for the disk.
    pub fn write(&mut self) {
        let (began, count) = (Instant::now(), self.taken.len() as u64);
        self.bytes.clear();
        for entry in self.taken.drain(..) {
            self.encoder.encode(&entry, &mut self.bytes).expect("it is small");
        }
        black_box(&self.bytes);
        self.written.0 += count;
        self.written.1 += began.elapsed().as_nanos() as u64;
        self.written.2 += self.bytes.len() as u64;
    }
}

/// Two worlds, one of which records, in turns.
pub fn report(report: &mut Report, rounds: usize) {
    let [mut plain, mut recorded] = [false, true].map(|records| {
        let mut world = World::new(FEW, OUTSTANDING);
        world.run(20 * u64::from(FEW));
        world.tape = records.then(Tape::new);
        world
    });
    let nanos = interleaved(rounds, &mut [Box::new(|| plain.run(STEPS)), Box::new(|| recorded.run(STEPS))]);
    let [plain_nanos, recorded_nanos] = [0, 1].map(|index| nanos.get(index).copied().unwrap_or(f64::NAN));
    report.figure("a step, not recorded", plain_nanos, "ns");
    report.figure("a step, recorded: copied before, hashed after", recorded_nanos, "ns");
    report.figure("recorded / not recorded, for whoever steps", recorded_nanos / plain_nanos, "×");
    if let Some(Tape { written: (steps, nanos, bytes), .. }) = recorded.tape {
        let each = |sum: u64| sum as f64 / steps.max(1) as f64;
        report.figure("the recorder's thread encodes a step in", each(nanos), "ns");
        report.figure("a step in the log", each(bytes), "bytes");
    }
}
