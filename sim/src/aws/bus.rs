//! EventBridge: a bus, with rules that hand events to targets; and schedules, that make events.

#[cfg(test)]
mod tests;

use flyball_app::{
    design::Target,
    profile::{Limit, Profile},
};
use flyball_core::{Span, Time};

use super::{
    rate::{Bucket, Pace},
    rows,
    target::{RetryPolicy, TargetPolicy},
};
use crate::{
    message::{Ask, Message, NodeNo, Part, TenantNo, Verdict, spread},
    used::{Meter, PartLimit, Used},
};

/// The numbers of a bus.
#[derive(Debug, Clone, PartialEq)]
pub struct BusPolicy {
    /// Its rules.
    pub rules: Vec<RulePolicy>,
    /// Events that are taken in a second; more are refused. Row `bus.put_per_s`, of the account. That a
    /// second's worth may come at once is an assumption.
    pub puts_per_s: u32,
    /// Targets that are invoked in a second; more wait. Row `bus.invocations_per_s`, of the account: with
    /// several buses each has all of it.
    pub invocations_per_s: u32,
}

/// A rule.
#[derive(Debug, Clone, PartialEq)]
pub struct RulePolicy {
    /// How likely an event matches, 0 to 1: patterns are not evaluated, so that this is stated or an
    /// assumption.
    pub share: f64,
    /// Where matching events go, each to all.
    pub targets: Vec<TargetPolicy>,
}

impl BusPolicy {
    /// A bus with these rules.
    pub fn of(profile: &Profile, rules: Vec<RulePolicy>) -> BusPolicy {
        BusPolicy {
            rules,
            puts_per_s: rows::count(profile, Limit::BusPutPerS, 10_000),
            invocations_per_s: rows::count(profile, Limit::BusInvocationsPerS, 18_750),
        }
    }
}

/// A target of a rule or schedule as the design states it. `dead`: its dead letters, where they are
/// simulated.
pub fn target(profile: &Profile, target: &Target, to: NodeNo, dead: Option<NodeNo>) -> TargetPolicy {
    let retries = rows::count(profile, Limit::BusRetriesDefault, 185);
    let age = rows::seconds(profile, Limit::BusAgeDefault, 86_400);
    let retries_max = rows::stated_count(&target.retries_max, retries);
    let age_max = rows::stated_seconds(&target.age_max_s, age);
    let kept = target.dead_letters.stated() == Some(&true) || dead.is_some();
    let retry = RetryPolicy::Bus { retries_max, age_max };
    TargetPolicy { to, share: 1.0, retry, dead: kept.then_some(dead) }
}

/// A copy was not taken: by the policy of the first target that leads there.
fn again<'a>(
    mut targets: impl Iterator<Item = &'a TargetPolicy>,
    by: NodeNo,
    message: Message,
    asks: &mut Vec<Ask>,
) {
    match targets.find(|target| target.to == by) {
        Some(target) => target.refused(message, asks),
        None => asks.push(Ask::Dropped { message, why: "refused" }),
    }
}

/// See the module's text.
#[derive(Debug)]
pub struct Bus {
    policy: BusPolicy,
    puts: Bucket,
    invocations: Pace,
    taken: Meter,
    handed_on: Meter,
}

impl Bus {
    /// A bus.
    pub fn new(policy: BusPolicy) -> Bus {
        let puts = Bucket::new(u64::from(policy.puts_per_s), u64::from(policy.puts_per_s));
        let invocations = Pace::new(u64::from(policy.invocations_per_s));
        let taken = Meter::rate(policy.puts_per_s, policy.puts_per_s);
        let handed_on = Meter::rate(policy.invocations_per_s, policy.invocations_per_s);
        Bus { policy, puts, invocations, taken, handed_on }
    }
}

impl Part for Bus {
    fn arrive(&mut self, now: Time, message: Message, asks: &mut Vec<Ask>) {
        if !self.puts.take(now, 1) {
            self.taken.refuse(now);
            asks.push(Ask::Refused { message, why: "rate" });
            return;
        }
        self.taken.took(now, 1);
        let mut place = 0;
        for (rule, number) in self.policy.rules.iter().zip(1_u64..) {
            // One draw for the rule: all its targets or none.
            let draw = (message.spread(number << 32) >> 11) as f64 / (1_u64 << 53) as f64;
            let matches = draw < rule.share;
            for target in &rule.targets {
                place += 1;
                if matches && target.wants(&message, place) {
                    let delay = self.invocations.delay(now);
                    if delay > Span::ZERO {
                        self.handed_on.delay(now);
                    }
                    self.handed_on.took(now.after(delay), 1);
                    // What counts a chain's invocations does not travel through a bus.
                    let copy = Message { hops: 0, ..message.copy(place) };
                    asks.push(Ask::Deliver { to: target.to, message: copy, delay });
                }
            }
        }
        asks.push(Ask::Done { message });
    }

    fn wake(&mut self, _now: Time, _token: u64, _asks: &mut Vec<Ask>) {}

    fn answered(&mut self, _now: Time, _token: u64, _verdict: Verdict, _asks: &mut Vec<Ask>) {}

    fn refused(&mut self, _now: Time, by: NodeNo, message: Message, asks: &mut Vec<Ask>) {
        again(self.policy.rules.iter().flat_map(|rule| &rule.targets), by, message, asks);
    }

    fn used(&self) -> Vec<Used> {
        vec![self.taken.used(PartLimit::Intake), self.handed_on.used(PartLimit::Output)]
    }

    fn waiting(&self) -> u64 {
        0
    }

    fn in_flight(&self) -> u64 {
        0
    }
}

/// The numbers of a schedule.
#[derive(Debug, Clone, PartialEq)]
pub struct SchedulePolicy {
    /// From one event to the next. The shortest time between two runs that the expression allows.
    pub interval: Span,
    /// Where each event goes.
    pub targets: Vec<TargetPolicy>,
    /// Whose they are.
    pub tenant: TenantNo,
    /// An event's size, bytes.
    pub event_bytes: u32,
    /// Makes the ids of its events unlike those of others.
    pub salt: u64,
}

/// A schedule: the first event one interval after the beginning.
#[derive(Debug)]
pub struct Schedule {
    policy: SchedulePolicy,
    fired: u64,
}

impl Schedule {
    /// A schedule.
    pub fn new(policy: SchedulePolicy) -> Schedule {
        Schedule { policy, fired: 0 }
    }

    fn later(&self, now: Time, asks: &mut Vec<Ask>) {
        let interval = Span(self.policy.interval.0.max(1_000_000));
        asks.push(Ask::Wake { at: now.after(interval), token: 0 });
    }
}

impl Part for Schedule {
    fn begin(&mut self, now: Time, asks: &mut Vec<Ask>) {
        self.later(now, asks);
    }

    fn arrive(&mut self, _now: Time, message: Message, asks: &mut Vec<Ask>) {
        asks.push(Ask::Dropped { message, why: "refused" });
    }

    fn wake(&mut self, now: Time, _token: u64, asks: &mut Vec<Ask>) {
        self.fired += 1;
        // The highest bit keeps them apart from ids that are counted.
        let id = spread(self.policy.salt ^ spread(self.fired)) | (1 << 63);
        let (tenant, bytes) = (self.policy.tenant, self.policy.event_bytes);
        let message = Message { id, root: id, tenant, born: now, bytes, items: 1, hops: 0, receives: 0 };
        for (target, place) in self.policy.targets.iter().zip(1..) {
            asks.push(Ask::Deliver { to: target.to, message: message.copy(place), delay: Span::ZERO });
        }
        self.later(now, asks);
    }

    fn answered(&mut self, _now: Time, _token: u64, _verdict: Verdict, _asks: &mut Vec<Ask>) {}

    fn refused(&mut self, _now: Time, by: NodeNo, message: Message, asks: &mut Vec<Ask>) {
        again(self.policy.targets.iter(), by, message, asks);
    }

    fn waiting(&self) -> u64 {
        0
    }

    fn in_flight(&self) -> u64 {
        0
    }
}
