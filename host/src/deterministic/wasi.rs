//! `wasi:clocks` and `wasi:io/poll` of deterministic runs, in place of Wasmtime's own: theirs go by the machine's
//! time, these by the run's.

use std::sync::Arc;

use wasmtime::{
    AsContextMut, StoreContextMut,
    component::{Linker, Resource},
};
use wasmtime_wasi::{
    WasiView, async_trait,
    p2::{
        DynPollable, Pollable,
        bindings::{
            clocks::wall_clock::Datetime,
            io::poll::{Host as _, HostPollable as _},
        },
        subscribe,
    },
};

use super::Inside;
use crate::guest::Guest;

/// The version under which Wasmtime's own are found.
const MONOTONIC: &str = "wasi:clocks/monotonic-clock@0.2.12";
const WALL: &str = "wasi:clocks/wall-clock@0.2.12";
const POLL: &str = "wasi:io/poll@0.2.12";

/// Nanoseconds of a clock's tick: a microsecond.
const TICK_NS: u64 = 1_000;

type Store<'a> = StoreContextMut<'a, Guest>;

/// Puts ours in place of Wasmtime's.
pub(super) fn shadow(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    linker.allow_shadowing(true);
    let mut clock = linker.instance(MONOTONIC)?;
    clock.func_wrap("now", |mut store: Store<'_>, (): ()| Ok((now(&mut store)?,)))?;
    clock.func_wrap("resolution", |_: Store<'_>, (): ()| Ok((TICK_NS,)))?;
    clock.func_wrap("subscribe-instant", |mut store: Store<'_>, (at,): (u64,)| {
        Ok((timer(&mut store, at)?,))
    })?;
    clock.func_wrap("subscribe-duration", |mut store: Store<'_>, (lasts,): (u64,)| {
        let at = now(&mut store)?.saturating_add(lasts);
        Ok((timer(&mut store, at)?,))
    })?;
    let mut clock = linker.instance(WALL)?;
    clock.func_wrap("now", |mut store: Store<'_>, (): ()| Ok((datetime(now(&mut store)?),)))?;
    clock.func_wrap("resolution", |_: Store<'_>, (): ()| Ok((datetime(TICK_NS),)))?;
    let mut poll = linker.instance(POLL)?;
    poll.func_wrap_async("poll", |mut store: Store<'_>, (all,): (Vec<Resource<DynPollable>>,)| {
        Box::new(async move {
            now(&mut store)?;
            let ready = store.data_mut().ctx().table.poll(all).await?;
            now(&mut store)?;
            Ok((ready,))
        })
    })?;
    poll.func_wrap_async(
        "[method]pollable.block",
        |mut store: Store<'_>, (on,): (Resource<DynPollable>,)| {
            Box::new(async move {
                now(&mut store)?;
                store.data_mut().ctx().table.block(on).await?;
                now(&mut store)?;
                Ok(())
            })
        },
    )?;
    Ok(())
}

/// The run's clock, nanoseconds, after its fuel was counted and what it waited was taken from it.
fn now(store: &mut Store<'_>) -> wasmtime::Result<u64> {
    let left = store.as_context_mut().get_fuel()?;
    let Some(inside) = store.data().inside() else { return Ok(0) };
    let left = inside.fuel_is(left);
    let now = inside.now_ns();
    store.set_fuel(left)?;
    Ok(now)
}

fn datetime(ns: u64) -> Datetime {
    // Below a second's nanoseconds, which fit.
    Datetime { seconds: ns / 1_000_000_000, nanoseconds: (ns % 1_000_000_000) as u32 }
}

fn timer(store: &mut Store<'_>, at: u64) -> wasmtime::Result<Resource<DynPollable>> {
    now(store)?;
    let Some(inside) = store.data().inside().cloned() else {
        return Err(wasmtime::Error::msg("a deterministic run without its clock"));
    };
    let number = inside.timer(at);
    let table = store.data_mut().ctx().table;
    let timer = table.push(Timer { inside, number, yielded: false })?;
    subscribe(table, timer)
}

struct Timer {
    inside: Arc<Inside>,
    number: u64,
    yielded: bool,
}

#[async_trait]
impl Pollable for Timer {
    async fn ready(&mut self) {
        // Once, even where its time has come: a guest that polls in a loop must let its requests go on.
        if !std::mem::replace(&mut self.yielded, true) {
            tokio::task::yield_now().await;
        }
        self.inside.rings(self.number).await;
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        self.inside.timer_gone(self.number);
    }
}
