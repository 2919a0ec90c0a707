//! Others' files (and our own) as a [`Design`].
//!
//! Every kind of file goes the same way: its own transform is done as its own tool does it, which leaves plain
//! CloudFormation resources ([`Stack`]); then one module, `wire`, draws the edges, whatever the file was.
//!
//! - [`import`]: the door. [`stacks`]: the same as far as plain resources.
//! - `cloudformation`: parameters, mappings, conditions and intrinsic functions: a document becomes a [`Stack`].
//! - `sam`: `AWS::Serverless::*` become plain resources, as AWS's translator makes them.
//! - `serverless`: `serverless.yml` becomes a stack, as the Serverless Framework makes it.
//! - `cdk`: which templates a `cdk.out` has. `terraform`: a plan becomes a stack.
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
mod terraform;
mod wire;

pub use stack::{Resource, Stack};

use std::{collections::BTreeMap, rc::Rc};

use crate::{
    design::{Design, Unresolved},
    document::{FileId, Files, Span, Tree},
};
use kind::Kind;
use reading::Reading;

/// Problems of one run that are told; a hostile file has more.
pub const PROBLEMS_MAX: usize = 1_000;

/// Characters of a problem's message that are told.
const PROBLEM_CHARS_MAX: usize = 1_000;

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

/// Plain resources of files that belong together, before a graph is drawn of them.
#[derive(Debug, Default)]
pub struct Stacks {
    /// The texts that spans point into.
    pub files: Files,
    /// The stacks, those nested in others too.
    pub stacks: Vec<Stack>,
    /// What is wrong with the files.
    pub problems: Vec<Problem>,
    /// How many of the inputs could be read.
    pub read: usize,
    unresolved: Vec<Unresolved>,
    /// The design of a `flyball.toml`.
    own: Option<Design>,
}

/// Reads files that belong to one system and draws its graph. `local` is asked for files that these name (state
/// machine definitions, OpenAPI documents, nested templates, `samconfig.toml`): by a path that begins where the
/// inputs' names do, so that `functions/a.asl.json` in `shop/template.yaml` is `shop/functions/a.asl.json`.
///
/// Never fails: what is wrong is among [`Imported::problems`], and the rest is read.
pub fn import(inputs: Vec<Input>, options: &Options, local: &dyn Fn(&str) -> Option<String>) -> Imported {
    let Stacks { files, stacks, mut problems, read, unresolved, own } = stacks(inputs, options, local);
    let mut design = own.unwrap_or_else(|| wire::draw(files, stacks, &mut problems));
    design.unresolved.extend(unresolved);
    problems.sort_by(|a, b| (a.span, a.code, &a.message).cmp(&(b.span, b.code, &b.message)));
    problems.dedup();
    problems.truncate(PROBLEMS_MAX);
    for problem in &mut problems {
        (problem.message, problem.help) = (told(&problem.message), told(&problem.help));
    }
    Imported { design, problems, read }
}

/// What names of the files stand in can hold anything: it is cut, and control characters reach neither a terminal nor
/// a log.
fn told(text: &str) -> String {
    let shown = |char: char| if char.is_control() { '\u{fffd}' } else { char };
    text.chars().map(shown).take(PROBLEM_CHARS_MAX).collect()
}

/// Reads files as [`import`] does, as far as their plain resources: parameters, conditions and functions are
/// resolved, transforms are done, and what stacks name of one another is joined.
pub fn stacks(inputs: Vec<Input>, options: &Options, local: &dyn Fn(&str) -> Option<String>) -> Stacks {
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
    let is_late =
        |(kind, _, file): &(Kind, Rc<Tree>, FileId)| *kind == Kind::Template && nested.contains(file);
    let (late, early): (Vec<_>, Vec<_>) = found.into_iter().partition(is_late);
    let (mut stacks, mut own, mut read) = (Vec::new(), None, 0);
    for (kind, tree, file) in early.into_iter().chain(late) {
        read += usize::from(kind != Kind::Other);
        if reading.is_taken(file) {
            continue;
        }
        match kind {
            Kind::Assembly => stacks.extend(cdk::stacks(&tree, file, &mut reading)),
            Kind::Composition => stacks.extend(serverless::composed(&tree, file, &mut reading)),
            Kind::Serverless => stacks.extend(serverless::stacks(&tree, file, &mut reading)),
            Kind::Plan => stacks.push(terraform::stack(&tree, file, &mut reading)),
            Kind::Template => stacks.extend(cloudformation::stack(&tree, file, &mut reading)),
            Kind::Own => own = Some(file),
            Kind::Configuration => {}
            Kind::Other => kind::report(&tree, &mut reading),
        }
    }
    reading.report_unused();
    join::join(&mut stacks);
    let design = own.and_then(|file| own_design(file, &stacks, &mut reading));
    read -= usize::from(own.is_some() && design.is_none());
    let Reading { files, problems, unresolved, .. } = reading;
    Stacks { files, stacks, problems, read, unresolved, own: design }
}

/// The design of a `flyball.toml`, which can't be part of another.
fn own_design(file: FileId, stacks: &[Stack], reading: &mut Reading<'_>) -> Option<Design> {
    if stacks.is_empty() {
        return own::design(&reading.files, file, &mut reading.problems);
    }
    let span = Span { file, start: 0, end: 0 };
    let message = "this application is Flyball's, and the other files are for AWS".to_string();
    reading.problem("FE3115", span, message, "check it alone: this run leaves it out");
    None
}
