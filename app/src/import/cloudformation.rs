//! Parameters, mappings, conditions and intrinsic functions: a template becomes a [`Stack`].
//!
//! - [`stack`]: the door for a file. [`made`]: for a template that a framework's file was made to.
//! - `scope`: what names mean: parameters, mappings, conditions, resources.
//! - `conditions`: yes, no or not known. `resolve`: values without functions. `text`: texts of which parts are not
//!   known. `loops`: `Fn::ForEach`, before all else. `nested`: stacks in stacks.

mod conditions;
mod functions;
mod loops;
mod nested;
mod parameters;
mod resolve;
mod scope;
#[cfg(test)]
mod tests;
mod text;

use std::{borrow::Cow, collections::BTreeMap};

use super::{Resource, Stack, allow, packaged, reading::Reading, sam};
use crate::document::{Entry, FileId, Span, Tree, Value};
use conditions::Truth;
pub(super) use nested::local_template;
use scope::Scope;

/// Transforms that need nothing of us, or that we do.
const TRANSFORMS: [&str; 6] = [
    "AWS::CodeDeployBlueGreen",
    "AWS::Include",
    "AWS::LanguageExtensions",
    "AWS::SecretsManager-2020-07-23",
    "AWS::SecretsManager-2024-09-16",
    SERVERLESS,
];

const SERVERLESS: &str = "AWS::Serverless-2016-10-31";

/// What a template is told when it is deployed.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// The stack's name among those of the run.
    name: String,
    /// Values of parameters.
    parameters: BTreeMap<String, Tree>,
    /// `AWS::Region`.
    region: Option<String>,
    /// `AWS::StackName`.
    stack_name: Option<String>,
    /// Resources may be named that are in no template: a framework makes them.
    lenient: bool,
    /// How many stacks are around it.
    depth: usize,
}

/// The stacks of a template: its own, then those nested in it.
pub(crate) fn stack(tree: &Tree, file: FileId, reading: &mut Reading<'_>) -> Vec<Stack> {
    let told = parameters::told(file, reading);
    one(tree, file, told, reading)
}

/// The stacks of a template that a framework's file was made to: resources may be named that it does not have.
pub(crate) fn made(tree: &Tree, file: FileId, reading: &mut Reading<'_>) -> Vec<Stack> {
    let told = Told { lenient: true, ..parameters::told(file, reading) };
    one(tree, file, told, reading)
}

fn one(tree: &Tree, file: FileId, told: Told, reading: &mut Reading<'_>) -> Vec<Stack> {
    let tree = match reading.files.text(file).contains("Fn::ForEach") {
        true => Cow::Owned(loops::expand(tree, &told, reading)),
        false => Cow::Borrowed(tree),
    };
    let mut scope = Scope::new(&tree, file, told, reading);
    scope.transforms(tree.get("Transform"));
    scope.decide_all();
    let mut stack = Stack {
        name: scope.told.name.clone(),
        file,
        resources: Vec::new(),
        exports: Vec::new(),
        outputs: Vec::new(),
        nested: Vec::new(),
    };
    let sections = tree.get("Resources").map(Tree::entries).unwrap_or_default();
    for entry in sections {
        stack.resources.extend(resource(&mut scope, entry));
    }
    outputs(&mut scope, tree.get("Outputs"), &mut stack);
    let globals = tree.get("Globals").and_then(|globals| scope.resolve(globals));
    let stack = sam::lower(stack, globals.as_ref(), &mut scope.reading.problems);
    let depth = scope.told.depth;
    nested::with_nested(stack, depth, reading)
}

impl Scope<'_, '_, '_> {
    /// Notes the transforms that nothing here does.
    fn transforms(&mut self, transform: Option<&Tree>) {
        for one in transform.map(Tree::one_or_many).unwrap_or_default() {
            let name = one.as_str().or_else(|| one.get("Name").and_then(Tree::as_str));
            match name {
                Some(SERVERLESS) => self.serverless = true,
                Some(name) if TRANSFORMS.contains(&name) => {}
                _ => self.unknown_transform(name.unwrap_or("a transform without a name"), one.span),
            }
        }
    }

    /// A macro that we don't have: it can make resources of any name.
    fn unknown_transform(&mut self, name: &str, span: Span) {
        self.open = true;
        if self.macros.insert(name.to_string()) {
            let message =
                format!("nothing here knows the macro {name}: what it makes or changes is not read");
            let help = "check the template that it makes, or leave it: the rest is read";
            self.reading.problem("FE3109", span, message, help);
        }
    }
}

/// A resource, unless its condition says no.
fn resource(scope: &mut Scope<'_, '_, '_>, entry: &Entry) -> Option<Resource> {
    let (id, body) = (&entry.key, &entry.value);
    if id == "Fn::Transform" {
        let name = body.get("Name").and_then(Tree::as_str).unwrap_or("Fn::Transform");
        scope.unknown_transform(name, entry.key_span);
        return None;
    }
    let conditional = match body.get("Condition").and_then(Tree::as_str) {
        Some(name) => match scope.decide(name, body.span) {
            Truth::No => return None,
            Truth::Yes => None,
            Truth::Unknown => Some(name.to_string()),
        },
        None => None,
    };
    let Some(resource_type) = body.get("Type").and_then(Tree::as_str) else {
        let message = format!("the resource {id} has no Type");
        scope.reading.problem("FE3113", entry.key_span, message, "give it one, such as AWS::SQS::Queue");
        return None;
    };
    let empty = Tree::map(entry.key_span, Vec::new());
    let properties = match body.get("Properties").map(|tree| (tree, scope.resolve(tree))) {
        None | Some((_, None | Some(Tree { value: Value::Null, .. }))) => empty,
        Some((_, Some(tree))) if matches!(tree.value, Value::Map(_) | Value::Unknown(_)) => tree,
        Some((tree, Some(_))) => {
            let message = format!("the Properties of {id} are no map");
            scope.reading.problem(
                "FE3113",
                tree.span,
                message,
                "write each property as a key with its value",
            );
            empty
        }
    };
    let properties = packaged::inlined(resource_type, properties, scope.file, scope.reading);
    let metadata = body.get("Metadata").and_then(|tree| scope.resolve(tree));
    let allowed = allow::of_resource(entry, metadata.as_ref(), scope.reading);
    let mut attribute = |name: &str| body.get(name).and_then(|tree| scope.resolve(tree));
    Some(Resource {
        id: id.clone(),
        resource_type: resource_type.to_string(),
        properties,
        metadata,
        span: entry.key_span,
        conditional,
        made_for: None,
        allowed,
        connectors: attribute("Connectors"),
        ignore_globals: attribute("IgnoreGlobals"),
    })
}

fn outputs(scope: &mut Scope<'_, '_, '_>, section: Option<&Tree>, stack: &mut Stack) {
    for entry in section.map(Tree::entries).unwrap_or_default() {
        let condition = entry.value.get("Condition").and_then(Tree::as_str);
        if condition.is_some_and(|name| scope.decide(name, entry.value.span) == Truth::No) {
            continue;
        }
        let Some(value) = entry.value.get("Value").and_then(|tree| scope.resolve(tree)) else { continue };
        let export = entry.value.at(&["Export", "Name"]).and_then(|tree| scope.resolve(tree));
        if let Some(name) = export.and_then(|tree| scope.words(&tree)) {
            stack.exports.push((name, value.clone()));
        }
        stack.outputs.push((entry.key.clone(), value));
    }
}
