//! `AWS::Serverless::*` become plain resources, as AWS's translator makes them.
//!
//! Three rounds over the resources, each linear: functions, machines and the rest, which collect what they ask of
//! APIs, buckets and user pools; then the APIs, which by then know their routes; then connectors, which look at
//! roles that were made. Last, what the template calls `Function.Alias` and the like gets its made name.
//!
//! Ids are those that AWS makes, but for the hash behind those of versions, deployments and domains: it is made of
//! the uploaded code, which no template holds.

mod alias;
mod connector;
mod deployment;
mod domain;
mod function;
mod globals;
mod graphql;
mod http;
mod machine;
mod made;
mod plain;
mod policies;
mod polled;
mod pushed;
mod references;
mod rest;
mod role;
mod routes;
mod rules;
mod websocket;

use std::collections::BTreeMap;

use super::{Problem, Resource, Stack};
use crate::document::{Entry, Span, Tree, Value};
use globals::Globals;
use made::At;
use routes::Routes;

/// Lowers a stack's `AWS::Serverless::*` resources. Their properties hold no intrinsic functions any more; local
/// files that packaging would put in their place are in it already (`DefinitionUri` → `Definition` or
/// `DefinitionBody`). `globals` is the template's `Globals` section, resolved too.
pub(crate) fn lower(mut stack: Stack, globals: Option<&Tree>, problems: &mut Vec<Problem>) -> Stack {
    let concerned = |resource: &Resource| {
        resource.resource_type.starts_with("AWS::Serverless::") || resource.connectors.is_some()
    };
    if !stack.resources.iter().any(concerned) {
        return stack;
    }
    let mut sam = Lowering::new(&stack, globals, problems);
    for resource in std::mem::take(&mut stack.resources) {
        sam.resource(resource);
    }
    sam.implicit_apis();
    for resource in std::mem::take(&mut sam.done) {
        sam.api(resource);
    }
    sam.shared();
    connector::lower(&mut sam);
    sam.finish(stack)
}

/// The plain type of a resource of SAM's.
fn plain_type(kind: &str) -> Option<&'static str> {
    Some(match kind {
        "Function" => "AWS::Lambda::Function",
        "StateMachine" => "AWS::StepFunctions::StateMachine",
        "SimpleTable" => "AWS::DynamoDB::Table",
        "LayerVersion" => "AWS::Lambda::LayerVersion",
        "Application" => "AWS::CloudFormation::Stack",
        "CapacityProvider" => "AWS::Lambda::CapacityProvider",
        "GraphQLApi" => "AWS::AppSync::GraphQLApi",
        "Api" => "AWS::ApiGateway::RestApi",
        "HttpApi" | "WebSocketApi" => "AWS::ApiGatewayV2::Api",
        _ => return None,
    })
}

/// What is at hand while one stack is lowered.
struct Lowering<'a> {
    /// Made so far, in order.
    done: Vec<Resource>,
    problems: &'a mut Vec<Problem>,
    globals: Globals<'a>,
    /// The template's own resources: their types and what else events ask of them.
    own: BTreeMap<String, Own>,
    /// What functions and machines ask of APIs, by the API's id.
    routes: BTreeMap<String, Routes>,
    /// `LambdaConfigurations` to be added to buckets, by the bucket's id.
    notifications: BTreeMap<String, Vec<Tree>>,
    /// `LambdaConfig` to be added to user pools, by the pool's id.
    triggers: BTreeMap<String, Vec<Entry>>,
    /// Ids of made resources by what a template may call them: resource and property.
    names: BTreeMap<(String, String), String>,
    /// Domains, record sets and usage plans that several APIs share, by what makes them the same.
    shared: BTreeMap<String, usize>,
    deployments: Vec<deployment::Preference>,
    templates: BTreeMap<&'static str, Vec<policies::Granted>>,
}

/// A resource of the template, as events look at it.
struct Own {
    resource_type: String,
    /// `FifoTopic`.
    fifo: bool,
}

/// The resource that others are made for.
#[derive(Clone)]
struct Origin {
    id: String,
    at: At,
    conditional: Option<String>,
    allowed: Vec<(String, String)>,
}

impl Origin {
    fn of(resource: &Resource) -> Origin {
        Origin {
            id: resource.id.clone(),
            at: At(resource.span),
            conditional: resource.conditional.clone(),
            allowed: resource.allowed.clone(),
        }
    }
}

impl<'a> Lowering<'a> {
    fn new(stack: &Stack, globals: Option<&'a Tree>, problems: &'a mut Vec<Problem>) -> Lowering<'a> {
        let own = stack.resources.iter().map(|resource| {
            let fifo = resource.properties.get("FifoTopic").and_then(Tree::as_bool).unwrap_or(false);
            (resource.id.clone(), Own { resource_type: resource.resource_type.clone(), fifo })
        });
        Lowering {
            done: Vec::with_capacity(stack.resources.len()),
            problems,
            globals: Globals::new(globals),
            own: own.collect(),
            routes: BTreeMap::new(),
            notifications: BTreeMap::new(),
            triggers: BTreeMap::new(),
            names: BTreeMap::new(),
            shared: BTreeMap::new(),
            deployments: Vec::new(),
            templates: policies::templates(),
        }
    }

    /// The first round, for one resource. APIs and connectors stay as they are, with the globals in them.
    fn resource(&mut self, mut resource: Resource) {
        let embedded = resource.connectors.take();
        let origin = Origin::of(&resource);
        let ignored = resource.ignore_globals.take();
        if let Some(kind) = resource.resource_type.strip_prefix("AWS::Serverless::").map(str::to_string) {
            let own = std::mem::replace(&mut resource.properties, Tree::map(resource.span, Vec::new()));
            if matches!(own.value, Value::Unknown(_)) {
                // Nothing is made of what is not known: not even what SAM makes of nothing.
                let plain = plain_type(&kind).unwrap_or(resource.resource_type.as_str()).to_string();
                self.keep(resource, &plain, own);
                return;
            }
            resource.properties = globals::merged(self, &kind, own, ignored.as_ref());
            match kind.as_str() {
                "Function" => function::lower(self, resource),
                "StateMachine" => machine::lower(self, resource),
                "SimpleTable" => plain::table(self, resource),
                "LayerVersion" => plain::layer(self, resource),
                "Application" => plain::application(self, resource),
                "CapacityProvider" => plain::capacity_provider(self, resource),
                "GraphQLApi" => graphql::lower(self, resource),
                "WebSocketApi" => websocket::lower(self, resource),
                "Api" | "HttpApi" | "Connector" => self.done.push(resource),
                _ => {
                    self.wrong(resource.span, &format!("AWS's transform knows no `AWS::Serverless::{kind}`"));
                    self.done.push(resource);
                }
            }
        } else {
            self.done.push(resource);
        }
        for entry in embedded.as_ref().map(Tree::entries).unwrap_or_default() {
            connector::embedded(self, &origin, entry);
        }
    }

    /// The APIs that no template declares, of events that name none.
    fn implicit_apis(&mut self) {
        for (id, kind) in [("ServerlessRestApi", "Api"), ("ServerlessHttpApi", "HttpApi")] {
            let Some(routes) = self.routes.get(id) else { continue };
            let Some(origin) = routes.first() else { continue };
            let conditional = routes.condition();
            self.done.retain(|resource| resource.id != id && resource.made_for.as_deref() != Some(id));
            let own = match kind {
                "Api" => origin.at.map([("StageName", origin.at.text("Prod"))]),
                _ => origin.at.map([]),
            };
            let properties = globals::merged(self, kind, own, None);
            let origin = Origin { conditional, ..origin };
            self.make(&origin, origin.at, id, &format!("AWS::Serverless::{kind}"), properties);
        }
    }

    /// The second round, for one resource.
    fn api(&mut self, resource: Resource) {
        match resource.resource_type.as_str() {
            "AWS::Serverless::Api" => rest::lower(self, resource),
            "AWS::Serverless::HttpApi" => http::lower(self, resource),
            _ => self.done.push(resource),
        }
    }

    /// What all functions' deployments share.
    fn shared(&mut self) {
        deployment::application(self);
    }

    fn finish(self, mut stack: Stack) -> Stack {
        let Lowering { mut done, names, mut notifications, mut triggers, .. } = self;
        for resource in &mut done {
            if let Some(added) = notifications.remove(&resource.id) {
                pushed::notify(resource, added);
            }
            if let Some(added) = triggers.remove(&resource.id) {
                pushed::trigger(resource, added);
            }
        }
        if !names.is_empty() {
            for resource in &mut done {
                references::rename(&mut resource.properties, &names);
            }
            for (_, value) in stack.exports.iter_mut().chain(&mut stack.outputs) {
                references::rename(value, &names);
            }
        }
        stack.resources = done;
        stack
    }

    /// Makes a resource for another, at a place of that.
    fn make(&mut self, origin: &Origin, at: At, id: &str, resource_type: &str, properties: Tree) {
        self.done.push(Resource {
            id: id.to_string(),
            resource_type: resource_type.to_string(),
            properties,
            metadata: None,
            span: at.0,
            conditional: origin.conditional.clone(),
            made_for: Some(origin.id.clone()),
            allowed: origin.allowed.clone(),
            connectors: None,
            ignore_globals: None,
        });
    }

    /// Keeps a resource under its id as a plain one.
    fn keep(&mut self, resource: Resource, resource_type: &str, properties: Tree) {
        self.done.push(Resource { resource_type: resource_type.to_string(), properties, ..resource });
    }

    /// Lets a template call a made resource `owner.property`.
    fn name(&mut self, owner: &str, property: &str, id: &str) {
        self.names.insert((owner.to_string(), property.to_string()), id.to_string());
    }

    /// The type of a resource of the template.
    fn own_type(&self, id: &str) -> Option<&str> {
        self.own.get(id).map(|own| own.resource_type.as_str())
    }

    /// Notes what AWS's transform would refuse.
    fn wrong(&mut self, span: Span, message: &str) {
        self.problems.push(Problem {
            code: "FE3141",
            span,
            message: message.to_string(),
            help: "see the resource in the reference of AWS SAM; what it stands for is left out here"
                .to_string(),
        });
    }
}
