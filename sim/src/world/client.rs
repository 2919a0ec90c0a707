//! Who sends: arrivals, patience, retries with their budget, users that wait and think.

use std::collections::VecDeque;

use flyball_app::workload;
use flyball_core::{EventId, Fingerprint, Input, Keyed, KeyedCall, Name, Send, Span, TenantId, Time};

use super::{
    BEGINNING, CallerKey, Happening, RequestKey, Setting, World,
    invoke::{Caller, Who, caller_id},
    tally::Trouble,
};
use crate::{
    arrivals::Arrivals,
    guests::Arrived,
    message::{FunctionNo, Message, TenantNo, Verdict},
    plan::{Entrance, Plan, Platform, Problem},
    random::Random,
};

/// Whose patience.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Patient {
    Client,
    Gateway,
}

/// All sources.
#[derive(Debug)]
pub(crate) struct Senders {
    of: Vec<Sender>,
}

#[derive(Debug)]
struct Sender {
    arrivals: Arrivals,
    /// The next arrival: whose it is.
    next_tenant: u32,
    events_left: u64,
    client: Line,
    gateway: Line,
    budget: Option<Budget>,
    random: Random,
}

/// Requests in the order in which patience with them ends: it lasts the same for each.
#[derive(Debug, Default)]
struct Line {
    patience: Option<Span>,
    waiting: VecDeque<(Time, RequestKey, u32)>,
    armed: bool,
}

/// Tries after the first, against first tries, over the last seconds.
#[derive(Debug)]
struct Budget {
    share: f64,
    seconds: VecDeque<(u64, u64, u64)>,
}

/// How far back a retry budget looks, seconds.
const BUDGET_SECONDS: u64 = 10;

/// A client's request, from its first try to its end.
#[derive(Debug)]
pub(crate) struct Request {
    source: u32,
    message: Message,
    first: Time,
    /// Tries so far.
    tries: u32,
    /// A try is under way.
    under_way: bool,
    caller: Option<CallerKey>,
    user: bool,
    function: FunctionNo,
}

impl Request {
    /// The source's number.
    pub(super) fn source(&self) -> u32 {
        self.source
    }

    /// Whether somebody waits for this try.
    pub(super) fn waits_for(&self, tries: u32) -> bool {
        self.tries == tries && self.under_way
    }
}

impl Senders {
    pub(crate) fn new(plan: &Plan, setting: Setting) -> Result<Senders, Problem> {
        let mut of = Vec::new();
        for source in &plan.sources {
            let stated = &source.source;
            let name = source.label.clone();
            let arrivals = Arrivals::new(&name, stated, plan.window, setting.load, setting.seed);
            let arrivals = arrivals.map_err(|wrong| Problem {
                what: wrong.to_string(),
                help: "docs/simulate.md has all bounds".into(),
            })?;
            let gateway = match &source.entrance {
                Entrance::Call { gateway, .. } => gateway.as_ref().map(|gateway| gateway.timeout),
                _ => None,
            };
            of.push(Sender {
                arrivals,
                next_tenant: 0,
                events_left: stated.events_max.unwrap_or(u64::MAX),
                client: Line { patience: stated.client.timeout, ..Line::default() },
                gateway: Line { patience: gateway, ..Line::default() },
                budget: stated.client.retry_budget_percent.map(Budget::new),
                random: Random::of(setting.seed, &format!("clients {name}")),
            });
        }
        Ok(Senders { of })
    }
}

impl Senders {
    fn line(&mut self, number: u32, whose: Patient) -> Option<&mut Line> {
        let sender = self.of.get_mut(number as usize)?;
        Some(match whose {
            Patient::Client => &mut sender.client,
            Patient::Gateway => &mut sender.gateway,
        })
    }
}

impl Budget {
    fn new(percent: f64) -> Budget {
        Budget { share: percent / 100.0, seconds: VecDeque::new() }
    }

    fn second(&mut self, now: Time) -> &mut (u64, u64, u64) {
        let second = now.0 / 1_000_000;
        while self.seconds.front().is_some_and(|(at, ..)| at + BUDGET_SECONDS <= second) {
            self.seconds.pop_front();
        }
        if self.seconds.back().is_none_or(|(at, ..)| *at != second) {
            self.seconds.push_back((second, 0, 0));
        }
        let last = self.seconds.len() - 1;
        #[expect(clippy::indexing_slicing, reason = "one was just pushed, or was there")]
        &mut self.seconds[last]
    }

    fn first_try(&mut self, now: Time) {
        self.second(now).1 += 1;
    }

    /// Whether one more retry is within the budget; it counts if it is.
    fn allows(&mut self, now: Time) -> bool {
        self.second(now);
        let (first, again) = self.seconds.iter().fold((0, 0), |(f, a), (_, x, y)| (f + x, a + y));
        let allowed = ((again + 1) as f64) <= self.share * (first as f64);
        if allowed {
            self.second(now).2 += 1;
        }
        allowed
    }
}

/// The wait before a try: doubled each time, and drawn where there is jitter.
pub(super) fn pause(retry: &workload::Retry, tries: u32, random: &mut Random) -> Span {
    let doubled = retry.base.0.saturating_mul(1_u64.checked_shl(tries.min(40)).unwrap_or(u64::MAX));
    let most = retry.max.0.max(retry.base.0);
    let full = doubled.min(most);
    if retry.jitter && full > 0 { Span(random.below(full + 1)) } else { Span(full) }
}

impl World<'_> {
    pub(super) fn begin_sources(&mut self) {
        for number in 0..self.senders.of.len() as u32 {
            let Some(sender) = self.senders.of.get_mut(number as usize) else { continue };
            let Some(users) = sender.arrivals.users().cloned() else {
                self.next_arrival(number);
                continue;
            };
            for _ in 0..users.count {
                // They do not all come at once.
                let first = users.think.draw(&mut sender.random);
                self.agenda.put(BEGINNING.after(users.from).after(first), Happening::User(number));
            }
        }
    }

    fn next_arrival(&mut self, number: u32) {
        let Some(sender) = self.senders.of.get_mut(number as usize) else { return };
        if let Some(next) = sender.arrivals.next() {
            sender.next_tenant = next.tenant;
            self.agenda.put(BEGINNING.after(next.at), Happening::Arrival(number));
        }
    }

    /// An event of a source comes.
    pub(super) fn arrival(&mut self, number: u32) {
        let Some(sender) = self.senders.of.get(number as usize) else { return };
        let tenant = sender.next_tenant;
        self.next_arrival(number);
        self.send(number, self.tenant_from(number, tenant), false);
    }

    /// A user has thought, and sends.
    pub(super) fn user(&mut self, number: u32) {
        let now = self.now;
        let Some(sender) = self.senders.of.get_mut(number as usize) else { return };
        let until = sender.arrivals.users().map_or(Span::ZERO, |users| users.until);
        if now >= BEGINNING.after(until) || sender.events_left == 0 {
            return;
        }
        sender.events_left -= 1;
        let tenant = sender.arrivals.tenant();
        self.send(number, self.tenant_from(number, tenant), true);
    }

    fn tenant_from(&self, number: u32, tenant: u32) -> TenantNo {
        let first = self.plan.sources.get(number as usize).map_or(0, |source| source.first_tenant.0);
        TenantNo(first + tenant)
    }

    /// A request of a tenant that a source does not state.
    pub(super) fn send_of(&mut self, number: u32, tenant: u32) {
        self.send(number, TenantNo(tenant), false);
    }

    fn send(&mut self, number: u32, tenant: TenantNo, user: bool) {
        let plan = self.plan;
        let Some(source) = plan.sources.get(number as usize) else { return };
        let id = self.message_id();
        let message = Message {
            id,
            root: id,
            tenant,
            born: self.now,
            bytes: u32::try_from(source.source.event_bytes).unwrap_or(u32::MAX),
            items: source.source.items,
            hops: 0,
            receives: 0,
        };
        self.tally.arrival(self.now, number, message.tenant);
        if self.faults.is_some() {
            self.book_request(&message, number, true);
        }
        match &source.entrance {
            Entrance::Node(node) => {
                match self.faults.is_some() {
                    true => self.dispatch(None, *node, message, Span::ZERO),
                    false => self.send_on(None, *node, message),
                }
                self.tally.accepted(self.now, number);
                if user {
                    self.think(number);
                }
            }
            Entrance::Call { .. } | Entrance::Send { .. } => {
                let function = match source.entrance {
                    Entrance::Call { function, .. } => function,
                    _ => FunctionNo(u32::MAX),
                };
                let first = self.now;
                let request = Request {
                    source: number,
                    message,
                    first,
                    tries: 0,
                    under_way: false,
                    caller: None,
                    user,
                    function,
                };
                let key = self.requests.insert(request);
                self.attempt(key);
            }
        }
    }

    /// A client tries, for the first time or again.
    pub(super) fn attempt(&mut self, key: RequestKey) {
        let now = self.now;
        let Some(request) = self.requests.get_mut(key) else { return };
        request.tries += 1;
        request.under_way = true;
        let (tries, number, function) = (request.tries, request.source, request.function);
        let mut message = request.message;
        let Some(sender) = self.senders.of.get_mut(number as usize) else { return };
        if tries == 1
            && let Some(budget) = &mut sender.budget
        {
            budget.first_try(now);
        }
        for (whose, line) in [(Patient::Client, &mut sender.client), (Patient::Gateway, &mut sender.gateway)]
        {
            let Some(patience) = line.patience else { continue };
            let until = now.after(patience);
            line.waiting.push_back((until, key, tries));
            if !line.armed {
                line.armed = true;
                self.agenda.put(until, Happening::Patience(number, whose));
            }
        }
        if tries > 1 {
            // To those behind the gateway it is another request.
            message.id = self.message_id();
        }
        self.tally.attempt(now, number, tries);
        let who = Who::Request(key, tries);
        if self.faults.is_none() {
            self.submit(who, message, number, function);
            return;
        }
        if tries > 1 {
            self.book_request(&message, number, false);
        }
        if self.put_off(key, tries, message) {
            return;
        }
        self.submit(who, message, number, function);
        if self.faults.as_mut().is_some_and(|faults| faults.twice()) {
            let message = Message { id: self.message_id(), ..message };
            self.book_request(&message, number, false);
            self.submit(Who::Nobody, message, number, function);
        }
    }

    /// Where a request comes in, if somebody still waits for it.
    pub(super) fn source_of(&self, key: RequestKey) -> Option<(u32, FunctionNo)> {
        self.requests.get(key).map(|request| (request.source, request.function))
    }

    /// A request reaches the platform.
    pub(super) fn submit(&mut self, who: Who, message: Message, number: u32, function: FunctionNo) {
        let plan = self.plan;
        let Some(source) = plan.sources.get(number as usize) else { return };
        let keyed = source.source.client.keyed && plan.platform == Platform::Flyball;
        let caller = match &source.entrance {
            Entrance::Send { target, attributes } => {
                let (mut attributes, body) = match self.arrived(number, message) {
                    Some(Arrived { attributes, body }) => (attributes, body),
                    None => (attributes.clone(), self.store.body(message.bytes)),
                };
                let mut copies = 0;
                if self.faults.is_some() {
                    // The books know a request by this.
                    attributes.subject = Some(message.root.to_string());
                    let routes = plan.application.route_event(target, &attributes);
                    copies = routes.map_or(0, |routes| routes.len() as u32);
                }
                let caller =
                    Caller { who, function: None, message, batch: Vec::new(), copies, verdict: None };
                if self.is_down() {
                    self.tell(caller, Verdict::Refused("FE1010"));
                    return;
                }
                let caller = self.callers.insert(caller);
                let tenant = self.engine_tenant(message.tenant);
                let send = Send {
                    caller: caller_id(caller),
                    tenant,
                    target: target.clone(),
                    attributes,
                    body,
                    delay: Span::ZERO,
                    key: keyed.then(|| self.keyed(tenant, target, message.root)),
                    want_result: false,
                };
                if let Who::Request(key, tries) = who
                    && let Some(request) = self.requests.get_mut(key)
                    && request.tries == tries
                    && request.under_way
                {
                    request.caller = Some(caller);
                }
                self.step(Input::Send(Box::new(send)));
                return;
            }
            Entrance::Call { metered: true, .. } if self.turns_away(who, message, number, function) => return,
            _ => {
                let key = if keyed { self.keyed_call(function, message, number) } else { None };
                self.call(function, who, message, Vec::new(), key)
            }
        };
        if let Who::Request(key, tries) = who
            && let Some(request) = self.requests.get_mut(key)
            && request.tries == tries
            && request.under_way
        {
            request.caller = caller;
        }
    }

    /// What makes a call durable that carries an idempotency key.
    fn keyed_call(&mut self, function: FunctionNo, message: Message, number: u32) -> Option<KeyedCall> {
        let inbox = Name::inbox_of(&self.plan.functions.get(function.0 as usize)?.name);
        let (mut attributes, body) = match self.arrived(number, message) {
            Some(Arrived { attributes, body }) => (attributes, body),
            None => (crate::plan::request_attributes(), self.store.body(message.bytes)),
        };
        if self.faults.is_some() {
            // The books know a request by this.
            attributes.subject = Some(message.root.to_string());
        }
        let keyed = self.keyed(self.engine_tenant(message.tenant), &inbox, message.root);
        Some(KeyedCall { keyed, attributes, body })
    }

    /// An idempotency key, looked up as a driver does it.
    fn keyed(&self, tenant: TenantId, target: &str, request: u64) -> Keyed {
        let id = EventId::keyed(tenant, target, &request.to_string());
        let now = self.faults.as_ref().map_or(self.now, |faults| faults.time(self.now));
        Keyed {
            id,
            fingerprint: Fingerprint::of(&[&request.to_le_bytes()]),
            as_of: self.engine.settled_mark(),
            found: self.store.settled(self.engine.buckets(now), id),
        }
    }

    /// Nobody waits for a try any more: what runs goes on and ends unheard.
    fn lost_patience(&mut self, key: RequestKey, trouble: Trouble) {
        let caller = self.requests.get(key).and_then(|request| request.caller);
        if let Some(caller) = caller
            && self.plan.platform == Platform::Flyball
            && self.callers.remove(caller).is_some()
        {
            self.step(Input::Abandon(caller_id(caller)));
        }
        self.try_failed(key, trouble);
    }

    /// The gateway or the function has answered.
    pub(super) fn request_answered(&mut self, key: RequestKey, tries: u32, verdict: Verdict) {
        let now = self.now;
        match self.requests.get(key) {
            // Nobody waits for it any more.
            None => {}
            Some(request) if request.tries != tries || !request.under_way => {}
            Some(_) if verdict == Verdict::Done => {
                if let Some(request) = self.requests.remove(key) {
                    self.tally.answered(now, request.source, now.since(request.first));
                    self.request_over(&request);
                }
            }
            Some(request) => {
                if let Verdict::Throttled(limit) = &verdict {
                    self.tally.refused(request.source, limit);
                }
                self.try_failed(key, Trouble::of(&verdict));
            }
        }
    }

    /// A try has come to nothing: the next, or the end.
    fn try_failed(&mut self, key: RequestKey, trouble: Trouble) {
        let now = self.now;
        let Some(request) = self.requests.get_mut(key) else { return };
        let Some(source) = self.plan.sources.get(request.source as usize) else { return };
        let Some(sender) = self.senders.of.get_mut(request.source as usize) else { return };
        let retry = &source.source.client.retry;
        request.under_way = false;
        request.caller = None;
        self.tally.try_failed(now, request.source, trouble);
        let within = request.tries <= retry.times;
        if within && sender.budget.as_mut().is_none_or(|budget| budget.allows(now)) {
            let pause = pause(retry, request.tries - 1, &mut sender.random);
            self.after(pause, Happening::Retry(key));
            return;
        }
        if let Some(request) = self.requests.remove(key) {
            self.tally.failed(now, request.source, request.message.tenant, trouble);
            self.request_over(&request);
        }
    }

    /// At the end: what has waited no longer than twice the slowest answer may still get one.
    pub(super) fn count_open(&mut self) {
        for request in self.requests.values() {
            let Some(books) = self.tally.sources.get_mut(request.source as usize) else { continue };
            let lately = books.latency.max().0.saturating_mul(2);
            if self.now.since(request.first).0 <= lately {
                books.open_lately += 1;
            }
        }
    }

    fn request_over(&mut self, request: &Request) {
        if request.user {
            self.think(request.source);
        }
    }

    fn think(&mut self, number: u32) {
        let Some(sender) = self.senders.of.get_mut(number as usize) else { return };
        if let Some(users) = sender.arrivals.users() {
            let pause = users.think.draw(&mut sender.random);
            self.after(pause, Happening::User(number));
        }
    }

    /// Patience ends with those that have waited for so long.
    pub(super) fn patience(&mut self, number: u32, whose: Patient) {
        let now = self.now;
        loop {
            let requests = &self.requests;
            let Some(line) = self.senders.line(number, whose) else { return };
            let stale = |key: RequestKey, tries: u32| {
                requests.get(key).is_none_or(|request| request.tries != tries || !request.under_way)
            };
            let Some(&(until, key, tries)) = line.waiting.front() else {
                line.armed = false;
                return;
            };
            if !stale(key, tries) && until > now {
                self.agenda.put(until, Happening::Patience(number, whose));
                return;
            }
            line.waiting.pop_front();
            if !stale(key, tries) {
                let trouble = match whose {
                    Patient::Client => Trouble::ClientTimeout,
                    Patient::Gateway => Trouble::GatewayTimeout,
                };
                self.lost_patience(key, trouble);
            }
        }
    }
}
