//! `AWS::Serverless::WebSocketApi`.

use super::{
    Lowering, Origin, domain,
    made::{At, Fields, given},
    routes::invocation,
};
use crate::{
    document::{Entry, Tree},
    import::Resource,
};

/// What is not the plain API's: the stage's, the routes', or SAM's own.
const OF_SAM: [&str; 10] = [
    "Routes",
    "Auth",
    "StageName",
    "StageVariables",
    "AccessLogSettings",
    "DefaultRouteSettings",
    "RouteSettings",
    "Domain",
    "PropagateTags",
    "FailOnWarnings",
];

/// Lowers a WebSocket API with its routes.
pub(super) fn lower(sam: &mut Lowering<'_>, resource: Resource) {
    let origin = Origin::of(&resource);
    let at = origin.at;
    let mut resource = resource;
    let properties = std::mem::replace(&mut resource.properties, at.map([]));
    let fields = Fields::new(at).rest(&properties, &OF_SAM).put("ProtocolType", at.text("WEBSOCKET"));
    sam.keep(resource, "AWS::ApiGatewayV2::Api", fields.done());
    let auth = given(&properties, "Auth");
    let function = auth.and_then(|auth| given(auth, "AuthArn"));
    for entry in given(&properties, "Routes").map(Tree::entries).unwrap_or_default() {
        route(sam, &origin, entry);
    }
    let name = given(&properties, "StageName").cloned().unwrap_or_else(|| at.text("default"));
    let stage = match name.as_str() {
        Some("default") => format!("{}DefaultStage", origin.id),
        other => format!("{}{}Stage", origin.id, other.unwrap_or_default()),
    };
    if let Some(domain) = given(&properties, "Domain") {
        domain::http(sam, &origin, domain, &stage);
    }
    let mut fields = Fields::new(at)
        .put("ApiId", at.reference(&origin.id))
        .put("StageName", name)
        .put("AutoDeploy", at.boolean(true));
    for key in ["StageVariables", "AccessLogSettings", "DefaultRouteSettings", "RouteSettings"] {
        fields = fields.take(&properties, key, key);
    }
    sam.make(&origin, at, &stage, "AWS::ApiGatewayV2::Stage", fields.done());
    sam.name(&origin.id, "Stage", &stage);
    if let (Some(auth), Some(function)) = (auth, function) {
        authorizer(sam, &origin, auth, function);
    }
}

fn route(sam: &mut Lowering<'_>, origin: &Origin, entry: &Entry) {
    let at = At(entry.key_span);
    let Some(function) = given(&entry.value, "FunctionArn") else {
        sam.wrong(entry.key_span, &format!("the route `{}` needs `FunctionArn`", entry.key));
        return;
    };
    let plain: String = entry.key.chars().filter(char::is_ascii_alphanumeric).collect();
    let mut letters = plain.chars();
    let first = letters.next().map(|first| first.to_ascii_uppercase());
    let base: String =
        origin.id.chars().chain(first).chain(letters.map(|it| it.to_ascii_lowercase())).collect();
    let (api, integration) = (at.reference(&origin.id), format!("{base}Integration"));
    let target = at.filled("integrations/{I}", &|_| Some(at.reference(&integration)));
    let fields = Fields::new(at)
        .put("ApiId", api.clone())
        .put("RouteKey", at.text(entry.key.as_str()))
        .rest(&entry.value, &["FunctionArn", "IntegrationTimeout"])
        .put("Target", target);
    sam.make(origin, at, &format!("{base}Route"), "AWS::ApiGatewayV2::Route", fields.done());
    let fields = Fields::new(at)
        .put("ApiId", api)
        .put("IntegrationType", at.text("AWS_PROXY"))
        .put("IntegrationUri", invocation(at, function))
        .take(&entry.value, "IntegrationTimeout", "TimeoutInMillis");
    sam.make(origin, at, &integration, "AWS::ApiGatewayV2::Integration", fields.done());
    may_invoke(sam, origin, at, &format!("{base}Permission"), function);
}

fn authorizer(sam: &mut Lowering<'_>, origin: &Origin, auth: &Tree, function: &Tree) {
    let at = At(auth.span);
    let fields = Fields::new(at)
        .put("ApiId", at.reference(&origin.id))
        .put("AuthorizerType", at.text("REQUEST"))
        .put("AuthorizerUri", invocation(at, function));
    let id = format!("{}ConnectAuthorizer", origin.id);
    sam.make(origin, at, &id, "AWS::ApiGatewayV2::Authorizer", fields.done());
    if given(auth, "InvokeRole").is_none() {
        may_invoke(sam, origin, at, &format!("{}AuthorizerPermission", origin.id), function);
    }
}

fn may_invoke(sam: &mut Lowering<'_>, origin: &Origin, at: At, id: &str, function: &Tree) {
    let properties = at.map([
        ("Action", at.text("lambda:InvokeFunction")),
        ("FunctionName", function.clone()),
        ("Principal", at.text("apigateway.amazonaws.com")),
    ]);
    sam.make(origin, at, id, "AWS::Lambda::Permission", properties);
}
