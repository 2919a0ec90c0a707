//! Whether each promise and assertion of a traffic file is about something that is there, and that can break it.

use flyball_app::workload::{Expect, Holds, Measure};

use super::{Entrance, NodeKind, Plan, Problem, names::unknown, ways};

/// Names that a message lists.
const NAMES_MAX: usize = 5;

/// What a measure can be of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Of {
    /// A source whose senders wait for an answer.
    Answered,
    Source,
    Function,
    Dependency,
    /// What messages wait in.
    Queue,
}

impl Of {
    const ALL: [Of; 5] = [Of::Answered, Of::Source, Of::Function, Of::Dependency, Of::Queue];

    /// Whose measure it is.
    fn each(measure: Measure) -> &'static [Of] {
        match measure {
            Measure::LatencyP50 | Measure::LatencyP95 | Measure::LatencyP99 => &[Of::Answered],
            Measure::ErrorsPercent => &[Of::Source],
            Measure::ThrottledPercent => &[Of::Function],
            Measure::DwellP99 => &[Of::Function, Of::Source],
            Measure::RunsPerEvent => &[Of::Function, Of::Dependency],
            Measure::Dropped | Measure::DeadLetters | Measure::Backlog | Measure::BacklogGrowthPercent => {
                &[Of::Queue]
            }
            Measure::CostPerMonth => &[],
        }
    }

    fn word(self) -> &'static str {
        match self {
            Of::Answered => "a source that waits for answers",
            Of::Source => "a source",
            Of::Function => "a function",
            Of::Dependency => "a dependency",
            Of::Queue => "a queue that somebody takes from",
        }
    }

    fn names(self, plan: &Plan) -> Vec<String> {
        match self {
            Of::Answered => {
                let waits = plan.sources.iter().filter(|s| !matches!(s.entrance, Entrance::Node(_)));
                waits.map(|source| source.label.clone()).collect()
            }
            Of::Source => plan.sources.iter().map(|source| source.label.clone()).collect(),
            Of::Function => plan.functions.iter().map(|function| function.label.clone()).collect(),
            Of::Dependency => plan.dependencies.iter().map(|(name, _)| name.to_string()).collect(),
            Of::Queue => {
                let queues = plan.application.all_queues();
                let own = queues.keys().map(|name| ways::owner(name).to_string());
                let nodes = plan.nodes.iter().filter(|node| !node.is_parking());
                nodes.map(|node| ways::owner(&node.label).to_string()).chain(own).collect()
            }
        }
    }
}

impl Plan {
    /// The plan, if its promises and assertions fit it.
    pub(super) fn promising(self) -> Result<Plan, Vec<Problem>> {
        let expects = self.expects.iter().filter_map(|expect| of_expect(&self, expect));
        let problems: Vec<Problem> = expects.chain(asserts(&self, true)).collect();
        if problems.is_empty() { Ok(self) } else { Err(problems) }
    }
}

/// Where it is stated, as the beginning of a message.
fn place(at: &str) -> String {
    if at.is_empty() { String::new() } else { format!("{at}: ") }
}

fn of_expect(plan: &Plan, expect: &Expect) -> Option<Problem> {
    let of = expect.of.as_ref()?;
    let (key, kinds) = (expect.measure.key(), Of::each(expect.measure));
    let known: Vec<String> = kinds.iter().flat_map(|kind| kind.names(plan)).collect();
    if known.iter().any(|name| name == ways::owner(of)) {
        return None;
    }
    let found = what_is(plan, of);
    let what = match &found {
        Some(found) => format!("{}[[expect]]: {key} is of {of:?}, which is {found}", place(&expect.at)),
        None => format!("{}[[expect]]: {key} is of {of:?}, which is not there", place(&expect.at)),
    };
    if kinds.is_empty() {
        return Some(Problem { what, help: format!("{key} is of the whole: leave `of` out") });
    }
    let words: Vec<&str> = kinds.iter().map(|kind| kind.word()).collect();
    let can = format!("{key} can be of {}{}", words.join(" or "), listed(&known));
    let entered = plan.sources.iter().find(|source| source.source.to.as_ref() == Some(of));
    if found.is_some() {
        return Some(Problem { what, help: can });
    }
    match entered.filter(|source| known.contains(&source.label)) {
        Some(source) => Some(Problem { what, help: format!("what comes in there is {}", source.label) }),
        None => Some(unknown(what, of, &known, &can)),
    }
}

/// The first of some names, behind a colon.
fn listed(names: &[String]) -> String {
    let shown: Vec<&str> = names.iter().take(NAMES_MAX).map(String::as_str).collect();
    let more = if names.len() > shown.len() { ", ..." } else { "" };
    if shown.is_empty() { ", and there is none".into() } else { format!(": {}{more}", shown.join(", ")) }
}

/// What a name is of. `None`: nothing has it.
fn what_is(plan: &Plan, name: &str) -> Option<String> {
    let parked = plan.nodes.iter().position(|node| node.label == name && node.is_parking());
    if let Some(parked) = parked {
        let from =
            plan.nodes.iter().filter(|node| node.kind.dead().is_some_and(|dead| dead.0 as usize == parked));
        let from: Vec<String> = from.map(|node| ways::owner(&node.label).to_string()).collect();
        return Some(match from.is_empty() {
            true => "a queue that nobody takes from".into(),
            false => {
                format!("where dead letters lie; they are counted where they come from{}", listed(&from))
            }
        });
    }
    if plan.unmodelled.iter().any(|part| part.name == name) {
        return Some("not simulated".into());
    }
    let kinds = Of::ALL.into_iter().skip(1);
    let is = kinds.into_iter().find(|kind| kind.names(plan).iter().any(|known| known == name))?;
    Some(match is {
        Of::Source if !Of::Answered.names(plan).iter().any(|known| known == name) => {
            "a source that waits for no answer".into()
        }
        Of::Queue => plan
            .nodes
            .iter()
            .find(|node| node.label == name && !matches!(node.kind, NodeKind::Asynchronous(_)))
            .map_or("a queue".into(), |node| format!("a {}", node.kind_name())),
        other => other.word().into(),
    })
}

/// Assertions that are about nothing. `granted`: namespaces that the application's functions are granted count, though
/// no step adds to them: models do not, and real functions may.
pub(crate) fn asserts(plan: &Plan, granted: bool) -> Vec<Problem> {
    let functions = || Of::Function.names(plan);
    let queues = || plan.application.queues.keys().map(ToString::to_string);
    let nodes = || plan.nodes.iter().map(|node| node.label.clone());
    let namespaces = || {
        let added = plan.functions.iter().flat_map(|function| function.program.namespaces());
        let able = plan.functions.iter().filter(move |function| granted || function.real);
        let able = able.filter_map(|function| plan.application.functions.get(&function.name));
        added.chain(able.flat_map(|function| function.grants.kv.keys().map(ToString::to_string)))
    };
    let mut problems = Vec::new();
    for assert in &plan.asserts {
        let known: Vec<String> = match assert.holds {
            Holds::AtMostOnce => functions().into_iter().chain(Of::Dependency.names(plan)).collect(),
            Holds::Settled => functions().into_iter().chain(queues()).chain(nodes()).collect(),
            Holds::ValueMax(_) => namespaces().collect(),
        };
        if !known.contains(&assert.of) {
            let place = place(&assert.at);
            let what =
                format!("{place}[[assert]] {:?} is of {:?}, which is not there", assert.what, assert.of);
            let otherwise = match assert.holds {
                Holds::AtMostOnce => "name a function or a dependency",
                Holds::Settled => "name a function or a queue",
                Holds::ValueMax(_) => {
                    "name a namespace that a step adds to, { add = \"NAMESPACE\" }, or that a real function is granted"
                }
            };
            problems.push(unknown(what, &assert.of, &known, otherwise));
        }
    }
    problems
}
