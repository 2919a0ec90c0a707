//! `Fn::ForEach`: what it repeats is written out before anything else is looked at.

use super::{Told, parameters, text::literal};
use crate::{
    document::{Entry, Span, TEXT_BYTES, Tree, Value},
    import::reading::Reading,
};

/// Values that loops may write out in one template.
const EXPANDED_MAX: usize = 1_000_000;

/// The template without loops.
pub(super) fn expand(tree: &Tree, told: &Told, reading: &mut Reading<'_>) -> Tree {
    let section = tree.get("Parameters").map(Tree::entries).unwrap_or_default();
    let values = parameters::values(section, told, reading);
    let lists = values.into_iter().map(|(name, value)| (name.to_string(), value)).collect();
    let mut loops = Loops { lists, variables: Vec::new(), made: 0, reading };
    loops.tree(tree)
}

struct Loops<'r, 'o> {
    /// Parameters, over whose lists loops go.
    lists: std::collections::BTreeMap<String, Tree>,
    /// The variables of the loops around, the innermost last.
    variables: Vec<(String, String)>,
    made: usize,
    reading: &'r mut Reading<'o>,
}

impl Loops<'_, '_> {
    fn charge(&mut self, weight: usize, span: Span) -> bool {
        let before = self.made;
        self.made = self.made.saturating_add(weight);
        if before <= EXPANDED_MAX && self.made > EXPANDED_MAX {
            let message = format!("its loops write out more than {EXPANDED_MAX} values");
            self.reading.problem("FE3111", span, message, "the rest of them is left out: repeat less");
        }
        self.made <= EXPANDED_MAX
    }

    fn tree(&mut self, tree: &Tree) -> Tree {
        let span = tree.span;
        // Outside of loops nothing is written out.
        let weight = 1 + tree.as_str().map_or(0, str::len) / TEXT_BYTES;
        if !self.variables.is_empty() && !self.charge(weight, span) {
            return Tree { value: Value::Null, span };
        }
        let value = match &tree.value {
            Value::Text(text) => Value::Text(self.replaced(text)),
            Value::List(items) => Value::List(items.iter().map(|item| self.tree(item)).collect()),
            Value::Map(entries) => match entries.as_slice() {
                [entry] if entry.key == "Ref" => match entry.value.as_str().and_then(|n| self.variable(n)) {
                    Some(value) => Value::Text(value.to_string()),
                    None => tree.value.clone(),
                },
                entries => Value::Map(self.entries(entries)),
            },
            other => other.clone(),
        };
        Tree { value, span }
    }

    fn entries(&mut self, entries: &[Entry]) -> Vec<Entry> {
        let mut written = Vec::with_capacity(entries.len());
        for entry in entries {
            if entry.key.starts_with("Fn::ForEach") {
                self.each(entry, &mut written);
                continue;
            }
            let value = self.tree(&entry.value);
            written.push(Entry { key: self.replaced(&entry.key), key_span: entry.key_span, value });
        }
        written
    }

    fn each(&mut self, entry: &Entry, written: &mut Vec<Entry>) {
        let [variable, collection, body] = entry.value.items() else {
            return self.misused(entry.value.span);
        };
        let (Some(variable), Value::Map(body)) = (variable.as_str(), &body.value) else {
            return self.misused(entry.value.span);
        };
        let Some(items) = self.collection(collection) else {
            let message = "the list that Fn::ForEach goes over is not known".to_string();
            let help = "what it makes is left out: give its parameter a value";
            return self.reading.problem("FE3114", collection.span, message, help);
        };
        for item in items {
            if self.made > EXPANDED_MAX {
                return;
            }
            self.variables.push((variable.to_string(), item));
            written.append(&mut self.entries(body));
            self.variables.pop();
        }
    }

    fn misused(&mut self, span: Span) {
        let message = "Fn::ForEach takes a name, a list, and a map of what is repeated".to_string();
        self.reading.problem("FE3106", span, message, "what it makes is left out: correct it");
    }

    fn collection(&self, tree: &Tree) -> Option<Vec<String>> {
        let items = match (&tree.value, tree.entries()) {
            (Value::List(items), _) => items,
            (_, [entry]) if entry.key == "Ref" => match &self.lists.get(entry.value.as_str()?)?.value {
                Value::List(items) => items,
                _ => return None,
            },
            _ => return None,
        };
        let mut texts = Vec::new();
        for item in items {
            match (literal(&self.reading.files, item), item.entries()) {
                (Some(text), _) => texts.push(self.replaced(&text)),
                (None, [entry]) if entry.key == "Ref" => {
                    let name = entry.value.as_str()?;
                    match self.variable(name) {
                        Some(value) => texts.push(value.to_string()),
                        None => match &self.lists.get(name)?.value {
                            Value::List(items) => {
                                for item in items {
                                    texts.push(literal(&self.reading.files, item)?);
                                }
                            }
                            _ => texts.push(literal(&self.reading.files, self.lists.get(name)?)?),
                        },
                    }
                }
                _ => return None,
            }
        }
        Some(texts)
    }

    fn variable(&self, name: &str) -> Option<&str> {
        self.variables.iter().rev().find(|(variable, _)| variable == name).map(|(_, value)| value.as_str())
    }

    /// A text with the loops' variables in their places: `${X}` as it is, `&{X}` without what ids can't have.
    fn replaced(&self, text: &str) -> String {
        if self.variables.is_empty() || !(text.contains("${") || text.contains("&{")) {
            return text.to_string();
        }
        let mut done = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(at) = rest.find("${").into_iter().chain(rest.find("&{")).min() {
            let (before, from) = rest.split_at(at);
            done.push_str(before);
            let Some(end) = from.find('}') else {
                rest = from;
                break;
            };
            let name = from.get(2..end).unwrap_or("");
            match self.variable(name) {
                Some(value) if from.starts_with('&') => {
                    done.extend(value.chars().filter(char::is_ascii_alphanumeric));
                }
                Some(value) => done.push_str(value),
                None => done.push_str(from.get(..=end).unwrap_or("")),
            }
            rest = from.get(end + 1..).unwrap_or("");
        }
        done.push_str(rest);
        done
    }
}
