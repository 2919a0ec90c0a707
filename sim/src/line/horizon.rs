//! How much of the stated traffic a run of a search gets: all of it, or the busiest part where all would take too long.

use std::sync::OnceLock;

use flyball_app::workload::Measure;
use flyball_core::Span;

use crate::{
    arrivals::{Arrivals, Window},
    plan::{Plan, rises},
    result::RunResult,
};

/// A run of more than so many happenings takes longer than a few seconds, and gets a part.
const HAPPENINGS: f64 = 4e6;
/// The shortest part: what scales up, waits and is tried again has time to.
const LASTS_MIN: Span = Span::from_secs(600);
/// Happenings of an event, before one is known: it comes in, starts, ends.
const OF_AN_EVENT: f64 = 4.0;
/// Traffic of which not even the first run gets all.
const HAPPENINGS_FIRST: f64 = 10.0 * HAPPENINGS;
/// In how many places the traffic is looked at.
const PLACES: usize = 200;
/// Each part that is tried is so much shorter than the one before.
const SHORTER: f64 = 0.8;

/// See the module's text.
pub(super) struct Horizon {
    window: Window,
    /// Events by then, in as many places.
    events: Vec<f64>,
    /// Happenings of an event.
    of_an_event: OnceLock<f64>,
    /// Something is asked that only all of the traffic can answer.
    all: bool,
    /// Happenings of a run that gets all of it.
    most: f64,
}

impl Horizon {
    pub(super) fn new(plan: &Plan) -> Horizon {
        let window = plan.window;
        let scaled = plan.sources.iter().filter(|source| source.source.scaled);
        let sources: Vec<Arrivals> =
            scaled.filter_map(|one| Arrivals::new(&one.label, &one.source, window, 1.0, 0).ok()).collect();
        let by = |place: usize| {
            let until = Span(window.begins.0 + window.lasts.0 / PLACES as u64 * place as u64);
            sources.iter().map(|one| one.expected_within(window.begins, until)).sum()
        };
        let all = plan.expects.iter().any(|expect| expect.measure == Measure::CostPerMonth);
        let horizon = Horizon {
            window,
            events: (0..=PLACES).map(by).collect(),
            of_an_event: OnceLock::new(),
            all,
            most: HAPPENINGS,
        };
        if horizon.total() * OF_AN_EVENT > HAPPENINGS_FIRST {
            horizon.of_an_event.get_or_init(|| OF_AN_EVENT);
        }
        horizon
    }

    fn total(&self) -> f64 {
        self.events.last().copied().unwrap_or(0.0)
    }

    /// The first run of all says what an event costs.
    pub(super) fn learn(&self, run: &RunResult, load: f64) {
        let expected = self.total() * load;
        self.of_an_event.get_or_init(|| match expected > 0.0 {
            true => run.about.events_simulated as f64 / expected,
            false => 0.0,
        });
    }

    /// What a run with that load gets. `None`: all of it.
    pub(super) fn part(&self, load: f64) -> Option<Window> {
        let of_an_event = self.of_an_event.get().copied().unwrap_or(0.0);
        let happenings = |events: f64| events * load * of_an_event;
        if self.all || happenings(self.total()) <= self.most {
            return None;
        }
        let mut lasts = self.window.lasts;
        while lasts > LASTS_MIN && happenings(self.busiest(lasts).1) > self.most {
            lasts = Span((lasts.0 as f64 * SHORTER) as u64).max(LASTS_MIN);
        }
        let begins = self.busiest(lasts).0;
        let rises = if begins > self.window.begins { rises(lasts) } else { self.window.rises };
        (lasts < self.window.lasts).then_some(Window { begins, lasts, rises, whole: self.window.whole })
    }

    /// The same, with another bound.
    #[cfg(test)]
    pub(super) fn of(plan: &Plan, most: f64) -> Horizon {
        Horizon { most, ..Horizon::new(plan) }
    }

    /// The plan of a run with that load. `None`: as it is.
    pub(super) fn plan(&self, plan: &Plan, load: f64) -> Option<Plan> {
        Some(plan.within(self.part(load)?))
    }

    /// When the busiest part of that length begins, the first of those that are as busy, and its events.
    fn busiest(&self, lasts: Span) -> (Span, f64) {
        let place = self.window.lasts.0 / PLACES as u64;
        let length = (lasts.0.div_ceil(place.max(1)) as usize).clamp(1, PLACES);
        let mut best = (0, f64::NEG_INFINITY);
        for (at, (from, until)) in self.events.iter().zip(self.events.iter().skip(length)).enumerate() {
            // Less is rounding.
            if until - from > best.1 * (1.0 + 1e-9) + 1e-9 {
                best = (at, until - from);
            }
        }
        let latest = self.window.lasts.0.saturating_sub(lasts.0);
        (Span(self.window.begins.0 + (place * best.0 as u64).min(latest)), best.1.max(0.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn horizon(events: impl Fn(f64) -> f64, lasts: Span) -> Horizon {
        let events = (0..=PLACES).map(|place| events(place as f64 / PLACES as f64)).collect();
        Horizon {
            window: Window::of(lasts),
            events,
            of_an_event: OnceLock::from(4.0),
            all: false,
            most: HAPPENINGS,
        }
    }

    #[test]
    fn little_is_run_whole_and_much_around_its_peak() {
        let hour = Span::from_secs(3_600);
        let flat = horizon(|at| 100_000.0 * at, hour);
        assert_eq!(flat.part(1.0), None);
        let part = flat.part(50.0).unwrap();
        assert_eq!((part.begins, part.rises), (Span::ZERO, Span::ZERO));
        assert!(part.lasts > Span::from_secs(600) && part.lasts < Span::from_secs(800), "{part:?}");
        assert_eq!(flat.part(1e6).unwrap().lasts, LASTS_MIN);
        // Nine of ten events come in the tenth around the middle.
        let peak = horizon(
            |at| match at {
                at if at < 0.45 => 10_000.0 * at / 0.9,
                at if at < 0.55 => 5_000.0 + 90_000.0 * (at - 0.45) * 10.0,
                at => 95_000.0 + 10_000.0 * (at - 0.55) / 0.9,
            },
            Span::from_secs(86_400),
        );
        let part = peak.part(50.0).unwrap();
        let (begins, ends) = (part.begins.0 as f64 / 86_400e6, part.ends().0 as f64 / 86_400e6);
        assert!(begins > 0.4 && ends < 0.6, "{part:?}");
        assert!(part.rises > Span::ZERO);
    }
}
