//! Resources that become one or two: tables, layers, nested applications, capacity providers.

use super::{
    Lowering, Origin,
    made::{At, Fields, given},
    role::Grants,
};
use crate::{document::Value, import::Resource};

/// `SimpleTable`.
pub(super) fn table(sam: &mut Lowering<'_>, resource: Resource) {
    let at = At(resource.span);
    let properties = &resource.properties;
    let mut fields = Fields::new(at).rest(properties, &["PrimaryKey"]);
    if given(properties, "ProvisionedThroughput").is_none() {
        fields = fields.put("BillingMode", at.text("PAY_PER_REQUEST"));
    }
    let key = given(properties, "PrimaryKey").and_then(|key| given(key, "Name"));
    let key = key.cloned().unwrap_or_else(|| at.text("id"));
    let schema = at.map([("AttributeName", key), ("KeyType", at.text("HASH"))]);
    let properties = fields.put("KeySchema", at.list(vec![schema])).done();
    sam.keep(resource, "AWS::DynamoDB::Table", properties);
}

/// `LayerVersion`. AWS puts a hash behind its id; here it keeps the one by which the template calls it.
pub(super) fn layer(sam: &mut Lowering<'_>, resource: Resource) {
    let at = At(resource.span);
    let of_sam = ["ContentUri", "RetentionPolicy", "PublishLambdaVersion"];
    let fields = Fields::new(at).rest(&resource.properties, &of_sam);
    let properties = fields.take(&resource.properties, "ContentUri", "Content").done();
    sam.keep(resource, "AWS::Lambda::LayerVersion", properties);
}

/// `Application`.
pub(super) fn application(sam: &mut Lowering<'_>, resource: Resource) {
    let properties = &resource.properties;
    let mut fields = Fields::new(At(resource.span)).rest(properties, &["Location", "TemplateUrl"]);
    if let Some(location) = given(properties, "Location") {
        let key = if matches!(location.value, Value::Map(_)) { "Location" } else { "TemplateURL" };
        fields = fields.take(properties, "Location", key);
    }
    let properties = fields.done();
    sam.keep(resource, "AWS::CloudFormation::Stack", properties);
}

/// `CapacityProvider`.
pub(super) fn capacity_provider(sam: &mut Lowering<'_>, resource: Resource) {
    let origin = Origin::of(&resource);
    let at = origin.at;
    let properties = &resource.properties;
    let id = format!("{}OperatorRole", origin.id);
    let own = given(properties, "OperatorRole").cloned();
    let is_made = own.is_none();
    let role = own.unwrap_or_else(|| at.attribute(&id, "Arn"));
    let of_sam = ["OperatorRole", "InstanceRequirements", "ScalingConfig", "PropagateTags"];
    let properties = Fields::new(at)
        .rest(properties, &of_sam)
        .put("PermissionsConfig", at.map([("CapacityProviderOperatorRoleArn", role)]))
        .take(properties, "InstanceRequirements", "InstanceRequirements")
        .take(properties, "ScalingConfig", "CapacityProviderScalingConfig")
        .done();
    sam.keep(resource, "AWS::Lambda::CapacityProvider", properties);
    if is_made {
        let mut grants = Grants::default();
        grants.managed(at, "AWSLambdaManagedEC2ResourceOperator");
        let properties = grants.role(at, "lambda.amazonaws.com").done();
        sam.make(&origin, at, &id, "AWS::IAM::Role", properties);
    }
}
