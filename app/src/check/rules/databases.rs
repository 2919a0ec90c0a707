//! Databases that each environment holds connections to.

use std::collections::BTreeSet;

use crate::{
    check::{
        About, Draft, Found, Look, Quantity, Rule, Severity,
        load::{Flow, number},
        words,
    },
    design::{Database, DatabaseKind, Edge, EdgeId, Function, Kind, NodeId, Via},
    profile::Limit,
};

/// FB0029: more environments than connections or processors.
pub(super) struct Storm;

/// Memory and processors of an instance class.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Class {
    /// GiB.
    pub memory_gib: f64,
    /// Virtual processors.
    pub processors: f64,
}

/// What an instance class has. `None`: a class that is not known here, or a part of an instance.
pub(super) fn class(name: &str) -> Option<Class> {
    let mut parts = name.strip_prefix("db.")?.split('.');
    let (family, size) = (parts.next()?, parts.next()?);
    if parts.next().is_some() {
        return None;
    }
    let burst = |memory_gib, processors| Some(Class { memory_gib, processors });
    match (family, size) {
        ("t3" | "t4g", "micro") => return burst(1.0, 2.0),
        ("t3" | "t4g", "small") => return burst(2.0, 2.0),
        ("t3" | "t4g", "medium") => return burst(4.0, 2.0),
        ("t3" | "t4g", "large") => return burst(8.0, 2.0),
        ("t3" | "t4g", "xlarge") => return burst(16.0, 4.0),
        ("t3" | "t4g", "2xlarge") => return burst(32.0, 8.0),
        ("t2", "micro") => return burst(1.0, 1.0),
        ("t2", "small") => return burst(2.0, 1.0),
        ("t2", "medium") => return burst(4.0, 2.0),
        ("t2", "large") => return burst(8.0, 2.0),
        _ => {}
    }
    let processors = match size {
        "large" => 2.0,
        "xlarge" => 4.0,
        _ => 4.0 * size.strip_suffix("xlarge")?.parse::<f64>().ok().filter(|times| *times >= 1.0)?,
    };
    let per_processor = match family {
        "m4" | "m5" | "m5d" | "m6g" | "m6gd" | "m6i" | "m6id" | "m7g" | "m7i" | "m8g" => 4.0,
        "r5" | "r5b" | "r5d" | "r6g" | "r6gd" | "r6i" | "r6id" | "r7g" | "r7i" | "r8g" => 8.0,
        _ => return None,
    };
    Some(Class { memory_gib: per_processor * processors, processors })
}

/// What a database takes.
struct Capacity {
    connections: Option<f64>,
    processors: Option<f64>,
    /// Where the connections are from, in words.
    because: String,
    /// The number of connections is computed from memory: at most so many.
    computed: bool,
}

fn capacity(look: &Look<'_>, id: NodeId, database: &Database) -> Capacity {
    let facts = look.given.databases.get(&look.design.node(id).name).copied().unwrap_or_default();
    let class_name = database.class.stated();
    let class = class_name.and_then(|name| class(name));
    let processors = facts.processors.or(class.map(|class| class.processors));
    if let Some(stated) =
        facts.connections_max.or(database.connections_max.stated().map(|most| number(*most)))
    {
        return Capacity {
            connections: Some(stated),
            processors,
            because: "as stated".into(),
            computed: false,
        };
    }
    let computed = class.filter(|_| database.connections_max.is_default()).and_then(|class| {
        let engine = database.engine.stated()?.to_ascii_lowercase();
        default_connections(look, &engine, class.memory_gib * 1_073_741_824.0)
    });
    let because = class_name.map_or_else(String::new, |name| format!("{name}'s default, from its memory"));
    Capacity { connections: computed, processors, because, computed: true }
}

/// RDS's formula for its default. The memory that it divides is a little below the class's, so that this is
/// more.
fn default_connections(look: &Look<'_>, engine: &str, memory: f64) -> Option<f64> {
    let (per_connection, most) = match engine {
        "postgres" => (
            Limit::DatabasePostgresBytesPerConnection,
            look.profile.value(Limit::DatabasePostgresConnectionsMax)?,
        ),
        "mysql" | "mariadb" => (Limit::DatabaseMysqlBytesPerConnection, f64::INFINITY),
        _ => return None,
    };
    Some((memory / look.profile.value(per_connection)?).floor().min(most))
}

impl Rule for Storm {
    fn about(&self) -> &'static About {
        &About {
            code: "FB0029",
            title: "connection storm",
            severity: Severity::Warning,
            since: 1,
            page: include_str!("../../../../docs/rules/FB0029.md"),
        }
    }

    fn check(&self, look: &Look<'_>, found: &mut Found<'_>) {
        if !look.is_aws() {
            return;
        }
        let flows = look.flows();
        // Where no traffic is stated, one note for each database says enough.
        let mut noted: BTreeSet<NodeId> = BTreeSet::new();
        for (id, edge) in look.design.edges() {
            let Kind::Function(function) = &look.design.node(edge.from).kind else { continue };
            let Kind::Database(database) = &look.design.node(edge.to).kind else { continue };
            // A proxy and a cache have limits of their own, that are not known here.
            if !matches!(database.kind, DatabaseKind::Instance | DatabaseKind::Cluster) {
                continue;
            }
            if holds_no_connection(edge) {
                continue;
            }
            let Some(demand) = demand(look, function, flows.get(&edge.from)) else { continue };
            if !demand.stated && !noted.insert(edge.to) {
                continue;
            }
            storm(look, (id, edge), &capacity(look, edge.to, database), &demand, found);
        }
    }
}

/// The Data API takes statements over HTTP: the connections are its own.
fn holds_no_connection(edge: &Edge) -> bool {
    let Via::Access(access) = &edge.via else { return false };
    !access.actions.is_empty() && access.actions.iter().all(|action| action.starts_with("rds-data:"))
}

/// Environments of a function while the database is slow and each run takes its whole timeout.
struct Demand {
    at_once: f64,
    because: String,
    assumed_pool: bool,
    /// The traffic is stated: otherwise only what the function may come to is known.
    stated: bool,
}

fn demand(look: &Look<'_>, function: &Function, flows: Option<&Vec<Flow>>) -> Option<Demand> {
    let reserved = function.reserved.stated().copied().map(number);
    let cap = match reserved {
        Some(reserved) => reserved,
        None if function.reserved.is_default() => look.shared_pool()?,
        None => return None,
    };
    let timeout = number(look.timeout_s(function)?);
    let per_s: f64 = flows.into_iter().flatten().map(|flow| flow.per_s).sum();
    if per_s > 0.0 {
        let wants = per_s * timeout;
        let capped = wants > cap;
        let [per_s, timeout] = [per_s, timeout].map(words::decimal);
        let because = match (capped, reserved.is_some()) {
            (false, _) => format!("{per_s}/s × {timeout} s when it is slow"),
            (true, true) => format!("its reservation; {per_s}/s × {timeout} s when it is slow would be more"),
            (true, false) => format!("the whole pool; {per_s}/s × {timeout} s when it is slow would be more"),
        };
        let assumed_pool = capped && reserved.is_none();
        return Some(Demand { at_once: wants.min(cap), because, assumed_pool, stated: true });
    }
    let because = if reserved.is_some() { "its reservation" } else { "nothing but the pool bounds it" };
    Some(Demand { at_once: cap, because: because.into(), assumed_pool: reserved.is_none(), stated: false })
}

fn storm(
    look: &Look<'_>,
    (id, edge): (EdgeId, &Edge),
    capacity: &Capacity,
    demand: &Demand,
    found: &mut Found<'_>,
) {
    let [name, database] = [edge.from, edge.to].map(|id| &look.design.node(id).name);
    let at_once = words::decimal(demand.at_once.ceil());
    let over = capacity.connections.filter(|most| demand.at_once > *most);
    let per_processor = look.profile.value(Limit::DatabaseConnectionsPerProcessor);
    let busy = capacity
        .processors
        .zip(per_processor)
        .map(|(processors, each)| (processors, processors * each))
        .filter(|(_, most)| demand.at_once > *most && demand.stated);
    let (says, limit) = match (over, busy) {
        (Some(most), _) => (
            format!("{database} takes {} connections ({})", words::decimal(most), capacity.because),
            Quantity::stated(format!("connections of {database}"), most, ""),
        ),
        (None, Some((processors, most))) => (
            format!(
                "{database} has {} processors for their queries: it slows down long before it runs out of \
                 connections",
                words::decimal(processors)
            ),
            Quantity::stated(format!("connections that the processors of {database} serve"), most, ""),
        ),
        (None, None) => return,
    };
    let message = format!(
        "{name} can come to {at_once} environments ({}), each with a connection, and {says}",
        demand.because
    );
    let help = format!(
        "reserve fewer environments for {name} than that, put RDS Proxy between, and set a statement \
         timeout below the function's"
    );
    let mut draft = Draft::new(edge.from, edge.span, message, help)
        .rests_on([id])
        .path(look.hop_pair(edge, format!("{at_once} environments"), capacity.because.clone()))
        .meets(limit, Quantity::stated(format!("environments of {name}"), demand.at_once, ""));
    if demand.assumed_pool {
        draft = draft.by(look, Limit::LambdaConcurrency);
    }
    if !demand.stated {
        draft = draft.assuming(format!("enough requests come to {name}"));
    }
    if over.is_none() {
        draft = draft.by(look, Limit::DatabaseConnectionsPerProcessor);
    } else if capacity.computed {
        draft = draft.by(look, Limit::DatabasePostgresBytesPerConnection);
    }
    found.add(draft);
}
