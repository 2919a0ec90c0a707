//! Wasmtime's engine, set up for many short runs, and the thread that drives its epochs.

use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, Thread},
    time::Duration,
};

use wasmtime::{Config, Enabled, Engine, InstanceAllocationStrategy, PoolingAllocationConfig};

use crate::HostError;

/// How much this host sets aside for guests. The memory is address space until a guest touches it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostLimits {
    /// Instances that may exist at once; a run needs one.
    pub instances_max: u32,
    /// The most memory that any function may be given, bytes.
    pub memory_bytes_max: u64,
    /// Linear memories of one component. Nearly all have one.
    pub memories_max: u32,
    /// Tables of one component.
    pub tables_max: u32,
    /// Core instances (modules) within one component; those that link dynamically have dozens.
    pub core_instances_max: u32,
    /// Entries of one table.
    pub table_elements_max: usize,
    /// Bytes of an instance's memory that stay resident for the next one, where the kernel can tell
    /// which pages were touched (Linux 6.7).
    pub keep_resident_bytes: usize,
}

impl Default for HostLimits {
    fn default() -> Self {
        HostLimits {
            instances_max: 1_000,
            memory_bytes_max: 1 << 30,
            memories_max: 4,
            tables_max: 4,
            core_instances_max: 128,
            table_elements_max: 65_536,
            keep_resident_bytes: 1 << 20,
        }
    }
}

/// Where instances' memory comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Allocation {
    /// From a pool that was reserved at the start.
    Pool {
        /// Whether pages stay resident between runs.
        keep_resident: bool,
    },
    /// Mapped for each run, about twice as slow: the pool could not be had.
    OnDemand {
        /// Why, and what to change.
        reason: String,
    },
}

/// Bytes that Wasmtime reserves for a memory so that its code needs no bounds checks.
const RESERVATION_BYTES: u64 = 4 << 30;
/// Kernel memory maps that one pooled instance takes at most: memory, its image, tables, stack, guards.
const MAPS_PER_INSTANCE: u64 = 16;

/// What stops a guest that goes on for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Clock {
    /// Epochs, which follow the machine's time.
    Epochs,
    /// Fuel, and with it everything else that makes a run the same each time.
    Fuel,
}

/// The engine and where its memory comes from.
pub(crate) fn build(limits: &HostLimits, clock: Clock) -> Result<(Engine, Allocation), HostError> {
    let reason = match maps_missing(limits, maps_max()) {
        Some(reason) => reason,
        None => match pool(limits, clock) {
            Ok(built) => return Ok(built),
            Err(error) => format!("the pool could not be reserved: {error:#}; see `ulimit -v`"),
        },
    };
    let engine = Engine::new(&basics(clock)).map_err(|error| HostError::Engine(format!("{error:#}")))?;
    Ok((engine, Allocation::OnDemand { reason }))
}

/// An engine as a host with these limits has it, without the host: to measure what the host adds.
///
/// # Errors
/// Where Wasmtime can't be set up.
pub fn bare_engine(limits: &HostLimits) -> Result<(Engine, Allocation), HostError> {
    build(limits, Clock::Epochs)
}

/// Keeping pages resident needs the kernel's scan of touched pages: both or neither. Without the scan
/// it means copying the whole range back each time, which made a large heap three times slower.
fn pool(limits: &HostLimits, clock: Clock) -> wasmtime::Result<(Engine, Allocation)> {
    let keep_resident = PoolingAllocationConfig::is_pagemap_scan_available();
    Ok((Engine::new(&pooled(limits, keep_resident, clock))?, Allocation::Pool { keep_resident }))
}

fn basics(clock: Clock) -> Config {
    let mut config = Config::new();
    config
        .wasm_component_model(true)
        .epoch_interruption(clock == Clock::Epochs)
        .consume_fuel(clock == Clock::Fuel)
        .cranelift_nan_canonicalization(clock == Clock::Fuel)
        .relaxed_simd_deterministic(clock == Clock::Fuel)
        .memory_init_cow(true)
        .memory_reservation(RESERVATION_BYTES)
        // Only native debuggers read it, and registering it makes each load slower.
        .native_unwind_info(false);
    config
}

fn pooled(limits: &HostLimits, keep_resident: bool, clock: Clock) -> Config {
    let mut pool = PoolingAllocationConfig::new();
    let total = |each: u32| limits.instances_max.saturating_mul(each);
    pool.total_component_instances(limits.instances_max)
        .total_stacks(limits.instances_max)
        .total_core_instances(total(limits.core_instances_max))
        .total_memories(total(limits.memories_max))
        .total_tables(total(limits.tables_max))
        .max_core_instances_per_component(limits.core_instances_max)
        .max_memories_per_component(limits.memories_max)
        .max_tables_per_component(limits.tables_max)
        .max_memories_per_module(limits.memories_max)
        .max_tables_per_module(limits.tables_max)
        .max_core_instance_size(8 << 20)
        .max_component_instance_size(8 << 20)
        .table_elements(limits.table_elements_max)
        .max_memory_size(usize::try_from(limits.memory_bytes_max).unwrap_or(usize::MAX));
    if keep_resident {
        pool.pagemap_scan(Enabled::Yes)
            .linear_memory_keep_resident(limits.keep_resident_bytes)
            .table_keep_resident(limits.keep_resident_bytes.min(64 << 10));
    }
    let mut config = basics(clock);
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    config
}

/// The kernel's limit of memory maps, where it can be read.
fn maps_max() -> Option<u64> {
    fs::read_to_string("/proc/sys/vm/max_map_count").ok()?.trim().parse().ok()
}

/// Why the pool does not fit into the kernel's limit of memory maps. A map that fails later would fail
/// a run, so this is settled before.
fn maps_missing(limits: &HostLimits, maps_max: Option<u64>) -> Option<String> {
    let maps_max = maps_max?;
    let needed = u64::from(limits.instances_max).saturating_mul(MAPS_PER_INSTANCE);
    // The rest of the process and the loaded components need maps too.
    let available = maps_max / 4 * 3;
    (needed > available).then(|| {
        format!(
            "{} instances need up to {needed} memory maps and vm.max_map_count is {maps_max}, of which \
             {available} are taken at most; raise it by sysctl or lower instances_max",
            limits.instances_max
        )
    })
}

/// The thread that counts epochs: running guests give way every 1 to 2 ms.
#[derive(Debug)]
pub(crate) struct Ticker {
    shared: Arc<Ticking>,
    thread: Thread,
}

#[derive(Debug, Default)]
struct Ticking {
    stop: AtomicBool,
    /// Nothing ran for a while and the thread waits to be woken.
    parked: AtomicBool,
}

const TICK: Duration = Duration::from_millis(1);
/// Ticks without a guest after which the thread parks.
const IDLE_TICKS: u32 = 1_000;

impl Ticker {
    /// Starts the thread; `busy` says whether any guest runs.
    pub(crate) fn start(
        engine: &Engine,
        busy: impl Fn() -> bool + Send + 'static,
    ) -> std::io::Result<Ticker> {
        let shared = Arc::new(Ticking::default());
        // Weak: the thread must not keep the engine's pool alive.
        let (engine, ticking) = (engine.weak(), shared.clone());
        let handle = thread::Builder::new().name("epochs".into()).spawn(move || {
            let mut idle = 0;
            while !ticking.stop.load(Ordering::Relaxed) {
                thread::sleep(TICK);
                let Some(engine) = engine.upgrade() else { return };
                engine.increment_epoch();
                idle = if busy() { 0 } else { idle + 1 };
                if idle >= IDLE_TICKS {
                    idle = 0;
                    ticking.parked.store(true, Ordering::SeqCst);
                    // Asked again after the flag is up: a guest that started before saw no flag.
                    if !busy() && !ticking.stop.load(Ordering::SeqCst) {
                        thread::park();
                    }
                    ticking.parked.store(false, Ordering::SeqCst);
                }
            }
        })?;
        let thread = handle.thread().clone();
        Ok(Ticker { shared, thread })
    }

    /// A guest starts: tick again. Call it after the guest counts as busy.
    pub(crate) fn wake(&self) {
        if self.shared.parked.load(Ordering::SeqCst) {
            self.thread.unpark();
        }
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        self.thread.unpark();
    }
}

#[cfg(test)]
mod tests {
    use super::{HostLimits, maps_missing};

    #[test]
    fn a_pool_beyond_the_kernels_maps_is_refused_with_the_reason() {
        let limits = HostLimits { instances_max: 1_000, ..HostLimits::default() };
        assert_eq!(maps_missing(&limits, Some(65_530)), None);
        assert_eq!(maps_missing(&limits, None), None);
        let reason = maps_missing(&limits, Some(8_000)).unwrap();
        assert!(reason.contains("vm.max_map_count is 8000"), "{reason}");
        assert!(reason.contains("16000 memory maps"), "{reason}");
    }
}
