//! From characters to bytes: YAML's reader counts characters.

/// A checkpoint stands at each of these, characters.
const STEP: usize = 64;

/// Byte offsets of a text's characters.
pub(super) struct Offsets<'t> {
    text: &'t str,
    /// The byte of each [`STEP`]th character; empty where every character is a byte.
    steps: Vec<usize>,
}

impl<'t> Offsets<'t> {
    pub(super) fn new(text: &'t str) -> Offsets<'t> {
        let steps = match text.is_ascii() {
            true => Vec::new(),
            false => text.char_indices().step_by(STEP).map(|(at, _)| at).collect(),
        };
        Offsets { text, steps }
    }

    /// The byte at which a character begins; the text's length behind the last.
    pub(super) fn byte(&self, character: usize) -> usize {
        if self.steps.is_empty() {
            return character.min(self.text.len());
        }
        let Some(begin) = self.steps.get(character / STEP) else { return self.text.len() };
        let rest = self.text.get(*begin..).unwrap_or("");
        rest.char_indices().nth(character % STEP).map_or(self.text.len(), |(at, _)| begin + at)
    }
}
