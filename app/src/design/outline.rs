//! A design as text, for those who look for what is missing in it: a line for each node with what is stated of it,
//! a line for each edge, a line for each thing that is not known.

use std::fmt;

use super::{
    Access, ApiKind, DatabaseKind, Design, Destination, Edge, Encryption, EventSource, Function, Kind,
    Machine, Node, NodeId, Queue, Setting, Task, TaskPattern, Via, WayOut,
};

impl fmt::Display for Design {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (_, node) in self.nodes() {
            let (word, settings) = described(&node.kind);
            write!(f, "{word} {}", full_name(node))?;
            settings.write(f)?;
            if let Some(condition) = &node.conditional {
                write!(f, " if {condition}")?;
            }
            writeln!(f)?;
        }
        for (_, edge) in self.edges() {
            let (word, settings) = made_by(edge);
            let mode = format!("{:?}", edge.mode).to_lowercase();
            let evidence = format!("{:?}", edge.evidence).to_lowercase();
            write!(f, "{} --{word}, {mode}, {evidence}--> {}", self.name(edge.from), self.name(edge.to))?;
            if let Some(qualifier) = &edge.qualifier {
                write!(f, ":{qualifier}")?;
            }
            settings.write(f)?;
            if let Some(condition) = &edge.conditional {
                write!(f, " if {condition}")?;
            }
            writeln!(f)?;
        }
        for unresolved in &self.unresolved {
            let line = self.files.place(unresolved.span).line;
            let of = unresolved.resource.as_deref().unwrap_or("-");
            writeln!(f, "not known, line {line}, {of}: {}", unresolved.what)?;
        }
        Ok(())
    }
}

impl Design {
    fn name(&self, id: NodeId) -> String {
        full_name(self.node(id))
    }
}

/// A node's name; with its stack's before it, where there are several.
fn full_name(node: &Node) -> String {
    match &node.stack {
        Some(stack) => format!("{stack}/{}", node.name),
        None => node.name.clone(),
    }
}

/// What is stated, as words in brackets.
#[derive(Default)]
struct Stated(Vec<String>);

impl Stated {
    fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() { Ok(()) } else { write!(f, " [{}]", self.0.join(", ")) }
    }

    fn set<T: fmt::Display>(mut self, name: &str, setting: &Setting<T>) -> Stated {
        match setting {
            Setting::Default => {}
            Setting::Stated(value, _) => self.0.push(format!("{name} {value}")),
            Setting::Unknown { .. } => self.0.push(format!("{name} ?")),
        }
        self
    }

    fn is(mut self, name: &str, setting: &Setting<bool>) -> Stated {
        match setting {
            Setting::Default => {}
            Setting::Stated(true, _) => self.0.push(name.to_string()),
            Setting::Stated(false, _) => self.0.push(format!("not {name}")),
            Setting::Unknown { .. } => self.0.push(format!("{name} ?")),
        }
        self
    }

    fn when(mut self, name: &str, is: bool) -> Stated {
        if is {
            self.0.push(name.to_string());
        }
        self
    }

    fn count(mut self, name: &str, count: usize) -> Stated {
        if count > 0 {
            self.0.push(format!("{name} {count}"));
        }
        self
    }

    fn words(mut self, name: &str, words: &[String]) -> Stated {
        if !words.is_empty() {
            self.0.push(format!("{name} {}", words.join(" ")));
        }
        self
    }
}

fn described(kind: &Kind) -> (&'static str, Stated) {
    let none = Stated::default();
    match kind {
        Kind::Function(function) => ("function", of_function(function)),
        Kind::Queue(queue) => ("queue", of_queue(queue)),
        Kind::Topic(topic) => (
            "topic",
            encryption(none.when("fifo", topic.fifo), &topic.encryption)
                .set("bytes", &topic.message_bytes_max),
        ),
        Kind::Bus(bus) => ("bus", none.when("the default bus", bus.is_default)),
        Kind::Rule(rule) => {
            ("rule", none.when("pattern", rule.pattern.is_some()).is("enabled", &rule.enabled))
        }
        Kind::Schedule(schedule) => (
            "schedule",
            none.set("at", &schedule.expression)
                .set("every s", &schedule.interval_s)
                .is("enabled", &schedule.enabled),
        ),
        Kind::Stream(stream) => (
            "stream",
            none.when("of table", stream.of_table)
                .set("shards", &stream.shards)
                .set("retention h", &stream.retention_h)
                .set("record KiB", &stream.record_kib_max),
        ),
        Kind::Table(table) => ("table", none.is("on demand", &table.on_demand)),
        Kind::Bucket(bucket) => ("bucket", none.when("to bus", bucket.to_bus)),
        Kind::Api(api) => (
            api_word(api.kind),
            none.set("endpoint", &api.endpoint)
                .when("throttled", api.throttled)
                .is("logs bodies", &api.logs_bodies),
        ),
        Kind::Machine(machine) => ("machine", of_machine(machine)),
        Kind::Pipe(pipe) => ("pipe", none.is("enabled", &pipe.enabled)),
        Kind::Database(database) => (
            database_word(database.kind),
            none.set("class", &database.class)
                .set("engine", &database.engine)
                .set("connections", &database.connections_max)
                .set("capacity", &database.capacity_max)
                .set("pool %", &database.pool_percent)
                .set("borrow s", &database.borrow_timeout_s),
        ),
        Kind::External(external) => ("external", none.when(&external.what, true)),
    }
}

fn api_word(kind: ApiKind) -> &'static str {
    match kind {
        ApiKind::Rest => "REST API",
        ApiKind::Http => "HTTP API",
        ApiKind::WebSocket => "WebSocket API",
        ApiKind::FunctionUrl => "function URL",
        ApiKind::LoadBalancer => "load balancer",
        ApiKind::GraphQl => "GraphQL API",
        ApiKind::Flyball => "gateway",
    }
}

fn database_word(kind: DatabaseKind) -> &'static str {
    match kind {
        DatabaseKind::Instance => "database instance",
        DatabaseKind::Cluster => "database cluster",
        DatabaseKind::Proxy => "database proxy",
        DatabaseKind::Cache => "cache",
        DatabaseKind::Other => "database",
    }
}

fn encryption(stated: Stated, encryption: &Setting<Encryption>) -> Stated {
    match encryption {
        Setting::Stated(Encryption::Service, _) => stated.when("service key", true),
        Setting::Stated(Encryption::AwsManagedKey, _) => stated.when("AWS-managed key", true),
        Setting::Stated(Encryption::CustomerKey, _) => stated.when("customer key", true),
        Setting::Unknown { .. } => stated.when("key ?", true),
        Setting::Default => stated,
    }
}

fn of_queue(queue: &Queue) -> Stated {
    let stated = Stated::default()
        .when("fifo", queue.fifo)
        .set("visibility s", &queue.visibility_s)
        .set("retention s", &queue.retention_s)
        .set("delay s", &queue.delay_s)
        .set("bytes", &queue.message_bytes_max)
        .is("redrive", &queue.redrive)
        .is("high throughput", &queue.high_throughput);
    encryption(stated, &queue.encryption)
        .count("policy statements", queue.policies.len())
        .when("policies ?", queue.policies_unknown)
        .when("inbox", queue.inbox)
        .set("attempts", &queue.attempts_max)
}

fn of_function(function: &Function) -> Stated {
    let provisioned = function.provisioned.iter();
    let mut stated = Stated::default()
        .set("timeout s", &function.timeout_s)
        .set("memory MB", &function.memory_mb)
        .set("storage MB", &function.storage_mb)
        .set("reserved", &function.reserved)
        .set("runtime", &function.runtime)
        .set("architecture", &function.architecture)
        .set("async retries", &function.async_retries_max)
        .set("async age s", &function.async_age_max_s)
        .is("dead letters", &function.dead_letters)
        .when("network", function.network.is_some());
    if let Some(network) = &function.network {
        let way_out = match network.way_out {
            None => "way out ?",
            Some(WayOut::None) => "no way out",
            Some(WayOut::NatGateway) => "out by NAT gateway",
            Some(WayOut::Other) => "another way out",
            Some(WayOut::InternetGateway) => "internet gateway only",
        };
        stated = stated.when(way_out, true).words("endpoints", &network.endpoints);
    }
    for provisioned in provisioned {
        stated = stated.set(&format!("provisioned {}", provisioned.qualifier), &provisioned.count);
    }
    let variables: Vec<String> = function.environment.iter().map(|(name, _)| name.clone()).collect();
    stated
        .words("variables", &variables)
        .when("per tenant", function.per_tenant)
        .when("durable", function.durable)
        .when("own instances", function.own_instances)
        .when("snap start", function.snap_start)
        .is("traced", &function.traced)
        .set("log level", &function.log_level)
        .set("log retention d", &function.log_retention)
        .count("layers", function.layers)
        .when("url", function.url)
        .when("recursion allowed", function.recursion_allowed)
        .words("aliases", &function.aliases)
        .words("wide grants", &function.wide_grants)
}

fn of_machine(machine: &Machine) -> Stated {
    let loops: Vec<String> = machine.flow.loops().into_iter().map(str::to_string).collect();
    let waits_s = machine.flow.longest(&|state| state.waits_s).sum;
    let mut stated = Stated::default()
        .is("express", &machine.express)
        .set("timeout s", &machine.timeout_s)
        .is("logs data", &machine.logs_data)
        .count("states", machine.states)
        .words("loops", &loops)
        .when(&format!("waits s {waits_s}"), waits_s > 0);
    for (name, distributed, at_once) in &machine.maps {
        stated = stated.when(if *distributed { "distributed map" } else { "map" }, true);
        stated = match at_once {
            Setting::Default => stated.when(name, true),
            at_once => stated.set(&format!("{name} at once"), at_once),
        };
    }
    stated.when(&format!("unread: {}", machine.unread.as_deref().unwrap_or("")), machine.unread.is_some())
}

fn made_by(edge: &Edge) -> (String, Stated) {
    let none = Stated::default();
    let (word, stated) = match &edge.via {
        Via::EventSource(source) => ("event source", of_source(source)),
        Via::PipeSource(source) => ("pipe source", of_source(source)),
        Via::Subscription(subscription) => (
            "subscription",
            none.when(&subscription.protocol, true)
                .is("raw", &subscription.raw)
                .when("filter", subscription.filter.is_some())
                .when("of body", subscription.filters_body)
                .is("redrive", &subscription.redrive),
        ),
        Via::Target(target) => (
            "target",
            none.set("retries", &target.retries_max)
                .set("age s", &target.age_max_s)
                .is("dead letters", &target.dead_letters)
                .when("message group", target.message_group)
                .when("role", target.role),
        ),
        Via::Matches => ("matches", none),
        Via::Notification(of) => (
            "notification",
            none.words("events", &of.events).set("prefix", &of.prefix).set("suffix", &of.suffix),
        ),
        Via::Integration(of) => {
            let route = format!("{} {}", of.method, of.path);
            let stated = none.when(route.trim(), true).set("timeout ms", &of.timeout_ms);
            ("integration", stated.words("action", &Vec::from_iter(of.action.clone())))
        }
        Via::Authorizer => ("authorizer", none),
        Via::Task(task) => ("task", of_task(task)),
        Via::Access(access) => ("access", of_access(access)),
        Via::Destination(Destination::Success) => ("on success", none),
        Via::Destination(Destination::Failure) => ("on failure", none),
        Via::DeadLetters { attempts_max } => ("dead letters", none.set("attempts", attempts_max)),
        Via::Enrichment => ("enrichment", none),
        Via::LogSubscription => ("log subscription", none),
        Via::Trigger(what) => return (what.clone(), by(edge, none)),
    };
    (word.to_string(), by(edge, stated))
}

fn by(edge: &Edge, stated: Stated) -> Stated {
    stated.words("by", &Vec::from_iter(edge.resource.clone()))
}

fn of_source(source: &EventSource) -> Stated {
    Stated::default()
        .set("batch", &source.batch_max)
        .set("window s", &source.window_s)
        .set("concurrency", &source.concurrency_max)
        .is("partial failures", &source.partial_failures)
        .count("filters", source.filters.len())
        .is("enabled", &source.enabled)
        .set("parallelization", &source.parallelization)
        .set("retries", &source.retries_max)
        .set("age s", &source.age_max_s)
        .is("bisect", &source.bisect)
        .set("tumbling window s", &source.tumbling_window_s)
        .is("on failure", &source.on_failure)
        .when("provisioned pollers", source.provisioned_pollers)
        .when("own throughput", source.own_throughput)
}

fn of_access(access: &Access) -> Stated {
    Stated::default()
        .words("may", &access.actions)
        .words("variable", &Vec::from_iter(access.variable.clone()))
        .when("reads too", access.reads)
        .words("sources", &access.sources)
        .words("detail types", &access.detail_types)
}

fn of_task(task: &Task) -> Stated {
    let pattern = match task.pattern {
        TaskPattern::RequestResponse => "",
        TaskPattern::RunAJob => "sync",
        TaskPattern::WaitForToken => "token",
    };
    let mut stated = Stated::default()
        .when(&task.state, true)
        .when(&task.action, true)
        .when(pattern, !pattern.is_empty())
        .set("timeout s", &task.timeout_s)
        .set("heartbeat s", &task.heartbeat_s)
        .words("sources", &task.sources)
        .words("detail types", &task.detail_types);
    for retry in &task.retries {
        stated = stated
            .when(&format!("retries {}", retry.errors.join(" ")), true)
            .set("after s", &retry.interval_s)
            .set("times", &retry.attempts_max)
            .set("rate", &retry.backoff)
            .set("at most s", &retry.delay_max_s);
    }
    stated = stated.when("catches", task.catches).when("distributed", task.distributed);
    if let Some(concurrency) = &task.map_concurrency {
        stated = match concurrency {
            Setting::Default => stated.when("in a map", true),
            stated_bound => stated.set("in a map of", stated_bound),
        };
    }
    stated
}
