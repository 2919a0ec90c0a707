//! Databases with connections, and which functions use them.

use std::collections::BTreeMap;

use super::{
    Row, Wire,
    index::At,
    lead::{Lead, To},
    read,
};
use crate::{
    design::{Access, Database, DatabaseKind, Edge, Evidence, Kind, Mode, NodeId, Setting, Via},
    document::{Span, Tree, Value},
};

/// What this module reads.
pub(super) const ROWS: &[Row] = &[
    Row::of("AWS::RDS::DBInstance").node(instance).edges(member).stands_for(member_of),
    Row::of("AWS::RDS::DBCluster").node(cluster),
    Row::of("AWS::RDS::DBProxy").node(proxy),
    Row::of("AWS::RDS::DBProxyTargetGroup").edges(proxy_targets),
    Row::of("AWS::DocDB::DBCluster").node(other),
    Row::of("AWS::DocDB::DBInstance").edges(member).stands_for(member_of),
    Row::of("AWS::Neptune::DBCluster").node(other),
    Row::of("AWS::Neptune::DBInstance").edges(member).stands_for(member_of),
    Row::of("AWS::ElastiCache::CacheCluster").node(cache),
    Row::of("AWS::ElastiCache::ReplicationGroup").node(cache),
    Row::of("AWS::ElastiCache::ServerlessCache").node(cache),
    Row::of("AWS::MemoryDB::Cluster").node(cache),
    Row::of("AWS::Redshift::Cluster").node(other),
    Row::of("AWS::OpenSearchService::Domain").node(other),
    Row::of("AWS::Elasticsearch::Domain").node(other),
];

fn database(kind: DatabaseKind, class: Setting<String>, engine: Setting<String>) -> Database {
    Database {
        kind,
        class,
        engine,
        connections_max: Setting::Default,
        capacity_max: Setting::Default,
        pool_percent: Setting::Default,
        borrow_timeout_s: Setting::Default,
    }
}

/// The cluster that an instance is a member of.
fn cluster_of(wire: &Wire<'_>, at: At) -> Option<At> {
    let reference = wire.property(at, "DBClusterIdentifier")?.reference()?;
    wire.referenced(at.stack(), reference)
}

fn member_of(wire: &Wire<'_>, at: At, _depth: usize) -> Vec<Lead> {
    vec![Lead::to(To::Resource(cluster_of(wire, at).unwrap_or(at), None))]
}

fn instance(wire: &mut Wire<'_>, at: At) {
    if wire.property(at, "DBClusterIdentifier").is_some() {
        return;
    }
    let properties = &wire.resource(at).properties;
    let class = read::text(properties.get("DBInstanceClass"));
    let engine = read::text(properties.get("Engine"));
    let connections_max = connections(wire, at, "DBParameterGroupName");
    let of = database(DatabaseKind::Instance, class, engine);
    wire.add(at, Kind::Database(Database { connections_max, ..of }));
}

/// An instance of a cluster: the cluster's class is that of its first one.
fn member(wire: &mut Wire<'_>, at: At) {
    let Some(node) = cluster_of(wire, at).and_then(|cluster| wire.node(cluster, None)) else { return };
    let own = read::text(wire.property(at, "DBInstanceClass"));
    if let Kind::Database(database) = &mut wire.design.node_mut(node).kind
        && database.class.is_default()
    {
        database.class = own;
    }
}

fn cluster(wire: &mut Wire<'_>, at: At) {
    let properties = &wire.resource(at).properties;
    let scaling = properties.at(&["ServerlessV2ScalingConfiguration", "MaxCapacity"]);
    let capacity_max = read::setting(scaling, number, "number");
    let engine = read::text(properties.get("Engine"));
    let class = read::text(properties.get("DBClusterInstanceClass"));
    let connections_max = connections(wire, at, "DBClusterParameterGroupName");
    let of = database(DatabaseKind::Cluster, class, engine);
    wire.add(at, Kind::Database(Database { connections_max, capacity_max, ..of }));
}

fn number(tree: &Tree) -> Option<f64> {
    match &tree.value {
        Value::Float(number) => Some(*number),
        // Capacity units are few.
        #[expect(clippy::cast_precision_loss, reason = "no capacity is past 2^53")]
        Value::Integer(number) => Some(*number as f64),
        Value::Text(text) => text.trim().parse().ok().filter(|number: &f64| number.is_finite()),
        _ => None,
    }
}

/// `max_connections` of the parameter group that a property names. A formula is not known: it is evaluated on
/// the machine.
fn connections(wire: &Wire<'_>, at: At, key: &str) -> Setting<i64> {
    let Some(name) = wire.property(at, key) else { return Setting::Default };
    let group = name.reference().and_then(|reference| wire.referenced(at.stack(), reference));
    let Some(group) = group else {
        let why = "its parameter group is not among the files".into();
        return Setting::Unknown { why, span: name.span };
    };
    let parameters = wire.property(group, "Parameters");
    read::integer(parameters.and_then(|parameters| parameters.get("max_connections")))
}

fn proxy(wire: &mut Wire<'_>, at: At) {
    let engine = read::text(wire.property(at, "EngineFamily"));
    wire.add(at, Kind::Database(database(DatabaseKind::Proxy, Setting::Default, engine)));
}

fn cache(wire: &mut Wire<'_>, at: At) {
    let properties = &wire.resource(at).properties;
    let class = read::text(properties.get("CacheNodeType").or_else(|| properties.get("NodeType")));
    let engine = read::text(properties.get("Engine"));
    wire.add(at, Kind::Database(database(DatabaseKind::Cache, class, engine)));
}

fn other(wire: &mut Wire<'_>, at: At) {
    let class = read::text(wire.property(at, "NodeType"));
    wire.add(at, Kind::Database(database(DatabaseKind::Other, class, Setting::Default)));
}

/// A proxy's databases, and how many of their connections it takes.
fn proxy_targets(wire: &mut Wire<'_>, at: At) {
    let properties = &wire.resource(at).properties;
    let Some(proxy) = properties.get("DBProxyName").and_then(|name| node_of(wire, at, name)) else { return };
    let pool = properties.get("ConnectionPoolConfigurationInfo");
    let percent = read::integer(pool.and_then(|pool| pool.get("MaxConnectionsPercent")));
    let borrow = read::integer(pool.and_then(|pool| pool.get("ConnectionBorrowTimeout")));
    if let Kind::Database(database) = &mut wire.design.node_mut(proxy).kind {
        database.pool_percent = percent;
        database.borrow_timeout_s = borrow;
    }
    for key in ["DBClusterIdentifiers", "DBInstanceIdentifiers"] {
        for name in properties.get(key).map(Tree::one_or_many).unwrap_or_default() {
            if let Some(to) = node_of(wire, at, name) {
                let via = Via::Access(Access::default());
                wire.wired(at, name.span, &proxy.into(), &to.into(), (Mode::Sync, via));
            }
        }
    }
}

/// The database that a reference leads to.
fn node_of(wire: &Wire<'_>, at: At, name: &Tree) -> Option<NodeId> {
    database_at(wire, referenced(wire, at, name)?)
}

/// The databases whose address and password a secret holds, by the secret: who may read it is let into them. A
/// security group is no such door: it opens the network for all that share it, and says of nobody that they log in.
fn behind_secrets(wire: &Wire<'_>) -> BTreeMap<NodeId, Vec<NodeId>> {
    let mut behind: BTreeMap<NodeId, Vec<NodeId>> = BTreeMap::new();
    for at in wire.index.all() {
        if wire.resource(at).resource_type != "AWS::SecretsManager::SecretTargetAttachment" {
            continue;
        }
        let properties = &wire.resource(at).properties;
        let secret = properties.get("SecretId").and_then(|name| referenced(wire, at, name));
        let secret = secret.and_then(|secret| wire.node(secret, None));
        let database = properties.get("TargetId").and_then(|name| node_of(wire, at, name));
        if let (Some(secret), Some(database)) = (secret, database) {
            behind.entry(secret).or_default().push(database);
        }
    }
    behind
}

fn referenced(wire: &Wire<'_>, at: At, name: &Tree) -> Option<At> {
    wire.referenced(at.stack(), name.reference()?)
}

/// Draws the edges from functions to the databases that their variables name. Comes after the grants.
pub(super) fn finish(wire: &mut Wire<'_>) {
    if !wire.design.nodes().any(|(_, node)| matches!(node.kind, Kind::Database(_))) {
        return;
    }
    let secrets = behind_secrets(wire);
    for at in wire.index.all() {
        if let Some(node) = wire.node(at, None) {
            uses(wire, (at, node), &secrets);
        }
    }
}

fn uses(wire: &mut Wire<'_>, (at, node): (At, NodeId), secrets: &BTreeMap<NodeId, Vec<NodeId>>) {
    let Kind::Function(function) = &wire.design.node(node).kind else { return };
    let mut named: BTreeMap<NodeId, (String, Span)> = BTreeMap::new();
    for (name, value) in &function.environment {
        for reference in value.references() {
            let to = wire.referenced(at.stack(), reference).and_then(|to| database_at(wire, to));
            if let Some(to) = to {
                named.entry(to).or_insert_with(|| (name.clone(), value.span));
            }
        }
    }
    let mut read: BTreeMap<NodeId, (String, Span)> = BTreeMap::new();
    let mut granted: BTreeMap<NodeId, Vec<String>> = BTreeMap::new();
    for (_, edge) in wire.design.outgoing(node) {
        match &edge.via {
            Via::Access(Access { variable: Some(name), .. }) if edge.evidence == Evidence::Named => {
                read.insert(edge.to, (name.clone(), edge.span));
            }
            // A variable that holds more than the address is no name to the grants.
            Via::Access(access) if edge.evidence == Evidence::Granted => {
                granted.insert(edge.to, access.actions.clone());
            }
            _ => {}
        }
    }
    let by_secret = read.iter().flat_map(|(secret, by)| {
        let behind = secrets.get(secret).into_iter().flatten();
        behind.map(move |database| (*database, by.clone()))
    });
    let by_secret: BTreeMap<NodeId, (String, Span)> = by_secret.collect();
    let mut edges = Vec::new();
    for (to, by) in &named {
        let behind = wire.design.outgoing(*to).any(|(_, edge)| by_secret.contains_key(&edge.to));
        let is_in = behind || by_secret.contains_key(to) || granted.contains_key(to);
        edges.push((*to, by.clone(), if is_in { Evidence::Named } else { Evidence::Granted }));
    }
    if named.is_empty() {
        // The secret holds the address too.
        edges.extend(by_secret.into_iter().map(|(to, by)| (to, by, Evidence::Named)));
    }
    for (to, (variable, span), evidence) in edges {
        // A grant on the database itself was seen with the other grants.
        if read.contains_key(&to) {
            continue;
        }
        let actions = granted.get(&to).cloned().unwrap_or_default();
        let access = Access { variable: Some(variable), actions, ..Access::default() };
        wire.design.connect(Edge {
            from: node,
            to,
            mode: Mode::Sync,
            evidence,
            qualifier: None,
            via: Via::Access(access),
            span,
            resource: None,
            conditional: None,
        });
    }
}

/// The database that a resource is, or is a member of.
fn database_at(wire: &Wire<'_>, at: At) -> Option<NodeId> {
    let node = wire.node(at, None).or_else(|| wire.node(cluster_of(wire, at)?, None))?;
    matches!(wire.design.node(node).kind, Kind::Database(_)).then_some(node)
}
