//! `samconfig.toml`: what it says a template beside it is told.

use std::collections::BTreeMap;

use super::reading::Reading;
use crate::document::{FileId, Span, Tree, Value};

/// What a configuration file says for one template.
#[derive(Debug, Default)]
pub(super) struct Config {
    pub(super) parameters: BTreeMap<String, Tree>,
    pub(super) region: Option<String>,
    pub(super) stack_name: Option<String>,
}

const NAMES: [&str; 3] = ["samconfig.toml", "samconfig.yaml", "samconfig.yml"];

/// The names of templates that SAM takes where nobody names one.
const TEMPLATES: [&str; 3] = ["template.yaml", "template.yml", "template.json"];

/// Whether a file is such a configuration.
pub(super) fn is_config(name: &str) -> bool {
    NAMES.contains(&base(name))
}

fn base(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or(name)
}

/// What the configuration beside a template says; nothing where it speaks of another template.
pub(super) fn beside(file: FileId, reading: &mut Reading<'_>) -> Config {
    let name = base(reading.files.name(file)).to_string();
    let Some(config) = NAMES.iter().find_map(|name| reading.local(file, name)) else {
        return Config::default();
    };
    let Some(tree) = reading.tree(config) else { return Config::default() };
    let stage = reading.options.stage.as_deref().filter(|stage| tree.get(stage).is_some());
    let Some(stage) = tree.get(stage.unwrap_or("default")) else { return Config::default() };
    // The command's own section goes before the one for all commands.
    let sections = ["deploy", "global"].map(|command| stage.at(&[command, "parameters"]));
    let stated = |key: &str| sections.iter().flatten().find_map(|section| section.get(key));
    let build = stage.at(&["build", "parameters"]);
    let template = ["template_file", "template"].into_iter().find_map(|key| {
        let named = stated(key).or_else(|| build.and_then(|section| section.get(key)));
        named.and_then(Tree::as_str)
    });
    let speaks_of_it = match template {
        Some(template) => base(template) == name,
        None => TEMPLATES.contains(&name.as_str()),
    };
    if !speaks_of_it {
        return Config::default();
    }
    let text = |key: &str| stated(key).and_then(Tree::as_str).map(str::to_string);
    Config {
        parameters: stated("parameter_overrides").map(overrides).unwrap_or_default(),
        region: text("region"),
        stack_name: text("stack_name"),
    }
}

/// `A=1 B="x y"`, `ParameterKey=A,ParameterValue=1`, a list of such, or a map.
fn overrides(tree: &Tree) -> BTreeMap<String, Tree> {
    let mut found = BTreeMap::new();
    match &tree.value {
        Value::Map(entries) => {
            found.extend(entries.iter().map(|entry| (entry.key.clone(), entry.value.clone())));
        }
        _ => {
            for item in tree.one_or_many() {
                for word in item.as_str().map(words).unwrap_or_default() {
                    found.extend(pair(&word, item.span));
                }
            }
        }
    }
    found
}

fn pair(word: &str, span: Span) -> Option<(String, Tree)> {
    let (name, value) = match word.strip_prefix("ParameterKey=") {
        Some(rest) => rest.split_once(",ParameterValue=")?,
        None => word.split_once('=')?,
    };
    Some((name.to_string(), Tree::text(span, value)))
}

/// The words of a text as a shell takes them: quotes keep spaces, a backslash keeps what is behind it.
fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let (mut word, mut started, mut quote) = (String::new(), false, None);
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (c, quote) {
            ('\\', _) => {
                word.extend(chars.next());
                started = true;
            }
            (c, Some(open)) if c == open => quote = None,
            ('"' | '\'', None) => (quote, started) = (Some(c), true),
            (c, None) if c.is_whitespace() => {
                if std::mem::take(&mut started) {
                    words.push(std::mem::take(&mut word));
                }
            }
            (c, _) => {
                word.push(c);
                started = true;
            }
        }
    }
    if started {
        words.push(word);
    }
    words
}
