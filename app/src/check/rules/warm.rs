//! Environments that are kept warm, and what happens when many begin at once.

use crate::{
    check::{About, Draft, Found, Look, Quantity, Rule, Severity, load::number, words},
    design::{Edge, EdgeId, Kind, NodeId, Via},
    profile::Limit,
};

/// FB0027: environments are kept warm for an alias that nothing invokes.
pub(super) struct Unused;

/// FB0035: many environments begin at once, and each reads its parameters or secrets.
pub(super) struct ColdReads;

impl Rule for Unused {
    fn about(&self) -> &'static About {
        &About {
            code: "FB0027",
            title: "provisioned concurrency that no trigger uses",
            severity: Severity::Warning,
            since: 1,
            page: include_str!("../../../../docs/rules/FB0027.md"),
        }
    }

    fn check(&self, look: &Look<'_>, found: &mut Found<'_>) {
        if !look.is_aws() {
            return;
        }
        for (id, node, function) in look.design.functions() {
            for provisioned in &function.provisioned {
                // What is not known to be there, or what a caller could reach by its name, may use it.
                let triggers: Vec<(EdgeId, &Edge)> = look.design.incoming(id).collect();
                let others =
                    triggers.iter().any(|(_, edge)| matches!(edge.via, Via::Access(_) | Via::Authorizer));
                let used = triggers
                    .iter()
                    .any(|(_, edge)| edge.qualifier.as_deref() == Some(provisioned.qualifier.as_str()));
                let Some((_, first)) = triggers.first().filter(|_| !used && !others && !function.url) else {
                    continue;
                };
                if provisioned.count.stated().is_some_and(|count| *count == 0) {
                    continue;
                }
                let (name, alias) = (&node.name, &provisioned.qualifier);
                let invoked = first.qualifier.as_deref().unwrap_or("$LATEST");
                let kept = provisioned.count.stated().map_or_else(
                    || "environments".into(),
                    |count| format!("{} environments", words::decimal(number(*count))),
                );
                let message = format!(
                    "{kept} of {name} are kept warm and paid for by the alias {alias}, and no trigger \
                     invokes it: {} invokes {invoked}",
                    look.design.node(first.from).name
                );
                let help = format!("let the triggers invoke {name}:{alias} (the alias's ARN)");
                found.add(
                    Draft::new(id, provisioned.span, message, help)
                        .rests_on(triggers.iter().map(|(id, _)| *id))
                        .related(first.span, format!("invokes {invoked}")),
                );
            }
        }
    }
}

impl Rule for ColdReads {
    fn about(&self) -> &'static About {
        &About {
            code: "FB0035",
            title: "secrets and parameters read by many environments at once",
            severity: Severity::Warning,
            since: 1,
            page: include_str!("../../../../docs/rules/FB0035.md"),
        }
    }

    fn check(&self, look: &Look<'_>, found: &mut Found<'_>) {
        if !look.is_aws() {
            return;
        }
        let flows = look.flows();
        for (id, _, function) in look.design.functions() {
            let Some((edge_id, edge, limit)) = reads(look, id) else { continue };
            let Some(most) = look.profile.value(limit) else { continue };
            let Some(scaling) = look.profile.value(Limit::LambdaScalingPer10s) else { continue };
            let warm: f64 =
                function.provisioned.iter().filter_map(|p| p.count.stated()).map(|c| number(*c)).sum();
            let per_s: f64 = flows.get(&id).into_iter().flatten().map(|flow| flow.per_s).sum();
            // At a spike, each request of a second begins an environment, as fast as Lambda adds them.
            let begin = per_s.min(scaling / 10.0).max(warm.min(scaling / 10.0));
            if begin <= most {
                continue;
            }
            let (name, what) = (&look.design.node(id).name, &look.design.node(edge.to).name);
            let [begin_said, most_said] = [begin, most].map(words::decimal);
            let message = format!(
                "at a spike {begin_said} environments of {name} begin each second and read {what}, and the \
                 account reads {most_said}/s"
            );
            let help = "read it through the Parameters and Secrets extension or pass it at deployment, and \
                 retry with jitter; or raise Parameter Store's throughput"
                .into();
            let Some(quantity) = look.limit(limit, "reads a second") else { continue };
            found.add(
                Draft::new(id, edge.span, message, help)
                    .rests_on([edge_id])
                    .path(look.hop_pair(
                        edge,
                        format!("{begin_said} begin a second"),
                        format!("{most_said} reads/s"),
                    ))
                    .meets(quantity, Quantity::stated("environments that begin", begin, "/s"))
                    .assuming("it is read when an environment begins")
                    .by(look, limit),
            );
        }
    }
}

/// What a function reads of parameters or secrets, and the limit of that.
fn reads<'a>(look: &Look<'a>, id: NodeId) -> Option<(EdgeId, &'a Edge, Limit)> {
    look.design.outgoing(id).find_map(|(edge_id, edge)| {
        let Kind::External(_) = &look.design.node(edge.to).kind else { return None };
        let limit = match look.design.node(edge.to).resource_type.as_str() {
            "AWS::SSM::Parameter" => Limit::ParameterReadsPerS,
            "AWS::SecretsManager::Secret" => Limit::SecretReadsPerS,
            _ => return None,
        };
        Some((edge_id, edge, limit))
    })
}
