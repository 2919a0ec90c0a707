//! Which kind of file one is.

use std::{collections::BTreeSet, rc::Rc};

use super::{
    cloudformation,
    reading::{Reading, normal},
    samconfig, serverless, terraform,
};
use crate::document::{FileId, Span, Tree, Value};

/// Kinds of files, in the order in which they are read: those that name others first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// CDK's `manifest.json`.
    Assembly,
    /// `serverless-compose.yml`.
    Composition,
    /// `serverless.yml`.
    Serverless,
    /// A plan of Terraform.
    Plan,
    /// A template of CloudFormation or SAM.
    Template,
    /// `flyball.toml`.
    Own,
    /// `samconfig.toml`, which is read where a template is.
    Configuration,
    /// Nothing that is read here.
    Other,
}

/// The kind of a file, and its document of that kind. `None`: it can't be read, and a problem says why.
pub(super) fn of(file: FileId, reading: &mut Reading<'_>) -> Option<(Kind, Rc<Tree>)> {
    let name = reading.files.name(file).to_string();
    if base(&name) == "flyball.toml" {
        // It has a reader of its own, that says more of what is wrong.
        let span = Span { file, start: 0, end: 0 };
        return Some((Kind::Own, Rc::new(Tree { value: Value::Null, span })));
    }
    let documents = reading.documents(file)?;
    let kinds: Vec<Kind> = documents.iter().map(|tree| of_document(&name, tree)).collect();
    let chosen = kinds.iter().enumerate().min_by_key(|(at, kind)| (**kind, *at));
    let (at, kind) = chosen.map_or((0, Kind::Other), |(at, kind)| (at, *kind));
    let twin = kinds.iter().enumerate().find(|(other, kind)| *other != at && **kind != Kind::Other);
    if let Some(twin) = twin.and_then(|(other, _)| documents.get(other)) {
        let message = "a second template in one file: it is passed over".to_string();
        reading.problem("FE3103", twin.span, message, "give it a file of its own");
    }
    let empty = Tree { value: Value::Null, span: Span { file, start: 0, end: 0 } };
    let tree = Rc::new(documents.into_iter().nth(at).unwrap_or(empty));
    reading.keep(file, &tree);
    Some((kind, tree))
}

fn base(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or(name)
}

fn of_document(name: &str, tree: &Tree) -> Kind {
    let has = |key: &str| tree.get(key).is_some();
    let is_map = |key: &str| tree.get(key).is_some_and(|tree| matches!(tree.value, Value::Map(_)));
    if samconfig::is_config(name) {
        Kind::Configuration
    } else if has("artifacts") && has("version") && base(name) == "manifest.json" {
        Kind::Assembly
    } else if serverless::is_compose(name, tree) {
        Kind::Composition
    } else if has("provider") && (has("service") || has("functions")) {
        if elsewhere(tree).is_some() { Kind::Other } else { Kind::Serverless }
    } else if terraform::is_plan(tree) {
        Kind::Plan
    } else if has("AWSTemplateFormatVersion") || (is_map("Resources") && of_resources(tree)) {
        Kind::Template
    } else if has("application") && name.to_ascii_lowercase().ends_with(".toml") {
        Kind::Own
    } else {
        Kind::Other
    }
}

/// The provider of a service that runs elsewhere than on AWS.
fn elsewhere(tree: &Tree) -> Option<&str> {
    let provider = tree.get("provider")?;
    let name = provider.get("name").unwrap_or(provider).as_str()?;
    (name != "aws" && !name.contains('$')).then_some(name)
}

/// Whether `Resources` holds resources, or macros that make some.
fn of_resources(tree: &Tree) -> bool {
    let entries = tree.get("Resources").map(Tree::entries).unwrap_or_default();
    let is_resource = |entry: &crate::document::Entry| {
        let named = entry.value.get("Type").and_then(Tree::as_str).is_some_and(|name| name.contains("::"));
        named || entry.key.starts_with("Fn::")
    };
    tree.get("Transform").is_some() || entries.iter().any(is_resource)
}

/// Inputs that are templates of stacks nested in others.
pub(super) fn nested(found: &[(Kind, Rc<Tree>, FileId)], reading: &Reading<'_>) -> BTreeSet<FileId> {
    let mut nested = BTreeSet::new();
    for (_, tree, file) in found.iter().filter(|(kind, _, _)| *kind == Kind::Template) {
        let folder = reading.files.name(*file).rsplit_once('/').map_or("", |(folder, _)| folder);
        for entry in tree.get("Resources").map(Tree::entries).unwrap_or_default() {
            let Some(path) = cloudformation::local_template(&entry.value) else { continue };
            nested.extend(normal(folder, path).and_then(|name| reading.named(&name)).filter(|id| id != file));
        }
    }
    nested
}

/// Says of a file what it is, as it is none that is read here.
pub(super) fn report(tree: &Tree, reading: &mut Reading<'_>) {
    let has = |keys: &[&str]| keys.iter().all(|key| tree.get(key).is_some());
    let elsewhere = elsewhere(tree).filter(|_| has(&["service"]) || has(&["functions"]));
    let of_service = elsewhere.map(|name| {
        let name: String = name.chars().take(40).collect();
        format!("this is a service for {name}, and only those for aws are read")
    });
    let what = if let Some(what) = &of_service {
        what
    } else if tree.value == Value::Null {
        "the file is empty, or holds nothing but comments"
    } else if has(&["apiVersion", "kind"]) {
        "this is an object of Kubernetes"
    } else if has(&["jobs", "on"]) {
        "this is a workflow of GitHub"
    } else if has(&["openapi"]) || has(&["swagger"]) {
        "this is an OpenAPI document: a template names it"
    } else if has(&["StartAt", "States"]) {
        "this is a state machine's definition: a template names it"
    } else if has(&["terraform_version"]) {
        "this is of Terraform, and no plan: `terraform show -json` of a saved plan is read"
    } else if has(&["component"]) {
        "this is an instance of Serverless Components, which are not read"
    } else if has(&["services"]) {
        "this is a file of Docker Compose, or the like"
    } else if matches!(tree.value, Value::Map(_)) {
        "nothing in it says that it is a template: it has no Resources with a Type"
    } else {
        "there is no map in it, as a template is one"
    };
    let help =
        "give a template of CloudFormation or SAM, a serverless.yml, a cdk.out, a plan or a flyball.toml";
    let span = Span { end: tree.span.start, ..tree.span };
    reading.problem("FE3103", span, what.to_string(), help);
}
