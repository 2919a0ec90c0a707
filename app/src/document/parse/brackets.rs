//! Lists and maps in brackets, and texts in quotes, that go on at a lower indentation than they began with.
//!
//! YAML's grammar forbids that; the readers that CloudFormation and its tools stand on do not mind, and templates have
//! it. So where our reader stops there, the lines inside the brackets or quotes become one.

/// The text with the brackets that begin at or behind byte `from` on one line, as many characters as before. `None`:
/// there are none, or they are on one line already.
pub(super) fn on_one_line(text: &str, from: usize) -> Option<String> {
    let start = from + text.get(from..)?.find(['[', '{'])?;
    let (before, rest) = text.split_at_checked(start)?;
    let mut out = String::with_capacity(text.len());
    out.push_str(before);
    let mut state = State::default();
    let mut chars = rest.char_indices();
    let mut changed = false;
    for (at, char) in chars.by_ref() {
        let shown = state.next(char);
        changed |= shown != char;
        out.push(shown);
        if state.depth == 0 {
            out.push_str(rest.get(at + char.len_utf8()..)?);
            return changed.then_some(out);
        }
    }
    None
}

/// The text with the value in quotes that begins at byte `at` on one line, as many characters as before: a break
/// between its lines stands for a space anyway. `None`: there is none, it does not end, or it is on one line already.
pub(super) fn quotes_on_one_line(text: &str, at: usize) -> Option<String> {
    let (before, rest) = text.split_at_checked(at)?;
    let mut chars = rest.char_indices().peekable();
    let (_, quote) = chars.next().filter(|(_, char)| matches!(char, '"' | '\''))?;
    let mut out = String::with_capacity(text.len());
    out.push_str(before);
    out.push(quote);
    let (mut escaped, mut changed) = (false, false);
    while let Some((at, char)) = chars.next() {
        let breaks = matches!(char, '\n' | '\r');
        changed |= breaks;
        out.push(if breaks { ' ' } else { char });
        if std::mem::take(&mut escaped) {
            continue;
        }
        escaped = quote == '"' && char == '\\';
        if char != quote {
            continue;
        }
        // A quote that is doubled stands for itself.
        match chars.next_if(|(_, next)| quote == '\'' && *next == quote) {
            Some((_, doubled)) => out.push(doubled),
            None => {
                out.push_str(rest.get(at + char.len_utf8()..)?);
                return changed.then_some(out);
            }
        }
    }
    None
}

/// Where in the brackets a character is.
struct State {
    depth: usize,
    quote: Option<char>,
    escaped: bool,
    comment: bool,
    /// The last character that is no space, and whether spaces came behind it.
    last: char,
    spaced: bool,
}

impl Default for State {
    fn default() -> Self {
        State { depth: 0, quote: None, escaped: false, comment: false, last: ',', spaced: false }
    }
}

impl State {
    /// What stands in the place of the next character.
    fn next(&mut self, char: char) -> char {
        if let Some(quote) = self.quote {
            // A quote that is doubled ends here and begins again at once.
            if !std::mem::take(&mut self.escaped) {
                self.escaped = quote == '"' && char == '\\';
                if char == quote {
                    self.quote = None;
                    (self.last, self.spaced) = (char, false);
                }
            }
            return char;
        }
        if matches!(char, '\n' | '\r') {
            (self.comment, self.spaced) = (false, true);
            return ' ';
        }
        if self.comment {
            return ' ';
        }
        match char {
            '#' if self.spaced => {
                self.comment = true;
                return ' ';
            }
            ' ' | '\t' => {
                self.spaced = true;
                return char;
            }
            '[' | '{' => self.depth += 1,
            ']' | '}' => self.depth = self.depth.saturating_sub(1),
            '"' | '\'' if matches!(self.last, '[' | '{' | ',' | ':' | '"' | '\'') => self.quote = Some(char),
            _ => {}
        }
        (self.last, self.spaced) = (char, false);
        char
    }
}

#[cfg(test)]
mod tests {
    use super::{on_one_line, quotes_on_one_line};

    #[test]
    fn lines_become_one_and_nothing_moves() {
        let table = [
            ("a: [1,\n2]\nb: 1", "a: [1, 2]\nb: 1"),
            ("a: {b: [x, # é ]\n'it''s ]\n',\n\"\\\"]\"],\n}", "a: {b: [x,       'it''s ]\n', \"\\\"]\"], }"),
            ("a: [it's]\n", "a: [it's]\n"),
        ];
        for (text, expected) in table {
            let flat = on_one_line(text, 0);
            assert_eq!(flat.as_deref().unwrap_or(text), expected);
            assert_eq!(flat.map_or(text.chars().count(), |flat| flat.chars().count()), text.chars().count());
        }
        assert_eq!(on_one_line("a: [1,\n2", 0), None, "it never ends");
        assert_eq!(on_one_line("a: 1", 0), None);
    }

    #[test]
    fn lines_in_quotes_become_one_and_nothing_moves() {
        let table = [
            ("a: \"é\n b \\\" c\"\nb: 1", "a: \"é  b \\\" c\"\nb: 1"),
            ("a: 'it''s\n'''\nb: 1", "a: 'it''s '''\nb: 1"),
        ];
        for (text, expected) in table {
            assert_eq!(quotes_on_one_line(text, 3).as_deref(), Some(expected));
        }
        assert_eq!(quotes_on_one_line("a: 'b'\nc: 1", 3), None, "it is on one line");
        assert_eq!(quotes_on_one_line("a: 'b\nc: 1", 3), None, "it never ends");
        assert_eq!(quotes_on_one_line("a: 1\n", 3), None);
    }
}
