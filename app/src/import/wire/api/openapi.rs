//! Routes that stand in an OpenAPI document.

use super::{
    super::{Wire, index::At},
    integration::{self, Route},
};
use crate::{
    design::{Mode, NodeId, Via},
    document::{Tree, Value},
};

const INTEGRATION: &str = "x-amazon-apigateway-integration";
const AUTHORIZER: &str = "x-amazon-apigateway-authorizer";

/// Draws the edges of a document's routes and authorizers.
pub(super) fn routes(wire: &mut Wire<'_>, at: At, api: NodeId, body: &Tree) {
    let Some(paths) = body.get("paths") else {
        if let Value::Unknown(unknown) = &body.value {
            wire.unresolved(at, body.span, format!("its routes are not known: {}", unknown.why));
        } else if body.get("Fn::Transform").is_some() {
            wire.unresolved(at, body.span, "its routes are not known: a macro makes them".into());
        }
        return;
    };
    for path in paths.entries() {
        for method in path.value.entries() {
            let Some(written) = method.value.get(INTEGRATION) else { continue };
            let written = by_pointer(body, written);
            let verb = match method.key.as_str() {
                "x-amazon-apigateway-any-method" => "ANY".to_string(),
                verb => verb.to_ascii_uppercase(),
            };
            let default = path.key == "/$default" || path.key == "$default";
            let route = Route {
                method: if default { "$default".into() } else { verb },
                path: if default { String::new() } else { path.key.clone() },
                kind: text(written, "type"),
                uri: get(written, "uri"),
                subtype: get(written, "integrationSubtype").and_then(Tree::as_str),
                timeout: get(written, "timeoutInMillis"),
                parameters: get(written, "requestParameters"),
                templates: get(written, "requestTemplates"),
                private: text(written, "connectionType") == "VPC_LINK",
                of: Some(at),
                span: method.key_span,
            };
            integration::connect(wire, at, api, &route);
        }
    }
    authorizers(wire, at, api, body);
}

/// A key, whatever its case: these documents are written by hand.
fn get<'t>(tree: &'t Tree, key: &str) -> Option<&'t Tree> {
    tree.entries().iter().find(|entry| entry.key.eq_ignore_ascii_case(key)).map(|entry| &entry.value)
}

fn text<'t>(tree: &'t Tree, key: &str) -> &'t str {
    get(tree, key).and_then(Tree::as_str).unwrap_or_default()
}

/// What `$ref: '#/components/…'` points to, or the value itself.
fn by_pointer<'t>(body: &'t Tree, written: &'t Tree) -> &'t Tree {
    let Some(pointer) = written.get("$ref").and_then(Tree::as_str) else { return written };
    let Some(keys) = pointer.strip_prefix("#/") else { return written };
    keys.split('/').try_fold(body, |tree, key| tree.get(key)).unwrap_or(written)
}

fn authorizers(wire: &mut Wire<'_>, at: At, api: NodeId, body: &Tree) {
    let schemes = body.get("securityDefinitions").or_else(|| body.at(&["components", "securitySchemes"]));
    for scheme in schemes.map(Tree::entries).unwrap_or_default() {
        let Some(authorizer) = scheme.value.get(AUTHORIZER) else { continue };
        let Some(uri) = get(authorizer, "authorizerUri") else { continue };
        if uri.value != Value::Null {
            wire.wired_to(at, api, uri, "lambda", &(Mode::Sync, Via::Authorizer));
        }
    }
}
