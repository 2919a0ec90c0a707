//! Entrances that are not API Gateway's: function URLs, load balancers, AppSync.

use super::{
    super::{Row, Wire, function, index::At},
    api_named, entrance,
};
use crate::{
    design::{ApiKind, Integration, Kind, Mode, Via},
    document::Tree,
};

/// What this module reads.
pub(super) const ROWS: &[Row] = &[
    Row::of("AWS::Lambda::Url").node(url).edges(url_target),
    Row::of("AWS::ElasticLoadBalancingV2::TargetGroup").node(target_group).edges(targets),
    Row::of("AWS::AppSync::GraphQLApi").node(graphql).edges(graphql_authorizer),
    Row::of("AWS::AppSync::DataSource").edges(data_source),
];

fn via(method: &str, path: &str, action: Option<String>) -> Via {
    Via::Integration(Box::new(Integration {
        method: method.to_string(),
        path: path.to_string(),
        action,
        ..Integration::default()
    }))
}

fn url(wire: &mut Wire<'_>, at: At) {
    wire.add(at, Kind::Api(entrance(ApiKind::FunctionUrl)));
}

fn url_target(wire: &mut Wire<'_>, at: At) {
    let Some(node) = wire.node(at, None) else { return };
    let Some(target) = wire.property(at, "TargetFunctionArn") else { return };
    let qualifier = wire.property(at, "Qualifier").and_then(Tree::as_str).map(str::to_string);
    for mut to in wire.reach(at, target, "lambda") {
        to.qualifier = to.qualifier.or_else(|| qualifier.clone());
        function::change(wire, to.node, |function| function.url = true);
        wire.wired(at, target.span, &node.into(), &to, (Mode::Sync, via("ANY", "/", None)));
    }
}

fn is_lambda(wire: &Wire<'_>, at: At, key: &str) -> bool {
    let kind = wire.property(at, key).and_then(Tree::as_str);
    kind.is_some_and(|kind| kind.eq_ignore_ascii_case("lambda"))
}

fn target_group(wire: &mut Wire<'_>, at: At) {
    if is_lambda(wire, at, "TargetType") {
        wire.add(at, Kind::Api(entrance(ApiKind::LoadBalancer)));
    }
}

fn target_ids<'s>(wire: &Wire<'s>, at: At) -> Vec<&'s Tree> {
    let targets = wire.property(at, "Targets").map(Tree::items).unwrap_or_default();
    targets.iter().filter_map(|target| target.get("Id")).collect()
}

fn targets(wire: &mut Wire<'_>, at: At) {
    let Some(node) = wire.node(at, None) else { return };
    for id in target_ids(wire, at) {
        wire.wired_to(at, node, id, "lambda", &(Mode::Sync, via("ANY", "/", None)));
    }
}

fn graphql(wire: &mut Wire<'_>, at: At) {
    wire.add(at, Kind::Api(entrance(ApiKind::GraphQl)));
}

fn graphql_authorizer(wire: &mut Wire<'_>, at: At) {
    let Some(node) = wire.node(at, None) else { return };
    let properties = &wire.resource(at).properties;
    let more = properties.get("AdditionalAuthenticationProviders").map(Tree::items).unwrap_or_default();
    for provider in std::iter::once(properties).chain(more) {
        if let Some(uri) = provider.at(&["LambdaAuthorizerConfig", "AuthorizerUri"]) {
            wire.wired_to(at, node, uri, "lambda", &(Mode::Sync, Via::Authorizer));
        }
    }
}

fn data_source(wire: &mut Wire<'_>, at: At) {
    let Some(node) = api_named(wire, at, "ApiId") else { return };
    let properties = &wire.resource(at).properties;
    let (keys, service, action): (&[&str], _, _) =
        match properties.get("Type").and_then(Tree::as_str).unwrap_or_default() {
            "AWS_LAMBDA" => (&["LambdaConfig", "LambdaFunctionArn"], "lambda", None),
            "AMAZON_DYNAMODB" => (&["DynamoDBConfig", "TableName"], "dynamodb", Some("dynamodb:…")),
            "AMAZON_EVENTBRIDGE" => {
                (&["EventBridgeConfig", "EventBusArn"], "events", Some("events:PutEvents"))
            }
            "HTTP" => (&["HttpConfig", "Endpoint"], "https", Some("http:…")),
            _ => return,
        };
    let Some(target) = properties.at(keys) else { return };
    let mode = if service == "events" { Mode::Async } else { Mode::Sync };
    let name = properties.get("Name").and_then(Tree::as_str).unwrap_or(&wire.resource(at).id);
    let via = via("GraphQL", name, action.map(str::to_string));
    wire.wired_to(at, node, target, service, &(mode, via));
}
