//! The lane's time: it never goes back and never stands still, whatever the wall clock does.

use std::time::{Duration, Instant};

use flyball_core::{Span, Time};

/// A clock that follows the wall clock forwards. Where that is put back, it goes on by the steady clock
/// until it is overtaken again, so that deadlines neither stop coming nor come twice.
#[derive(Debug)]
pub(super) struct Clock {
    base: Time,
    since: Instant,
}

impl Clock {
    pub(super) fn starting_at(base: Time) -> Clock {
        Clock { base, since: Instant::now() }
    }

    /// The time now.
    pub(super) fn now(&mut self) -> Time {
        self.tell(Instant::now(), super::wall_clock())
    }

    /// Never tells less than `time` from here on.
    pub(super) fn at_least(&mut self, time: Time) {
        let now = self.now();
        *self = Clock { base: now.max(time), since: Instant::now() };
    }

    fn tell(&mut self, instant: Instant, wall: Time) -> Time {
        let steady = self.base.after(span(instant.saturating_duration_since(self.since)));
        if wall > steady {
            *self = Clock { base: wall, since: instant };
        }
        steady.max(wall)
    }
}

/// A duration in the engine's unit.
pub(super) fn span(duration: Duration) -> Span {
    Span(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wall_clock_that_is_put_back_stops_nothing() {
        let start = Instant::now();
        let after = |millis| start + Duration::from_millis(millis);
        let mut clock = Clock { base: Time(5_000_000), since: start };
        assert_eq!(clock.tell(after(1), Time(5_000_900)), Time(5_001_000));
        assert_eq!(clock.tell(after(2), Time(9_000_000)), Time(9_000_000), "put forward");
        assert_eq!(clock.tell(after(5), Time(1_000)), Time(9_003_000), "put back");
        assert_eq!(clock.tell(after(6), Time(9_002_000)), Time(9_004_000), "behind still");
        assert_eq!(clock.tell(after(6), Time(9_004_001)), Time(9_004_001), "overtaken");
    }
}
