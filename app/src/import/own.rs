//! `flyball.toml` becomes a design without a detour.
//!
//! Every setting is stated: what the file leaves out has the model's default, at the place of what would have it.

use std::{collections::BTreeMap, ops::Range};

use flyball_core::{
    Name, Span as Duration,
    model::{Application, Delivery, Destination, Pattern, Route, RouteMode},
};

use super::Problem;
use crate::{
    Diagnostic, SourceMap,
    design::{
        Access, Api, ApiKind, Bus, Design, Edge, EventSource, Evidence, Function, Integration, Kind, Mode,
        Node, NodeId, Platform, Queue, Rule, Setting, Subscription, Target, Topic, Via,
    },
    document::{Entry, FileId, Files, Span, Tree, Value},
};

/// What people call the entrance of HTTP requests.
const GATEWAY: &str = "gateway";

/// The design of an application file. `None`: it could not be read, and the problems say why. Components need not
/// be built for it.
pub(crate) fn design(files: &Files, file: FileId, problems: &mut Vec<Problem>) -> Option<Design> {
    match crate::read(files.name(file), files.text(file)) {
        Ok(read) => {
            let design = Design::new(files.clone(), Platform::Flyball);
            let application: &Application = &read.application;
            let drawing =
                Drawing { design, file, application, sources: &read.sources, nodes: BTreeMap::new() };
            Some(drawing.draw())
        }
        Err(wrong) => {
            problems.extend(wrong.diagnostics.iter().map(|found| problem(found, files, file)));
            None
        }
    }
}

fn problem(found: &Diagnostic, files: &Files, file: FileId) -> Problem {
    let text = files.text(file);
    let line = text.split_inclusive('\n').take(found.line.saturating_sub(1)).map(str::len).sum::<usize>();
    let rest = text.get(line..).unwrap_or("");
    let column = rest.char_indices().nth(found.column.saturating_sub(1)).map_or(0, |(at, _)| at);
    let start = u32::try_from(line + column).unwrap_or(u32::MAX);
    let span = Span { file, start, end: start };
    Problem { code: found.code.as_str(), span, message: found.message.clone(), help: found.help.clone() }
}

struct Drawing<'a> {
    design: Design,
    file: FileId,
    application: &'a Application,
    sources: &'a SourceMap,
    /// By the name that events are sent to: queues, inboxes, topics, buses; functions by their own.
    nodes: BTreeMap<String, NodeId>,
}

impl Drawing<'_> {
    fn draw(mut self) -> Design {
        let app = self.application;
        for name in app.functions.keys() {
            self.function(name);
        }
        for (name, queue) in &app.queues {
            let at = ["queue", name.as_str()];
            let kind = Kind::Queue(self.queue(&at, &queue.delivery, false));
            let node = self.node(name, "queue", kind, &at);
            self.delivers(node, &queue.function, &queue.delivery, &at);
        }
        for name in app.topics.keys() {
            self.node(name, "topic", Kind::Topic(Topic::default()), &["topic", name]);
        }
        for name in app.buses.keys() {
            self.node(name, "bus", Kind::Bus(Bus::default()), &["bus", name]);
        }
        self.topics();
        self.rules();
        for (index, route) in app.routes.iter().enumerate() {
            self.route(&index.to_string(), route);
        }
        self.grants();
        self.design
    }

    fn span(&self, range: Range<usize>) -> Span {
        let at = |offset: usize| u32::try_from(offset).unwrap_or(u32::MAX);
        Span { file: self.file, start: at(range.start), end: at(range.end) }
    }

    fn at(&self, place: &[&str]) -> Span {
        self.span(self.sources.span_of(place.iter().copied()))
    }

    fn stated<T>(&self, value: T, table: &[&str], key: &str) -> Setting<T> {
        let place: Vec<&str> = table.iter().copied().chain([key]).collect();
        Setting::Stated(value, self.at(&place))
    }

    fn node(&mut self, name: &str, of: &str, kind: Kind, place: &[&str]) -> NodeId {
        let span = self.span(self.sources.key_of(place));
        let node = Node {
            name: name.to_string(),
            stack: None,
            resource_type: of.to_string(),
            kind,
            span,
            physical_name: None,
            construct_path: None,
            conditional: None,
            allowed: Vec::new(),
        };
        let id = self.design.add(node);
        self.nodes.insert(name.to_string(), id);
        id
    }

    fn connect(&mut self, (from, to): (NodeId, NodeId), mode: Mode, via: Via, span: Span) {
        let evidence = match via {
            Via::Access(_) => Evidence::Declared,
            _ => Evidence::Wired,
        };
        let edge =
            Edge { from, to, mode, evidence, via, span, qualifier: None, resource: None, conditional: None };
        self.design.connect(edge);
    }

    fn function(&mut self, name: &Name) {
        let Some(function) = self.application.functions.get(name) else { return };
        let at = ["function", name.as_str()];
        let cap = function.limits.concurrency.cap;
        let memory_mb = i64::try_from(function.memory_bytes_max.div_ceil(1 << 20)).unwrap_or(i64::MAX);
        let has_cap = cap != u32::MAX;
        let kind = Function {
            timeout_s: self.stated(seconds(function.timeout), &at, "timeout"),
            memory_mb: self.stated(memory_mb, &at, "memory"),
            reserved: match has_cap {
                true => self.stated(i64::from(cap), &at, "concurrency"),
                false => Setting::Default,
            },
            // What an inbox or a queue gives up goes to the dead letters that the platform keeps.
            dead_letters: Setting::Stated(true, self.at(&at)),
            ..Function::default()
        };
        self.node(name, "function", Kind::Function(Box::new(kind)), &at);
    }

    fn queue(&self, place: &[&str], delivery: &Delivery, inbox: bool) -> Queue {
        Queue {
            visibility_s: self.stated(seconds(delivery.visibility), place, "visibility"),
            delay_s: self.stated(seconds(delivery.delay), place, "delay"),
            redrive: Setting::Stated(true, self.at(place)),
            inbox,
            attempts_max: self.stated(i64::from(delivery.attempts_max), place, "attempts_max"),
            ..Queue::default()
        }
    }

    /// The edge from a queue or inbox to its function.
    fn delivers(&mut self, queue: NodeId, function: &Name, delivery: &Delivery, place: &[&str]) {
        let Some(function) = self.nodes.get(function.as_str()).copied() else { return };
        let source = EventSource {
            batch_max: self.stated(i64::from(delivery.batch_max), place, "batch_max"),
            window_s: self.stated(seconds(delivery.batch_window), place, "batch_window"),
            // Each event of a batch has an outcome of its own.
            partial_failures: Setting::Stated(true, self.at(place)),
            ..EventSource::default()
        };
        let span = self.at(place);
        self.connect((queue, function), Mode::Poll, Via::EventSource(Box::new(source)), span);
    }

    /// A function's inbox, made when the first event source leads there.
    fn inbox(&mut self, function: &Name) -> Option<NodeId> {
        let name = Name::inbox_of(function);
        if let Some(id) = self.nodes.get(name.as_str()) {
            return Some(*id);
        }
        let delivery = &self.application.functions.get(function)?.inbox;
        let at = ["function", function.as_str(), "inbox"];
        let kind = Kind::Queue(self.queue(&at, delivery, true));
        let id = self.node(&name, "inbox", kind, &at);
        self.delivers(id, function, delivery, &at);
        Some(id)
    }

    fn destination(&mut self, to: &Destination) -> Option<NodeId> {
        match to {
            Destination::Queue(name) => self.nodes.get(name.as_str()).copied(),
            Destination::Function(name) => self.inbox(name),
        }
    }

    fn topics(&mut self) {
        for (name, topic) in &self.application.topics {
            let Some(from) = self.nodes.get(name.as_str()).copied() else { continue };
            for (index, to) in topic.subscribers.iter().enumerate() {
                let span = self.at(&["topic", name, "subscribers", &index.to_string()]);
                let Some(node) = self.destination(to) else { continue };
                let protocol = match to {
                    Destination::Queue(_) => "queue",
                    Destination::Function(_) => "function",
                };
                let redrive = Setting::Stated(true, span);
                let via = Subscription { protocol: protocol.into(), redrive, ..Subscription::default() };
                self.connect((from, node), Mode::Async, Via::Subscription(Box::new(via)), span);
            }
        }
    }

    fn rules(&mut self) {
        for (bus_name, bus) in &self.application.buses {
            let Some(from) = self.nodes.get(bus_name.as_str()).copied() else { continue };
            for (name, rule) in &bus.rules {
                let at = ["bus", bus_name.as_str(), "rule", name.as_str()];
                let span = self.at(&at);
                let pattern = Some(pattern(&rule.pattern, span));
                let kind = Kind::Rule(Rule { pattern, ..Rule::default() });
                // Rules of two buses may have one name: what people see names the bus, too.
                let node = self.node(&format!("{bus_name}/{name}"), "rule", kind, &at);
                self.connect((from, node), Mode::Async, Via::Matches, span);
                let Some(to) = self.destination(&rule.to) else { continue };
                let dead_letters = Setting::Stated(true, span);
                let via = Via::Target(Box::new(Target { dead_letters, ..Target::default() }));
                self.connect((node, to), Mode::Async, via, self.at(&[at[0], at[1], at[2], at[3], "to"]));
            }
        }
    }

    fn route(&mut self, index: &str, route: &Route) {
        let at = ["route", index];
        let gateway = match self.nodes.get(GATEWAY) {
            Some(id) if matches!(self.design.node(*id).kind, Kind::Api(_)) => *id,
            _ => self.gateway(&at),
        };
        let methods = if route.methods.is_empty() { "ANY".into() } else { route.methods.join(",") };
        let via = Integration { method: methods, path: route.path.clone(), ..Integration::default() };
        let (to, mode) = match route.mode {
            RouteMode::Sync => (self.nodes.get(route.function.as_str()).copied(), Mode::Sync),
            RouteMode::Async => (self.inbox(&route.function), Mode::Async),
        };
        let Some(to) = to else { return };
        self.connect((gateway, to), mode, Via::Integration(Box::new(via)), self.at(&at));
    }

    fn gateway(&mut self, place: &[&str]) -> NodeId {
        let limits = &self.application.limits.limits;
        let api = Api {
            kind: ApiKind::Flyball,
            endpoint: Setting::Default,
            throttled: limits.rate.is_some(),
            logs_bodies: Setting::Default,
        };
        let mut name = GATEWAY.to_string();
        // Slashes are in no name of a file, so that this is free.
        if self.nodes.contains_key(GATEWAY) {
            name = format!("/{GATEWAY}");
        }
        if let Some(id) = self.nodes.get(&name) {
            return *id;
        }
        self.node(&name, "gateway", Kind::Api(api), place)
    }

    fn grants(&mut self) {
        for (name, function) in &self.application.functions {
            let Some(from) = self.nodes.get(name.as_str()).copied() else { continue };
            let span = self.at(&["function", name, "grants", "emit"]);
            for target in &function.grants.emit {
                let Some(to) = self.nodes.get(target.as_str()).copied() else { continue };
                let via = Access { actions: vec!["emit".into()], ..Access::default() };
                self.connect((from, to), Mode::Async, Via::Access(via), span);
            }
        }
    }
}

/// Whole seconds; a part of one counts as one.
fn seconds(duration: Duration) -> i64 {
    i64::try_from(duration.0.div_ceil(1_000_000)).unwrap_or(i64::MAX)
}

/// A pattern in the words of `EventPattern`, so that rules read both alike.
fn pattern(own: &Pattern, span: Span) -> Tree {
    let entry = |key: &str, value: Tree| Entry { key: key.to_string(), key_span: span, value };
    let value = |text: &String| match text.strip_suffix('*') {
        Some(prefix) => Tree::map(span, vec![entry("prefix", Tree::text(span, prefix))]),
        None => Tree::text(span, text.clone()),
    };
    let lists = [("detail-type", &own.kind), ("source", &own.source), ("subject", &own.subject)];
    let entries = lists.into_iter().filter(|(_, list)| !list.is_empty()).map(|(key, list)| {
        let items = list.iter().map(value).collect();
        entry(key, Tree { value: Value::List(items), span })
    });
    Tree::map(span, entries.collect())
}
