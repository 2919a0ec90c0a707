//! Which way work goes: from a source over the design's nodes to functions and what they depend on, by the names
//! under which a drawing of the design has them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use flyball_app::design::{Design, Kind, Via};
use flyball_core::{
    Name,
    model::{Application, Destination},
};

use super::{
    FunctionPlan, NodePlan,
    program::{Callee, EmitTo, OpAct},
};

/// What a function's own queue is called, after the function's name.
pub(crate) const ASYNCHRONOUS: &str = " (asynchronous)";

/// See the module's text.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Ways {
    next: BTreeMap<String, BTreeSet<String>>,
    /// By source: the first nodes of its way, one after the other.
    entered: BTreeMap<String, Vec<String>>,
}

impl Ways {
    pub(super) fn link(&mut self, from: &str, to: &str) {
        self.next.entry(from.into()).or_default().insert(to.into());
    }

    /// A source's events come in by these nodes.
    pub(super) fn enter(&mut self, source: &str, nodes: Vec<String>) {
        self.entered.insert(source.into(), nodes);
    }

    /// The nodes that work goes to from one.
    pub(crate) fn next(&self, from: &str) -> impl Iterator<Item = &str> {
        self.next.get(from).into_iter().flatten().map(String::as_str)
    }

    /// The node where a source's events come in.
    pub(crate) fn entered_by(&self, source: &str) -> Option<&str> {
        self.entered.get(source)?.first().map(String::as_str)
    }

    /// The shortest way of a source's events to a node, with the source at its front. `None`: none of them gets there.
    pub(crate) fn way(&self, source: &str, to: &str) -> Option<Vec<String>> {
        let entered = self.entered.get(source)?;
        let mut way: Vec<String> =
            Some(source.to_string()).filter(|source| Some(source) != entered.first()).into_iter().collect();
        for node in entered {
            way.push(node.clone());
            if node == to {
                return Some(way);
            }
        }
        let last = way.pop()?;
        way.extend(self.between(&last, to)?);
        Some(way)
    }

    /// Both ends included.
    fn between(&self, from: &str, to: &str) -> Option<Vec<String>> {
        let mut before: BTreeMap<&str, &str> = BTreeMap::new();
        let mut waiting: VecDeque<&str> = VecDeque::from([from]);
        while let Some(at) = waiting.pop_front() {
            if at == to {
                let mut way = vec![at.to_string()];
                let mut at = at;
                while let Some(earlier) = before.get(at).filter(|_| at != from) {
                    way.push((*earlier).to_string());
                    at = earlier;
                }
                way.reverse();
                return Some(way);
            }
            for next in self.next.get(at).into_iter().flatten() {
                if next != from && !before.contains_key(next.as_str()) {
                    before.insert(next, at);
                    waiting.push_back(next);
                }
            }
        }
        None
    }

    /// What functions call and send.
    pub(super) fn programs(
        &mut self,
        functions: &[FunctionPlan],
        nodes: &[NodePlan],
        dependencies: &[&Name],
    ) {
        for function in functions {
            for op in function.program.ops() {
                let to = match &op.act {
                    OpAct::Call(call) => match call.to {
                        Callee::Dependency(to) => dependencies.get(to.0 as usize).map(ToString::to_string),
                        Callee::Function(to) => functions.get(to.0 as usize).map(|to| to.label.clone()),
                    },
                    OpAct::Emit(emit) => match &emit.to {
                        EmitTo::Node(to) => nodes.get(to.0 as usize).map(|to| node(&to.label).into()),
                        EmitTo::Target(to) => Some(to.strip_prefix('@').unwrap_or(to).to_string()),
                    },
                    _ => None,
                };
                if let Some(to) = to {
                    self.link(&function.label, &to);
                }
            }
        }
    }

    /// The ways between an application's own nodes.
    pub(super) fn of_application(application: &Application) -> Ways {
        let mut ways = Ways::default();
        for (name, queue) in &application.queues {
            ways.link(name, &queue.function);
        }
        for (name, topic) in &application.topics {
            for to in &topic.subscribers {
                ways.delivers(name, to);
            }
        }
        for (name, bus) in &application.buses {
            for (rule_name, rule) in &bus.rules {
                let rule_name = format!("{name}/{rule_name}");
                ways.link(name, &rule_name);
                ways.delivers(&rule_name, &rule.to);
            }
        }
        for function in application.functions.keys() {
            ways.link(&Name::inbox_of(function), function);
        }
        ways
    }

    fn delivers(&mut self, from: &str, to: &Destination) {
        self.link(from, &to.queue());
    }

    /// The ways between a design's nodes. What functions do is said by their steps, and dead letters end a way.
    pub(super) fn of_design(design: &Design) -> Ways {
        let mut ways = Ways::default();
        for (_, edge) in design.edges() {
            if !matches!(edge.via, Via::Access(_) | Via::DeadLetters { .. } | Via::Destination(_)) {
                ways.link(&design.node(edge.from).name, &design.node(edge.to).name);
            }
        }
        ways
    }
}

/// What requests of an application come in by, as its drawing has it.
pub(super) fn gateway(application: &Application) -> &'static str {
    let taken = application.functions.contains_key("gateway")
        || application.queues.contains_key("gateway")
        || application.topics.contains_key("gateway")
        || application.buses.contains_key("gateway");
    if taken { "/gateway" } else { "gateway" }
}

/// By which nodes of a design what is sent to `to` comes in.
pub(super) fn entered(design: &Design, to: &str) -> Vec<String> {
    let routes = design.edges().filter_map(|(_, edge)| match (&edge.via, &design.node(edge.from).kind) {
        (Via::Integration(integration), Kind::Api(_)) => Some((edge, integration)),
        _ => None,
    });
    let mut found = None;
    for (edge, integration) in routes {
        let (from, leads) = (&design.node(edge.from).name, &design.node(edge.to).name);
        let is_route = to == format!("{} {}", integration.method, integration.path) || to == integration.path;
        if leads == to || from == to || is_route {
            found = Some(vec![from.clone(), leads.clone()]);
            break;
        }
    }
    found.unwrap_or_else(|| vec![to.to_string()])
}

/// The design's name of a node of the plan: a function's own queue is the function's.
pub(crate) fn node(label: &str) -> &str {
    label.strip_suffix(ASYNCHRONOUS).unwrap_or(label)
}

/// Whose a queue is, as people call it: a function's own queue has the function's name.
pub(crate) fn owner(label: &str) -> &str {
    let label = node(label);
    label.strip_prefix('@').unwrap_or(label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_way_is_the_shortest_from_where_its_source_comes_in() {
        let mut ways = Ways::default();
        for (from, to) in
            [("gateway", "a"), ("gateway", "b"), ("a", "q"), ("q", "c"), ("c", "db"), ("c", "a")]
        {
            ways.link(from, to);
        }
        ways.enter("web", vec!["gateway".into(), "a".into()]);
        ways.enter("q", vec!["q".into()]);
        let way = |source: &str, to: &str| ways.way(source, to).map(|way| way.join(" "));
        assert_eq!(way("web", "db").as_deref(), Some("web gateway a q c db"));
        assert_eq!(way("web", "gateway").as_deref(), Some("web gateway"));
        // It comes in at another function, and does not get there.
        assert_eq!(way("web", "b"), None);
        assert_eq!(way("q", "a").as_deref(), Some("q c a"));
        assert_eq!(way("nobody", "a"), None);
        assert_eq!(ways.entered_by("web"), Some("gateway"));
    }
}
