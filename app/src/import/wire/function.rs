//! Lambda: functions with what completes them (aliases, versions, settings of asynchronous invocations, log groups).

use super::{
    Reached, Row, Wire,
    index::At,
    lead::{Lead, To},
    pattern::{Hole, Pattern},
    read, trigger,
};
use crate::{
    design::{Destination, Function, Kind, Mode, Network, NodeId, Provisioned, Setting, Via},
    document::{Tree, Value},
};

/// What this module reads.
pub(super) const ROWS: &[Row] = &[
    Row::of("AWS::Lambda::Function").node(function).edges(dead_letters),
    Row::of("AWS::Lambda::Alias").edges(alias).stands_for(alias_of),
    Row::of("AWS::Lambda::Version").edges(version).stands_for(version_of),
    Row::of("AWS::Lambda::EventInvokeConfig").edges(invoke_config),
    Row::of("AWS::Logs::LogGroup").edges(log_group),
    Row::of("Custom::LogRetention").edges(log_retention),
    Row::of("AWS::ApplicationAutoScaling::ScalableTarget").edges(scaled),
];

fn function(wire: &mut Wire<'_>, at: At) {
    let properties = &wire.resource(at).properties;
    let get = |keys: &[&str]| read::at(properties, keys);
    let variables = properties.at(&["Environment", "Variables"]).map(Tree::entries).unwrap_or_default();
    let function = Function {
        timeout_s: read::integer(get(&["Timeout"]).as_deref()),
        memory_mb: read::integer(get(&["MemorySize"]).as_deref()),
        storage_mb: read::integer(get(&["EphemeralStorage", "Size"]).as_deref()),
        reserved: read::integer(get(&["ReservedConcurrentExecutions"]).as_deref()),
        provisioned: Vec::new(),
        runtime: read::text(get(&["Runtime"]).as_deref()),
        architecture: read::setting(get(&["Architectures"]).as_deref(), only_text, "architecture"),
        async_retries_max: Setting::Default,
        async_age_max_s: Setting::Default,
        dead_letters: read::there(get(&["DeadLetterConfig", "TargetArn"]).as_deref()),
        network: network(properties.get("VpcConfig")),
        environment: variables.iter().map(|entry| (entry.key.clone(), entry.value.clone())).collect(),
        per_tenant: says(get(&["TenancyConfig", "TenantIsolationMode"]).as_deref(), "PER_TENANT"),
        durable: properties.get("DurableConfig").is_some(),
        own_instances: properties.get("CapacityProviderConfig").is_some(),
        snap_start: says(get(&["SnapStart", "ApplyOn"]).as_deref(), "PublishedVersions"),
        traced: read::is(get(&["TracingConfig", "Mode"]).as_deref(), "Active"),
        log_level: read::text(get(&["LoggingConfig", "ApplicationLogLevel"]).as_deref()),
        log_retention: Setting::Default,
        layers: properties.get("Layers").map(Tree::one_or_many).unwrap_or_default().len(),
        url: false,
        recursion_allowed: says(get(&["RecursiveLoop"]).as_deref(), "Allow"),
        aliases: Vec::new(),
        wide_grants: Vec::new(),
    };
    wire.add(at, Kind::Function(Box::new(function)));
}

fn says(tree: Option<&Tree>, word: &str) -> bool {
    tree.and_then(Tree::as_str) == Some(word)
}

/// The one text of a list of one.
fn only_text(tree: &Tree) -> Option<String> {
    match tree.one_or_many() {
        [one] => one.as_str().map(str::to_string),
        _ => None,
    }
}

/// A network whose routes others know. Empty lists: the function is taken out of its network.
fn network(config: Option<&Tree>) -> Option<Network> {
    let config = config.filter(|tree| tree.value != Value::Null)?;
    let subnets = config.get("SubnetIds");
    let none = subnets.is_some_and(|tree| matches!(&tree.value, Value::List(items) if items.is_empty()));
    (!none).then(|| Network { span: Some(config.span), ..Network::default() })
}

fn dead_letters(wire: &mut Wire<'_>, at: At) {
    let Some(node) = wire.node(at, None) else { return };
    let properties = &wire.resource(at).properties;
    if let Some(target) = read::at(properties, &["DeadLetterConfig", "TargetArn"]) {
        let via = Via::DeadLetters { attempts_max: Setting::Default };
        wire.wired_to(at, node, &target, "", &(Mode::Async, via));
    }
    if let Some(group) = read::at(properties, &["LoggingConfig", "LogGroup"]) {
        let retention = wire.leads(at.stack(), &group, "logs").iter().find_map(|lead| {
            let group = lead.resource().map(|at| wire.resource(at))?;
            group.properties.get("RetentionInDays")
        });
        let retention = read::integer(retention);
        change(wire, node, |function| function.log_retention = retention);
    }
}

/// The functions that a resource's `FunctionName`, or the like, leads to.
fn functions(wire: &mut Wire<'_>, at: At, value: Option<&Tree>) -> Vec<Reached> {
    let Some(value) = value else { return Vec::new() };
    let reached = wire.reach(at, value, "lambda");
    reached.into_iter().filter(|to| matches!(wire.design.node(to.node).kind, Kind::Function(_))).collect()
}

/// Changes a function's settings.
pub(super) fn change(wire: &mut Wire<'_>, node: NodeId, change: impl FnOnce(&mut Function)) {
    if let Kind::Function(function) = &mut wire.design.node_mut(node).kind {
        change(function);
    }
}

fn alias_name(wire: &Wire<'_>, at: At) -> String {
    let name = wire.property(at, "Name").and_then(Tree::as_str);
    name.unwrap_or(&wire.resource(at).id).to_string()
}

fn alias_of(wire: &Wire<'_>, at: At, depth: usize) -> Vec<Lead> {
    qualified(wire, at, depth, alias_name(wire, at))
}

fn version_of(wire: &Wire<'_>, at: At, depth: usize) -> Vec<Lead> {
    qualified(wire, at, depth, wire.resource(at).id.clone())
}

fn qualified(wire: &Wire<'_>, at: At, depth: usize, qualifier: String) -> Vec<Lead> {
    let Some(name) = wire.property(at, "FunctionName") else {
        return vec![Lead::to(To::Nothing("it names no function".into()))];
    };
    let mut leads = wire.leads_from(at.stack(), name, "lambda", depth);
    leads.iter_mut().for_each(|lead| lead.qualifier = Some(qualifier.clone()));
    leads
}

fn alias(wire: &mut Wire<'_>, at: At) {
    let name = alias_name(wire, at);
    let count = provisioned(wire, at);
    // Environments of the version are those of the alias that leads to it.
    let version = wire.property(at, "FunctionVersion").and_then(Tree::reference);
    let version = version.and_then(|reference| wire.referenced(at.stack(), reference));
    let of_version = version.and_then(|version| provisioned(wire, version));
    wire.aliased.extend(version);
    let version = version.map(|version| wire.resource(version).id.as_str());
    for to in functions(wire, at, wire.property(at, "FunctionName")) {
        change(wire, to.node, |function| {
            function.provisioned.retain(|of| Some(of.qualifier.as_str()) != version);
            function.aliases.push(name.clone());
            for (count, span) in [&count, &of_version].into_iter().flatten() {
                let (qualifier, count, span) = (name.clone(), count.clone(), *span);
                function.provisioned.push(Provisioned { qualifier, count, span });
            }
        });
    }
}

fn provisioned(wire: &Wire<'_>, at: At) -> Option<(Setting<i64>, crate::document::Span)> {
    let config = wire.property(at, "ProvisionedConcurrencyConfig")?;
    let count = config.get("ProvisionedConcurrentExecutions").or(Some(config));
    let config = count.filter(|tree| tree.value != Value::Null)?;
    Some((read::integer(Some(config)), config.span))
}

fn version(wire: &mut Wire<'_>, at: At) {
    let Some((count, span)) = provisioned(wire, at).filter(|_| !wire.aliased.contains(&at)) else { return };
    let qualifier = wire.resource(at).id.clone();
    for to in functions(wire, at, wire.property(at, "FunctionName")) {
        let (qualifier, count) = (qualifier.clone(), count.clone());
        change(wire, to.node, |function| {
            function.provisioned.push(Provisioned { qualifier, count, span });
        });
    }
}

fn invoke_config(wire: &mut Wire<'_>, at: At) {
    let properties = &wire.resource(at).properties;
    let retries = read::integer(properties.get("MaximumRetryAttempts"));
    let age = read::integer(properties.get("MaximumEventAgeInSeconds"));
    let success = read::at(properties, &["DestinationConfig", "OnSuccess", "Destination"]);
    let failure = read::at(properties, &["DestinationConfig", "OnFailure", "Destination"]);
    for to in functions(wire, at, properties.get("FunctionName")) {
        let (retries, age, dead) = (retries.clone(), age.clone(), read::there(failure.as_deref()));
        change(wire, to.node, |function| {
            if function.async_retries_max.is_default() {
                function.async_retries_max = retries;
            }
            if function.async_age_max_s.is_default() {
                function.async_age_max_s = age;
            }
            if function.dead_letters.stated() != Some(&true) && !dead.is_default() {
                function.dead_letters = dead;
            }
        });
        for (target, of) in [(&success, Destination::Success), (&failure, Destination::Failure)] {
            if let Some(target) = target {
                wire.wired_to(at, to.node, target, "", &(Mode::Async, Via::Destination(of)));
            }
        }
    }
}

/// Provisioned concurrency that follows the load: so many are kept at least.
fn scaled(wire: &mut Wire<'_>, at: At) {
    let Some(id) = wire.property(at, "ResourceId").and_then(Pattern::of) else { return };
    let Some(function) = id.text.strip_prefix("function:") else { return };
    let least = wire.property(at, "MinCapacity");
    let (count, span) = (read::integer(least), least.map_or(wire.resource(at).span, |tree| tree.span));
    for to in wire.reach_pattern(at, span, &id.with(function), "lambda") {
        let Some(qualifier) = to.qualifier else { continue };
        let count = count.clone();
        change(wire, to.node, |function| {
            if !function.provisioned.iter().any(|of| of.qualifier == qualifier) {
                function.provisioned.push(Provisioned { qualifier, count, span });
            }
        });
    }
}

/// CDK's way to set a log group's retention.
fn log_retention(wire: &mut Wire<'_>, at: At) {
    trigger::custom_resource(wire, at);
    log_group(wire, at);
}

/// The group `/aws/lambda/NAME` is that function's.
fn log_group(wire: &mut Wire<'_>, at: At) {
    let Some(name) = wire.property(at, "LogGroupName").and_then(Pattern::of) else { return };
    let Some(function) = name.text.strip_prefix("/aws/lambda/") else { return };
    let function = match name.only_hole(function) {
        Some(Hole::Reference(reference)) => wire.referenced(at.stack(), reference),
        Some(Hole::Unknown(_)) => None,
        None => {
            let name = name.name_of(function, at.stack());
            let found = name.map(|name| wire.index.by_name(at.stack(), "lambda", &name));
            found.and_then(|found| found.first().copied())
        }
    };
    let retention = read::integer(wire.property(at, "RetentionInDays"));
    if let Some(node) = function.and_then(|at| wire.node(at, None)) {
        change(wire, node, |function| function.log_retention = retention);
    }
}
