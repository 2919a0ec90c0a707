//! `AWS::Serverless::Function`.

use super::{
    Lowering, Origin, alias, deployment,
    made::{At, Fields, given},
    polled, pushed,
    role::Grants,
    routes, rules,
};
use crate::{
    document::{Entry, Tree, Value},
    import::Resource,
};

/// What only SAM knows; the rest goes through as it stands, newer properties too.
const OF_SAM: [&str; 22] = [
    "CodeUri",
    "ImageUri",
    "InlineCode",
    "DeadLetterQueue",
    "Role",
    "AssumeRolePolicyDocument",
    "Policies",
    "RolePath",
    "PermissionsBoundary",
    "Events",
    "PropagateTags",
    "Tracing",
    "DeploymentPreference",
    "EventInvokeConfig",
    "AutoPublishAlias",
    "AutoPublishCodeSha256",
    "AutoPublishAliasAllProperties",
    "VersionDescription",
    "VersionDeletionPolicy",
    "ProvisionedConcurrencyConfig",
    "FunctionUrlConfig",
    "CapacityProviderConfig",
];

/// What events start: a function, its alias, or a machine.
pub(super) struct Target {
    pub origin: Origin,
    /// The alias's id, where events go to that.
    pub alias: Option<String>,
    /// It is a state machine, whose `Ref` is its ARN.
    pub machine: bool,
}

impl Target {
    pub fn arn(&self, at: At) -> Tree {
        match &self.alias {
            Some(alias) => at.reference(alias),
            None if self.machine => at.reference(&self.origin.id),
            None => at.attribute(&self.origin.id, "Arn"),
        }
    }

    pub fn name(&self, at: At) -> Tree {
        at.reference(self.alias.as_ref().unwrap_or(&self.origin.id))
    }
}

/// An event of a function or machine.
pub(super) struct Event<'t> {
    /// The id of what is made of it.
    pub id: String,
    pub at: At,
    pub kind: &'t str,
    pub properties: &'t Tree,
}

impl<'t> Event<'t> {
    /// The events of a function or machine, in the order of the file. `None` where one has no type.
    pub fn all(
        sam: &mut Lowering<'_>,
        id: &str,
        events: Option<&'t Tree>,
        empty: &'t Tree,
    ) -> Vec<Event<'t>> {
        let mut all = Vec::new();
        for entry in events.map(Tree::entries).unwrap_or_default() {
            let Some(kind) = entry.value.get("Type").and_then(Tree::as_str) else {
                sam.wrong(entry.key_span, &format!("the event `{}` has no `Type`", entry.key));
                continue;
            };
            all.push(Event {
                id: format!("{id}{}", entry.key),
                at: At(entry.key_span),
                kind,
                properties: given(&entry.value, "Properties").unwrap_or(empty),
            });
        }
        all
    }

    /// A property that must be there.
    pub fn needed(&self, sam: &mut Lowering<'_>, key: &str) -> Option<&'t Tree> {
        let value = given(self.properties, key);
        if value.is_none() {
            sam.wrong(self.at.0, &format!("an event of type `{}` needs `{key}`", self.kind));
        }
        value
    }
}

/// Lowers a function with all that belongs to it.
pub(super) fn lower(sam: &mut Lowering<'_>, resource: Resource) {
    let origin = Origin::of(&resource);
    let at = origin.at;
    let mut resource = resource;
    let properties = std::mem::replace(&mut resource.properties, at.map([]));
    let mut grants = Grants::default();
    grant_by_settings(&mut grants, &properties);
    grants.policies(sam, given(&properties, "Policies"));

    // The function comes first, and what is made for it behind it.
    let index = sam.done.len();
    sam.keep(resource, "AWS::Lambda::Function", at.map([]));
    let alias = alias::publish(sam, &origin, &properties);
    let target = Target { origin, alias, machine: false };
    alias::url(sam, &target, &properties);
    alias::invoke_config(sam, &target, &properties, &mut grants);
    deployment::note(sam, &target.origin, &properties);
    events(sam, &target, &properties, &mut grants);

    let made = role_of(sam, &target.origin, &properties, grants);
    if let Some(function) = sam.done.get_mut(index) {
        function.properties = plain(at, &properties, made);
    }
}

/// What comes of settings other than `Policies`.
fn grant_by_settings(grants: &mut Grants, properties: &Tree) {
    let at = At(properties.span);
    let basic = match given(properties, "DurableConfig") {
        Some(_) => "service-role/AWSLambdaBasicDurableExecutionRolePolicy",
        None => "service-role/AWSLambdaBasicExecutionRole",
    };
    grants.managed(at, basic);
    if traced(properties).is_some() {
        grants.managed(at, "AWSXrayWriteOnlyAccess");
    }
    if given(properties, "VpcConfig").is_some() {
        grants.managed(at, "service-role/AWSLambdaVPCAccessExecutionRole");
    }
    if let Some(letters) = given(properties, "DeadLetterQueue")
        && let Some(target) = given(letters, "TargetArn")
    {
        let action = match letters.get("Type").and_then(Tree::as_str) {
            Some("SNS") => "sns:Publish",
            _ => "sqs:SendMessage",
        };
        grants.allow(At(letters.span), action, target.clone());
    }
}

/// `Tracing`, unless it is off.
fn traced(properties: &Tree) -> Option<&Tree> {
    given(properties, "Tracing").filter(|tracing| tracing.as_str() != Some("Disabled"))
}

/// The function's role: its own, or one that is made. `Some`: what `Role` is then.
fn role_of(sam: &mut Lowering<'_>, origin: &Origin, properties: &Tree, grants: Grants) -> Option<Tree> {
    let at = origin.at;
    let id = format!("{}Role", origin.id);
    let own = given(properties, "Role");
    let made = at.attribute(&id, "Arn");
    let role = match own.map(|tree| (&tree.value, tree)) {
        None => made,
        // By a condition, its own or none.
        Some((Value::Unknown(unknown), tree))
            if unknown.one_of.iter().any(|one| one.value == Value::Null) =>
        {
            let mut unknown = unknown.clone();
            let nothing = unknown.one_of.iter_mut().filter(|one| one.value == Value::Null);
            nothing.for_each(|one| *one = made.clone());
            Tree { value: Value::Unknown(unknown), span: tree.span }
        }
        Some((_, tree)) => return Some(tree.clone()),
    };
    let document = grants.role(at, "lambda.amazonaws.com");
    let document = document.take(properties, "PermissionsBoundary", "PermissionsBoundary");
    sam.make(origin, at, &id, "AWS::IAM::Role", document.done());
    Some(role)
}

/// The plain function's properties.
fn plain(at: At, properties: &Tree, role: Option<Tree>) -> Tree {
    let mut fields = Fields::new(at).rest(properties, &OF_SAM).put_some("Role", role);
    for (key, code) in [("InlineCode", "ZipFile"), ("CodeUri", "S3Key"), ("ImageUri", "ImageUri")] {
        if let Some(value) = given(properties, key) {
            let code = match value.value {
                Value::Map(_) => value.clone(),
                _ => At(value.span).map([(code, value.clone())]),
            };
            fields = fields.put("Code", code);
            break;
        }
    }
    if let Some(tracing) = traced(properties) {
        fields = fields.put("TracingConfig", At(tracing.span).map([("Mode", tracing.clone())]));
    }
    if let Some(letters) = given(properties, "DeadLetterQueue") {
        let config = Fields::new(At(letters.span)).take(letters, "TargetArn", "TargetArn").done();
        fields = fields.put("DeadLetterConfig", config);
    }
    if let Some(provider) = given(properties, "CapacityProviderConfig") {
        let at = At(provider.span);
        let managed = Fields::new(at).take(provider, "Arn", "CapacityProviderArn").rest(provider, &["Arn"]);
        let config = at.map([("LambdaManagedInstancesCapacityProviderConfig", managed.done())]);
        fields = fields.put("CapacityProviderConfig", config);
    }
    fields.done()
}

fn events(sam: &mut Lowering<'_>, target: &Target, properties: &Tree, grants: &mut Grants) {
    let empty = target.origin.at.map([]);
    let mut events = Event::all(sam, &target.origin.id, given(properties, "Events"), &empty);
    // As AWS does: by path, so that `$default` of an HTTP API comes before its other routes.
    events.sort_by_cached_key(|event| match event.properties.get("Path").and_then(Tree::as_str) {
        Some(path) => path.to_string(),
        None if event.kind == "HttpApi" => "$default".to_string(),
        None => event.id.strip_prefix(target.origin.id.as_str()).unwrap_or_default().to_string(),
    });
    for event in &events {
        match event.kind {
            "SQS" | "Kinesis" | "DynamoDB" | "MSK" | "MQ" | "SelfManagedKafka" | "DocumentDB" => {
                polled::mapping(sam, target, event, grants);
            }
            "S3" => pushed::bucket(sam, target, event),
            "SNS" => pushed::topic(sam, target, event, grants),
            "CloudWatchLogs" => pushed::logs(sam, target, event),
            "IoTRule" => pushed::iot(sam, target, event),
            "AlexaSkill" => pushed::alexa(sam, target, event),
            "Cognito" => pushed::cognito(sam, target, event),
            "Schedule" => rules::schedule(sam, target, event),
            "ScheduleV2" => rules::scheduler(sam, target, event),
            "CloudWatchEvent" | "EventBridgeRule" => rules::rule(sam, target, event),
            "Api" => routes::rest(sam, target, event),
            "HttpApi" => routes::http(sam, target, event),
            kind => sam.wrong(event.at.0, &format!("SAM knows no event of type `{kind}`")),
        }
    }
}

/// An entry of a map, which is needed with its place.
pub(super) fn entry<'t>(tree: &'t Tree, key: &str) -> Option<&'t Entry> {
    tree.entries().iter().find(|entry| entry.key == key)
}
