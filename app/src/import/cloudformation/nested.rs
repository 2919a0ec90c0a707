//! Stacks in stacks, where their templates are local files.

use std::collections::BTreeMap;

use super::{Told, one};
use crate::{
    document::{Span, Tree},
    import::{Resource, Stack, join::rebase, reading::Reading},
};

/// How deep stacks may lie in one another.
const DEPTH_MAX: usize = 8;

/// A stack, and those nested in it.
pub(super) fn with_nested(mut stack: Stack, depth: usize, reading: &mut Reading<'_>) -> Vec<Stack> {
    let mut inner = Vec::new();
    let mut named = Vec::new();
    for resource in &stack.resources {
        let Some((path, span)) = template_of(resource) else { continue };
        if depth >= DEPTH_MAX || !reading.may_nest() {
            let message = format!("{} is nested too deep, or there are too many nested stacks", resource.id);
            let help = format!("it is not read: at most {DEPTH_MAX} lie in one another");
            reading.problem("FE3111", span, message, &help);
            continue;
        }
        let Some((file, tree)) = reading.local_file_tree(stack.file, &path, span) else { continue };
        let name = format!("{}:{}", stack.name, resource.id);
        named.push((resource.id.clone(), name.clone()));
        let told = Told {
            name,
            parameters: parameters(resource, &stack.name),
            region: reading.options.region.clone(),
            stack_name: None,
            lenient: false,
            depth: depth + 1,
        };
        inner.extend(one(&tree, file, told, reading));
    }
    stack.nested = named;
    let mut stacks = vec![stack];
    stacks.append(&mut inner);
    stacks
}

/// The local path of a nested stack's template, and where it stands.
fn template_of(resource: &Resource) -> Option<(String, Span)> {
    let metadata = resource.metadata.as_ref();
    let path = path_of(&resource.resource_type, Some(&resource.properties), metadata)?;
    Some((path.as_str()?.to_string(), path.span))
}

/// The same of a resource as it stands in a file.
pub(in crate::import) fn local_template(resource: &Tree) -> Option<&str> {
    let kind = resource.get("Type").and_then(Tree::as_str)?;
    path_of(kind, resource.get("Properties"), resource.get("Metadata")).and_then(Tree::as_str)
}

fn path_of<'t>(kind: &str, properties: Option<&'t Tree>, metadata: Option<&'t Tree>) -> Option<&'t Tree> {
    let property = match kind {
        "AWS::CloudFormation::Stack" => "TemplateURL",
        "AWS::Serverless::Application" => "Location",
        _ => return None,
    };
    let location = properties.and_then(|tree| tree.get(property));
    // CDK leaves the file's name here; the address is where it is uploaded to.
    let asset = metadata.and_then(|tree| tree.get("aws:asset:path"));
    asset.or(location).filter(|path| path.as_str().is_some_and(|path| !path.contains("://")))
}

/// What the stack around it tells it.
fn parameters(resource: &Resource, around: &str) -> BTreeMap<String, Tree> {
    let given = resource.properties.get("Parameters").map(Tree::entries).unwrap_or_default();
    let told = given.iter().map(|entry| {
        let mut value = entry.value.clone();
        rebase(&mut value, around);
        (entry.key.clone(), value)
    });
    told.collect()
}
