//! From the file's tables to the [`Workload`]: defaults, and what keys mean together.

use std::collections::BTreeMap;

use flyball_core::{Name, Span};

use super::{
    ACTS_PER_RUN_MAX, Assumed, DEPENDENCIES_MAX, FILTERS_MAX, FUNCTIONS_MAX, PROMISES_MAX, SOURCES_MAX,
    STEPS_MAX,
    lasting::in_words,
    shape,
    step::{RETRY_MAX, retry},
    values::{PassingShare, Words},
};
use crate::{
    Code, SourceMap,
    file::reader::{Need, Reader},
    workload::{
        Act, Arrivals, Assert, Behaviour, Client, Dependency, Environments, Expect, Growth, Lasting, Real,
        Sent, Shape, Source, Step, Store, Tenants, TraceFiles, Volume, Workload,
    },
};

/// The size of an event that says none, bytes.
const EVENT_BYTES: u64 = 1_024;
/// How long a user thinks, where the file does not say.
const THINK: Span = Span::from_secs(1);
/// A client's wait before it tries again, where the file says none.
const CLIENT_RETRY_BASE: Span = Span::from_secs(1);
/// Mebibytes are what the workload counts memory in.
const MIB: f64 = 1_048_576.0;

struct Resolve<'r> {
    sources: &'r SourceMap,
    reader: &'r mut Reader,
    assumed: Vec<Assumed>,
}

/// What the file says, with defaults, and which those are.
pub(crate) fn workload(file: shape::File, sources: &SourceMap, reader: &mut Reader) -> Workload {
    let mut all = Resolve { sources, reader, assumed: Vec::new() };
    let traffic_found = file.traffic.0.is_some();
    let named = file.traffic.0.map(|named| named.0).unwrap_or_default();
    if traffic_found && named.is_empty() {
        let message = "`traffic` names no place: nothing comes in".into();
        all.wrong(Code::MissingKey, &["traffic"], message, "add a table such as [traffic.ORDERS]");
    }
    all.at_most(named.len(), SOURCES_MAX, "traffic");
    let functions = file.functions.map(|named| named.0).unwrap_or_default();
    all.at_most(functions.len(), FUNCTIONS_MAX, "function");
    let dependencies = file.dependencies.map(|named| named.0).unwrap_or_default();
    all.at_most(dependencies.len(), DEPENDENCIES_MAX, "dependency");
    let (expects, asserts) = (file.expects.unwrap_or_default(), file.asserts.unwrap_or_default());
    all.at_most(expects.len(), PROMISES_MAX, "expect");
    all.at_most(asserts.len(), PROMISES_MAX, "assert");
    let filters = file.filters.map(|named| named.0).unwrap_or_default();
    all.at_most(filters.values().map(|to| to.0.len()).sum(), FILTERS_MAX, "filter");
    let real = file.real.map(|real| all.real(real)).unwrap_or_default();
    let mut workload = Workload {
        real,
        duration: file.duration.map(|duration| duration.0),
        environments: file.environments.map(environments).unwrap_or_default(),
        store: Store { commit: file.store.and_then(|store| store.commit).map(|commit| commit.0) },
        filters: filters.into_iter().map(|(from, to)| (from, shares(to.0))).collect(),
        expects: (0..)
            .zip(expects)
            .filter_map(|(n, own)| expect(own, stated_at(sources, "expect", n)))
            .collect(),
        asserts: (0..)
            .zip(asserts)
            .filter_map(|(n, own)| assert(own, stated_at(sources, "assert", n)))
            .collect(),
        ..Workload::default()
    };
    for (name, source) in named {
        let source = all.source(&name, source, workload.duration);
        workload.traffic.extend(source.map(|source| (name, source)));
    }
    workload.duration = workload.duration.or_else(|| all.day(&workload));
    let items = workload.traffic.values().map(|source| source.items).max().unwrap_or(1);
    for (name, function) in functions {
        let behaviour = all.function(&name, function, items);
        workload.functions.insert(name, behaviour);
    }
    for (name, dependency) in dependencies {
        let dependency = all.dependency(&name, dependency);
        workload.dependencies.extend(dependency.map(|dependency| (name, dependency)));
    }
    workload.assumed = all.assumed;
    workload
}

fn shares(to: BTreeMap<String, PassingShare>) -> BTreeMap<String, f64> {
    to.into_iter().map(|(name, share)| (name, share.0)).collect()
}

impl Resolve<'_> {
    fn wrong(&mut self, code: Code, place: &[&str], message: String, help: &str) {
        let place: Vec<String> = place.iter().map(|key| (*key).to_string()).collect();
        self.reader.add_at(code, &place, self.sources, message, help.into());
    }

    /// Where a file says no duration and its traffic has days: the longest of them, or its peak would not be seen.
    fn day(&mut self, workload: &Workload) -> Option<Span> {
        let traced = |source: &Source| matches!(source.volume, Volume::Trace(_));
        if workload.traffic.values().any(traced) || self.sources.has(&["duration"]) {
            return None;
        }
        let day = |source: &Source| match source.shape {
            Shape::Diurnal { period, .. } => Some(period),
            _ => None,
        };
        let longest = workload.traffic.values().filter_map(day).max()?;
        self.assume(&["duration"], format!("{:?}", in_words(longest)));
        Some(longest)
    }

    fn at_most(&mut self, many: usize, most: usize, key: &str) {
        if many > most {
            let message = format!("there are {many} of `{key}`; at most {most} are read");
            self.wrong(Code::TooLarge, &[key], message, "join those that behave alike");
        }
    }

    /// Notes a default, unless the file has the key.
    fn assume(&mut self, place: &[&str], value: String) {
        if !self.sources.has(place) {
            self.assumed.push(Assumed { key: place.join("."), value });
        }
    }

    fn source(&mut self, name: &Name, own: shape::Source, duration: Option<Span>) -> Option<Source> {
        let at = |key: &'static str| ["traffic", name.as_str(), key];
        let before = self.reader.found_so_far();
        self.window(name, &own, duration);
        let shape = self.curve(name, &own);
        let tenants = self.tenants(name, &own);
        self.only_with(name, own.think.is_some(), "think", own.users.is_some(), "users");
        let traced = own.trace.is_some();
        self.only_with(name, own.format.is_some(), "format", traced, "trace");
        self.only_with(name, own.trace_durations.is_some(), "trace_durations", traced, "trace");
        self.only_with(name, own.trace_memory.is_some(), "trace_memory", traced, "trace");
        for (key, has) in [("shape", own.shape.is_some()), ("arrivals", own.arrivals.is_some())] {
            self.not_with(name, has, key, own.users.is_some(), "users");
        }
        self.not_with(name, own.shape.is_some(), "shape", traced, "trace");
        self.only_with(name, own.as_functions.is_some(), "as_functions", traced, "trace");
        self.not_with(
            name,
            own.to.is_some(),
            "to",
            own.as_functions.is_some_and(|flag| flag.0),
            "as_functions",
        );
        let volume = self.volume(name, &own);
        let client = self.client(name, own.client);
        for (key, value) in [("event_bytes", "\"1KiB\""), ("items", "1")] {
            self.assume(&at(key), value.into());
        }
        if matches!(volume, Some(Volume::PerSecond(_))) {
            self.assume(&at("arrivals"), "\"poisson\"".into());
            if own.peak_to_mean.is_none() {
                self.assume(&at("shape"), "\"flat\"".into());
            }
        }
        if own.tenant.is_none() {
            self.assume(&at("tenants"), "1".into());
        }
        let (volume, good) = (volume?, self.reader.found_so_far() == before);
        good.then(|| Source {
            to: own.to.map(|to| to.0),
            volume,
            shape,
            arrivals: own.arrivals.map_or(Arrivals::Poisson, |arrivals| arrivals.0),
            from: own.from.map_or(Span::ZERO, |from| from.0),
            until: own.until.map(|until| until.0),
            events_max: own.events_max.map(|events| events.0),
            tenants,
            event_bytes: own.event_bytes.map_or(EVENT_BYTES, |bytes| bytes.0),
            items: own.items.map_or(1, |items| items.0),
            client,
            scaled: own.scaled.is_none_or(|flag| flag.0),
            as_functions: own.as_functions.is_some_and(|flag| flag.0),
        })
    }

    fn only_with(&mut self, name: &Name, has: bool, key: &str, other: bool, other_key: &str) {
        if has && !other {
            let message = format!("`{key}` has no meaning without `{other_key}`");
            self.wrong(Code::BadValue, &["traffic", name, key], message, "remove it");
        }
    }

    fn not_with(&mut self, name: &Name, has: bool, key: &str, other: bool, other_key: &str) {
        if has && other {
            let message = format!("`{key}` has no meaning beside `{other_key}`");
            self.wrong(Code::BadValue, &["traffic", name, key], message, "remove one of the two");
        }
    }

    fn window(&mut self, name: &Name, own: &shape::Source, duration: Option<Span>) {
        let from = own.from.map_or(Span::ZERO, |from| from.0);
        if let Some(until) = own.until.filter(|until| until.0 <= from) {
            let message = format!("`until` is {}, not after `from` ({})", in_words(until.0), in_words(from));
            self.wrong(Code::BadValue, &["traffic", name, "until"], message, "end it after it begins");
        }
        if let Some(duration) = duration.filter(|duration| from >= *duration) {
            let message = format!(
                "`from` is {}, but only {} are simulated: nothing would come in",
                in_words(from),
                in_words(duration)
            );
            self.wrong(
                Code::BadValue,
                &["traffic", name, "from"],
                message,
                "raise `duration`, or begin earlier",
            );
        }
    }

    fn curve(&mut self, name: &Name, own: &shape::Source) -> Shape {
        self.not_with(name, own.peak_to_mean.is_some(), "peak_to_mean", own.shape.is_some(), "shape");
        for (other, key) in [(own.users.is_some(), "users"), (own.trace.is_some(), "trace")] {
            self.not_with(name, own.peak_to_mean.is_some(), "peak_to_mean", other, key);
        }
        match (&own.shape, own.peak_to_mean) {
            (Some(shape), _) => shape.0.clone(),
            (None, Some(ratio)) => Shape::Diurnal { peak_to_mean: ratio.0, period: Span::from_secs(86_400) },
            (None, None) => Shape::Flat,
        }
    }

    fn tenants(&mut self, name: &Name, own: &shape::Source) -> Tenants {
        self.only_with(name, own.zipf.is_some(), "zipf", own.tenants.is_some(), "tenants");
        self.not_with(name, own.tenant.is_some(), "tenant", own.tenants.is_some(), "tenants");
        match &own.tenant {
            Some(tenant) => Tenants::One(tenant.0.clone()),
            None => Tenants::Many {
                count: own.tenants.map_or(1, |tenants| tenants.0),
                zipf: own.zipf.map_or(0.0, |zipf| zipf.0),
            },
        }
    }

    fn volume(&mut self, name: &Name, own: &shape::Source) -> Option<Volume> {
        let at = |key: &'static str| ["traffic", name.as_str(), key];
        // Whether a key is there, be its value as wrong as it may.
        let has = ["peak_per_s", "users", "trace"].map(|key| self.sources.has(&at(key)));
        match has.iter().filter(|has| **has).count() {
            0 if self.sources.has(&["traffic", name]) => {
                let message = format!("`{name}` says nothing of how much comes in");
                let help = "add one of `peak_per_s`, `users`, `trace`";
                self.wrong(Code::MissingKey, &["traffic", name], message, help);
                return None;
            }
            1 => {}
            _ => {
                let message = "peak_per_s, users and trace exclude one another".into();
                self.wrong(Code::BadValue, &["traffic", name], message, "keep one of them");
                return None;
            }
        }
        if let Some(count) = own.users {
            self.assume(&at("think"), format!("{:?}", in_words(THINK)));
            let think = own.think.clone().map_or(Lasting::Constant(THINK), |think| think.0);
            return Some(Volume::Users { count: count.0, think });
        }
        if let Some(file) = &own.trace {
            return Some(Volume::Trace(TraceFiles {
                format: own.format.map(|format| format.0),
                arrivals: file.0.clone(),
                durations: own.trace_durations.as_ref().map(|file| file.0.clone()),
                memory: own.trace_memory.as_ref().map(|file| file.0.clone()),
            }));
        }
        own.peak_per_s.map(|peak| Volume::PerSecond(peak.0))
    }

    fn client(&mut self, name: &Name, own: Option<shape::Client>) -> Client {
        let own = own.unwrap_or_default();
        let at = |key: &'static str| ["traffic", name.as_str(), "client", key];
        self.assume(&at("timeout"), "none".into());
        self.assume(&at("retries"), "0".into());
        if own.retries.is_some_and(|retries| retries.0 > 0) {
            for (key, value) in [("retry_base", CLIENT_RETRY_BASE), ("retry_max", RETRY_MAX)] {
                self.assume(&at(key), format!("{:?}", in_words(value)));
            }
            self.assume(&at("jitter"), "true".into());
        }
        let retry = retry(own.retries, own.retry_base, own.retry_max, own.jitter, CLIENT_RETRY_BASE);
        if own.retry_max.is_some() && retry.max < retry.base {
            let message = format!("`retry_max` is {}, below `retry_base`", in_words(retry.max));
            self.wrong(Code::BadValue, &at("retry_max"), message, "raise it, or lower `retry_base`");
        }
        Client {
            timeout: own.timeout.map(|timeout| timeout.0),
            retry,
            retry_budget_percent: own.retry_budget_percent.map(|percent| percent.0),
            keyed: own.keyed.is_some_and(|flag| flag.0),
        }
    }

    fn real(&mut self, own: shape::Real) -> Real {
        let words = |all: Option<Vec<Words>>| all.into_iter().flatten().map(|words| words.0);
        let word = |one: Option<Words>| one.map(|words| words.0);
        let secrets = own.secrets.map(|all| all.0).unwrap_or_default();
        let mut traffic = BTreeMap::new();
        for (name, sent) in own.traffic.map(|named| named.0).unwrap_or_default() {
            let place = ["real", "traffic", name.as_str(), "sign_secret"];
            let (header, secret) = (word(sent.sign_header), word(sent.sign_secret));
            match (&header, &secret) {
                (Some(_), Some(secret)) if !secrets.contains_key(secret) => {
                    let message = format!("there is no secret {secret:?} in [real.secrets]");
                    self.wrong(Code::BadValue, &place, message, "add it there");
                }
                (Some(_), Some(_)) | (None, None) => {}
                _ => {
                    let message =
                        "`sign_header` and `sign_secret` have no meaning without one another".into();
                    self.wrong(Code::BadValue, &place, message, "state both, or neither");
                }
            }
            let sent = Sent {
                bodies: words(sent.bodies).collect(),
                method: word(sent.method),
                path: word(sent.path),
                headers: sent.headers.map(|all| all.0).unwrap_or_default(),
                kind: word(sent.kind),
                content_type: word(sent.content_type),
                sign_header: header,
                sign_secret: secret,
            };
            traffic.insert(name, sent);
        }
        Real {
            functions: words(own.functions).collect(),
            fuel_per_us: own.fuel_per_us.map(|fuel| u64::from(fuel.0)),
            secrets,
            hosts: own.hosts.map(|all| all.0).unwrap_or_default(),
            keyed: words(own.keyed).collect(),
            traffic,
        }
    }

    fn function(&mut self, name: &str, own: shape::Function, items: u32) -> Behaviour {
        let place = ["function", name, "steps"];
        let steps: Option<Vec<Step>> = own.steps.map(|steps| steps.into_iter().map(|step| step.0).collect());
        let (count, acts) = steps.as_deref().map_or((0, 0), |steps| weigh(steps, items));
        if count > STEPS_MAX {
            let message = format!("`{name}` has {count} steps; at most {STEPS_MAX} are read");
            self.wrong(Code::TooLarge, &place, message, "write what repeats as `times` or `count`");
        }
        if acts > ACTS_PER_RUN_MAX {
            let message = format!(
                "the steps of `{name}` come to {acts} acts for one event of {items} items; at most \
                 {ACTS_PER_RUN_MAX} are simulated"
            );
            self.wrong(Code::BadValue, &place, message, "lower `items`, `times` or `count`");
        }
        #[expect(clippy::cast_precision_loss, reason = "at most 2^40")]
        let mib = |bytes: crate::workload::file::values::Bytes| bytes.0 as f64 / MIB;
        Behaviour {
            duration: own.duration.map(|lasting| lasting.0),
            per_item: own.per_item.map(|lasting| lasting.0),
            init: own.init.map(|lasting| lasting.0),
            memory_mb: own.memory.map(mib),
            leak_mb: own.leak.map_or(0.0, mib),
            error_rate: own.error_rate.map_or(0.0, |rate| rate.0),
            steps,
        }
    }

    fn dependency(&mut self, name: &Name, own: shape::Dependency) -> Option<Dependency> {
        let at = |key: &'static str| ["dependency", name.as_str(), key];
        let by_law = own.contention.is_some() || own.coherency.is_some();
        let growth = match own.growth {
            Some(_) if by_law => {
                let message = "`growth` has no meaning beside `contention` and `coherency`".into();
                self.wrong(Code::BadValue, &at("growth"), message, "keep the one or the other");
                Growth::None
            }
            Some(points) => Growth::Points(points.0),
            None if by_law => Growth::Scalability {
                contention: own.contention.map_or(0.0, |share| share.0),
                coherency: own.coherency.map_or(0.0, |factor| factor.0),
            },
            None => Growth::None,
        };
        if let Some(pool) = own.pool.filter(|pool| own.connections_max.is_some_and(|most| most.0 < pool.0)) {
            let message = format!("`pool` is {}: one environment would have more than all", pool.0);
            self.wrong(Code::BadValue, &at("pool"), message, "lower it, or raise `connections_max`");
        }
        if own.waiting_max.is_some() && own.servers.is_none() {
            let message = "`waiting_max` has no meaning without `servers`: nothing waits".into();
            self.wrong(Code::BadValue, &at("waiting_max"), message, "add `servers`, or remove it");
        }
        if own.sharing.is_some_and(|flag| flag.0) && own.servers.is_none() {
            let message = "`sharing` has no meaning without `servers`: there is nothing to share".into();
            self.wrong(Code::BadValue, &at("sharing"), message, "add `servers`, or remove it");
        }
        let pool = own.pool.map_or_else(|| u32::from(own.connections_max.is_some()), |pool| pool.0);
        self.assume(&at("pool"), pool.to_string());
        let servers = own.servers.map_or_else(|| "all".to_string(), |servers| servers.0.to_string());
        self.assume(&at("servers"), servers);
        if own.servers.is_some() {
            self.assume(&at("sharing"), "false".into());
        }
        self.assume(&at("cancels"), "false".into());
        if growth == Growth::None {
            self.assume(&at("growth"), "none".into());
        }
        let Need(service) = own.service;
        Some(Dependency {
            servers: own.servers.map(|servers| servers.0),
            sharing: own.sharing.is_some_and(|flag| flag.0),
            connections_max: own.connections_max.map(|most| most.0),
            pool,
            service: service?.0,
            growth,
            waiting_max: own.waiting_max.map(|most| most.0),
            statement_timeout: own.statement_timeout.map(|timeout| timeout.0),
            cancels: own.cancels.is_some_and(|flag| flag.0),
            answers_at_start: own.answers.is_some_and(|answers| answers.0),
            error_rate: own.error_rate.map_or(0.0, |rate| rate.0),
        })
    }
}

/// How many steps there are, and what they come to for one event.
fn weigh(steps: &[Step], items: u32) -> (usize, u64) {
    steps.iter().fold((0, 0_u64), |(count, acts), step| {
        let (within, each) = match &step.act {
            Act::Compute(_) | Act::Add(_) => (0, 1),
            Act::Call(call) => (0, u64::from(call.times)),
            Act::Emit(emit) => (0, u64::from(emit.count)),
            Act::Parallel(steps) => weigh(steps, items),
        };
        let times = if step.per_item { u64::from(items) } else { 1 };
        (count + 1 + within, acts.saturating_add(each.saturating_mul(times)))
    })
}

fn environments(own: shape::Environments) -> Environments {
    Environments {
        idle_max: own.idle_max.map(|span| span.0),
        age_max: own.age_max.map(|span| span.0),
        init: own.init.map(|lasting| lasting.0),
    }
}

/// Where the file says of what an element of `[[expect]]` or `[[assert]]` is.
fn stated_at(sources: &SourceMap, key: &str, number: usize) -> String {
    sources.place(&[key, &number.to_string(), "of"])
}

fn expect(own: shape::Expect, at: String) -> Option<Expect> {
    let (measure, max) = (own.measure.0, own.max.0);
    Some(Expect { of: own.of.map(|of| of.0), measure: measure?.0, max: max?.0, at })
}

fn assert(own: shape::Assert, at: String) -> Option<Assert> {
    let (what, of, holds) = (own.what.0, own.of.0, own.holds.0);
    Some(Assert { what: what?.0, of: of?.0, holds: holds?.0, at })
}
