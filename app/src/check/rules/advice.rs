//! Good practice: off unless asked for, a line for each file.

use std::collections::BTreeMap;

use crate::{
    check::{About, Draft, Found, Look, Rule, Severity, rules::pool::named, words},
    design::{ApiKind, Function, Kind, Node, NodeId},
    document::FileId,
};

/// FB0101: logs that are kept for ever.
pub(super) struct Retention;

/// FB0102: functions that are not traced.
pub(super) struct Tracing;

/// FB0103: no alarm at all.
pub(super) struct Alarms;

/// FB0104: no budget.
pub(super) struct Budgets;

/// FB0105: APIs without a throttle of their own.
pub(super) struct Throttling;

/// FB0106: grants on everything.
pub(super) struct WideGrants;

/// The functions of each file for which something holds.
fn functions<'a>(
    look: &Look<'a>,
    holds: &dyn Fn(&Function) -> bool,
) -> BTreeMap<FileId, Vec<(NodeId, &'a Node)>> {
    let mut files: BTreeMap<FileId, Vec<(NodeId, &Node)>> = BTreeMap::new();
    for (id, node, _) in look.design.functions().filter(|(_, _, function)| holds(function)) {
        files.entry(node.span.file).or_default().push((id, node));
    }
    files
}

/// One line for each file: `say` is told who it is.
fn advise(
    files: BTreeMap<FileId, Vec<(NodeId, &Node)>>,
    found: &mut Found<'_>,
    help: &str,
    say: &dyn Fn(&str) -> String,
) {
    for nodes in files.into_values() {
        let Some((first, node)) = nodes.first() else { continue };
        let names: Vec<&str> = nodes.iter().map(|(_, node)| node.name.as_str()).collect();
        found.add(Draft::new(*first, node.span, say(&named(&names)), help.to_string()));
    }
}

impl Rule for Retention {
    fn about(&self) -> &'static About {
        &About {
            code: "FB0101",
            title: "logs that are kept for ever",
            severity: Severity::Advice,
            since: 1,
            page: include_str!("../../../../docs/rules/FB0101.md"),
        }
    }

    fn check(&self, look: &Look<'_>, found: &mut Found<'_>) {
        if look.is_aws() {
            let files = functions(look, &|function| function.log_retention.is_default());
            let help = "declare AWS::Logs::LogGroup with RetentionInDays for each";
            advise(files, found, help, &|who| {
                format!("{who}: what is logged is kept, and paid for, for ever")
            });
        }
    }
}

impl Rule for Tracing {
    fn about(&self) -> &'static About {
        &About {
            code: "FB0102",
            title: "functions that are not traced",
            severity: Severity::Advice,
            since: 1,
            page: include_str!("../../../../docs/rules/FB0102.md"),
        }
    }

    fn check(&self, look: &Look<'_>, found: &mut Found<'_>) {
        if look.is_aws() {
            let files = functions(look, &|function| function.traced.or(false) == Some(false));
            let help = "set Tracing: Active (TracingConfig.Mode), or instrument with OpenTelemetry";
            advise(files, found, help, &|who| format!("{who}: no trace shows where an event spent its time"));
        }
    }
}

impl Rule for Alarms {
    fn about(&self) -> &'static About {
        &About {
            code: "FB0103",
            title: "no alarm",
            severity: Severity::Advice,
            since: 1,
            page: include_str!("../../../../docs/rules/FB0103.md"),
        }
    }

    fn check(&self, look: &Look<'_>, found: &mut Found<'_>) {
        let help = "declare AWS::CloudWatch::Alarm on errors, throttles, and the age of the oldest message";
        without(look, found, &["AWS::CloudWatch::Alarm", "AWS::CloudWatch::CompositeAlarm"], help, &|who| {
            format!("{who}: no alarm of this file tells when they fail")
        });
    }
}

impl Rule for Budgets {
    fn about(&self) -> &'static About {
        &About {
            code: "FB0104",
            title: "no budget",
            severity: Severity::Advice,
            since: 1,
            page: include_str!("../../../../docs/rules/FB0104.md"),
        }
    }

    fn check(&self, look: &Look<'_>, found: &mut Found<'_>) {
        let help = "declare AWS::Budgets::Budget with a notification, in this stack or the account's";
        without(look, found, &["AWS::Budgets::Budget"], help, &|who| {
            format!("{who}: no budget of this file tells what a loop or a spike costs")
        });
    }
}

/// Files with functions and no resource of some types. Silent where the types of a file are not known.
fn without(look: &Look<'_>, found: &mut Found<'_>, types: &[&str], help: &str, say: &dyn Fn(&str) -> String) {
    if !look.is_aws() {
        return;
    }
    let mut files = functions(look, &|_| true);
    files.retain(|file, _| {
        let known = look.design.resource_types.get(file);
        known.is_some_and(|known| !types.iter().any(|of| known.contains_key(*of)))
    });
    advise(files, found, help, say);
}

impl Rule for Throttling {
    fn about(&self) -> &'static About {
        &About {
            code: "FB0105",
            title: "APIs without a throttle",
            severity: Severity::Advice,
            since: 1,
            page: include_str!("../../../../docs/rules/FB0105.md"),
        }
    }

    fn check(&self, look: &Look<'_>, found: &mut Found<'_>) {
        if !look.is_aws() {
            return;
        }
        let mut files: BTreeMap<FileId, Vec<(NodeId, &Node)>> = BTreeMap::new();
        for (id, node) in look.design.nodes() {
            let Kind::Api(api) = &node.kind else { continue };
            if matches!(api.kind, ApiKind::Rest | ApiKind::Http | ApiKind::WebSocket) && !api.throttled {
                files.entry(node.span.file).or_default().push((id, node));
            }
        }
        for apis in files.into_values() {
            let Some((first, node)) = apis.first() else { continue };
            let names: Vec<&str> = apis.iter().map(|(_, node)| node.name.as_str()).collect();
            let message = format!(
                "no throttle on {}: one caller can take the requests that all APIs of the account share",
                words::list(&names)
            );
            let help =
                "set ThrottlingRateLimit and ThrottlingBurstLimit on the stage, or a usage plan".to_string();
            found.add(Draft::new(*first, node.span, message, help));
        }
    }
}

impl Rule for WideGrants {
    fn about(&self) -> &'static About {
        &About {
            code: "FB0106",
            title: "grants on everything",
            severity: Severity::Advice,
            since: 1,
            page: include_str!("../../../../docs/rules/FB0106.md"),
        }
    }

    fn check(&self, look: &Look<'_>, found: &mut Found<'_>) {
        if look.is_aws() {
            let files = functions(look, &|function| !function.wide_grants.is_empty());
            let help = "name the resources that are used, and the actions on them";
            advise(files, found, help, &|who| {
                format!("{who}: may do something with every resource of the account")
            });
        }
    }
}
