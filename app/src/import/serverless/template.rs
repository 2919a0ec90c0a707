//! The CloudFormation template that a service is put together to.

use std::collections::BTreeMap;

use crate::document::{Entry, Span, Tree, Value};

/// Makes values at a place of the user's file.
#[derive(Debug, Clone, Copy)]
pub(super) struct At(pub Span);

impl At {
    pub(super) fn text(self, text: impl Into<String>) -> Tree {
        Tree::text(self.0, text)
    }

    pub(super) fn integer(self, number: i64) -> Tree {
        Tree { value: Value::Integer(number), span: self.0 }
    }

    pub(super) fn bool(self, is: bool) -> Tree {
        Tree { value: Value::Bool(is), span: self.0 }
    }

    pub(super) fn list(self, items: Vec<Tree>) -> Tree {
        Tree { value: Value::List(items), span: self.0 }
    }

    pub(super) fn entry(self, key: impl Into<String>, value: Tree) -> Entry {
        Entry { key: key.into(), key_span: self.0, value }
    }

    /// A map; a key whose value is `None` is left out.
    pub(super) fn map<const N: usize>(self, entries: [(&str, Option<Tree>); N]) -> Tree {
        let entries = entries.into_iter().filter_map(|(key, value)| Some(self.entry(key, value?)));
        Tree::map(self.0, entries.collect())
    }

    pub(super) fn reference(self, id: &str) -> Tree {
        self.map([("Ref", Some(self.text(id)))])
    }

    pub(super) fn attribute(self, id: &str, attribute: &str) -> Tree {
        let list = self.list(vec![self.text(id), self.text(attribute)]);
        self.map([("Fn::GetAtt", Some(list))])
    }

    pub(super) fn join(self, between: &str, parts: Vec<Tree>) -> Tree {
        let list = self.list(vec![self.text(between), self.list(parts)]);
        self.map([("Fn::Join", Some(list))])
    }

    /// The URI by which API Gateway invokes a function.
    pub(super) fn invocation(self, function: Tree) -> Tree {
        let parts = vec![
            self.text("arn:"),
            self.reference("AWS::Partition"),
            self.text(":apigateway:"),
            self.reference("AWS::Region"),
            self.text(":lambda:path/2015-03-31/functions/"),
            function,
            self.text("/invocations"),
        ];
        self.join("", parts)
    }
}

/// The template in the making.
#[derive(Debug, Default)]
pub(super) struct Template {
    resources: Vec<Entry>,
    by_id: BTreeMap<String, usize>,
    /// The function, by its logical id, that a resource was made for.
    pub(super) made_for: BTreeMap<String, String>,
}

impl Template {
    pub(super) fn has(&self, id: &str) -> bool {
        self.by_id.contains_key(id)
    }

    /// A resource, to be changed.
    pub(super) fn resource_mut(&mut self, id: &str) -> Option<&mut Tree> {
        let at = self.by_id.get(id)?;
        self.resources.get_mut(*at).map(|entry| &mut entry.value)
    }

    pub(super) fn resource(&self, id: &str) -> Option<&Tree> {
        let at = self.by_id.get(id)?;
        self.resources.get(*at).map(|entry| &entry.value)
    }

    /// Adds a resource. One with the same id is joined with it: what comes later counts.
    pub(super) fn add(&mut self, at: At, id: &str, of: &str, properties: Tree) {
        let resource = at.map([("Type", Some(at.text(of))), ("Properties", Some(properties))]);
        self.merge(at.entry(id, resource));
    }

    /// Adds a resource that a function's event makes.
    pub(super) fn add_for(&mut self, function: &str, at: At, id: &str, of: &str, properties: Tree) {
        self.made_for.insert(id.to_string(), function.to_string());
        self.add(at, id, of, properties);
    }

    /// Adds or joins a resource as it stands.
    pub(super) fn merge(&mut self, entry: Entry) {
        match self.by_id.get(&entry.key).and_then(|at| self.resources.get_mut(*at)) {
            Some(there) => merge(&mut there.value, entry.value),
            None => {
                self.by_id.insert(entry.key.clone(), self.resources.len());
                self.resources.push(entry);
            }
        }
    }

    /// The whole, with the service's other sections.
    pub(super) fn into_tree(self, at: At, mut sections: Vec<Entry>) -> Tree {
        sections.push(at.entry("Resources", Tree::map(at.0, self.resources)));
        Tree::map(at.0, sections)
    }
}

/// Joins two values as the framework does it: maps key by key, of anything else the later counts.
pub(super) fn merge(into: &mut Tree, from: Tree) {
    match (&mut into.value, from.value) {
        (Value::Map(there), Value::Map(new)) => {
            let by_key: BTreeMap<String, usize> =
                there.iter().zip(0..).map(|(entry, at)| (entry.key.clone(), at)).collect();
            for entry in new {
                match by_key.get(&entry.key).and_then(|at| there.get_mut(*at)) {
                    Some(old) => merge(&mut old.value, entry.value),
                    None => there.push(entry),
                }
            }
        }
        (there, value) => {
            *there = value;
            into.span = from.span;
        }
    }
}

/// Adds to the list at keys below a map; what is missing on the way is made.
pub(super) fn push(tree: &mut Tree, keys: &[&str], item: Tree) {
    let at = At(tree.span);
    let Some((key, rest)) = keys.split_first() else {
        match &mut tree.value {
            Value::List(items) => items.push(item),
            value => *value = Value::List(vec![item]),
        }
        return;
    };
    if !matches!(tree.value, Value::Map(_)) {
        tree.value = Value::Map(Vec::new());
    }
    let Value::Map(entries) = &mut tree.value else { return };
    if !entries.iter().any(|entry| entry.key == *key) {
        entries.push(at.entry(*key, Tree { value: Value::Null, span: item.span }));
    }
    if let Some(entry) = entries.iter_mut().find(|entry| entry.key == *key) {
        push(&mut entry.value, rest, item);
    }
}
