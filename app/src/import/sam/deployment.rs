//! `DeploymentPreference`: CodeDeploy shifts an alias's traffic.

use super::{
    Lowering, Origin,
    made::{At, Fields, given},
    role::Grants,
};
use crate::document::Tree;

/// A function whose traffic is shifted.
pub(super) struct Preference {
    origin: Origin,
    at: At,
    role: Option<Tree>,
}

/// Notes a function's preference, unless it is off.
pub(super) fn note(sam: &mut Lowering<'_>, origin: &Origin, properties: &Tree) {
    let Some(preference) = given(properties, "DeploymentPreference") else { return };
    let enabled = given(preference, "Enabled").and_then(Tree::as_bool).unwrap_or(true);
    if enabled && given(properties, "AutoPublishAlias").is_some() {
        let role = given(preference, "Role").cloned();
        sam.deployments.push(Preference { origin: origin.clone(), at: At(preference.span), role });
    }
}

/// The application, its role and the groups of all functions.
pub(super) fn application(sam: &mut Lowering<'_>) {
    let preferences = std::mem::take(&mut sam.deployments);
    let Some(first) = preferences.first() else { return };
    let (application, role) = ("ServerlessDeploymentApplication", "CodeDeployServiceRole");
    let same = preferences.iter().all(|other| other.origin.conditional == first.origin.conditional);
    let conditional = first.origin.conditional.clone().filter(|_| same);
    let origin = Origin { conditional, ..first.origin.clone() };
    let at = first.at;
    let platform = at.map([("ComputePlatform", at.text("Lambda"))]);
    sam.make(&origin, at, application, "AWS::CodeDeploy::Application", platform);
    if preferences.iter().any(|preference| preference.role.is_none()) {
        let mut grants = Grants::default();
        grants.managed(at, "service-role/AWSCodeDeployRoleForLambda");
        let properties = grants.role(at, "codedeploy.amazonaws.com").done();
        sam.make(&origin, at, role, "AWS::IAM::Role", properties);
    }
    for preference in preferences {
        let at = preference.at;
        let own = preference.role.unwrap_or_else(|| at.attribute(role, "Arn"));
        let fields =
            Fields::new(at).put("ApplicationName", at.reference(application)).put("ServiceRoleArn", own);
        let id = format!("{}DeploymentGroup", preference.origin.id);
        sam.make(&preference.origin, at, &id, "AWS::CodeDeploy::DeploymentGroup", fields.done());
    }
}
