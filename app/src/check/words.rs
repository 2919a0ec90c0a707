//! Numbers and nodes as people read them, and small makers for findings.

use super::{Draft, Hop, Look, Quantity};
use crate::{
    design::{Api, ApiKind, DatabaseKind, Edge, EdgeId, Evidence, Kind, NodeId},
    profile::{Limit, Unit},
};

/// A number of bytes: `256 KiB`, `1 MiB`, `1,500 bytes`.
pub fn bytes(number: f64) -> String {
    let units = [(1_073_741_824.0, "GiB"), (1_048_576.0, "MiB"), (1_024.0, "KiB")];
    match units.into_iter().find(|(size, _)| number >= *size) {
        Some((size, unit)) => format!("{} {unit}", decimal(number / size)),
        None => format!("{} bytes", decimal(number)),
    }
}

/// A number of seconds: `30 s`, `15 min`, `12 h`, `4 days`. Only what comes out even is in larger units.
pub fn seconds(number: f64) -> String {
    let even = |size: f64| number >= size && (number / size).fract() == 0.0;
    match number {
        _ if number < 300.0 => format!("{} s", decimal(number)),
        _ if even(86_400.0) && number > 86_400.0 => format!("{} days", decimal(number / 86_400.0)),
        _ if even(3_600.0) => format!("{} h", decimal(number / 3_600.0)),
        _ if even(60.0) => format!("{} min", decimal(number / 60.0)),
        _ => format!("{} s", decimal(number)),
    }
}

/// Seconds about as long: `3 min`, `7 h`, `12 days`, where exactness says nothing.
pub fn about(number: f64) -> String {
    let units = [(86_400.0, "days"), (3_600.0, "h"), (60.0, "min")];
    match units.into_iter().find(|(size, _)| number >= 2.0 * size) {
        Some((size, unit)) => format!("{} {unit}", decimal((number / size).round())),
        None => format!("{} s", decimal(number.round())),
    }
}

/// A number with separators of thousands and at most one place behind the point: `1,250`, `4.5`.
pub fn decimal(number: f64) -> String {
    let rounded = (number * 10.0).round() / 10.0;
    let text = format!("{rounded}");
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let (sign, digits) = whole.strip_prefix('-').map_or(("", whole), |digits| ("-", digits));
    let mut out = sign.to_string();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index) % 3 == 0 {
            out.push(',');
        }
        out.push(digit);
    }
    if !fraction.is_empty() {
        out.push('.');
        out.push_str(fraction);
    }
    out
}

/// A whole number of a file's setting.
#[expect(clippy::cast_precision_loss, reason = "settings are far below 2^52")]
pub fn whole(value: i64) -> f64 {
    value as f64
}

/// Names in a sentence: `A`, `A and B`, `A, B and 3 more`.
pub fn list(names: &[&str]) -> String {
    match names {
        [] => String::new(),
        [one] => (*one).to_string(),
        [one, two] => format!("{one} and {two}"),
        [one, two, three] => format!("{one}, {two} and {three}"),
        [one, two, rest @ ..] => format!("{one}, {two} and {} more", rest.len()),
    }
}

/// What a node is, in a word or two.
pub fn kind(kind: &Kind) -> &'static str {
    match kind {
        Kind::Function(_) => "function",
        Kind::Queue(queue) if queue.fifo => "FIFO queue",
        Kind::Queue(_) => "queue",
        Kind::Topic(topic) if topic.fifo => "FIFO topic",
        Kind::Topic(_) => "topic",
        Kind::Bus(_) => "bus",
        Kind::Rule(_) => "rule",
        Kind::Schedule(_) => "schedule",
        Kind::Stream(stream) if stream.of_table => "table stream",
        Kind::Stream(_) => "stream",
        Kind::Table(_) => "table",
        Kind::Bucket(_) => "bucket",
        Kind::Api(api) => entrance(api),
        Kind::Machine(machine) if machine.express.stated() == Some(&true) => "Express state machine",
        Kind::Machine(_) => "state machine",
        Kind::Pipe(_) => "pipe",
        Kind::Database(database) => match database.kind {
            DatabaseKind::Instance | DatabaseKind::Other => "database",
            DatabaseKind::Cluster => "database cluster",
            DatabaseKind::Proxy => "database proxy",
            DatabaseKind::Cache => "cache",
        },
        Kind::External(_) => "other service",
    }
}

fn entrance(api: &Api) -> &'static str {
    match api.kind {
        ApiKind::Rest => "REST API",
        ApiKind::Http => "HTTP API",
        ApiKind::WebSocket => "WebSocket API",
        ApiKind::FunctionUrl => "function URL",
        ApiKind::LoadBalancer => "load balancer",
        ApiKind::GraphQl => "GraphQL API",
        ApiKind::Flyball => "gateway",
    }
}

impl Quantity {
    /// What a file states, or what follows from what it states.
    pub fn stated(of: impl Into<String>, number: f64, unit: &'static str) -> Quantity {
        Quantity { of: of.into(), number, unit, source: String::new() }
    }
}

impl Look<'_> {
    /// A limit of the profile, with its source.
    pub fn limit(&self, limit: Limit, of: impl Into<String>) -> Option<Quantity> {
        let row = self.profile.row(limit)?;
        let unit = match limit.unit() {
            Unit::Bytes => "bytes",
            Unit::Megabytes => "MB",
            Unit::Seconds => "s",
            Unit::Milliseconds => "ms",
            Unit::Count => "",
            Unit::PerSecond => "/s",
        };
        let source = format!("{}, {}", row.source, row.date);
        Some(Quantity { of: of.into(), number: row.value, unit, source })
    }

    /// A hop at a node: `limit` in words, or empty.
    pub fn hop(&self, node: NodeId, by: Option<Evidence>, limit: impl Into<String>) -> Hop {
        let node = self.design.node(node);
        Hop {
            name: node.name.clone(),
            kind: kind(&node.kind),
            limit: limit.into(),
            evidence: by,
            wall: false,
        }
    }

    /// The hops of a way: of the first edge's `from`, then of each edge's `to`. `limit` says what counts at a
    /// node, in words or empty.
    pub fn hops(&self, edges: &[EdgeId], limit: impl Fn(NodeId) -> String) -> Vec<Hop> {
        let edges = edges.iter().map(|edge| self.design.edge(*edge));
        let mut hops = Vec::new();
        for edge in edges {
            if hops.is_empty() {
                hops.push(self.hop(edge.from, None, limit(edge.from)));
            }
            hops.push(self.hop(edge.to, Some(edge.evidence), limit(edge.to)));
        }
        hops
    }

    /// The two hops of one edge.
    pub fn hop_pair(&self, edge: &Edge, from: impl Into<String>, to: impl Into<String>) -> Vec<Hop> {
        vec![
            self.hop(edge.from, None, from),
            Hop { wall: true, ..self.hop(edge.to, Some(edge.evidence), to) },
        ]
    }
}

impl Draft {
    /// Says what is uncertain about a row of the profile that the finding rests on: that it could not be
    /// verified, or that the account may have a higher one.
    pub fn by(self, look: &Look<'_>, limit: Limit) -> Draft {
        let Some(row) = look.profile.row(limit) else { return self };
        match row {
            row if row.unverified && !row.stated => {
                let what = limit.key();
                self.assuming(format!("{what} is {}, which could not be verified", decimal(row.value)))
            }
            row if row.raisable && !row.stated => {
                let what = limit.key();
                self.assuming(format!(
                    "{what} is {}, AWS's default; the account may have more",
                    decimal(row.value)
                ))
            }
            _ => self,
        }
    }
}
