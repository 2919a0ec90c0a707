//! `serverless.yml` becomes a stack, as the Serverless Framework makes it.
//!
//! - `expression`, `variables`: `${self:custom.x, 'default'}` and the rest, resolved as they are asked for.
//! - `service`: the service with its variables resolved. `function`, `events`, `plugins`: what its parts become.
//! - `template`: the CloudFormation template that they become; `cloudformation` resolves it like any other.
//! - `naming`: logical ids as the framework makes them.
//! - `compose`: several services of one `serverless-compose.yml`.

mod compose;
mod events;
mod expression;
mod function;
mod naming;
mod plugins;
mod proxies;
mod service;
mod template;
mod variables;

pub(crate) use compose::{is_compose, stacks as composed};

use std::collections::BTreeMap;

use super::{Stack, cloudformation, reading::Reading};
use crate::document::{FileId, Tree, Value};
use service::{Service, concat, entries_of_all, given};
use template::At;
use variables::Variables;

/// Sections of `resources` that go into the template as they stand.
const SECTIONS: [&str; 6] =
    ["Parameters", "Mappings", "Conditions", "Outputs", "Transform", "AWSTemplateFormatVersion"];

/// The stacks of a `serverless.yml`. What stands under `resources` is CloudFormation with its intrinsic functions:
/// `cloudformation::stack` resolves a template that is put together here.
pub(crate) fn stacks(tree: &Tree, file: FileId, reading: &mut Reading<'_>) -> Vec<Stack> {
    of_service(tree, file, reading, None, BTreeMap::new())
}

/// The stacks of a service, that of a composition under its name there, with the parameters that it is given.
fn of_service(
    tree: &Tree,
    file: FileId,
    reading: &mut Reading<'_>,
    name: Option<&str>,
    parameters: BTreeMap<String, Tree>,
) -> Vec<Stack> {
    let mut variables = Variables::new(tree, file, reading, parameters);
    let stage = variables.stage();
    let root = variables.resolve(tree);
    let mut service = Service::new(root, stage);
    plugins::unread(&mut service);
    plugins::constructs(&mut service);
    function::all(&mut service);
    events::all(&mut service);
    plugins::machines(&mut service);
    plugins::app_sync(&mut service);
    proxies::proxies(&mut service);
    let sections = resources(&mut service, name);
    let at = At(tree.span);
    let made_for = std::mem::take(&mut service.template.made_for);
    let template = std::mem::take(&mut service.template).into_tree(at, sections);
    reading.unresolved.append(&mut service.unresolved);
    let mut stacks = cloudformation::made(&template, file, reading);
    for resource in stacks.iter_mut().take(1).flat_map(|stack| &mut stack.resources) {
        if let Some(function) = made_for.get(&resource.id) {
            resource.made_for = Some(function.clone());
        }
    }
    stacks
}

/// Adds the author's own resources, and changes to the framework's; the other sections of the template.
fn resources(service: &mut Service, name: Option<&str>) -> Vec<crate::document::Entry> {
    let parts: Vec<Tree> = service.root.get("resources").map(Tree::one_or_many).unwrap_or_default().to_vec();
    let mut sections = Tree { value: Value::Map(Vec::new()), span: service.root.span };
    for part in &parts {
        if let Value::Unknown(unknown) = &part.value {
            service.unknown(part.span, None, format!("resources that are not known: {}", unknown.why));
        }
        for entry in part.entries().iter().filter(|entry| SECTIONS.contains(&entry.key.as_str())) {
            let entry = entry.clone();
            template::merge(&mut sections, Tree::map(part.span, vec![entry]));
        }
        for resource in entries_of_all(given(part.get("Resources"))) {
            service.template.merge(resource);
        }
        for extension in entries_of_all(given(part.get("extensions"))) {
            if service.template.has(&extension.key) {
                service.template.merge(extension);
            }
        }
    }
    exports(service, &mut sections, name);
    sections.entries().to_vec()
}

/// Exports each output under the name by which variables of other services ask for it.
fn exports(service: &Service, sections: &mut Tree, name: Option<&str>) {
    let at = At(sections.span);
    let stack = match given(service.provider.get("stackName")) {
        Some(name) => name.clone(),
        None => service.prefix(at),
    };
    let mut outputs: Vec<(String, Tree)> = entries_of_all(sections.get("Outputs"))
        .into_iter()
        .filter_map(|entry| Some((entry.key, entry.value.get("Value")?.clone())))
        .collect();
    for function in &service.functions {
        let id = service::lambda(&function.key);
        outputs.push((format!("{id}QualifiedArn"), at.attribute(&id, "Arn")));
    }
    let mut exported = Vec::new();
    for (key, value) in outputs {
        let by_stack = concat(at, &[&at.text("cf:"), &stack, &at.text(format!(".{key}"))]);
        let by_service = name.map(|name| at.text(format!("compose:{name}.{key}")));
        for (kind, name) in [("Cf", Some(by_stack)), ("Compose", by_service)] {
            let Some(name) = name.filter(|name| name.as_str().is_some()) else { continue };
            let export = at.map([("Name", Some(name))]);
            let output = at.map([("Value", Some(value.clone())), ("Export", Some(export))]);
            exported.push(at.entry(format!("{kind}{key}"), output));
        }
    }
    let outputs = at.map([("Outputs", Some(Tree::map(at.0, exported)))]);
    template::merge(sections, outputs);
}
