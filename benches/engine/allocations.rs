//! The binary's allocator, counting while it is told to. Counting costs time, so no time is measured then.

#![allow(unsafe_code, reason = "an allocator can't be made otherwise; each call goes on to the binary's")]

use std::{
    alloc::{GlobalAlloc, Layout},
    sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
};

use mimalloc::MiMalloc;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

static ON: AtomicBool = AtomicBool::new(false);
static COUNT: AtomicU64 = AtomicU64::new(0);
static TAKEN: AtomicU64 = AtomicU64::new(0);
static GIVEN_BACK: AtomicU64 = AtomicU64::new(0);

struct Counting;

// SAFETY: everything is the binary's allocator; the counters touch no memory that is handed out.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size(), 0);
        // SAFETY: the caller's promise is passed on.
        unsafe { MiMalloc.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        if ON.load(Relaxed) {
            GIVEN_BACK.fetch_add(layout.size() as u64, Relaxed);
        }
        // SAFETY: the caller's promise is passed on.
        unsafe { MiMalloc.dealloc(at, layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size, layout.size());
        // SAFETY: the caller's promise is passed on.
        unsafe { MiMalloc.realloc(at, layout, size) }
    }
}

fn count(taken: usize, given_back: usize) {
    if ON.load(Relaxed) {
        COUNT.fetch_add(1, Relaxed);
        TAKEN.fetch_add(taken as u64, Relaxed);
        GIVEN_BACK.fetch_add(given_back as u64, Relaxed);
    }
}

/// What happened on the heap meanwhile.
#[derive(Debug, Clone, Copy)]
pub struct Heap {
    /// Allocations, growing ones too.
    pub count: u64,
    /// Bytes taken and not given back.
    pub kept: i64,
}

/// Counts while `work` runs.
pub fn during(work: impl FnOnce()) -> Heap {
    let read = || (COUNT.load(Relaxed), TAKEN.load(Relaxed) as i64 - GIVEN_BACK.load(Relaxed) as i64);
    let before = read();
    ON.store(true, Relaxed);
    work();
    ON.store(false, Relaxed);
    let after = read();
    Heap { count: after.0 - before.0, kept: after.1 - before.1 }
}

/// Bytes of anonymous memory that are resident, as Linux counts them; `None` elsewhere.
pub fn resident() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("RssAnon:"))?;
    line.split_whitespace().nth(1)?.parse::<u64>().ok().map(|kib| kib << 10)
}
