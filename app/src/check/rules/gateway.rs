//! Entrances that wait less long than what they lead to may run.

use std::collections::BTreeMap;

use crate::{
    check::{About, Draft, Found, Look, Quantity, Rule, Severity, paths, rules::pool::named, words},
    design::{Api, Edge, EdgeId, Function, Integration, Kind, Mode, NodeId, Via},
    document::Span,
};

/// How much longer than its gateway a function may run until it counts, milliseconds: 30 s behind 29 s is what many
/// write who know of the limit, and little happens in that second.
const SLACK_MS: i64 = 1_000;

/// Functions of a finding whose places are told.
const RELATED_MAX: usize = 20;

/// FB0003: a gateway gives up before its function does.
pub(super) struct BelowFunction;

/// A route that leads to a function for which it waits.
struct Route<'a> {
    id: EdgeId,
    edge: &'a Edge,
    api: &'a Api,
    integration: &'a Integration,
    waits_ms: i64,
}

/// The routes to each function that wait less long than it may run, the shortest wait first.
fn short_routes<'a>(look: &Look<'a>) -> BTreeMap<NodeId, Vec<Route<'a>>> {
    let (design, mut routes) = (look.design, BTreeMap::<NodeId, Vec<Route<'a>>>::new());
    for (id, edge) in design.edges() {
        let Via::Integration(integration) = &edge.via else { continue };
        let (Kind::Api(api), Kind::Function(function)) =
            (&design.node(edge.from).kind, &design.node(edge.to).kind)
        else {
            continue;
        };
        let Some(runs_s) = function.timeout_s.stated() else { continue };
        let Some(waits_ms) = look.integration_ms(api, integration) else { continue };
        let waits = edge.mode == Mode::Sync && paths::carries(edge) && !integration.streamed;
        // Nobody waits for what a WebSocket's end brings.
        let answers = integration.method != "$disconnect";
        if waits && answers && waits_ms.saturating_add(SLACK_MS) < runs_s.saturating_mul(1_000) {
            let route = Route { id, edge, api, integration, waits_ms };
            routes.entry(edge.to).or_default().push(route);
        }
    }
    for routes in routes.values_mut() {
        routes.sort_by_key(|route| (route.waits_ms, route.id));
    }
    routes
}

impl Rule for BelowFunction {
    fn about(&self) -> &'static About {
        &About {
            code: "FB0003",
            title: "a gateway gives up before its function",
            severity: Severity::Warning,
            since: 1,
            page: include_str!("../../../../docs/rules/FB0003.md"),
        }
    }

    fn check(&self, look: &Look<'_>, found: &mut Found<'_>) {
        if !look.is_aws() {
            return;
        }
        // Functions of one gateway whose timeout is one line of the file, which is changed once, are one finding.
        let mut together: BTreeMap<(NodeId, Span), Short<'_>> = BTreeMap::new();
        for (id, routes) in short_routes(look) {
            let node = look.design.node(id);
            let (Kind::Function(function), Some(first)) = (&node.kind, routes.first()) else { continue };
            let key = (first.edge.from, function.timeout_s.span().unwrap_or(node.span));
            let short = together.entry(key).or_insert_with(|| Short {
                function,
                functions: Vec::new(),
                routes: Vec::new(),
            });
            short.functions.push(id);
            short.routes.extend(routes);
        }
        let mut together: Vec<_> = together.into_values().collect();
        together.sort_by_key(|short| short.functions.first().copied());
        for short in together {
            if let Some(draft) = draft(look, short) {
                found.add(draft);
            }
        }
    }
}

/// Functions with one timeout, and the routes that give up before it ends.
struct Short<'a> {
    function: &'a Function,
    functions: Vec<NodeId>,
    routes: Vec<Route<'a>>,
}

fn draft(look: &Look<'_>, short: Short<'_>) -> Option<Draft> {
    let Short { function, functions, routes: mut all } = short;
    let id = *functions.first()?;
    all.sort_by_key(|route| (route.waits_ms, route.edge.to != id, route.id));
    let route = all.first()?;
    let id = route.edge.to;
    let mut names = vec![look.design.node(id).name.as_str()];
    let others = functions.iter().filter(|other| **other != id);
    names.extend(others.map(|other| look.design.node(*other).name.as_str()));
    let (name, api) = (named(&names), &look.design.node(route.edge.from).name);
    let runs_s = words::whole(function.timeout_s.stated().copied().unwrap_or(0));
    let waits_s = words::whole(route.waits_ms) / 1_000.0;
    let (runs, waits) = (words::seconds(runs_s), words::seconds(waits_s));
    let (more, gives) = match all.len() {
        0 | 1 => (String::new(), "gives"),
        count => (format!(" and {} more", count - 1), "give"),
    };
    let of = match (route.integration.method.as_str(), route.integration.path.as_str()) {
        ("", "") => api.clone(),
        (method, "") => format!("{method}{more} of {api}"),
        (method, path) => format!("{method} {path}{more} of {api}"),
    };
    let message = format!(
        "{of} {gives} up after {waits}, and {name} may run {runs}: the caller has an error while the work goes on, \
         and may try again"
    );
    let help = format!(
        "set the timeout of {name} below {waits}, or answer at once and let a queue carry what takes longer"
    );
    let span = function.timeout_s.span().unwrap_or(look.design.node(id).span);
    let limit = Look::entrance_limit(route.api.kind);
    let waiting = match (route.integration.timeout_ms.stated(), limit) {
        (None, Some(limit)) => look.limit(limit, format!("the longest wait of {api}")),
        _ => Some(Quantity::stated(format!("the wait of {api}"), words::whole(route.waits_ms), "ms")),
    };
    let mut draft = Draft::new(id, span, message, help)
        .rests_on([route.id])
        .path(look.hop_pair(route.edge, format!("waits {waits}"), format!("runs {runs}")))
        .related(route.edge.span, "the route");
    for other in functions.iter().filter(|other| **other != id).take(RELATED_MAX) {
        let other = look.design.node(*other);
        draft = draft.related(other.span, format!("{} has that timeout too", other.name));
    }
    if let Some(waiting) = waiting {
        draft = draft.meets(waiting, Quantity::stated(format!("the timeout of {name}"), runs_s, "s"));
    }
    // What is not stated is the default, and that holds whatever has been raised: it must be stated to be longer.
    Some(match limit {
        Some(limit) if look.profile.row(limit).is_some_and(|row| row.unverified) => draft.by(look, limit),
        _ => draft,
    })
}
