//! Questions that no file answers: no findings. Off unless advice is asked for, a line for each file.

use std::collections::BTreeMap;

use crate::{
    check::{About, Draft, Found, Look, Rule, Severity, load::number, paths, rules::pool::named, words},
    design::{Function, Kind, Mode, Node, NodeId, Via},
    document::FileId,
    profile::Limit,
};

/// FB0107: does a second run of the same event do harm.
pub(super) struct Repeated;

/// FB0108: does the work grow with its input.
pub(super) struct Growing;

/// FB0109: is the memory measured.
pub(super) struct Memory;

/// FB0110: where does the tenant come from.
pub(super) struct Tenant;

/// Functions with a shorter timeout have little to divide, seconds.
const LONG_S: i64 = 300;

/// One question for each file with functions that it is asked of.
fn ask(
    look: &Look<'_>,
    found: &mut Found<'_>,
    question: &str,
    help: &str,
    is_asked: &dyn Fn(NodeId, &Function) -> bool,
) {
    let mut files: BTreeMap<FileId, Vec<(NodeId, &Node)>> = BTreeMap::new();
    for (id, node, function) in look.design.functions() {
        if is_asked(id, function) {
            files.entry(node.span.file).or_default().push((id, node));
        }
    }
    for nodes in files.into_values() {
        let Some((first, node)) = nodes.first() else { continue };
        let names: Vec<&str> = nodes.iter().map(|(_, node)| node.name.as_str()).collect();
        let message = format!("{}: {question}", named(&names));
        found.add(Draft::new(*first, node.span, message, help.to_string()));
    }
}

impl Rule for Repeated {
    fn about(&self) -> &'static About {
        &About {
            code: "FB0107",
            title: "question: may it be done twice",
            severity: Severity::Advice,
            since: 1,
            page: include_str!("../../../../docs/rules/FB0107.md"),
        }
    }

    fn check(&self, look: &Look<'_>, found: &mut Found<'_>) {
        if !look.is_aws() {
            return;
        }
        let question = "the same event may come twice: is the second run harmless?";
        let help = "derive what is written and sent from the event's id, so that a repetition meets it";
        ask(look, found, question, help, &|id, _| {
            let at_least_once = |mode| matches!(mode, Mode::Async | Mode::Poll);
            look.design.incoming(id).any(|(_, edge)| paths::gives_work(edge) && at_least_once(edge.mode))
        });
    }
}

impl Rule for Growing {
    fn about(&self) -> &'static About {
        &About {
            code: "FB0108",
            title: "question: does the work grow with its input",
            severity: Severity::Advice,
            since: 1,
            page: include_str!("../../../../docs/rules/FB0108.md"),
        }
    }

    fn check(&self, look: &Look<'_>, found: &mut Found<'_>) {
        let Some(most_s) = look.profile.value(Limit::LambdaTimeoutMax).filter(|_| look.is_aws()) else {
            return;
        };
        let most = words::seconds(most_s);
        let question = format!("{most} is the end: does the work grow with a file or a table that grows?");
        let help = "divide it into parts that run, fail and are tried again one by one";
        ask(look, found, &question, help, &|id, function| {
            // A file of any size, and what a schedule finds to do, have no bound of their own.
            let unbounded = |id| matches!(look.design.node(id).kind, Kind::Bucket(_) | Kind::Schedule(_));
            let long = function.timeout_s.stated().is_some_and(|timeout_s| *timeout_s >= LONG_S);
            long && look.design.incoming(id).any(|(_, edge)| paths::gives_work(edge) && unbounded(edge.from))
        });
    }
}

impl Rule for Memory {
    fn about(&self) -> &'static About {
        &About {
            code: "FB0109",
            title: "question: is the memory measured",
            severity: Severity::Advice,
            since: 1,
            page: include_str!("../../../../docs/rules/FB0109.md"),
        }
    }

    fn check(&self, look: &Look<'_>, found: &mut Found<'_>) {
        let [least, whole] = [Limit::LambdaMemoryMin, Limit::LambdaMemoryPerProcessor];
        let (Some(least), Some(whole)) = (look.profile.whole(least), look.profile.value(whole)) else {
            return;
        };
        if !look.is_aws() {
            return;
        }
        let part = words::decimal((whole / number(least)).round());
        let question =
            format!("{least} MB, the least, come with 1/{part} of a processor: is that what it needs?");
        let help = "measure it with 512 and 1,024 MB: what runs faster may cost the same";
        ask(look, found, &question, help, &|_, function| {
            !function.own_instances && function.memory_mb.or(least) == Some(least)
        });
    }
}

impl Rule for Tenant {
    fn about(&self) -> &'static About {
        &About {
            code: "FB0110",
            title: "question: where does the tenant come from",
            severity: Severity::Advice,
            since: 1,
            page: include_str!("../../../../docs/rules/FB0110.md"),
        }
    }

    fn check(&self, look: &Look<'_>, found: &mut Found<'_>) {
        if !look.is_aws() {
            return;
        }
        let question =
            "several tenants are stated, and its route has no authorizer: who says whose request it is?";
        let help = "take the tenant from an authorizer's answer, never from what the caller sends";
        ask(look, found, question, help, &|id, function| {
            let many =
                |id| look.traffic(id).and_then(|traffic| traffic.tenants).is_some_and(|count| count > 1.0);
            let authorized =
                |api| look.design.outgoing(api).any(|(_, edge)| matches!(edge.via, Via::Authorizer));
            !function.per_tenant
                && look.design.incoming(id).any(|(_, edge)| {
                    let route = matches!(edge.via, Via::Integration(_));
                    route && (many(edge.from) || many(id)) && !authorized(edge.from)
                })
        });
    }
}
