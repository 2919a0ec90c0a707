//! How a change is written: each function gives the bytes to replace and the new text, or nothing where the file
//! is written in a way that it would not be sure to keep.

use crate::document::{FileId, Files, Span};

/// Climbs from an entry to what would be left empty without it, at most.
const CLIMB_MAX: usize = 8;

/// Puts a number in the place of another. Only where `span` is that number as it stands, in quotes or not: what a
/// parameter or a mapping says is not the place's own.
pub fn number(files: &Files, span: Span, old: i64, new: i64) -> Option<(Span, String)> {
    let text = text_of(files, span)?;
    let bare = text.trim_matches(['"', '\'']);
    if bare.trim().parse() != Ok(old) {
        return None;
    }
    let inside = text.find(bare)?;
    let start = span.start.checked_add(u32::try_from(inside).ok()?)?;
    let end = start.checked_add(u32::try_from(bare.len()).ok()?)?;
    Some((Span { start, end, ..span }, new.to_string()))
}

/// Adds a key behind another of the same map: `value` is where the other's value stands, which must be one of
/// one line. `entries` are the new key and its value, as JSON, which YAML reads too: the second where the other's key
/// begins in lower case, as in `serverless.yml`.
pub fn beside(files: &Files, value: Span, entries: [(&str, &str); 2]) -> Option<(Span, String)> {
    let [(upper, text), lower] = entries;
    let whole = files.text(value.file);
    let (start, end) = (value.start as usize, value.end as usize);
    if files.is_made(value.file) {
        return None;
    }
    if whole.get(start..end)?.contains('\n') {
        return None;
    }
    if is_json(files, value.file) {
        let key_at = json_key(whole, start)?;
        let gap_at = whole.get(..key_at)?.trim_end().len();
        let gap = whole.get(gap_at..key_at)?;
        return insert(value.file, end, format!(",{gap}\"{upper}\": {text}"));
    }
    let line_at = line_start(whole, start);
    let head = whole.get(line_at..start)?;
    let name_at =
        head.len() - head.trim_start_matches(' ').trim_start_matches("- ").trim_start_matches(' ').len();
    let written = head.get(name_at..)?.trim_end();
    // `Queue: !GetAtt Orders.Arn`: a value begins behind its tag.
    let tag = written.rsplit_once(' ').filter(|(_, tag)| tag.starts_with('!'));
    let name = tag.map_or(written, |(name, _)| name.trim_end()).strip_suffix(':')?;
    if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return None;
    }
    let line_end = whole.get(end..)?.find('\n').map_or(whole.len(), |at| end + at);
    let rest = whole.get(end..line_end)?.trim();
    if !rest.is_empty() && !rest.starts_with('#') {
        return None;
    }
    let is_lower = name.starts_with(|c: char| c.is_ascii_lowercase());
    let (key, text) = if is_lower { lower } else { (upper, text) };
    // Windows' line ends stay what they are.
    let (line_end, end_of_line) = match whole.get(..line_end) {
        Some(before) if before.ends_with('\r') => (line_end - 1, "\r\n"),
        _ => (line_end, "\n"),
    };
    insert(value.file, line_end, format!("{end_of_line}{}{key}: {text}", " ".repeat(name_at)))
}

/// Removes the nearest entry around `place` whose key is one of `names`, with its comments, and the maps that would
/// be left empty.
pub fn without(files: &Files, place: Span, names: &[&str]) -> Option<(Span, String)> {
    let (whole, at) = (files.text(place.file), place.start as usize);
    if files.is_made(place.file) {
        return None;
    }
    let (start, end) = if is_json(files, place.file) {
        json_entry(whole, at, names)?
    } else {
        yaml_entry(whole, at, names)?
    };
    let span = Span { file: place.file, start: u32::try_from(start).ok()?, end: u32::try_from(end).ok()? };
    Some((span, String::new()))
}

/// The text of a place, where it can be changed: not what another tool wrote.
fn text_of(files: &Files, span: Span) -> Option<&str> {
    if files.is_made(span.file) {
        return None;
    }
    files.text(span.file).get(span.start as usize..span.end as usize)
}

fn is_json(files: &Files, file: FileId) -> bool {
    files.text(file).trim_start().starts_with('{')
}

fn insert(file: FileId, at: usize, text: String) -> Option<(Span, String)> {
    let at = u32::try_from(at).ok()?;
    Some((Span { file, start: at, end: at }, text))
}

fn line_start(text: &str, at: usize) -> usize {
    text.get(..at).and_then(|before| before.rfind('\n')).map_or(0, |newline| newline + 1)
}

/// Where the key of a value begins, with its quote.
fn json_key(text: &str, value: usize) -> Option<usize> {
    let before = text.get(..value)?.trim_end().strip_suffix(':')?.trim_end();
    let inside = before.strip_suffix('"')?;
    let quote = inside.rfind('"')?;
    // A quote in a key is not worth a second look.
    (!inside.get(quote..)?.contains('\\') && !inside.get(..quote)?.ends_with('\\')).then_some(quote)
}

/// An entry of a JSON object: where its key begins, its name, where its value begins and ends.
struct Entry<'t> {
    key: usize,
    name: &'t str,
    end: usize,
}

/// The bytes of an entry with one comma; of the entry around it where it is the only one.
fn json_entry(text: &str, at: usize, names: &[&str]) -> Option<(usize, usize)> {
    let around = json_around(text, at);
    let mut index = around.iter().rposition(|entry| names.contains(&entry.name))?;
    for _ in 0..CLIMB_MAX {
        let entry = around.get(index)?;
        let before = text.get(..entry.key)?.trim_end();
        let after = text.get(entry.end..)?;
        let after_at = entry.end + (after.len() - after.trim_start().len());
        let after = text.get(after_at..)?;
        if before.ends_with(',') {
            return Some((before.len() - 1, entry.end));
        }
        if let Some(rest) = after.strip_prefix(',') {
            return Some((entry.key, after_at + 1 + (rest.len() - rest.trim_start().len())));
        }
        if !before.ends_with('{') || !after.starts_with('}') {
            return None;
        }
        index = index.checked_sub(1)?;
        // Between the two there must be this object alone, and no list.
        let outer = around.get(index)?;
        if outer.end != after_at + 1 {
            return None;
        }
    }
    None
}

/// The entries that a byte is in, the outermost first. One pass over the text.
fn json_around(text: &str, at: usize) -> Vec<Entry<'_>> {
    // Open containers, each with the key that it is the value of.
    let mut open: Vec<Option<(usize, &str)>> = Vec::new();
    let mut around: Vec<Entry<'_>> = Vec::new();
    let mut key: Option<(usize, &str)> = None;
    let mut last: Option<(usize, &str, usize)> = None;
    let mut bytes = text.bytes().enumerate();
    let mut scalar: Option<usize> = None;
    while let Some((index, byte)) = bytes.next() {
        let ends_scalar = matches!(byte, b',' | b'}' | b']') || byte.is_ascii_whitespace();
        if let (Some(start), true) = (scalar, ends_scalar) {
            close(&mut around, key, (start, index), at);
            scalar = None;
        }
        match byte {
            b'"' => {
                let mut escaped = false;
                let end = bytes.by_ref().find_map(|(end, byte)| {
                    let ends = byte == b'"' && !escaped;
                    escaped = byte == b'\\' && !escaped;
                    ends.then_some(end)
                });
                let Some(end) = end else { break };
                let name = text.get(index + 1..end).unwrap_or("");
                match key {
                    Some(_) => close(&mut around, key, (index, end + 1), at),
                    None => last = Some((index, name, end)),
                }
            }
            b':' => key = last.take().map(|(index, name, _)| (index, name)),
            b'{' | b'[' => open.push(key.take()),
            b'}' | b']' => {
                if let Some(outer) = open.pop() {
                    close(&mut around, outer, (at, index + 1), at);
                }
                key = None;
            }
            b',' => key = None,
            byte if !byte.is_ascii_whitespace() && scalar.is_none() => scalar = Some(index),
            _ => {}
        }
    }
    around.reverse();
    around
}

/// Notes an entry whose value ended, where the byte is in it.
fn close<'t>(
    around: &mut Vec<Entry<'t>>,
    key: Option<(usize, &'t str)>,
    (start, end): (usize, usize),
    at: usize,
) {
    let Some((key, name)) = key else { return };
    if key <= at && start.min(at) <= at && at < end {
        around.push(Entry { key, name, end });
    }
}

/// A line: where it begins and where the next one does.
struct Line<'t> {
    start: usize,
    next: usize,
    text: &'t str,
}

impl Line<'_> {
    fn indent(&self) -> usize {
        self.text.len() - self.text.trim_start_matches(' ').len()
    }

    /// An element of a list is deeper than a key at its indent.
    fn depth(&self) -> usize {
        2 * self.indent() + usize::from(self.text.trim_start_matches(' ').starts_with("- "))
    }

    fn says_nothing(&self) -> bool {
        let text = self.text.trim();
        text.is_empty() || text.starts_with('#')
    }

    /// The key of `Key:` or `Key: value`; empty where there is something else before it.
    fn key(&self) -> &str {
        let text = self.text.trim_start_matches(' ').trim_end();
        let key = text.split_once(':').map_or("", |(key, _)| key);
        if key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') { key } else { "" }
    }

    /// `Key:` with its value below.
    fn opens(&self) -> bool {
        let text = self.text.split(" #").next().unwrap_or("").trim_end();
        !self.key().is_empty() && text.ends_with(':')
    }
}

fn yaml_entry(text: &str, place: usize, names: &[&str]) -> Option<(usize, usize)> {
    let mut start = 0;
    let lines: Vec<Line<'_>> = text
        .split_inclusive('\n')
        .map(|whole| {
            let line = Line { start, next: start + whole.len(), text: whole.trim_end_matches(['\n', '\r']) };
            start = line.next;
            line
        })
        .collect();
    let of_place = lines.partition_point(|line| line.next <= place).min(lines.len().checked_sub(1)?);
    let mut at = named(&lines, of_place, names)?;
    for _ in 0..CLIMB_MAX {
        let line = lines.get(at)?;
        let end = below(&lines, at);
        let above = lines.get(..at)?.iter().rposition(|line| !line.says_nothing());
        let next = lines.get(end..)?.iter().find(|line| !line.says_nothing());
        let parent =
            above.filter(|above| lines.get(*above).is_some_and(|above| above.indent() < line.indent()));
        let last = next.is_none_or(|next| next.indent() < line.indent());
        match parent {
            Some(parent) if last => {
                // The only entry: a map without entries would be null.
                lines.get(parent).filter(|parent| parent.opens())?;
                at = parent;
            }
            _ => return Some((line.start, lines.get(end.checked_sub(1)?)?.next)),
        }
    }
    None
}

/// The nearest line at or above a place that is the entry of one of these names around it.
fn named(lines: &[Line<'_>], of_place: usize, names: &[&str]) -> Option<usize> {
    let mut depth = usize::MAX;
    let mut at = of_place;
    loop {
        let line = lines.get(at)?;
        if !line.says_nothing() && line.depth() < depth {
            depth = line.depth();
            if names.contains(&line.key()) {
                return Some(at);
            }
        }
        at = at.checked_sub(1).filter(|_| depth > 0)?;
    }
}

/// The line behind an entry: behind all that is indented deeper, and behind a list at its own indent.
fn below(lines: &[Line<'_>], at: usize) -> usize {
    let own = lines.get(at).map_or(0, Line::indent);
    let mut end = at + 1;
    for (index, line) in lines.iter().enumerate().skip(at + 1) {
        if line.text.trim().is_empty() {
            continue;
        }
        let in_list = line.indent() == own && line.text.trim_start().starts_with("- ");
        if line.indent() <= own && !in_list {
            break;
        }
        end = index + 1;
    }
    end
}
