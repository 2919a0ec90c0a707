//! SAM's policy templates: what each grants.

use std::collections::BTreeMap;

const TEXT: &str = include_str!("policies.txt");

/// Actions, and the patterns of the resources that they are granted on.
pub(super) type Granted = (Vec<&'static str>, Vec<&'static str>);

/// The templates by name.
pub(super) fn templates() -> BTreeMap<&'static str, Vec<Granted>> {
    let mut templates = BTreeMap::new();
    let mut current = "";
    for line in TEXT.lines().filter(|line| !line.starts_with('#')) {
        if let Some(granted) = line.strip_prefix(' ') {
            let (actions, resources) = granted.split_once(" on ").unwrap_or((granted, ""));
            let granted = (actions.split(' ').collect(), resources.split(' ').collect());
            templates.entry(current).or_insert_with(Vec::new).push(granted);
        } else {
            current = line.split(' ').next().unwrap_or_default();
        }
    }
    templates
}
