//! What is at hand while files are read.

#![allow(dead_code, reason = "what reads nested and local files comes with the next steps")]

use super::{Options, Problem};
use crate::design::Unresolved;
use crate::document::{FileId, Files, Format, Span, Tree, parse};

/// What is at hand while files are read.
pub(crate) struct Reading<'a> {
    /// The texts; those of files that others name join them.
    pub files: Files,
    /// What stands in for what a deployment would be told.
    pub options: &'a Options,
    /// What was found wrong so far.
    pub problems: Vec<Problem>,
    /// What the files leave open, and no resource shows.
    pub unresolved: Vec<Unresolved>,
    local: &'a dyn Fn(&str) -> Option<String>,
}

impl<'a> Reading<'a> {
    pub(crate) fn new(options: &'a Options, local: &'a dyn Fn(&str) -> Option<String>) -> Reading<'a> {
        Reading { files: Files::default(), options, problems: Vec::new(), unresolved: Vec::new(), local }
    }

    /// Notes a problem.
    pub(crate) fn problem(&mut self, code: &'static str, span: Span, message: String, help: &str) {
        self.problems.push(Problem { code, span, message, help: help.to_string() });
    }

    /// The tree of a file, by its name's ending; what is wrong with it becomes a problem.
    pub(crate) fn parse(&mut self, file: FileId) -> Option<Tree> {
        let name = self.files.name(file);
        let ends = |ending: &str| name.len() >= ending.len() && name.ends_with(ending);
        let format = if ends(".json") || ends(".asl") {
            Format::Json
        } else if ends(".toml") {
            Format::Toml
        } else {
            Format::Yaml
        };
        match parse(&self.files, file, format) {
            Ok(tree) => Some(tree),
            Err(error) => {
                self.problem("FE3101", error.span, error.message, &error.help);
                None
            }
        }
    }

    /// A file that `from` names, relative to it. `None`: there is none, and nobody was told.
    pub(crate) fn local(&mut self, from: FileId, path: &str) -> Option<FileId> {
        let folder = self.files.name(from).rsplit_once('/').map_or("", |(folder, _)| folder);
        let name = joined(folder, path)?;
        let text = (self.local)(&name)?;
        Some(self.files.add(&name, text))
    }
}

/// A path in a folder, without `.` and `..` where they can be left out. `None`: it is no relative path.
fn joined(folder: &str, path: &str) -> Option<String> {
    if path.is_empty() || path.starts_with('/') || path.contains("://") {
        return None;
    }
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    for part in path.split('/') {
        match (part, parts.last()) {
            ("" | ".", _) => {}
            ("..", Some(last)) if *last != ".." => drop(parts.pop()),
            (part, _) => parts.push(part),
        }
    }
    let root = if folder.starts_with('/') { "/" } else { "" };
    Some(format!("{root}{}", parts.join("/")))
}
