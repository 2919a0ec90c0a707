//! Properties as settings.

use std::borrow::Cow;

use crate::{
    design::Setting,
    document::{Format, Tree, Unknown, Value, parse_inside},
};

/// The value at keys, one inside the other, where conditions that are not known may stand on the way: what is at
/// the keys is then one of what it is in each case, `Null` where it is not there. `None`: it is there in no case.
pub(super) fn at<'t>(tree: &'t Tree, keys: &[&str]) -> Option<Cow<'t, Tree>> {
    let Some((first, rest)) = keys.split_first() else { return Some(Cow::Borrowed(tree)) };
    match &tree.value {
        Value::Unknown(unknown) if unknown.one_of.is_empty() => Some(Cow::Borrowed(tree)),
        Value::Unknown(unknown) => {
            let cases: Vec<_> = unknown.one_of.iter().map(|one| at(one, keys)).collect();
            if cases.iter().all(Option::is_none) {
                return None;
            }
            let nothing = || Tree { value: Value::Null, span: tree.span };
            let one_of = cases.into_iter().map(|case| case.map_or_else(nothing, Cow::into_owned)).collect();
            let value = Value::Unknown(Unknown { why: unknown.why.clone(), one_of });
            Some(Cow::Owned(Tree { value, span: tree.span }))
        }
        _ => tree.get(first).and_then(|tree| at(tree, rest)),
    }
}

/// A value that can be written as a text of JSON.
pub(super) fn json(tree: &Tree) -> Tree {
    let parsed = tree.as_str().and_then(|text| parse_inside(text, tree.span, Format::Json).ok());
    parsed.unwrap_or_else(|| tree.clone())
}

/// An element of a list.
#[derive(Debug, Clone)]
pub(super) struct Item<'t> {
    /// The element.
    pub tree: &'t Tree,
    /// The condition under which it is there, where that is not known.
    pub condition: Option<String>,
}

/// The elements of a list, or the single one that stands for a list. Where a condition that is not known decides
/// about the list or an element, those of all cases.
pub(super) fn items(tree: Option<&Tree>) -> Vec<Item<'_>> {
    let mut found = Vec::new();
    if let Some(tree) = tree {
        collect(tree, None, &mut found);
    }
    found
}

fn collect<'t>(tree: &'t Tree, condition: Option<&str>, found: &mut Vec<Item<'t>>) {
    match &tree.value {
        Value::Null => {}
        Value::List(items) => items.iter().for_each(|item| collect(item, condition, found)),
        Value::Unknown(unknown) if !unknown.one_of.is_empty() => {
            let only_two = unknown.one_of.len() == 2;
            for (number, one) in unknown.one_of.iter().enumerate() {
                let condition = in_case(&unknown.why, only_two && number == 1);
                collect(one, Some(&condition), found);
            }
        }
        _ => found.push(Item { tree, condition: condition.map(str::to_string) }),
    }
}

/// The condition under which the first of two values is meant, or the second.
pub(super) fn in_case(why: &str, otherwise: bool) -> String {
    let named = why.strip_prefix("the condition ").and_then(|rest| rest.strip_suffix(" is not known"));
    match named {
        Some(name) if otherwise => format!("not {name}"),
        Some(name) => name.to_string(),
        None => why.to_string(),
    }
}

/// A property, or where it stands under others.
pub(super) fn setting<T>(tree: Option<&Tree>, known: impl Fn(&Tree) -> Option<T>, what: &str) -> Setting<T>
where
    T: PartialEq,
{
    let Some(tree) = tree else { return Setting::Default };
    let span = tree.span;
    let unknown = |why: String| Setting::Unknown { why, span };
    match &tree.value {
        Value::Null => Setting::Default,
        Value::Unknown(of) => {
            // Whatever the condition, the value is the same.
            let mut values = of.one_of.iter().map(&known);
            match values.next() {
                Some(Some(first)) if values.all(|value| value.as_ref() == Some(&first)) => {
                    Setting::Stated(first, span)
                }
                _ => unknown(of.why.clone()),
            }
        }
        Value::Reference(to) => unknown(format!("it is from `{}`", to.resource)),
        Value::Pieces(_) => unknown("it is put together from what is not known".into()),
        _ => match known(tree) {
            Some(value) => Setting::Stated(value, span),
            None => unknown(format!("it is no {what}")),
        },
    }
}

/// A whole number.
pub(super) fn integer(tree: Option<&Tree>) -> Setting<i64> {
    setting(tree, Tree::as_i64, "whole number")
}

/// True or false.
pub(super) fn boolean(tree: Option<&Tree>) -> Setting<bool> {
    setting(tree, Tree::as_bool, "`true` or `false`")
}

/// A text.
pub(super) fn text(tree: Option<&Tree>) -> Setting<String> {
    setting(tree, |tree| tree.as_str().map(str::to_string), "text")
}

/// Whether it is a certain word, whatever its case.
pub(super) fn is(tree: Option<&Tree>, word: &str) -> Setting<bool> {
    setting(tree, |tree| tree.as_str().map(|text| text.eq_ignore_ascii_case(word)), "text")
}

/// Stated as true where there is anything, even if what it is is not known.
pub(super) fn there(tree: Option<&Tree>) -> Setting<bool> {
    match tree {
        None => Setting::Default,
        Some(tree) => match &tree.value {
            Value::Null => Setting::Default,
            // A condition decides whether there is anything.
            Value::Unknown(of) if of.one_of.iter().any(|tree| tree.value == Value::Null) => {
                Setting::Unknown { why: of.why.clone(), span: tree.span }
            }
            _ => Setting::Stated(true, tree.span),
        },
    }
}

/// Known texts of a list, or of the single one that stands for a list.
pub(super) fn texts(tree: Option<&Tree>) -> Vec<String> {
    let items = tree.map(Tree::one_or_many).unwrap_or_default();
    items.iter().filter_map(Tree::as_str).map(str::to_string).collect()
}
