//! Parameters, mappings, conditions and intrinsic functions: a template becomes a [`Stack`].

use super::{Stack, reading::Reading, sam};
use crate::document::{FileId, Tree};

/// The stacks of a template: its own, then those nested in it.
pub(crate) fn stack(tree: &Tree, file: FileId, reading: &mut Reading<'_>) -> Vec<Stack> {
    let name = reading.files.name(file).to_string();
    let stack = Stack { name, file, resources: Vec::new(), exports: Vec::new() };
    vec![sam::lower(stack, tree.get("Globals"), &mut reading.problems)]
}
