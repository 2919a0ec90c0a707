//! What any scheduler that lets runs end could reach at best: the same arrivals in virtual time, runs of one
//! length, and the quiet tenants' events always before the noisy one's. What the platform is above it, its
//! order or its overhead costs; what this itself rises by, no order of starts can mend.

use std::{cmp::Reverse, collections::BinaryHeap};

use flyball_benches::quantile;

use crate::Arrival;

/// The quiet tenants' p99 dwell, seconds, with so many slots and runs that take one for so long.
pub fn dwell_p99(arrivals: &[Arrival], slots: usize, run: f64) -> f64 {
    let mut free: BinaryHeap<Reverse<u64>> = (0..slots).map(|_| Reverse(0)).collect();
    let nanos = |seconds: f64| (seconds * 1e9) as u64;
    let run = nanos(run);
    let mut quiet = arrivals.iter().filter(|a| !a.noisy).map(|a| nanos(a.at)).peekable();
    let mut noisy = arrivals.iter().filter(|a| a.noisy).map(|a| nanos(a.at)).peekable();
    let mut dwells = Vec::new();
    while let Some(Reverse(at)) = free.pop() {
        let first = match (quiet.peek(), noisy.peek()) {
            (None, _) => break,
            (Some(quiet), None) => *quiet,
            (Some(quiet), Some(noisy)) => *quiet.min(noisy),
        };
        // The slot waits for work, if there is none yet.
        let now = at.max(first);
        match quiet.next_if(|quiet| *quiet <= now) {
            Some(came) => dwells.push((now - came) as f64 / 1e9),
            None => drop(noisy.next()),
        }
        free.push(Reverse(now + run));
    }
    quantile(&mut dwells, 0.99)
}
