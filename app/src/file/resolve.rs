//! Defaults, and what a key that is left out takes over from elsewhere.

use std::collections::{BTreeMap, BTreeSet};

use flyball_core::{
    Name, Span,
    model::{
        Application, Bus, Concurrency, Delivery, Destination, Function, Grants, InvocationLimits, Limits,
        Pattern, PlatformLimits, Queue, Rate, Route, RouteMode, Rule, TenantFrom, TenantLimits, Topic,
    },
};

use crate::file::{
    Code, SourceMap,
    reader::{Named, Reader},
    shape,
    values::{Reference, Text},
};

/// A function's timeout, where the file says none.
const TIMEOUT: Span = Span::from_secs(30);
/// A function's memory, where the file says none.
const MEMORY_BYTES: u64 = 64 << 20;
/// How much longer than the timeout a started event stays hidden.
const VISIBILITY_BEYOND: Span = Span::from_secs(30);

/// The application that a file declares. What is missing or wrong was reported; it is left out or empty.
pub(crate) fn application(file: shape::File, sources: &SourceMap, reader: &mut Reader) -> Application {
    let name = file.application.0.and_then(|a| a.name.0).map(|Reference(name)| name);
    let limits = file.limits.map(platform).unwrap_or_default();
    let tenant_defaults = tenant(file.tenant_defaults.unwrap_or_default(), &TenantLimits::default());
    let functions = functions(file.functions);
    let timeout_of = |name: &Name| functions.get(name).map_or(TIMEOUT, |f: &Function| f.timeout);
    let queues = named(file.queues, |name, queue: shape::Queue| {
        let function = queue.function.0.as_ref().map(|Reference(name)| name.clone());
        // Only after a finding; a name keeps the rest readable.
        let function = function.unwrap_or_else(|| name.clone());
        let delivery = delivery(of_queue(queue), timeout_of(&function), 10);
        Queue { name: name.clone(), function, delivery }
    });
    let topics = named(file.topics, |name, topic: shape::Topic| {
        let at = |index: usize| {
            vec!["topic".to_string(), name.to_string(), "subscribers".into(), index.to_string()]
        };
        let subscribers = topic.subscribers.0.unwrap_or_default().into_iter().enumerate();
        let subscribers =
            subscribers.filter_map(|(index, to)| destination(to, &at(index), sources, reader)).collect();
        Topic { name: name.clone(), subscribers }
    });
    let buses = named(file.buses, |bus_name, bus: shape::Bus| {
        let mut rules = BTreeMap::new();
        for (name, rule) in bus.rules.map(|rules| rules.0).unwrap_or_default() {
            let at = ["bus", bus_name, "rule", &name, "to"].map(str::to_string);
            let Some(to) = rule.to.0.and_then(|to| destination(to, &at, sources, reader)) else { continue };
            rules.insert(name.clone(), Rule { name, pattern: pattern(rule.pattern.unwrap_or_default()), to });
        }
        Bus { name: bus_name.clone(), rules }
    });
    let routes = file.routes.unwrap_or_default().into_iter().map(route).collect();
    let tenants = named(file.tenants, |_, own: shape::Tenant| tenant(own, &tenant_defaults));
    Application {
        // Missing only after a finding: what is read then goes nowhere.
        name: name.unwrap_or_else(Name::unnamed),
        functions,
        queues,
        topics,
        buses,
        routes,
        limits,
        tenant_defaults,
        tenants,
    }
}

fn named<S, T>(tables: Option<Named<S>>, mut each: impl FnMut(&Name, S) -> T) -> BTreeMap<Name, T> {
    let tables = tables.map(|tables| tables.0).unwrap_or_default();
    tables
        .into_iter()
        .map(|(name, table)| {
            let made = each(&name, table);
            (name, made)
        })
        .collect()
}

fn functions(tables: Option<Named<shape::Function>>) -> BTreeMap<Name, Function> {
    named(tables, |name, function: shape::Function| {
        let timeout = function.timeout.map_or(TIMEOUT, |d| d.0);
        Function {
            name: name.clone(),
            component: function.component.0.map(|Text(path)| path).unwrap_or_default(),
            timeout,
            memory_bytes_max: function.memory.map_or(MEMORY_BYTES, |s| s.0),
            limits: limits(function.concurrency, function.rate, Limits::default()),
            per_tenant: function.per_tenant.map(level).unwrap_or_default(),
            for_tenants: named(function.for_tenant, |_, own| level(own)),
            grants: function.grants.map(grants).unwrap_or_default(),
            config: function.config.map(|c| c.0).unwrap_or_default(),
            inbox: delivery(function.inbox.unwrap_or_default(), timeout, 1),
        }
    })
}

fn level(own: shape::Level) -> Limits {
    limits(own.concurrency, own.rate, Limits::default())
}

fn limits(concurrency: Option<shape::Concurrency>, rate: Option<shape::Rate>, or: Limits) -> Limits {
    let concurrency = concurrency.map_or(or.concurrency, |own| Concurrency {
        cap: own.cap.map_or(or.concurrency.cap, |c| c.0),
        guarantee: own.guarantee.map_or(or.concurrency.guarantee, |c| c.0),
    });
    let rate = rate.and_then(|own| {
        let per_second = own.per_second.0?.0;
        Some(Rate { per_second, burst: own.burst.map_or(per_second.max(1), |c| c.0) })
    });
    Limits { concurrency, rate: rate.or(or.rate) }
}

fn platform(own: shape::Limits) -> PlatformLimits {
    let or = PlatformLimits::default();
    let limits = limits(own.concurrency, own.rate, or.limits);
    PlatformLimits {
        limits,
        timeout_max: or.timeout_max,
        long_timeout: own.long_timeout.map_or(or.long_timeout, |d| d.0),
        long_concurrency_max: own.long_concurrency_max.map_or((limits.concurrency.cap / 2).max(1), |c| c.0),
        hops_max: own.hops_max.map_or(or.hops_max, |c| c.0),
        event_bytes_max: own.event_bytes_max.map_or(or.event_bytes_max, |s| s.0),
        request_bytes_max: own.request_bytes_max.map_or(or.request_bytes_max, |s| s.0),
        waiting_events_max: own.waiting_events_max.map_or(or.waiting_events_max, |c| c.0),
        waiting_calls_max: own.waiting_calls_max.map_or(or.waiting_calls_max, |c| c.0),
        call_wait_max: own.call_wait_max.map_or(or.call_wait_max, |d| d.0),
        commit_wait_max: own.commit_wait_max.map_or(or.commit_wait_max, |d| d.0),
        result_retention: own.result_retention.map_or(or.result_retention, |d| d.0),
        // Above 255 the check of the model could not say so: these are as many as there can be.
        conflicts_max: own.conflicts_max.map_or(or.conflicts_max, |c| u8::try_from(c.0).unwrap_or(u8::MAX)),
        crashes_max: own.crashes_max.map_or(or.crashes_max, |c| u8::try_from(c.0).unwrap_or(u8::MAX)),
        traced_events_max: own.traced_events_max.map_or(or.traced_events_max, |c| c.0),
        invocation: own.invocation.map(invocation).unwrap_or_default(),
    }
}

fn invocation(own: shape::Invocation) -> InvocationLimits {
    let or = InvocationLimits::default();
    InvocationLimits {
        emits_max: own.emits_max.map_or(or.emits_max, |c| c.0),
        emitted_bytes_max: own.emitted_bytes_max.map_or(or.emitted_bytes_max, |s| s.0),
        delay_max: own.delay_max.map_or(or.delay_max, |d| d.0),
        key_bytes_max: or.key_bytes_max,
        value_bytes_max: own.value_bytes_max.map_or(or.value_bytes_max, |s| s.0),
        keys_max: own.keys_max.map_or(or.keys_max, |c| c.0),
        listed_keys_max: own.listed_keys_max.map_or(or.listed_keys_max, |c| c.0),
        blob_bytes_max: own.blob_bytes_max.map_or(or.blob_bytes_max, |s| s.0),
        http_calls_max: own.http_calls_max.map_or(or.http_calls_max, |c| c.0),
        log_lines_max: own.log_lines_max.map_or(or.log_lines_max, |c| c.0),
        log_line_bytes_max: own
            .log_line_bytes_max
            .map_or(or.log_line_bytes_max, |s| u32::try_from(s.0).unwrap_or(u32::MAX)),
        result_bytes_max: own.result_bytes_max.map_or(or.result_bytes_max, |s| s.0),
    }
}

fn tenant(own: shape::Tenant, or: &TenantLimits) -> TenantLimits {
    TenantLimits {
        limits: limits(own.concurrency, own.rate, or.limits),
        weight: own.weight.map_or(or.weight, |c| c.0),
        waiting_events_max: own.waiting_events_max.map_or(or.waiting_events_max, |c| c.0),
        waiting_calls_max: own.waiting_calls_max.map_or(or.waiting_calls_max, |c| c.0),
        remembered_max: own.remembered_max.map_or(or.remembered_max, |c| c.0),
    }
}

fn grants(own: shape::Grants) -> Grants {
    Grants {
        emit: own.emit.unwrap_or_default().into_iter().map(|Reference(name)| name).collect(),
        kv: named(own.kv, |_, access| access.0),
        blobs: own.blobs.map(|access| access.0),
        secrets: own.secrets.unwrap_or_default().into_iter().map(|Text(name)| name).collect(),
        http: own.http.unwrap_or_default().into_iter().map(|host| host.0).collect::<BTreeSet<_>>(),
    }
}

fn of_queue(queue: shape::Queue) -> shape::Delivery {
    let shape::Queue { batch_max, batch_window, delay, visibility, attempts_max, retry, waiting_max, .. } =
        queue;
    shape::Delivery { batch_max, batch_window, delay, visibility, attempts_max, retry, waiting_max }
}

fn delivery(own: shape::Delivery, timeout: Span, batch_max: u32) -> Delivery {
    let retry = own.retry.unwrap_or_default();
    Delivery {
        batch_max: own.batch_max.map_or(batch_max, |c| c.0),
        batch_window: own.batch_window.map_or(Span::ZERO, |d| d.0),
        delay: own.delay.map_or(Span::ZERO, |d| d.0),
        visibility: own.visibility.map_or(Span(timeout.0.saturating_add(VISIBILITY_BEYOND.0)), |d| d.0),
        attempts_max: own.attempts_max.map_or(3, |c| c.0),
        retry_base: retry.base.map_or(Span::from_secs(1), |d| d.0),
        retry_max: retry.max.map_or(Span::from_secs(300), |d| d.0),
        waiting_max: own.waiting_max.map_or(1_000_000, |c| c.0),
    }
}

fn pattern(own: shape::Match) -> Pattern {
    let texts =
        |list: Option<Vec<Text>>| list.unwrap_or_default().into_iter().map(|Text(text)| text).collect();
    Pattern { kind: texts(own.kind), source: texts(own.source), subject: texts(own.subject) }
}

fn destination(
    to: shape::To,
    at: &[String],
    sources: &SourceMap,
    reader: &mut Reader,
) -> Option<Destination> {
    match (to.queue, to.function) {
        (Some(Reference(name)), None) => Some(Destination::Queue(name)),
        (None, Some(Reference(name))) => Some(Destination::Function(name)),
        (both, _) => {
            let message = match both {
                Some(_) => "a destination is a queue or a function, not both",
                None => "a destination names a queue or a function",
            };
            let help = "write { queue = \"name\" } or { function = \"name\" }";
            reader.add_at(Code::BadValue, at, sources, message.into(), help.into());
            None
        }
    }
}

/// A route that could not be read has a place too: what is found later is known by its index.
fn route(own: shape::Route) -> Route {
    Route {
        path: own.path.0.map(|Text(path)| path).unwrap_or_default(),
        methods: own.methods.unwrap_or_default().into_iter().map(|method| method.0).collect(),
        function: own.function.0.map_or_else(Name::unnamed, |Reference(name)| name),
        mode: own.mode.map_or(RouteMode::Sync, |mode| mode.0),
        tenant: own.tenant.map_or(TenantFrom::Key, |from| from.0),
    }
}
