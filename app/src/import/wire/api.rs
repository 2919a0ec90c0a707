//! API Gateway: REST APIs, HTTP APIs and WebSocket APIs with their routes.
//!
//! - `integration`: what a route leads to.
//! - `openapi`: routes that stand in an OpenAPI document.
//! - `other`: entrances that are not API Gateway's.

mod integration;
mod openapi;
mod other;

use super::{Row, Wire, index::At, pattern::Pattern, read};
use crate::{
    design::{Api, ApiKind, Kind, Mode, NodeId, Setting, Via},
    document::{Entry, Tree, Value},
};
use integration::Route;

/// What this module reads.
pub(super) const ROWS: &[Row] = &[
    Row::of("AWS::ApiGateway::RestApi").node(rest_api).edges(document),
    Row::of("AWS::ApiGateway::Method").edges(method),
    Row::of("AWS::ApiGateway::Authorizer").edges(authorizer),
    Row::of("AWS::ApiGateway::Stage").node(stage_variables).edges(rest_stage),
    Row::of("AWS::ApiGateway::Deployment").node(deployment_variables).edges(deployment),
    Row::of("AWS::ApiGateway::UsagePlan").edges(usage_plan),
    Row::of("AWS::ApiGatewayV2::Api").node(api).edges(http_api),
    Row::of("AWS::ApiGatewayV2::Route").edges(route),
    Row::of("AWS::ApiGatewayV2::Authorizer").edges(authorizer),
    Row::of("AWS::ApiGatewayV2::Stage").node(stage_variables).edges(stage),
];

/// What entrances other than API Gateway's are.
pub(super) const OTHER_ROWS: &[Row] = other::ROWS;

/// How many variables of an API's stages are kept.
const VARIABLES_MAX: usize = 100;

/// How many resources may lie in one another on the way from an API's root to a method.
const RESOURCES_DEEP_MAX: usize = 64;

/// An entrance of which nothing is known yet.
fn entrance(kind: ApiKind) -> Api {
    Api { kind, endpoint: Setting::Default, throttled: false, logs_bodies: Setting::Default }
}

fn rest_api(wire: &mut Wire<'_>, at: At) {
    let types = wire.resource(at).properties.at(&["EndpointConfiguration", "Types"]);
    let endpoint = read::setting(
        types,
        |types| match types.one_or_many() {
            [one] => one.as_str().map(str::to_ascii_uppercase),
            _ => None,
        },
        "kind of endpoint",
    );
    wire.add(at, Kind::Api(Api { endpoint, ..entrance(ApiKind::Rest) }));
}

fn api(wire: &mut Wire<'_>, at: At) {
    let protocol = wire.property(at, "ProtocolType").and_then(Tree::as_str);
    let is_websocket = protocol.is_some_and(|protocol| protocol.eq_ignore_ascii_case("WEBSOCKET"));
    let kind = if is_websocket { ApiKind::WebSocket } else { ApiKind::Http };
    wire.add(at, Kind::Api(entrance(kind)));
}

/// The API that a property names: a node of these files.
fn api_named(wire: &Wire<'_>, at: At, key: &str) -> Option<NodeId> {
    api_at(wire, at, wire.property(at, key)?)
}

fn named(wire: &Wire<'_>, at: At, key: &str) -> Option<At> {
    wire.referenced(at.stack(), wire.property(at, key)?.reference()?)
}

/// The API that a property names; one that is not among the files is an entrance of which nothing is known.
fn api_or_outside(wire: &mut Wire<'_>, at: At, key: &str, kind: ApiKind) -> Option<NodeId> {
    let name = wire.property(at, key)?;
    if let Some(node) = api_at(wire, at, name) {
        return Some(node);
    }
    wire.unresolved(at, name.span, "the API that this belongs to is not among the files".into());
    let shown = match Pattern::of(name).filter(|_| !matches!(name.value, Value::Unknown(_))) {
        Some(pattern) => pattern.shown(&pattern.text),
        None => format!("the API of {}", wire.origin(at)),
    };
    let node = wire.outside("execute-api", &shown, "an API".into(), name.span);
    let unknown = Setting::Unknown { why: "the API is not among the files".into(), span: name.span };
    wire.design.node_mut(node).kind = Kind::Api(Api { endpoint: unknown, ..entrance(kind) });
    Some(node)
}

/// What a stage's variables are, for the routes that name them: those that another stage has otherwise are not
/// known.
fn stage_variables(wire: &mut Wire<'_>, at: At) {
    let key = if wire.property(at, "RestApiId").is_some() { "RestApiId" } else { "ApiId" };
    let variables = wire.property(at, "Variables").or_else(|| wire.property(at, "StageVariables"));
    variables_of(wire, at, key, variables);
}

fn deployment_variables(wire: &mut Wire<'_>, at: At) {
    let variables = wire.resource(at).properties.at(&["StageDescription", "Variables"]);
    variables_of(wire, at, "RestApiId", variables);
}

fn variables_of(wire: &mut Wire<'_>, at: At, key: &str, variables: Option<&Tree>) {
    let (Some(api), Some(variables)) = (named(wire, at, key), variables) else { return };
    let known = wire.stage_variables.entry(api).or_insert_with(|| Tree::map(variables.span, Vec::new()));
    let Value::Map(known) = &mut known.value else { return };
    for variable in variables.entries() {
        let key = format!("stageVariables.{}", variable.key);
        let found = known.iter().position(|entry| entry.key == key);
        let is_full = known.len() >= VARIABLES_MAX;
        match found.and_then(|index| known.get_mut(index)) {
            Some(entry) if entry.value.value == variable.value.value => {}
            Some(entry) => {
                entry.value = Tree::unknown(variable.key_span, "stages have it with different values");
            }
            // Few stages have many variables; what a hostile file adds beyond is not looked at.
            None if is_full => break,
            None => known.push(Entry { key, key_span: variable.key_span, value: variable.value.clone() }),
        }
    }
}

fn api_at(wire: &Wire<'_>, at: At, name: &Tree) -> Option<NodeId> {
    let to = wire.referenced(at.stack(), name.reference()?)?;
    let node = wire.node(to, None)?;
    matches!(wire.design.node(node).kind, Kind::Api(_)).then_some(node)
}

fn change(wire: &mut Wire<'_>, node: NodeId, change: impl FnOnce(&mut Api)) {
    if let Kind::Api(api) = &mut wire.design.node_mut(node).kind {
        change(api);
    }
}

/// The routes of an API's own document.
fn document(wire: &mut Wire<'_>, at: At) {
    let Some(node) = wire.node(at, None) else { return };
    if let Some(body) = wire.property(at, "Body") {
        openapi::routes(wire, at, node, body);
        return;
    }
    let Some(elsewhere) = wire.property(at, "BodyS3Location") else { return };
    if elsewhere.get("paths").is_some() {
        openapi::routes(wire, at, node, elsewhere);
    } else {
        let what = "its routes are not known: they stand in a document that is not among the files";
        wire.unresolved(at, elsewhere.span, what.into());
    }
}

fn http_api(wire: &mut Wire<'_>, at: At) {
    document(wire, at);
    // Quick create: one route to one target.
    let (Some(node), Some(target)) = (wire.node(at, None), wire.property(at, "Target")) else { return };
    let key = wire.property(at, "RouteKey").and_then(Tree::as_str).unwrap_or("$default");
    let route = Route { uri: Some(target), of: Some(at), ..Route::to_key(key, target.span) };
    integration::connect(wire, at, node, &route);
}

/// A method of a REST API.
fn method(wire: &mut Wire<'_>, at: At) {
    let Some(node) = api_or_outside(wire, at, "RestApiId", ApiKind::Rest) else { return };
    let Some(written) = wire.property(at, "Integration") else { return };
    let path = resource_path(wire, at);
    let method = wire.property(at, "HttpMethod").and_then(Tree::as_str).unwrap_or("ANY");
    let route = Route {
        method: method.to_ascii_uppercase(),
        path,
        kind: written.get("Type").and_then(Tree::as_str).unwrap_or_default(),
        uri: written.get("Uri"),
        subtype: None,
        timeout: written.get("TimeoutInMillis"),
        parameters: written.get("RequestParameters"),
        templates: written.get("RequestTemplates"),
        private: written.get("ConnectionType").and_then(Tree::as_str) == Some("VPC_LINK"),
        of: named(wire, at, "RestApiId"),
        span: written.span,
    };
    integration::connect(wire, at, node, &route);
}

/// A method's path, from the resources that it lies in.
fn resource_path(wire: &Wire<'_>, at: At) -> String {
    let mut parts = Vec::new();
    let mut next = wire.property(at, "ResourceId");
    for _ in 0..RESOURCES_DEEP_MAX {
        let Some(reference) = next.and_then(Tree::reference) else { break };
        let Some(resource) = wire.referenced(at.stack(), reference) else { break };
        if wire.resource(resource).resource_type != "AWS::ApiGateway::Resource" {
            break;
        }
        let part = wire.property(resource, "PathPart").and_then(Tree::as_str);
        parts.push(part.unwrap_or("…"));
        next = wire.property(resource, "ParentId");
    }
    parts.reverse();
    format!("/{}", parts.join("/"))
}

fn authorizer(wire: &mut Wire<'_>, at: At) {
    let key = if wire.property(at, "RestApiId").is_some() { "RestApiId" } else { "ApiId" };
    let Some(uri) = wire.property(at, "AuthorizerUri").filter(|tree| tree.value != Value::Null) else {
        return;
    };
    let kind = if key == "ApiId" { ApiKind::Http } else { ApiKind::Rest };
    if let Some(node) = api_or_outside(wire, at, key, kind) {
        wire.wired_to(at, node, uri, "lambda", &(Mode::Sync, Via::Authorizer));
    }
}

fn rest_stage(wire: &mut Wire<'_>, at: At) {
    let Some(node) = api_named(wire, at, "RestApiId") else { return };
    method_settings(wire, at, node, wire.property(at, "MethodSettings"));
}

/// A deployment can make its stage by itself.
fn deployment(wire: &mut Wire<'_>, at: At) {
    let Some(node) = api_named(wire, at, "RestApiId") else { return };
    let settings = wire.resource(at).properties.at(&["StageDescription", "MethodSettings"]);
    method_settings(wire, at, node, settings);
}

fn method_settings(wire: &mut Wire<'_>, _at: At, node: NodeId, settings: Option<&Tree>) {
    for settings in settings.map(Tree::items).unwrap_or_default() {
        let limits = ["ThrottlingRateLimit", "ThrottlingBurstLimit"];
        let throttled = limits.iter().any(|key| settings.get(key).is_some());
        let traced = read::boolean(settings.get("DataTraceEnabled"));
        change(wire, node, |api| {
            api.throttled |= throttled;
            if api.logs_bodies.stated() != Some(&true) && !traced.is_default() {
                api.logs_bodies = traced;
            }
        });
    }
}

fn usage_plan(wire: &mut Wire<'_>, at: At) {
    let throttles = wire.property(at, "Throttle").is_some();
    for stage in wire.property(at, "ApiStages").map(Tree::items).unwrap_or_default() {
        let own = stage.get("Throttle").is_some();
        if let Some(node) = stage.get("ApiId").and_then(|api| api_at(wire, at, api)) {
            change(wire, node, |api| api.throttled |= throttles || own);
        }
    }
}

fn stage(wire: &mut Wire<'_>, at: At) {
    let Some(node) = api_named(wire, at, "ApiId") else { return };
    let defaults = wire.property(at, "DefaultRouteSettings");
    let routes = wire.property(at, "RouteSettings").map(Tree::entries).unwrap_or_default();
    let all = defaults.into_iter().chain(routes.iter().map(|entry| &entry.value));
    for settings in all {
        let limits = ["ThrottlingRateLimit", "ThrottlingBurstLimit"];
        let throttled = limits.iter().any(|key| settings.get(key).is_some());
        let traced = read::boolean(settings.get("DataTraceEnabled"));
        change(wire, node, |api| {
            api.throttled |= throttled;
            if api.logs_bodies.stated() != Some(&true) && !traced.is_default() {
                api.logs_bodies = traced;
            }
        });
    }
}

/// A route of an HTTP or WebSocket API.
fn route(wire: &mut Wire<'_>, at: At) {
    let key = wire.property(at, "RouteKey").and_then(Tree::as_str).unwrap_or_default();
    // HTTP methods and paths, or `$default`; WebSocket APIs have names.
    let kind = if key.contains('/') { ApiKind::Http } else { ApiKind::WebSocket };
    let Some(node) = api_or_outside(wire, at, "ApiId", kind) else { return };
    let Some(target) = wire.property(at, "Target").filter(|tree| tree.value != Value::Null) else { return };
    // `integrations/ID`, put together or joined.
    let integration = match target.references().as_slice() {
        [reference] => wire.referenced(at.stack(), reference),
        _ => None,
    };
    let of = |at: &At| wire.resource(*at).resource_type == "AWS::ApiGatewayV2::Integration";
    let Some(integration) = integration.filter(of) else {
        let what = "where this route leads is not known: its integration is not among the files";
        return wire.unresolved(at, target.span, what.into());
    };
    let written = &wire.resource(integration).properties;
    let route = Route {
        kind: written.get("IntegrationType").and_then(Tree::as_str).unwrap_or_default(),
        uri: written.get("IntegrationUri"),
        subtype: written.get("IntegrationSubtype").and_then(Tree::as_str),
        timeout: written.get("TimeoutInMillis"),
        parameters: written.get("RequestParameters"),
        templates: written.get("RequestTemplates"),
        private: written.get("ConnectionType").and_then(Tree::as_str) == Some("VPC_LINK"),
        of: named(wire, at, "ApiId"),
        ..Route::to_key(key, wire.resource(at).span)
    };
    integration::connect(wire, at, node, &route);
}
