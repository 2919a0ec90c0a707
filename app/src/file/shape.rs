//! The file's tables. Each key is declared once, here: the reader and the JSON Schema both come from it.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator};

use crate::file::{
    reader::{Named, Need, Reader, Shape, Value},
    values::{
        AccessWord, Count, Duration, Host, Many, Method, Mode, Reference, Settings, Size, Small,
        TenantSource, Text,
    },
};

/// Declares a table: its struct, how it is read, and which keys it has.
macro_rules! table {
    ($(#[doc = $doc:literal])* $name:ident {
        $($(#[doc = $field_doc:literal])* $field:ident = $key:literal: $type:ty,)*
    }) => {
        $(#[doc = $doc])*
        #[derive(Debug, Default, JsonSchema)]
        #[schemars(deny_unknown_fields)]
        pub(crate) struct $name {
            $($(#[doc = $field_doc])* #[schemars(rename = $key)] pub $field: $type,)*
        }

        impl Shape for $name {
            fn read(value: &Value<'_>, reader: &mut Reader) -> Option<Self> {
                let table = reader.table(value, &[$($key),*])?;
                Some($name { $($field: reader.field(value, table, $key),)* })
            }
        }
    };
}

pub(crate) use table;

table! {
    /// A Flyball application.
    File {
        /// What it is.
        application = "application": Need<Application>,
        /// Limits of the platform as a whole.
        limits = "limits": Option<Limits>,
        /// Limits of a tenant that has no entry of its own.
        tenant_defaults = "tenant_defaults": Option<Tenant>,
        /// Limits of single tenants, by name. These tenants exist from the first start.
        tenants = "tenant": Option<Named<Tenant>>,
        /// Functions by name.
        functions = "function": Option<Named<Function>>,
        /// HTTP entrances.
        routes = "route": Option<Vec<Route>>,
        /// Queues by name.
        queues = "queue": Option<Named<Queue>>,
        /// Topics by name.
        topics = "topic": Option<Named<Topic>>,
        /// Buses by name.
        buses = "bus": Option<Named<Bus>>,
    }
}

table! {
    /// What the application is.
    Application {
        /// Its name: 1 to 64 of a-z, A-Z, 0-9, '.', '_' and '-'.
        name = "name": Need<Reference>,
    }
}

table! {
    /// Invocations running at once.
    Concurrency {
        /// Never above. Default: no cap of its own; at the platform 1,000.
        cap = "cap": Option<Count>,
        /// Never lent to others. Default 0.
        guarantee = "guarantee": Option<Count>,
    }
}

table! {
    /// Invocations started per second.
    Rate {
        /// 1 to 1,000,000.
        per_second = "per_second": Need<Count>,
        /// Starts that can be saved up. Default: one second's worth.
        burst = "burst": Option<Count>,
    }
}

table! {
    /// Limits of the platform.
    Limits {
        /// Invocations running at once, over everything. Default: a cap of 1,000.
        concurrency = "concurrency": Option<Concurrency>,
        /// Invocations started per second, over everything. Default: no limit.
        rate = "rate": Option<Rate>,
        /// Functions with a longer timeout share `long_concurrency_max` slots. Default 60s.
        long_timeout = "long_timeout": Option<Duration>,
        /// Slots for functions with a long timeout. Default: half of the cap.
        long_concurrency_max = "long_concurrency_max": Option<Count>,
        /// Functions that an event may pass before it is stopped; 1 to 256. Default 16.
        hops_max = "hops_max": Option<Small>,
        /// An event's body. Default 1MiB.
        event_bytes_max = "event_bytes_max": Option<Size>,
        /// A request's or response's body. Default 6MiB.
        request_bytes_max = "request_bytes_max": Option<Size>,
        /// Events waiting, over all queues and tenants. Default 2,000,000.
        waiting_events_max = "waiting_events_max": Option<Many>,
        /// Calls waiting for a slot. Default 10,000.
        waiting_calls_max = "waiting_calls_max": Option<Count>,
        /// How long a call waits for a slot before it is refused; 0s: it starts at once or is refused. Default 5s.
        call_wait_max = "call_wait_max": Option<Duration>,
        /// How long the store may take over a commit; past it no work is taken until it answers. 100ms or more.
        /// Default 10s.
        commit_wait_max = "commit_wait_max": Option<Duration>,
        /// How long results and idempotency keys are remembered. Default 24h.
        result_retention = "result_retention": Option<Duration>,
        /// Runs that stale reads may cost before they count as a failure; 0 to 255. Default 16.
        conflicts_max = "conflicts_max": Option<Small>,
        /// Ends of the process, in a row, during an event's runs, after which it goes to the dead letters; 2 to
        /// 255. Default 3.
        crashes_max = "crashes_max": Option<Small>,
        /// Events that traces are kept of, in memory. Default 100,000.
        traced_events_max = "traced_events_max": Option<Count>,
        /// Bounds on what one invocation may do.
        invocation = "invocation": Option<Invocation>,
    }
}

table! {
    /// Bounds on what one invocation may do, for each event handled.
    Invocation {
        /// Events emitted. Default 1,000.
        emits_max = "emits_max": Option<Count>,
        /// All bodies emitted together. Default 16MiB.
        emitted_bytes_max = "emitted_bytes_max": Option<Size>,
        /// The longest delay of an event. Default 15m.
        delay_max = "delay_max": Option<Duration>,
        /// A key-value value. Default 1MiB.
        value_bytes_max = "value_bytes_max": Option<Size>,
        /// Key-value keys read and written. Default 1,000.
        keys_max = "keys_max": Option<Count>,
        /// Keys that one listing answers. Default 1,000.
        listed_keys_max = "listed_keys_max": Option<Count>,
        /// A blob. Default 64MiB.
        blob_bytes_max = "blob_bytes_max": Option<Size>,
        /// Calls to the outside. Default 50.
        http_calls_max = "http_calls_max": Option<Count>,
        /// Lines logged. Default 1,000.
        log_lines_max = "log_lines_max": Option<Count>,
        /// A line; longer ones are cut. Default 8KiB.
        log_line_bytes_max = "log_line_bytes_max": Option<Size>,
        /// The result kept for a caller. Default 6MiB.
        result_bytes_max = "result_bytes_max": Option<Size>,
    }
}

table! {
    /// Limits of one tenant over all functions. What an entry leaves out is as in `tenant_defaults`.
    Tenant {
        /// Invocations running at once. A guarantee only for single tenants.
        concurrency = "concurrency": Option<Concurrency>,
        /// Invocations started per second.
        rate = "rate": Option<Rate>,
        /// Its share when there is not enough for all; 1 to 10,000. Default 100.
        weight = "weight": Option<Count>,
        /// Its events that may wait. Default 1,000,000.
        waiting_events_max = "waiting_events_max": Option<Many>,
        /// Its calls that may wait. Default 1,000.
        waiting_calls_max = "waiting_calls_max": Option<Count>,
        /// Its results and idempotency keys that are remembered. Default 1,000,000.
        remembered_max = "remembered_max": Option<Many>,
    }
}

table! {
    /// Limits of a function, or of a function for a tenant.
    Level {
        /// Invocations running at once.
        concurrency = "concurrency": Option<Concurrency>,
        /// Invocations started per second.
        rate = "rate": Option<Rate>,
    }
}

table! {
    /// Code that runs for events or requests.
    Function {
        /// The component's file, relative to this one.
        component = "component": Need<Text>,
        /// A run is stopped after this time; at most 15m. Default 30s.
        timeout = "timeout": Option<Duration>,
        /// The memory that a run may have; 1MiB to 4GiB. Default 64MiB.
        memory = "memory": Option<Size>,
        /// Invocations running at once, over all tenants.
        concurrency = "concurrency": Option<Concurrency>,
        /// Invocations started per second, over all tenants.
        rate = "rate": Option<Rate>,
        /// Limits for each single tenant.
        per_tenant = "per_tenant": Option<Level>,
        /// Limits for these tenants, instead of `per_tenant`.
        for_tenant = "for_tenant": Option<Named<Level>>,
        /// What it may do. Nothing is granted by default.
        grants = "grants": Option<Grants>,
        /// Values that it can read.
        config = "config": Option<Settings>,
        /// How its inbox delivers: asynchronous routes, subscriptions and rules.
        inbox = "inbox": Option<Delivery>,
    }
}

table! {
    /// What a function may do.
    Grants {
        /// Queues, topics and buses that it may emit to.
        emit = "emit": Option<Vec<Reference>>,
        /// Key-value namespaces: { reports = "read-write" }.
        kv = "kv": Option<Named<AccessWord>>,
        /// Blobs: "read" or "read-write".
        blobs = "blobs": Option<AccessWord>,
        /// Names of tenants' secrets that it may read.
        secrets = "secrets": Option<Vec<Text>>,
        /// Hosts that it may send requests to: "example.com", "example.com:8443", "*.example.com", "*".
        http = "http": Option<Vec<Host>>,
    }
}

table! {
    /// How waiting events reach their function.
    Delivery {
        /// Events of one tenant that one run is given; 1 to 1,000. Default 10 for queues, 1 for inboxes.
        batch_max = "batch_max": Option<Count>,
        /// How long a batch that is not full may wait for more. Default 0s.
        batch_window = "batch_window": Option<Duration>,
        /// Every event waits this long before its first run. Default 0s.
        delay = "delay": Option<Duration>,
        /// After this time a run that has not ended is taken as lost. Default: the timeout and 30s.
        visibility = "visibility": Option<Duration>,
        /// Runs before an event goes to the dead letters. Default 3.
        attempts_max = "attempts_max": Option<Small>,
        /// How long it waits between runs.
        retry = "retry": Option<Retry>,
        /// Events that may wait. Default 1,000,000.
        waiting_max = "waiting_max": Option<Many>,
    }
}

table! {
    /// Waits between runs: doubled each time, with jitter.
    Retry {
        /// Before the second run. Default 1s.
        base = "base": Option<Duration>,
        /// At most. Default 5m.
        max = "max": Option<Duration>,
    }
}

table! {
    /// A durable queue with one consumer.
    Queue {
        /// The function that consumes it.
        function = "function": Need<Reference>,
        /// As `inbox.batch_max`; default 10.
        batch_max = "batch_max": Option<Count>,
        /// As `inbox.batch_window`.
        batch_window = "batch_window": Option<Duration>,
        /// As `inbox.delay`.
        delay = "delay": Option<Duration>,
        /// As `inbox.visibility`.
        visibility = "visibility": Option<Duration>,
        /// As `inbox.attempts_max`.
        attempts_max = "attempts_max": Option<Small>,
        /// As `inbox.retry`.
        retry = "retry": Option<Retry>,
        /// As `inbox.waiting_max`.
        waiting_max = "waiting_max": Option<Many>,
    }
}

table! {
    /// A topic copies each event to all its subscribers.
    Topic {
        /// Queues and functions: [{ queue = "q" }, { function = "f" }].
        subscribers = "subscribers": Need<Vec<To>>,
    }
}

table! {
    /// A bus copies each event to where its matching rules lead.
    Bus {
        /// Rules by name.
        rules = "rule": Option<Named<Rule>>,
    }
}

table! {
    /// What a rule matches, and where it leads.
    Rule {
        /// Left out, it matches everything.
        pattern = "match": Option<Match>,
        /// { queue = "q" } or { function = "f" }.
        to = "to": Need<To>,
    }
}

table! {
    /// A pattern. An empty list matches everything; an entry that ends with `*` matches a prefix.
    Match {
        /// Over the event's type.
        kind = "type": Option<Vec<Text>>,
        /// Over the event's source.
        source = "source": Option<Vec<Text>>,
        /// Over the event's subject.
        subject = "subject": Option<Vec<Text>>,
    }
}

table! {
    /// An HTTP entrance.
    Route {
        /// "/literal/{one}/{rest...}".
        path = "path": Need<Text>,
        /// Default: all.
        methods = "methods": Option<Vec<Method>>,
        /// The function that answers.
        function = "function": Need<Reference>,
        /// "sync" (default) or "async": 202 with the event's id.
        mode = "mode": Option<Mode>,
        /// "key" (default), "path", "host", or { header = "x-tenant" }.
        tenant = "tenant": Option<TenantSource>,
    }
}

table! {
    /// A queue or a function; one of the two.
    To {
        /// A declared queue.
        queue = "queue": Option<Reference>,
        /// A function's inbox.
        function = "function": Option<Reference>,
    }
}

impl<T: JsonSchema> JsonSchema for Need<T> {
    fn inline_schema() -> bool {
        T::inline_schema()
    }
    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }
    // The same type as far as schemas go: otherwise there would be a definition of each.
    fn schema_id() -> Cow<'static, str> {
        T::schema_id()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        T::json_schema(generator)
    }
}

impl<T: JsonSchema> JsonSchema for Named<T> {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        format!("By name: {}", T::schema_name()).into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let each = generator.subschema_for::<T>();
        schemars::json_schema!({
            "type": "object",
            "propertyNames": { "pattern": "^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$" },
            "additionalProperties": each
        })
    }
}

/// The JSON Schema of `flyball.toml`, for editors.
pub fn json_schema() -> serde_json::Value {
    schema_of::<File>()
}

/// The JSON Schema of a file with these tables.
pub(crate) fn schema_of<T: JsonSchema>() -> serde_json::Value {
    let mut schema = schemars::schema_for!(T).to_value();
    // A key that is left out is left out: TOML has no null.
    without_null(&mut schema);
    schema
}

fn without_null(schema: &mut serde_json::Value) {
    match schema {
        serde_json::Value::Object(object) => {
            let only =
                object.get("anyOf").and_then(|any| any.as_array()).and_then(|any| match any.as_slice() {
                    [one, null] if null == &serde_json::json!({ "type": "null" }) => one.as_object().cloned(),
                    _ => None,
                });
            if let Some(only) = only {
                object.remove("anyOf");
                object.extend(only);
            }
            if let Some(serde_json::Value::Array(types)) = object.get_mut("type") {
                types.retain(|one| one != "null");
                if let [one] = types.as_slice() {
                    let one = one.clone();
                    object.insert("type".into(), one);
                }
            }
            object.values_mut().for_each(without_null);
        }
        serde_json::Value::Array(array) => array.iter_mut().for_each(without_null),
        _ => {}
    }
}
