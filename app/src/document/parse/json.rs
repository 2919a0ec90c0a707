//! JSON. Comments are passed over: several tools write them.

use jsonc_parser::{Scanner, ScannerOptions, tokens::Token};

use super::{
    ParseError, Parsed,
    builder::{Builder, Put, Wrap, quoted},
};
use crate::document::{Tree, Value};

const OPTIONS: ScannerOptions = ScannerOptions {
    allow_single_quoted_strings: false,
    allow_hexadecimal_numbers: false,
    allow_unary_plus_numbers: false,
    allow_bare_decimal_point_numbers: false,
    allow_non_finite_numbers: false,
    allow_extended_string_escapes: false,
};

const HELP: &str = "look at this place and the one before it: a comma, a quote or a bracket";

/// Stands before the name of a placeholder, where `{` stood. A control character: no file has it there.
const PLACEHOLDER: char = '\u{7f}';

/// The longest name of a placeholder, bytes.
const PLACEHOLDER_BYTES_MAX: usize = 256;

/// Reads a text in which `${Name}` stands where a value must, without quotes: a definition whose number another file
/// fills in. It is read as the text `${Name}`. `None`: there is none in it.
pub(super) fn with_placeholders(text: &str, mut builder: Builder) -> Option<Result<Parsed, ParseError>> {
    let quoted = placeholders_in_quotes(text)?;
    if let Err(error) = read(&quoted, &mut builder) {
        return Some(Err(error));
    }
    let mut parsed = builder.finish();
    parsed.documents.iter_mut().for_each(name_placeholders);
    Some(Ok(parsed))
}

/// The text with quotes around its placeholders, as many bytes as before. `None`: it has none outside of quotes.
fn placeholders_in_quotes(text: &str) -> Option<String> {
    let mut out = String::with_capacity(text.len());
    let (mut quoted, mut escaped, mut found) = (false, false, false);
    let mut rest = text;
    while let Some(char) = rest.chars().next() {
        let behind = rest.get(char.len_utf8()..)?;
        let name = rest.strip_prefix("${").filter(|_| !quoted).and_then(|inside| {
            let end = inside.bytes().take(PLACEHOLDER_BYTES_MAX).position(|byte| byte == b'}')?;
            inside.get(..end).filter(|name| !name.contains(['"', '\\', '\n', '\r']))
        });
        if let Some(name) = name {
            found = true;
            out.extend(['"', PLACEHOLDER]);
            out.push_str(name);
            out.push('"');
            rest = rest.get(name.len() + 3..)?;
            continue;
        }
        (quoted, escaped) = match char {
            '"' if !escaped => (!quoted, false),
            '\\' if quoted => (true, !escaped),
            _ => (quoted, false),
        };
        out.push(char);
        rest = behind;
    }
    found.then_some(out)
}

fn name_placeholders(tree: &mut Tree) {
    match &mut tree.value {
        Value::Map(entries) => entries.iter_mut().for_each(|entry| name_placeholders(&mut entry.value)),
        Value::List(items) => items.iter_mut().for_each(name_placeholders),
        Value::Text(text) => {
            if let Some(name) = text.strip_prefix(PLACEHOLDER) {
                *text = format!("${{{name}}}");
            }
        }
        _ => {}
    }
}

/// What may come next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    Value,
    /// A value, or the end of the list that has just begun.
    ValueOrEnd,
    Key,
    /// A key, or the end of the map that has just begun.
    KeyOrEnd,
    Colon,
    CommaOrEnd,
}

pub(super) fn read(text: &str, builder: &mut Builder) -> Result<(), ParseError> {
    // The mark of Unicode that some editors write at the start.
    let marked = text.strip_prefix('\u{feff}').map_or(0, |rest| text.len() - rest.len());
    let text_behind = text.get(marked..).unwrap_or("");
    let mut scanner = Scanner::new(text_behind, &OPTIONS);
    // Of each list and map that is open: whether it is a map.
    let mut open: Vec<bool> = Vec::new();
    let mut next = Next::Value;
    loop {
        let token = match scanner.scan() {
            Ok(token) => token,
            Err(error) => {
                let (start, end) = (error.range().start + marked, error.range().end + marked);
                let message = lowered(&error.kind().to_string());
                return Err(builder.error(start..end, message, HELP));
            }
        };
        let place = scanner.token_start() + marked..scanner.token_end() + marked;
        let Some(token) = token else { break };
        if matches!(token, Token::CommentLine(_) | Token::CommentBlock(_)) {
            continue;
        }
        if open.is_empty() && next == Next::CommaOrEnd {
            let message = "something stands behind the end of the value".to_string();
            return Err(builder.error(place, message, "a file holds one value: remove the rest"));
        }
        next = match (token, next) {
            (Token::String(key), Next::Key | Next::KeyOrEnd) => {
                builder.key(key.into_owned(), place);
                Next::Colon
            }
            (Token::Colon, Next::Colon) => Next::Value,
            (Token::Comma, Next::CommaOrEnd) if open.last() == Some(&true) => Next::Key,
            (Token::Comma, Next::CommaOrEnd) => Next::Value,
            (Token::CloseBrace, Next::KeyOrEnd | Next::CommaOrEnd) if open.last() == Some(&true) => {
                open.pop();
                builder.close(Some(place.end))?;
                Next::CommaOrEnd
            }
            (Token::CloseBracket, Next::ValueOrEnd | Next::CommaOrEnd) if open.last() == Some(&false) => {
                open.pop();
                builder.close(Some(place.end))?;
                Next::CommaOrEnd
            }
            (Token::OpenBrace, Next::Value | Next::ValueOrEnd) => {
                open.push(true);
                builder.open_map(place.start, 0, Wrap::None)?;
                Next::KeyOrEnd
            }
            (Token::OpenBracket, Next::Value | Next::ValueOrEnd) => {
                open.push(false);
                builder.open_list(place.start, 0, Wrap::None)?;
                Next::ValueOrEnd
            }
            (token, next) => {
                let allowed = matches!(next, Next::Value | Next::ValueOrEnd);
                let found = token.as_str().to_string();
                let Some(value) = simple(token).filter(|_| allowed) else {
                    let message = format!("{} where {} must stand", quoted(&found), expected(next));
                    return Err(builder.error(place, message, HELP));
                };
                builder.put(Put::plain(value, place))?;
                Next::CommaOrEnd
            }
        };
    }
    if open.is_empty() {
        return Ok(());
    }
    let message = format!("the text ends where {} must stand", expected(next));
    Err(builder.error(text.len()..text.len(), message, "the file was cut off: write it again"))
}

fn simple(token: Token<'_>) -> Option<Value> {
    Some(match token {
        Token::String(text) => Value::Text(text.into_owned()),
        Token::Boolean(is) => Value::Bool(is),
        Token::Null => Value::Null,
        Token::Number(text) => match (text.parse::<i64>(), text.parse::<f64>()) {
            (Ok(whole), _) => Value::Integer(whole),
            (Err(_), Ok(float)) if float.is_finite() && text.contains(['.', 'e', 'E']) => Value::Float(float),
            _ => Value::Text(text.to_string()),
        },
        _ => return None,
    })
}

fn expected(next: Next) -> &'static str {
    match next {
        Next::Value => "a value",
        Next::ValueOrEnd => "a value or `]`",
        Next::Key => "a key in quotes",
        Next::KeyOrEnd => "a key in quotes or `}`",
        Next::Colon => "`:`",
        Next::CommaOrEnd => "`,` or a closing bracket",
    }
}

/// A message with a small first letter, as ours are.
pub(super) fn lowered(message: &str) -> String {
    let mut chars = message.chars();
    chars.next().map(|first| first.to_lowercase().collect::<String>() + chars.as_str()).unwrap_or_default()
}
