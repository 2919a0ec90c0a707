//! Functions in isolation mode: environments of one tenant each.

use crate::{
    check::{About, Draft, Found, Look, Quantity, Rule, Severity, load::number, words},
    design::{Function, Node, NodeId, Via},
    document::Span,
    profile::Limit,
};

/// FB0037: what a function in isolation mode can't have.
pub(super) struct Isolation;

impl Rule for Isolation {
    fn about(&self) -> &'static About {
        &About {
            code: "FB0037",
            title: "limits of tenant isolation mode",
            severity: Severity::Error,
            since: 1,
            page: include_str!("../../../../docs/rules/FB0037.md"),
        }
    }

    fn check(&self, look: &Look<'_>, found: &mut Found<'_>) {
        if !look.is_aws() {
            return;
        }
        for (id, node, function) in look.design.functions().filter(|(_, _, function)| function.per_tenant) {
            rejected(look, id, node, function, found);
            environments(look, id, node, function, found);
        }
    }
}

fn rejected(look: &Look<'_>, id: NodeId, node: &Node, function: &Function, found: &mut Found<'_>) {
    let name = &node.name;
    let mut reject = |span: Span, what: &str, help: String| {
        let message = format!(
            "AWS rejects the deployment: {name} is in tenant isolation mode, and such a function has no \
             {what}"
        );
        found.add(Draft::new(id, span, message, help));
    };
    let source = look.design.incoming(id).find(|(_, edge)| matches!(edge.via, Via::EventSource(_)));
    if let Some((_, edge)) = source {
        let help = format!(
            "let a function without isolation read the source and invoke {name} with each message's tenant"
        );
        reject(edge.span, "event sources", help);
    }
    if function.url {
        reject(node.span, "function URL", "put API Gateway before it, which passes the tenant on".into());
    }
    if let Some(provisioned) = function.provisioned.first() {
        reject(provisioned.span, "provisioned concurrency", "leave it out".into());
    }
    if function.snap_start {
        reject(node.span, "SnapStart", "leave it out".into());
    }
}

/// Environments of tenants are kept while idle, and there are only so many.
fn environments(look: &Look<'_>, id: NodeId, node: &Node, function: &Function, found: &mut Found<'_>) {
    let Some(tenants) = look.traffic(id).and_then(|traffic| traffic.tenants) else { return };
    let Some(per_1000) = look.profile.value(Limit::LambdaTenantEnvironmentsPer1000) else { return };
    let reserved = function.reserved.stated().copied().map(number);
    let concurrency = match reserved {
        Some(reserved) => reserved,
        None if function.reserved.is_default() => match look.profile.value(Limit::LambdaConcurrency) {
            Some(pool) => pool,
            None => return,
        },
        None => return,
    };
    let most = concurrency * per_1000 / 1_000.0;
    if tenants <= most {
        return;
    }
    let name = &node.name;
    let [tenants_said, most_said, concurrency_said] = [tenants, most, concurrency].map(words::decimal);
    let message = format!(
        "{tenants_said} tenants are active at once and {name} has at most {most_said} environments, idle \
         ones included \
         ({per_1000} for each 1,000 of a concurrency of {concurrency_said}): the rest is refused",
        per_1000 = words::decimal(per_1000)
    );
    let needed = words::decimal((tenants * 1_000.0 / per_1000).ceil());
    let help =
        format!("have a concurrency of at least {needed}, or split the tenants over functions and accounts");
    let Some(limit) = look.limit(Limit::LambdaTenantEnvironmentsPer1000, "environments for each 1,000")
    else {
        return;
    };
    let mut draft = Draft::new(id, function.reserved.span().unwrap_or(node.span), message, help)
        .at_most(Severity::Warning)
        .meets(limit, Quantity::stated("tenants at once", tenants, ""));
    if reserved.is_none() {
        draft = draft.by(look, Limit::LambdaConcurrency);
    }
    found.add(draft);
}
