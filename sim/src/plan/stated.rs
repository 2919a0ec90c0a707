//! What a traffic file states, in words and by its keys, for a comparison with another; and defaults of its keys that
//! bear on the answer.

use std::collections::BTreeMap;

use flyball_app::workload::{
    Act, Arrivals, Behaviour, Client, Dependency, Growth, Lasting, Retry, Shape, Source, Step, Tenants,
    Volume, Workload,
};
use flyball_core::Span;

use super::{
    Assumption, Entrance, SourcePlan,
    gather::{Gathered, words},
};

/// Names that one assumption lists.
const NAMES_MAX: usize = 3;
/// Bytes of the words for a function's steps, at most.
const STEPS_BYTES_MAX: usize = 500;

/// Keys with their values in words.
struct Stated {
    all: BTreeMap<String, String>,
    table: String,
}

/// What a workload states, by key. What is left out, and values that are the default's, are not there.
pub(super) fn stated(workload: &Workload) -> BTreeMap<String, String> {
    let mut stated = Stated { all: BTreeMap::new(), table: String::new() };
    for (name, source) in &workload.traffic {
        stated.table = format!("traffic.{name}.");
        stated.source(source);
    }
    for (name, function) in &workload.functions {
        stated.table = format!("function.{name}.");
        stated.function(function);
    }
    for (name, dependency) in &workload.dependencies {
        stated.table = format!("dependency.{name}.");
        stated.dependency(dependency);
    }
    for (from, to) in &workload.filters {
        stated.table = format!("filter.{from}.");
        to.iter().for_each(|(to, share)| stated.say(to, share.to_string()));
    }
    stated.table = "environments.".into();
    stated.span("idle_max", workload.environments.idle_max);
    stated.span("age_max", workload.environments.age_max);
    stated.lasting("init", workload.environments.init.as_ref());
    stated.table = "store.".into();
    stated.lasting("commit", workload.store.commit.as_ref());
    stated.all
}

impl Stated {
    fn say(&mut self, key: &str, value: impl Into<String>) {
        self.all.insert(format!("{}{key}", self.table), value.into());
    }

    fn span(&mut self, key: &str, span: Option<Span>) {
        self.lasting(key, span.map(Lasting::Constant).as_ref());
    }

    fn lasting(&mut self, key: &str, lasting: Option<&Lasting>) {
        if let Some(lasting) = lasting {
            self.say(key, words(lasting));
        }
    }

    fn number<N: ToString>(&mut self, key: &str, number: Option<N>) {
        if let Some(number) = number {
            self.say(key, number.to_string());
        }
    }

    fn source(&mut self, source: &Source) {
        match &source.volume {
            Volume::PerSecond(rate) => self.say("peak_per_s", rate.to_string()),
            Volume::Users { count, think } => {
                self.say("users", count.to_string());
                self.say("think", words(think));
            }
            Volume::Trace(files) => self.say("trace", files.arrivals.clone()),
            Volume::Recorded(recorded) => self.say("trace", recorded.what.clone()),
        }
        match &source.shape {
            Shape::Flat => {}
            Shape::Diurnal { peak_to_mean, .. } => {
                self.say("shape", format!("a day, {peak_to_mean} times its mean"))
            }
            Shape::Ramp { from, to } => self.say("shape", format!("a ramp from {from} to {to}")),
            Shape::Points(points) => self.say("shape", format!("{} points", points.len())),
        }
        match source.arrivals {
            Arrivals::Poisson => {}
            Arrivals::Constant => self.say("arrivals", "constant"),
            Arrivals::Bursts { size } => self.say("arrivals", format!("bursts of {size}")),
        }
        if let Tenants::Many { count, zipf } = &source.tenants {
            self.number("tenants", (*count > 1).then_some(count));
            self.number("zipf", (*zipf > 0.0).then_some(zipf));
        }
        self.number("items", (source.items > 1).then_some(source.items));
        self.span("from", (source.from > Span::ZERO).then_some(source.from));
        self.span("until", source.until);
        self.number("events_max", source.events_max);
        self.client(&source.client);
    }

    fn client(&mut self, client: &Client) {
        self.span("client.timeout", client.timeout);
        if client.retry.times > 0 {
            self.say("client.retries", retry_words(client.retry));
        }
        self.number("client.retry_budget_percent", client.retry_budget_percent);
    }

    fn function(&mut self, function: &Behaviour) {
        self.lasting("duration", function.duration.as_ref());
        self.lasting("per_item", function.per_item.as_ref());
        self.lasting("init", function.init.as_ref());
        self.number("memory", function.memory_mb.map(|mb| format!("{mb} MiB")));
        self.number("leak", (function.leak_mb > 0.0).then(|| format!("{} MiB", function.leak_mb)));
        self.number("error_rate", (function.error_rate > 0.0).then_some(function.error_rate));
        if let Some(steps) = &function.steps {
            let mut said = steps_words(steps);
            let cut = (0..=STEPS_BYTES_MAX).rev().find(|at| said.is_char_boundary(*at)).unwrap_or(0);
            said.truncate(cut);
            self.say("steps", said);
        }
    }

    fn dependency(&mut self, dependency: &Dependency) {
        self.lasting("service", Some(&dependency.service));
        self.number("servers", dependency.servers);
        self.number("sharing", dependency.sharing.then_some("true"));
        self.number("connections_max", dependency.connections_max);
        self.number("pool", (dependency.pool > 0).then_some(dependency.pool));
        match &dependency.growth {
            Growth::None => {}
            Growth::Scalability { contention, coherency } => {
                self.say("contention", contention.to_string());
                self.say("coherency", coherency.to_string());
            }
            Growth::Points(points) => {
                let points: Vec<String> =
                    points.iter().take(NAMES_MAX * 2).map(|p| format!("{p:?}")).collect();
                self.say("growth", points.join(" "));
            }
        }
        self.number("waiting_max", dependency.waiting_max);
        self.span("statement_timeout", dependency.statement_timeout);
        self.number("cancels", dependency.cancels.then_some("true"));
        self.number("answers", dependency.answers_at_start.then_some("at-start"));
        self.number("error_rate", (dependency.error_rate > 0.0).then_some(dependency.error_rate));
    }
}

fn retry_words(retry: Retry) -> String {
    let (base, max) = (words(&Lasting::Constant(retry.base)), words(&Lasting::Constant(retry.max)));
    format!("{}, after {base} to {max}{}", retry.times, if retry.jitter { "" } else { ", without jitter" })
}

fn steps_words(steps: &[Step]) -> String {
    let said: Vec<String> = steps.iter().map(step_words).collect();
    if said.is_empty() { "none".into() } else { said.join(", ") }
}

fn step_words(step: &Step) -> String {
    let times = |times: u32| if times == 1 { String::new() } else { format!(" {times} times") };
    let mut said = match &step.act {
        Act::Compute(lasting) => format!("compute {}", words(lasting)),
        Act::Call(call) => {
            let timeout = call.timeout.map(|span| format!(" for {}", words(&Lasting::Constant(span))));
            let retry =
                if call.retry.times > 0 { format!(" ({})", retry_words(call.retry)) } else { String::new() };
            format!("call {}{}{}{retry}", call.to, times(call.times), timeout.unwrap_or_default())
        }
        Act::Emit(emit) => format!("emit {}{}", emit.to, times(emit.count)),
        Act::Parallel(steps) => format!("side by side ({})", steps_words(steps)),
        Act::Add(add) => format!("add {}", add.to),
    };
    if step.per_item {
        said.push_str(" for each item");
    }
    if step.chance < 1.0 {
        said.push_str(&format!(" at {}", step.chance));
    }
    said
}

/// A default of the traffic file: which key, of what in words, with its value and why.
struct Default {
    table: &'static str,
    key: &'static str,
    what: &'static str,
    value: &'static str,
    why: &'static str,
}

/// Those that bear on the answer. That callers wait for ever is assumed where it is known who they call.
const DEFAULTS: [Default; 7] = [
    Default {
        table: "traffic",
        key: "arrivals",
        what: "arrivals of",
        value: "Poisson: independent of one another",
        why: "most senders know nothing of one another",
    },
    Default {
        table: "traffic",
        key: "shape",
        what: "rate of",
        value: "at its peak all the time",
        why: "no shape is stated",
    },
    Default {
        table: "traffic",
        key: "client.retry_max",
        what: "longest wait before a retry of callers of",
        value: "20 s",
        why: "it is not stated",
    },
    Default {
        table: "traffic",
        key: "client.jitter",
        what: "waits before a retry of callers of",
        value: "drawn from zero to the whole",
        why: "jitter is not stated",
    },
    Default {
        table: "dependency",
        key: "servers",
        what: "calls that are worked on at once, by",
        value: "all that come",
        why: "no servers are stated",
    },
    Default {
        table: "dependency",
        key: "growth",
        what: "time of a call of",
        value: "the same, however many are worked on",
        why: "neither growth nor contention is stated",
    },
    Default {
        table: "dependency",
        key: "cancels",
        what: "calls whose caller has gone, of",
        value: "worked on to their end",
        why: "it is not stated that it breaks them off",
    },
];

impl Gathered {
    /// Defaults of the traffic file that bear on the answer, grouped.
    pub(super) fn defaults(&mut self, workload: &Workload, sources: &[SourcePlan]) {
        // Callers that wait for no answer do not try again.
        let unanswered = |name: &str| {
            let source = sources.iter().find(|source| source.label == name);
            source.is_some_and(|source| matches!(source.entrance, Entrance::Node(_)))
        };
        for default in &DEFAULTS {
            let name = |key: &str| {
                let rest = key.strip_prefix(default.table)?.strip_prefix('.')?;
                Some(rest.strip_suffix(default.key)?.strip_suffix('.')?.to_string())
            };
            let names = workload.assumed.iter().filter_map(|assumed| name(&assumed.key));
            let names: Vec<String> =
                names.filter(|name| !(default.key.starts_with("client.") && unanswered(name))).collect();
            let Some(first) = names.first() else { continue };
            let more = names.len().saturating_sub(NAMES_MAX);
            let mut of = names.iter().take(NAMES_MAX).map(String::as_str).collect::<Vec<_>>().join(", ");
            if more > 0 {
                of.push_str(&format!(" and {more} more"));
            }
            let named = if names.len() == 1 { first.as_str() } else { "NAME" };
            self.assumptions.push(Assumption {
                what: format!("{} {of}", default.what),
                value: default.value.into(),
                why: default.why.into(),
                key: Some(format!("{}.{named}.{}", default.table, default.key)),
                knob: None,
            });
        }
    }
}
