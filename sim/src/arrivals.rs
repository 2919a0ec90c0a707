//! When events come in, and whose they are: one after the other, never all at once.
//!
//! - [`Arrivals`]: the events of one source, in the order of time. - [`Users`]: what is known of users that wait for
//!   their answers; the world drives them. - `rate`: how many events there are by when. - `recorded`: those of a
//!   trace. - [`TenantDraw`]: whose.

mod rate;
mod recorded;
mod tenants;
#[cfg(test)]
mod tests;

use flyball_app::workload::{self, Source, Volume};
use flyball_core::Span;

pub use self::tenants::TenantDraw;
use self::{
    rate::{Cumulated, Cursor},
    recorded::Slots,
};
use crate::{lasting::Sampler, random::Random};

/// Events of one source in one run at most: more would take hours and show nothing that fewer do not.
pub const EVENTS_PER_RUN_MAX: u64 = 1_000_000_000;
/// The longest run.
pub const DURATION_MAX: Span = Span::from_secs(workload::DAYS_MAX * 24 * 3_600);

/// Which part of the stated traffic's time comes in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Window {
    /// What is before is left out; the simulation begins here.
    pub begins: Span,
    /// How long it lasts.
    pub lasts: Span,
    /// At its beginning the traffic rises from nothing for so long, so that what it meets is not all cold at once.
    pub rises: Span,
    /// How long the stated traffic lasts: over this a ramp goes that has no end of its own.
    pub whole: Span,
}

impl Window {
    /// All of it.
    pub const fn of(whole: Span) -> Window {
        Window { begins: Span::ZERO, lasts: whole, rises: Span::ZERO, whole }
    }

    /// Its end, in the stated traffic's time.
    pub const fn ends(self) -> Span {
        Span(self.begins.0.saturating_add(self.lasts.0))
    }
}

/// One event that comes in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arrival {
    /// When, after the beginning of the simulation. Never before the one that came before it.
    pub at: Span,
    /// Whose: a place among the source's own tenants.
    pub tenant: u32,
    /// Which series of a trace it belongs to; 0 where there is no trace.
    pub series: u32,
}

/// Users that send, wait for the answer, think, and send again.
#[derive(Debug, Clone, PartialEq)]
pub struct Users {
    /// How many, after scaling.
    pub count: u32,
    /// How long each thinks.
    pub think: Sampler,
    /// When they begin, after the beginning of the simulation.
    pub from: Span,
    /// When they end.
    pub until: Span,
}

/// Why a source can't be simulated.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ArrivalsError {
    /// More events than a run may have.
    #[error(
        "traffic `{name}`: {expected:.3e} events in one run, and at most {EVENTS_PER_RUN_MAX} are simulated; \
         shorten `duration`, lower the rate, or set `events_max`"
    )]
    Events {
        /// The source.
        name: String,
        /// How many there would be.
        expected: f64,
    },
    /// A longer time than is simulated.
    #[error(
        "traffic `{name}`: a run of {days} days, and at most {} days are simulated; shorten `duration`",
        workload::DAYS_MAX
    )]
    Duration {
        /// The source.
        name: String,
        /// How long it would be, days.
        days: u64,
    },
    /// A number out of its bounds, or points that do not ascend.
    #[error("traffic `{name}`: {what} is {value}, and must be {bounds}")]
    Value {
        /// The source.
        name: String,
        /// Which number.
        what: &'static str,
        /// What it is.
        value: f64,
        /// What it may be.
        bounds: &'static str,
    },
    /// Files that were not read before.
    #[error("traffic `{name}`: its trace was not read")]
    Unread {
        /// The source.
        name: String,
    },
}

/// The events of one source: an iterator in the order of time, that ends.
#[derive(Debug, Clone)]
pub struct Arrivals {
    origin: Origin,
    tenants: TenantDraw,
    /// When events come.
    when: Random,
    /// Whose they are. Apart, so that other tenants change no times.
    whose: Random,
    /// Events still to come at most.
    left: u64,
    expected: f64,
    peak_per_s: f64,
    window: Window,
    /// The source is over, in the stated traffic's time.
    until: Span,
    /// Which of the first events come, while the traffic rises.
    rising: Random,
}

#[derive(Debug, Clone)]
enum Origin {
    Rate(Box<Rated>),
    Recorded(Box<Slots>),
    Users(Users),
}

/// Arrivals by a rate.
#[derive(Debug, Clone)]
struct Rated {
    cumulated: Cumulated,
    cursor: Cursor,
    arrivals: workload::Arrivals,
    /// How many events there should have been until now, beginning at zero.
    reached: f64,
    /// How many there should have been when the source began.
    begin: f64,
    /// How many there should have been when the source ends.
    end: f64,
    /// Events of the same moment still to come.
    burst_left: u32,
    now: Span,
}

impl Arrivals {
    /// The events of a source within a part of its time. `scale` multiplies rates, counts and users, unless the
    /// source is not scaled; `events_max` and the shape in time stay. Everything follows from `seed` and `name`.
    ///
    /// # Errors
    /// Where a number is out of its bounds, or there would be more than [`EVENTS_PER_RUN_MAX`] events.
    pub fn new(
        name: &str,
        source: &Source,
        window: Window,
        scale: f64,
        seed: u64,
    ) -> Result<Arrivals, ArrivalsError> {
        let wrong = |what, value, bounds| ArrivalsError::Value { name: name.into(), what, value, bounds };
        if window.ends() > DURATION_MAX {
            let days = window.ends().0 / Span::from_secs(24 * 3_600).0;
            return Err(ArrivalsError::Duration { name: name.into(), days });
        }
        let scale = if source.scaled { scale } else { 1.0 };
        if !(scale.is_finite() && scale >= 0.0) {
            return Err(wrong("the load", scale, "0 or more"));
        }
        let whole = source.until.unwrap_or(window.whole).min(window.whole).max(source.from);
        let until = whole.min(window.ends()).max(source.from);
        let from = source.from.max(window.begins).min(until);
        let (origin, expected, peak_per_s) = match &source.volume {
            Volume::PerSecond(rate) if !(rate.is_finite() && *rate >= 0.0) => {
                return Err(wrong("the rate", *rate, "0 or more"));
            }
            Volume::PerSecond(rate) => rated(source, rate * scale, whole, (from, until))
                .map_err(|(what, value, bounds)| wrong(what, value, bounds))?,
            Volume::Recorded(recorded) => {
                let mut slots = Slots::new(recorded, source.arrivals, source.from, scale)
                    .map_err(|(what, value, bounds)| wrong(what, value, bounds))?;
                slots.skip_to(from);
                let (expected, peak) = (slots.expected(until), slots.peak_per_s());
                (Origin::Recorded(Box::new(slots)), expected, peak)
            }
            Volume::Users { count, think } => {
                let count =
                    users(*count, scale).map_err(|(what, value, bounds)| wrong(what, value, bounds))?;
                let within = |at: Span| Span(at.0.saturating_sub(window.begins.0));
                let users =
                    Users { count, think: Sampler::new(think), from: within(from), until: within(until) };
                (Origin::Users(users), 0.0, 0.0)
            }
            Volume::Trace(_) => return Err(ArrivalsError::Unread { name: name.into() }),
        };
        let left = source.events_max.unwrap_or(EVENTS_PER_RUN_MAX).min(EVENTS_PER_RUN_MAX);
        #[expect(clippy::cast_precision_loss, reason = "below 2⁵³")]
        let capped = if source.events_max.is_some() { expected.min(left as f64) } else { expected };
        #[expect(clippy::cast_precision_loss, reason = "below 2⁵³")]
        if !capped.is_finite() || capped > EVENTS_PER_RUN_MAX as f64 {
            return Err(ArrivalsError::Events { name: name.into(), expected });
        }
        let tenants =
            TenantDraw::new(&source.tenants).map_err(|(what, value, bounds)| wrong(what, value, bounds))?;
        let (when, whose) = (format!("arrivals.{name}.when"), format!("arrivals.{name}.whose"));
        let (when, whose) = (Random::of(seed, &when), Random::of(seed, &whose));
        let rising = Random::of(seed, &format!("arrivals.{name}.rising"));
        Ok(Arrivals {
            origin,
            tenants,
            when,
            whose,
            left,
            expected: capped,
            peak_per_s,
            window,
            until,
            rising,
        })
    }

    /// How many events are expected in all. 0 for users: that depends on the answers.
    pub const fn expected(&self) -> f64 {
        self.expected
    }

    /// The highest rate, events a second: of a trace, over one of its slots. 0 for users.
    pub const fn peak_per_s(&self) -> f64 {
        self.peak_per_s
    }

    /// The users, where the source has some: there are no arrivals then.
    pub const fn users(&self) -> Option<&Users> {
        match &self.origin {
            Origin::Users(users) => Some(users),
            Origin::Rate(_) | Origin::Recorded(_) => None,
        }
    }

    /// Draws a tenant: whose a user is.
    pub fn tenant(&mut self) -> u32 {
        self.tenants.draw(&mut self.whose)
    }

    /// Whose an event can be: how many tenants the source has.
    pub const fn tenants(&self) -> u32 {
        self.tenants.count()
    }
}

impl Iterator for Arrivals {
    type Item = Arrival;

    fn next(&mut self) -> Option<Arrival> {
        if self.left == 0 {
            return None;
        }
        loop {
            let next = match &mut self.origin {
                Origin::Rate(rated) => rated.next(&mut self.when).map(|at| (at, 0)),
                Origin::Recorded(slots) => slots.next(&mut self.when),
                Origin::Users(_) => None,
            };
            let Some((at, series)) = next.filter(|(at, _)| *at < self.until) else {
                self.left = 0;
                return None;
            };
            let Some(at) = at.0.checked_sub(self.window.begins.0).map(Span) else { continue };
            if at < self.window.rises && self.rising.unit() * seconds(self.window.rises) >= seconds(at) {
                continue;
            }
            self.left -= 1;
            return Some(Arrival { at, tenant: self.tenants.draw(&mut self.whose), series });
        }
    }
}

impl Arrivals {
    /// How many events are expected in a part of the stated traffic's time. Of users, how many there are, times
    /// seconds.
    pub fn expected_within(&self, from: Span, until: Span) -> f64 {
        let until = until.min(self.until);
        if until <= from {
            return 0.0;
        }
        match &self.origin {
            Origin::Rate(rated) => {
                let at = |at| rated.cumulated.at(seconds(at)).clamp(rated.begin, rated.end);
                at(until) - at(from)
            }
            Origin::Recorded(slots) => slots.expected(until) - slots.expected(from),
            Origin::Users(users) => f64::from(users.count) * (seconds(until) - seconds(from)),
        }
    }
}

impl Rated {
    fn next(&mut self, random: &mut Random) -> Option<Span> {
        if self.burst_left > 0 {
            self.burst_left -= 1;
            return Some(self.now);
        }
        self.reached += match self.arrivals {
            workload::Arrivals::Poisson => random.exponential_unit(),
            workload::Arrivals::Constant => 1.0,
            workload::Arrivals::Bursts { size } => {
                self.burst_left = size.saturating_sub(1);
                random.exponential_unit() * f64::from(size.max(1))
            }
        };
        if self.reached >= self.end {
            return None;
        }
        let at = span_down(self.cumulated.time_of(self.reached, &mut self.cursor));
        self.now = self.now.max(at);
        Some(self.now)
    }
}

/// What is wrong with a number: which one, what it is, what it may be.
type Wrong = (&'static str, f64, &'static str);

fn rated(
    source: &Source,
    rate: f64,
    whole: Span,
    (from, until): (Span, Span),
) -> Result<(Origin, f64, f64), Wrong> {
    let cumulated = Cumulated::new(&source.shape, rate, seconds(source.from), seconds(whole))?;
    let (begin, end) = (cumulated.at(seconds(from)), cumulated.at(seconds(until)));
    let peak = cumulated.peak();
    // The first of events at equal distances comes after half a distance.
    let ahead = if source.arrivals == workload::Arrivals::Constant { 0.5 } else { 0.0 };
    let rated = Rated {
        cumulated,
        cursor: Cursor::default(),
        arrivals: source.arrivals,
        reached: begin - ahead,
        begin,
        end,
        burst_left: 0,
        now: from,
    };
    Ok((Origin::Rate(Box::new(rated)), end - begin, peak))
}

fn users(count: u32, scale: f64) -> Result<u32, Wrong> {
    let scaled = (f64::from(count) * scale + 0.5).floor();
    if scaled > f64::from(workload::USERS_MAX) {
        return Err(("the number of users", scaled, "1,000,000 or less"));
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 1,000,000")]
    Ok(scaled as u32)
}

#[expect(clippy::cast_precision_loss, reason = "not before 285 years of microseconds")]
fn seconds(span: Span) -> f64 {
    span.0 as f64 / 1e6
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates")]
fn span_down(seconds: f64) -> Span {
    Span((seconds * 1e6) as u64)
}
