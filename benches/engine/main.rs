//! The engine's steps a second on one core, with 10,000 and with 100,000 tenants active; what a waiting
//! event takes in memory; and what quiet tenants notice of a noisy one.
//!
//! And what recording costs a step: `--record` measures only that.
//!
//! The allocator is the binary's. An event takes five steps: it arrives, its acceptance is durable, its
//! attempt is durable, its run ends, its outcome is durable. Only the engine's own time is counted: the
//! world around it prepares what comes next and takes the effects away.
//!
//! `--digest STEPS` prints a hash of all effects instead: two versions that should decide the same can be
//! compared. `--steps STEPS` only runs, for a profiler.

#![allow(clippy::expect_used, clippy::indexing_slicing, reason = "a benchmark: a failure here is its end")]

mod allocations;
mod load;
mod memory;
mod neighbour;
mod record;
mod world;

use std::hash::DefaultHasher;

use flyball_benches::{Arguments, Promise, Report, interleaved};
use flyball_core::Span;
use world::{KINDS, World};

const FEW: u32 = 10_000;
const MANY: u32 = 100_000;
/// What each tenant has waiting or running all the time.
const OUTSTANDING: u32 = 3;
const STEPS: u64 = 400_000;

fn main() {
    let arguments = Arguments::read();
    if arguments.get("digest").is_some() {
        let mut world = World::new(1_000, 8);
        world.digest = Some(DefaultHasher::new());
        world.run(arguments.number("digest", 1_000_000));
        println!("{:016x} {}", world.fingerprint(), world.started);
        return;
    }
    if arguments.get("memory-of").is_some() {
        let delay = Span::from_secs(arguments.number("delay-secs", 0));
        memory::waiting(arguments.number("memory-of", 0), delay).print();
        return;
    }
    let tenants = arguments.number("tenants", u64::from(FEW)) as u32;
    if arguments.get("steps").is_some() {
        let mut world = World::new(tenants, OUTSTANDING);
        world.run(20 * u64::from(tenants));
        world.tally = Default::default();
        let steps = arguments.number("steps", STEPS);
        let nanos = world.run(steps);
        println!("{nanos:.0} ns each step, {:.0} steps/s", 1e9 / nanos);
        print_kinds(&world);
        return;
    }
    let conditions = format!(
        "one core, 9 functions, {} slots, {OUTSTANDING} outstanding for each tenant, mimalloc, in turns, medians",
        load::SLOTS
    );
    let mut report = Report::new("engine", conditions, &arguments);
    let rounds = arguments.number("rounds", 7) as usize;
    if arguments.get("record").is_some() {
        record::report(&mut report, rounds);
        return report.finish();
    }
    memory(&mut report, arguments.number("waiting", 1_000_000));
    steps(&mut report, rounds);
    record::report(&mut report, rounds);
    neighbour(&mut report);
    report.finish();
}

fn print_kinds(world: &World) {
    for (kind, (count, nanos)) in KINDS.iter().zip(world.tally) {
        println!("  {kind:<20} {count:>9} × {:>6} ns", nanos / count.max(1));
    }
    let counts = world.engine.counts();
    let at_work = (counts.waiting, counts.waiting_calls, counts.invocations, world.pending());
    println!("  events waiting, calls waiting, runs, inputs to come: {at_work:?}");
    println!("  started {}, refused {}, waited for {:?}", world.started, world.refused, world.waited);
}

fn memory(report: &mut Report, count: u64) {
    for (what, delay_secs) in [("ready", 0), ("delayed", 600)] {
        let Some(found) = memory::in_own_process(count, delay_secs) else {
            eprintln!("the process that measures memory said nothing");
            continue;
        };
        let mib = found.resident as f64 / f64::from(1 << 20);
        let promise = Promise::AtMost(128.0 * count as f64 / 1e6);
        report.promised(format!("{count} events {what}, resident above idle"), mib, "MiB", promise);
        let promise = Promise::AtMost(120.0);
        report.promised(format!("an event that is {what}"), found.bytes_each, "bytes", promise);
    }
}

fn steps(report: &mut Report, rounds: usize) {
    let [mut few, mut many] = [FEW, MANY].map(|tenants| {
        let mut world = World::new(tenants, OUTSTANDING);
        world.run(20 * u64::from(tenants));
        world.tally = Default::default();
        world
    });
    let nanos = interleaved(rounds, &mut [Box::new(|| few.run(STEPS)), Box::new(|| many.run(STEPS))]);
    let [few_nanos, many_nanos] = [0, 1].map(|index| nanos.get(index).copied().unwrap_or(f64::NAN));
    report.promised("10,000 tenants active", 1e9 / few_nanos, "steps/s", Promise::AtLeast(500_000.0));
    report.figure("100,000 tenants active", 1e9 / many_nanos, "steps/s");
    let what = "a step with 100,000 tenants to one with 10,000";
    report.promised(what, many_nanos / few_nanos, "×", Promise::AtMost(1.5));
    // Whether the load was the one meant: all slots taken, and work waiting.
    for (world, tenants) in [(&few, "10,000"), (&many, "100,000")] {
        let counts = world.engine.counts();
        let (runs, waiting) = (counts.invocations as f64, (counts.waiting + counts.waiting_calls) as f64);
        report.promised(format!("runs at the end, {tenants} tenants"), runs, "", slots_taken());
        report.figure(format!("waiting at the end, {tenants} tenants"), waiting, "");
    }
    for (index, kind) in KINDS.iter().enumerate() {
        for (world, tenants) in [(&few, "10,000"), (&many, "100,000")] {
            let (count, nanos) = world.tally.get(index).copied().unwrap_or_default();
            let what = format!("{kind}, {tenants} tenants, wall clock");
            report.figure(what, nanos as f64 / count.max(1) as f64, "ns");
        }
    }
    let heap = allocations::during(|| {
        few.run(STEPS);
    });
    report.figure("allocations, the world's own too", heap.count as f64 / STEPS as f64, "each step");
}

/// A step is one in which there is work to choose from only while nearly all slots are taken.
fn slots_taken() -> Promise {
    Promise::AtLeast(f64::from(load::SLOTS) * 0.95)
}

fn neighbour(report: &mut Report) {
    let [alone, flood, worse] = [1, 100, 1_000].map(neighbour::run);
    report.figure("quiet tenants' p99 dwell, none floods", alone.dwell, "ms");
    report.figure("quiet tenants' p99 dwell, one sends 100 times as much", flood.dwell, "ms");
    report.figure("quiet tenants' p99 dwell, one sends 1,000 times as much", worse.dwell, "ms");
    report.figure("quiet tenants' p99 response, none floods", alone.response, "ms");
    report.figure("what the noisy one got done meanwhile", worse.noisy_done as f64, "events");
    let what = "quiet tenants' p99 response, one sends 100 times as much";
    report.promised(what, flood.response / alone.response, "×", Promise::AtMost(1.5));
    let what = "quiet tenants' p99 response, one sends 1,000 times as much";
    report.promised(what, worse.response / alone.response, "×", Promise::AtMost(1.5));
}
