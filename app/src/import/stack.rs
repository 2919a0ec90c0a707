//! Plain resources, whatever file they are from.

use crate::document::{FileId, Span, Tree};

/// A template after its parameters, mappings and conditions are done: what is deployed as one.
#[derive(Debug, Clone)]
pub struct Stack {
    /// What people are told, where there are several: the file's name, or the stack's. No two of a run are alike.
    pub name: String,
    /// The file.
    pub file: FileId,
    /// Resources in the order of the file; those made by a transform stand behind what they were made for.
    pub resources: Vec<Resource>,
    /// `Outputs` with an `Export`: the exported name and the value.
    pub exports: Vec<(String, Tree)>,
    /// `Outputs`, by their names.
    pub outputs: Vec<(String, Tree)>,
    /// Nested stacks that are read too: the logical id here, and [`Stack::name`] of the nested one.
    pub nested: Vec<(String, String)>,
}

/// A resource whose properties hold no intrinsic functions any more: they are values, references or unknown.
#[derive(Debug, Clone)]
pub struct Resource {
    /// Its logical id.
    pub id: String,
    /// `AWS::SQS::Queue`.
    pub resource_type: String,
    /// Its properties; a map, empty where it has none.
    pub properties: Tree,
    /// `Metadata`.
    pub metadata: Option<Tree>,
    /// Where its key stands.
    pub span: Span,
    /// The condition under which it exists, where that is not known. Where it is known not to exist, it is not here.
    pub conditional: Option<String>,
    /// The logical id of the resource that a transform made it for.
    pub made_for: Option<String>,
    /// Reasons of suppressions by rule code, `*` for every rule: of comments `# flyball: allow CODE because REASON`
    /// and of `Metadata.flyball.allow`.
    pub allowed: Vec<(String, String)>,
    /// SAM's `Connectors`, written into a resource beside its properties; lowering takes it.
    pub connectors: Option<Tree>,
    /// SAM's `IgnoreGlobals`; lowering takes it.
    pub ignore_globals: Option<Tree>,
}

impl Stack {
    /// The resource with a logical id.
    pub fn resource(&self, id: &str) -> Option<&Resource> {
        self.resources.iter().find(|resource| resource.id == id)
    }
}
