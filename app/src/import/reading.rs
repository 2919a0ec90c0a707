//! What is at hand while files are read.

use std::{collections::BTreeMap, collections::BTreeSet, rc::Rc};

use super::{Options, Problem, allow};
use crate::design::Unresolved;
use crate::document::{FileId, Files, Format, Parsed, Span, Tree, parse_all};

/// Values of files that others name, those that are named several times counted again.
const LOCAL_MAX: usize = 2_000_000;

/// Nested stacks in one run.
const NESTED_MAX: usize = 200;

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
    /// Files by name; `None`: asked for, and not there.
    names: BTreeMap<String, Option<FileId>>,
    /// What was parsed; `None`: it can't be, and a problem says why.
    trees: BTreeMap<FileId, Option<Rc<Tree>>>,
    comments: BTreeMap<FileId, Vec<allow::Comment>>,
    /// Files that others name.
    taken: BTreeSet<FileId>,
    missing: BTreeSet<String>,
    spent: usize,
    nested: usize,
}

impl<'a> Reading<'a> {
    pub(crate) fn new(options: &'a Options, local: &'a dyn Fn(&str) -> Option<String>) -> Reading<'a> {
        Reading {
            files: Files::default(),
            options,
            problems: Vec::new(),
            unresolved: Vec::new(),
            local,
            names: BTreeMap::new(),
            trees: BTreeMap::new(),
            comments: BTreeMap::new(),
            taken: BTreeSet::new(),
            missing: BTreeSet::new(),
            spent: 0,
            nested: 0,
        }
    }

    /// Keeps a file that was handed in.
    pub(crate) fn add(&mut self, name: &str, text: String) -> FileId {
        let id = self.files.add(name, text);
        self.names.insert(normal("", name).unwrap_or_else(|| name.to_string()), Some(id));
        id
    }

    /// Notes a problem.
    pub(crate) fn problem(&mut self, code: &'static str, span: Span, message: String, help: &str) {
        self.problems.push(Problem { code, span, message, help: help.to_string() });
    }

    /// The first document of a file; what is wrong with it becomes a problem, once.
    pub(crate) fn tree(&mut self, file: FileId) -> Option<Rc<Tree>> {
        if let Some(known) = self.trees.get(&file) {
            return known.clone();
        }
        let documents = self.documents(file);
        let tree = documents.and_then(|documents| documents.into_iter().next()).map(Rc::new);
        self.trees.insert(file, tree.clone());
        tree
    }

    /// The first document of a file as one's own; what is wrong with it becomes a problem, once.
    pub(crate) fn parse(&mut self, file: FileId) -> Option<Tree> {
        self.tree(file).map(|tree| Tree::clone(&tree))
    }

    /// The documents of a file; what is wrong with it becomes a problem. `None`: it can't be read.
    pub(crate) fn documents(&mut self, file: FileId) -> Option<Vec<Tree>> {
        match parsed(&self.files, file) {
            Ok(Parsed { documents, doubts }) => {
                if let Some(at) = self.files.text(file).find('\u{fffd}') {
                    let span = Span { file, start: small(at), end: small(at) };
                    let message = "here stand bytes that are no UTF-8; the rest is read".to_string();
                    self.problem("FE3102", span, message, "save the file as UTF-8");
                }
                for doubt in doubts {
                    self.problem("FE3104", doubt.span, doubt.message, &doubt.help);
                }
                Some(documents)
            }
            Err((code, error)) => {
                self.problem(code, error.span, error.message, &error.help);
                None
            }
        }
    }

    /// Keeps a file's tree.
    pub(super) fn keep(&mut self, file: FileId, tree: &Rc<Tree>) {
        self.trees.insert(file, Some(Rc::clone(tree)));
    }

    /// The file of a name, where it is known.
    pub(super) fn named(&self, name: &str) -> Option<FileId> {
        self.names.get(name).copied().flatten()
    }

    /// A file that `from` names, relative to it. `None`: there is none, and nobody was told.
    pub(crate) fn local(&mut self, from: FileId, path: &str) -> Option<FileId> {
        let folder = self.files.name(from).rsplit_once('/').map_or("", |(folder, _)| folder);
        let name = normal(folder, path)?;
        let known = match self.names.get(&name) {
            Some(known) => *known,
            None => {
                let id = (self.local)(&name).map(|text| self.files.add(&name, text));
                self.names.insert(name, id);
                id
            }
        };
        self.taken.extend(known);
        known
    }

    /// A local file and its first document; where it is not there, that is a problem.
    pub(crate) fn local_file_tree(
        &mut self,
        from: FileId,
        path: &str,
        span: Span,
    ) -> Option<(FileId, Rc<Tree>)> {
        let Some(file) = self.local(from, path) else {
            if self.missing.insert(path.to_string()) {
                let short: String = path.chars().filter(|c| !c.is_control()).take(200).collect();
                let message = format!("the file {short} is not here: what it says is not known");
                self.problem("FE3110", span, message, "correct the path: it is relative to this file");
            }
            return None;
        };
        Some((file, self.tree(file)?))
    }

    /// The tree of a local file; where it is not there, that is a problem.
    pub(crate) fn local_tree(&mut self, from: FileId, path: &str, span: Span) -> Option<Tree> {
        let (_, tree) = self.local_file_tree(from, path, span)?;
        let mut weight = 0;
        tree.visit(&mut |_| weight += 1);
        let before = self.spent;
        self.spent += weight;
        if self.spent <= LOCAL_MAX {
            return Some(Tree::clone(&tree));
        }
        if before <= LOCAL_MAX {
            let message = format!("the files that are named have more than {LOCAL_MAX} values");
            self.problem("FE3111", span, message, "from here on they are taken as not known");
        }
        None
    }

    /// Whether a file was named by another.
    pub(crate) fn is_taken(&self, file: FileId) -> bool {
        self.taken.contains(&file)
    }

    /// Whether another nested stack may be read; counts it.
    pub(super) fn may_nest(&mut self) -> bool {
        self.nested += 1;
        self.nested <= NESTED_MAX
    }

    /// The comments of a file that speak to us, in the order of lines.
    pub(super) fn comments(&mut self, file: FileId) -> &[allow::Comment] {
        self.comments_mut(file)
    }

    pub(super) fn comments_mut(&mut self, file: FileId) -> &mut [allow::Comment] {
        if !self.comments.contains_key(&file) {
            let (comments, wrong) = allow::comments(file, &self.files);
            self.comments.insert(file, comments);
            allow::report(wrong, self);
        }
        self.comments.get_mut(&file).map(Vec::as_mut_slice).unwrap_or_default()
    }

    /// Notes the comments that stood at nothing.
    pub(super) fn report_unused(&mut self) {
        let unused: Vec<_> = self.comments.values().flat_map(|comments| allow::unused(comments)).collect();
        allow::report(unused, self);
    }
}

fn small(offset: usize) -> u32 {
    u32::try_from(offset).unwrap_or(u32::MAX)
}

type Wrong = (&'static str, crate::document::ParseError);

/// A file's documents, by its name's ending and by how it begins.
fn parsed(files: &Files, file: FileId) -> Result<Parsed, Wrong> {
    let (name, text) = (files.name(file), files.text(file));
    if let Some(at) = text.find('\0') {
        let span = Span { file, start: small(at), end: small(at) };
        let message = "the text is not UTF-8: it has characters of no bytes but zeros".to_string();
        let help = "save the file as UTF-8: this looks like UTF-16, or like no text at all".to_string();
        return Err(("FE3102", crate::document::ParseError { span, message, help }));
    }
    let syntax = |error| ("FE3101", error);
    let ends = |endings: &[&str]| endings.iter().any(|ending| name.to_ascii_lowercase().ends_with(ending));
    if ends(&[".toml"]) {
        return parse_all(files, file, Format::Toml).map_err(syntax);
    }
    if ends(&[".json"]) {
        return parse_all(files, file, Format::Json).map_err(syntax);
    }
    let start = text.trim_start_matches(['\u{feff}', ' ', '\t', '\r', '\n']);
    if start.starts_with(['{', '[']) {
        // JSON under another name; JSON's reader is faster, and takes tabs.
        let json = parse_all(files, file, Format::Json);
        return json.or_else(|_| parse_all(files, file, Format::Yaml)).map_err(syntax);
    }
    parse_all(files, file, Format::Yaml).map_err(syntax)
}

/// A path in a folder, without `.` and `..` where they can be left out. `None`: it is no relative path.
pub(super) fn normal(folder: &str, path: &str) -> Option<String> {
    if path.is_empty() || path.contains("://") || (path.starts_with('/') && !folder.is_empty()) {
        return None;
    }
    let root = if folder.starts_with('/') || path.starts_with('/') { "/" } else { "" };
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    for part in path.split('/') {
        match (part, parts.last()) {
            ("" | ".", _) => {}
            ("..", Some(last)) if *last != ".." => drop(parts.pop()),
            (part, _) => parts.push(part),
        }
    }
    Some(format!("{root}{}", parts.join("/")))
}
