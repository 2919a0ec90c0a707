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
//! - `join`: what stacks name of one another: exports, outputs. `packaged`: local files in the place of their paths.
//! - `samconfig`: what `samconfig.toml` says. `allow`: suppressions. `kind`: which kind of file one is.
//! - `own`: `flyball.toml` becomes a design without a detour.
//! - `reading`: what is at hand while files are read: their texts, options, files that they name, problems.

mod allow;
mod cdk;
mod cloudformation;
mod join;
mod kind;
mod machine;
mod own;
mod packaged;
mod reading;
mod sam;
mod samconfig;
mod serverless;
mod stack;
mod wire;

pub use stack::{Resource, Stack};

use std::collections::BTreeMap;

use crate::{
    design::Design,
    document::{FileId, Span},
};
use kind::Kind;
use reading::Reading;

/// Problems of one run that are told; a hostile file has more.
pub const PROBLEMS_MAX: usize = 1_000;

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
    let files: Vec<FileId> = inputs.into_iter().map(|input| reading.add(&input.name, input.text)).collect();
    let mut found = Vec::new();
    for file in files {
        if let Some((kind, tree)) = kind::of(file, &mut reading) {
            found.push((kind, tree, file));
        }
    }
    // Those that name others come first; what another names is read where it is named.
    found.sort_by_key(|(kind, _, _)| *kind);
    let nested = kind::nested(&found, &reading);
    let (mut stacks, mut own, mut read) = (Vec::new(), None, 0);
    let mut late = Vec::new();
    for (kind, tree, file) in found {
        if kind == Kind::Template && nested.contains(&file) {
            late.push((tree, file));
            continue;
        }
        if reading.is_taken(file) {
            read += usize::from(kind != Kind::Other);
            continue;
        }
        read += usize::from(kind != Kind::Other);
        match kind {
            Kind::Assembly => stacks.extend(cdk::stacks(&tree, file, &mut reading)),
            Kind::Composition => stacks.extend(serverless::composed(&tree, file, &mut reading)),
            Kind::Serverless => stacks.extend(serverless::stacks(&tree, file, &mut reading)),
            Kind::Template => stacks.extend(cloudformation::stack(&tree, file, &mut reading)),
            Kind::Own => own = Some((file, own::design(&reading.files, file, &mut reading.problems))),
            Kind::Configuration => {}
            Kind::Other => kind::report(&tree, file, &mut reading),
        }
    }
    for (tree, file) in late {
        read += 1;
        if !reading.is_taken(file) {
            stacks.extend(cloudformation::stack(&tree, file, &mut reading));
        }
    }
    reading.report_unused();
    finish(stacks, own, read, reading)
}

fn finish(
    mut stacks: Vec<Stack>,
    own: Option<(FileId, Option<Design>)>,
    mut read: usize,
    mut reading: Reading<'_>,
) -> Imported {
    let own = match own {
        Some((file, _)) if !stacks.is_empty() => {
            let span = Span { file, start: 0, end: 0 };
            let message = "this application is Flyball's, and the other files are for AWS".to_string();
            reading.problem("FE3115", span, message, "check it alone: this run leaves it out");
            read -= 1;
            None
        }
        // It could not be read, and problems say why.
        Some((_, None)) => {
            read -= 1;
            None
        }
        Some((_, design)) => design,
        None => None,
    };
    let Reading { files, mut problems, unresolved, .. } = reading;
    let mut design = match own {
        Some(design) => design,
        None => {
            join::join(&mut stacks);
            wire::draw(files, stacks, &mut problems)
        }
    };
    design.unresolved.extend(unresolved);
    problems.sort_by(|a, b| (a.span, a.code, &a.message).cmp(&(b.span, b.code, &b.message)));
    problems.dedup();
    problems.truncate(PROBLEMS_MAX);
    Imported { design, problems, read }
}
