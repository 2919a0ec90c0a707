//! What belongs to a function besides its events: its version and alias, its URL, what follows an asynchronous run.

use super::{
    Lowering, Origin,
    function::Target,
    made::{At, Fields, given},
    role::Grants,
};
use crate::document::{Tree, Value};

/// `AutoPublishAlias`: a version and an alias; the alias's id.
pub(super) fn publish(sam: &mut Lowering<'_>, origin: &Origin, properties: &Tree) -> Option<String> {
    let name = given(properties, "AutoPublishAlias")?;
    let at = At(name.span);
    let id = &origin.id;
    let version = format!("{id}Version");
    let fields = Fields::new(at).put("FunctionName", at.reference(id));
    let fields = fields.take(properties, "VersionDescription", "Description");
    sam.make(origin, at, &version, "AWS::Lambda::Version", fields.done());
    sam.name(id, "Version", &version);

    let text = name.as_str().unwrap_or_default();
    let alias = format!("{id}Alias{}", text.replace('-', "D").replace('_', "U"));
    let fields = Fields::new(at)
        .put("Name", name.clone())
        .put("FunctionName", at.reference(id))
        .put("FunctionVersion", at.attribute(&version, "Version"))
        .take(properties, "ProvisionedConcurrencyConfig", "ProvisionedConcurrencyConfig");
    sam.make(origin, at, &alias, "AWS::Lambda::Alias", fields.done());
    sam.name(id, "Alias", &alias);
    Some(alias)
}

/// `FunctionUrlConfig`.
pub(super) fn url(sam: &mut Lowering<'_>, target: &Target, properties: &Tree) {
    let Some(config) = given(properties, "FunctionUrlConfig") else { return };
    let at = At(config.span);
    let id = &target.origin.id;
    let fields = Fields::new(at).put("TargetFunctionArn", target.name(at)).rest(config, &[]);
    sam.make(&target.origin, at, &format!("{id}Url"), "AWS::Lambda::Url", fields.done());
    if config.get("AuthType").and_then(Tree::as_str) != Some("NONE") {
        return;
    }
    for (name, action) in [
        ("UrlPublicPermissions", "lambda:InvokeFunctionUrl"),
        ("URLInvokeAllowPublicAccess", "lambda:InvokeFunction"),
    ] {
        let properties = at.map([
            ("Action", at.text(action)),
            ("FunctionName", target.name(at)),
            ("Principal", at.text("*")),
        ]);
        sam.make(&target.origin, at, &format!("{id}{name}"), "AWS::Lambda::Permission", properties);
    }
}

/// `EventInvokeConfig`: retries, age and destinations of asynchronous runs.
pub(super) fn invoke_config(sam: &mut Lowering<'_>, target: &Target, properties: &Tree, grants: &mut Grants) {
    let Some(config) = given(properties, "EventInvokeConfig") else { return };
    let at = At(config.span);
    let id = format!("{}EventInvokeConfig", target.origin.id);
    let mut destinations = Fields::new(at);
    for outcome in ["OnSuccess", "OnFailure"] {
        let Some(wanted) = config.at(&["DestinationConfig", outcome]) else { continue };
        if let Some(arn) = destination(sam, target, wanted, &format!("{id}{outcome}"), grants) {
            let at = At(wanted.span);
            destinations = destinations.put(outcome, at.map([("Destination", arn)]));
        }
    }
    let qualifier = match given(properties, "AutoPublishAlias") {
        Some(alias) => alias.clone(),
        None => at.text("$LATEST"),
    };
    let fields = Fields::new(at)
        .put("FunctionName", at.reference(&target.origin.id))
        .put("Qualifier", qualifier)
        .put("DestinationConfig", destinations.done())
        .rest(config, &["DestinationConfig"]);
    sam.make(&target.origin, at, &id, "AWS::Lambda::EventInvokeConfig", fields.done());
}

/// Where an outcome goes: a resource of the template, or a queue or topic that is made.
fn destination(
    sam: &mut Lowering<'_>,
    target: &Target,
    wanted: &Tree,
    id: &str,
    grants: &mut Grants,
) -> Option<Tree> {
    let at = At(wanted.span);
    let kind = given(wanted, "Type").and_then(Tree::as_str);
    let (made, resource_type, property) = match kind {
        Some("SNS") => (format!("{id}Topic"), "AWS::SNS::Topic", "DestinationTopic"),
        _ => (format!("{id}Queue"), "AWS::SQS::Queue", "DestinationQueue"),
    };
    let arn = match kind {
        Some("SNS") => at.reference(&made),
        _ => at.attribute(&made, "Arn"),
    };
    let own = given(wanted, "Destination");
    let absent = |tree: &Tree| tree.value == Value::Null;
    let (arn, is_made) = match own.map(|tree| (&tree.value, tree)) {
        None if matches!(kind, Some("SQS" | "SNS")) => (arn, true),
        None => {
            sam.wrong(wanted.span, "a destination of this `Type` needs `Destination`");
            return None;
        }
        Some((Value::Unknown(unknown), tree)) if unknown.one_of.iter().any(absent) => {
            let mut unknown = unknown.clone();
            unknown.one_of.iter_mut().filter(|one| absent(one)).for_each(|one| *one = arn.clone());
            (Tree { value: Value::Unknown(unknown), span: tree.span }, true)
        }
        Some((_, tree)) => (tree.clone(), false),
    };
    if is_made {
        sam.make(&target.origin, at, &made, resource_type, at.map([]));
        sam.name(&target.origin.id, property, &made);
    }
    let action = match kind {
        Some("SQS") => "sqs:SendMessage",
        Some("SNS") => "sns:Publish",
        Some("EventBridge") => "events:PutEvents",
        Some("Lambda") => "lambda:InvokeFunction",
        Some("S3Bucket") => "s3:PutObject",
        _ => return Some(arn),
    };
    grants.allow(at, action, arn.clone());
    Some(arn)
}
