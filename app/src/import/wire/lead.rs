//! What a value leads to: a reference, an ARN, a queue's URL, an integration's URI, a name.

mod service;

pub(super) use service::{SERVICES, in_words, type_of};

use super::{
    Wire,
    index::At,
    pattern::{Hole, Pattern},
    read,
};
use crate::document::{Reference, Tree, Value};

/// How many names for one another are followed: a file can make a circle of them.
const DEPTH_MAX: usize = 8;

/// To how many things one value can lead, by conditions in conditions; the rest is dropped.
const LEADS_MAX: usize = 16;

/// What a value leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Lead {
    /// To what.
    pub to: To,
    /// The alias or version of a function.
    pub qualifier: Option<String>,
    /// The condition under which it leads there, where that is not known.
    pub conditional: Option<String>,
}

/// To what a value leads.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum To {
    /// A resource of the run, and the attribute that was named.
    Resource(At, Option<String>),
    /// Something that is not among the files.
    Outside {
        /// A key of [`SERVICES`], or the ARN's service.
        service: String,
        /// Its name. Two with the same service and name are the same.
        name: String,
        /// What it is, in words.
        what: String,
    },
    /// Not known: why.
    Nothing(String),
}

impl Lead {
    /// To a resource or whatever.
    pub(super) fn to(to: To) -> Lead {
        Lead { to, qualifier: None, conditional: None }
    }

    fn nothing(why: impl Into<String>) -> Lead {
        Lead::to(To::Nothing(why.into()))
    }

    /// The resource of the run.
    pub(super) fn resource(&self) -> Option<At> {
        match self.to {
            To::Resource(at, _) => Some(at),
            To::Outside { .. } | To::Nothing(_) => None,
        }
    }
}

/// An ARN's last part, taken apart.
struct Named<'a> {
    /// A key of [`SERVICES`], or the service with the kind of resource.
    service: String,
    name: &'a str,
    qualifier: Option<&'a str>,
    /// Of which attribute this is the ARN, where a resource has several.
    attribute: Option<&'static str>,
}

impl Wire<'_> {
    /// What a value of a stack leads to; several where a condition decides. `service` says what a bare name names.
    pub(super) fn leads(&self, stack: usize, value: &Tree, service: &str) -> Vec<Lead> {
        let mut leads = self.leads_from(stack, value, service, 0);
        leads.truncate(LEADS_MAX);
        leads
    }

    /// As [`Wire::leads`], on the way from another resource, `depth` names deep.
    pub(super) fn leads_from(&self, stack: usize, value: &Tree, service: &str, depth: usize) -> Vec<Lead> {
        if depth > DEPTH_MAX {
            return vec![Lead::nothing("names lead to one another in a circle")];
        }
        match &value.value {
            Value::Null => Vec::new(),
            Value::Unknown(unknown) if !unknown.one_of.is_empty() => {
                let of = |tree| self.leads_from(stack, tree, service, depth + 1);
                let all: Vec<Vec<Lead>> = unknown.one_of.iter().map(of).collect();
                let same = all.first().is_some_and(|first| all.iter().all(|leads| leads == first));
                if same {
                    return all.into_iter().next().unwrap_or_default();
                }
                let only_two = all.len() == 2;
                let mut leads = Vec::new();
                for (number, some) in all.into_iter().enumerate() {
                    let condition = read::in_case(&unknown.why, only_two && number == 1);
                    leads.extend(
                        some.into_iter().map(|lead| Lead { conditional: Some(condition.clone()), ..lead }),
                    );
                }
                leads
            }
            _ => match Pattern::of(value) {
                Some(pattern) => self.pattern_leads(stack, &pattern, service, depth),
                None => vec![Lead::nothing("it is no name, ARN or URL")],
            },
        }
    }

    /// What a text leads to.
    pub(super) fn pattern_leads(
        &self,
        stack: usize,
        pattern: &Pattern<'_>,
        service: &str,
        depth: usize,
    ) -> Vec<Lead> {
        let text = pattern.text.as_str();
        if depth > DEPTH_MAX {
            return vec![Lead::nothing("names lead to one another in a circle")];
        }
        if let Some(hole) = pattern.only_hole(text) {
            return self.hole_leads(stack, hole, depth);
        }
        if text.starts_with("arn:") {
            return self.arn_leads(stack, pattern, depth);
        }
        if let Some((_, rest)) = text.split_once("://") {
            return self.url_leads(stack, pattern, rest, depth);
        }
        if let Some((hole, rest)) = pattern.first_hole(text)
            && rest.starts_with([':', '/'])
        {
            let mut leads = self.hole_leads(stack, hole, depth);
            let qualifier = rest.strip_prefix(':').and_then(|text| qualifier_of(pattern, text));
            for lead in leads.iter_mut().filter(|lead| self.is_function(lead)) {
                lead.qualifier = lead.qualifier.take().or_else(|| qualifier.clone());
            }
            return leads;
        }
        match (service, text.split_once(':')) {
            ("", _) => vec![Lead::nothing(format!("`{}` is no ARN", pattern.shown(text)))],
            ("lambda", Some((name, qualifier))) => {
                // `123456789012:function:name:alias` too.
                let name = qualifier.strip_prefix("function:").unwrap_or(name);
                let (name, qualifier) = name.split_once(':').unwrap_or((name, qualifier));
                let named =
                    Named { service: "lambda".into(), name, qualifier: Some(qualifier), attribute: None };
                self.named_leads(stack, pattern, &named, depth)
            }
            _ => {
                let named =
                    Named { service: service.to_string(), name: text, qualifier: None, attribute: None };
                self.named_leads(stack, pattern, &named, depth)
            }
        }
    }

    fn is_function(&self, lead: &Lead) -> bool {
        let of = |at| self.resource(at).resource_type == "AWS::Lambda::Function";
        lead.resource().is_some_and(of)
    }

    fn hole_leads(&self, stack: usize, hole: Hole<'_>, depth: usize) -> Vec<Lead> {
        match hole {
            Hole::Reference(reference) => self.reference_leads(stack, reference, depth),
            Hole::Unknown(unknown) => vec![Lead::nothing(unknown.why.clone())],
        }
    }

    /// The resource that a reference names, whatever of it.
    pub(super) fn referenced(&self, stack: usize, reference: &Reference) -> Option<At> {
        let stack = match &reference.stack {
            Some(name) => self.index.stack(name)?,
            None => stack,
        };
        self.index.by_id(stack, &reference.resource)
    }

    fn reference_leads(&self, stack: usize, reference: &Reference, depth: usize) -> Vec<Lead> {
        let Some(at) = self.referenced(stack, reference) else {
            return vec![Lead::nothing(format!("`{}` is not among the resources", reference.resource))];
        };
        let resource = self.resource(at);
        let attribute = reference.attribute.as_deref();
        if resource.resource_type == "AWS::SSM::Parameter"
            && attribute == Some("Value")
            && let Some(value) = resource.properties.get("Value")
        {
            return self.leads_from(at.stack(), value, "", depth + 1);
        }
        match self.row(at).and_then(|row| row.stands_for) {
            Some(stands_for) => stands_for(self, at, depth + 1),
            None => vec![Lead::to(To::Resource(at, reference.attribute.clone()))],
        }
    }

    fn url_leads(&self, stack: usize, pattern: &Pattern<'_>, rest: &str, depth: usize) -> Vec<Lead> {
        let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
        let is_queue = host.starts_with("sqs.") || host.contains(".queue.") || host.starts_with("queue.");
        match path.split_once('/') {
            Some((_account, name)) if is_queue => {
                let named = Named { service: "sqs".into(), name, qualifier: None, attribute: None };
                self.named_leads(stack, pattern, &named, depth)
            }
            _ if host.contains(".execute-api.")
                && let Some((Hole::Reference(api), _)) = pattern.first_hole(host) =>
            {
                self.reference_leads(stack, api, depth)
            }
            _ => vec![Lead::to(To::Outside {
                service: "https".into(),
                name: pattern.shown(&pattern.text),
                what: "an HTTPS endpoint".into(),
            })],
        }
    }

    fn arn_leads(&self, stack: usize, pattern: &Pattern<'_>, depth: usize) -> Vec<Lead> {
        let mut fields = pattern.text.splitn(6, ':');
        let (_arn, _partition, service) = (fields.next(), fields.next(), fields.next());
        let (_region, account, resource) = (fields.next(), fields.next(), fields.next());
        let (Some(service), Some(account), Some(resource)) = (service, account, resource) else {
            return vec![Lead::nothing(format!("`{}` is no whole ARN", pattern.shown(&pattern.text)))];
        };
        if Pattern::has_holes(service) {
            return vec![Lead::nothing(format!("the service in `{}`", pattern.shown(&pattern.text)))];
        }
        if service == "apigateway" {
            return self.integration_leads(stack, pattern, (account, resource), depth);
        }
        self.named_leads(stack, pattern, &named(service, resource), depth)
    }

    /// `arn:aws:apigateway:REGION:SERVICE:path/…`: of an integration, or of an authorizer.
    fn integration_leads(
        &self,
        stack: usize,
        pattern: &Pattern<'_>,
        (service, resource): (&str, &str),
        depth: usize,
    ) -> Vec<Lead> {
        let path = resource.strip_prefix("path/");
        let within = match service {
            "lambda" => resource.split_once("/functions/").map(|(_, rest)| rest),
            "sqs" => path.and_then(|path| path.split_once('/')).map(|(_account, name)| name),
            "s3" => path.map(|path| path.split_once('/').map_or(path, |(bucket, _)| bucket)),
            _ => None,
        };
        match within {
            Some(within) => {
                let within = pattern.with(within.strip_suffix("/invocations").unwrap_or(within));
                self.pattern_leads(stack, &within, service, depth + 1)
            }
            None => vec![Lead::nothing(format!("`{}` names no resource", pattern.shown(&pattern.text)))],
        }
    }

    fn named_leads(&self, stack: usize, pattern: &Pattern<'_>, named: &Named<'_>, depth: usize) -> Vec<Lead> {
        let mut leads = match pattern.only_hole(named.name) {
            Some(Hole::Reference(reference)) => self.reference_leads(stack, reference, depth),
            Some(Hole::Unknown(unknown)) => {
                let words = in_words(type_of(&named.service).unwrap_or(&named.service));
                vec![Lead::nothing(format!("the name of {words}: {}", unknown.why))]
            }
            None => self.name_leads(stack, pattern, named, depth),
        };
        let qualifier = named.qualifier.and_then(|text| qualifier_of(pattern, text));
        for lead in &mut leads {
            if named.service == "lambda" {
                lead.qualifier = lead.qualifier.take().or_else(|| qualifier.clone());
            }
            if let (To::Resource(_, attribute), Some(of)) = (&mut lead.to, named.attribute) {
                *attribute = Some(of.to_string());
            }
        }
        leads
    }

    fn name_leads(&self, stack: usize, pattern: &Pattern<'_>, named: &Named<'_>, depth: usize) -> Vec<Lead> {
        let shown = pattern.shown(named.name);
        let words = in_words(type_of(&named.service).unwrap_or(&named.service));
        let Some(name) = pattern.name_of(named.name, stack) else {
            return vec![Lead::nothing(format!("which {words} `{shown}` is"))];
        };
        let found = self.index.by_name(stack, &named.service, &name);
        let own = found.iter().all(|at| at.stack() == stack);
        match found.as_slice() {
            [] if Pattern::has_holes(named.name) => {
                vec![Lead::nothing(format!("which {words} `{shown}` is"))]
            }
            [] => {
                let what = format!("{words} outside of these files");
                vec![Lead::to(To::Outside { service: named.service.clone(), name, what })]
            }
            [_, _, ..] if !own => {
                vec![Lead::nothing(format!("several resources of these files have the name `{shown}`"))]
            }
            several => several.iter().flat_map(|at| self.itself(*at, depth)).collect(),
        }
    }

    /// What a resource is, or is another name for.
    fn itself(&self, at: At, depth: usize) -> Vec<Lead> {
        match self.row(at).and_then(|row| row.stands_for) {
            Some(stands_for) => stands_for(self, at, depth + 1),
            None => vec![Lead::to(To::Resource(at, None))],
        }
    }
}

/// A qualifier; `None`: `$LATEST`, or any.
fn qualifier_of(pattern: &Pattern<'_>, text: &str) -> Option<String> {
    let any = text.is_empty() || text == "$LATEST" || text.contains('*');
    (!any).then(|| pattern.shown(text))
}

/// An ARN's last part as service, name and the rest.
fn named<'a>(service: &str, resource: &'a str) -> Named<'a> {
    let upto = |text: &'a str, end: char| text.split_once(end).unwrap_or((text, ""));
    let (kind, rest) = resource
        .find([':', '/'])
        .and_then(|at| {
            let (kind, rest) = resource.split_at_checked(at)?;
            Some((kind, rest.get(1..)?))
        })
        .unwrap_or(("", resource));
    let plain =
        |service: &str, name| Named { service: service.into(), name, qualifier: None, attribute: None };
    match (service, kind) {
        // Paths of roles and policies stand before their names.
        ("iam", kind) if !kind.is_empty() => {
            plain(&format!("iam/{kind}"), rest.rsplit('/').next().unwrap_or(rest))
        }
        ("execute-api", _) => plain("execute-api", upto(resource, '/').0),
        ("scheduler", "schedule") => plain("scheduler/schedule-group", upto(rest, '/').0),
        ("sqs" | "sns", _) => plain(service, upto(resource, ':').0),
        ("s3", _) => plain("s3", upto(resource, '/').0),
        ("lambda", "function") => {
            let (name, qualifier) = upto(rest, ':');
            Named { qualifier: (!qualifier.is_empty()).then_some(qualifier), ..plain("lambda", name) }
        }
        ("dynamodb", "table") => {
            let (name, part) = upto(rest, '/');
            Named { attribute: part.starts_with("stream").then_some("StreamArn"), ..plain("dynamodb", name) }
        }
        ("events", "event-bus") => plain("events", rest),
        ("kinesis", "stream") => plain("kinesis", upto(rest, '/').0),
        ("firehose", "deliverystream") => plain("firehose", rest),
        ("states", "stateMachine") => plain("states", upto(rest, ':').0),
        ("logs", "log-group") => plain("logs", upto(rest, ':').0),
        ("ssm", "parameter") | ("secretsmanager", "secret") => plain(service, rest),
        (_, "") => plain(service, resource),
        (_, kind) => plain(&format!("{service}/{kind}"), upto(rest, '/').0),
    }
}
