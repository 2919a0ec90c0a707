//! The templates of a `cdk.out`.
//!
//! The manifest names them, and the assemblies inside of it (a stage's). Nested stacks name their templates
//! themselves, and stacks refer to one another by exports: both are read like those of any other template.

use std::{collections::BTreeMap, rc::Rc};

use super::{Stack, cloudformation, reading::Reading};
use crate::document::{Entry, FileId, Tree, Value};

/// How deep assemblies may lie in one another.
const DEPTH_MAX: usize = 8;

/// Assemblies and stacks of one manifest that are read.
const ARTIFACTS_MAX: usize = 10_000;

/// Where a resource is in the construct tree.
const PATH: &str = "aws:cdk:path";

/// The stacks of a `manifest.json`: those of its templates and of the assemblies in it.
pub(crate) fn stacks(tree: &Tree, file: FileId, reading: &mut Reading<'_>) -> Vec<Stack> {
    let mut left = ARTIFACTS_MAX;
    assembly(tree, file, reading, DEPTH_MAX, &mut left)
}

fn assembly(
    tree: &Tree,
    file: FileId,
    reading: &mut Reading<'_>,
    depth: usize,
    left: &mut usize,
) -> Vec<Stack> {
    let mut stacks = Vec::new();
    for artifact in tree.get("artifacts").map(Tree::entries).unwrap_or_default() {
        let of = |keys: &[&str]| artifact.value.at(keys).filter(|tree| tree.as_str().is_some());
        match of(&["type"]).and_then(Tree::as_str) {
            Some("aws:cloudformation:stack") => {
                let Some(path) = of(&["properties", "templateFile"]) else { continue };
                let Some((template, tree)) = named(path, file, reading, left) else { continue };
                let mut made = cloudformation::stack(&tree, template, reading);
                // A template can be synthesized without the paths of its constructs: the manifest has them, too.
                let paths = paths(&artifact.value, file, reading);
                for resource in made.iter_mut().take(1).flat_map(|stack| &mut stack.resources) {
                    let path = paths.get(&resource.id);
                    let has_one = resource.metadata.as_ref().is_some_and(|tree| tree.get(PATH).is_some());
                    if let Some(path) = path.filter(|_| !has_one) {
                        let path = Tree::text(resource.span, path.clone());
                        let entry = Entry { key: PATH.into(), key_span: resource.span, value: path };
                        match &mut resource.metadata {
                            Some(Tree { value: Value::Map(entries), .. }) => entries.push(entry),
                            other => *other = Some(Tree::map(resource.span, vec![entry])),
                        }
                    }
                }
                stacks.append(&mut made);
            }
            Some("cdk:cloud-assembly") if depth > 0 => {
                let Some(directory) = of(&["properties", "directoryName"]) else { continue };
                let path = format!("{}/manifest.json", directory.as_str().unwrap_or(""));
                let path = Tree::text(directory.span, path);
                let Some((manifest, tree)) = named(&path, file, reading, left) else { continue };
                stacks.append(&mut assembly(&tree, manifest, reading, depth - 1, left));
            }
            _ => {}
        }
    }
    stacks
}

/// A file that a manifest names. What is missing becomes a problem.
fn named(
    path: &Tree,
    from: FileId,
    reading: &mut Reading<'_>,
    left: &mut usize,
) -> Option<(FileId, Rc<Tree>)> {
    *left = left.checked_sub(1)?;
    reading.local_file_tree(from, path.as_str()?, path.span)
}

/// The construct path of each logical id, as the manifest has it.
fn paths(artifact: &Tree, file: FileId, reading: &mut Reading<'_>) -> BTreeMap<String, String> {
    let mut paths = of_metadata(artifact.get("metadata"));
    let elsewhere = artifact.get("additionalMetadataFile").and_then(Tree::as_str);
    if let Some(file) = elsewhere.and_then(|path| reading.local(file, path))
        && let Some(tree) = reading.tree(file)
    {
        paths.append(&mut of_metadata(Some(&tree)));
    }
    paths
}

fn of_metadata(metadata: Option<&Tree>) -> BTreeMap<String, String> {
    let entries = metadata.map(Tree::entries).unwrap_or_default();
    let of_entry = |entry: &Entry| {
        let is_id = |item: &&Tree| item.get("type").and_then(Tree::as_str) == Some("aws:cdk:logicalId");
        let id = entry.value.items().iter().find(is_id)?.get("data")?.as_str()?.to_string();
        Some((id, entry.key.trim_start_matches('/').to_string()))
    };
    entries.iter().filter_map(of_entry).collect()
}

#[cfg(test)]
mod tests {
    use crate::import::{Input, Options, import};

    #[test]
    fn assemblies_that_name_themselves_end() {
        let manifest = r#"{"version": "1", "artifacts": {
            "A": {"type": "cdk:cloud-assembly", "properties": {"directoryName": "."}},
            "B": {"type": "cdk:cloud-assembly", "properties": {"directoryName": "."}}}}"#;
        let input = Input { name: "cdk.out/manifest.json".into(), text: manifest.into() };
        let local = |path: &str| path.ends_with("manifest.json").then(|| manifest.to_string());
        let imported = import(vec![input], &Options::default(), &local);
        assert!(imported.problems.is_empty(), "{:?}", imported.problems);
        assert_eq!(imported.read, 1);
    }
}
