//! Private networks: whether a function's subnets lead outside, and which services have an endpoint in them.

use std::collections::{BTreeMap, BTreeSet};

use super::{Row, Wire, function, index::At, pattern::Pattern};
use crate::{
    design::{Kind, WayOut},
    document::{Tree, Value},
};

/// What this module reads.
pub(super) const ROWS: &[Row] = &[
    Row::of("AWS::EC2::Subnet").edges(subnet),
    Row::of("AWS::EC2::SubnetRouteTableAssociation").edges(association),
    Row::of("AWS::EC2::Route").edges(route),
    Row::of("AWS::EC2::VPCEndpoint").edges(endpoint),
];

/// Subnets of one function. AWS takes 16 at most.
const SUBNETS_MAX: usize = 16;

/// What there is of networks in the files.
#[derive(Debug, Default)]
pub(super) struct Networks {
    /// Subnets, each with its network.
    subnets: BTreeMap<At, Option<At>>,
    /// Route tables, by subnet. `None`: not among the files.
    tables: BTreeMap<At, Vec<Option<At>>>,
    /// Ways out, by route table.
    routes: BTreeMap<At, Vec<Leads>>,
    /// Endpoints, by network; those of networks that are not among the files could be in any.
    endpoints: BTreeMap<Option<At>, Vec<Endpoint>>,
    /// A route or an association is there, and nobody knows of which table or subnet.
    loose: bool,
}

/// Where a route leads that takes what is for the outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Leads {
    To(WayOut),
    /// The route is there under a condition, or nobody knows what it takes.
    Perhaps,
}

#[derive(Debug)]
struct Endpoint {
    service: String,
    /// Of a gateway endpoint. `None`: it is an interface, or its tables are not known.
    tables: Option<Vec<At>>,
}

/// The resource of these files that a property names.
fn named(wire: &Wire<'_>, at: At, key: &str) -> Option<At> {
    let reference = wire.property(at, key)?.reference()?;
    wire.referenced(at.stack(), reference)
}

fn subnet(wire: &mut Wire<'_>, at: At) {
    let network = named(wire, at, "VpcId");
    wire.networks.subnets.insert(at, network);
}

fn association(wire: &mut Wire<'_>, at: At) {
    let Some(subnet) = named(wire, at, "SubnetId") else {
        wire.networks.loose = true;
        return;
    };
    let table = named(wire, at, "RouteTableId").filter(|_| wire.resource(at).conditional.is_none());
    wire.networks.tables.entry(subnet).or_default().push(table);
}

fn route(wire: &mut Wire<'_>, at: At) {
    let Some(table) = named(wire, at, "RouteTableId") else {
        wire.networks.loose = true;
        return;
    };
    let properties = &wire.resource(at).properties;
    let destinations =
        ["DestinationCidrBlock", "DestinationIpv6CidrBlock"].map(|key| properties.get(key).map(Tree::as_str));
    let outside = match destinations {
        [Some(Some("0.0.0.0/0")), _] | [_, Some(Some("::/0"))] => true,
        [Some(Some(_)), _] | [_, Some(Some(_))] => return,
        // A prefix list, or an address that is not known.
        _ => false,
    };
    let leads = if outside && wire.resource(at).conditional.is_none() {
        Leads::To(way_out(wire, at))
    } else {
        Leads::Perhaps
    };
    wire.networks.routes.entry(table).or_default().push(leads);
}

fn way_out(wire: &Wire<'_>, at: At) -> WayOut {
    let properties = &wire.resource(at).properties;
    if properties.get("NatGatewayId").is_some_and(|tree| tree.value != Value::Null) {
        return WayOut::NatGateway;
    }
    let gateway = named(wire, at, "GatewayId").map(|at| wire.resource(at).resource_type.as_str());
    if gateway == Some("AWS::EC2::InternetGateway") { WayOut::InternetGateway } else { WayOut::Other }
}

fn endpoint(wire: &mut Wire<'_>, at: At) {
    let network = named(wire, at, "VpcId");
    let name = wire.property(at, "ServiceName").and_then(Pattern::of);
    // `com.amazonaws.REGION.SERVICE`, in China with `cn.` before it.
    let service = name.and_then(|name| {
        let text = name.text.strip_prefix("cn.").unwrap_or(&name.text).to_string();
        text.strip_prefix("com.amazonaws.")?.split_once('.').map(|(_, service)| service.to_string())
    });
    let Some(service) = service.filter(|service| !Pattern::has_holes(service)) else { return };
    let tables = wire.property(at, "RouteTableIds").map(Tree::one_or_many).unwrap_or_default();
    let tables = tables.iter().map(|table| wire.referenced(at.stack(), table.reference()?));
    let tables: Option<Vec<At>> = tables.collect();
    let tables = tables.filter(|tables| !tables.is_empty());
    wire.networks.endpoints.entry(network).or_default().push(Endpoint { service, tables });
}

/// Completes the functions that are in private networks. Comes when all networks are known.
pub(super) fn finish(wire: &mut Wire<'_>) {
    let networks = std::mem::take(&mut wire.networks);
    for at in wire.index.all() {
        let Some(node) = wire.node(at, None) else { continue };
        if !matches!(&wire.design.node(node).kind, Kind::Function(of) if of.network.is_some()) {
            continue;
        }
        let Some(subnets) = wire.resource(at).properties.at(&["VpcConfig", "SubnetIds"]) else { continue };
        let subnets = subnets.one_or_many().iter().map(|subnet| {
            let subnet = wire.referenced(at.stack(), subnet.reference()?)?;
            networks.subnets.contains_key(&subnet).then_some(subnet)
        });
        let subnets: Option<BTreeSet<At>> = subnets.collect();
        let Some(subnets) = subnets.filter(|of| (1..=SUBNETS_MAX).contains(&of.len())) else { continue };
        let way_out = networks.way_out(&subnets);
        let endpoints = networks.endpoints(&subnets);
        function::change(wire, node, |function| {
            if let Some(network) = &mut function.network {
                network.way_out = way_out;
                network.endpoints = endpoints;
            }
        });
    }
}

impl Networks {
    /// The route tables of a subnet; none where it has the network's own, that leads nowhere. `None`: not known.
    fn tables(&self, subnet: At) -> Option<Vec<At>> {
        match self.tables.get(&subnet) {
            Some(tables) => tables.iter().copied().collect(),
            // Without an association its network's main table counts: only of a network of these files is it
            // known that it has no routes.
            None => self.subnets.get(&subnet).copied().flatten().map(|_| Vec::new()),
        }
    }

    /// How a set of subnets reaches the outside. `None`: not known.
    fn way_out(&self, subnets: &BTreeSet<At>) -> Option<WayOut> {
        let mut ways = Vec::new();
        for subnet in subnets {
            let tables = self.tables(*subnet)?;
            let leads = tables.iter().filter_map(|table| self.routes.get(table)).flatten();
            let mut way = WayOut::None;
            let mut perhaps = false;
            for leads in leads {
                match leads {
                    Leads::To(to) => way = better(way, *to),
                    Leads::Perhaps => perhaps = true,
                }
            }
            if (perhaps || self.loose) && way == WayOut::None {
                return None;
            }
            ways.push(way);
        }
        // The function may run in any of them.
        ways.into_iter().reduce(better)
    }

    fn endpoints(&self, subnets: &BTreeSet<At>) -> Vec<String> {
        let networks = subnets.iter().filter_map(|subnet| self.subnets.get(subnet).copied());
        let networks: BTreeSet<Option<At>> = networks.chain([None]).collect();
        let own: BTreeSet<At> = subnets.iter().filter_map(|subnet| self.tables(*subnet)).flatten().collect();
        let all = networks.iter().filter_map(|network| self.endpoints.get(network)).flatten();
        let here = all.filter(|endpoint| match &endpoint.tables {
            Some(tables) => tables.iter().any(|table| own.contains(table)),
            None => true,
        });
        let services: BTreeSet<&str> = here.map(|endpoint| endpoint.service.as_str()).collect();
        services.into_iter().map(str::to_string).collect()
    }
}

/// The way that leads further.
fn better(a: WayOut, b: WayOut) -> WayOut {
    let rank = |way: WayOut| match way {
        WayOut::None => 0,
        WayOut::InternetGateway => 1,
        WayOut::NatGateway => 2,
        WayOut::Other => 3,
    };
    if rank(a) >= rank(b) { a } else { b }
}
