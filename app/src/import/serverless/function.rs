//! Functions: the resource, its log group, version, alias, URL, role and what becomes of asynchronous work.

use super::{
    naming::normal,
    service::{Service, given, lambda},
    template::At,
};
use crate::document::{Entry, Tree, Value};

/// The framework's timeout, where nothing states one; seconds.
const TIMEOUT_S: i64 = 6;
/// The framework's memory, where nothing states one; MB.
const MEMORY_MB: i64 = 1024;
/// The role that functions share.
pub(super) const SHARED_ROLE: &str = "IamRoleLambdaExecution";

/// Adds the resources of all functions, triggers apart.
pub(super) fn all(service: &mut Service) {
    let functions = std::mem::take(&mut service.functions);
    let mut shares_role = false;
    for entry in &functions {
        if let Value::Unknown(unknown) = &entry.value.value {
            let what = format!("the function {} is not known: {}", entry.key, unknown.why);
            service.unknown(entry.value.span, None, what);
            continue;
        }
        alias(service, entry);
        let role = role(service, entry);
        shares_role |= role.is_none();
        let role = role.unwrap_or_else(|| At(entry.key_span).attribute(SHARED_ROLE, "Arn"));
        function(service, entry, role);
        asynchronous(service, entry);
        url(service, entry);
    }
    if shares_role {
        shared_role(service);
    }
    service.functions = functions;
}

fn function(service: &mut Service, entry: &Entry, role: Tree) {
    let (name, own, at) = (&entry.key, &entry.value, At(entry.key_span));
    let id = lambda(name);
    let prefix = service.prefix(at);
    let physical = match given(own.get("name")) {
        Some(name) => name.clone(),
        None => super::service::concat(at, &[&prefix, &at.text(format!("-{name}"))]),
    };
    let either = |key: &str| service.setting(own, key).cloned();
    let image = given(own.get("image")).is_some();
    let unknown = "the framework's own default, which depends on its version";
    let runtime = either("runtime").unwrap_or_else(|| Tree::unknown(at.0, unknown));
    let architecture = either("architecture").map(|one| At(one.span).list(vec![one.clone()]));
    let wraps =
        |key: &str, value: Option<Tree>| value.map(|value| At(value.span).map([(key, Some(value.clone()))]));
    let snap_start = given(own.get("snapStart")).filter(|is| is.as_bool() != Some(false));
    // At a distribution's edge less is allowed, and the framework's defaults are less.
    let events = own.get("events").map(Tree::items).unwrap_or_default();
    let at_edge = events.iter().any(|event| event.get("cloudFront").is_some());
    let (memory, timeout) = if at_edge { (128, 5) } else { (MEMORY_MB, TIMEOUT_S) };
    let properties = at.map([
        ("FunctionName", Some(physical)),
        ("PackageType", image.then(|| at.text("Image"))),
        ("Handler", given(own.get("handler")).filter(|_| !image).cloned()),
        ("Runtime", (!image).then_some(runtime)),
        ("MemorySize", Some(either("memorySize").unwrap_or(at.integer(memory)))),
        ("Timeout", Some(either("timeout").unwrap_or(at.integer(timeout)))),
        ("Architectures", architecture),
        ("EphemeralStorage", wraps("Size", given(own.get("ephemeralStorageSize")).cloned())),
        ("ReservedConcurrentExecutions", given(own.get("reservedConcurrency")).cloned()),
        ("DeadLetterConfig", wraps("TargetArn", given(own.get("onError")).cloned())),
        ("TracingConfig", tracing(service, own)),
        ("Environment", environment(service, own).map(|all| at.map([("Variables", Some(all))]))),
        ("Role", Some(role)),
        ("VpcConfig", network(service, own)),
        ("Layers", either("layers")),
        (
            "SnapStart",
            snap_start.map(|is| At(is.span).map([("ApplyOn", Some(at.text("PublishedVersions")))])),
        ),
        ("LoggingConfig", logging(service, own)),
        ("TenancyConfig", given(own.get("tenancy")).map(upper)),
        ("DurableConfig", given(own.get("durableConfig")).map(upper)),
    ]);
    let mut resource = at.map([
        ("Type", Some(at.text("AWS::Lambda::Function"))),
        ("Properties", Some(properties)),
        ("Condition", given(own.get("condition")).cloned()),
    ]);
    resource.span = own.span;
    service.template.merge(Entry { key: id.clone(), key_span: entry.key_span, value: resource });
    if own.get("disableLogs").and_then(Tree::as_bool) != Some(true) {
        log_group(service, entry, &id);
    }
    version(service, entry, &id);
}

fn log_group(service: &mut Service, entry: &Entry, id: &str) {
    let at = At(entry.key_span);
    let name = service.template.resource(id).and_then(|it| it.at(&["Properties", "FunctionName"]));
    let name = name.map(|name| super::service::concat(at, &[&at.text("/aws/lambda/"), name]));
    let retention = service.setting(&entry.value, "logRetentionInDays").cloned();
    let properties = at.map([("LogGroupName", name), ("RetentionInDays", retention)]);
    let group = format!("{}LogGroup", normal(&entry.key));
    service.template.add_for(id, at, &group, "AWS::Logs::LogGroup", properties);
}

fn tracing(service: &Service, own: &Tree) -> Option<Tree> {
    let provider = service.provider.at(&["tracing", "lambda"]);
    let tracing = given(own.get("tracing")).or_else(|| given(provider))?;
    let at = At(tracing.span);
    let mode = match &tracing.value {
        Value::Bool(false) => return None,
        Value::Bool(true) => at.text("Active"),
        _ => tracing.clone(),
    };
    Some(at.map([("Mode", Some(mode))]))
}

/// The provider's variables, then the function's own.
fn environment(service: &Service, own: &Tree) -> Option<Tree> {
    let mut all = given(service.provider.get("environment")).cloned();
    if let Some(own) = given(own.get("environment")) {
        match &mut all {
            Some(all) if matches!(own.value, Value::Map(_)) => {
                // A variable that the function sets takes the place of the provider's whole.
                if let Value::Map(entries) = &mut all.value {
                    entries.retain(|entry| own.get(&entry.key).is_none());
                    entries.extend(own.entries().iter().cloned());
                }
            }
            _ => all = Some(own.clone()),
        }
    }
    all
}

fn network(service: &Service, own: &Tree) -> Option<Tree> {
    let own = own.get("vpc");
    if own.is_some_and(|vpc| vpc.as_bool() == Some(false)) {
        return None;
    }
    let provider = service.provider.get("vpc");
    let part = |key: &str| {
        given(own.and_then(|vpc| vpc.get(key))).or_else(|| given(provider.and_then(|vpc| vpc.get(key))))
    };
    let at = At(given(own).or(given(provider))?.span);
    let (groups, subnets) = (part("securityGroupIds")?.clone(), part("subnetIds")?.clone());
    Some(at.map([("SecurityGroupIds", Some(groups)), ("SubnetIds", Some(subnets))]))
}

fn logging(service: &Service, own: &Tree) -> Option<Tree> {
    let logs = given(own.get("logs")).or_else(|| given(service.provider.at(&["logs", "lambda"])))?;
    let at = At(logs.span);
    Some(at.map([
        ("LogFormat", logs.get("logFormat").cloned()),
        ("ApplicationLogLevel", logs.get("applicationLogLevel").cloned()),
        ("SystemLogLevel", logs.get("systemLogLevel").cloned()),
        ("LogGroup", logs.get("logGroup").cloned()),
    ]))
}

/// Keys with a capital, as CloudFormation has them.
pub(super) fn upper(tree: &Tree) -> Tree {
    let value = match &tree.value {
        Value::Map(entries) => Value::Map(
            entries
                .iter()
                .map(|entry| {
                    let key = super::naming::capital(&entry.key);
                    Entry { key, key_span: entry.key_span, value: entry.value.clone() }
                })
                .collect(),
        ),
        other => other.clone(),
    };
    Tree { value, span: tree.span }
}

/// Which alias triggers invoke: of provisioned concurrency, or of snapshots.
fn alias(service: &mut Service, entry: &Entry) {
    let own = &entry.value;
    let snap_start = given(own.get("snapStart")).is_some_and(|is| is.as_bool() != Some(false));
    let alias = if given(own.get("provisionedConcurrency")).is_some() {
        "provisioned"
    } else if snap_start {
        "snapstart"
    } else {
        return;
    };
    service.aliases.insert(entry.key.clone(), alias.into());
}

/// The version, whose logical id ends in a hash of the code that no file has, and the alias.
fn version(service: &mut Service, entry: &Entry, id: &str) {
    let (own, at) = (&entry.value, At(entry.key_span));
    let alias = service.aliases.get(&entry.key).cloned();
    let own_versions = given(own.get("versionFunction")).and_then(Tree::as_bool);
    let versions = own_versions.or(service.provider.get("versionFunctions").and_then(Tree::as_bool));
    if versions == Some(false) && alias.is_none() {
        return;
    }
    let version = format!("{}LambdaVersion", normal(&entry.key));
    let properties = at.map([("FunctionName", Some(at.reference(id)))]);
    service.template.add_for(id, at, &version, "AWS::Lambda::Version", properties);
    let Some(alias) = alias else { return };
    let count = given(own.get("provisionedConcurrency"));
    let provisioned =
        count.map(|count| At(count.span).map([("ProvisionedConcurrentExecutions", Some(count.clone()))]));
    let properties = at.map([
        ("FunctionName", Some(at.reference(id))),
        ("FunctionVersion", Some(at.attribute(&version, "Version"))),
        ("Name", Some(at.text(&alias))),
        ("ProvisionedConcurrencyConfig", provisioned),
    ]);
    let kind = if alias == "provisioned" { "ProvConc" } else { "SnapStart" };
    let alias_id = format!("{}{kind}LambdaAlias", normal(&entry.key));
    service.template.add_for(id, at, &alias_id, "AWS::Lambda::Alias", properties);
}

fn asynchronous(service: &mut Service, entry: &Entry) {
    let own = &entry.value;
    let destinations = given(own.get("destinations"));
    let age = given(own.get("maximumEventAge"));
    let retries = given(own.get("maximumRetryAttempts"));
    let Some(first) = destinations.or(age).or(retries) else { return };
    let at = At(first.span);
    let destination = |key: &str| {
        let to = given(destinations.and_then(|all| all.get(key)))?;
        let arn = to.get("arn").unwrap_or(to);
        let at = At(arn.span);
        Some(at.map([("Destination", Some(service.named(at, arn)))]))
    };
    let config = at.map([("OnSuccess", destination("onSuccess")), ("OnFailure", destination("onFailure"))]);
    let qualifier = service.aliases.get(&entry.key).map_or("$LATEST", String::as_str);
    let id = lambda(&entry.key);
    let properties = at.map([
        ("FunctionName", Some(at.reference(&id))),
        ("DestinationConfig", Some(config)),
        ("Qualifier", Some(at.text(qualifier))),
        ("MaximumEventAgeInSeconds", age.cloned()),
        ("MaximumRetryAttempts", retries.cloned()),
    ]);
    let config_id = format!("{}LambdaEvConf", normal(&entry.key));
    service.template.add_for(&id, at, &config_id, "AWS::Lambda::EventInvokeConfig", properties);
}

fn url(service: &mut Service, entry: &Entry) {
    let Some(url) = given(entry.value.get("url")).filter(|url| url.as_bool() != Some(false)) else { return };
    let at = At(url.span);
    let iam = url.get("authorizer").and_then(Tree::as_str) == Some("aws_iam");
    let properties = at.map([
        ("AuthType", Some(at.text(if iam { "AWS_IAM" } else { "NONE" }))),
        ("TargetFunctionArn", Some(service.target(at, &entry.key))),
        ("InvokeMode", given(url.get("invokeMode")).cloned()),
    ]);
    let id = lambda(&entry.key);
    let url_id = format!("{}LambdaFunctionUrl", normal(&entry.key));
    service.template.add_for(&id, at, &url_id, "AWS::Lambda::Url", properties);
}

/// The function's own role; `None`: the one that functions share.
fn role(service: &mut Service, entry: &Entry) -> Option<Tree> {
    let own = &entry.value;
    if let Some(statements) = given(own.get("iamRoleStatements")) {
        return Some(own_role(service, entry, statements.clone()));
    }
    let provider = service.provider.at(&["iam", "role"]).filter(|role| {
        // As a map it says what the shared role may do, unless it is an intrinsic function.
        role.as_str().is_some() || role.entries().first().is_some_and(|entry| is_intrinsic(&entry.key))
    });
    let provider = provider.or_else(|| given(service.provider.get("role")));
    let role = given(own.get("role")).or(given(provider))?;
    Some(match role.as_str() {
        Some(text) if !text.starts_with("arn:") => At(role.span).attribute(text, "Arn"),
        _ => role.clone(),
    })
}

fn is_intrinsic(key: &str) -> bool {
    key == "Ref" || key.starts_with("Fn::")
}

/// As `serverless-iam-roles-per-function` makes it.
fn own_role(service: &mut Service, entry: &Entry, statements: Tree) -> Tree {
    let at = At(entry.key_span);
    let inherit_default = service.root.at(&["custom", "serverless-iam-roles-per-function", "defaultInherit"]);
    let inherits = given(entry.value.get("iamRoleStatementsInherit")).or(given(inherit_default));
    let mut all = statements.items().to_vec();
    if inherits.and_then(Tree::as_bool) == Some(true) {
        all.extend(shared_statements(service));
    }
    let id = format!("{}{SHARED_ROLE}", normal(&entry.key));
    add_role(service, at, &id, all, None);
    at.attribute(&id, "Arn")
}

fn shared_role(service: &mut Service) {
    let role = service.provider.at(&["iam", "role"]);
    let statements = shared_statements(service);
    let managed = given(role.and_then(|role| role.get("managedPolicies")))
        .or_else(|| given(service.provider.get("iamManagedPolicies")))
        .cloned();
    let span = role.or(service.provider.get("iamRoleStatements")).map_or(service.provider.span, |it| it.span);
    add_role(service, At(span), SHARED_ROLE, statements, managed);
}

/// What the shared role may do, beyond writing logs.
fn shared_statements(service: &Service) -> Vec<Tree> {
    let new = service.provider.at(&["iam", "role", "statements"]);
    let old = service.provider.get("iamRoleStatements");
    [new, old].into_iter().filter_map(given).flat_map(Tree::items).cloned().collect()
}

fn add_role(service: &mut Service, at: At, id: &str, statements: Vec<Tree>, managed: Option<Tree>) {
    let principal = at.map([("Service", Some(at.list(vec![at.text("lambda.amazonaws.com")])))]);
    let assume = at.map([
        ("Effect", Some(at.text("Allow"))),
        ("Principal", Some(principal)),
        ("Action", Some(at.list(vec![at.text("sts:AssumeRole")]))),
    ]);
    let document = |statements: Vec<Tree>| at.map([("Statement", Some(at.list(statements)))]);
    let policy =
        at.map([("PolicyName", Some(at.text("lambda"))), ("PolicyDocument", Some(document(statements)))]);
    let properties = at.map([
        ("AssumeRolePolicyDocument", Some(document(vec![assume]))),
        ("Policies", Some(at.list(vec![policy]))),
        ("ManagedPolicyArns", managed),
    ]);
    service.template.add(at, id, "AWS::IAM::Role", properties);
}
