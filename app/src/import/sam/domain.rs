//! Custom domains of APIs, with their mappings and DNS records. Several APIs share what has the same name.

use super::{
    Lowering, Origin,
    made::{At, Fields, fingerprint, given},
};
use crate::document::{Tree, Value};

/// The domain of a REST API.
pub(super) fn rest(sam: &mut Lowering<'_>, origin: &Origin, domain: &Tree, stage: &str) {
    let private = domain.get("EndpointConfiguration").and_then(Tree::as_str) == Some("PRIVATE");
    let (domain_type, mapping_type, property, prefix) = match private {
        true => {
            let (domain, mapping) = ("AWS::ApiGateway::DomainNameV2", "AWS::ApiGateway::BasePathMappingV2");
            (domain, mapping, "DomainNameV2", "ApiGatewayDomainNameV2")
        }
        false => {
            let (domain, mapping) = ("AWS::ApiGateway::DomainName", "AWS::ApiGateway::BasePathMapping");
            (domain, mapping, "DomainName", "ApiGatewayDomainName")
        }
    };
    let Some(id) = name(sam, origin, domain, (prefix, domain_type)) else { return };
    sam.name(&origin.id, property, &id);
    mappings(sam, origin, domain, stage, (&id, mapping_type));
    if let Some(access) = given(domain, "AccessAssociation").filter(|_| private) {
        let at = At(access.span);
        let fields = Fields::new(at).put("DomainNameArn", at.reference(&id)).rest(access, &[]);
        let id = format!("{}DomainNameAccessAssociation", origin.id);
        sam.make(origin, at, &id, "AWS::ApiGateway::DomainNameAccessAssociation", fields.done());
    }
    records(sam, origin, domain);
}

/// The domain of an HTTP or WebSocket API.
pub(super) fn http(sam: &mut Lowering<'_>, origin: &Origin, domain: &Tree, stage: &str) {
    let made = ("ApiGatewayDomainNameV2", "AWS::ApiGatewayV2::DomainName");
    let Some(id) = name(sam, origin, domain, made) else { return };
    sam.name(&origin.id, "DomainName", &id);
    mappings(sam, origin, domain, stage, (&id, "AWS::ApiGatewayV2::ApiMapping"));
    records(sam, origin, domain);
}

/// The domain itself, once for each name; its id.
fn name(sam: &mut Lowering<'_>, origin: &Origin, domain: &Tree, made: (&str, &str)) -> Option<String> {
    let Some(name) = given(domain, "DomainName") else {
        sam.wrong(domain.span, "a `Domain` needs `DomainName`");
        return None;
    };
    let key = format!("{} {}", made.1, fingerprint(name));
    if let Some(index) = sam.shared.get(&key) {
        return sam.done.get(*index).map(|resource| resource.id.clone());
    }
    sam.shared.insert(key, sam.done.len());
    let id = format!("{}{}", made.0, origin.id);
    let fields = Fields::new(At(domain.span)).rest(domain, &["BasePath", "NormalizeBasePath", "Route53"]);
    sam.make(origin, At(domain.span), &id, made.1, fields.done());
    Some(id)
}

/// Paths of the domain that lead to the API.
fn mappings(sam: &mut Lowering<'_>, origin: &Origin, domain: &Tree, stage: &str, made: (&str, &str)) {
    let at = At(domain.span);
    let kind = made.1.rsplit(':').next().unwrap_or_default().trim_end_matches("V2");
    let of = || Fields::new(at).put("DomainName", at.reference(made.0)).put("Stage", at.reference(stage));
    let api = if kind == "ApiMapping" { "ApiId" } else { "RestApiId" };
    let paths =
        given(domain, "BasePath").filter(|paths| matches!(paths.value, Value::Text(_) | Value::List(_)));
    let Some(paths) = paths else {
        let fields = of().put(api, at.reference(&origin.id)).done();
        sam.make(origin, at, &format!("{}{kind}", origin.id), made.1, fields);
        return;
    };
    for path in paths.one_or_many() {
        let plain: String =
            path.as_str().unwrap_or_default().chars().filter(char::is_ascii_alphanumeric).collect();
        let fields = of().put(api, at.reference(&origin.id)).put("BasePath", path.clone()).done();
        sam.make(origin, At(path.span), &format!("{}{plain}{kind}", origin.id), made.1, fields);
    }
}

/// DNS records: one set for each hosted zone, or one of its own.
fn records(sam: &mut Lowering<'_>, origin: &Origin, domain: &Tree) {
    let Some(route53) = given(domain, "Route53") else { return };
    let zone = given(route53, "HostedZoneId").or_else(|| given(route53, "HostedZoneName"));
    let Some(zone) = zone else {
        sam.wrong(route53.span, "`Route53` needs `HostedZoneId` or `HostedZoneName`");
        return;
    };
    let alone = given(route53, "SeparateRecordSetGroup").and_then(Tree::as_bool) == Some(true);
    let key = match alone {
        true => format!(
            "records {} {}",
            fingerprint(zone),
            domain.get("DomainName").map_or_else(String::new, fingerprint)
        ),
        false => format!("records {}", fingerprint(zone)),
    };
    if sam.shared.insert(key, sam.done.len()).is_none() {
        let at = At(route53.span);
        let fields = Fields::new(at).take(route53, "HostedZoneId", "HostedZoneId").take(
            route53,
            "HostedZoneName",
            "HostedZoneName",
        );
        sam.make(
            origin,
            at,
            &format!("RecordSetGroup{}", origin.id),
            "AWS::Route53::RecordSetGroup",
            fields.done(),
        );
    }
}
