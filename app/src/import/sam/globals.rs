//! The `Globals` section: what a template's functions and APIs have in common.

use super::Lowering;
use crate::document::{Entry, Tree, Value};

/// Values that globals may add to all resources together: a small section with many resources stays bounded.
const ADDED_MAX: usize = 4_000_000;

/// The section, and how much of it may still be added.
pub(super) struct Globals<'a> {
    section: Option<&'a Tree>,
    left: usize,
    told: bool,
}

impl<'a> Globals<'a> {
    pub fn new(section: Option<&'a Tree>) -> Globals<'a> {
        Globals { section, left: ADDED_MAX, told: false }
    }
}

/// A resource's properties with those that the globals give to its type: maps are merged, lists joined with the
/// globals' first, and of anything else the resource's own is taken.
pub(super) fn merged(sam: &mut Lowering<'_>, kind: &str, own: Tree, ignored: Option<&Tree>) -> Tree {
    let Some(section) = sam.globals.section.and_then(|section| section.get(kind)) else { return own };
    if ignored.and_then(Tree::as_str) == Some("*") {
        return own;
    }
    let mut size = 0_usize;
    section.visit(&mut |_| size += 1);
    let Some(left) = sam.globals.left.checked_sub(size) else {
        if !sam.globals.told {
            sam.globals.told = true;
            let message = "`Globals` is too large for this many resources: the rest go without it";
            sam.wrong(section.span, message);
        }
        return own;
    };
    sam.globals.left = left;
    let ignored: Vec<&str> =
        ignored.map(Tree::items).unwrap_or_default().iter().filter_map(Tree::as_str).collect();
    let entries = section.entries().iter().filter(|entry| !ignored.contains(&entry.key.as_str()));
    let section = Tree::map(section.span, entries.cloned().collect());
    merge(section, own)
}

fn merge(global: Tree, own: Tree) -> Tree {
    match (global.value, own.value) {
        (Value::Map(globals), Value::Map(owns)) => {
            Tree { value: Value::Map(merge_maps(globals, owns)), span: own.span }
        }
        (Value::List(mut items), Value::List(more)) => {
            items.extend(more);
            Tree { value: Value::List(items), span: own.span }
        }
        (_, value) => Tree { value, span: own.span },
    }
}

/// Keys in the order of the globals, then those that only the resource has.
fn merge_maps(globals: Vec<Entry>, owns: Vec<Entry>) -> Vec<Entry> {
    let mut own: std::collections::BTreeMap<String, Entry> =
        owns.iter().map(|entry| (entry.key.clone(), entry.clone())).collect();
    let mut merged = Vec::with_capacity(globals.len() + owns.len());
    for global in globals {
        merged.push(match own.remove(&global.key) {
            Some(entry) => Entry { value: merge(global.value, entry.value), ..entry },
            None => global,
        });
    }
    merged.extend(owns.into_iter().filter(|entry| own.contains_key(&entry.key)));
    merged
}
