//! `AWS::Serverless::Connector`, and connectors written into their source.
//!
//! What a connector makes are grants, which do not say that anybody uses them; that its author connects the two
//! is kept as `Flyball::Connector`: `Source` and `Destination` as references, `Permissions`, and the types of both.

use std::collections::BTreeMap;

use super::{
    Lowering, Origin,
    made::{At, Fields, fingerprint, given},
    role::statement,
};
use crate::{
    document::{Entry, Tree, Value},
    import::Resource,
};

/// Targets of a rule that are looked at for its role; AWS allows five.
const TARGETS_MAX: usize = 32;

const TEXT: &str = include_str!("connectors.txt");

/// What is known of one kind of connector.
struct Profile {
    makes: &'static str,
    /// The role or policy is the source's.
    of_source: bool,
    /// Permission, actions, resources.
    grants: Vec<(&'static str, Vec<&'static str>, Vec<&'static str>)>,
}

/// One of the two resources.
struct End {
    resource_type: String,
    arn: Option<Tree>,
    /// The name of its role.
    role: Option<Tree>,
    url: Option<Tree>,
    name: Option<Tree>,
}

fn profiles() -> BTreeMap<(&'static str, &'static str), Profile> {
    let mut profiles = BTreeMap::new();
    let mut current = ("", "");
    for line in TEXT.lines().filter(|line| !line.starts_with('#')) {
        let mut words = line.trim_start().split(' ');
        let first = words.next().unwrap_or_default();
        if line.starts_with(' ') {
            let actions = words.by_ref().take_while(|word| *word != "on").collect();
            if let Some(Profile { grants, .. }) = profiles.get_mut(&current) {
                grants.push((first, actions, words.collect()));
            }
        } else {
            current = (first, words.next().unwrap_or_default());
            let makes = words.next().unwrap_or_default();
            let of_source = words.next() == Some("source");
            profiles.insert(current, Profile { makes, of_source, grants: Vec::new() });
        }
    }
    profiles
}

/// A connector written into its source becomes one of its own.
pub(super) fn embedded(sam: &mut Lowering<'_>, origin: &Origin, entry: &Entry) {
    let at = At(entry.key_span);
    let own = given(&entry.value, "Properties").cloned().unwrap_or_else(|| at.map([]));
    let reference = given(&own, "SourceReference").cloned().unwrap_or_else(|| at.map([]));
    let source = Fields::new(at).put("Id", at.text(origin.id.as_str())).rest(&reference, &[]).done();
    let properties = Fields::new(at).put("Source", source).rest(&own, &["SourceReference"]).done();
    let id = format!("{}{}", origin.id, entry.key);
    sam.make(origin, at, &id, "AWS::Serverless::Connector", properties);
}

/// Lowers all connectors.
pub(super) fn lower(sam: &mut Lowering<'_>) {
    if !sam.done.iter().any(|resource| resource.resource_type == "AWS::Serverless::Connector") {
        return;
    }
    let profiles = profiles();
    let resources = std::mem::take(&mut sam.done);
    let places: BTreeMap<String, usize> =
        resources.iter().enumerate().map(|(index, resource)| (resource.id.clone(), index)).collect();
    let mut made = BTreeMap::new();
    for (index, resource) in resources.iter().enumerate() {
        if resource.resource_type == "AWS::Serverless::Connector" {
            let find = |id: &str| places.get(id).and_then(|index| resources.get(*index));
            one(sam, resource, &find, &profiles);
            made.insert(index, std::mem::take(&mut sam.done));
        }
    }
    for (index, resource) in resources.into_iter().enumerate() {
        match made.remove(&index) {
            Some(instead) => sam.done.extend(instead),
            None => sam.done.push(resource),
        }
    }
}

type Find<'r> = dyn Fn(&str) -> Option<&'r Resource> + 'r;

fn one(
    sam: &mut Lowering<'_>,
    connector: &Resource,
    find: &Find<'_>,
    profiles: &BTreeMap<(&'static str, &'static str), Profile>,
) {
    let properties = &connector.properties;
    let (Some(from), Some(to)) = (given(properties, "Source"), given(properties, "Destination")) else {
        sam.wrong(connector.span, "a connector needs `Source` and `Destination`");
        return;
    };
    let wanted = given(properties, "Permissions").map(Tree::one_or_many).unwrap_or_default();
    let permissions: Vec<&str> = ["Read", "Write"]
        .into_iter()
        .filter(|name| wanted.iter().any(|permission| permission.as_str() == Some(*name)))
        .collect();
    // One that is written into its source is made for that.
    let made_for = connector.made_for.as_ref().unwrap_or(&connector.id).clone();
    let origin = Origin { id: made_for, ..Origin::of(connector) };
    let many = matches!(to.value, Value::List(_));
    for (number, to) in to.one_or_many().iter().enumerate() {
        let suffix = if many { format!("Destination{number}") } else { String::new() };
        let (Some(source), Some(destination)) = (end(from, to, find), end(to, from, find)) else {
            sam.wrong(
                to.span,
                "an end of a connector must be a resource of this template, or say its `Type`",
            );
            continue;
        };
        let kind = (source.resource_type.as_str(), destination.resource_type.as_str());
        let Some(profile) = profiles.get(&kind) else {
            sam.wrong(to.span, &format!("SAM has no connector from {} to {}", kind.0, kind.1));
            continue;
        };
        let ends = (&source, &destination);
        marker(sam, connector, &suffix, &permissions, ends);
        grant(sam, &origin, (&connector.id, &suffix), profile, &permissions, ends);
    }
}

/// What the author declares.
fn marker(
    sam: &mut Lowering<'_>,
    connector: &Resource,
    suffix: &str,
    permissions: &[&str],
    (source, destination): (&End, &End),
) {
    let at = At(connector.span);
    let fields = Fields::new(at)
        .put_some("Source", source.arn.clone())
        .put_some("Destination", destination.arn.clone())
        .put("SourceType", at.text(source.resource_type.as_str()))
        .put("DestinationType", at.text(destination.resource_type.as_str()))
        .put("Permissions", at.texts(permissions));
    let origin = Origin::of(connector);
    sam.make(&origin, at, &format!("{}{suffix}", connector.id), "Flyball::Connector", fields.done());
    if let Some(made) = sam.done.last_mut() {
        made.made_for.clone_from(&connector.made_for);
    }
}

fn grant(
    sam: &mut Lowering<'_>,
    origin: &Origin,
    (id, suffix): (&str, &str),
    profile: &Profile,
    permissions: &[&str],
    (source, destination): (&End, &End),
) {
    let at = origin.at;
    let owner = if profile.of_source { source } else { destination };
    let value = |name: &str| match name {
        "S" => source.arn.clone(),
        "D" => destination.arn.clone(),
        "N" => destination.name.clone(),
        _ => None,
    };
    let grants = profile.grants.iter().filter(|(permission, ..)| permissions.contains(permission));
    if profile.makes == "permission" {
        for (permission, actions, principal) in grants {
            let fields = Fields::new(at)
                .put("Action", at.text(actions.concat()))
                .put_some("FunctionName", owner.arn.clone())
                .put("Principal", at.text(principal.concat()))
                .put_some("SourceArn", source.arn.clone());
            let id = format!("{id}{permission}LambdaPermission{suffix}");
            sam.make(origin, at, &id, "AWS::Lambda::Permission", fields.done());
        }
        return;
    }
    let statements = grants.map(|(_, actions, resources)| {
        let resources = resources.iter().map(|pattern| at.filled(pattern, &value)).collect();
        let mut allow = statement(at, actions, resources);
        if profile.makes != "role"
            && let Value::Map(entries) = &mut allow.value
        {
            entries.push(at.entry("Principal", at.map([("Service", at.text(service(source)))])));
            let source = source.arn.clone().unwrap_or_else(|| at.text("*"));
            entries.push(at.entry("Condition", at.map([("ArnEquals", at.map([("aws:SourceArn", source)]))])));
        }
        allow
    });
    let document = at.map([("Statement", at.list(statements.collect()))]);
    let (resource_type, name, key, of) = match profile.makes {
        "role" => ("AWS::IAM::ManagedPolicy", "Policy", "Roles", &owner.role),
        "queue" => ("AWS::SQS::QueuePolicy", "QueuePolicy", "Queues", &owner.url),
        _ => ("AWS::SNS::TopicPolicy", "TopicPolicy", "Topics", &owner.arn),
    };
    let Some(of) = of else {
        sam.wrong(at.0, "the role or queue that this connector would change is not in the template");
        return;
    };
    let properties = at.map([("PolicyDocument", document), (key, at.list(vec![of.clone()]))]);
    sam.make(origin, at, &format!("{id}{name}{suffix}"), resource_type, properties);
}

fn service(end: &End) -> &'static str {
    if end.resource_type == "AWS::SNS::Topic" { "sns.amazonaws.com" } else { "events.amazonaws.com" }
}

/// An end by its id, or by its type with what else it says.
fn end(this: &Tree, other: &Tree, find: &Find<'_>) -> Option<End> {
    let Some(id) = given(this, "Id") else {
        let resource_type = match given(this, "Type")?.as_str()? {
            "AWS::Serverless::Function" => "AWS::Lambda::Function",
            "AWS::Serverless::StateMachine" => "AWS::StepFunctions::StateMachine",
            "AWS::Serverless::Api" => "AWS::ApiGateway::RestApi",
            "AWS::Serverless::HttpApi" => "AWS::ApiGatewayV2::Api",
            "AWS::Serverless::SimpleTable" => "AWS::DynamoDB::Table",
            other => other,
        };
        let own = |key: &str| given(this, key).cloned();
        return Some(End {
            resource_type: resource_type.to_string(),
            arn: own("Arn"),
            role: own("RoleName"),
            url: own("QueueUrl"),
            name: own("Name"),
        });
    };
    let at = At(this.span);
    let id = id.as_str()?;
    let resource = find(id)?;
    let resource_type = resource.resource_type.as_str();
    let by_name = [
        "AWS::SNS::Topic",
        "AWS::StepFunctions::StateMachine",
        "AWS::AppSync::GraphQLApi",
        "AWS::AppSync::DataSource",
    ];
    let arn = match by_name.contains(&resource_type) {
        true => at.reference(id),
        false => at.attribute(id, "Arn"),
    };
    Some(End {
        resource_type: resource_type.to_string(),
        arn: Some(arn),
        role: role_of(resource, other, at),
        url: Some(at.reference(id)),
        name: Some(at.attribute(id, "Name")),
    })
}

/// The name of a resource's role, where that role is in the template.
fn role_of(resource: &Resource, other: &Tree, at: At) -> Option<Tree> {
    let properties = &resource.properties;
    let role = match resource.resource_type.as_str() {
        "AWS::Lambda::Function" => given(properties, "Role"),
        "AWS::StepFunctions::StateMachine" => given(properties, "RoleArn"),
        "AWS::AppSync::DataSource" => given(properties, "ServiceRoleArn"),
        "AWS::Events::Rule" => {
            let id = given(other, "Id").and_then(Tree::as_str);
            let arn = given(other, "Arn").map(fingerprint);
            let targets = given(properties, "Targets").map(Tree::items).unwrap_or_default();
            let is_other = |target: &&Tree| {
                let Some(to) = target.get("Arn") else { return false };
                let named = to.reference().map(|to| to.resource.as_str());
                named.is_some() && named == id || arn.is_some() && Some(fingerprint(to)) == arn
            };
            targets.iter().take(TARGETS_MAX).find(is_other).and_then(|target| given(target, "RoleArn"))
        }
        _ => None,
    };
    role.and_then(Tree::reference).map(|reference| at.reference(&reference.resource))
}
