//! Routes that functions and machines ask of APIs.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Lowering, Origin,
    function::{Event, Target},
    made::{At, Fields, given},
    pushed::permission,
    rules::starting_role,
};
use crate::document::{Entry, Tree, Value};

const ANY: &str = "x-amazon-apigateway-any-method";
const METHODS: [&str; 9] = ["get", "put", "post", "delete", "options", "head", "patch", "trace", ANY];
const INTEGRATION: &str = "x-amazon-apigateway-integration";

/// What is asked of one API.
#[derive(Default)]
pub(super) struct Routes {
    routes: Vec<Route>,
    /// Functions that have all of the API by `$default`.
    all: BTreeSet<String>,
    /// Settings of routes, for the stage.
    pub settings: Vec<Entry>,
}

struct Route {
    origin: Origin,
    at: At,
    path: String,
    method: String,
    operation: Tree,
    /// It goes into a definition of the author's too.
    always: bool,
}

impl Routes {
    /// Leaves out what does not go into a definition of the author's.
    pub fn keep_to_definition(&mut self) {
        self.routes.retain(|route| route.always);
    }

    /// What an API that nobody declares is made for: its first event.
    pub fn first(&self) -> Option<Origin> {
        self.routes.first().map(|route| Origin { at: route.at, ..route.origin.clone() })
    }

    /// The condition of an API that nobody declares: there is one if each of its events has one.
    pub fn condition(&self) -> Option<String> {
        let conditions: Option<BTreeSet<&str>> =
            self.routes.iter().map(|route| route.origin.conditional.as_deref()).collect();
        let conditions: Vec<&str> = conditions?.into_iter().collect();
        (!conditions.is_empty()).then(|| conditions.join(" or "))
    }
}

/// The API that an event is for. `None`: it is not one of this template.
fn api_of(sam: &mut Lowering<'_>, event: &Event<'_>, key: &str, implicit: &str) -> Option<String> {
    let Some(api) = given(event.properties, key) else { return Some(implicit.to_string()) };
    let id = match &api.value {
        Value::Reference(reference) if reference.attribute.is_none() => Some(reference.resource.clone()),
        Value::Text(id) => Some(id.clone()),
        _ => None,
    };
    let id = id.filter(|id| id == implicit || sam.own_type(id).is_some());
    if id.is_none() {
        sam.wrong(api.span, &format!("`{key}` of an event must be an API of this template"));
    }
    id
}

/// `Api`: a route of a REST API. An API that has its own definition is not changed, unless it wants to be merged.
pub(super) fn rest(sam: &mut Lowering<'_>, target: &Target, event: &Event<'_>) {
    let (Some(path), Some(method)) = (event.needed(sam, "Path"), event.needed(sam, "Method")) else { return };
    let Some(api) = api_of(sam, event, "RestApiId", "ServerlessRestApi") else { return };
    let at = event.at;
    let operation = if target.machine {
        starts(sam, target, event)
    } else {
        permission(sam, target, at, (&format!("{}Permission", event.id), "apigateway.amazonaws.com"), None);
        invokes(target, event)
    };
    add(sam, target, event, (&api, path.as_str(), method.as_str()), operation);
}

/// `HttpApi`: a route of an HTTP API; without path and method all of it.
pub(super) fn http(sam: &mut Lowering<'_>, target: &Target, event: &Event<'_>) {
    let Some(api) = api_of(sam, event, "ApiId", "ServerlessHttpApi") else { return };
    let text = |key: &str| given(event.properties, key).map(|value| value.as_str());
    let (path, method) = match (text("Path"), text("Method")) {
        (None, None) => (Some("$default"), Some(ANY)),
        (Some(path), Some(method)) => (path, method),
        _ => {
            sam.wrong(event.at.0, "an event of type `HttpApi` needs `Path` and `Method`, or neither");
            return;
        }
    };
    let id = format!("{}Permission", event.id);
    let owner = target.alias.as_ref().unwrap_or(&target.origin.id);
    let routes = sam.routes.entry(api.clone()).or_default();
    if path == Some("$default") || !routes.all.contains(owner) {
        if path == Some("$default") && method.is_some_and(|method| method.eq_ignore_ascii_case(ANY)) {
            routes.all.insert(owner.clone());
        }
        permission(sam, target, event.at, (&id, "apigateway.amazonaws.com"), None);
    }
    add(sam, target, event, (&api, path, method), invokes(target, event));
    if let (Some(settings), Some(path), Some(method)) =
        (given(event.properties, "RouteSettings"), path, method)
    {
        let key = if method == ANY { path.to_string() } else { format!("{} {path}", method.to_uppercase()) };
        let entry = At(settings.span).entry(&key, settings.clone());
        sam.routes.entry(api).or_default().settings.push(entry);
    }
}

/// Keeps a route for its API. One whose path or method is not known has no place in a definition.
fn add(
    sam: &mut Lowering<'_>,
    target: &Target,
    event: &Event<'_>,
    (api, path, method): (&str, Option<&str>, Option<&str>),
    operation: Tree,
) {
    let (Some(path), Some(method)) = (path, method) else {
        sam.wrong(event.at.0, "`Path` and `Method` of an event must be texts that the files state");
        return;
    };
    let method = match method.to_ascii_lowercase() {
        any if any == "any" => ANY.to_string(),
        method => method,
    };
    if !METHODS.contains(&method.as_str()) {
        sam.wrong(event.at.0, &format!("`{method}` is no method of HTTP"));
        return;
    }
    let (origin, path) = (target.origin.clone(), path.to_string());
    let always = event.kind == "HttpApi";
    let route = Route { origin, at: event.at, path, method, operation, always };
    sam.routes.entry(api.to_string()).or_default().routes.push(route);
}

/// The ARN under which API Gateway invokes a function.
pub(super) fn invocation(at: At, function: &Tree) -> Tree {
    invocation_of(at, function, "2015-03-31/functions/{F}/invocations")
}

fn invocation_of(at: At, function: &Tree, operation: &str) -> Tree {
    let pattern = format!("arn:{{P}}:apigateway:{{R}}:lambda:path/{operation}");
    at.filled(&pattern, &|name| (name == "F").then(|| function.clone()))
}

fn invokes(target: &Target, event: &Event<'_>) -> Tree {
    let at = event.at;
    let mode = given(event.properties, "ResponseTransferMode");
    let streams = mode.filter(|mode| mode.as_str() == Some("RESPONSE_STREAM"));
    let uri = match streams {
        Some(_) => {
            let operation = "2021-11-15/functions/{F}/response-streaming-invocations";
            invocation_of(at, &target.arn(at), operation)
        }
        None => invocation(at, &target.arn(at)),
    };
    let mut fields = Fields::new(at)
        .put("type", at.text("aws_proxy"))
        .put("httpMethod", at.text("POST"))
        .put("uri", uri)
        .take(event.properties, "TimeoutInMillis", "timeoutInMillis")
        .put_some("responseTransferMode", streams.map(|mode| At(mode.span).text("STREAM")));
    if event.kind == "HttpApi" {
        let version = given(event.properties, "PayloadFormatVersion").cloned();
        fields = fields.put("payloadFormatVersion", version.unwrap_or_else(|| at.text("2.0")));
    }
    at.map([(INTEGRATION, fields.done()), ("responses", at.map([]))])
}

fn starts(sam: &mut Lowering<'_>, target: &Target, event: &Event<'_>) -> Tree {
    let at = event.at;
    let role = starting_role(sam, target, event, None);
    let machine = target.arn(at);
    let before = "{\"input\": \"$util.escapeJavaScript($input.json('$'))\", \"stateMachineArn\": \"";
    let template = at.filled("{B}{M}\"{E}", &|name| match name {
        "B" => Some(at.text(before)),
        "M" => Some(machine.clone()),
        _ => Some(at.text("}")),
    });
    let integration = at.map([
        ("type", at.text("aws")),
        ("httpMethod", at.text("POST")),
        ("uri", at.filled("arn:{P}:apigateway:{R}:states:action/StartExecution", &|_| None)),
        ("credentials", role),
        ("requestTemplates", at.map([("application/json", template)])),
    ]);
    at.map([(INTEGRATION, integration), ("responses", at.map([]))])
}

/// The definition of an API with the routes in it. `replace`: theirs go before what the definition has.
pub(super) fn body(at: At, own: Option<&Tree>, routes: Option<Routes>, replace: bool) -> Tree {
    let routes = routes.map(|routes| routes.routes).unwrap_or_default();
    let mut body = own.cloned().unwrap_or_else(|| at.map([]));
    let Value::Map(entries) = &mut body.value else { return body };
    if !entries.iter().any(|entry| entry.key == "paths") {
        entries.push(at.entry("paths", at.map([])));
    }
    for entry in entries.iter_mut().filter(|entry| entry.key == "paths") {
        if let Value::Map(paths) = &mut entry.value.value {
            add_all(paths, routes, replace);
            break;
        }
    }
    body
}

fn add_all(paths: &mut Vec<Entry>, routes: Vec<Route>, replace: bool) {
    let mut places: BTreeMap<String, usize> =
        paths.iter().enumerate().map(|(index, entry)| (entry.key.clone(), index)).collect();
    let mut seen = BTreeSet::new();
    for Route { at, path, method, operation, .. } in routes {
        if !seen.insert((path.clone(), method.clone())) {
            continue;
        }
        let index = *places.entry(path.clone()).or_insert_with(|| {
            paths.push(at.entry(&path, at.map([])));
            paths.len() - 1
        });
        let Some(Value::Map(methods)) = paths.get_mut(index).map(|entry| &mut entry.value.value) else {
            continue;
        };
        match methods.iter_mut().find(|entry| entry.key.eq_ignore_ascii_case(&method)) {
            None => methods.push(at.entry(&method, operation)),
            Some(entry) => {
                let integrated = given(&entry.value, INTEGRATION).is_some();
                if replace || !integrated {
                    let fields = Fields::new(at).rest(&entry.value, &[INTEGRATION]);
                    entry.value = fields.take(&operation, INTEGRATION, INTEGRATION).done();
                }
            }
        }
    }
}
