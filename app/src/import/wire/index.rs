//! Resources by logical id and by physical name.

use std::collections::BTreeMap;

use super::{lead::SERVICES, pattern::Pattern};
use crate::import::{Resource, Stack};

/// Resources with the same physical name that are kept: more than one is of use only under conditions.
const ALIKE_MAX: usize = 8;

/// A resource of one run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct At {
    stack: usize,
    resource: usize,
}

impl At {
    /// Which stack it is from.
    pub(super) fn stack(self) -> usize {
        self.stack
    }
}

/// Made once, so that no look-up goes over all resources.
pub(super) struct Index<'s> {
    stacks: &'s [Stack],
    all: Vec<At>,
    stack_names: BTreeMap<&'s str, usize>,
    ids: BTreeMap<(usize, &'s str), At>,
    /// By service and name.
    names: BTreeMap<(&'static str, String), Vec<At>>,
    name_of: BTreeMap<At, String>,
}

impl<'s> Index<'s> {
    pub(super) fn new(stacks: &'s [Stack]) -> Index<'s> {
        let mut index = Index {
            stacks,
            all: Vec::new(),
            stack_names: stacks
                .iter()
                .zip(0..)
                .map(|(stack, number)| (stack.name.as_str(), number))
                .collect(),
            ids: BTreeMap::new(),
            names: BTreeMap::new(),
            name_of: BTreeMap::new(),
        };
        let properties: BTreeMap<&str, (&'static str, &str)> =
            SERVICES.iter().map(|service| (service.resource_type, (service.key, service.name))).collect();
        for (stack, of) in stacks.iter().enumerate() {
            for (number, resource) in of.resources.iter().enumerate() {
                let at = At { stack, resource: number };
                index.all.push(at);
                index.ids.entry((stack, resource.id.as_str())).or_insert(at);
                if let Some((service, property)) = properties.get(resource.resource_type.as_str()) {
                    index.add_name(at, service, property);
                }
            }
        }
        index
    }

    fn add_name(&mut self, at: At, service: &'static str, property: &str) {
        let Some(name) = self.resource(at).properties.get(property) else { return };
        if let Some(text) = name.as_str() {
            self.name_of.insert(at, text.to_string());
        }
        if let Some(name) = Pattern::of(name).and_then(|pattern| pattern.name(at.stack)) {
            let name = name.trim_start_matches('/').to_string();
            let named = self.names.entry((service, name)).or_default();
            if named.len() < ALIKE_MAX {
                named.push(at);
            }
        }
    }

    /// Every resource, in the order of the files.
    pub(super) fn all(&self) -> Vec<At> {
        self.all.clone()
    }

    /// A resource.
    #[expect(clippy::indexing_slicing, reason = "only `new` makes an `At`, and stacks are not changed")]
    pub(super) fn resource(&self, at: At) -> &'s Resource {
        &self.stacks[at.stack].resources[at.resource]
    }

    /// The resource with a logical id, in a stack.
    pub(super) fn by_id(&self, stack: usize, id: &str) -> Option<At> {
        self.ids.get(&(stack, id)).copied()
    }

    /// The stack with a name.
    pub(super) fn stack(&self, name: &str) -> Option<usize> {
        self.stack_names.get(name).copied()
    }

    /// The resources of a service with a physical name. Those of the stack that asks go before others'.
    pub(super) fn by_name(&self, stack: usize, service: &str, name: &str) -> Vec<At> {
        let service = SERVICES.iter().find(|row| row.key == service).map_or("", |row| row.key);
        let found = self.names.get(&(service, name.trim_start_matches('/').to_string()));
        let found = found.map(Vec::as_slice).unwrap_or_default();
        let own: Vec<At> = found.iter().copied().filter(|at| at.stack == stack).collect();
        if own.is_empty() { found.to_vec() } else { own }
    }

    /// A resource's physical name, where the file says it whole.
    pub(super) fn name_of(&self, at: At) -> Option<String> {
        self.name_of.get(&at).cloned()
    }
}
