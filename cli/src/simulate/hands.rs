//! The pieces of a load line's search, on as many threads as the process may use.

use std::{num::NonZeroUsize, sync::Mutex, thread};

use flyball_sim::line::{Hands, InTurn, Piece};

/// Threads at most: each holds a whole simulated world.
const THREADS_MAX: usize = 64;

/// As many threads as there are cores for the process, [`THREADS_MAX`] at most.
pub(super) struct Cores;

impl Hands for Cores {
    fn do_all(&self, pieces: Vec<Piece<'_>>) {
        let cores = thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let threads = cores.min(THREADS_MAX).min(pieces.len());
        if threads <= 1 {
            return InTurn.do_all(pieces);
        }
        let pieces = Mutex::new(pieces.into_iter());
        // No piece runs while the lock is held, so that none can poison it.
        let next = || pieces.lock().ok().and_then(|mut pieces| pieces.next());
        thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| {
                    while let Some(piece) = next() {
                        piece();
                    }
                });
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    #[test]
    fn each_piece_is_done_once() {
        for count in [0, 1, 2, 200] {
            let done: Vec<AtomicU64> = (0..count).map(|_| AtomicU64::new(0)).collect();
            let pieces = done
                .iter()
                .map(|done| Box::new(move || _ = done.fetch_add(1, Ordering::Relaxed)) as Piece<'_>);
            Cores.do_all(pieces.collect());
            assert!(done.iter().all(|done| done.load(Ordering::Relaxed) == 1), "{count}");
        }
    }
}
