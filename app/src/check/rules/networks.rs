//! Private networks.

use std::collections::BTreeMap;

use crate::{
    check::{
        About, Draft, Found, Look, Rule, Severity,
        rules::{dead_letters::keeps_failures, pool::named},
    },
    design::{Edge, EdgeId, Evidence, Function, Kind, Network, NodeId, Via, WayOut},
    document::{FileId, Span},
};

/// FB0032: a function in a private network calls what it can't reach.
pub(super) struct NoWayOut;

/// FB0033: objects and items go through a NAT gateway, paid by the byte.
pub(super) struct ThroughNat;

/// A function that uses something, by which edge, and where its network stands.
type Use = (NodeId, EdgeId, Span);

/// The service of a node, as its endpoint in a network is called, where code reaches it by the network.
fn service(kind: &Kind) -> Option<&'static str> {
    match kind {
        Kind::Queue(_) => Some("sqs"),
        Kind::Topic(_) => Some("sns"),
        Kind::Bus(_) => Some("events"),
        Kind::Stream(stream) if !stream.of_table => Some("kinesis-streams"),
        Kind::Table(_) => Some("dynamodb"),
        Kind::Bucket(_) => Some("s3"),
        Kind::Machine(_) => Some("states"),
        Kind::Function(_) => Some("lambda"),
        _ => None,
    }
}

/// What a function itself calls that has no endpoint in its network.
fn unreached<'a>(
    look: &Look<'a>,
    function: NodeId,
    network: &Network,
) -> impl Iterator<Item = (EdgeId, &'a Edge, &'static str)> {
    look.design.outgoing(function).filter_map(|(id, edge)| {
        // What Lambda does for the function, such as its destinations, goes another way.
        let Via::Access(_) = edge.via else { return None };
        // So the grant to write to its dead letters is Lambda's, unless a variable tells the function of them too.
        if edge.evidence == Evidence::Granted && keeps_failures(look, edge.to) {
            return None;
        }
        let service = service(&look.design.node(edge.to).kind)?;
        let has = network.endpoints.iter().any(|endpoint| endpoint == service);
        (!has && edge.conditional.is_none()).then_some((id, edge, service))
    })
}

impl Rule for NoWayOut {
    fn about(&self) -> &'static About {
        &About {
            code: "FB0032",
            title: "private network without a way out",
            severity: Severity::Error,
            since: 1,
            page: include_str!("../../../../docs/rules/FB0032.md"),
        }
    }

    fn check(&self, look: &Look<'_>, found: &mut Found<'_>) {
        if !look.is_aws() {
            return;
        }
        for (id, node, function) in look.design.functions() {
            let Some(network) = &function.network else { continue };
            let why = match network.way_out {
                Some(WayOut::None) => "its subnets have no way out",
                Some(WayOut::InternetGateway) => {
                    "its subnets lead to an internet gateway, which is of no use to a function: it has no \
                     public address"
                }
                _ => continue,
            };
            let span = network.span.unwrap_or(node.span);
            let name = &node.name;
            if let Some((edge_id, edge, service)) = unreached(look, id, network).next() {
                let to = &look.design.node(edge.to).name;
                let message = format!(
                    "{name} calls {to}, and {why}, nor an endpoint for {service}: each call hangs until it \
                     times out"
                );
                let help = way_out_help(service);
                found.add(
                    Draft::new(id, span, message, help)
                        .rests_on([edge_id])
                        .path(look.hop_pair(edge, "no way out", ""))
                        .related(edge.span, format!("{name} calls {to}")),
                );
            } else if let Some((variable, url)) = outside(function) {
                let message = format!(
                    "{name} is told of an address outside ({variable}), and {why}: each call hangs until it \
                     times out"
                );
                let help =
                    "route its subnets through a NAT gateway, or take the function out of the network".into();
                found.add(
                    Draft::new(id, span, message, help)
                        .at_most(Severity::Warning)
                        .related(url, format!("{variable} names it")),
                );
            }
        }
    }
}

fn way_out_help(service: &str) -> String {
    match service {
        "s3" | "dynamodb" => format!("add a gateway endpoint for {service} to the network: it costs nothing"),
        _ => format!(
            "add an interface endpoint for {service} to the network, or route its subnets through a NAT \
             gateway"
        ),
    }
}

/// An environment variable that names a server on the internet.
fn outside(function: &Function) -> Option<(&str, Span)> {
    function.environment.iter().find_map(|(name, value)| {
        let host = value.as_str().and_then(host)?;
        let inside = ["localhost", "internal", "local", "example.com", "example.org", "example.net"];
        let within = inside.iter().any(|end| host == *end || host.ends_with(&format!(".{end}")));
        let address = host.chars().all(|c| c.is_ascii_digit() || c == '.') || host.contains(':');
        // AWS's own services may have an endpoint, and whoever writes a host without a dot means one inside.
        let aws = host.ends_with(".amazonaws.com");
        (!within && !address && !aws && host.contains('.')).then_some((name.as_str(), value.span))
    })
}

fn host(url: &str) -> Option<&str> {
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"))?;
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let authority = rest.get(..end)?;
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let host = host.split_once(':').map_or(host, |(host, _)| host);
    (!host.is_empty()).then_some(host)
}

impl Rule for ThroughNat {
    fn about(&self) -> &'static About {
        &About {
            code: "FB0033",
            title: "storage through a NAT gateway",
            severity: Severity::Warning,
            since: 1,
            page: include_str!("../../../../docs/rules/FB0033.md"),
        }
    }

    fn check(&self, look: &Look<'_>, found: &mut Found<'_>) {
        if !look.is_aws() {
            return;
        }
        // One finding for each file and service: they share the network, and one endpoint mends it for all.
        let mut seen: BTreeMap<(FileId, &str), Vec<Use>> = BTreeMap::new();
        for (id, node, function) in look.design.functions() {
            let Some(network) = &function.network else { continue };
            if network.way_out != Some(WayOut::NatGateway) {
                continue;
            }
            for (edge_id, _, service) in unreached(look, id, network) {
                if !matches!(service, "s3" | "dynamodb") {
                    continue;
                }
                let one = (id, edge_id, network.span.unwrap_or(node.span));
                seen.entry((node.span.file, service)).or_default().push(one);
            }
        }
        for ((_, service), all) in seen {
            let Some((first, _, span)) = all.first().copied() else { continue };
            let mut names: Vec<&str> =
                all.iter().map(|(id, _, _)| look.design.node(*id).name.as_str()).collect();
            names.dedup();
            let (what, called) = if service == "s3" { ("objects", "S3") } else { ("items", "DynamoDB") };
            let message = format!(
                "{} reach {called} through the NAT gateway: each GB of {what} costs 0.045 USD, and an \
                 endpoint nothing",
                named(&names)
            );
            let help = format!("add a gateway endpoint for {service} to the route tables of these subnets");
            found.add(Draft::new(first, span, message, help).rests_on(all.iter().map(|(_, edge, _)| *edge)));
        }
    }
}
