//! Names that only SAM knows: `!Ref Function.Alias`, `!GetAtt Function.DestinationQueue.Arn`.

use std::collections::BTreeMap;

use crate::document::{Piece, Reference, Tree, Value};

/// Gives references the ids of what was made.
pub(super) fn rename(tree: &mut Tree, names: &BTreeMap<(String, String), String>) {
    match &mut tree.value {
        Value::Reference(reference) => rename_one(reference, names),
        Value::Pieces(pieces) => {
            for piece in pieces {
                if let Piece::Reference(reference) = piece {
                    rename_one(reference, names);
                }
            }
        }
        Value::List(items) => items.iter_mut().for_each(|item| rename(item, names)),
        Value::Map(entries) => entries.iter_mut().for_each(|entry| rename(&mut entry.value, names)),
        Value::Unknown(unknown) => unknown.one_of.iter_mut().for_each(|one| rename(one, names)),
        _ => {}
    }
}

/// The property stands behind the resource's id (`Ref`), or before the attribute's name (`Fn::GetAtt`).
fn rename_one(reference: &mut Reference, names: &BTreeMap<(String, String), String>) {
    if reference.stack.is_some() {
        return;
    }
    if let Some((resource, property)) = reference.resource.split_once('.') {
        if let Some(made) = names.get(&(resource.to_string(), property.to_string())) {
            reference.resource.clone_from(made);
        }
        return;
    }
    let Some(attribute) = &reference.attribute else { return };
    let (property, attribute) = match attribute.split_once('.') {
        Some((property, attribute)) => (property, Some(attribute.to_string())),
        // `${Function.Alias}` in a text can only be `Ref`.
        None => (attribute.as_str(), None),
    };
    if let Some(made) = names.get(&(reference.resource.clone(), property.to_string())) {
        reference.resource.clone_from(made);
        reference.attribute = attribute;
    }
}
