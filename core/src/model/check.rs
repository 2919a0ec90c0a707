//! Whether an application holds together. Every problem is found at once, each with the place in the
//! application it belongs to; the reader knows file and line of that place.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    ops::Deref,
};

use super::{
    Application, Delivery, Destination, Function, Limits, RATE_PER_SECOND_MAX, RouteMode, TenantFrom,
};
use crate::{Name, Span, record::BODY_BYTES_MAX};

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Keys from the root of the application file, e.g. `["function", "scan", "grants", "emit"]`.
    pub place: Vec<String>,
    /// What is wrong, with the value and the limit.
    pub message: String,
    /// What to do.
    pub help: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} ({})", self.place.join("."), self.message, self.help)
    }
}

/// An application in which every reference leads somewhere and every limit can be kept.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Checked(Application);

impl Checked {
    /// The application, to be changed and checked again.
    pub fn into_application(self) -> Application {
        self.0
    }
}

impl Deref for Checked {
    type Target = Application;
    fn deref(&self) -> &Application {
        &self.0
    }
}

impl Application {
    /// Checks all of it.
    ///
    /// # Errors
    /// Every problem there is, in the order of the application.
    pub fn check(self) -> Result<Checked, Vec<Problem>> {
        let mut found = Problems(Vec::new());
        if self.functions.is_empty() {
            found.add(vec!["function".into()], "there is no function".into(), "declare one: [function.NAME]");
        }
        for function in self.functions.values() {
            self.check_function(function, &mut found);
        }
        self.check_targets(&mut found);
        self.check_routes(&mut found);
        self.check_tenants(&mut found);
        self.check_guarantees(&mut found);
        self.check_platform(&mut found);
        if found.0.is_empty() { Ok(Checked(self)) } else { Err(found.0) }
    }

    fn check_function(&self, function: &Function, found: &mut Problems) {
        let name = function.name.as_str();
        let at = |rest: &[&str]| place("function", name, rest);
        let most = self.limits.timeout_max;
        if function.timeout == Span::ZERO || function.timeout > most {
            found.add(
                at(&["timeout"]),
                format!(
                    "the timeout is {} ms; it must be above 0 and at most {} minutes",
                    function.timeout.as_millis(),
                    most.0 / 60_000_000
                ),
                "split longer work into events",
            );
        }
        if !(1 << 20..=4 << 30).contains(&function.memory_bytes_max) {
            found.add(
                at(&["memory"]),
                format!(
                    "the memory is {} bytes; it must lie between 1 MiB and 4 GiB",
                    function.memory_bytes_max
                ),
                "64 MiB is enough for most functions",
            );
        }
        check_limits(&at(&[]), &function.limits, found);
        check_limits(&at(&["per_tenant"]), &function.per_tenant, found);
        for (tenant, limits) in &function.for_tenants {
            check_limits(&at(&["for_tenant", tenant]), limits, found);
        }
        check_delivery(&at(&["inbox"]), &function.inbox, function.timeout, found);
        let targets: Vec<&Name> =
            self.queues.keys().chain(self.topics.keys()).chain(self.buses.keys()).collect();
        for target in &function.grants.emit {
            if !targets.contains(&target) {
                found.add(
                    at(&["grants", "emit"]),
                    format!(
                        "function {name} is granted to emit to {target}, which is no queue, topic or bus"
                    ),
                    nearest(target, targets.iter().map(|n| n.as_str()), "declare it, or remove the grant"),
                );
            }
        }
    }

    fn check_targets(&self, found: &mut Problems) {
        let mut seen: BTreeMap<&Name, &str> = BTreeMap::new();
        let all = [
            ("queue", self.queues.keys().collect::<Vec<_>>()),
            ("topic", self.topics.keys().collect()),
            ("bus", self.buses.keys().collect()),
        ];
        for (kind, names) in all {
            for name in names {
                if let Some(other) = seen.insert(name, kind) {
                    found.add(
                        place(kind, name, &[]),
                        format!(
                            "{name} is the name of a {other} already; functions emit to all of them by name"
                        ),
                        "give one of them another name",
                    );
                }
            }
        }
        for queue in self.queues.values() {
            let at = place("queue", &queue.name, &["function"]);
            // Without the function only what depends on its timeout can't be checked.
            let timeout = self.functions.get(&queue.function).map_or(Span::ZERO, |f| f.timeout);
            if !self.functions.contains_key(&queue.function) {
                self.no_function(at, &queue.function, found);
            }
            check_delivery(&place("queue", &queue.name, &[]), &queue.delivery, timeout, found);
        }
        for topic in self.topics.values() {
            let at = place("topic", &topic.name, &["subscribers"]);
            let mut once = BTreeSet::new();
            for to in &topic.subscribers {
                self.check_destination(&at, to, found);
                if !once.insert(to.queue()) {
                    let to = to.queue();
                    found.add(at.clone(), format!("{to} subscribes twice"), "remove one of the two");
                }
            }
        }
        for bus in self.buses.values() {
            for rule in bus.rules.values() {
                self.check_destination(
                    &place("bus", &bus.name, &["rule", &rule.name, "to"]),
                    &rule.to,
                    found,
                );
            }
        }
    }

    fn check_destination(&self, at: &[String], to: &Destination, found: &mut Problems) {
        match to {
            Destination::Function(name) if !self.functions.contains_key(name) => {
                self.no_function(at.to_vec(), name, found);
            }
            Destination::Queue(name) if !self.queues.contains_key(name) => found.add(
                at.to_vec(),
                format!("there is no queue {name}"),
                nearest(name, self.queues.keys().map(Name::as_str), "declare it"),
            ),
            _ => {}
        }
    }

    fn no_function(&self, at: Vec<String>, name: &Name, found: &mut Problems) {
        found.add(
            at,
            format!("there is no function {name}"),
            nearest(name, self.functions.keys().map(Name::as_str), "declare it"),
        );
    }

    fn check_routes(&self, found: &mut Problems) {
        let mut seen: BTreeSet<(String, &str)> = BTreeSet::new();
        for (index, route) in self.routes.iter().enumerate() {
            let at = |key: &str| place("route", &index.to_string(), &[key]);
            if !self.functions.contains_key(&route.function) {
                self.no_function(at("function"), &route.function, found);
            }
            if let Err(message) = check_path(&route.path) {
                let help = "write `/literal/{one}/{rest...}`";
                found.add(at("path"), message, help);
                continue;
            }
            if route.tenant == TenantFrom::Path && !route.path.split('/').any(|s| s == "{tenant}") {
                found.add(
                    at("path"),
                    format!("the tenant is to come from the path, but {} has no {{tenant}}", route.path),
                    "add the segment {tenant}, or take the tenant from the key",
                );
            }
            let shape: String = route.path.split('/').map(shape_of).collect::<Vec<_>>().join("/");
            let methods: Vec<&str> = if route.methods.is_empty() {
                vec!["*"]
            } else {
                route.methods.iter().map(String::as_str).collect()
            };
            for method in methods {
                if !seen.insert((shape.clone(), method)) {
                    found.add(
                        at("path"),
                        format!("an earlier route has the same path and method: {method} {}", route.path),
                        "remove one of the two, or give them different methods",
                    );
                }
            }
            if route.mode == RouteMode::Async && self.limits.request_bytes_max < self.limits.event_bytes_max {
                found.add(
                    at("mode"),
                    format!(
                        "requests have at most {} bytes, events {}",
                        self.limits.request_bytes_max, self.limits.event_bytes_max
                    ),
                    "raise limits.request_bytes_max",
                );
            }
        }
    }

    fn check_tenants(&self, found: &mut Problems) {
        let all = self.tenants.iter().map(|(name, t)| (place("tenant", name, &[]), t));
        for (at, tenant) in all.chain([(vec!["tenant_defaults".to_string()], &self.tenant_defaults)]) {
            check_limits(&at, &tenant.limits, found);
            if !(1..=10_000).contains(&tenant.weight) {
                found.add(
                    join(&at, &["weight"]),
                    format!("the weight is {}; it must lie between 1 and 10,000", tenant.weight),
                    "100 is the usual share",
                );
            }
        }
        if self.tenant_defaults.limits.concurrency.guarantee > 0 {
            found.add(
                vec!["tenant_defaults".into(), "concurrency".into(), "guarantee".into()],
                "a guarantee for every tenant there may ever be can't be kept".into(),
                "give guarantees to single tenants, by [tenant.NAME]",
            );
        }
    }

    /// The sums of engine.md: what is never lent must exist.
    fn check_guarantees(&self, found: &mut Problems) {
        let cap = u64::from(self.limits.limits.concurrency.cap);
        let tenants: u64 = self.tenants.values().map(|t| u64::from(t.limits.concurrency.guarantee)).sum();
        let functions: u64 = self.functions.values().map(|f| u64::from(f.limits.concurrency.guarantee)).sum();
        if tenants + functions >= cap {
            found.add(
                vec!["limits".into(), "concurrency".into(), "cap".into()],
                format!(
                    "guarantees of tenants ({tenants}) and functions ({functions}) add up to {}; the cap of {cap} must \
                     be above, or those without a guarantee would never run",
                    tenants + functions
                ),
                "raise the cap or lower the guarantees",
            );
        }
        for function in self.functions.values() {
            let name = function.name.as_str();
            if function.per_tenant.concurrency.guarantee > 0 {
                found.add(
                    place("function", name, &["per_tenant", "concurrency", "guarantee"]),
                    "a guarantee for every tenant there may ever be can't be kept".into(),
                    "give it to single tenants, by [function.NAME.for_tenant.TENANT]",
                );
            }
            let sum: u64 = function.for_tenants.values().map(|l| u64::from(l.concurrency.guarantee)).sum();
            if sum > u64::from(function.limits.concurrency.cap) {
                found.add(
                    place("function", name, &["concurrency", "cap"]),
                    format!(
                        "guarantees of single tenants add up to {sum}, above the function's cap of {}",
                        function.limits.concurrency.cap
                    ),
                    "raise the cap or lower the guarantees",
                );
            }
        }
        let mut by_tenant: BTreeMap<&Name, u64> = BTreeMap::new();
        for (tenant, limits) in self.functions.values().flat_map(|f| &f.for_tenants) {
            *by_tenant.entry(tenant).or_default() += u64::from(limits.concurrency.guarantee);
        }
        for (tenant, sum) in by_tenant {
            let own = self.limits_of(tenant).limits.concurrency.guarantee;
            if sum > u64::from(own) {
                found.add(
                    place("tenant", tenant, &["concurrency", "guarantee"]),
                    format!("its guarantees at single functions add up to {sum}, above its own of {own}"),
                    "raise the tenant's guarantee or lower those at functions",
                );
            }
        }
    }

    fn check_platform(&self, found: &mut Problems) {
        let limits = &self.limits;
        check_limits(&["limits".to_string()], &limits.limits, found);
        let at = |key: &str| vec!["limits".to_string(), key.to_string()];
        let cap = limits.limits.concurrency.cap;
        if cap > 100_000 {
            found.add(
                join(&at("concurrency"), &["cap"]),
                format!("the platform's cap is {cap}; at most 100,000 slots fit one machine"),
                "1,000 is the default",
            );
        }
        if limits.long_concurrency_max == 0 || limits.long_concurrency_max > cap {
            found.add(
                at("long_concurrency_max"),
                format!(
                    "long functions share {} slots; it must be 1 to the platform's cap of {cap}",
                    limits.long_concurrency_max
                ),
                "half of the cap is the default",
            );
        }
        if !(1..=256).contains(&limits.hops_max) {
            found.add(
                at("hops_max"),
                format!("the hop budget is {}; it must be 1 to 256", limits.hops_max),
                "16 is the default",
            );
        }
        if limits.commit_wait_max < Span::from_millis(100) {
            found.add(
                at("commit_wait_max"),
                format!(
                    "a commit may take {} ms; it must be 100 ms or more",
                    limits.commit_wait_max.as_millis()
                ),
                "10s is the default",
            );
        }
        if limits.crashes_max < 2 {
            found.add(
                at("crashes_max"),
                format!("crashes_max is {}; it must be 2 to 255", limits.crashes_max),
                "3 is the default: one crash does not tell which of all that ran was to blame",
            );
        }
        if limits.result_retention < Span::from_secs(60) {
            found.add(
                at("result_retention"),
                format!(
                    "results are kept {} ms; it must be a minute or more",
                    limits.result_retention.as_millis()
                ),
                "24h is the default",
            );
        }
        let invocation = &limits.invocation;
        for (place, least, bytes) in [
            (at("event_bytes_max"), 1_024, limits.event_bytes_max),
            (at("request_bytes_max"), 1_024, limits.request_bytes_max),
            (join(&at("invocation"), &["value_bytes_max"]), 1, invocation.value_bytes_max),
            (join(&at("invocation"), &["result_bytes_max"]), 1, invocation.result_bytes_max),
        ] {
            if !(least..=BODY_BYTES_MAX).contains(&bytes) {
                found.add(
                    place,
                    format!("{bytes} bytes; it must lie between {least} bytes and 15 MiB"),
                    "larger bodies are blobs, sent by reference",
                );
            }
        }
    }
}

struct Problems(Vec<Problem>);

impl Problems {
    fn add(&mut self, place: Vec<String>, message: String, help: impl Into<String>) {
        self.0.push(Problem { place, message, help: help.into() });
    }
}

fn place(kind: &str, name: &str, rest: &[&str]) -> Vec<String> {
    join(&[kind.to_string(), name.to_string()], rest)
}

fn join(at: &[String], rest: &[&str]) -> Vec<String> {
    at.iter().cloned().chain(rest.iter().map(ToString::to_string)).collect()
}

fn check_limits(at: &[String], limits: &Limits, found: &mut Problems) {
    let concurrency = limits.concurrency;
    if concurrency.cap == 0 {
        found.add(
            join(at, &["concurrency", "cap"]),
            "a cap of 0 would let nothing run".into(),
            "1 or more, or leave it out",
        );
    }
    if concurrency.guarantee > concurrency.cap {
        found.add(
            join(at, &["concurrency", "guarantee"]),
            format!("the guarantee of {} is above the cap of {}", concurrency.guarantee, concurrency.cap),
            "lower the guarantee or raise the cap",
        );
    }
    if let Some(rate) = limits.rate
        && (!(1..=RATE_PER_SECOND_MAX).contains(&rate.per_second) || rate.burst == 0)
    {
        found.add(
            join(at, &["rate"]),
            format!(
                "{} a second with a burst of {}; it must be 1 to {RATE_PER_SECOND_MAX}, the burst 1 or more",
                rate.per_second, rate.burst
            ),
            "leave the rate out for none",
        );
    }
}

fn check_delivery(at: &[String], delivery: &Delivery, timeout: Span, found: &mut Problems) {
    if !(1..=1_000).contains(&delivery.batch_max) {
        found.add(
            join(at, &["batch_max"]),
            format!("a batch of {}; it must be 1 to 1,000", delivery.batch_max),
            "10 is usual",
        );
    }
    if delivery.attempts_max == 0 {
        found.add(join(at, &["attempts_max"]), "0 attempts would run nothing".into(), "3 is usual");
    }
    if delivery.waiting_max == 0 {
        found.add(
            join(at, &["waiting_max"]),
            "a queue where nothing may wait refuses everything".into(),
            "leave it out for the default",
        );
    }
    if delivery.visibility < timeout {
        found.add(
            join(at, &["visibility"]),
            format!(
                "the visibility timeout of {} ms is shorter than the function's timeout of {} ms: \
                 a run that is not over would be run again",
                delivery.visibility.as_millis(),
                timeout.as_millis()
            ),
            "leave it out: it follows the timeout",
        );
    }
    if delivery.retry_base > delivery.retry_max {
        found.add(
            join(at, &["retry"]),
            format!(
                "the first wait of {} ms is above the longest of {} ms",
                delivery.retry_base.as_millis(),
                delivery.retry_max.as_millis()
            ),
            "lower retry.base or raise retry.max",
        );
    }
}

fn check_path(path: &str) -> Result<(), String> {
    let Some(rest) = path.strip_prefix('/') else {
        return Err(format!("the path {path:?} does not start with '/'"));
    };
    let mut names = BTreeSet::new();
    let segments: Vec<&str> = rest.split('/').collect();
    for (index, segment) in segments.iter().enumerate() {
        let inner = segment.strip_prefix('{').and_then(|s| s.strip_suffix('}'));
        let name = match inner.map(|name| (name, name.strip_suffix("..."))) {
            None if segment.contains(['{', '}']) => {
                return Err(format!("the segment {segment:?} is neither literal nor {{name}}"));
            }
            None => continue,
            Some((_, Some(_))) if index + 1 != segments.len() => {
                return Err(format!("{segment} takes the rest of the path, so it must be last"));
            }
            Some((_, Some(name))) | Some((name, None)) => name,
        };
        if name.is_empty() || !names.insert(name) {
            return Err(format!("the parameter {segment} is empty or stands twice"));
        }
    }
    Ok(())
}

/// Two patterns of one shape would match the same paths.
fn shape_of(segment: &str) -> &str {
    match (segment.starts_with('{'), segment.ends_with("...}")) {
        (true, true) => "{...}",
        (true, false) => "{}",
        _ => segment,
    }
}

/// A suggestion: the name that was probably meant, or else `otherwise`.
pub fn nearest<'a>(wrong: &str, names: impl Iterator<Item = &'a str>, otherwise: &str) -> String {
    names
        .map(|name| (distance(wrong, name), name))
        .min()
        .filter(|(far, name)| *far <= 1 + name.len() / 4)
        .map_or_else(|| otherwise.to_string(), |(_, name)| format!("did you mean {name}?"))
}

/// Edits between two short texts (Levenshtein), in one row.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        for (cell, cb) in row.iter_mut().skip(1).zip(&b) {
            let best = (diagonal + usize::from(ca != *cb)).min(left + 1).min(*cell + 1);
            diagonal = std::mem::replace(cell, best);
            left = best;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or(0)
}
