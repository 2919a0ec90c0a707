//! The load: an application of realistic size, tenants that differ, and what they send.

use std::{collections::BTreeMap, sync::Arc};

use flyball_core::{
    Attributes, Body, Call, CallerId, EventId, Fingerprint, Input, Keyed, Name, Send, Span, Tenant, TenantId,
    model::{
        Application, Bus, Concurrency, Delivery, Destination, Function, Grants, Limits, Pattern,
        PlatformLimits, Queue, Rate, Rule, Shared, TenantLimits, Topic,
    },
};

/// Invocations that may run at once.
pub const SLOTS: u32 = 1_000;

/// Numbers that look random and are the same in each run (SplitMix64).
pub struct Numbers(pub u64);

impl Numbers {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Below `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.next() % end.max(1)
    }

    /// With this chance in a hundred.
    pub fn percent(&mut self, chance: u64) -> bool {
        self.below(100) < chance
    }
}

pub fn name(text: &str) -> Name {
    Name::new(text).expect("the names below are good ones")
}

pub fn cap(cap: u32) -> Limits {
    Limits { concurrency: Concurrency { cap, guarantee: 0 }, rate: None }
}

fn delivery(batch_max: u32, batch_window: Span) -> Delivery {
    Delivery {
        batch_max,
        batch_window,
        delay: Span::ZERO,
        visibility: Span::from_secs(180),
        attempts_max: 4,
        retry_base: Span::from_millis(100),
        retry_max: Span::from_secs(10),
        waiting_max: 10_000_000,
    }
}

pub fn function(text: &str, limits: Limits, per_tenant: Limits, timeout: Span, emit: &[&str]) -> Function {
    Function {
        name: name(text),
        component: format!("{text}.wasm"),
        timeout,
        memory_bytes_max: 64 << 20,
        limits,
        per_tenant,
        for_tenants: BTreeMap::new(),
        grants: Grants { emit: emit.iter().map(|e| name(e)).collect(), ..Grants::default() },
        config: BTreeMap::new(),
        inbox: delivery(1, Span::ZERO),
    }
}

pub fn queue(text: &str, consumer: &str, batch_max: u32, window: Span) -> Queue {
    Queue { name: name(text), function: name(consumer), delivery: delivery(batch_max, window) }
}

/// Declared queues that tenants send to, and functions that they call.
const TARGETS: [&str; 6] = ["orders", "images", "invoices", "mails", "order-events", "audit"];
const CALLED: [&str; 3] = ["checkout", "price-quote", "search-query"];

/// Nine functions, five queues, a topic and a bus; caps of a function and of a tenant's share of it,
/// a rate, and a long function. What a function is bound to lies above what it is offered on average:
/// where it did not, all that is outstanding would come to wait for that one, and the slots stand empty.
pub fn application() -> Shared {
    let short = Span::from_secs(10);
    let free = Limits::default();
    let rate = |per_second, burst| Some(Rate { per_second, burst });
    let functions = [
        function("checkout", free, cap(4), short, &["order-events"]),
        function("price-quote", cap(400), cap(2), short, &[]),
        function("search-query", free, free, Span::from_secs(5), &[]),
        function("thumbnail-render", cap(400), cap(1), Span::from_secs(30), &["index-updates"]),
        function("invoice-create", free, free, short, &[]),
        function("mail-send", Limits { rate: rate(200_000, 100), ..cap(500) }, cap(2), short, &[]),
        function("search-index", free, cap(1), short, &[]),
        function("audit-append", free, free, short, &[]),
        function("report-monthly", free, cap(1), Span::from_secs(120), &[]),
    ];
    let queues = [
        queue("orders", "checkout", 1, Span::ZERO),
        queue("images", "thumbnail-render", 1, Span::ZERO),
        queue("invoices", "invoice-create", 10, Span::ZERO),
        queue("mails", "mail-send", 10, Span::from_millis(5)),
        queue("index-updates", "search-index", 10, Span::ZERO),
    ];
    let subscribers = vec![Destination::Function(name("audit-append")), Destination::Queue(name("mails"))];
    let topic = Topic { name: name("order-events"), subscribers };
    let rule = |text: &str, kind: &str, to: &str| Rule {
        name: name(text),
        pattern: Pattern { kind: vec![kind.into()], ..Pattern::default() },
        to: Destination::Function(name(to)),
    };
    let rules = [
        rule("everything", "com.example.*", "audit-append"),
        rule("monthly", "com.example.month-ended", "report-monthly"),
    ];
    let bus = Bus { name: name("audit"), rules: rules.map(|r| (r.name.clone(), r)).into() };
    let application = Application {
        name: name("shop"),
        functions: functions.map(|f| (f.name.clone(), f)).into(),
        queues: queues.map(|q| (q.name.clone(), q)).into(),
        topics: [(topic.name.clone(), topic)].into(),
        buses: [(bus.name.clone(), bus)].into(),
        routes: Vec::new(),
        limits: PlatformLimits {
            limits: cap(SLOTS),
            waiting_events_max: 10_000_000,
            waiting_calls_max: 1_000_000,
            ..PlatformLimits::default()
        },
        tenant_defaults: TenantLimits::default(),
        tenants: BTreeMap::new(),
    };
    Arc::new(application.check().expect("this application holds together"))
}

/// The tenants: one in ten is ten times as important as its cap lets it be, one in 25 has a rate.
pub fn tenants(count: u32) -> impl Iterator<Item = Input> {
    (0..count).map(move |id| {
        let heavy = id % 10 == 3;
        let rate = Rate { per_second: (160_000 / count).max(1), burst: 4 };
        let limits = TenantLimits {
            limits: Limits { rate: (id % 25 == 7).then_some(rate), ..cap(if heavy { 2 } else { 20 }) },
            weight: if heavy { 1_000 } else { 100 },
            ..TenantLimits::default()
        };
        let name = name(&format!("customer-{id:06}"));
        Input::SetTenant(Tenant { id: TenantId(id), name, limits, enabled: true })
    })
}

pub fn attributes(numbers: &mut Numbers) -> Attributes {
    let kind = if numbers.percent(1) { "com.example.month-ended" } else { "com.example.order-placed" };
    Attributes {
        kind: kind.into(),
        source: "/shop/eu-west".into(),
        subject: numbers.percent(50).then(|| format!("order/{}", numbers.below(1_000_000))),
        content_type: "application/json".into(),
    }
}

/// What a tenant sends next: one in five is a synchronous call; of the events one in twenty is delayed and
/// one in twenty has an idempotency key.
pub fn arrival(caller: CallerId, tenant: TenantId, settled_mark: u64, numbers: &mut Numbers) -> Input {
    if numbers.percent(20) {
        let function = CALLED[numbers.below(CALLED.len() as u64) as usize];
        return Input::Call(Call { caller, tenant, function: name(function), key: None });
    }
    let target = TARGETS[numbers.below(TARGETS.len() as u64) as usize];
    let key = numbers.percent(5).then(|| Keyed {
        id: EventId::keyed(tenant, target, &format!("order-{}", numbers.next())),
        fingerprint: Fingerprint(numbers.next()),
        as_of: settled_mark,
        found: None,
    });
    Input::Send(Box::new(Send {
        caller,
        tenant,
        target: target.into(),
        attributes: attributes(numbers),
        body: Body::from(&br#"{"order":1234567,"items":[{"sku":"A-1","quantity":2}]}"#[..]),
        delay: if numbers.percent(5) { Span::from_millis(20) } else { Span::ZERO },
        key,
        want_result: false,
    }))
}
