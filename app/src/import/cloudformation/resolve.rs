//! Values without intrinsic functions.

use super::{
    scope::Scope,
    text::{Words, is_dynamic, literal},
};
use crate::document::{Entry, TEXT_BYTES, Tree, Value};

impl Scope<'_, '_, '_> {
    /// A value without intrinsic functions. `None`: it is `AWS::NoValue`.
    pub(super) fn resolve(&mut self, tree: &Tree) -> Option<Tree> {
        let span = tree.span;
        let bytes = tree.as_str().map_or(0, str::len);
        if !self.charge(1 + bytes / TEXT_BYTES, span) {
            return Some(Tree::unknown(span, "the template makes too many values"));
        }
        match &tree.value {
            Value::Text(text) if is_dynamic(text) => {
                let mut words = Words::new(span);
                words.literal(self, text);
                Some(words.finish())
            }
            Value::List(items) => {
                let items = items.iter().filter_map(|item| self.resolve(item)).collect();
                Some(Tree { value: Value::List(items), span })
            }
            Value::Map(entries) => match entries.as_slice() {
                [entry] if entry.key == "Ref" => match entry.value.as_str() {
                    Some(name) => self.named(name, span),
                    None => Some(self.misused(tree, "Ref", "the name of a parameter or resource")),
                },
                [entry] if entry.key.starts_with("Fn::") => self.function(tree, &entry.key, &entry.value),
                entries => Some(Tree::map(span, self.entries(entries))),
            },
            _ => Some(tree.clone()),
        }
    }

    fn entries(&mut self, entries: &[Entry]) -> Vec<Entry> {
        let mut resolved = Vec::with_capacity(entries.len());
        for entry in entries {
            if entry.key == "Fn::Transform" {
                // Beside other keys: what is included joins them.
                let included = self.transform(&entry.value);
                resolved.extend(included.entries().iter().cloned());
                continue;
            }
            let Some(value) = self.resolve(&entry.value) else { continue };
            resolved.push(Entry { key: entry.key.clone(), key_span: entry.key_span, value });
        }
        resolved
    }

    /// The text of a value that is known whole, or a number or boolean.
    pub(super) fn words(&self, tree: &Tree) -> Option<String> {
        literal(&self.reading.files, tree)
    }

    /// A function that is given what it does not take.
    pub(super) fn misused(&mut self, tree: &Tree, name: &str, takes: &str) -> Tree {
        let mut open = false;
        tree.visit(&mut |tree| open |= matches!(tree.value, Value::Unknown(_) | Value::Pieces(_)));
        if open {
            return Tree::unknown(tree.span, format!("what {name} is given is not known"));
        }
        let message = format!("{name} takes {takes}");
        self.reading.problem("FE3106", tree.span, message, "its value is taken as not known: correct it");
        Tree::unknown(tree.span, format!("{name} is given what it does not take"))
    }
}
