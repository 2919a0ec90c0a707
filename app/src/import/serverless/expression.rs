//! Reads `${source(arguments):address, fallback}` in a text.

/// How deep variables may stand in one another's text; deeper ones are taken as plain text.
const NESTED_MAX: usize = 16;

/// A part of a text.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Part {
    /// As it is.
    Literal(String),
    /// A variable: the first source that has a value counts.
    Variable(Vec<Source>),
}

/// Where a variable's value is from.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Source {
    /// Stated right there: text in quotes, a number, a boolean or null, as written.
    Plain(String),
    /// Text in quotes, in which variables may stand.
    Quoted(Vec<Part>),
    /// Another variable.
    Nested(Vec<Part>),
    /// `kind(arguments):address`.
    Named { kind: String, arguments: Vec<Part>, address: Vec<Part> },
}

/// How the plugin serverless-pseudo-parameters writes what CloudFormation knows, and our name of it.
const PSEUDO: [(&str, &str); 2] =
    [("#{AWS::Region}", "${aws:region}"), ("#{AWS::AccountId}", "${aws:accountId}")];

/// The parts of a text. What has braces and is no variable (`${AWS::Region}`, `${name}`) is literal.
pub(super) fn parse(text: &str) -> Vec<Part> {
    if !text.contains("#{AWS::") {
        return parts(text, NESTED_MAX);
    }
    let text = PSEUDO.iter().fold(text.to_string(), |text, (from, to)| text.replace(from, to));
    parts(&text, NESTED_MAX)
}

/// Whether a text may hold a variable at all.
pub(super) fn has_variable(text: &str) -> bool {
    text.contains("${") || text.contains("#{AWS::")
}

fn parts(text: &str, depth: usize) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut literal = String::new();
    let mut at = 0;
    for (open, close) in outermost(text) {
        let (Some(before), Some(inside)) = (text.get(at..open), text.get(open + 2..close)) else { continue };
        let variable = if depth == 0 { None } else { variable(inside, depth - 1) };
        // `\${` is how the framework is told to let it be.
        let escaped = before.ends_with('\\');
        match variable.filter(|_| !escaped) {
            Some(sources) => {
                literal.push_str(before);
                if !literal.is_empty() {
                    parts.push(Part::Literal(std::mem::take(&mut literal)));
                }
                parts.push(Part::Variable(sources));
            }
            None => {
                literal.push_str(before.strip_suffix('\\').filter(|_| escaped).unwrap_or(before));
                literal.push_str("${");
                // What stands inside may hold variables: `${AWS::${self:custom.what}}`.
                let inner = if depth == 0 {
                    vec![Part::Literal(inside.into())]
                } else {
                    self::parts(inside, depth - 1)
                };
                for part in inner {
                    match part {
                        Part::Literal(text) => literal.push_str(&text),
                        Part::Variable(_) => {
                            parts.push(Part::Literal(std::mem::take(&mut literal)));
                            parts.push(part);
                        }
                    }
                }
                literal.push('}');
            }
        }
        at = close + 1;
    }
    literal.push_str(text.get(at..).unwrap_or(""));
    if !literal.is_empty() || parts.is_empty() {
        parts.push(Part::Literal(literal));
    }
    parts
}

/// Where each `${` that is in no other one begins and where its `}` stands. One pass, whatever the text.
fn outermost(text: &str) -> Vec<(usize, usize)> {
    let bytes = text.as_bytes();
    let mut open = Vec::new();
    let mut found: Vec<(usize, usize)> = Vec::new();
    for (at, byte) in bytes.iter().enumerate() {
        match byte {
            b'{' if at > 0 && bytes.get(at - 1) == Some(&b'$') => open.push(at - 1),
            b'}' => {
                let Some(start) = open.pop() else { continue };
                while found.last().is_some_and(|(inner, _)| *inner > start) {
                    found.pop();
                }
                found.push((start, at));
            }
            _ => {}
        }
    }
    found
}

/// The sources of what stands between the braces. `None`: it is no variable.
fn variable(inside: &str, depth: usize) -> Option<Vec<Source>> {
    let mut sources = Vec::new();
    for text in split(inside) {
        let text = text.trim();
        let source = source(text, depth);
        // The first source must be one by its look; what follows may be a plain value.
        let is_first = sources.is_empty();
        match source {
            Some(Source::Plain(_)) if is_first => return None,
            Some(source) => sources.push(source),
            None => return None,
        }
    }
    (!sources.is_empty()).then_some(sources)
}

/// Splits at commas that stand in no brackets and no quotes.
fn split(text: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut start, mut depth, mut quote) = (0, 0_usize, None);
    for (at, byte) in text.bytes().enumerate() {
        match (byte, quote) {
            (b'\'' | b'"', None) if text.get(start..at).is_some_and(|before| before.trim().is_empty()) => {
                quote = Some(byte);
            }
            (byte, Some(open)) if byte == open => quote = None,
            (_, Some(_)) => {}
            (b'(' | b'{', None) => depth += 1,
            (b')' | b'}', None) => depth = depth.saturating_sub(1),
            (b',', None) if depth == 0 => {
                parts.extend(text.get(start..at));
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.extend(text.get(start..));
    parts
}

fn source(text: &str, depth: usize) -> Option<Source> {
    for quote in ['\'', '"'] {
        if let Some(inner) = text.strip_prefix(quote) {
            return Some(Source::Quoted(parts(inner.strip_suffix(quote)?, depth)));
        }
    }
    if text.starts_with("${") {
        return Some(Source::Nested(parts(text, depth)));
    }
    let kind_end =
        text.find(|c: char| !(c.is_ascii_alphanumeric() || "._-".contains(c))).unwrap_or(text.len());
    let (kind, rest) = text.split_at(kind_end);
    let is_kind = kind.starts_with(|c: char| c.is_ascii_lowercase());
    if rest.is_empty() {
        let plain = matches!(kind, "true" | "false" | "null") || kind.parse::<f64>().is_ok();
        return (plain && !kind.is_empty()).then(|| Source::Plain(kind.into()));
    }
    if !is_kind {
        return None;
    }
    let (arguments, rest) = match rest.strip_prefix('(') {
        Some(inner) => {
            let close = closing(inner)?;
            (inner.get(..close)?, inner.get(close + 1..)?)
        }
        None => ("", rest),
    };
    // `kind::` is CloudFormation's.
    let address = match rest.strip_prefix(':') {
        Some(address) if !address.starts_with(':') => address,
        None if rest.is_empty() && text.contains('(') => "",
        _ => return None,
    };
    let arguments = parts(arguments.trim(), depth);
    Some(Source::Named { kind: kind.into(), arguments, address: parts(address.trim(), depth) })
}

/// Where the bracket closes that was opened before `text`.
fn closing(text: &str) -> Option<usize> {
    let mut depth = 0_usize;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'(' => depth += 1,
            b')' if depth == 0 => return Some(at),
            b')' => depth -= 1,
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        parse(text).iter().map(part).collect()
    }

    fn part(part: &Part) -> String {
        match part {
            Part::Literal(text) => text.clone(),
            Part::Variable(sources) => {
                let sources: Vec<_> = sources.iter().map(source).collect();
                format!("<{}>", sources.join("|"))
            }
        }
    }

    fn source(source: &Source) -> String {
        let all = |parts: &[Part]| parts.iter().map(part).collect::<String>();
        match source {
            Source::Plain(text) => format!("={text}"),
            Source::Quoted(parts) => format!("'{}'", all(parts)),
            Source::Nested(parts) => all(parts),
            Source::Named { kind, arguments, address } => {
                format!("{kind}[{}]{}", all(arguments), all(address))
            }
        }
    }

    #[test]
    fn variables_are_told_from_text() {
        let table = [
            ("plain", "plain"),
            ("${self:custom.x}", "<self[]custom.x>"),
            ("a-${self:service}-b", "a-<self[]service>-b"),
            ("${opt:stage, 'dev'}", "<opt[]stage|'dev'>"),
            ("${opt:stage, self:provider.stage, \"a, b\"}", "<opt[]stage|self[]provider.stage|'a, b'>"),
            ("${self:custom.${opt:stage, 'dev'}.x, 5}", "<self[]custom.<opt[]stage|'dev'>.x|=5>"),
            ("${file(./${self:a}.yml):b.c, null}", "<file[./<self[]a>.yml]b.c|=null>"),
            ("${file(x.json)}", "<file[x.json]>"),
            ("${cf(eu-west-1):other-dev.Out}", "<cf[eu-west-1]other-dev.Out>"),
            ("${cf.us-east-1:other.Out}", "<cf.us-east-1[]other.Out>"),
            ("${env:A, ${self:b, 'c'}}", "<env[]A|<self[]b|'c'>>"),
            ("${AWS::Region}", "${AWS::Region}"),
            ("${MyHttpApi}.x", "${MyHttpApi}.x"),
            ("arn:${AWS::${self:what}}", "arn:${AWS::<self[]what>}"),
            ("${stageVariables.bucket_name}/{path}", "${stageVariables.bucket_name}/{path}"),
            ("{ \"a\": \"${self:x}\" }", "{ \"a\": \"<self[]x>\" }"),
            ("\\${self:x}", "${self:x}"),
            ("${self:x", "${self:x"),
            ("${}", "${}"),
            ("${self:}", "<self[]>"),
            ("${5}", "${5}"),
        ];
        for (text, expected) in table {
            assert_eq!(shown(text), expected, "{text}");
        }
    }

    #[test]
    fn a_text_of_nothing_but_openings_is_read_in_one_pass() {
        let text = "${self:".repeat(100_000);
        assert_eq!(shown(&text), text);
        let closed = format!("{text}{}", "}".repeat(100_000));
        assert!(shown(&closed).len() >= 100_000);
    }
}
