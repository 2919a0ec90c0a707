//! Runtimes whose support ends.

use std::collections::BTreeMap;

use crate::{
    check::{About, Draft, Found, Look, Rule, Severity, rules::pool::named},
    design::{NodeId, Setting},
    document::{FileId, Span},
    profile::Runtime,
};

/// FB0038: a runtime that is deprecated, or with which nothing can be made any more.
pub(super) struct Deprecated;

/// What a runtime has come to.
enum State<'a> {
    /// New functions are rejected, and perhaps changed ones: since when; empty where no source says.
    Blocked { creating: &'a str, updating: Option<&'a str> },
    /// No more security patches; when it is blocked, where that is known.
    Deprecated { blocked: Option<&'a str> },
}

fn state<'a>(runtime: &'a Runtime, today: &str) -> Option<State<'a>> {
    let past = |day: &Option<String>| day.as_deref().is_some_and(|day| day <= today);
    let updating = (runtime.gone || past(&runtime.update_blocked))
        .then(|| runtime.update_blocked.as_deref().unwrap_or(""));
    if runtime.gone || past(&runtime.create_blocked) {
        let creating = runtime.create_blocked.as_deref().unwrap_or("");
        return Some(State::Blocked { creating, updating });
    }
    let deprecated = !runtime.deprecated.is_empty() && runtime.deprecated.as_str() <= today;
    deprecated.then_some(State::Deprecated { blocked: runtime.create_blocked.as_deref() })
}

impl Rule for Deprecated {
    fn about(&self) -> &'static About {
        &About {
            code: "FB0038",
            title: "deprecated runtime",
            severity: Severity::Error,
            since: 1,
            page: include_str!("../../../../docs/rules/FB0038.md"),
        }
    }

    fn check(&self, look: &Look<'_>, found: &mut Found<'_>) {
        if !look.is_aws() {
            return;
        }
        // One finding for each file and runtime: they are changed together.
        let mut used: BTreeMap<(FileId, &str), Vec<(NodeId, Span)>> = BTreeMap::new();
        for (id, node, function) in look.design.functions() {
            if let Setting::Stated(runtime, span) = &function.runtime {
                used.entry((node.span.file, runtime.as_str())).or_default().push((id, *span));
            }
        }
        let today = look.given.today.as_deref().unwrap_or_else(|| look.profile.collected());
        for ((_, name), users) in used {
            let Some(runtime) = look.profile.runtime(name) else { continue };
            let Some((first, span)) = users.first().copied() else { continue };
            let mut names: Vec<&str> =
                users.iter().map(|(id, _)| look.design.node(*id).name.as_str()).collect();
            names.dedup();
            let who = named(&names);
            let (message, severity) = match state(runtime, today) {
                Some(State::Blocked { creating, updating }) => {
                    // What is deployed goes on and can be changed: whether this is, no file says.
                    match updating {
                        Some(changing) => {
                            let refuses = refuses(name, creating, changing);
                            (format!("AWS rejects {who}: {refuses}"), Severity::Error)
                        }
                        None => {
                            let made = match creating {
                                "" => format!("AWS makes no functions of {name} any more"),
                                day => format!("AWS has made no functions of {name} since {day}"),
                            };
                            let only = "those that are deployed can still be changed";
                            (format!("{who}: {made}; {only}"), Severity::Warning)
                        }
                    }
                }
                Some(State::Deprecated { blocked }) => {
                    let ends = blocked.map_or_else(String::new, |day| {
                        format!(", and from {day} no function can be made with it")
                    });
                    let since = &runtime.deprecated;
                    (
                        format!("{who} of {name}: it has had no security patches since {since}{ends}"),
                        Severity::Warning,
                    )
                }
                None => continue,
            };
            let help = match successor(look, name, today) {
                Some(successor) => format!("move to {successor}"),
                None => "move to a runtime that is supported".into(),
            };
            let mut draft = Draft::new(first, span, message, help).at_most(severity);
            if runtime.unverified {
                draft = draft.assuming(format!("AWS takes {name}, which could not be verified"));
            }
            // Where one line of the file says it for all, as that of `Globals`, there is one place.
            for (id, other) in users.iter().filter(|(_, other)| *other != span).take(20) {
                draft = draft.related(*other, look.design.node(*id).name.clone());
            }
            found.add(draft);
        }
    }
}

/// What AWS does not do with a runtime, and since when; an empty day: no source says.
fn refuses(name: &str, creating: &str, changing: &str) -> String {
    if creating.is_empty() || changing.is_empty() {
        return format!("it neither makes nor changes functions of {name} any more");
    }
    format!("it has made no functions of {name} since {creating}, and changed none since {changing}")
}

/// The runtime of the same language whose support ends last.
fn successor<'a>(look: &Look<'a>, name: &str, today: &str) -> Option<&'a str> {
    let of = |name: &str| {
        let end = name.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(name.len());
        name.get(..end).unwrap_or(name).replace("dotnetcore", "dotnet").replace("go", "provided")
    };
    let wanted = of(name);
    look.profile
        .runtimes()
        .filter(|(other, runtime)| {
            of(other) == wanted && !runtime.gone && runtime.deprecated.as_str() > today
        })
        .max_by(|a, b| (&a.1.deprecated, version(a.0)).cmp(&(&b.1.deprecated, version(b.0))))
        .map(|(other, _)| other)
}

/// The numbers in a name, so that `python3.14` is above `python3.9`.
fn version(name: &str) -> Vec<u32> {
    name.split(|c: char| !c.is_ascii_digit()).filter_map(|part| part.parse().ok()).collect()
}
