//! Text of others inside XML and HTML.

/// Text for an element or a quoted attribute; what XML has no place for becomes a mark.
pub(super) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\n' => out.push('\n'),
            c if c.is_control() || is_turning(c) || matches!(c, '\u{fffe}' | '\u{ffff}') => {
                out.push('\u{fffd}')
            }
            c => out.push(c),
        }
    }
    out
}

/// Characters that turn the direction of the text after them: a name must not rearrange the sentence it is in.
pub(super) const fn is_turning(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Text of at most so many characters, the rest as a mark, then escaped.
pub(super) fn cut(text: &str, chars: usize) -> String {
    if text.chars().nth(chars).is_none() {
        return escaped(text);
    }
    let mut short: String = text.chars().take(chars.saturating_sub(1)).collect();
    short.push('…');
    escaped(&short)
}
