//! Intrinsic functions, one by one.

use super::{
    Truth,
    scope::{Scope, weight},
    text::{Part, Words, parts},
};
use crate::{
    document::{Reference, Tree, Unknown, Value},
    import::join::IMPORT,
};

/// Files that may include one another.
const INCLUDES_MAX: usize = 8;

/// Values of which one is meant that are kept.
const ONE_OF_MAX: usize = 64;

impl Scope<'_, '_, '_> {
    /// What a function gives; `tree` is the map that it is, `inside` what it is given.
    pub(super) fn function(&mut self, tree: &Tree, name: &str, inside: &Tree) -> Option<Tree> {
        let span = tree.span;
        let given = match name {
            "Fn::If" => return self.if_(tree, inside),
            "Fn::Sub" => return Some(self.sub(tree, inside)),
            "Fn::GetAtt" => return Some(self.get_att(tree, inside)),
            "Fn::Transform" => return Some(self.transform(inside)),
            "Fn::FindInMap" => return self.find_in_map(tree, inside),
            _ => self.resolve(inside).unwrap_or(Tree { value: Value::Null, span }),
        };
        if let Value::Unknown(unknown) = &given.value {
            let why = unknown.why.clone();
            return Some(Tree::unknown(span, why));
        }
        Some(match name {
            "Fn::Join" => self.join(tree, &given),
            "Fn::Select" => return self.select(tree, &given),
            "Fn::Split" => self.split(tree, &given),
            "Fn::Length" => match &given.value {
                Value::List(items) => {
                    let length = i64::try_from(items.len()).unwrap_or(i64::MAX);
                    Tree { value: Value::Integer(length), span }
                }
                _ => self.misused(tree, name, "a list"),
            },
            "Fn::ToJsonString" => {
                let mut words = Words::new(span);
                self.json(&given, &mut words);
                words.finish()
            }
            "Fn::Base64" => match self.words(&given) {
                Some(text) if self.charge(text.len() / 32, span) => Tree::text(span, base64(text.as_bytes())),
                _ => Tree::unknown(span, "what is in this text is known only when it is deployed"),
            },
            "Fn::ImportValue" => match self.words(&given) {
                Some(export) => {
                    let stack = Some(IMPORT.to_string());
                    let reference = Reference { stack, resource: export, attribute: None };
                    Tree { value: Value::Reference(reference), span }
                }
                None => Tree::unknown(span, "the name of the import is known only when it is deployed"),
            },
            "Fn::GetAZs" => Tree::unknown(span, "the region's zones are known only when it is deployed"),
            "Fn::Cidr" => Tree::unknown(span, "Fn::Cidr is not computed"),
            "Fn::GetStackOutput" | "Fn::RefAll" | "Fn::ValueOf" | "Fn::ValueOfAll" => {
                Tree::unknown(span, format!("{name} is known only when it is deployed"))
            }
            _ => {
                if !self.open {
                    let message = format!("nothing here knows the function {name}");
                    let help = "correct its name; its value is taken as not known";
                    self.reading.problem("FE3106", span, message, help);
                }
                Tree::unknown(span, format!("{name} is no function that is known"))
            }
        })
    }

    fn if_(&mut self, tree: &Tree, inside: &Tree) -> Option<Tree> {
        let [condition, yes, no] = inside.items() else {
            return Some(self.misused(tree, "Fn::If", "a condition's name and two values"));
        };
        let name = condition.as_str().or_else(|| condition.get("Condition").and_then(Tree::as_str));
        let Some(name) = name else {
            return Some(self.misused(tree, "Fn::If", "a condition's name and two values"));
        };
        match self.decide(name, condition.span) {
            Truth::Yes => self.resolve(yes),
            Truth::No => self.resolve(no),
            Truth::Unknown => {
                let nothing = Tree { value: Value::Null, span: tree.span };
                let both = [yes, no].map(|tree| self.resolve(tree).unwrap_or(nothing.clone()));
                let why = format!("the condition {name} is not known");
                let value = Value::Unknown(Unknown { why, one_of: both.to_vec() });
                Some(Tree { value, span: tree.span })
            }
        }
    }

    fn get_att(&mut self, tree: &Tree, inside: &Tree) -> Tree {
        let (resource, attribute) = match (&inside.value, inside.items()) {
            (Value::Text(text), _) => match text.split_once('.') {
                Some((resource, attribute)) => (resource.to_string(), attribute.to_string()),
                None => return self.misused(tree, "Fn::GetAtt", "a resource and an attribute"),
            },
            (_, [resource, attributes @ ..]) if !attributes.is_empty() => {
                let Some(resource) = resource.as_str() else {
                    return self.misused(tree, "Fn::GetAtt", "a resource and an attribute");
                };
                let mut names = Vec::new();
                for attribute in attributes {
                    let resolved = self.resolve(attribute);
                    match resolved.and_then(|tree| self.words(&tree)) {
                        Some(name) => names.push(name),
                        None => return Tree::unknown(tree.span, "which attribute is meant is not known"),
                    }
                }
                (resource.to_string(), names.join("."))
            }
            _ => return self.misused(tree, "Fn::GetAtt", "a resource and an attribute"),
        };
        self.resource(&resource, Some(&attribute), tree.span)
    }

    fn sub(&mut self, tree: &Tree, inside: &Tree) -> Tree {
        let (text, variables) = match inside.items() {
            [] => (inside, None),
            [text] => (text, None),
            [text, variables] => (text, Some(variables)),
            _ => return self.misused(tree, "Fn::Sub", "a text, or a text and a map of variables"),
        };
        let Some(text) = self.words(text) else {
            return self.misused(tree, "Fn::Sub", "a text, or a text and a map of variables");
        };
        let mut words = Words::new(tree.span);
        let parts = parts(&text);
        let variables: Vec<(&str, Option<Tree>)> = variables
            .map(|map| map.entries().iter().map(|e| (e.key.as_str(), self.resolve(&e.value))).collect())
            .unwrap_or_default();
        for part in parts {
            let name = match part {
                Part::Literal(text) => {
                    words.literal(self, text);
                    continue;
                }
                Part::Name(name) => name,
            };
            let variable = variables.iter().find(|(key, _)| *key == name).map(|(_, value)| value);
            let value = match (variable, name.split_once('.')) {
                (Some(value), _) => value.clone(),
                (None, Some((resource, attribute))) if !name.starts_with("AWS::") => {
                    Some(self.resource(resource, Some(attribute), tree.span))
                }
                (None, _) => self.named(name, tree.span),
            };
            if let Some(value) = value {
                words.tree(self, &value);
            }
        }
        words.finish()
    }

    fn join(&mut self, tree: &Tree, given: &Tree) -> Tree {
        let [separator, list] = given.items() else {
            return self.misused(tree, "Fn::Join", "a separator and a list");
        };
        let Some(separator) = self.words(separator) else {
            return self.misused(tree, "Fn::Join", "a separator and a list");
        };
        let items = match &list.value {
            Value::List(items) => items,
            Value::Unknown(unknown) => return Tree::unknown(tree.span, unknown.why.clone()),
            Value::Reference(_) | Value::Pieces(_) => {
                return Tree::unknown(tree.span, "the list is known only when it is deployed");
            }
            _ => return self.misused(tree, "Fn::Join", "a separator and a list"),
        };
        let mut words = Words::new(tree.span);
        for (at, item) in items.iter().enumerate() {
            if at > 0 {
                words.literal(self, &separator);
            }
            words.tree(self, item);
        }
        words.finish()
    }

    fn select(&mut self, tree: &Tree, given: &Tree) -> Option<Tree> {
        let [index, list] = given.items() else {
            return Some(self.misused(tree, "Fn::Select", "an index and a list"));
        };
        let items = match (&list.value, &index.value) {
            (_, Value::Unknown(unknown)) | (Value::Unknown(unknown), _) => {
                return Some(Tree::unknown(tree.span, unknown.why.clone()));
            }
            (Value::List(items), _) => items,
            _ => return Some(Tree::unknown(tree.span, "the list is known only when it is deployed")),
        };
        let at = index.as_i64().and_then(|index| usize::try_from(index).ok());
        let Some(item) = at.and_then(|at| items.get(at)) else {
            return Some(self.misused(tree, "Fn::Select", "an index from 0 of a list that has it"));
        };
        let fits = self.charge(weight(item), tree.span);
        Some(if fits { item.clone() } else { Tree::unknown(tree.span, "too much") })
    }

    fn split(&mut self, tree: &Tree, given: &Tree) -> Tree {
        let [separator, text] = given.items() else {
            return self.misused(tree, "Fn::Split", "a separator and a text");
        };
        let Some(separator) = self.words(separator).filter(|separator| !separator.is_empty()) else {
            return self.misused(tree, "Fn::Split", "a separator and a text");
        };
        let Some(text) = self.words(text) else {
            return Tree::unknown(tree.span, "the text is known only when it is deployed");
        };
        let items: Vec<Tree> = text.split(&separator).map(|part| Tree::text(tree.span, part)).collect();
        let fits = self.charge(items.len(), tree.span);
        if fits {
            Tree { value: Value::List(items), span: tree.span }
        } else {
            Tree::unknown(tree.span, "too much")
        }
    }

    /// `Fn::FindInMap`: where a key is not known, one of the values that it could be.
    fn find_in_map(&mut self, tree: &Tree, inside: &Tree) -> Option<Tree> {
        let ([map, first, second], default) = match inside.items() {
            [map, first, second] => ([map, first, second], None),
            [map, first, second, options] => ([map, first, second], options.get("DefaultValue")),
            _ => return Some(self.misused(tree, "Fn::FindInMap", "a mapping's name and two keys")),
        };
        let keys = [map, first, second].map(|key| self.resolve(key).and_then(|key| self.words(&key)));
        let span = tree.span;
        let [Some(map), first, second] = keys else {
            return Some(Tree::unknown(span, "which mapping is meant is not known"));
        };
        let Some(mapping) = self.mappings.get(map.as_str()) else {
            return self.not_in_map(tree, default, format!("there is no mapping {map}"));
        };
        let (Some(first), Some(second)) = (&first, &second) else {
            let firsts =
                mapping.iter().filter(|(key, _)| first.as_deref().is_none_or(|first| **key == first));
            let values = firsts.flat_map(|(_, values)| values.iter());
            let values = values.filter(|(key, _)| second.as_deref().is_none_or(|second| **key == second));
            let one_of: Vec<Tree> = values.map(|(_, value)| (*value).clone()).take(ONE_OF_MAX + 1).collect();
            let all: usize = one_of.iter().map(weight).sum();
            let keep = one_of.len() <= ONE_OF_MAX && self.charge(all, span);
            let why = format!("which of the mapping {map} is meant is not known");
            let one_of = if keep { one_of } else { Vec::new() };
            return Some(Tree { value: Value::Unknown(Unknown { why, one_of }), span });
        };
        match mapping.get(first.as_str()).and_then(|values| values.get(second.as_str())).copied() {
            Some(value) => {
                let value = Tree { value: value.value.clone(), span: value.span };
                let fits = self.charge(weight(&value), span);
                Some(if fits { value } else { Tree::unknown(span, "too much") })
            }
            None => self.not_in_map(tree, default, format!("the mapping {map} has no {first}, {second}")),
        }
    }

    fn not_in_map(&mut self, tree: &Tree, default: Option<&Tree>, message: String) -> Option<Tree> {
        if let Some(default) = default {
            return self.resolve(default);
        }
        let why = message.clone();
        if !self.open {
            let help = "add it, or a DefaultValue (with AWS::LanguageExtensions)";
            self.reading.problem("FE3108", tree.span, message, help);
        }
        Some(Tree::unknown(tree.span, why))
    }

    /// `Fn::Transform`: an included local file's value; of another macro, nothing is known.
    pub(super) fn transform(&mut self, inside: &Tree) -> Tree {
        let name = inside.get("Name").and_then(Tree::as_str).unwrap_or("Fn::Transform").to_string();
        if name != "AWS::Include" {
            self.unknown_transform(&name, inside.span);
            return Tree::unknown(inside.span, format!("the macro {name} makes it"));
        }
        let location = inside.at(&["Parameters", "Location"]).and_then(|tree| self.resolve(tree));
        let Some(path) = location.as_ref().and_then(|tree| self.words(tree)) else {
            return Tree::unknown(inside.span, "where the included file is is not known");
        };
        if self.includes >= INCLUDES_MAX {
            let message = format!("more than {INCLUDES_MAX} files include one another");
            self.reading.problem("FE3111", inside.span, message, "include less deep");
            return Tree::unknown(inside.span, "files include one another without end");
        }
        let span = location.map_or(inside.span, |tree| tree.span);
        let Some(tree) = self.reading.local_tree(self.file, &path, span) else {
            return Tree::unknown(inside.span, format!("the file {path} can't be read"));
        };
        self.includes += 1;
        let resolved = self.resolve(&tree);
        self.includes -= 1;
        resolved.unwrap_or(Tree { value: Value::Null, span: inside.span })
    }

    /// A value as JSON; references and what is not known stay pieces.
    fn json(&mut self, tree: &Tree, words: &mut Words) {
        let quoted = |text: &str| serde_json::Value::from(text).to_string();
        match &tree.value {
            Value::Null => words.literal(self, "null"),
            Value::Text(text) => words.literal(self, &quoted(text)),
            Value::Bool(_) | Value::Integer(_) | Value::Float(_) => words.tree(self, tree),
            Value::List(items) => {
                for (at, item) in items.iter().enumerate() {
                    words.literal(self, if at == 0 { "[" } else { "," });
                    self.json(item, words);
                }
                words.literal(self, if items.is_empty() { "[]" } else { "]" });
            }
            Value::Map(entries) => {
                for (at, entry) in entries.iter().enumerate() {
                    words.literal(self, if at == 0 { "{" } else { "," });
                    words.literal(self, &quoted(&entry.key));
                    words.literal(self, ":");
                    self.json(&entry.value, words);
                }
                words.literal(self, if entries.is_empty() { "{}" } else { "}" });
            }
            Value::Pieces(_) | Value::Reference(_) | Value::Unknown(_) => {
                words.literal(self, "\"");
                words.tree(self, tree);
                words.literal(self, "\"");
            }
        }
    }
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

fn base64(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let byte = |at: usize| u32::from(chunk.get(at).copied().unwrap_or(0));
        let group = byte(0) << 16 | byte(1) << 8 | byte(2);
        for digit in 0..4_usize {
            let index = (group >> (18 - 6 * digit) & 63) as usize;
            let letter = ALPHABET.get(index).copied().unwrap_or(b'=');
            text.push(if digit <= chunk.len() { char::from(letter) } else { '=' });
        }
    }
    text
}
