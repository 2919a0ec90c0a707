//! What a git revision has, read by `git` itself.

use std::{
    collections::BTreeMap,
    io::Read as _,
    process::{Command, Stdio},
};

use flyball_app::document::DOCUMENT_BYTES_MAX;

use super::{Is, Refused, Sources, disk};
use crate::stop::Stop;

/// Files as a revision of the working directory's repository has them.
pub(in super::super) struct Revision {
    commit: String,
    /// The working directory from the repository's root, with a slash behind it where it is not empty.
    prefix: String,
    /// The repository's root.
    root: String,
    /// What each directory has, by its path from the root.
    directories: BTreeMap<String, BTreeMap<String, Is>>,
}

impl Revision {
    /// A revision by what `git` calls it.
    ///
    /// # Errors
    /// Where it is neither a file nor a revision, or `git` is not there.
    pub(in super::super) fn of(base: &str) -> Result<Revision, Stop> {
        let wrong = |why: &str| Stop::wrong(format!("--against {base}: {why}"));
        // Nothing that begins with a dash is a revision: `git` would take it for an option.
        let commit = format!("{base}^{{commit}}");
        let commit =
            (!base.starts_with('-')).then(|| git(&["rev-parse", "--verify", "--quiet", &commit])).flatten();
        let commit =
            commit.ok_or_else(|| wrong("there is neither a file nor a git revision of this name"))?;
        let commit = commit.trim().to_string();
        let said = git(&["rev-parse", "--show-prefix", "--show-toplevel"]);
        let said = said.ok_or_else(|| wrong("the working directory is in no repository"))?;
        let (prefix, root) =
            said.split_once('\n').ok_or_else(|| wrong("git does not say where its root is"))?;
        let listed = git(&["ls-tree", "-r", "-z", "--full-tree", &commit]);
        let listed = listed.ok_or_else(|| wrong("its files can't be listed"))?;
        let mut revision = Revision {
            commit,
            prefix: prefix.trim().into(),
            root: root.trim().into(),
            directories: BTreeMap::new(),
        };
        revision.directories.insert(String::new(), BTreeMap::new());
        for entry in listed.split('\0') {
            let Some((about, path)) = entry.split_once('\t') else { continue };
            // Links and submodules are no files of this tree.
            if about.starts_with("100") {
                revision.add(path);
            }
        }
        Ok(revision)
    }

    fn add(&mut self, path: &str) {
        let mut is = Is::File;
        let mut at = path;
        loop {
            let (folder, name) = at.rsplit_once('/').unwrap_or(("", at));
            let known = self.directories.entry(folder.to_string()).or_default();
            if known.insert(name.to_string(), is).is_some() || folder.is_empty() {
                return;
            }
            (is, at) = (Is::Directory, folder);
        }
    }

    /// A path from the repository's root. `None`: it is outside.
    fn at_root(&self, path: &str) -> Option<String> {
        let whole = match path.strip_prefix('/') {
            None => format!("{}{path}", self.prefix),
            Some(_) => path.strip_prefix(&self.root)?.trim_start_matches('/').to_string(),
        };
        let mut parts: Vec<&str> = Vec::new();
        for part in whole.split('/') {
            match part {
                "" | "." => {}
                ".." => drop(parts.pop()?),
                part => parts.push(part),
            }
        }
        Some(parts.join("/"))
    }
}

impl Sources for Revision {
    fn is(&self, path: &str) -> Option<Is> {
        let path = self.at_root(path)?;
        if self.directories.contains_key(&path) {
            return Some(Is::Directory);
        }
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", &path));
        self.directories.get(folder)?.get(name).copied()
    }

    fn read(&self, path: &str) -> Result<Vec<u8>, Refused> {
        let at_root = self.at_root(path).ok_or(Refused::Missing)?;
        let object = format!("{}:{at_root}", self.commit);
        let mut child = Command::new("git")
            .args(["cat-file", "blob", &object])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| Refused::Other(error.to_string()))?;
        let read = child.stdout.take().map_or(Err(Refused::Missing), disk::bounded);
        // What was not read to its end would wait for ever.
        let _ = child.kill();
        let _ = child.wait();
        match read {
            Ok(bytes) if bytes.is_empty() && self.is(path) != Some(Is::File) => Err(Refused::Missing),
            read => read,
        }
    }

    fn list(&self, directory: &str) -> Vec<(String, Is)> {
        let listed = self.at_root(directory).and_then(|path| self.directories.get(&path));
        listed.into_iter().flatten().map(|(name, is)| (name.clone(), *is)).collect()
    }

    fn escapes(&self, _: &str, _: &str) -> bool {
        false
    }
}

/// What `git` says, where it says something and is content.
fn git(arguments: &[&str]) -> Option<String> {
    let mut child = Command::new("git")
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    let mut said = Vec::new();
    let limit = u64::try_from(DOCUMENT_BYTES_MAX).unwrap_or(u64::MAX);
    let read = child.stdout.take()?.take(limit).read_to_end(&mut said);
    let ended = child.wait().ok()?;
    (read.is_ok() && ended.success()).then(|| String::from_utf8_lossy(&said).into_owned())
}
