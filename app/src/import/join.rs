//! What one stack names of another: imports of exports, outputs of nested stacks.

use std::collections::BTreeMap;

use super::Stack;
use crate::document::{Piece, Reference, TEXT_BYTES, Tree, Unknown, Value};

/// The stack of references that are imports until they are joined: their resource is the export's name.
pub(super) const IMPORT: &str = "Fn::ImportValue";

/// How many exports and outputs may name one another in a row.
const CHAIN_MAX: usize = 16;

/// Values that may come from other stacks in one run.
const JOINED_MAX: usize = 2_000_000;

/// Puts what other stacks say in the place of imports and of nested stacks' outputs.
pub(super) fn join(stacks: &mut [Stack]) {
    let mut joined = Joined { given: Given::of(stacks), spent: 0 };
    for stack in stacks {
        let name = stack.name.clone();
        for resource in &mut stack.resources {
            joined.tree(&mut resource.properties, &name, 0);
            if let Some(connectors) = &mut resource.metadata {
                joined.tree(connectors, &name, 0);
            }
        }
        for (_, value) in stack.exports.iter_mut().chain(&mut stack.outputs) {
            joined.tree(value, &name, 0);
        }
    }
}

/// What stacks give to others.
struct Given {
    /// By name; `None`: several stacks export it.
    exports: BTreeMap<String, Option<Tree>>,
    /// Outputs by the stack around, the nested stack's logical id and the output's name.
    outputs: BTreeMap<(String, String, String), Tree>,
    /// Nested stacks that were read, by the stack around and their logical ids.
    nested: BTreeMap<(String, String), String>,
}

impl Given {
    fn of(stacks: &[Stack]) -> Given {
        let mut given = Given { exports: BTreeMap::new(), outputs: BTreeMap::new(), nested: BTreeMap::new() };
        let mut around: BTreeMap<&str, (&str, &str)> = BTreeMap::new();
        for stack in stacks {
            for (id, name) in &stack.nested {
                around.insert(name, (&stack.name, id));
                given.nested.insert((stack.name.clone(), id.clone()), name.clone());
            }
        }
        for stack in stacks {
            let own = |value: &Tree| {
                let mut value = value.clone();
                rebase(&mut value, &stack.name);
                value
            };
            for (name, value) in &stack.exports {
                let value = own(value);
                given.exports.entry(name.clone()).and_modify(|known| *known = None).or_insert(Some(value));
            }
            let Some((outer, id)) = around.get(stack.name.as_str()) else { continue };
            for (name, value) in &stack.outputs {
                given.outputs.insert(((*outer).to_string(), (*id).to_string(), name.clone()), own(value));
            }
        }
        given
    }
}

struct Joined {
    given: Given,
    spent: usize,
}

impl Joined {
    fn tree(&mut self, tree: &mut Tree, stack: &str, depth: usize) {
        match &mut tree.value {
            Value::Reference(reference) => {
                if let Some(value) = self.of(reference, stack, depth) {
                    tree.value = value;
                }
            }
            Value::Pieces(pieces) => {
                let elsewhere = |piece: &Piece| match piece {
                    Piece::Reference(reference) => is_elsewhere(reference),
                    Piece::Literal(_) | Piece::Unknown(_) => false,
                };
                if pieces.iter().any(elsewhere) {
                    tree.value = self.pieces(std::mem::take(pieces), stack, depth);
                }
            }
            Value::List(items) => items.iter_mut().for_each(|item| self.tree(item, stack, depth)),
            Value::Map(entries) => {
                entries.iter_mut().for_each(|entry| self.tree(&mut entry.value, stack, depth));
            }
            Value::Unknown(unknown) => {
                unknown.one_of.iter_mut().for_each(|one| self.tree(one, stack, depth));
            }
            _ => {}
        }
    }

    /// What another stack gives for a reference. `None`: it is an ordinary one.
    fn of(&mut self, reference: &Reference, stack: &str, depth: usize) -> Option<Value> {
        if !is_elsewhere(reference) {
            return None;
        }
        let unknown = |why: String| Some(Value::Unknown(Unknown { why, one_of: Vec::new() }));
        let mut tree = if reference.stack.as_deref() == Some(IMPORT) {
            match self.given.exports.get(&reference.resource) {
                Some(Some(tree)) => tree.clone(),
                Some(None) => return unknown(format!("several stacks export {}", reference.resource)),
                None => return unknown(format!("no file here exports {}", reference.resource)),
            }
        } else {
            let output = reference.attribute.as_deref()?.strip_prefix("Outputs.")?;
            let around = reference.stack.as_deref().unwrap_or(stack);
            let nested = (around.to_string(), reference.resource.clone());
            if !self.given.nested.contains_key(&nested) {
                return None;
            }
            match self.given.outputs.get(&(nested.0, nested.1, output.to_string())) {
                Some(tree) => tree.clone(),
                None => return unknown(format!("{} has no output {output}", reference.resource)),
            }
        };
        self.spent += weight(&tree);
        if depth >= CHAIN_MAX || self.spent > JOINED_MAX {
            return unknown("stacks name one another without end".to_string());
        }
        // Its references say which stack they are of.
        self.tree(&mut tree, stack, depth + 1);
        Some(tree.value)
    }

    fn pieces(&mut self, pieces: Vec<Piece>, stack: &str, depth: usize) -> Value {
        let mut done: Vec<Piece> = Vec::with_capacity(pieces.len());
        let literal = |done: &mut Vec<Piece>, text: &str| match done.last_mut() {
            Some(Piece::Literal(last)) => last.push_str(text),
            _ => done.push(Piece::Literal(text.to_string())),
        };
        for piece in pieces {
            let reference = match piece {
                Piece::Literal(text) => {
                    literal(&mut done, &text);
                    continue;
                }
                Piece::Unknown(_) => {
                    done.push(piece);
                    continue;
                }
                Piece::Reference(reference) => reference,
            };
            match self.of(&reference, stack, depth) {
                None => done.push(Piece::Reference(reference)),
                Some(Value::Text(text)) => literal(&mut done, &text),
                Some(Value::Integer(number)) => literal(&mut done, &number.to_string()),
                Some(Value::Bool(is)) => literal(&mut done, &is.to_string()),
                Some(Value::Reference(reference)) => done.push(Piece::Reference(reference)),
                Some(Value::Pieces(inner)) => done.extend(inner),
                Some(Value::Unknown(unknown)) => done.push(Piece::Unknown(unknown)),
                Some(_) => {
                    let why = "a list or map stands where a text must".to_string();
                    done.push(Piece::Unknown(Unknown { why, one_of: Vec::new() }));
                }
            }
        }
        match done.as_slice() {
            [Piece::Literal(text)] => Value::Text(text.clone()),
            _ => Value::Pieces(done),
        }
    }
}

/// Whether a reference can be to what another stack gives.
fn is_elsewhere(reference: &Reference) -> bool {
    let output = reference.attribute.as_deref().is_some_and(|name| name.starts_with("Outputs."));
    output || reference.stack.as_deref() == Some(IMPORT)
}

fn weight(tree: &Tree) -> usize {
    let mut weight = 0;
    tree.visit(&mut |tree| weight += 1 + tree.as_str().map_or(0, str::len) / TEXT_BYTES);
    weight
}

/// Makes every reference inside one that can be read from another stack.
pub(super) fn rebase(tree: &mut Tree, stack: &str) {
    let set = |reference: &mut Reference| {
        if reference.stack.is_none() {
            reference.stack = Some(stack.to_string());
        }
    };
    match &mut tree.value {
        Value::Reference(reference) => set(reference),
        Value::Pieces(pieces) => {
            for piece in pieces {
                match piece {
                    Piece::Reference(reference) => set(reference),
                    Piece::Unknown(unknown) => unknown.one_of.iter_mut().for_each(|t| rebase(t, stack)),
                    Piece::Literal(_) => {}
                }
            }
        }
        Value::List(items) => items.iter_mut().for_each(|item| rebase(item, stack)),
        Value::Map(entries) => entries.iter_mut().for_each(|entry| rebase(&mut entry.value, stack)),
        Value::Unknown(unknown) => unknown.one_of.iter_mut().for_each(|tree| rebase(tree, stack)),
        Value::Null | Value::Bool(_) | Value::Integer(_) | Value::Float(_) | Value::Text(_) => {}
    }
}
