//! Parameters: what they are told, what `samconfig.toml` says, their defaults.

use std::collections::BTreeMap;

use super::{Told, text::literal};
use crate::{
    document::{Entry, FileId, Span, Tree, Unknown, Value},
    import::{reading::Reading, samconfig},
};

/// What a file's template is told: options first, then the `samconfig.toml` beside it.
pub(super) fn told(file: FileId, reading: &mut Reading<'_>) -> Told {
    let config = samconfig::beside(file, reading);
    let at = Span { file, start: 0, end: 0 };
    let mut parameters = config.parameters;
    for (name, value) in &reading.options.parameters {
        parameters.insert(name.clone(), Tree::text(at, value.clone()));
    }
    Told {
        name: reading.files.name(file).to_string(),
        parameters,
        region: reading.options.region.clone().or(config.region),
        stack_name: config.stack_name,
        lenient: false,
        depth: 0,
    }
}

/// The value of each parameter.
pub(super) fn values<'t>(
    section: &'t [Entry],
    told: &Told,
    reading: &Reading<'_>,
) -> BTreeMap<&'t str, Tree> {
    let value = |entry: &'t Entry| {
        let given = told.parameters.get(&entry.key).cloned();
        (entry.key.as_str(), value(entry, given, reading))
    };
    section.iter().map(value).collect()
}

fn value(entry: &Entry, given: Option<Tree>, reading: &Reading<'_>) -> Tree {
    let (name, body) = (&entry.key, &entry.value);
    let kind = body.get("Type").and_then(Tree::as_str).unwrap_or("String");
    let of_store = kind.starts_with("AWS::SSM::Parameter::");
    let stated = given.or_else(|| body.get("Default").cloned().filter(|tree| tree.value != Value::Null));
    let Some(stated) = stated else {
        let one_of = body.get("AllowedValues").map(Tree::items).unwrap_or_default().to_vec();
        let why = format!("the parameter {name} has no default");
        return Tree { value: Value::Unknown(Unknown { why, one_of }), span: entry.key_span };
    };
    if of_store {
        let why = format!("the parameter {name} is read from the parameter store when it is deployed");
        return Tree::unknown(stated.span, why);
    }
    typed(kind, stated, reading)
}

/// A value as its parameter's type has it: everything but numbers and lists is a text.
fn typed(kind: &str, stated: Tree, reading: &Reading<'_>) -> Tree {
    let span = stated.span;
    if kind == "CommaDelimitedList" || kind.starts_with("List<") {
        let Some(text) = literal(&reading.files, &stated) else { return stated };
        let items = text.split(',').map(|item| Tree::text(span, item.trim()));
        return Tree { value: Value::List(items.collect()), span };
    }
    let number = match (kind, &stated.value) {
        ("Number", Value::Text(text)) => text.trim().parse::<i64>().ok().map(Value::Integer),
        ("Number", _) => Some(stated.value.clone()),
        _ => None,
    };
    if let Some(value) = number {
        return Tree { value, span };
    }
    match literal(&reading.files, &stated) {
        Some(text) => Tree::text(span, text),
        None => stated,
    }
}
