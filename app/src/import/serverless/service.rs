//! A service with its variables resolved, on its way to a template.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    naming,
    template::{At, Template},
};
use crate::{
    design::Unresolved,
    document::{Entry, Piece, Span, Tree, Unknown, Value},
};

/// A service and what it became so far.
pub(super) struct Service {
    /// The file's tree, without variables.
    pub(super) root: Tree,
    /// `provider`.
    pub(super) provider: Tree,
    /// The service's name.
    pub(super) name: Tree,
    /// The stage.
    pub(super) stage: Tree,
    /// Functions by name with their settings; those that constructs add stand at the end.
    pub(super) functions: Vec<Entry>,
    /// The functions' names.
    pub(super) names: BTreeSet<String>,
    /// Aliases that triggers invoke, by function.
    pub(super) aliases: BTreeMap<String, String>,
    /// What it becomes.
    pub(super) template: Template,
    /// What could not be known.
    pub(super) unresolved: Vec<Unresolved>,
}

impl Service {
    pub(super) fn new(root: Tree, stage: Tree) -> Service {
        let nothing = Tree { value: Value::Null, span: root.span };
        let provider = root.get("provider").cloned().unwrap_or(nothing.clone());
        let name = match root.get("service") {
            Some(Tree { value: Value::Map(_), .. }) => root.at(&["service", "name"]).cloned(),
            name => name.cloned(),
        };
        let functions = entries_of_all(root.get("functions"));
        let names = functions.iter().map(|entry| entry.key.clone()).collect();
        Service {
            provider,
            name: name.unwrap_or(nothing),
            stage,
            functions,
            names,
            aliases: BTreeMap::new(),
            template: Template::default(),
            unresolved: Vec::new(),
            root,
        }
    }

    /// `service-stage`, the beginning of most names.
    pub(super) fn prefix(&self, at: At) -> Tree {
        concat(at, &[&self.name, &at.text("-"), &self.stage])
    }

    /// A setting of the function, else of the provider.
    pub(super) fn setting<'t>(&'t self, function: &'t Tree, key: &str) -> Option<&'t Tree> {
        given(function.get(key)).or_else(|| given(self.provider.get(key)))
    }

    /// What a trigger invokes: the function, or its alias.
    pub(super) fn target(&self, at: At, function: &str) -> Tree {
        let arn = at.attribute(&lambda(function), "Arn");
        match self.aliases.get(function) {
            Some(alias) => at.join(":", vec![arn, at.text(alias)]),
            None => arn,
        }
    }

    /// A function that is named, by name or by ARN.
    pub(super) fn named(&self, at: At, name: &Tree) -> Tree {
        match name.as_str() {
            Some(text) if self.names.contains(text) => self.target(at, text),
            _ => name.clone(),
        }
    }

    /// Notes something that could not be known.
    pub(super) fn unknown(&mut self, span: Span, resource: Option<&str>, what: String) {
        self.unresolved.push(Unresolved { span, resource: resource.map(str::to_string), what });
    }
}

/// A function's logical id.
pub(super) fn lambda(function: &str) -> String {
    format!("{}LambdaFunction", naming::normal(function))
}

/// A value that is there and not null.
pub(super) fn given(tree: Option<&Tree>) -> Option<&Tree> {
    tree.filter(|tree| tree.value != Value::Null)
}

/// The entries of a map, or of all maps of a list.
pub(super) fn entries_of_all(tree: Option<&Tree>) -> Vec<Entry> {
    tree.map(Tree::one_or_many).unwrap_or_default().iter().flat_map(Tree::entries).cloned().collect()
}

/// Texts one after the other; what is not known stays so.
pub(super) fn concat(at: At, parts: &[&Tree]) -> Tree {
    let mut pieces: Vec<Piece> = Vec::new();
    for part in parts {
        match &part.value {
            Value::Text(text) => literal(&mut pieces, text),
            Value::Integer(number) => literal(&mut pieces, &number.to_string()),
            Value::Pieces(more) => pieces.extend(more.iter().cloned()),
            Value::Unknown(unknown) => pieces.push(Piece::Unknown(unknown.clone())),
            _ => {
                let why = "a name that is no text".to_string();
                pieces.push(Piece::Unknown(Unknown { why, one_of: Vec::new() }));
            }
        }
    }
    match pieces.as_slice() {
        [Piece::Literal(text)] => at.text(text.clone()),
        _ => Tree { value: Value::Pieces(pieces), span: at.0 },
    }
}

fn literal(pieces: &mut Vec<Piece>, text: &str) {
    match pieces.last_mut() {
        Some(Piece::Literal(before)) => before.push_str(text),
        _ => pieces.push(Piece::Literal(text.to_string())),
    }
}
