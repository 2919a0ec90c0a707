//! Roles that SAM makes, with the statements that its shorthands stand for.

use std::collections::BTreeSet;

use super::{
    Lowering, Origin,
    made::{At, Fields, given},
};
use crate::document::{Tree, Unknown, Value};

/// What a role in the making may do.
#[derive(Default)]
pub(super) struct Grants {
    managed: Vec<Tree>,
    /// AWS's own among them, each once.
    of_aws: BTreeSet<&'static str>,
    inline: Vec<Tree>,
}

impl Grants {
    /// A policy of AWS's, by its name behind `policy/`.
    pub fn managed(&mut self, at: At, name: &'static str) {
        if self.of_aws.insert(name) {
            self.managed.push(at.text(format!("arn:aws:iam::aws:policy/{name}")));
        }
    }

    /// One action on one resource.
    pub fn allow(&mut self, at: At, action: &str, resource: Tree) {
        let document = document(at, vec![statement(at, &[action], vec![resource])]);
        self.inline.push(document);
    }

    /// The entries of a `Policies` property: names and ARNs, policy documents, policy templates.
    pub fn policies(&mut self, sam: &mut Lowering<'_>, policies: Option<&Tree>) {
        for policy in policies.map(Tree::one_or_many).unwrap_or_default() {
            self.policy(sam, policy);
        }
    }

    fn policy(&mut self, sam: &mut Lowering<'_>, policy: &Tree) {
        match &policy.value {
            Value::Map(_) => self.inline.extend(inline(sam, policy)),
            Value::Null => {}
            Value::Unknown(unknown) => {
                // One of several, by a condition: so it stays, with each of them lowered.
                let first = unknown.one_of.iter().find(|tree| tree.value != Value::Null);
                match first.map(|tree| &tree.value) {
                    Some(Value::Map(_) | Value::List(_)) => {
                        let each = |tree| inline_all(sam, tree);
                        let one_of = unknown.one_of.iter().flat_map(each).collect();
                        let unknown = Unknown { why: unknown.why.clone(), one_of };
                        self.inline.push(Tree { value: Value::Unknown(unknown), span: policy.span });
                    }
                    _ => self.managed.push(policy.clone()),
                }
            }
            _ => self.managed.push(policy.clone()),
        }
    }

    /// A role that `service` takes on.
    pub fn role(self, at: At, service: &str) -> Fields {
        let principal = at.map([("Service", at.texts(&[service]))]);
        let trust = at.map([
            ("Action", at.texts(&["sts:AssumeRole"])),
            ("Effect", at.text("Allow")),
            ("Principal", principal),
        ]);
        let inline = (!self.inline.is_empty()).then(|| at.list(self.inline));
        let managed = (!self.managed.is_empty()).then(|| at.list(self.managed));
        Fields::new(at)
            .put("AssumeRolePolicyDocument", at.map([("Statement", at.list(vec![trust]))]))
            .put_some("ManagedPolicyArns", managed)
            .put_some("Policies", inline)
    }
}

/// Makes a role that may do one thing: start a machine, invoke a function.
pub(super) fn role_for(sam: &mut Lowering<'_>, origin: &Origin, at: At, made: (&str, &str), grants: Grants) {
    let (id, service) = made;
    sam.make(origin, at, id, "AWS::IAM::Role", grants.role(at, service).done());
}

/// A statement that allows.
pub(super) fn statement(at: At, actions: &[&str], resources: Vec<Tree>) -> Tree {
    at.map([("Effect", at.text("Allow")), ("Action", at.texts(actions)), ("Resource", at.list(resources))])
}

fn document(at: At, statements: Vec<Tree>) -> Tree {
    at.map([("PolicyDocument", at.map([("Statement", at.list(statements))]))])
}

fn inline_all(sam: &mut Lowering<'_>, tree: &Tree) -> Vec<Tree> {
    tree.one_or_many().iter().filter_map(|policy| inline(sam, policy)).collect()
}

/// An inline policy: a document as it stands, or a policy template's statements.
fn inline(sam: &mut Lowering<'_>, policy: &Tree) -> Option<Tree> {
    let at = At(policy.span);
    if given(policy, "Statement").is_some() {
        return Some(at.map([("PolicyDocument", policy.clone())]));
    }
    let [entry] = policy.entries() else {
        if !policy.entries().is_empty() {
            sam.wrong(policy.span, "a policy is neither a document, nor a name, nor one policy template");
        }
        return None;
    };
    if let Value::Unknown(_) = policy.value {
        return None;
    }
    let Some(statements) = sam.templates.get(entry.key.as_str()) else {
        sam.wrong(entry.key_span, &format!("`{}` is no policy template of SAM", entry.key));
        return None;
    };
    let value = |name: &str| given(&entry.value, name).cloned();
    let made = statements.iter().map(|(actions, resources)| {
        let resources = resources.iter().map(|pattern| at.filled(pattern, &value)).collect();
        statement(at, actions, resources)
    });
    Some(document(at, made.collect()))
}
