//! Properties as settings.

use crate::{
    design::Setting,
    document::{Tree, Value},
};

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
