//! What names mean in a template.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Told,
    conditions::{Condition, Truth},
    parameters,
};
use crate::{
    document::{Entry, FileId, Reference, Span, TEXT_BYTES, Tree, Value},
    import::reading::Reading,
};

/// Values that resolving one template may make, texts by their length (see `TEXT_BYTES`): functions can double
/// what they are given.
const RESOLVED_MAX: usize = 4_000_000;

/// A template while it is resolved.
pub(super) struct Scope<'t, 'r, 'o> {
    pub(super) file: FileId,
    pub(super) told: Told,
    pub(super) reading: &'r mut Reading<'o>,
    pub(super) parameters: BTreeMap<&'t str, Tree>,
    pub(super) mappings: BTreeMap<&'t str, Mapping<'t>>,
    pub(super) conditions: BTreeMap<&'t str, Condition<'t>>,
    /// How many conditions wait for one another now.
    pub(super) deciding: usize,
    /// Logical ids; the condition of those that have one.
    resources: BTreeMap<&'t str, Option<&'t str>>,
    /// The template has SAM's transform.
    pub(super) serverless: bool,
    /// Resources may exist that are not here: a macro or a framework makes them.
    pub(super) open: bool,
    pub(super) macros: BTreeSet<String>,
    /// How many included files are open.
    pub(super) includes: usize,
    spent: usize,
}

/// A mapping: its two levels.
pub(super) type Mapping<'t> = BTreeMap<&'t str, BTreeMap<&'t str, &'t Tree>>;

/// Whether a resource is one of SAM's: fragments of templates have no `Transform`.
fn is_sam(resource: &Tree) -> bool {
    resource.get("Type").and_then(Tree::as_str).is_some_and(|name| name.starts_with("AWS::Serverless::"))
}

fn section<'t>(tree: &'t Tree, name: &str) -> &'t [Entry] {
    tree.get(name).map(Tree::entries).unwrap_or_default()
}

impl<'t, 'r, 'o> Scope<'t, 'r, 'o> {
    pub(super) fn new(
        tree: &'t Tree,
        file: FileId,
        told: Told,
        reading: &'r mut Reading<'o>,
    ) -> Scope<'t, 'r, 'o> {
        let condition_of = |body: &'t Tree| body.get("Condition").and_then(Tree::as_str);
        let mappings = section(tree, "Mappings").iter().map(|mapping| {
            let level = |entry: &'t Entry| {
                let values = entry.value.entries().iter();
                (entry.key.as_str(), values.map(|entry| (entry.key.as_str(), &entry.value)).collect())
            };
            (mapping.key.as_str(), mapping.value.entries().iter().map(level).collect())
        });
        let conditions = section(tree, "Conditions").iter();
        let resources = section(tree, "Resources").iter();
        Scope {
            file,
            parameters: parameters::values(section(tree, "Parameters"), &told, reading),
            mappings: mappings.collect(),
            conditions: conditions.map(|c| (c.key.as_str(), Condition::Open(&c.value))).collect(),
            deciding: 0,
            resources: resources.map(|r| (r.key.as_str(), condition_of(&r.value))).collect(),
            serverless: section(tree, "Resources").iter().any(|entry| is_sam(&entry.value)),
            open: told.lenient,
            macros: BTreeSet::new(),
            includes: 0,
            spent: 0,
            told,
            reading,
        }
    }

    /// Takes from what resolving may make; `false`: it is used up.
    pub(super) fn charge(&mut self, weight: usize, span: Span) -> bool {
        let before = self.spent;
        self.spent = self.spent.saturating_add(weight);
        if before <= RESOLVED_MAX && self.spent > RESOLVED_MAX {
            let message = format!("its functions make more than {RESOLVED_MAX} values");
            self.reading.problem("FE3111", span, message, "the rest is taken as not known: repeat less");
        }
        self.spent <= RESOLVED_MAX
    }

    /// What `Ref` to a name is. `None`: nothing, as `AWS::NoValue` is.
    pub(super) fn named(&mut self, name: &str, span: Span) -> Option<Tree> {
        if let Some(value) = self.parameters.get(name) {
            let weight = weight(value);
            let value = Tree { value: value.value.clone(), span };
            return Some(if self.charge(weight, span) { value } else { Tree::unknown(span, "too much") });
        }
        if name.starts_with("AWS::") {
            return self.pseudo(name, span);
        }
        Some(self.resource(name, None, span))
    }

    /// What is known of a pseudo-parameter.
    fn pseudo(&mut self, name: &str, span: Span) -> Option<Tree> {
        let region = self.told.region.as_deref();
        let partition = |region: &str| match region.split('-').next() {
            Some("cn") => ("aws-cn", "amazonaws.com.cn"),
            _ if region.starts_with("us-gov-") => ("aws-us-gov", "amazonaws.com"),
            _ => ("aws", "amazonaws.com"),
        };
        let known = match name {
            "AWS::NoValue" => return None,
            "AWS::Region" => region,
            "AWS::Partition" => region.map(|region| partition(region).0),
            "AWS::URLSuffix" => region.map(|region| partition(region).1),
            "AWS::StackName" => self.told.stack_name.as_deref(),
            "AWS::AccountId" | "AWS::StackId" | "AWS::NotificationARNs" => None,
            _ => {
                self.missing(name, span);
                None
            }
        };
        Some(match known {
            Some(known) => Tree::text(span, known),
            None => Tree::unknown(span, format!("{name} is known only when it is deployed")),
        })
    }

    /// A resource's name or attribute.
    pub(super) fn resource(&mut self, name: &str, attribute: Option<&str>, span: Span) -> Tree {
        let reference = |resource: &str, attribute: Option<&str>| Tree {
            value: Value::Reference(Reference::to(resource, attribute.filter(|name| !name.is_empty()))),
            span,
        };
        let Some(condition) = self.resources.get(name).copied() else {
            if let Some((first, rest)) = name.split_once('.').filter(|_| attribute.is_none()) {
                return self.resource(first, Some(rest), span);
            }
            if self.is_generated(name) {
                return reference(name, attribute);
            }
            if !self.open {
                self.missing(name, span);
            }
            return Tree::unknown(span, format!("nothing here is called {name}"));
        };
        let absent = condition.filter(|condition| self.decide(condition, span) == Truth::No);
        match absent {
            Some(condition) => {
                let why = format!("{name} does not exist, as its condition {condition} does not hold");
                Tree::unknown(span, why)
            }
            None => reference(name, attribute),
        }
    }

    /// Whether SAM makes a resource of this name: what it makes begins with what it makes it for.
    fn is_generated(&self, name: &str) -> bool {
        if !self.serverless {
            return false;
        }
        let starts = name.char_indices().map(|(at, _)| at).skip(1);
        name.starts_with("Serverless")
            || starts.filter_map(|at| name.get(..at)).any(|start| self.resources.contains_key(start))
    }

    fn missing(&mut self, name: &str, span: Span) {
        let name: String = name.chars().filter(|c| !c.is_control()).take(100).collect();
        let message = format!("there is no parameter and no resource {name}");
        self.reading.problem("FE3105", span, message, "correct the name, or declare it");
    }
}

/// How much a value counts; see [`RESOLVED_MAX`].
pub(super) fn weight(tree: &Tree) -> usize {
    let mut weight = 0;
    tree.visit(&mut |tree| {
        weight += 1 + match &tree.value {
            Value::Text(text) => text.len() / TEXT_BYTES,
            Value::Pieces(pieces) => pieces.len(),
            _ => 0,
        };
    });
    weight
}
