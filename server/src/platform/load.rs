//! Loading the functions of an application.

use std::{
    collections::BTreeMap,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use flyball_core::{
    Name,
    model::{Function, Shared},
};
use flyball_host::{LoadError, LoadedFunction, WasmHost};

use super::{FunctionError, OpenError};
use crate::lane::locked;

/// Loads every function, as many at a time as there are processors: compiling may take seconds each, and
/// memory that is given back a little later.
pub(super) fn all(
    application: &Shared,
    base: &Path,
    host: &WasmHost,
) -> Result<BTreeMap<Name, Arc<LoadedFunction>>, OpenError> {
    let functions: Vec<&Function> = application.functions.values().collect();
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let loaded = in_parallel(&functions, threads, |function| one(application, function, base, host));
    let mut good = BTreeMap::new();
    let mut wrong = Vec::new();
    for (function, result) in functions.iter().zip(loaded) {
        let broke_off =
            || Err(function_error(function, base, false, "loading it broke off; see the log".into()));
        match result.unwrap_or_else(broke_off) {
            Ok(loaded) => drop(good.insert(function.name.clone(), Arc::new(loaded))),
            Err(error) => wrong.push(error),
        }
    }
    if wrong.is_empty() { Ok(good) } else { Err(OpenError::Functions(wrong)) }
}

/// Does this work for each item, on so many threads at most. The results are in the items' order; `None`
/// where the work panicked.
fn in_parallel<T: Sync, R: Send>(
    items: &[T],
    threads: usize,
    work: impl Fn(&T) -> R + Sync,
) -> Vec<Option<R>> {
    let next = AtomicUsize::new(0);
    let results: Mutex<Vec<Option<R>>> = Mutex::new(items.iter().map(|_| None).collect());
    let take = || {
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(item) = items.get(index) else { return };
            // The panic hook has told of one that panics.
            let result = catch_unwind(AssertUnwindSafe(|| work(item))).ok();
            if let Some(place) = locked(&results).get_mut(index) {
                *place = result;
            }
        }
    };
    thread::scope(|scope| {
        // This thread is one of them.
        for _ in 1..threads.min(items.len()) {
            scope.spawn(take);
        }
        take();
    });
    results.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn one(
    application: &Shared,
    function: &Function,
    base: &Path,
    host: &WasmHost,
) -> Result<LoadedFunction, FunctionError> {
    let path = base.join(&function.component);
    let loaded = host.load_file(&path, function.memory_bytes_max).map_err(|error| {
        let wrong = matches!(error, LoadError::WrongWorld { .. });
        function_error(function, base, wrong, error.to_string())
    })?;
    let name = &function.name;
    let queue = application.queues.values().find(|queue| queue.function == *name);
    let inbox = Name::inbox_of(name);
    let subscribed = application.topics.values().flat_map(|t| &t.subscribers).any(|d| d.queue() == inbox)
        || application.buses.values().flat_map(|b| b.rules.values()).any(|r| r.to.queue() == inbox);
    if let Some(why) =
        queue.map(|q| format!("queue {}", q.name)).or(subscribed.then(|| "a topic or rule".into()))
        && !loaded.handles_events()
    {
        let message = format!(
            "{why} sends it events, but its component does not export flyball:function/handler@0.1.0"
        );
        return Err(function_error(function, base, true, message));
    }
    let routed = application.routes.iter().find(|route| route.function == *name);
    if let Some(route) = routed
        && !loaded.answers_http()
    {
        let message = format!(
            "route {} leads to it, but its component does not export wasi:http/incoming-handler@0.2",
            route.path
        );
        return Err(function_error(function, base, true, message));
    }
    if function.inbox.batch_max > 1 && routed.is_some() {
        // Also those of a synchronous route wait there, under an idempotency key.
        let message = "requests of its routes are answered one by one; set inbox.batch_max to 1";
        return Err(function_error(function, base, false, message.into()));
    }
    Ok(loaded)
}

fn function_error(function: &Function, base: &Path, wrong_world: bool, message: String) -> FunctionError {
    let component = base.join(&function.component);
    FunctionError { function: function.name.clone(), component, wrong_world, message }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

    use super::in_parallel;

    #[test]
    fn never_more_at_once_than_there_are_threads_and_each_result_in_its_place() {
        let items: Vec<usize> = (0..200).collect();
        let (at_once, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let results = in_parallel(&items, 3, |item| {
            most.fetch_max(at_once.fetch_add(1, SeqCst) + 1, SeqCst);
            std::thread::yield_now();
            at_once.fetch_sub(1, SeqCst);
            item * 2
        });
        assert!((1..=3).contains(&most.load(SeqCst)), "{most:?}");
        assert!(results.into_iter().eq(items.iter().map(|item| Some(item * 2))));
        assert!(in_parallel(&[0; 0], 3, |_: &i32| ()).is_empty());
    }

    #[test]
    fn one_that_panics_fails_alone() {
        let results = in_parallel(&[1, 2, 3], 2, |item| {
            assert_ne!(*item, 2, "on purpose");
            *item
        });
        assert_eq!(results, [Some(1), None, Some(3)]);
    }
}
