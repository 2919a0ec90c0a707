//! The tables of a traffic file. Each key is declared once, here: the reader and the JSON Schema both come from it.

use schemars::JsonSchema;

use super::{
    lasting::{CurveValue, GrowthPoints, LastingValue},
    step::StepValue,
    values::{
        Answers, ArrivalsValue, Bound, ByName, Bytes, Events, Factor, Flag, FormatWord, HoldsValue, Items,
        Lapse, MeasureWord, PassingShare, PeakToMean, PerSecond, Percent, Retries, Share, Slots, SlotsOrNone,
        Stretch, TenantCount, Users, Words, Zipf,
    },
};
use crate::file::{
    reader::{Named, Need, Reader, Shape, Value},
    shape::table,
    values::{Reference, Settings},
};

table! {
    /// A traffic file: what comes in, what functions do with it, what they depend on, what is expected.
    File {
        /// How much time is simulated; more than 0, to 366d. Default: an hour, a day of the traffic where it has one,
        /// or as long as the traces are.
        duration = "duration": Option<Lapse>,
        /// Traffic, by the name of the place where it comes in.
        traffic = "traffic": Need<Named<Source>>,
        /// What functions do, by their names.
        functions = "function": Option<ByName<Function>>,
        /// Databases and services, by name.
        dependencies = "dependency": Option<Named<Dependency>>,
        /// Filters and patterns, by the node before them: which share of what comes passes to whom, 0 to 1. Default:
        /// all.
        filters = "filter": Option<ByName<ByName<PassingShare>>>,
        /// What is known of the environments that functions run in.
        environments = "environments": Option<Environments>,
        /// What is known of Flyball's own store.
        store = "store": Option<Store>,
        /// What functions that are run, not modelled, get to see.
        real = "real": Option<Real>,
        /// Promises. Default: nothing dropped, nothing in dead letters, no growing backlog, few errors.
        expects = "expect": Option<Vec<Expect>>,
        /// What must hold whatever fails.
        asserts = "assert": Option<Vec<Assert>>,
    }
}

table! {
    /// Traffic that comes in at one place. One of `peak_per_s`, `users` and `trace`.
    Source {
        /// A node's name, or a route: "GET /tiles/{tile}". Default: the node of this table's name.
        to = "to": Option<Words>,
        /// Events a second at the peak; more than 0, to 1,000,000.
        peak_per_s = "peak_per_s": Option<PerSecond>,
        /// Users that send, wait for the answer, think, and send again; 1 to 1,000,000.
        users = "users": Option<Users>,
        /// With `users`: how long each thinks. Default 1s.
        think = "think": Option<LastingValue>,
        /// A file of recorded arrivals, relative to this one.
        trace = "trace": Option<Words>,
        /// With `trace`: what kind of file it is. Default: told by its first line.
        format = "format": Option<FormatWord>,
        /// With a `trace` of "azure2019": the file of durations.
        trace_durations = "trace_durations": Option<Words>,
        /// With a `trace` of "azure2019": the file of memory.
        trace_memory = "trace_memory": Option<Words>,
        /// With `trace`: each of its series is a function of its own, and no application file is read. Default false.
        as_functions = "as_functions": Option<Flag>,
        /// How the rate changes: "flat", { diurnal }, { ramp } or { points }. Default "flat".
        shape = "shape": Option<CurveValue>,
        /// Short for { diurnal = { peak_to_mean } }.
        peak_to_mean = "peak_to_mean": Option<PeakToMean>,
        /// How arrivals lie within the rate: "poisson", "constant" or { bursts }. Default "poisson".
        arrivals = "arrivals": Option<ArrivalsValue>,
        /// When it begins. Default 0s.
        from = "from": Option<Stretch>,
        /// When it ends. Default: with the simulation.
        until = "until": Option<Lapse>,
        /// It ends after so many events.
        events_max = "events_max": Option<Events>,
        /// How many tenants; 1 to 100,000. Default 1.
        tenants = "tenants": Option<TenantCount>,
        /// With `tenants`: the exponent of Zipf's law; 0 to 10. Default 0: all alike.
        zipf = "zipf": Option<Zipf>,
        /// The one tenant whose it is.
        tenant = "tenant": Option<Reference>,
        /// The size of one event. Default 1KiB.
        event_bytes = "event_bytes": Option<Bytes>,
        /// Items in one event; 1 to 10,000. Default 1.
        items = "items": Option<Items>,
        /// A load line changes it. Default true.
        scaled = "scaled": Option<Flag>,
        /// Who sends, and what they do when no answer comes.
        client = "client": Option<Client>,
    }
}

table! {
    /// Who sends.
    Client {
        /// It waits so long for an answer. Default: for ever.
        timeout = "timeout": Option<Lapse>,
        /// Tries after the first, when no answer or an error comes; 0 to 100. Default 0.
        retries = "retries": Option<Retries>,
        /// The wait before the first retry; it doubles each time. Default 1s.
        retry_base = "retry_base": Option<Stretch>,
        /// The wait is never longer. Default 20s.
        retry_max = "retry_max": Option<Stretch>,
        /// The wait is drawn from zero to what is said. Default true.
        jitter = "jitter": Option<Flag>,
        /// Retries are at most this share of its first tries, percent, over ten seconds. Default: no budget.
        retry_budget_percent = "retry_budget_percent": Option<Percent>,
        /// Each event or call carries an idempotency key, the same at each try. Default false.
        keyed = "keyed": Option<Flag>,
    }
}

table! {
    /// What a function does and takes.
    Function {
        /// What a run takes beyond its steps, or in all where there are none.
        duration = "duration": Option<LastingValue>,
        /// What each item of a batch takes beyond that.
        per_item = "per_item": Option<LastingValue>,
        /// What a new environment takes before its first run.
        init = "init": Option<LastingValue>,
        /// The memory that a run uses.
        memory = "memory": Option<Bytes>,
        /// The memory that each run leaves behind. Default 0.
        leak = "leak": Option<Bytes>,
        /// Runs (or items) that fail, 0 to 1. Default 0.
        error_rate = "error_rate": Option<Share>,
        /// What it does, in this order. Default: those that the design shows.
        steps = "steps": Option<Vec<StepValue>>,
    }
}

table! {
    /// A database or service that functions ask.
    Dependency {
        /// How many calls it works on at once; 1 to 1,000,000. Default: all.
        servers = "servers": Option<Slots>,
        /// With `servers`: it works on all calls at once, and they share the servers, as queries share a database's
        /// processors. Default false: calls beyond the servers wait in their order.
        sharing = "sharing": Option<Flag>,
        /// Connections at most; 1 to 1,000,000. Default: no limit.
        connections_max = "connections_max": Option<Slots>,
        /// Connections that each living environment holds; 0: none. Default 1 with `connections_max`, else 0.
        pool = "pool": Option<SlotsOrNone>,
        /// What one call takes while nothing else is asked.
        service = "service": Need<LastingValue>,
        /// How that grows: waiting for what only one can have; 0 to 1.
        contention = "contention": Option<Share>,
        /// How that grows: agreeing with one another; 0 to 1,000,000.
        coherency = "coherency": Option<Factor>,
        /// How that grows, as measured: [[1, 1.0], [100, 8.0]].
        growth = "growth": Option<GrowthPoints>,
        /// Calls beyond the servers, waiting or sharing; more are refused. Default: no limit.
        waiting_max = "waiting_max": Option<SlotsOrNone>,
        /// It breaks off a call that has taken so long, waiting included. Default: never.
        statement_timeout = "statement_timeout": Option<Lapse>,
        /// The work is broken off when the caller has gone. Default false.
        cancels = "cancels": Option<Flag>,
        /// "at-start": it answers when the work has begun. Default "at-end".
        answers = "answers": Option<Answers>,
        /// Calls that fail, 0 to 1. Default 0.
        error_rate = "error_rate": Option<Share>,
    }
}

table! {
    /// What is known of the environments that functions run in.
    Environments {
        /// One that has been idle so long is removed.
        idle_max = "idle_max": Option<Lapse>,
        /// One is replaced at this age.
        age_max = "age_max": Option<Lapse>,
        /// What INIT takes for functions that say nothing.
        init = "init": Option<LastingValue>,
    }
}

table! {
    /// What is known of Flyball's own store.
    Store {
        /// What one group commit takes.
        commit = "commit": Option<LastingValue>,
    }
}

table! {
    /// What functions that are run, not modelled, get to see: `flyball simulate --real`.
    Real {
        /// Functions that are run though something is stated of them.
        functions = "functions": Option<Vec<Words>>,
        /// Instructions of theirs that are one microsecond; 1 to 1,000,000. Default 4000.
        fuel_per_us = "fuel_per_us": Option<Slots>,
        /// Secrets, the same of every tenant.
        secrets = "secrets": Option<Settings>,
        /// Dependencies by "HOST" or "HOST:PORT". Other hosts refuse connections.
        hosts = "hosts": Option<Settings>,
        /// Dependencies that heed idempotency keys: the second request with one is answered without work. Default:
        /// none.
        keyed = "keyed": Option<Vec<Words>>,
        /// What the events of a source are, by the source's name.
        traffic = "traffic": Option<Named<Sent>>,
    }
}

table! {
    /// What a source sends. {event}, {tenant} and {random} in texts stand for the event's number, the tenant's name
    /// and 64 hexadecimal digits that follow from the seed.
    Sent {
        /// Files, relative to this one: each event is one of them. Default: no body.
        bodies = "bodies": Option<Vec<Words>>,
        /// Of a route. Default POST.
        method = "method": Option<Words>,
        /// Of a route: path and query. Default: the route's own.
        path = "path": Option<Words>,
        /// Of a route.
        headers = "headers": Option<Settings>,
        /// CloudEvents type, of what is no route.
        kind = "kind": Option<Words>,
        /// CloudEvents datacontenttype, of what is no route.
        content_type = "content_type": Option<Words>,
        /// The header that carries `sha256=` and the body's HMAC-SHA256.
        sign_header = "sign_header": Option<Words>,
        /// With `sign_header`: the secret (of `secrets`) that it is made with.
        sign_secret = "sign_secret": Option<Words>,
    }
}

table! {
    /// A promise.
    Expect {
        /// A source, function, queue or dependency. Default: everything.
        of = "of": Option<Words>,
        /// What is measured; the unit is in its name.
        measure = "measure": Need<MeasureWord>,
        /// It must not be more.
        max = "max": Need<Bound>,
    }
}

table! {
    /// What must hold whatever fails.
    Assert {
        /// In words.
        what = "what": Need<Words>,
        /// The function whose outcomes, or the namespace whose values, it is about.
        of = "of": Need<Words>,
        /// "at-most-once", "settled" or { value_max }.
        holds = "holds": Need<HoldsValue>,
    }
}
