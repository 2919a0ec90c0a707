//! `AWS::Serverless::StateMachine`.

use super::{
    Lowering, Origin,
    function::{Event, Target},
    made::{At, Fields, given},
    role::Grants,
    routes, rules,
};
use crate::{
    document::{Tree, Value},
    import::Resource,
};

/// What has another name in the plain resource, or none.
const OF_SAM: [&str; 15] = [
    "DefinitionUri",
    "Logging",
    "Role",
    "RolePath",
    "Events",
    "Name",
    "Type",
    "PropagateTags",
    "Policies",
    "Tracing",
    "PermissionsBoundary",
    "AutoPublishAlias",
    "DeploymentPreference",
    "UseAliasAsEventTarget",
    "Tags",
];

/// Lowers a machine with all that belongs to it.
pub(super) fn lower(sam: &mut Lowering<'_>, resource: Resource) {
    let origin = Origin::of(&resource);
    let at = origin.at;
    let mut resource = resource;
    let properties = std::mem::replace(&mut resource.properties, at.map([]));
    let id = format!("{}Role", origin.id);
    let own = given(&properties, "Role").cloned();
    let is_made = own.is_none();
    let role = own.unwrap_or_else(|| at.attribute(&id, "Arn"));
    sam.keep(resource, "AWS::StepFunctions::StateMachine", plain(at, &properties, role));
    if is_made {
        let mut grants = Grants::default();
        grants.policies(sam, given(&properties, "Policies"));
        let enabled = given(&properties, "Tracing").and_then(|tracing| tracing.get("Enabled"));
        if enabled.and_then(Tree::as_bool) == Some(true) {
            grants.managed(at, "AWSXrayWriteOnlyAccess");
        }
        let properties = grants.role(at, "states.amazonaws.com").done();
        sam.make(&origin, at, &id, "AWS::IAM::Role", properties);
    }
    let alias = publish(sam, &origin, &properties);
    let to_alias = given(&properties, "UseAliasAsEventTarget").and_then(Tree::as_bool) == Some(true);
    let target = Target { origin, alias: alias.filter(|_| to_alias), machine: true };
    events(sam, &target, &properties);
}

fn plain(at: At, properties: &Tree, role: Tree) -> Tree {
    let mut fields = Fields::new(at)
        .rest(properties, &OF_SAM)
        .put("RoleArn", role)
        .take(properties, "Name", "StateMachineName")
        .take(properties, "Type", "StateMachineType")
        .take(properties, "Logging", "LoggingConfiguration")
        .take(properties, "Tracing", "TracingConfiguration");
    // Where packaging has put it; a local file is in `Definition` already.
    if let Some(uri) = given(properties, "DefinitionUri") {
        let location = match uri.value {
            Value::Map(_) => uri.clone(),
            _ => At(uri.span).map([("Key", uri.clone())]),
        };
        fields = fields.put("DefinitionS3Location", location);
    }
    fields.done()
}

/// `AutoPublishAlias`: a version and an alias; the alias's id.
fn publish(sam: &mut Lowering<'_>, origin: &Origin, properties: &Tree) -> Option<String> {
    let name = given(properties, "AutoPublishAlias")?;
    let at = At(name.span);
    let version = format!("{}Version", origin.id);
    let of = at.map([("StateMachineArn", at.reference(&origin.id))]);
    sam.make(origin, at, &version, "AWS::StepFunctions::StateMachineVersion", of);
    let alias = format!("{}Alias{}", origin.id, name.as_str().unwrap_or_default());
    let shift = given(properties, "DeploymentPreference").cloned().unwrap_or_else(|| at.map([]));
    let shift = Fields::new(At(shift.span))
        .rest(&shift, &["StateMachineVersionArn"])
        .put("StateMachineVersionArn", at.reference(&version));
    let fields = Fields::new(at).put("Name", name.clone()).put("DeploymentPreference", shift.done());
    sam.make(origin, at, &alias, "AWS::StepFunctions::StateMachineAlias", fields.done());
    Some(alias)
}

fn events(sam: &mut Lowering<'_>, target: &Target, properties: &Tree) {
    let empty = target.origin.at.map([]);
    for event in &Event::all(sam, &target.origin.id, given(properties, "Events"), &empty) {
        match event.kind {
            "Schedule" => rules::schedule(sam, target, event),
            "ScheduleV2" => rules::scheduler(sam, target, event),
            "CloudWatchEvent" | "EventBridgeRule" => rules::rule(sam, target, event),
            "Api" => routes::rest(sam, target, event),
            kind => {
                let message = format!("SAM knows no event of type `{kind}` for a state machine");
                sam.wrong(event.at.0, &message);
            }
        }
    }
}
