//! What a route of an API leads to.

use super::super::{Reached, Wire, index::At, pattern::Pattern, read};
use crate::{
    design::{Integration, Mode, NodeId, Via},
    document::{Span, Tree, Value},
    import::machine::text::Substitutions,
};

/// Resources of one service that one route is taken to name.
const NAMED_MAX: usize = 100;

/// A route, as it is written.
#[derive(Debug, Clone)]
pub(super) struct Route<'t> {
    pub method: String,
    pub path: String,
    /// `AWS_PROXY`, `AWS`, `HTTP`, `HTTP_PROXY`, `MOCK`.
    pub kind: &'t str,
    pub uri: Option<&'t Tree>,
    /// `SQS-SendMessage` and the like, of HTTP APIs.
    pub subtype: Option<&'t str>,
    pub timeout: Option<&'t Tree>,
    pub parameters: Option<&'t Tree>,
    pub templates: Option<&'t Tree>,
    /// Through a VPC link.
    pub private: bool,
    /// The API's resource, whose stages have variables.
    pub of: Option<At>,
    pub span: Span,
}

impl Route<'_> {
    /// A route by its key: `GET /orders`, `$default`, or the name of a WebSocket route.
    pub fn to_key(key: &str, span: Span) -> Self {
        let (method, path) = key.split_once(' ').unwrap_or((key, ""));
        Route {
            method: method.to_string(),
            path: path.to_string(),
            kind: "",
            uri: None,
            subtype: None,
            timeout: None,
            parameters: None,
            templates: None,
            private: false,
            of: None,
            span,
        }
    }

    fn via(&self, action: Option<String>) -> Via {
        let uri = self.uri.and_then(Pattern::of);
        let streamed = uri.is_some_and(|uri| uri.text.contains("response-streaming-invocations"));
        Via::Integration(Box::new(Integration {
            method: self.method.clone(),
            path: self.path.clone(),
            timeout_ms: read::integer(self.timeout),
            action,
            streamed,
        }))
    }
}

/// Draws the edge of a route.
pub(super) fn connect(wire: &mut Wire<'_>, at: At, api: NodeId, route: &Route<'_>) {
    if route.kind.eq_ignore_ascii_case("MOCK") {
        return;
    }
    if let Some(subtype) = route.subtype {
        return first_class(wire, at, api, route, subtype);
    }
    let Some(uri) = route.uri.filter(|tree| tree.value != Value::Null) else { return };
    let with_variables = staged(wire, route, uri);
    let route = &Route { uri: with_variables.as_ref().or(Some(uri)), ..route.clone() };
    let uri = with_variables.as_ref().unwrap_or(uri);
    let Some(pattern) = Pattern::of(uri) else {
        let what = format!("where {} {} leads is not known: its URI is no text", route.method, route.path);
        return wire.unresolved(at, uri.span, what);
    };
    if let Value::Unknown(unknown) = &uri.value
        && unknown.one_of.is_empty()
    {
        let what = format!("where {} {} leads is not known: {}", route.method, route.path, unknown.why);
        return wire.unresolved(at, uri.span, what);
    }
    // Documents that are included have these as they are; the colons in them are none of the ARN's.
    let text = pattern.text.replace("${AWS::Region}", "-").replace("${AWS::Partition}", "aws");
    let text = text.as_str();
    if text.starts_with("http://") || text.starts_with("https://") || route.kind.starts_with("HTTP") {
        return elsewhere(wire, at, api, route, uri);
    }
    match service(text) {
        Some((service, action)) if service != "lambda" => {
            let action = format!("{service}:{}", action.unwrap_or(default_action(service)));
            call(wire, at, api, route, service, action);
        }
        _ => {
            let how = (function_mode(route), route.via(None));
            for to in wire.reach(at, uri, "lambda") {
                wire.wired(at, route.span, &api.into(), &to, how.clone());
            }
        }
    }
}

/// A URI with the variables of the API's stages in it, where all stages have the same for each.
fn staged(wire: &Wire<'_>, route: &Route<'_>, uri: &Tree) -> Option<Tree> {
    let variables = wire.stage_variables.get(&route.of?)?;
    let mut uri = uri.clone();
    Substitutions::new(Some(variables)).apply(&mut uri);
    Some(uri)
}

/// `arn:aws:apigateway:REGION:sqs:path/…` or `…:sns:action/Publish`: the service, and the action where it is named.
fn service(uri: &str) -> Option<(&str, Option<&str>)> {
    let mut fields = uri.splitn(6, ':');
    let of = fields.nth(2)?;
    let (service, rest) = (fields.nth(1)?, fields.next()?);
    if of != "apigateway" {
        return None;
    }
    let action = rest.strip_prefix("action/").map(|rest| rest.split(['&', '?']).next().unwrap_or(rest));
    // `events:action/PutEvents` has hosts before it at times: `ACCOUNT.auth`.
    Some((service.rsplit('.').next().unwrap_or(service), action))
}

/// What a service does where its path names a resource and no action.
fn default_action(service: &str) -> &'static str {
    match service {
        "sqs" => "SendMessage",
        "sns" => "Publish",
        "s3" => "Object",
        "kinesis" => "PutRecord",
        _ => "…",
    }
}

/// `X-Amz-Invocation-Type: 'Event'` hands over without waiting.
fn function_mode(route: &Route<'_>) -> Mode {
    let entries = route.parameters.map(Tree::entries).unwrap_or_default();
    let header = entries.iter().find(|entry| {
        let name = entry.key.strip_prefix("integration.request.header.");
        name.is_some_and(|name| name.eq_ignore_ascii_case("X-Amz-Invocation-Type"))
    });
    match header.map(|entry| entry.value.as_str().map(|text| text.trim_matches(['\'', '"']))) {
        None => Mode::Sync,
        Some(Some("Event")) => Mode::Async,
        Some(Some("RequestResponse" | "DryRun")) => Mode::Sync,
        Some(_) => Mode::Unknown,
    }
}

/// An endpoint outside, or one behind a VPC link.
fn elsewhere(wire: &mut Wire<'_>, at: At, api: NodeId, route: &Route<'_>, uri: &Tree) {
    let to: Reached = match super::super::machine::api_of(wire, at, uri) {
        Some(node) if node != api => node.into(),
        _ => {
            let shown = Pattern::of(uri).map_or_else(String::new, |uri| uri.shown(&uri.text));
            let what = if route.private { "an endpoint in a private network" } else { "an HTTP endpoint" };
            wire.outside("https", &shown, what.into(), uri.span).into()
        }
    };
    wire.wired(at, route.span, &api.into(), &to, (Mode::Sync, route.via(None)));
}

/// HTTP APIs: `SQS-SendMessage`, with the resource in a parameter of its own.
fn first_class(wire: &mut Wire<'_>, at: At, api: NodeId, route: &Route<'_>, subtype: &str) {
    let (service, action) = subtype.split_once('-').unwrap_or((subtype, ""));
    let (service, key) = match service {
        "SQS" => ("sqs", "QueueUrl"),
        "EventBridge" => ("events", "EventBusName"),
        "Kinesis" => ("kinesis", "StreamName"),
        "StepFunctions" => ("states", "StateMachineArn"),
        _ => ("", ""),
    };
    let mode = mode(service, action);
    let how = (mode, route.via(Some(format!("{service}:{action}"))));
    match route.parameters.and_then(|parameters| parameters.get(key)) {
        // `$request.header.queue`: whatever the caller says.
        Some(name) if name.as_str().is_some_and(|text| text.starts_with('$')) => {
            let what =
                format!("where {} {} leads is not known: {key} is the caller's", route.method, route.path);
            wire.unresolved(at, name.span, what);
        }
        Some(name) => {
            for to in wire.reach(at, name, service) {
                wire.wired(at, route.span, &api.into(), &to, how.clone());
            }
        }
        None if service == "events" => {
            let to = wire.default_bus(route.span).into();
            wire.wired(at, route.span, &api.into(), &to, how);
        }
        None => {
            let to = wire.outside("aws", subtype, subtype.to_string(), route.span).into();
            wire.wired(at, route.span, &api.into(), &to, how);
        }
    }
}

/// Whether the API waits for more than that the message was taken.
fn mode(service: &str, action: &str) -> Mode {
    match (service, action) {
        ("states", "StartSyncExecution") => Mode::Sync,
        ("sqs" | "sns" | "events" | "kinesis" | "firehose" | "states", _) => Mode::Async,
        _ => Mode::Sync,
    }
}

/// A call of another service's API: the resource is named in the URI, in a parameter or in the template.
fn call(wire: &mut Wire<'_>, at: At, api: NodeId, route: &Route<'_>, service: &str, action: String) {
    let name = action.rsplit(':').next().unwrap_or("").to_string();
    let how = (mode(service, &name), route.via(Some(action.clone())));
    let mut reached: Vec<Reached> = Vec::new();
    for tree in [route.uri, route.parameters, route.templates].into_iter().flatten() {
        for found in named_in(wire, at, tree, service) {
            if reached.len() < NAMED_MAX && !reached.contains(&found) {
                reached.push(found);
            }
        }
    }
    if reached.is_empty() {
        reached.extend(by_key(wire, at, route, service));
    }
    if reached.is_empty() {
        let node = match service {
            "events" if mentions(route, "PutEvents") && !mentions(route, "EventBusName") => {
                wire.default_bus(route.span)
            }
            "sqs" | "sns" | "s3" | "states" | "events" | "kinesis" | "dynamodb" => {
                let what = format!("which resource {action} of {} {} names", route.method, route.path);
                wire.unresolved(
                    at,
                    route.span,
                    format!("{what} is not known: the caller says it, or a template"),
                );
                wire.outside("aws", &action, what, route.span)
            }
            other => wire.outside("aws", &action, other.to_string(), route.span),
        };
        reached.push(node.into());
    }
    for to in reached {
        wire.wired(at, route.span, &api.into(), &to, how.clone());
    }
}

fn mentions(route: &Route<'_>, word: &str) -> bool {
    let trees = [route.uri, route.parameters, route.templates];
    let mut found = false;
    for tree in trees.into_iter().flatten() {
        tree.visit(&mut |tree| found |= Pattern::of(tree).is_some_and(|pattern| pattern.text.contains(word)));
    }
    found
}

/// The resources of a service to which a reference stands anywhere inside.
fn named_in(wire: &Wire<'_>, at: At, tree: &Tree, service: &str) -> Vec<Reached> {
    let references = tree.references().into_iter();
    let found = references.filter_map(|reference| {
        let to = wire.referenced(at.stack(), reference)?;
        let of_service = super::super::lead::SERVICES.iter().any(|row| {
            row.key.split('/').next() == Some(service) && row.resource_type == wire.resource(to).resource_type
        });
        let node = wire.node(to, None).filter(|_| of_service)?;
        Some(Reached::from(node))
    });
    found.collect()
}

/// The resource that the template's JSON names as a text: `"TableName": "Orders"`.
fn by_key(wire: &mut Wire<'_>, at: At, route: &Route<'_>, service: &str) -> Vec<Reached> {
    let keys: &[&str] = match service {
        "dynamodb" => &["TableName"],
        "states" => &["stateMachineArn"],
        "events" => &["EventBusName"],
        "kinesis" => &["StreamName"],
        "sqs" | "s3" => {
            // What stands in braces is the caller's: `s3:path/{bucket}/{key}`.
            let named = |uri: &&Tree| Pattern::of(uri).is_some_and(|uri| !uri.text.contains(":path/{"));
            return route.uri.filter(named).map(|uri| wire.reach(at, uri, service)).unwrap_or_default();
        }
        _ => return Vec::new(),
    };
    let mut found = Vec::new();
    for template in route.templates.map(Tree::entries).unwrap_or_default() {
        let Some(pattern) = Pattern::of(&template.value) else { continue };
        let name = keys.iter().find_map(|key| quoted_after(&pattern.text, key));
        // What begins with a dollar is the template's own variable.
        if let Some(name) = name.filter(|name| !name.is_empty() && !name.contains('$')) {
            let name = Tree::text(template.value.span, name);
            found.extend(wire.reach(at, &name, service));
        }
    }
    found.dedup();
    found
}

/// The text in quotes behind `"key":`.
fn quoted_after<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(key)?;
    let rest = rest.strip_prefix('"')?.trim_start().strip_prefix(':')?.trim_start().strip_prefix('"')?;
    rest.split_once('"').map(|(name, _)| name).filter(|name| !Pattern::has_holes(name))
}
