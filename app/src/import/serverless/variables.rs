//! The framework's variables: `${self:custom.x}`, `${opt:stage, 'dev'}`, `${file(x.yml):key}` and the rest.
//!
//! A value is looked up when it is asked for and then kept, so that each is worked out once. What the files do not
//! say (a secret, another account's output) becomes a stated unknown.

use std::{collections::BTreeMap, rc::Rc};

use super::{
    expression::{Part, Source, has_variable, parse},
    plugins::construct_variable,
    template::At,
};
use crate::{
    document::{Entry, FileId, Piece, Span, Tree, Unknown, Value},
    import::reading::Reading,
};

/// How deep values and variables may lie in one another.
const DEPTH_MAX: usize = 192;

/// Values that variables may multiply to, with a text's bytes by the hundred.
const MADE_MAX: usize = 500_000;

/// What a source says.
enum Said {
    Value(Tree),
    /// It has no such value: the next source counts. Why.
    Missing(String),
    /// It can have one, and the files don't say which.
    Unknown(String),
}

/// Resolves the variables of one service.
pub(super) struct Variables<'t, 'a, 'r> {
    root: &'t Tree,
    file: FileId,
    reading: &'r mut Reading<'a>,
    /// What a composition gives the service.
    parameters: BTreeMap<String, Tree>,
    stage: Option<Tree>,
    /// Values by what they were asked for.
    known: BTreeMap<String, Option<Tree>>,
    /// What is being worked out.
    active: Vec<String>,
    files: BTreeMap<String, Option<Rc<Tree>>>,
    depth: usize,
    made: usize,
}

impl<'t, 'a, 'r> Variables<'t, 'a, 'r> {
    pub(super) fn new(
        root: &'t Tree,
        file: FileId,
        reading: &'r mut Reading<'a>,
        parameters: BTreeMap<String, Tree>,
    ) -> Self {
        Variables {
            root,
            file,
            reading,
            parameters,
            stage: None,
            known: BTreeMap::new(),
            active: Vec::new(),
            files: BTreeMap::new(),
            depth: 0,
            made: 0,
        }
    }

    /// The stage: what the caller was told, else `provider.stage`, else `dev`.
    pub(super) fn stage(&mut self) -> Tree {
        if let Some(stage) = &self.stage {
            return stage.clone();
        }
        let span = self.root.span;
        if let Some(stage) = self.reading.options.stage.clone() {
            return self.stage.insert(Tree::text(span, stage)).clone();
        }
        // While it is worked out, whoever asks is told the default.
        self.stage = Some(Tree::text(span, "dev"));
        let stage = self.root.at(&["provider", "stage"]).map(|stage| self.resolve(stage));
        let stage = stage.filter(|stage| stage.value != Value::Null);
        self.stage.insert(stage.unwrap_or(Tree::text(span, "dev"))).clone()
    }

    fn region(&mut self, span: Span) -> Tree {
        if let Some(region) = &self.reading.options.region {
            return Tree::text(span, region.clone());
        }
        match self.root.at(&["provider", "region"]) {
            Some(region) if !self.active.iter().any(|name| name == "region") => {
                self.active.push("region".into());
                let region = self.resolve(region);
                self.active.pop();
                region
            }
            _ => Tree::text(span, "us-east-1"),
        }
    }

    /// A value with all variables in it resolved.
    pub(super) fn resolve(&mut self, tree: &Tree) -> Tree {
        if self.depth >= DEPTH_MAX || self.made >= MADE_MAX {
            return Tree::unknown(tree.span, "variables lie too deep in one another or make too much");
        }
        self.depth += 1;
        let value = match &tree.value {
            Value::Text(text) if has_variable(text) => self.text(text, tree.span).value,
            Value::List(items) => Value::List(items.iter().map(|item| self.resolve(item)).collect()),
            Value::Map(entries) => Value::Map(self.entries(entries)),
            other => other.clone(),
        };
        self.depth -= 1;
        Tree { value, span: tree.span }
    }

    fn entries(&mut self, entries: &[Entry]) -> Vec<Entry> {
        let resolved = |entry: &Entry| {
            let value = self.resolve(&entry.value);
            Entry { key: entry.key.clone(), key_span: entry.key_span, value }
        };
        entries.iter().map(resolved).collect()
    }

    fn text(&mut self, text: &str, span: Span) -> Tree {
        let parts = parse(text);
        self.parts(&parts, span)
    }

    fn parts(&mut self, parts: &[Part], span: Span) -> Tree {
        if let [Part::Variable(sources)] = parts {
            return self.variable(sources, span);
        }
        let mut pieces = Vec::new();
        for part in parts {
            match part {
                Part::Literal(text) => literal(&mut pieces, text),
                Part::Variable(sources) => match self.variable(sources, span).value {
                    Value::Pieces(more) => pieces.extend(more),
                    Value::Unknown(unknown) => pieces.push(Piece::Unknown(unknown)),
                    value => match plain(&value) {
                        Some(text) => literal(&mut pieces, &text),
                        None => pieces.push(unknown("a list or map stands in a text")),
                    },
                },
            }
        }
        match pieces.as_slice() {
            [] => Tree::text(span, ""),
            [Piece::Literal(text)] => Tree::text(span, text.clone()),
            _ => Tree { value: Value::Pieces(pieces), span },
        }
    }

    fn variable(&mut self, sources: &[Source], span: Span) -> Tree {
        let mut first = None;
        for source in sources {
            match self.source(source, span) {
                Said::Value(tree) => {
                    self.made += weight(&tree);
                    // A single value is where it is used; what a list or map holds stays where it is written.
                    return Tree { span, ..tree };
                }
                Said::Missing(why) => drop(first.get_or_insert(why)),
                Said::Unknown(why) => return Tree::unknown(span, why),
            }
        }
        Tree::unknown(span, first.unwrap_or_default())
    }

    fn source(&mut self, source: &Source, span: Span) -> Said {
        if self.depth >= DEPTH_MAX || self.made >= MADE_MAX {
            return Said::Unknown("variables lie too deep in one another or make too much".into());
        }
        self.depth += 1;
        let said = match source {
            Source::Plain(text) => Said::Value(Tree { value: scalar(text), span }),
            Source::Quoted(parts) => Said::Value(self.parts(parts, span)),
            Source::Nested(parts) => match self.parts(parts, span) {
                // A nested variable that says nothing lets the next source count.
                Tree { value: Value::Unknown(unknown), .. } => Said::Missing(unknown.why),
                tree => Said::Value(tree),
            },
            Source::Named { kind, arguments, address } => {
                let arguments = self.parts(arguments, span);
                let address = self.parts(address, span);
                match (arguments.as_str(), address.as_str()) {
                    (Some(arguments), Some(address)) => self.named(kind, arguments, address, span),
                    _ => Said::Unknown("which variable it is depends on one that is not known".into()),
                }
            }
        };
        self.depth -= 1;
        said
    }

    fn named(&mut self, kind: &str, arguments: &str, address: &str, span: Span) -> Said {
        match kind {
            "self" => self.own(address, span),
            "sls" if address == "stage" => Said::Value(self.stage()),
            "opt" => self.option(address, span),
            "aws" if address == "region" => Said::Value(self.region(span)),
            "aws" => Said::Unknown(format!("`{address}` of the account that is deployed to")),
            "param" => self.parameter(address, span),
            "file" => self.file(arguments, address, span),
            "env" => Said::Missing(format!("the environment variable {address}")),
            "strToBool" => match scalar(&arguments.to_ascii_lowercase()) {
                Value::Bool(is) => Said::Value(Tree { value: Value::Bool(is), span }),
                _ => Said::Value(Tree { value: Value::Bool(arguments == "1"), span }),
            },
            "cf" => Said::Value(imported(address, span)),
            "construct" => match construct_variable(self.root.get("constructs"), address, At(span)) {
                Some(tree) => Said::Value(tree),
                None => Said::Unknown(format!("`construct:{address}`")),
            },
            kind if kind.starts_with("cf.") => Said::Value(imported(address, span)),
            "ssm" => Said::Unknown(format!("the parameter {address}")),
            kind => Said::Unknown(format!("`{kind}:{address}` is read when it is deployed")),
        }
    }

    fn option(&mut self, address: &str, span: Span) -> Said {
        let options = self.reading.options;
        let value = match address {
            "stage" | "s" => options.stage.clone(),
            "region" | "r" => options.region.clone(),
            _ => options.parameters.get(address).cloned(),
        };
        match value {
            Some(value) => Said::Value(Tree::text(span, value)),
            None => Said::Missing(format!("the option --{address} is not given")),
        }
    }

    fn parameter(&mut self, name: &str, span: Span) -> Said {
        if let Some(value) = self.reading.options.parameters.get(name) {
            return Said::Value(Tree::text(span, value.clone()));
        }
        if let Some(value) = self.parameters.get(name) {
            return Said::Value(value.clone());
        }
        let stage = self.stage();
        let stage = stage.as_str().unwrap_or("");
        for path in [
            format!("params.{stage}.{name}"),
            format!("stages.{stage}.params.{name}"),
            format!("params.default.{name}"),
            format!("stages.default.params.{name}"),
        ] {
            if let Some(tree) = self.look_up(&path, span) {
                return Said::Value(tree);
            }
        }
        Said::Missing(format!("the parameter {name} is not given"))
    }

    fn own(&mut self, address: &str, span: Span) -> Said {
        if let Some(tree) = self.look_up(address, span) {
            return Said::Value(tree);
        }
        match address {
            "provider.stage" => Said::Value(self.stage()),
            "provider.region" => Said::Value(self.region(span)),
            "service.name" => self.own("service", span),
            _ => Said::Missing(format!("there is no `{address}` in this file")),
        }
    }

    /// A value of the service's file, kept for the next time.
    fn look_up(&mut self, address: &str, span: Span) -> Option<Tree> {
        if let Some(known) = self.known.get(address) {
            return known.clone();
        }
        if self.active.iter().any(|active| active == address) {
            return Some(Tree::unknown(span, format!("`{address}` depends on itself")));
        }
        self.active.push(address.to_string());
        let root = self.root;
        let found = self.walk(root, address).filter(|tree| tree.value != Value::Null);
        self.active.pop();
        self.known.insert(address.to_string(), found.clone());
        found
    }

    fn walk(&mut self, root: &Tree, address: &str) -> Option<Tree> {
        let mut made: Option<Tree> = None;
        let mut at = root;
        for key in address.split('.').filter(|key| !key.is_empty()) {
            if let Value::Text(text) = &at.value
                && has_variable(text)
            {
                let (text, span) = (text.clone(), at.span);
                let tree = made.insert(self.text(&text, span));
                at = tree;
            }
            if let Value::Unknown(_) | Value::Pieces(_) = at.value {
                return Some(at.clone());
            }
            at = child(at, key)?;
        }
        let at = at.clone();
        Some(self.resolve(&at))
    }

    fn file(&mut self, path: &str, address: &str, span: Span) -> Said {
        let path = path.trim_matches(['\'', '"']).trim();
        let ending = path.rsplit_once('.').map_or("", |(_, ending)| ending);
        if matches!(ending, "js" | "cjs" | "mjs" | "ts") {
            return Said::Unknown(format!("{path} is a program that works it out"));
        }
        let Some(root) = self.local(path, span) else {
            return Said::Missing(format!("there is no file {path}"));
        };
        let key = format!("file({path}):{address}");
        if self.active.contains(&key) {
            return Said::Unknown(format!("{path} depends on itself"));
        }
        self.active.push(key);
        let found = self.walk(&root, address).filter(|tree| tree.value != Value::Null);
        self.active.pop();
        found.map_or_else(|| Said::Missing(format!("there is no `{address}` in {path}")), Said::Value)
    }

    fn local(&mut self, path: &str, span: Span) -> Option<Rc<Tree>> {
        if let Some(known) = self.files.get(path) {
            return known.clone();
        }
        let is_tree = [".yml", ".yaml", ".json", ".toml"].iter().any(|ending| path.ends_with(ending));
        let tree = if is_tree {
            self.reading.local_file_tree(self.file, path, span).map(|(_, tree)| tree)
        } else {
            // Any other file is a text.
            let file = self.reading.local(self.file, path);
            file.map(|file| Rc::new(Tree::text(span, self.reading.files.text(file))))
        };
        self.files.insert(path.to_string(), tree.clone());
        tree
    }
}

/// Another stack's output, by the name under which `outputs` of a service of this run exports it.
fn imported(address: &str, span: Span) -> Tree {
    let name = Tree::text(span, format!("cf:{address}"));
    Tree::map(span, vec![Entry { key: "Fn::ImportValue".into(), key_span: span, value: name }])
}

fn child<'t>(tree: &'t Tree, key: &str) -> Option<&'t Tree> {
    match &tree.value {
        Value::List(items) => items.get(key.parse::<usize>().ok()?),
        _ => tree.get(key),
    }
}

fn literal(pieces: &mut Vec<Piece>, text: &str) {
    match pieces.last_mut() {
        Some(Piece::Literal(before)) => before.push_str(text),
        _ => pieces.push(Piece::Literal(text.to_string())),
    }
}

fn unknown(why: &str) -> Piece {
    Piece::Unknown(Unknown { why: why.into(), one_of: Vec::new() })
}

/// A single value as it stands in a text.
fn plain(value: &Value) -> Option<String> {
    match value {
        Value::Text(text) => Some(text.clone()),
        Value::Integer(number) => Some(number.to_string()),
        Value::Float(number) => Some(number.to_string()),
        Value::Bool(is) => Some(is.to_string()),
        Value::Null => Some(String::new()),
        _ => None,
    }
}

/// A plain value of a variable: a number, a boolean, null.
fn scalar(text: &str) -> Value {
    match text {
        "true" => Value::Bool(true),
        "false" => Value::Bool(false),
        "null" => Value::Null,
        _ => match (text.parse::<i64>(), text.parse::<f64>()) {
            (Ok(number), _) => Value::Integer(number),
            (_, Ok(number)) => Value::Float(number),
            _ => Value::Text(text.to_string()),
        },
    }
}

fn weight(tree: &Tree) -> usize {
    let mut weight = 0;
    tree.visit(&mut |tree| {
        weight += match &tree.value {
            Value::Text(text) => 1 + text.len() / 100,
            _ => 1,
        };
    });
    weight
}
