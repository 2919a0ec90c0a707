//! The events of a trace: counts in slots, brought into an order within each slot as it comes.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, VecDeque},
};

use flyball_app::workload::{Arrivals, Recorded};
use flyball_core::Span;

use super::{Wrong, seconds};
use crate::random::Random;

/// The slots of a trace. Only the slot that is under way has its events drawn, and of each of its series only the
/// next one.
#[derive(Debug, Clone)]
pub(super) struct Slots {
    /// Of each slot, the series that have events in it, with how many. Those that are over are gone.
    slots: VecDeque<Box<[(u32, u32)]>>,
    slot: Span,
    /// When the slot under way begins.
    begin: Span,
    /// When the next one begins.
    next_begin: Span,
    scale: f64,
    within: Arrivals,
    /// By the time of their next event, then by their place.
    due: BinaryHeap<Reverse<(Span, u32)>>,
    /// What is left of each series in the slot under way.
    active: Vec<Active>,
}

#[derive(Debug, Clone, Copy)]
struct Active {
    series: u32,
    /// Events of the same moment still to come, the next one included.
    burst: u64,
    /// Events after those.
    left: u64,
    /// The next one's place in the slot, 0 to 1.
    place: f64,
    /// The distance of events at equal distances, of the slot.
    distance: f64,
}

impl Slots {
    pub(super) fn new(recorded: &Recorded, within: Arrivals, from: Span, scale: f64) -> Result<Slots, Wrong> {
        if recorded.slot == Span::ZERO {
            return Err(("the length of a trace's slot", 0.0, "more than 0"));
        }
        let length = recorded.series.iter().map(|series| series.counts.len()).max().unwrap_or(0);
        let mut slots: Vec<Vec<(u32, u32)>> = vec![Vec::new(); length];
        for (number, series) in (0u32..).zip(&recorded.series) {
            for (slot, &count) in slots.iter_mut().zip(&series.counts).filter(|(_, count)| **count > 0) {
                slot.push((number, count));
            }
        }
        Ok(Slots {
            slots: slots.into_iter().map(Vec::into_boxed_slice).collect(),
            slot: recorded.slot,
            begin: from,
            next_begin: from,
            scale,
            within,
            due: BinaryHeap::new(),
            active: Vec::new(),
        })
    }

    /// Leaves out the slots that end by then.
    pub(super) fn skip_to(&mut self, from: Span) {
        while self.next_begin.0.saturating_add(self.slot.0) <= from.0 && self.slots.pop_front().is_some() {
            self.next_begin = Span(self.next_begin.0.saturating_add(self.slot.0));
        }
    }

    /// Events in slots that begin before the end, scaled.
    pub(super) fn expected(&self, until: Span) -> f64 {
        let slots = until.0.saturating_sub(self.next_begin.0).div_ceil(self.slot.0);
        let slots = usize::try_from(slots).unwrap_or(usize::MAX);
        self.slots.iter().take(slots).map(|slot| sum_of(slot)).sum::<f64>() * self.scale
    }

    /// The highest rate, events a second over one slot.
    pub(super) fn peak_per_s(&self) -> f64 {
        self.slots.iter().map(|slot| sum_of(slot)).fold(0.0, f64::max) * self.scale / seconds(self.slot)
    }

    /// The next event's time and series.
    pub(super) fn next(&mut self, random: &mut Random) -> Option<(Span, u32)> {
        loop {
            if let Some(Reverse((at, place))) = self.due.pop() {
                let active = self.active.get_mut(place as usize)?;
                let series = active.series;
                if active.advance(self.within, random) {
                    let next = self.begin.0.saturating_add(offset(self.slot, active.place));
                    self.due.push(Reverse((Span(next.max(at.0)), place)));
                }
                return Some((at, series));
            }
            let slot = self.slots.pop_front()?;
            self.begin = self.next_begin;
            self.next_begin = Span(self.begin.0.saturating_add(self.slot.0));
            self.enter(&slot, random);
        }
    }

    fn enter(&mut self, slot: &[(u32, u32)], random: &mut Random) {
        self.active.clear();
        for &(series, count) in slot {
            let count = random.rounded(f64::from(count) * self.scale);
            if count == 0 {
                continue;
            }
            #[expect(clippy::cast_precision_loss, reason = "below 2⁵³")]
            let distance = 1.0 / count as f64;
            // Each series at equal distances begins somewhere else, or all would come at once.
            let begin =
                if self.within == Arrivals::Constant { distance * (random.unit() - 1.0) } else { 0.0 };
            let mut active = Active { series, burst: 0, left: count, place: begin, distance };
            if active.advance(self.within, random)
                && let Ok(place) = u32::try_from(self.active.len())
            {
                let at = self.begin.0.saturating_add(offset(self.slot, active.place));
                self.active.push(active);
                self.due.push(Reverse((Span(at), place)));
            }
        }
    }
}

impl Active {
    /// Goes on to the next event. `false`: there is none.
    fn advance(&mut self, within: Arrivals, random: &mut Random) -> bool {
        if self.burst > 1 {
            self.burst -= 1;
            return true;
        }
        let size = match within {
            Arrivals::Bursts { size } => u64::from(size.max(1)),
            Arrivals::Poisson | Arrivals::Constant => 1,
        };
        let bursts = self.left.div_ceil(size);
        if bursts == 0 {
            return false;
        }
        self.burst = size.min(self.left);
        self.left -= self.burst;
        self.place = match within {
            Arrivals::Constant => self.place + self.distance,
            // The first of so many that lie anywhere in the rest of the slot.
            Arrivals::Poisson | Arrivals::Bursts { .. } => {
                #[expect(clippy::cast_precision_loss, reason = "below 2⁵³")]
                let share = -libm::expm1(-random.exponential_unit() / bursts as f64);
                self.place + (1.0 - self.place) * share
            }
        };
        true
    }
}

fn sum_of(slot: &[(u32, u32)]) -> f64 {
    slot.iter().map(|(_, count)| f64::from(*count)).sum()
}

/// Microseconds into a slot.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "clamped to the slot"
)]
fn offset(slot: Span, place: f64) -> u64 {
    ((slot.0 as f64 * place) as u64).min(slot.0 - 1)
}
