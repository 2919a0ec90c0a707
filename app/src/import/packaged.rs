//! Files that packaging puts in the place of their paths: state machines' definitions, APIs' descriptions.

use super::reading::Reading;
use crate::document::{Entry, FileId, Tree, Value};

/// By type of resource: the property that is a path, and the one that the file's content becomes.
const PROPERTIES: [(&str, &str, &str); 7] = [
    ("AWS::ApiGateway::RestApi", "BodyS3Location", "Body"),
    ("AWS::ApiGatewayV2::Api", "BodyS3Location", "Body"),
    ("AWS::Serverless::Api", "DefinitionUri", "DefinitionBody"),
    ("AWS::Serverless::HttpApi", "DefinitionUri", "DefinitionBody"),
    ("AWS::Serverless::StateMachine", "DefinitionUri", "Definition"),
    ("AWS::Serverless::WebSocketApi", "DefinitionUri", "DefinitionBody"),
    ("AWS::StepFunctions::StateMachine", "DefinitionS3Location", "Definition"),
];

/// Properties with local files in the place of their paths. A file that is not here is an unknown value.
pub(super) fn inlined(
    resource_type: &str,
    mut properties: Tree,
    file: FileId,
    reading: &mut Reading<'_>,
) -> Tree {
    let Some((_, from, to)) = PROPERTIES.iter().find(|(of, _, _)| *of == resource_type) else {
        return properties;
    };
    let Some(location) = properties.get(from) else { return properties };
    let Some(path) = location.as_str().filter(|path| !path.contains("://")) else { return properties };
    let span = location.span;
    let value = match reading.local_tree(file, path, span) {
        Some(tree) => tree,
        None => Tree::unknown(span, format!("the file {path} can't be read")),
    };
    if let Value::Map(entries) = &mut properties.value {
        entries.retain(|entry| entry.key != *from && entry.key != *to);
        entries.push(Entry { key: (*to).to_string(), key_span: span, value });
    }
    properties
}
