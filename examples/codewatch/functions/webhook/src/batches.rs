//! From a push to the events that `scan` gets: per commit, its changed files in batches.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Files in one event, at most.
pub const FILES_PER_BATCH_MAX: usize = 10;
/// Bytes of contents in one event, at most, unless a single file has more.
pub const CONTENT_BYTES_PER_BATCH_MAX: usize = 64 * 1024;
/// A file longer than this goes alone: should `scan` refuse it, nothing else is refused with it.
pub const CONTENT_BYTES_SHARED_MAX: usize = 32 * 1024;
/// Events of one push, at most: a push that needs more is refused.
pub const BATCHES_MAX: usize = 256;

/// What we read of GitHub's push payload. Everything else in it is skipped.
#[derive(Deserialize)]
pub struct Push {
    /// The branch or tag.
    #[serde(rename = "ref")]
    pub reference: String,
    /// Where it was pushed to.
    pub repository: Repository,
    /// The new commits, oldest first.
    pub commits: Vec<Commit>,
    /// Our extension: contents by path, in place of fetching them from the code host.
    #[serde(default)]
    pub flyball_contents: BTreeMap<String, Content>,
}

/// A repository of a payload.
#[derive(Deserialize)]
pub struct Repository {
    /// `owner/name`.
    pub full_name: String,
}

/// A commit of a payload. Removed files are not scanned.
#[derive(Deserialize)]
pub struct Commit {
    /// Its hash.
    pub id: String,
    /// The commit message.
    #[serde(default)]
    pub message: String,
    /// New paths.
    #[serde(default)]
    pub added: Vec<String>,
    /// Changed paths.
    #[serde(default)]
    pub modified: Vec<String>,
}

/// A file's content.
#[derive(Clone, Deserialize)]
#[serde(untagged)]
pub enum Content {
    /// As text.
    Text(String),
    /// As bytes, for what may be no text.
    Bytes {
        /// The bytes in base64.
        base64: String,
    },
}

impl Content {
    fn bytes(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Bytes { base64 } => base64.len(),
        }
    }

    /// What `scan` may have to refuse, for its length or because it is no text.
    fn goes_alone(&self) -> bool {
        matches!(self, Self::Bytes { .. }) || self.bytes() > CONTENT_BYTES_SHARED_MAX
    }
}

/// The data of a `codewatch.files` event.
#[derive(Serialize)]
pub struct Batch {
    /// `owner/name`.
    pub repository: String,
    /// The branch or tag.
    #[serde(rename = "ref")]
    pub reference: String,
    /// The commit's hash.
    pub commit: String,
    /// The commit message, in the first batch of each commit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// The files.
    pub files: Vec<File>,
}

/// A file of a batch.
#[derive(Default, Serialize)]
pub struct File {
    /// Its path in the repository.
    pub path: String,
    /// Its text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content: Option<String>,
    /// Its bytes in base64.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub base64: Option<String>,
}

/// The batches of a push, in the order of its commits.
///
/// # Errors
///
/// A text for the caller, where there would be more than [`BATCHES_MAX`].
pub fn of(mut push: Push) -> Result<Vec<Batch>, String> {
    let mut batches = Vec::new();
    // A content is the file's newest: it belongs to the last commit that touched the path.
    for commit in std::mem::take(&mut push.commits).into_iter().rev() {
        let mut of_commit = of_commit(commit, &mut push);
        of_commit.reverse();
        batches.append(&mut of_commit);
        if batches.len() > BATCHES_MAX {
            return Err(format!(
                "the push needs more than {BATCHES_MAX} events of up to {FILES_PER_BATCH_MAX} files; push it in parts"
            ));
        }
    }
    batches.reverse();
    Ok(batches)
}

fn of_commit(commit: Commit, push: &mut Push) -> Vec<Batch> {
    let Commit { id, message, added, modified } = commit;
    let (reference, repository) = (&push.reference, &push.repository.full_name);
    let batch = |files| Batch {
        repository: repository.clone(),
        reference: reference.clone(),
        commit: id.clone(),
        message: None,
        files,
    };
    let mut batches = Vec::new();
    let mut alone = Vec::new();
    let mut open = Vec::new();
    let mut open_bytes = 0;
    for path in added.into_iter().chain(modified) {
        let content = push.flyball_contents.remove(&path);
        let bytes = content.as_ref().map_or(0, Content::bytes);
        let goes_alone = content.as_ref().is_some_and(Content::goes_alone);
        let (content, base64) = match content {
            None => (None, None),
            Some(Content::Text(text)) => (Some(text), None),
            Some(Content::Bytes { base64 }) => (None, Some(base64)),
        };
        let file = File { path, content, base64 };
        if goes_alone {
            alone.push(batch(vec![file]));
            continue;
        }
        if open.len() == FILES_PER_BATCH_MAX || open_bytes + bytes > CONTENT_BYTES_PER_BATCH_MAX {
            batches.push(batch(std::mem::take(&mut open)));
            open_bytes = 0;
        }
        open_bytes += bytes;
        open.push(file);
    }
    // The message never shares an event with a file that may be refused.
    if !open.is_empty() || (batches.is_empty() && !message.is_empty()) {
        batches.push(batch(open));
    }
    if let Some(first) = batches.first_mut() {
        first.message = Some(message).filter(|message| !message.is_empty());
    }
    batches.append(&mut alone);
    batches
}

#[cfg(test)]
#[path = "batches_test.rs"]
mod tests;
