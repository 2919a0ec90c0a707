//! `AWS::Serverless::HttpApi`: an HTTP API with its stage.

use super::{
    Lowering, Origin, domain,
    made::{At, Fields, given, inner},
    rest::may_authorize,
    routes,
};
use crate::{document::Tree, import::Resource};

/// What is not the plain API's: the stage's, or SAM's own.
const OF_SAM: [&str; 11] = [
    "StageName",
    "StageVariables",
    "DefinitionBody",
    "DefinitionUri",
    "AccessLogSettings",
    "DefaultRouteSettings",
    "RouteSettings",
    "Auth",
    "Domain",
    "PropagateTags",
    "Tags",
];

/// Lowers an HTTP API.
pub(super) fn lower(sam: &mut Lowering<'_>, resource: Resource) {
    let origin = Origin::of(&resource);
    let at = origin.at;
    let mut resource = resource;
    let properties = std::mem::replace(&mut resource.properties, at.map([]));
    let mut routes = sam.routes.remove(&origin.id);
    let settings = routes.as_mut().map(|routes| std::mem::take(&mut routes.settings)).unwrap_or_default();
    let own = given(&properties, "DefinitionBody");
    let stored = given(&properties, "DefinitionUri").filter(|_| own.is_none());
    let mut fields = Fields::new(at).rest(&properties, &OF_SAM).put("ProtocolType", at.text("HTTP"));
    fields = match stored {
        Some(uri) => fields.put("BodyS3Location", uri.clone()),
        None => {
            let mut body = routes::body(at, own, routes, false);
            authorizers(&mut body, &properties);
            fields.put("Body", body)
        }
    };
    sam.keep(resource, "AWS::ApiGatewayV2::Api", fields.done());
    for entry in properties.at(&["Auth", "Authorizers"]).map(Tree::entries).unwrap_or_default() {
        let allowed = given(&entry.value, "EnableFunctionDefaultPermissions").and_then(Tree::as_bool);
        if let Some(function) = given(&entry.value, "FunctionArn").filter(|_| allowed == Some(true)) {
            may_authorize(sam, &origin, At(entry.key_span), &entry.key, function);
        }
    }
    let name = given(&properties, "StageName").cloned().unwrap_or_else(|| at.text("$default"));
    let stage = stage_id(&origin.id, &name);
    if let Some(domain) = given(&properties, "Domain") {
        domain::http(sam, &origin, domain, &stage);
    }
    let own = given(&properties, "RouteSettings").map(Tree::entries).unwrap_or_default().to_vec();
    let settings = Tree::map(at.0, [own, settings].concat());
    let fields = Fields::new(at)
        .put("ApiId", at.reference(&origin.id))
        .put("StageName", name)
        .put("AutoDeploy", at.boolean(true))
        .put_some("RouteSettings", (!settings.entries().is_empty()).then_some(settings))
        .take(&properties, "StageVariables", "StageVariables")
        .take(&properties, "AccessLogSettings", "AccessLogSettings")
        .take(&properties, "DefaultRouteSettings", "DefaultRouteSettings");
    sam.make(&origin, at, &stage, "AWS::ApiGatewayV2::Stage", fields.done());
    sam.name(&origin.id, "Stage", &stage);
}

fn stage_id(api: &str, name: &Tree) -> String {
    match name.as_str() {
        Some("$default") => format!("{api}ApiGatewayDefaultStage"),
        Some(name) if name.chars().all(|letter| letter.is_ascii_alphanumeric()) => {
            format!("{api}{name}Stage")
        }
        _ => format!("{api}Stage"),
    }
}

/// Functions that decide who may call go into the definition, as AWS writes them there.
fn authorizers(body: &mut Tree, properties: &Tree) {
    let Some(all) = properties.at(&["Auth", "Authorizers"]) else { return };
    for entry in all.entries() {
        let Some(function) = given(&entry.value, "FunctionArn") else { continue };
        let at = At(entry.key_span);
        let config =
            at.map([("type", at.text("request")), ("authorizerUri", routes::invocation(at, function))]);
        let scheme = at.map([("type", at.text("apiKey")), ("x-amazon-apigateway-authorizer", config)]);
        let place = inner(body, at, "components")
            .and_then(|components| inner(components, at, "securitySchemes"))
            .and_then(|schemes| inner(schemes, at, &entry.key));
        if let Some(place) = place {
            *place = scheme;
        }
    }
}
