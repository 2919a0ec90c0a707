//! `AWS::Serverless::GraphQLApi`: AppSync.

use super::{
    Lowering, Origin,
    made::{At, Fields, given},
    role::{Grants, role_for},
};
use crate::{
    document::{Entry, Tree},
    import::Resource,
};

/// What only SAM knows of the API itself.
const OF_SAM: [&str; 11] = [
    "Auth",
    "SchemaInline",
    "SchemaUri",
    "Logging",
    "DataSources",
    "Functions",
    "Resolvers",
    "ApiKeys",
    "DomainName",
    "Cache",
    "Tags",
];

/// Lowers a GraphQL API.
pub(super) fn lower(sam: &mut Lowering<'_>, resource: Resource) {
    let origin = Origin::of(&resource);
    let at = origin.at;
    let mut resource = resource;
    let properties = std::mem::replace(&mut resource.properties, at.map([]));
    let auth = given(&properties, "Auth");
    let mut fields = Fields::new(at).rest(&properties, &OF_SAM);
    if let Some(auth) = auth {
        fields = authentication(fields, auth);
        let more = given(auth, "Additional").map(Tree::items).unwrap_or_default();
        let more = more.iter().map(|auth| authentication(Fields::new(At(auth.span)), auth).done());
        let more: Vec<Tree> = more.collect();
        if !more.is_empty() {
            fields = fields.put("AdditionalAuthenticationProviders", at.list(more));
        }
    }
    sam.keep(resource, "AWS::AppSync::GraphQLApi", fields.done());
    let schema = Fields::new(at)
        .put("ApiId", api(&origin, at))
        .take(&properties, "SchemaInline", "Definition")
        .take(&properties, "SchemaUri", "DefinitionS3Location");
    sam.make(&origin, at, &format!("{}Schema", origin.id), "AWS::AppSync::GraphQLSchema", schema.done());
    authorizers(sam, &origin, auth);
    logging(sam, &origin, given(&properties, "Logging"));
    for entry in given(&properties, "ApiKeys").map(Tree::entries).unwrap_or_default() {
        part(sam, &origin, entry, "AWS::AppSync::ApiKey");
    }
    if let Some(cache) = given(&properties, "Cache") {
        let id = format!("{}ApiCache", origin.id);
        sam.make(&origin, At(cache.span), &id, "AWS::AppSync::ApiCache", cache.clone());
    }
    sources(sam, &origin, &properties);
    if let Some(domain) = given(&properties, "DomainName") {
        let at = At(domain.span);
        let id = format!("{}DomainName", origin.id);
        let joined = at.map([("ApiId", api(&origin, at)), ("DomainName", at.attribute(&id, "DomainName"))]);
        sam.make(&origin, at, &id, "AWS::AppSync::DomainName", domain.clone());
        sam.make(
            &origin,
            at,
            &format!("{id}ApiAssociation"),
            "AWS::AppSync::DomainNameApiAssociation",
            joined,
        );
    }
    code(sam, &origin, &properties);
}

/// One way to say who may call.
fn authentication(fields: Fields, auth: &Tree) -> Fields {
    fields
        .take(auth, "Type", "AuthenticationType")
        .take(auth, "LambdaAuthorizer", "LambdaAuthorizerConfig")
        .take(auth, "OpenIDConnect", "OpenIDConnectConfig")
        .take(auth, "UserPool", "UserPoolConfig")
}

fn api(origin: &Origin, at: At) -> Tree {
    at.attribute(&origin.id, "ApiId")
}

/// A part of the API, under the API's id and its own.
fn part(sam: &mut Lowering<'_>, origin: &Origin, entry: &Entry, resource_type: &str) {
    let at = At(entry.key_span);
    let fields = Fields::new(at).put("ApiId", api(origin, at)).rest(&entry.value, &[]);
    sam.make(origin, at, &format!("{}{}", origin.id, entry.key), resource_type, fields.done());
}

/// Lets the API invoke functions that decide who may call.
fn authorizers(sam: &mut Lowering<'_>, origin: &Origin, auth: Option<&Tree>) {
    let Some(auth) = auth else { return };
    let more = given(auth, "Additional").map(Tree::items).unwrap_or_default();
    let functions = std::iter::once(auth).chain(more).filter_map(|auth| {
        let function = auth.at(&["LambdaAuthorizer", "AuthorizerUri"])?;
        Some((At(auth.span), function))
    });
    for (number, (at, function)) in functions.enumerate() {
        let properties = at.map([
            ("Action", at.text("lambda:InvokeFunction")),
            ("FunctionName", function.clone()),
            ("Principal", at.text("appsync.amazonaws.com")),
        ]);
        let id = format!("{}ToLambdaAuthConnector{}WriteLambdaPermission", origin.id, number + 1);
        sam.make(origin, at, &id, "AWS::Lambda::Permission", properties);
    }
}

/// The role by which the API logs: made, unless logging is off or has its own.
fn logging(sam: &mut Lowering<'_>, origin: &Origin, logging: Option<&Tree>) {
    let off = logging.is_some_and(|logging| logging.as_bool() == Some(false));
    if off || logging.is_some_and(|logging| given(logging, "CloudWatchLogsRoleArn").is_some()) {
        return;
    }
    let mut grants = Grants::default();
    grants.managed(origin.at, "service-role/AWSAppSyncPushToCloudWatchLogs");
    let id = format!("{}CloudWatchRole", origin.id);
    role_for(sam, origin, origin.at, (&id, "appsync.amazonaws.com"), grants);
}

fn sources(sam: &mut Lowering<'_>, origin: &Origin, properties: &Tree) {
    let of = |kind: &str| properties.at(&["DataSources", kind]).map(Tree::entries).unwrap_or_default();
    for entry in of("DynamoDb") {
        let at = At(entry.key_span);
        let (table, mut config) = (given(&entry.value, "TableArn"), Fields::new(at));
        for key in ["TableName", "UseCallerCredentials", "Versioned"] {
            config = config.take(&entry.value, key, key);
        }
        let arn = table.cloned().or_else(|| {
            let name = given(&entry.value, "TableName")?.clone();
            let pattern = "arn:{P}:dynamodb:{R}:{A}:table/{T}";
            Some(at.filled(pattern, &|key| (key == "T").then(|| name.clone())))
        });
        source(
            sam,
            origin,
            entry,
            ("DynamoDB", "AMAZON_DYNAMODB", "Table"),
            ("DynamoDBConfig", config.done()),
            arn,
        );
    }
    for entry in of("Lambda") {
        let config = Fields::new(At(entry.key_span)).take(&entry.value, "FunctionArn", "LambdaFunctionArn");
        let arn = given(&entry.value, "FunctionArn").cloned();
        source(sam, origin, entry, ("Lambda", "AWS_LAMBDA", "Lambda"), ("LambdaConfig", config.done()), arn);
    }
}

/// A data source, with a role that may use it unless it brings one.
fn source(
    sam: &mut Lowering<'_>,
    origin: &Origin,
    entry: &Entry,
    (part, kind, to): (&str, &str, &str),
    config: (&str, Tree),
    arn: Option<Tree>,
) {
    let at = At(entry.key_span);
    let id = format!("{}{}{part}DataSource", origin.id, entry.key);
    let role = format!("{id}Role");
    let own = given(&entry.value, "ServiceRoleArn").cloned();
    let is_made = own.is_none();
    let name = given(&entry.value, "Name").cloned().unwrap_or_else(|| at.text(entry.key.as_str()));
    let fields = Fields::new(at)
        .put("ApiId", api(origin, at))
        .put("Name", name)
        .put("Type", at.text(kind))
        .put(config.0, config.1)
        .put("ServiceRoleArn", own.unwrap_or_else(|| at.attribute(&role, "Arn")));
    sam.make(origin, at, &id, "AWS::AppSync::DataSource", fields.done());
    if !is_made {
        return;
    }
    role_for(sam, origin, at, (&role, "appsync.amazonaws.com"), Grants::default());
    let Some(arn) = arn else { return };
    let permissions = given(&entry.value, "Permissions").map(|all| all.one_or_many().to_vec());
    let permissions = permissions.unwrap_or_else(|| match kind {
        "AWS_LAMBDA" => vec![at.text("Write")],
        _ => vec![at.text("Read"), at.text("Write")],
    });
    let target = match kind {
        "AWS_LAMBDA" => "AWS::Lambda::Function",
        _ => "AWS::DynamoDB::Table",
    };
    let from = at.map([
        ("Type", at.text("AWS::AppSync::DataSource")),
        ("Arn", at.attribute(&id, "DataSourceArn")),
        ("RoleName", at.reference(&role)),
    ]);
    let properties = at.map([
        ("Source", from),
        ("Destination", at.map([("Type", at.text(target)), ("Arn", arn)])),
        ("Permissions", at.list(permissions)),
    ]);
    sam.make(origin, at, &format!("{id}To{to}Connector"), "AWS::Serverless::Connector", properties);
}

/// Functions and resolvers of the API's own language.
fn code(sam: &mut Lowering<'_>, origin: &Origin, properties: &Tree) {
    let mut without_source = false;
    for entry in given(properties, "Functions").map(Tree::entries).unwrap_or_default() {
        if given(&entry.value, "Id").is_some() {
            continue;
        }
        let source = given(&entry.value, "DataSource").and_then(Tree::as_str).unwrap_or_default();
        without_source |= source.eq_ignore_ascii_case("none");
        part(sam, origin, entry, "AWS::AppSync::FunctionConfiguration");
    }
    for of_type in given(properties, "Resolvers").map(Tree::entries).unwrap_or_default() {
        for entry in of_type.value.entries() {
            let entry = Entry { key: format!("{}{}", of_type.key, entry.key), ..entry.clone() };
            part(sam, origin, &entry, "AWS::AppSync::Resolver");
        }
    }
    if without_source {
        let at = origin.at;
        let id = format!("{}NoneDataSource", origin.id);
        let none = at.map([("ApiId", api(origin, at)), ("Type", at.text("NONE"))]);
        sam.make(origin, at, &id, "AWS::AppSync::DataSource", none);
    }
}
