//! Which files are read, and how: from the disk, or as a git revision has them.
//!
//! What a directory holds is bounded in depth, files and bytes. Links in it are not followed, so that no template
//! leads out of the tree that was named; a path on the command line may lead anywhere.

mod disk;
mod revision;

use std::collections::BTreeSet;

use flyball_app::{document::DOCUMENT_BYTES_MAX, import::Input};

pub(super) use disk::Disk;
pub(super) use revision::Revision;

use crate::stop::Stop;

/// Templates that are read of one directory.
const FILES_MAX: usize = 2_000;
/// Bytes that are read of all files together.
const BYTES_MAX: usize = 512 << 20;
/// What may be in a directory in all, files and directories.
const ENTRIES_MAX: usize = 200_000;
/// Directories in one another.
const DEPTH_MAX: usize = 24;
/// Bytes of a file's beginning in which it must look like a template, or like its end where it is small.
const SNIFF_BYTES: usize = 256 << 10;

/// Directories in which nobody keeps templates: what tools install or build.
const SKIPPED: [&str; 10] = [
    "node_modules",
    "target",
    "build",
    "dist",
    "vendor",
    "venv",
    "__pycache__",
    "site-packages",
    "bower_components",
    "coverage",
];

/// What the working directory is asked for where no path is given, in this order.
const DEFAULTS: [&str; 9] = [
    "flyball.toml",
    "template.yaml",
    "template.yml",
    "template.json",
    "serverless-compose.yml",
    "serverless-compose.yaml",
    "serverless.yml",
    "serverless.yaml",
    "cdk.out",
];

/// What a path is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Is {
    File,
    Directory,
}

/// Why a file could not be read.
pub(super) enum Refused {
    Missing,
    TooLarge,
    Other(String),
}

/// Where files are: the disk or a revision. Paths have slashes and are relative to the working directory, or
/// absolute.
pub(super) trait Sources {
    /// What a path leads to, links followed.
    fn is(&self, path: &str) -> Option<Is>;
    /// A file's bytes, [`DOCUMENT_BYTES_MAX`] at most.
    fn read(&self, path: &str) -> Result<Vec<u8>, Refused>;
    /// What a directory has, sorted, links left out: names, and what they are.
    fn list(&self, directory: &str) -> Vec<(String, Is)>;
    /// Whether a path leads out of a root by links alone.
    fn escapes(&self, root: &str, path: &str) -> bool;
}

/// A file that was to be read and could not be.
#[derive(Debug, Clone)]
pub(super) struct Unread {
    pub(super) code: &'static str,
    pub(super) name: String,
    /// Its text as far as it is one.
    pub(super) text: String,
    /// The byte where it stops to be one.
    pub(super) at: usize,
    pub(super) message: String,
    pub(super) help: &'static str,
}

/// What was found to be read.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    pub(super) inputs: Vec<Input>,
    pub(super) unread: Vec<Unread>,
    /// The directories that were named, or that hold the files that were.
    pub(super) roots: BTreeSet<String>,
    bytes: usize,
}

/// Reads what the paths name.
///
/// # Errors
/// Where there is no path and the working directory has nothing to check.
pub(super) fn gather(sources: &dyn Sources, paths: &[String]) -> Result<Gathered, Stop> {
    let mut gathered = Gathered::default();
    for path in &named(sources, paths)? {
        if path == "-" {
            gathered.standard_input();
            continue;
        }
        let path = path.trim_end_matches('/');
        let path = if path.is_empty() { "/" } else { path };
        match sources.is(path) {
            Some(Is::Directory) => gathered.directory(sources, path),
            Some(Is::File) => gathered.file(sources, path),
            None => gathered.missing(path),
        }
    }
    Ok(gathered)
}

/// As [`gather`], of a base: what is not there yet was not there.
///
/// # Errors
/// As [`gather`].
pub(super) fn gather_known(sources: &dyn Sources, paths: &[String]) -> Result<Gathered, Stop> {
    let paths = named(&Disk, paths)?;
    let there: Vec<String> =
        paths.into_iter().filter(|path| path == "-" || sources.is(path).is_some()).collect();
    if there.is_empty() {
        return Ok(Gathered::default());
    }
    gather(sources, &there)
}

fn named(sources: &dyn Sources, paths: &[String]) -> Result<Vec<String>, Stop> {
    if !paths.is_empty() {
        return Ok(paths.to_vec());
    }
    let found = DEFAULTS.iter().find(|name| sources.is(name).is_some());
    let found = found.ok_or_else(|| {
        let wanted = DEFAULTS.join(", ");
        Stop::wrong(format!("nothing to check here: there is no {wanted}. Name one: flyball check FILE"))
    })?;
    Ok(vec![(*found).to_string()])
}

/// A file that a template names: inside the roots, or outside where its path says so; never there by a link.
pub(super) fn local(sources: &dyn Sources, roots: &BTreeSet<String>, path: &str) -> Option<String> {
    let root = roots.iter().filter(|root| within(root, path)).max_by_key(|root| root.len());
    if root.is_some_and(|root| sources.escapes(root, path)) || sources.is(path) != Some(Is::File) {
        return None;
    }
    String::from_utf8(sources.read(path).ok()?).ok()
}

/// Whether a path is in a directory, as far as its letters go.
fn within(root: &str, path: &str) -> bool {
    match root {
        "" | "." => !path.starts_with('/') && !path.starts_with("../"),
        root => path.strip_prefix(root).is_some_and(|rest| rest.starts_with('/')),
    }
}

fn folder(path: &str) -> &str {
    path.rsplit_once('/').map_or(".", |(folder, _)| if folder.is_empty() { "/" } else { folder })
}

impl Gathered {
    /// The same with other texts of its files.
    pub(super) fn with(&self, inputs: Vec<Input>) -> Gathered {
        let (unread, roots) = (self.unread.clone(), self.roots.clone());
        Gathered { inputs, unread, roots, bytes: self.bytes }
    }

    fn file(&mut self, sources: &dyn Sources, path: &str) {
        self.roots.insert(folder(path).to_string());
        match sources.read(path) {
            Ok(bytes) => self.add(path, bytes),
            Err(refused) => self.refuse(path, &refused),
        }
    }

    fn standard_input(&mut self) {
        self.roots.insert(".".into());
        match disk::standard_input() {
            Ok(bytes) => {
                let json = bytes.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'{');
                self.add(if json { "stdin.json" } else { "stdin" }, bytes);
            }
            Err(refused) => self.refuse("stdin", &refused),
        }
    }

    fn add(&mut self, path: &str, bytes: Vec<u8>) {
        self.bytes += bytes.len();
        match String::from_utf8(bytes) {
            Ok(text) => self.inputs.push(Input { name: path.into(), text }),
            Err(error) => {
                if let Some(text) = wide_plan(error.as_bytes()) {
                    self.inputs.push(Input { name: path.into(), text });
                    return;
                }
                let at = error.utf8_error().valid_up_to();
                let bytes = error.as_bytes();
                let wide = bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]);
                let byte = bytes.get(at).copied().unwrap_or(0);
                let message = if wide {
                    "the file is UTF-16".to_string()
                } else {
                    format!(
                        "the file is not UTF-8: byte 0x{byte:02x} at offset {at} is none of its characters"
                    )
                };
                let text = String::from_utf8_lossy(bytes.get(..at).unwrap_or(&[])).into_owned();
                let help = "save it as UTF-8; CloudFormation takes nothing else";
                self.unread.push(Unread { code: "FE3191", name: path.into(), text, at, message, help });
            }
        }
    }

    fn refuse(&mut self, path: &str, refused: &Refused) {
        let (message, help) = match refused {
            Refused::Missing => return self.missing(path),
            Refused::TooLarge => (
                format!("the file is larger than {} MiB; it is not read", DOCUMENT_BYTES_MAX >> 20),
                "CloudFormation takes templates of at most 1 MB; is this one?",
            ),
            Refused::Other(why) => (format!("the file can't be read: {why}"), "see who may read it"),
        };
        self.note("FE3190", path, message, help);
    }

    fn missing(&mut self, path: &str) {
        self.note("FE3190", path, "there is no such file or directory".into(), "correct the path");
    }

    fn note(&mut self, code: &'static str, path: &str, message: String, help: &'static str) {
        let (name, text) = (path.to_string(), String::new());
        self.unread.push(Unread { code, name, text, at: 0, message, help });
    }

    /// The templates of a tree, in the order of their paths.
    fn directory(&mut self, sources: &dyn Sources, root: &str) {
        self.roots.insert(root.to_string());
        let own = joined(root, "flyball.toml");
        if sources.is(&own) == Some(Is::File) {
            return self.file(sources, &own);
        }
        let before = (self.inputs.len(), self.unread.len());
        let mut entries = 0;
        let mut stack = vec![(root.to_string(), 0)];
        while let Some((directory, depth)) = stack.pop() {
            let listed = sources.list(&directory);
            entries += listed.len();
            if entries > ENTRIES_MAX || depth > DEPTH_MAX {
                let message = format!(
                    "more than {ENTRIES_MAX} files or {DEPTH_MAX} levels of directories; the rest was not looked at"
                );
                self.note("FE3192", &directory, message, "name the directories that hold templates");
                break;
            }
            // Of a synthesized application the manifest says which templates it has.
            let is_manifest = |(name, is): &(String, Is)| name == "manifest.json" && *is == Is::File;
            let synthesized = listed.iter().any(is_manifest)
                && (directory.ends_with("cdk.out") || listed.iter().any(|(name, _)| name == "cdk.out"));
            if synthesized {
                self.file_of_tree(sources, &joined(&directory, "manifest.json"));
                continue;
            }
            let directories = listed.iter().filter(|(name, is)| *is == Is::Directory && entered(name));
            let mut below: Vec<_> =
                directories.map(|(name, _)| (joined(&directory, name), depth + 1)).collect();
            for (name, _) in listed.iter().filter(|(name, is)| *is == Is::File && may_be_template(name)) {
                if self.inputs.len() >= FILES_MAX || self.bytes >= BYTES_MAX {
                    let message = format!(
                        "more than {FILES_MAX} templates or {} MiB; the rest was not read",
                        BYTES_MAX >> 20
                    );
                    self.note("FE3192", &directory, message, "check one system at a time");
                    return;
                }
                self.file_of_tree(sources, &joined(&directory, name));
            }
            below.reverse();
            stack.extend(below);
        }
        if before == (self.inputs.len(), self.unread.len()) {
            let message = "there is no template in it".to_string();
            self.note(
                "FE3190",
                root,
                message,
                "name a directory with SAM, CloudFormation or Serverless files",
            );
        }
    }

    /// A file of a tree: read where it looks like a template. What can't be read is no template.
    fn file_of_tree(&mut self, sources: &dyn Sources, path: &str) {
        let name = path.rsplit('/').next().unwrap_or(path);
        match sources.read(path) {
            Ok(bytes) if looks_like_template(name, &bytes) => self.add(path, bytes),
            Ok(_) | Err(Refused::Missing) => {}
            Err(refused) => {
                if looks_like_template(name, b"") {
                    self.refuse(path, &refused);
                }
            }
        }
    }
}

/// A plan of Terraform as PowerShell's `>` writes it, in UTF-16: nobody but us reads that file.
fn wide_plan(bytes: &[u8]) -> Option<String> {
    let units = bytes.strip_prefix(&[0xff, 0xfe])?.chunks_exact(2);
    let units = units.filter_map(|pair| Some(u16::from_le_bytes(pair.try_into().ok()?)));
    let text: String = char::decode_utf16(units).collect::<Result<_, _>>().ok()?;
    text.contains("\"planned_values\"").then_some(text)
}

fn joined(directory: &str, name: &str) -> String {
    match directory {
        "." => name.to_string(),
        "/" => format!("/{name}"),
        directory => format!("{directory}/{name}"),
    }
}

fn entered(directory: &str) -> bool {
    !directory.starts_with('.') && !SKIPPED.contains(&directory)
}

fn may_be_template(name: &str) -> bool {
    let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending);
    matches!(ending, "yaml" | "yml" | "json" | "template") && !name.ends_with("-lock.json")
}

/// By its name, or by words that each kind of template has.
fn looks_like_template(name: &str, bytes: &[u8]) -> bool {
    let compose = ["serverless-compose.yml", "serverless-compose.yaml"];
    if matches!(name, "serverless.yml" | "serverless.yaml") || compose.contains(&name) {
        return true;
    }
    let start = bytes.get(..SNIFF_BYTES).unwrap_or(bytes);
    let has = |word: &[u8]| start.windows(word.len()).any(|part| part == word);
    // A web page has a manifest of that name too.
    if name == "manifest.json" {
        return has(b"\"artifacts\"");
    }
    has(b"Resources") && (has(b"AWS::") || has(b"AWSTemplateFormatVersion"))
        || has(b"\"planned_values\"") && has(b"\"terraform_version\"")
}

#[cfg(test)]
mod tests;
