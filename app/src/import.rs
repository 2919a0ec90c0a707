//! Others' files (and our own) as a [`Design`].
//!
//! Every kind of file goes the same way: its own transform is done as its own tool does it, which leaves plain
//! CloudFormation resources ([`Stack`]); then one module, `wire`, draws the edges, whatever the file was.
//!
//! - [`import`]: the door.
//! - `cloudformation`: parameters, mappings, conditions and intrinsic functions: a document becomes a [`Stack`].
//! - `sam`: `AWS::Serverless::*` become plain resources, as AWS's translator makes them.
//! - `serverless`: `serverless.yml` becomes a stack, as the Serverless Framework makes it.
//! - `cdk`: which templates a `cdk.out` has.
//! - `machine`: the states of a state machine's definition.
//! - `wire`: resources become nodes and edges.
//! - `own`: `flyball.toml` becomes a design without a detour.
//! - `reading`: what is at hand while files are read: their texts, options, files that they name, problems.

mod cdk;
mod cloudformation;
mod machine;
mod own;
mod reading;
mod sam;
mod serverless;
mod stack;
mod wire;

pub use stack::{Resource, Stack};

use std::collections::BTreeMap;

use crate::{design::Design, document::Span};
use reading::Reading;

/// A file to read: its name and its text.
#[derive(Debug, Clone)]
pub struct Input {
    /// The path as people are told it, with slashes.
    pub name: String,
    /// The text.
    pub text: String,
}

/// What stands in for what a deployment would be told.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Values of parameters, which go before their defaults and those of `samconfig.toml`.
    pub parameters: BTreeMap<String, String>,
    /// The Serverless Framework's `--stage`; also the section of `samconfig.toml`.
    pub stage: Option<String>,
    /// `AWS::Region`; not known where nothing says.
    pub region: Option<String>,
}

/// Something that is wrong with a file, or could not be read of it; the rest was read.
#[derive(Debug, Clone, PartialEq)]
pub struct Problem {
    /// `FE3101`...: each has a page in `docs/errors/`.
    pub code: &'static str,
    /// Where.
    pub span: Span,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub help: String,
}

/// What was read.
#[derive(Debug, Default)]
pub struct Imported {
    /// The graph over all files.
    pub design: Design,
    /// What is wrong with the files.
    pub problems: Vec<Problem>,
    /// How many of the inputs could be read.
    pub read: usize,
}

/// Reads files that belong to one system and draws its graph. `local` is asked for files that these name (state
/// machine definitions, OpenAPI documents, nested templates, `samconfig.toml`): by a path that begins where the
/// inputs' names do, so that `functions/a.asl.json` in `shop/template.yaml` is `shop/functions/a.asl.json`.
///
/// Never fails: what is wrong is among [`Imported::problems`], and the rest is read.
pub fn import(inputs: Vec<Input>, options: &Options, local: &dyn Fn(&str) -> Option<String>) -> Imported {
    let mut reading = Reading::new(options, local);
    let mut stacks = Vec::new();
    let mut read = 0;
    for input in inputs {
        let file = reading.files.add(&input.name, input.text);
        let Some(tree) = reading.parse(file) else { continue };
        read += 1;
        if tree.get("Resources").is_some() {
            stacks.extend(cloudformation::stack(&tree, file, &mut reading));
        } else if input.name.ends_with("manifest.json") {
            stacks.extend(cdk::stacks(&tree, file, &mut reading));
        } else if serverless::is_compose(&input.name, &tree) {
            stacks.extend(serverless::composed(&tree, file, &mut reading));
        } else if tree.get("provider").is_some() {
            stacks.extend(serverless::stacks(&tree, file, &mut reading));
        } else if let Some(design) = own::design(&reading.files, file, &mut reading.problems) {
            return Imported { design, problems: reading.problems, read };
        }
    }
    let Reading { files, mut problems, unresolved, .. } = reading;
    let mut design = wire::draw(files, stacks, &mut problems);
    design.unresolved.extend(unresolved);
    Imported { design, problems, read }
}
