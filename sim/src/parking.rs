//! Where messages stay: dead letters, queues that other systems read.

use flyball_core::Time;

use crate::message::{Ask, Message, Part, Verdict};

/// Nobody takes anything from it.
#[derive(Debug, Default)]
pub(crate) struct Parking {
    kept: u64,
    oldest: Option<Time>,
}

impl Part for Parking {
    fn arrive(&mut self, now: Time, _message: Message, _asks: &mut Vec<Ask>) {
        self.kept += 1;
        self.oldest.get_or_insert(now);
    }

    fn wake(&mut self, _now: Time, _token: u64, _asks: &mut Vec<Ask>) {}

    fn answered(&mut self, _now: Time, _token: u64, _verdict: Verdict, _asks: &mut Vec<Ask>) {}

    fn waiting(&self) -> u64 {
        self.kept
    }

    fn in_flight(&self) -> u64 {
        0
    }

    fn oldest(&self) -> Option<Time> {
        self.oldest
    }
}
