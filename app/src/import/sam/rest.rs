//! `AWS::Serverless::Api`: a REST API with its deployment and stage.

use super::{
    Lowering, Origin, domain,
    made::{At, Fields, given, inner},
    routes,
};
use crate::{
    document::{Tree, Value},
    import::Resource,
};

/// What is not the plain API's: the stage's, or SAM's own.
const OF_SAM: [&str; 21] = [
    "StageName",
    "Tags",
    "DefinitionBody",
    "DefinitionUri",
    "MergeDefinitions",
    "CacheClusterEnabled",
    "CacheClusterSize",
    "Variables",
    "EndpointConfiguration",
    "MethodSettings",
    "Cors",
    "Auth",
    "GatewayResponses",
    "AccessLogSetting",
    "CanarySetting",
    "TracingEnabled",
    "OpenApiVersion",
    "Models",
    "Domain",
    "AlwaysDeploy",
    "PropagateTags",
];

/// Lowers a REST API.
pub(super) fn lower(sam: &mut Lowering<'_>, resource: Resource) {
    let origin = Origin::of(&resource);
    let at = origin.at;
    let mut resource = resource;
    let properties = std::mem::replace(&mut resource.properties, at.map([]));
    let mut routes = sam.routes.remove(&origin.id);
    let own = given(&properties, "DefinitionBody");
    let stored = given(&properties, "DefinitionUri").filter(|_| own.is_none());
    let merges = given(&properties, "MergeDefinitions").and_then(Tree::as_bool) == Some(true);
    let mut fields = Fields::new(at).rest(&properties, &OF_SAM);
    fields = match stored {
        Some(uri) => fields.put("BodyS3Location", uri.clone()),
        None => {
            // AWS merges into the definition's own `paths`, and where it has none, nothing.
            let into = own.is_none() || merges && own.is_some_and(|own| given(own, "paths").is_some());
            if let Some(routes) = routes.as_mut().filter(|_| !into) {
                routes.keep_to_definition();
            }
            let mut body = routes::body(at, own, routes, true);
            authorizers(&mut body, &properties);
            fields.put("Body", body)
        }
    };
    if let Some(endpoint) = given(&properties, "EndpointConfiguration") {
        fields = fields.put("EndpointConfiguration", endpoint_of(endpoint));
    }
    sam.keep(resource, "AWS::ApiGateway::RestApi", fields.done());
    let stage = stage(sam, &origin, &properties);
    permissions(sam, &origin, &properties);
    if let Some(domain) = given(&properties, "Domain") {
        domain::rest(sam, &origin, domain, &stage);
    }
    usage_plan(sam, &origin, &properties, &stage);
}

fn endpoint_of(endpoint: &Tree) -> Tree {
    let at = At(endpoint.span);
    let fields = match given(endpoint, "Type") {
        Some(kind) => Fields::new(at).put("Types", at.list(vec![kind.clone()])).rest(endpoint, &["Type"]),
        None if matches!(endpoint.value, Value::Map(_)) => return endpoint.clone(),
        None => Fields::new(at).put("Types", at.list(vec![endpoint.clone()])),
    };
    fields.done()
}

/// The deployment and its stage; the stage's id.
fn stage(sam: &mut Lowering<'_>, origin: &Origin, properties: &Tree) -> String {
    let (id, at) = (&origin.id, origin.at);
    let deployment = format!("{id}Deployment");
    let api = at.reference(id);
    let of = at.map([("RestApiId", api.clone())]);
    sam.make(origin, at, &deployment, "AWS::ApiGateway::Deployment", of);
    sam.name(id, "Deployment", &deployment);
    let name = given(properties, "StageName").and_then(Tree::as_str).unwrap_or_default();
    let plain = name.chars().all(|letter| letter.is_ascii_alphanumeric());
    let stage = format!("{id}{}Stage", if plain { name } else { "" });
    let mut fields = Fields::new(at).put("RestApiId", api).put("DeploymentId", at.reference(&deployment));
    for key in [
        "StageName",
        "CacheClusterEnabled",
        "CacheClusterSize",
        "Variables",
        "MethodSettings",
        "AccessLogSetting",
        "CanarySetting",
        "TracingEnabled",
    ] {
        fields = fields.take(properties, key, key);
    }
    sam.make(origin, at, &stage, "AWS::ApiGateway::Stage", fields.done());
    sam.name(id, "Stage", &stage);
    stage
}

/// Functions that decide who may call go into the definition, as AWS writes them there.
fn authorizers(body: &mut Tree, properties: &Tree) {
    let Some(all) = properties.at(&["Auth", "Authorizers"]) else { return };
    for entry in all.entries() {
        let at = At(entry.key_span);
        let authorizer = &entry.value;
        let config = if let Some(function) = given(authorizer, "FunctionArn") {
            let kind = given(authorizer, "FunctionPayloadType").and_then(Tree::as_str).unwrap_or("TOKEN");
            at.map([
                ("type", at.text(kind.to_ascii_lowercase())),
                ("authorizerUri", routes::invocation(at, function)),
            ])
        } else if let Some(pool) = given(authorizer, "UserPoolArn") {
            let pools = pool.one_or_many().to_vec();
            at.map([("type", at.text("cognito_user_pools")), ("providerARNs", at.list(pools))])
        } else {
            continue;
        };
        let definition = at.map([("type", at.text("apiKey")), ("x-amazon-apigateway-authorizer", config)]);
        if let Some(place) = inner(body, at, "securityDefinitions").and_then(|all| inner(all, at, &entry.key))
        {
            *place = definition;
        }
    }
}

/// Lets the API invoke its authorizers.
fn permissions(sam: &mut Lowering<'_>, origin: &Origin, properties: &Tree) {
    let Some(all) = properties.at(&["Auth", "Authorizers"]) else { return };
    for entry in all.entries() {
        let without = given(&entry.value, "DisableFunctionDefaultPermissions").and_then(Tree::as_bool);
        if let Some(function) = given(&entry.value, "FunctionArn").filter(|_| without != Some(true)) {
            may_authorize(sam, origin, At(entry.key_span), &entry.key, function);
        }
    }
}

/// Lets an API invoke a function that decides who may call.
pub(super) fn may_authorize(sam: &mut Lowering<'_>, origin: &Origin, at: At, name: &str, function: &Tree) {
    let properties = at.map([
        ("Action", at.text("lambda:InvokeFunction")),
        ("FunctionName", function.clone()),
        ("Principal", at.text("apigateway.amazonaws.com")),
    ]);
    let id = format!("{}{name}AuthorizerPermission", origin.id);
    sam.make(origin, at, &id, "AWS::Lambda::Permission", properties);
}

/// `Auth.UsagePlan`: a plan with a key, for this API or shared by all that say so.
fn usage_plan(sam: &mut Lowering<'_>, origin: &Origin, properties: &Tree, stage: &str) {
    let Some(wanted) = properties.at(&["Auth", "UsagePlan"]) else { return };
    let at = At(wanted.span);
    let entry = at.map([("ApiId", at.reference(&origin.id)), ("Stage", at.reference(stage))]);
    let prefix = match wanted.get("CreateUsagePlan").and_then(Tree::as_str) {
        Some("PER_API") => origin.id.as_str(),
        Some("SHARED") => "Serverless",
        _ => return,
    };
    let (plan, key) = (format!("{prefix}UsagePlan"), format!("{prefix}ApiKey"));
    let plan_key = format!("{prefix}UsagePlanKey");
    for (property, made) in [("UsagePlan", &plan), ("ApiKey", &key), ("UsagePlanKey", &plan_key)] {
        sam.name(&origin.id, property, made);
    }
    if prefix == "Serverless" {
        if let Some(shared) = sam.shared.get("usage plan").and_then(|index| sam.done.get_mut(*index)) {
            if let Some(Value::List(stages)) =
                inner(&mut shared.properties, at, "ApiStages").map(|it| &mut it.value)
            {
                stages.push(entry);
            }
            return;
        }
        sam.shared.insert("usage plan".to_string(), sam.done.len());
    }
    let fields = Fields::new(at).put("ApiStages", at.list(vec![entry])).rest(wanted, &["CreateUsagePlan"]);
    sam.make(origin, at, &plan, "AWS::ApiGateway::UsagePlan", fields.done());
    let enabled = at.map([("Enabled", at.boolean(true))]);
    sam.make(origin, at, &key, "AWS::ApiGateway::ApiKey", enabled);
    let of = at.map([("KeyId", at.reference(&key)), ("UsagePlanId", at.reference(&plan))]);
    sam.make(origin, at, &plan_key, "AWS::ApiGateway::UsagePlanKey", of);
}
