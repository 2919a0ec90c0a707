//! Files and places in them.

use serde::Serialize;

/// One of the files of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileId(pub(crate) u32);

/// Bytes of a file, from the first to behind the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    /// The file.
    pub file: FileId,
    /// The first byte.
    pub start: u32,
    /// Behind the last byte.
    pub end: u32,
}

/// Where a person looks: file, line and column.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Place {
    /// The file's name, as it was passed in.
    pub file: String,
    /// The line; from 1.
    pub line: usize,
    /// The column in characters; from 1.
    pub column: usize,
}

/// The files of a run: names, texts and where their lines begin.
#[derive(Debug, Clone, Default)]
pub struct Files {
    files: Vec<File>,
}

#[derive(Debug, Clone)]
struct File {
    name: String,
    text: String,
    /// Byte offset of each line's start.
    lines: Vec<usize>,
    /// Another tool wrote it.
    made: bool,
}

impl Files {
    /// Keeps a file; `name` is what people are told.
    pub fn add(&mut self, name: &str, text: String) -> FileId {
        let starts = text.match_indices('\n').map(|(at, _)| at + 1);
        let lines = std::iter::once(0).chain(starts).collect();
        // More files than fit in an u32 do not fit in memory.
        let id = FileId(u32::try_from(self.files.len()).unwrap_or(u32::MAX));
        self.files.push(File { name: name.to_string(), text, lines, made: false });
        id
    }

    /// Every file, in the order of [`Files::add`].
    pub fn ids(&self) -> impl Iterator<Item = FileId> + use<> {
        (0..u32::try_from(self.files.len()).unwrap_or(u32::MAX)).map(FileId)
    }

    /// Notes that another tool wrote a file: changes belong into what it was made of.
    pub fn mark_made(&mut self, id: FileId) {
        if let Some(file) = self.files.get_mut(id.0 as usize) {
            file.made = true;
        }
    }

    /// Whether another tool wrote a file.
    pub fn is_made(&self, id: FileId) -> bool {
        self.file(id).is_some_and(|file| file.made)
    }

    fn file(&self, id: FileId) -> Option<&File> {
        self.files.get(id.0 as usize)
    }

    /// A file's name; empty for a file of another run.
    pub fn name(&self, id: FileId) -> &str {
        self.file(id).map_or("", |file| &file.name)
    }

    /// A file's text; empty for a file of another run.
    pub fn text(&self, id: FileId) -> &str {
        self.file(id).map_or("", |file| &file.text)
    }

    /// The line and column of a span's start.
    pub fn place(&self, span: Span) -> Place {
        let Some(file) = self.file(span.file) else {
            return Place { file: String::new(), line: 1, column: 1 };
        };
        let start = (span.start as usize).min(file.text.len());
        let line = file.lines.partition_point(|begin| *begin <= start).max(1);
        let begin = file.lines.get(line - 1).copied().unwrap_or(0);
        let column = file.text.get(begin..start).unwrap_or("").chars().count() + 1;
        Place { file: file.name.clone(), line, column }
    }

    /// The line of a span's start; from 1. Cheaper than [`Files::place`], which counts characters.
    pub fn line_of(&self, span: Span) -> usize {
        let Some(file) = self.file(span.file) else { return 1 };
        file.lines.partition_point(|begin| *begin <= span.start as usize).max(1)
    }

    /// A line's text without its end; from 1.
    pub fn line(&self, id: FileId, line: usize) -> &str {
        let Some(file) = self.file(id) else { return "" };
        let Some(begin) = line.checked_sub(1).and_then(|index| file.lines.get(index)) else { return "" };
        let end = file.lines.get(line).copied().unwrap_or(file.text.len());
        file.text.get(*begin..end).unwrap_or("").trim_end_matches(['\n', '\r'])
    }
}
