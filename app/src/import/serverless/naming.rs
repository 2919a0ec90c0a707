//! Logical ids as the framework makes them.

use crate::document::{Tree, Value};

/// The first letter as a capital.
pub(super) fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|first| first.to_uppercase().chain(chars).collect()).unwrap_or_default()
}

/// A function's or another thing's name as the beginning of logical ids.
pub(super) fn normal(name: &str) -> String {
    capital(&name.replace('-', "Dash").replace('_', "Underscore"))
}

/// Letters and digits only.
pub(super) fn letters(name: &str) -> String {
    capital(&name.chars().filter(char::is_ascii_alphanumeric).collect::<String>())
}

/// A path of an API: `orders/{id}` is `OrdersIdVar`.
pub(super) fn path(path: &str) -> String {
    path.split('/').map(path_part).collect()
}

fn path_part(part: &str) -> String {
    let mut chars = part.chars();
    let lower: String = match chars.next() {
        Some(first) => first.to_uppercase().chain(chars.flat_map(char::to_lowercase)).collect(),
        None => return String::new(),
    };
    let dashed = lower.replace('-', "Dash");
    let bare = match (dashed.find('{'), dashed.rfind('}')) {
        (Some(open), Some(close)) if open < close => {
            let inner = dashed.get(open + 1..close).unwrap_or("");
            let (before, after) = (dashed.get(..open).unwrap_or(""), dashed.get(close + 1..).unwrap_or(""));
            format!("{before}{inner}Var{after}")
        }
        _ => dashed,
    };
    letters(&bare)
}

/// What an ARN is called in logical ids: the resource of `Fn::GetAtt`, the name of `Fn::ImportValue`, the last part
/// of a text. `cut` is what stands before the last part.
pub(super) fn of_arn(arn: &Tree, cut: char) -> String {
    let last = |text: &str| text.rsplit(cut).next().unwrap_or(text).to_string();
    match &arn.value {
        Value::Text(text) => last(text),
        Value::Pieces(pieces) => match pieces.last() {
            Some(crate::document::Piece::Literal(text)) => last(text),
            _ => String::new(),
        },
        _ => match arn.entries() {
            [entry] => match (entry.key.as_str(), &entry.value.value) {
                ("Fn::GetAtt", Value::List(items)) => {
                    items.first().and_then(Tree::as_str).unwrap_or("").to_string()
                }
                ("Fn::GetAtt", Value::Text(text)) => text.split('.').next().unwrap_or(text).to_string(),
                ("Fn::Join", Value::List(items)) => {
                    let parts = items.get(1).map(Tree::items).unwrap_or_default();
                    parts.last().and_then(Tree::as_str).map(last).unwrap_or_default()
                }
                ("Ref" | "Fn::ImportValue", Value::Text(text)) => text.clone(),
                ("Fn::Sub", Value::Text(text)) => last(text),
                _ => String::new(),
            },
            _ => String::new(),
        },
    }
}
