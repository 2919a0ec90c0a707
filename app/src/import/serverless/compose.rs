//! Several services of one `serverless-compose.yml`.

use std::collections::BTreeMap;

use super::{expression, of_service, service::given, template::At};
use crate::{
    document::{FileId, Tree, Value},
    import::{Stack, reading::Reading},
};

/// Whether a file is a composition of services, by its name and by what stands in it.
pub(crate) fn is_compose(name: &str, tree: &Tree) -> bool {
    let file = name.rsplit('/').next().unwrap_or(name);
    file.starts_with("serverless-compose.") && tree.get("services").is_some()
}

/// The stacks of all services of a composition.
pub(crate) fn stacks(tree: &Tree, file: FileId, reading: &mut Reading<'_>) -> Vec<Stack> {
    let mut stacks = Vec::new();
    for service in tree.get("services").map(Tree::entries).unwrap_or_default() {
        let own = &service.value;
        let Some(path) = own.as_str().or_else(|| own.get("path").and_then(Tree::as_str)) else { continue };
        let config = own.get("config").and_then(Tree::as_str);
        let names = match config {
            Some(name) => vec![name],
            None => vec!["serverless.yml", "serverless.yaml", "serverless.json"],
        };
        let found = names.iter().find_map(|name| reading.local(file, &format!("{path}/{name}")));
        let Some(of_it) = found else {
            let message = format!("the service {} has no serverless.yml in {path}", service.key);
            reading.problem("FE3110", own.span, message, "pass the folder that has it, or correct the path");
            continue;
        };
        // `reading` knows that it was read: it is not read again as an input of its own.
        let Some(tree) = reading.parse(of_it) else { continue };
        let parameters = parameters(own);
        stacks.extend(of_service(&tree, of_it, reading, Some(&service.key), parameters));
    }
    stacks
}

/// What a service is given; another service's output is what that one exports.
fn parameters(own: &Tree) -> BTreeMap<String, Tree> {
    let Some(all) = given(own.get("params")) else { return BTreeMap::new() };
    let value = |tree: &Tree| {
        let at = At(tree.span);
        let output = tree.as_str().and_then(|text| text.strip_prefix("${")?.strip_suffix('}'));
        match (output, &tree.value) {
            (Some(output), _) if output.contains('.') && !output.contains(':') => {
                at.map([("Fn::ImportValue", Some(at.text(format!("compose:{output}"))))])
            }
            (_, Value::Text(text)) if expression::has_variable(text) => {
                Tree::unknown(tree.span, "a variable of the composition")
            }
            _ => tree.clone(),
        }
    };
    all.entries().iter().map(|entry| (entry.key.clone(), value(&entry.value))).collect()
}
