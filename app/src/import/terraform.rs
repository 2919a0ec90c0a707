//! A plan of Terraform becomes a stack: `terraform show -json PLAN`.
//!
//! What is not known until a resource is made (its ARN, above all) is no value in a plan; what the configuration says
//! in its place is followed through variables and outputs of modules to the resource that is meant.
//!
//! - `plan`: the resources with their modules, and where an expression leads. `address`: addresses, taken apart.
//! - `value`: a resource's values, known or said. `rows`: which of Terraform's is which of CloudFormation's.
//! - `parts`: what is a resource of its own in Terraform and a part of another in CloudFormation.

mod address;
mod parts;
mod plan;
mod rows;
mod value;

use super::{Resource, Stack, reading::Reading};
use crate::{
    design::Unresolved,
    document::{Entry, FileId, Reference, Span, Tree, Value},
};
use plan::Plan;
use value::Place;

/// Whether a document is a plan.
pub(super) fn is_plan(tree: &Tree) -> bool {
    tree.at(&["planned_values", "root_module"]).is_some()
}

/// The stack of a plan.
pub(super) fn stack(tree: &Tree, file: FileId, reading: &mut Reading<'_>) -> Stack {
    reading.files.mark_made(file);
    let plan = Plan::new(tree);
    let mut resources = Vec::new();
    for planned in &plan.planned {
        let Some(row) = rows::row(planned.of) else { continue };
        let place = Place::of(&plan, planned);
        let mut made = Made::new(planned.span);
        for (property, attribute, how) in row.properties {
            made.put(property, rows::property(place, attribute, *how));
        }
        parts::complete(place, planned, &mut made);
        resources.push(made.resource(planned.address, row.to));
    }
    let mut open = Vec::new();
    parts::own(&plan, &mut resources, &mut open);
    for (planned, what) in open {
        let resource = Some(planned.address.to_string());
        reading.unresolved.push(Unresolved { span: planned.span, resource, what });
    }
    Stack {
        name: reading.files.name(file).to_string(),
        file,
        resources,
        exports: Vec::new(),
        outputs: Vec::new(),
        nested: Vec::new(),
    }
}

impl Plan<'_> {
    /// A resource that is named, where it is one that is read.
    fn resource(&self, at: usize, attribute: &str) -> Option<Reference> {
        let planned = self.planned.get(at)?;
        rows::row(planned.of)?;
        Some(Reference::to(planned.address, rows::attribute(planned.of, attribute)))
    }
}

/// Properties in the making.
struct Made {
    span: Span,
    entries: Vec<Entry>,
}

impl Made {
    fn new(span: Span) -> Made {
        Made { span, entries: Vec::new() }
    }

    /// Puts a value where a path with dots leads; nothing where there is none.
    fn put(&mut self, path: &str, value: Option<Tree>) {
        if let Some(value) = value {
            put(&mut self.entries, self.span, path, value);
        }
    }

    fn tree(self) -> Tree {
        Tree::map(self.span, self.entries)
    }

    fn resource(self, id: &str, of: &str) -> Resource {
        Resource {
            id: id.to_string(),
            resource_type: of.to_string(),
            span: self.span,
            properties: self.tree(),
            metadata: None,
            conditional: None,
            made_for: None,
            allowed: Vec::new(),
            connectors: None,
            ignore_globals: None,
        }
    }
}

fn put(entries: &mut Vec<Entry>, span: Span, path: &str, value: Tree) {
    let (key, rest) = path.split_once('.').map_or((path, None), |(key, rest)| (key, Some(rest)));
    let there = entries.iter().position(|entry| entry.key == key);
    match (rest, there.and_then(|at| entries.get_mut(at)).map(|entry| &mut entry.value.value)) {
        (Some(rest), Some(Value::Map(inside))) => put(inside, span, rest, value),
        (_, Some(_)) => {}
        (Some(rest), None) => {
            let mut inside = Vec::new();
            put(&mut inside, span, rest, value);
            entries.push(Entry { key: key.into(), key_span: span, value: Tree::map(span, inside) });
        }
        (None, None) => entries.push(Entry { key: key.into(), key_span: span, value }),
    }
}
