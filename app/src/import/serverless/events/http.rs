//! What comes in by HTTP and WebSockets.

use super::Event;
use crate::{
    document::{Tree, Value},
    import::serverless::{
        naming::{self, capital, normal},
        service::{Service, concat, given, lambda},
        template::At,
    },
};

/// How long an HTTP API waits for a function, as the framework states it; milliseconds.
const HTTP_API_TIMEOUT_MS: i64 = 30_000;

/// Method and path: `GET /orders`, or two settings.
fn method_and_path(own: &Tree) -> Option<(String, String)> {
    if let Some(text) = own.as_str() {
        let mut words = text.split_whitespace();
        let (first, second) = (words.next()?, words.next());
        return Some(match second {
            Some(path) => (first.to_string(), path.to_string()),
            None => ("*".to_string(), first.to_string()),
        });
    }
    let path = own.get("path").and_then(Tree::as_str)?;
    let method = own.get("method").and_then(Tree::as_str).unwrap_or("*");
    Some((method.to_string(), path.to_string()))
}

/// A method of the REST API.
pub(super) fn rest(service: &mut Service, event: &Event<'_>) {
    let Some((method, path)) = method_and_path(event.own) else {
        let what = format!("a route of {} has a path that is not known", event.function);
        service.unknown(event.at.0, Some(&event.lambda()), what);
        return;
    };
    let integration = integration(service, event, &method);
    let lambda = event.lambda();
    http_event(service, event.at, (&method, &path), integration, Some(&lambda));
    if let Some(resource) = service.template.resource_mut(&method_id(&method, &path)) {
        let private = event.copy("private").unwrap_or(event.at.bool(false));
        let more = event.at.map([("ApiKeyRequired", Some(private))]);
        super::super::template::merge(resource, event.at.map([("Properties", Some(more))]));
    }
    let authorizer = authorizer(service, event);
    let method_id = method_id(&method, &path);
    if let (Some((kind, id)), Some(resource)) = (authorizer, service.template.resource_mut(&method_id)) {
        let at = event.at;
        let id = id.map(|id| at.reference(&id));
        let more = at.map([("AuthorizationType", Some(at.text(kind))), ("AuthorizerId", id)]);
        super::super::template::merge(resource, at.map([("Properties", Some(more))]));
    }
}

fn method_id(method: &str, path: &str) -> String {
    let method = match method {
        "*" => "Any".to_string(),
        method => capital(&method.to_ascii_lowercase()),
    };
    format!("ApiGatewayMethod{}{method}", naming::path(path.trim_matches('/')))
}

/// Adds a method with its resources to the REST API, which is made with the first.
pub(in crate::import::serverless) fn http_event(
    service: &mut Service,
    at: At,
    (method, path): (&str, &str),
    integration: Tree,
    made_for: Option<&str>,
) {
    let api = rest_api(service, at);
    let path = path.trim_matches('/');
    let given_resources = service.provider.at(&["apiGateway", "restApiRootResourceId"]).cloned();
    let root = given_resources.unwrap_or_else(|| match api.get("Ref").and_then(Tree::as_str) {
        Some(id) => at.attribute(id, "RootResourceId"),
        None => Tree::unknown(at.0, "the root of an API of another stack"),
    });
    let mut parent = root;
    let mut walked = String::new();
    for part in path.split('/').filter(|part| !part.is_empty()) {
        walked = if walked.is_empty() { part.to_string() } else { format!("{walked}/{part}") };
        let id = format!("ApiGatewayResource{}", naming::path(&walked));
        if !service.template.has(&id) {
            let properties = at.map([
                ("ParentId", Some(parent)),
                ("PathPart", Some(at.text(part))),
                ("RestApiId", Some(api.clone())),
            ]);
            service.template.add(at, &id, "AWS::ApiGateway::Resource", properties);
        }
        parent = at.reference(&id);
    }
    let properties = at.map([
        ("HttpMethod", Some(at.text(if method == "*" { "ANY".into() } else { method.to_ascii_uppercase() }))),
        ("ResourceId", Some(parent)),
        ("RestApiId", Some(api)),
        ("AuthorizationType", Some(at.text("NONE"))),
        ("Integration", Some(integration)),
    ]);
    let id = method_id(method, path);
    match made_for {
        Some(function) => service.template.add_for(function, at, &id, "AWS::ApiGateway::Method", properties),
        None => service.template.add(at, &id, "AWS::ApiGateway::Method", properties),
    }
}

/// The REST API: one that is there, or the service's own with its deployment and stage.
fn rest_api(service: &mut Service, at: At) -> Tree {
    const ID: &str = "ApiGatewayRestApi";
    if let Some(id) = given(service.provider.at(&["apiGateway", "restApiId"])) {
        return id.clone();
    }
    if service.template.has(ID) {
        return at.reference(ID);
    }
    let endpoint = given(service.provider.get("endpointType")).cloned().map(|kind| match kind.as_str() {
        Some(text) => At(kind.span).text(text.to_ascii_uppercase()),
        None => kind,
    });
    let endpoint = endpoint.unwrap_or(at.text("EDGE"));
    let types = At(endpoint.span).list(vec![endpoint.clone()]);
    let configuration = at.map([("Types", Some(types))]);
    let name = concat(at, &[&service.stage, &at.text("-"), &service.name]);
    let properties = at.map([
        ("Name", Some(given(service.provider.get("apiName")).cloned().unwrap_or(name))),
        ("EndpointConfiguration", Some(configuration)),
    ]);
    service.template.add(at, ID, "AWS::ApiGateway::RestApi", properties);
    let stage = stage(service, at);
    service.template.add(at, "ApiGatewayStage", "AWS::ApiGateway::Stage", stage);
    let deployment = at.map([("RestApiId", Some(at.reference(ID)))]);
    service.template.add(at, "ApiGatewayDeployment", "AWS::ApiGateway::Deployment", deployment);
    usage_plan(service, at);
    at.reference(ID)
}

/// The stage as the framework leaves it: `logs.restApi` writes whole requests unless told otherwise.
fn stage(service: &Service, at: At) -> Tree {
    let logs = given(service.provider.at(&["logs", "restApi"])).filter(|is| is.as_bool() != Some(false));
    let settings = logs.map(|logs| {
        let at = At(logs.span);
        let data = logs.get("fullExecutionData").cloned().unwrap_or(at.bool(true));
        let executes = logs.get("executionLogging").and_then(Tree::as_bool) != Some(false);
        let level = logs.get("level").cloned().unwrap_or(at.text("INFO"));
        at.list(vec![at.map([
            ("ResourcePath", Some(at.text("/*"))),
            ("HttpMethod", Some(at.text("*"))),
            ("LoggingLevel", executes.then_some(level)),
            ("DataTraceEnabled", executes.then_some(data)),
        ])])
    });
    at.map([
        ("RestApiId", Some(at.reference("ApiGatewayRestApi"))),
        ("DeploymentId", Some(at.reference("ApiGatewayDeployment"))),
        ("StageName", Some(service.stage.clone())),
        ("MethodSettings", settings),
        ("TracingEnabled", given(service.provider.at(&["tracing", "apiGateway"])).cloned()),
    ])
}

fn usage_plan(service: &mut Service, at: At) {
    let plan = given(service.provider.at(&["apiGateway", "usagePlan"]))
        .or_else(|| given(service.provider.get("usagePlan")))
        .cloned();
    let Some(plan) = plan else { return };
    for plan in plan.one_or_many() {
        let throttle = plan.get("throttle").map(|throttle| {
            At(throttle.span).map([
                ("BurstLimit", throttle.get("burstLimit").cloned()),
                ("RateLimit", throttle.get("rateLimit").cloned()),
            ])
        });
        let stage = at.map([
            ("ApiId", Some(at.reference("ApiGatewayRestApi"))),
            ("Stage", Some(service.stage.clone())),
        ]);
        let properties = at.map([("ApiStages", Some(at.list(vec![stage]))), ("Throttle", throttle)]);
        service.template.add(At(plan.span), "ApiGatewayUsagePlan", "AWS::ApiGateway::UsagePlan", properties);
    }
}

fn integration(service: &Service, event: &Event<'_>, method: &str) -> Tree {
    let at = event.at;
    let kind = event.get("integration").and_then(Tree::as_str).unwrap_or("lambda-proxy");
    let kind = match kind.to_ascii_lowercase().as_str() {
        "lambda" | "aws" => "AWS",
        "http" => "HTTP",
        "http-proxy" | "http_proxy" => "HTTP_PROXY",
        "mock" => "MOCK",
        _ => "AWS_PROXY",
    };
    let waits_not = event.get("async").and_then(Tree::as_bool) == Some(true);
    let header = "integration.request.header.X-Amz-Invocation-Type";
    let parameters = waits_not.then(|| Tree::map(at.0, vec![at.entry(header, at.text("'Event'"))]));
    let uri = match kind {
        "AWS" | "AWS_PROXY" => Some(at.invocation(event.target(service))),
        "HTTP" | "HTTP_PROXY" => event.own.at(&["request", "uri"]).cloned(),
        _ => None,
    };
    let http =
        if matches!(kind, "HTTP" | "HTTP_PROXY") { method.to_ascii_uppercase() } else { "POST".into() };
    at.map([
        ("IntegrationHttpMethod", Some(at.text(http))),
        ("Type", Some(at.text(if waits_not { "AWS" } else { kind }))),
        ("Uri", uri),
        ("RequestParameters", parameters),
        ("TimeoutInMillis", event.copy("timeoutInMillis")),
    ])
}

/// Who decides about a method's calls: the kind, and the authorizer's logical id.
fn authorizer(service: &mut Service, event: &Event<'_>) -> Option<(&'static str, Option<String>)> {
    let own = event.get("authorizer")?.clone();
    let at = At(own.span);
    let of = |key: &str| own.get(key).and_then(Tree::as_str).map(str::to_string);
    let kind = own.as_str().map(str::to_string).or_else(|| of("type")).unwrap_or_default();
    if kind.eq_ignore_ascii_case("aws_iam") {
        return Some(("AWS_IAM", None));
    }
    let arn = own.get("arn");
    let by_pool = kind.eq_ignore_ascii_case("cognito_user_pools")
        || arn.and_then(Tree::as_str).is_some_and(|arn| arn.contains(":cognito-idp:"));
    if by_pool || own.get("authorizerId").is_some() {
        return Some((if by_pool { "COGNITO_USER_POOLS" } else { "CUSTOM" }, None));
    }
    let named = own.as_str().map(str::to_string).or_else(|| of("name"))?;
    let function = match (arn, named.as_str()) {
        (Some(arn), _) => service.named(at, arn),
        (None, text) if text.starts_with("arn:") => own.clone(),
        (None, text) if service.names.contains(text) => service.target(at, text),
        (None, _) => return Some(("CUSTOM", None)),
    };
    let name =
        if named.starts_with("arn:") { named.rsplit(['-', ':']).next().unwrap_or("").into() } else { named };
    let id = format!("{}ApiGatewayAuthorizer", normal(&name));
    let kind =
        if of("type").is_some_and(|it| it.eq_ignore_ascii_case("request")) { "REQUEST" } else { "TOKEN" };
    let properties = at.map([
        ("Name", Some(at.text(&name))),
        ("RestApiId", Some(rest_api(service, at))),
        ("Type", Some(at.text(kind))),
        ("AuthorizerUri", Some(at.invocation(function))),
    ]);
    event.add(service, &id, "AWS::ApiGateway::Authorizer", properties);
    Some(("CUSTOM", Some(id)))
}

/// A route of the HTTP API.
pub(super) fn http_api(service: &mut Service, event: &Event<'_>) {
    let at = event.at;
    let api = http_api_itself(service, at);
    let everything = |text: &str| text == "*" || text == "* *";
    let (key, id) = match (event.own.as_str(), method_and_path(event.own)) {
        (Some(text), _) if everything(text) => ("$default".to_string(), "Default".to_string()),
        (_, Some((_, path))) if path == "*" => ("$default".to_string(), "Default".to_string()),
        (_, Some((method, path))) => {
            let method = if method == "*" { "ANY".to_string() } else { method.to_ascii_uppercase() };
            (format!("{method} {path}"), naming::path(&format!("{method} {path}")))
        }
        _ => {
            let what = format!("a route of {} has a path that is not known", event.function);
            service.unknown(at.0, Some(&event.lambda()), what);
            return;
        }
    };
    let integration = format!("HttpApiIntegration{}", normal(event.function));
    if !service.template.has(&integration) {
        let properties = at.map([
            ("ApiId", Some(api.clone())),
            ("IntegrationType", Some(at.text("AWS_PROXY"))),
            ("IntegrationUri", Some(event.target(service))),
            ("PayloadFormatVersion", Some(at.text("2.0"))),
            ("TimeoutInMillis", Some(at.integer(HTTP_API_TIMEOUT_MS))),
        ]);
        event.add(service, &integration, "AWS::ApiGatewayV2::Integration", properties);
    }
    let authorizer = http_authorizer(service, event, &api);
    let target = at.join("/", vec![at.text("integrations"), at.reference(&integration)]);
    let properties = at.map([
        ("ApiId", Some(api)),
        ("RouteKey", Some(at.text(key))),
        ("Target", Some(target)),
        ("AuthorizerId", authorizer),
    ]);
    event.add(service, &format!("HttpApiRoute{id}"), "AWS::ApiGatewayV2::Route", properties);
}

fn http_api_itself(service: &mut Service, at: At) -> Tree {
    const ID: &str = "HttpApi";
    if let Some(id) = given(service.provider.at(&["httpApi", "id"])) {
        return id.clone();
    }
    if !service.template.has(ID) {
        let own = given(service.provider.at(&["httpApi", "name"])).cloned();
        let name = own.unwrap_or_else(|| concat(at, &[&service.stage, &at.text("-"), &service.name]));
        let properties = at.map([("Name", Some(name)), ("ProtocolType", Some(at.text("HTTP")))]);
        service.template.add(at, ID, "AWS::ApiGatewayV2::Api", properties);
        let stage = at.map([
            ("ApiId", Some(at.reference(ID))),
            ("StageName", Some(at.text("$default"))),
            ("AutoDeploy", Some(at.bool(true))),
        ]);
        service.template.add(at, "HttpApiStage", "AWS::ApiGatewayV2::Stage", stage);
    }
    at.reference(ID)
}

/// The authorizer that a route names, where a function decides.
fn http_authorizer(service: &mut Service, event: &Event<'_>, api: &Tree) -> Option<Tree> {
    let own = event.get("authorizer")?;
    let name = own.as_str().or_else(|| own.get("name").and_then(Tree::as_str))?;
    let config = service.provider.at(&["httpApi", "authorizers", name])?.clone();
    let at = At(config.span);
    let id = format!("HttpApiAuthorizer{}", normal(name));
    if config.get("type").and_then(Tree::as_str) != Some("request") {
        let properties = at.map([
            ("ApiId", Some(api.clone())),
            ("Name", Some(at.text(name))),
            ("AuthorizerType", Some(at.text("JWT"))),
        ]);
        service.template.add(at, &id, "AWS::ApiGatewayV2::Authorizer", properties);
        return Some(at.reference(&id));
    }
    let function = match config.get("functionName") {
        Some(function) => service.named(at, function),
        None => config.get("functionArn")?.clone(),
    };
    let properties = at.map([
        ("ApiId", Some(api.clone())),
        ("Name", Some(at.text(name))),
        ("AuthorizerType", Some(at.text("REQUEST"))),
        ("EnableSimpleResponses", config.get("enableSimpleResponses").cloned()),
        ("AuthorizerUri", Some(at.invocation(function))),
    ]);
    service.template.add(at, &id, "AWS::ApiGatewayV2::Authorizer", properties);
    Some(at.reference(&id))
}

/// A route of the WebSocket API.
pub(super) fn websocket(service: &mut Service, event: &Event<'_>) {
    const ID: &str = "WebsocketsApi";
    let at = event.at;
    let Some(route) = event.get_or_self("route").cloned() else { return };
    let api = match given(service.provider.at(&["apiGateway", "websocketApiId"])) {
        Some(id) => id.clone(),
        None => {
            if !service.template.has(ID) {
                let end = at.text("-websockets");
                let name = concat(at, &[&service.stage, &at.text("-"), &service.name, &end]);
                let properties = at.map([
                    ("Name", Some(name)),
                    ("ProtocolType", Some(at.text("WEBSOCKET"))),
                    ("RouteSelectionExpression", Some(at.text("$request.body.action"))),
                ]);
                service.template.add(at, ID, "AWS::ApiGatewayV2::Api", properties);
                let stage =
                    at.map([("ApiId", Some(at.reference(ID))), ("StageName", Some(service.stage.clone()))]);
                service.template.add(at, "WebsocketsDeploymentStage", "AWS::ApiGatewayV2::Stage", stage);
            }
            at.reference(ID)
        }
    };
    let integration = format!("{}WebsocketsIntegration", normal(event.function));
    let properties = at.map([
        ("ApiId", Some(api.clone())),
        ("IntegrationType", Some(at.text("AWS_PROXY"))),
        ("IntegrationUri", Some(at.invocation(event.target(service)))),
    ]);
    event.add(service, &integration, "AWS::ApiGatewayV2::Integration", properties);
    let key = route.as_str().unwrap_or("").replace('$', "S").replace('/', "Slash").replace('-', "Dash");
    let id = format!("{}WebsocketsRoute", key.replace('_', "Underscore").replace('.', "Period"));
    let authorizer = websocket_authorizer(service, event, &api);
    let target = at.join("/", vec![at.text("integrations"), at.reference(&integration)]);
    let properties = at.map([
        ("ApiId", Some(api)),
        ("RouteKey", Some(route)),
        ("Target", Some(target)),
        ("AuthorizerId", authorizer),
    ]);
    event.add(service, &id, "AWS::ApiGatewayV2::Route", properties);
}

fn websocket_authorizer(service: &mut Service, event: &Event<'_>, api: &Tree) -> Option<Tree> {
    let own = event.get("authorizer")?;
    let name = own.as_str().or_else(|| own.get("name").and_then(Tree::as_str))?;
    let at = At(own.span);
    let function = match own.get("arn") {
        Some(arn) => arn.clone(),
        None if matches!(own.value, Value::Text(_)) && name.starts_with("arn:") => own.clone(),
        None if service.names.contains(name) => at.attribute(&lambda(name), "Arn"),
        None => return None,
    };
    let id = format!("{}WebsocketsAuthorizer", normal(name));
    let properties = at.map([
        ("ApiId", Some(api.clone())),
        ("Name", Some(at.text(name))),
        ("AuthorizerType", Some(at.text("REQUEST"))),
        ("AuthorizerUri", Some(at.invocation(function))),
    ]);
    event.add(service, &id, "AWS::ApiGatewayV2::Authorizer", properties);
    Some(at.reference(&id))
}
