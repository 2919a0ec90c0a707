//! Where guests run: so many at once as there are seats, in the tenants' fair order.
//!
//! A task is one invocation's future. It is polled until it waits or until its epoch slice is over, and
//! then goes to the back of its tenant's queue; see [`crate::fair`] for the order among tenants. Whoever
//! polls holds a seat. The executor has a thread for each, and a caller that would only wait for its own
//! run may take one for the first slice, when one is free and nobody waits for it: that saves two switches
//! between threads, which cost more than a short guest.

use std::{
    future::Future,
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use async_task::{Runnable, ScheduleInfo, Task, WithInfo};

use crate::{FirstSlice, fair::FairQueue};

/// How long a caller's thread polls tasks, about: as long as a guest runs before it gives way.
const SLICE: Duration = Duration::from_millis(1);

/// The executor; dropping it closes it without waiting.
#[derive(Debug)]
pub(crate) struct Executor {
    shared: Arc<Shared>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    /// Signalled when something is ready, or when the last task of a closed executor has ended.
    changed: Condvar,
    /// Tasks that were spawned and not dropped yet.
    alive: AtomicUsize,
    /// Nothing is polled any more: what comes to its turn is dropped.
    abandoned: AtomicBool,
}

#[derive(Debug)]
struct State {
    queue: FairQueue<Runnable>,
    /// Who may still begin to poll.
    seats_free: usize,
    /// Threads that wait for `changed`: a wake-up nobody waits for would cost a system call.
    sleeping: usize,
    closed: bool,
}

impl Executor {
    /// Starts `threads` threads, one at least; I/O of their tasks goes through `io`.
    pub(crate) fn start(threads: usize, io: &tokio::runtime::Handle) -> io::Result<Executor> {
        let threads = threads.max(1);
        let shared = Arc::new(Shared {
            state: Mutex::new(State {
                queue: FairQueue::new(),
                seats_free: threads,
                sleeping: 0,
                closed: false,
            }),
            changed: Condvar::new(),
            alive: AtomicUsize::new(0),
            abandoned: AtomicBool::new(false),
        });
        let executor = Executor { shared: shared.clone(), threads: Mutex::new(Vec::new()) };
        for number in 0..threads {
            let (shared, io) = (shared.clone(), io.clone());
            let thread = thread::Builder::new().name(format!("guests-{number}")).spawn(move || {
                let _entered = io.enter();
                shared.work();
            })?;
            lock(&executor.threads).push(thread);
        }
        Ok(executor)
    }

    /// Starts a task for `tenant`; `on_ready` is called whenever it becomes ready to be polled. `None`
    /// after [`Executor::close`]. Dropping the task cancels it.
    pub(crate) fn spawn<F, R>(
        &self,
        tenant: u32,
        first: FirstSlice,
        on_ready: R,
        future: F,
    ) -> Option<Task<F::Output>>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
        R: Fn() + Send + Sync + 'static,
    {
        // Counted before `closed` is read: a thread that sees it closed and nothing alive may leave.
        let alive = Alive::of(&self.shared);
        if lock(&self.shared.state).closed {
            return None;
        }
        let shared = self.shared.clone();
        let schedule = move |runnable, info: ScheduleInfo| {
            on_ready();
            // Woken by itself: the thread that polled it looks at the queue next.
            shared.push(tenant, runnable, !info.woken_while_running);
        };
        let (runnable, task) = async_task::spawn(
            async move {
                let _alive = alive;
                future.await
            },
            WithInfo(schedule),
        );
        match first {
            FirstSlice::Queued => runnable.schedule(),
            FirstSlice::Here => self.shared.run_here(tenant, runnable),
        }
        Some(task)
    }

    /// Tasks that have not ended.
    pub(crate) fn alive(&self) -> usize {
        self.shared.alive.load(Ordering::Relaxed)
    }

    /// Takes no new task; those that run may end.
    pub(crate) fn close(&self) {
        lock(&self.shared.state).closed = true;
        self.shared.changed.notify_all();
    }

    /// Closes it, and polls no task any more: each that becomes ready is dropped. Answers whether within that time none
    /// was being polled; from then on the I/O of tasks may end.
    pub(crate) fn abandon(&self, within: Duration) -> bool {
        self.shared.abandoned.store(true, Ordering::Release);
        self.close();
        let seats = lock(&self.threads).len();
        let begun = Instant::now();
        loop {
            // What took its seat before the lock may be polled still; what takes one after it is dropped.
            let idle = lock(&self.shared.state).seats_free >= seats;
            if idle || begun.elapsed() >= within {
                return idle;
            }
            thread::sleep(SLICE);
        }
    }

    /// Waits until the last task has ended and the threads with it. [`Executor::close`] must come first.
    pub(crate) fn join(&self) {
        let threads = std::mem::take(&mut *lock(&self.threads));
        for thread in threads {
            // A thread catches its tasks' panics; one of its own has been reported by the panic hook.
            let _ = thread.join();
        }
    }
}

impl Drop for Executor {
    fn drop(&mut self) {
        self.close();
    }
}

impl Shared {
    fn push(&self, tenant: u32, runnable: Runnable, wake: bool) {
        let mut state = lock(&self.state);
        state.queue.push(tenant, runnable);
        if wake {
            self.wake_one(state);
        }
    }

    /// Lets a thread that sleeps look, if there is something for it and a seat to take.
    fn wake_one(&self, state: MutexGuard<'_, State>) {
        let wake = state.sleeping > 0 && state.seats_free > 0 && !state.queue.is_empty();
        drop(state);
        if wake {
            self.changed.notify_one();
        }
    }

    /// Polls a new task on this thread, or queues it: see [`FirstSlice::Here`].
    fn run_here(&self, tenant: u32, runnable: Runnable) {
        let mut state = lock(&self.state);
        if state.seats_free == 0 || !state.queue.is_empty() || self.abandoned.load(Ordering::Acquire) {
            drop(state);
            return runnable.schedule();
        }
        state.queue.begin(tenant);
        state.seats_free -= 1;
        let begun = Instant::now();
        let mut next = Some((tenant, runnable));
        // What becomes ready meanwhile, most often the same task again, goes on here until the slice is over:
        // this thread has the seat, and to wake another takes longer.
        while let Some((tenant, runnable)) = next {
            drop(state);
            let busy_ns = poll(runnable);
            state = lock(&self.state);
            state.queue.charge(tenant, busy_ns);
            next = match state.queue.is_empty() || begun.elapsed() >= SLICE {
                true => None,
                false => state.queue.pop(),
            };
        }
        state.seats_free += 1;
        self.wake_one(state);
    }

    /// A thread's life: poll what is next, charge its tenant, until closed and nothing is alive.
    fn work(&self) {
        let mut ran = None;
        while let Some((tenant, runnable)) = self.next(ran) {
            let busy_ns = match self.abandoned.load(Ordering::Acquire) {
                true => drop_task(runnable),
                false => poll(runnable),
            };
            ran = Some((tenant, busy_ns));
        }
    }

    fn next(&self, ran: Option<(u32, u64)>) -> Option<(u32, Runnable)> {
        let mut state = lock(&self.state);
        if let Some((tenant, busy_ns)) = ran {
            state.seats_free += 1;
            state.queue.charge(tenant, busy_ns);
        }
        loop {
            if state.seats_free > 0
                && let Some(next) = state.queue.pop()
            {
                state.seats_free -= 1;
                return Some(next);
            }
            if state.closed && self.alive.load(Ordering::Acquire) == 0 {
                return None;
            }
            state.sleeping += 1;
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            state.sleeping -= 1;
        }
    }
}

/// Polls a task once; how long that took, in nanoseconds.
fn poll(runnable: Runnable) -> u64 {
    let started = Instant::now();
    // An invocation catches its own panics to report them; this keeps the thread whatever happens.
    let _ = catch_unwind(AssertUnwindSafe(|| runnable.run()));
    u64::try_from(started.elapsed().as_nanos()).unwrap_or(u64::MAX)
}

/// A task ends here without another turn. What it owned may panic as it goes, and the thread stays.
fn drop_task(runnable: Runnable) -> u64 {
    let _ = catch_unwind(AssertUnwindSafe(|| drop(runnable)));
    0
}

/// Counts a task as alive until it is dropped.
struct Alive(Arc<Shared>);

impl Alive {
    fn of(shared: &Arc<Shared>) -> Alive {
        shared.alive.fetch_add(1, Ordering::AcqRel);
        Alive(shared.clone())
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        if self.0.alive.fetch_sub(1, Ordering::AcqRel) == 1 && lock(&self.0.state).closed {
            self.0.changed.notify_all();
        }
    }
}

/// What these locks guard is whole after every statement, so a panic elsewhere can't have broken it.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::{Executor, FirstSlice};

    fn io() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
    }

    #[test]
    fn tasks_end_before_a_closed_executor_does() {
        let io = io();
        let executor = Executor::start(2, io.handle()).unwrap();
        let (release, held) = tokio::sync::oneshot::channel::<()>();
        let task = executor.spawn(1, FirstSlice::Queued, || (), async move { held.await.is_ok() }).unwrap();
        executor.close();
        assert!(executor.spawn(1, FirstSlice::Queued, || (), async {}).is_none());
        release.send(()).unwrap();
        executor.join();
        assert!(io.block_on(task));
        assert_eq!(executor.alive(), 0);
    }

    #[test]
    fn an_abandoned_executor_polls_nothing_any_more_and_its_io_may_end() {
        let io = io();
        let executor = Executor::start(1, io.handle()).unwrap();
        let polled = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
        let (wake, woken) = tokio::sync::oneshot::channel::<()>();
        let after = polled.clone();
        let waits = async move {
            let _ = woken.await;
            after.store(true, std::sync::atomic::Ordering::Relaxed);
        };
        let waits = executor.spawn(1, FirstSlice::Queued, || (), waits).unwrap();
        let slow = async { tokio::time::sleep(std::time::Duration::from_secs(600)).await };
        let sleeps = executor.spawn(2, FirstSlice::Queued, || (), slow).unwrap();
        assert!(executor.abandon(std::time::Duration::from_secs(60)));
        assert!(executor.spawn(1, FirstSlice::Queued, || (), async {}).is_none());
        wake.send(()).unwrap();
        // What sleeps is woken by the end of its clock.
        drop(io);
        executor.join();
        assert_eq!(executor.alive(), 0);
        assert!(!polled.load(std::sync::atomic::Ordering::Relaxed));
        for task in [waits, sleeps] {
            assert!(task.is_finished());
        }
    }

    #[test]
    fn a_first_slice_runs_here_only_while_a_seat_is_free_and_nobody_waits() {
        let io = io();
        let executor = Executor::start(1, io.handle()).unwrap();
        let here = std::thread::current().id();
        let ran_on = |first| {
            let thread = async { std::thread::current().id() };
            io.block_on(executor.spawn(1, first, || (), thread).unwrap())
        };
        assert_ne!(ran_on(FirstSlice::Queued), here);
        // The thread gives its seat back a moment after the task has ended.
        while executor.shared.state.lock().unwrap().seats_free == 0 {
            std::thread::yield_now();
        }
        assert_eq!(ran_on(FirstSlice::Here), here);
        // The only seat is taken: what is started meanwhile waits its turn on the thread.
        let (release, held) = std::sync::mpsc::channel::<()>();
        let holder =
            executor.spawn(1, FirstSlice::Queued, || (), async move { held.recv().is_ok() }).unwrap();
        while executor.shared.state.lock().unwrap().seats_free > 0 {
            std::thread::yield_now();
        }
        let waits = async { std::thread::current().id() };
        let waits = executor.spawn(2, FirstSlice::Here, || (), waits).unwrap();
        release.send(()).unwrap();
        assert_ne!(io.block_on(waits), here);
        assert!(io.block_on(holder));
    }

    #[test]
    fn a_panic_leaves_the_thread_alive() {
        let io = io();
        let executor = Executor::start(1, io.handle()).unwrap();
        let broken = executor.spawn(1, FirstSlice::Queued, || (), async { panic!("on purpose") }).unwrap();
        assert_eq!(io.block_on(broken.fallible()), None::<()>);
        assert_eq!(io.block_on(executor.spawn(2, FirstSlice::Queued, || (), async { 5 }).unwrap()), 5);
    }
}
