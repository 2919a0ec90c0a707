//! What every platform's plan takes from a workload.

use std::collections::{BTreeMap, BTreeSet};

use flyball_app::workload::{
    Act, Behaviour, Call, Dependency, Emit, Lasting, Recorded, Retry, Shape, Source, Step, Tenants, Volume,
    Workload,
};
use flyball_core::{Name, Span, model::nearest};

use super::{
    Assumption, DURATION, DURATION_MAX, DependencyNo, Entrance, FunctionPlan, Knob, Names, Problem,
    SourcePlan,
    names::unknown,
    program::{Callee, OpAct, Program},
};
use crate::{
    arrivals::Window,
    message::{FunctionNo, TenantNo},
};

/// Tenants in one simulation.
pub const TENANTS_MAX: u32 = 100_000;

/// The functions of which a design shows that they ask a dependency of this name.
pub(super) type Askers<'a> = &'a dyn Fn(&str) -> Vec<String>;

/// What is gathered while a plan is made.
#[derive(Debug)]
pub(super) struct Gathered {
    pub window: Window,
    pub assumptions: Vec<Assumption>,
    pub dependencies: Vec<(Name, Dependency)>,
    pub tenants: Vec<Name>,
}

impl Gathered {
    pub(super) fn new(workload: &Workload, problems: &mut Vec<Problem>) -> Gathered {
        let recorded = workload.traffic.values().filter_map(|source| match &source.volume {
            Volume::Recorded(recorded) => Some(lasts(recorded)),
            _ => None,
        });
        let mut assumptions = Vec::new();
        let duration = workload.duration.or(recorded.max()).unwrap_or_else(|| {
            assumptions.push(Assumption {
                what: "time simulated".into(),
                value: "1 h".into(),
                why: "nothing says how long".into(),
                key: Some("duration".into()),
                knob: None,
            });
            DURATION
        });
        if duration == Span::ZERO || duration > DURATION_MAX {
            problems.push(Problem {
                what: format!(
                    "{} s are to be simulated; above 0 and at most 366 days can be",
                    duration.0 / 1_000_000
                ),
                help: "state another duration".into(),
            });
        }
        if workload.traffic.is_empty() {
            problems.push(Problem {
                what: "the workload has no traffic".into(),
                help: "add a table [traffic.NAME] with peak_per_s".into(),
            });
        }
        let dependencies = workload.dependencies.iter().map(|(n, d)| (n.clone(), d.clone())).collect();
        let tenants = tenants(workload, problems);
        let window = window(workload, duration, &mut assumptions);
        Gathered { window, assumptions, dependencies, tenants }
    }

    pub(super) fn dependency_numbers(&self) -> BTreeMap<String, DependencyNo> {
        self.dependencies.iter().zip(0..).map(|((name, _), n)| (name.to_string(), DependencyNo(n))).collect()
    }

    /// Dependencies that a program calls.
    fn called(&self, program: &Program) -> impl Iterator<Item = DependencyNo> {
        program.ops().filter_map(|op| match &op.act {
            OpAct::Call(call) => match call.to {
                Callee::Dependency(dependency) => Some(dependency),
                Callee::Function(_) => None,
            },
            _ => None,
        })
    }

    /// Connections that an environment holds for what its program calls.
    pub(super) fn connections(&self, program: &Program) -> Vec<(DependencyNo, u32)> {
        let called: BTreeSet<DependencyNo> = self.called(program).collect();
        let pool = |dependency: DependencyNo| {
            let pool = self.dependencies.get(dependency.0 as usize).map_or(0, |(_, stated)| stated.pool);
            (pool > 0).then_some((dependency, pool))
        };
        called.into_iter().filter_map(pool).collect()
    }

    /// What runs of a function take beyond its steps: as stated, or assumed where nothing at all is.
    pub(super) fn duration_of(
        &mut self,
        label: &str,
        stated: &Behaviour,
        function: FunctionNo,
        or: &Lasting,
    ) -> Option<Lasting> {
        if stated.duration.is_some() || stated.per_item.is_some() || stated.steps.is_some() {
            return stated.duration.clone();
        }
        self.assumptions.push(Assumption {
            what: format!("duration of {label}"),
            value: words(or),
            why: "nothing is stated of it".into(),
            key: Some(format!("function.{label}.duration")),
            knob: Some(Knob::Duration(function)),
        });
        Some(or.clone())
    }

    pub(super) fn sources(
        &mut self,
        workload: &Workload,
        entrance: impl Fn(&str, &str) -> Result<Entrance, Problem>,
        problems: &mut Vec<Problem>,
    ) -> Vec<SourcePlan> {
        let mut sources = Vec::new();
        for (name, source) in &workload.traffic {
            let to = source.to.as_deref().unwrap_or(name);
            match entrance(to, name) {
                Ok(entrance) => {
                    if entrance.waits() && source.client.timeout.is_none() {
                        self.patient(name);
                    }
                    sources.push(SourcePlan {
                        label: name.to_string(),
                        source: source.clone(),
                        entrance,
                        first_tenant: self.first_tenant(source),
                    });
                }
                Err(problem) => problems.push(problem),
            }
        }
        sources
    }

    /// Dependencies that nobody calls. `known`: the functions of which the design shows that they ask one of a name,
    /// and names of the design that can be meant.
    pub(super) fn unused_dependencies(
        &self,
        workload: &Workload,
        functions: &[FunctionPlan],
        (askers, stores): (Askers<'_>, Vec<String>),
        problems: &mut Vec<Problem>,
    ) {
        // Steps of functions that are run instead count too: the same file is for models.
        let mut called = BTreeSet::new();
        workload.functions.values().flat_map(|f| &f.steps).for_each(|steps| callees(steps, &mut called));
        called.extend(workload.real.hosts.values().chain(&workload.real.keyed).map(String::as_str));
        let made: Vec<DependencyNo> =
            functions.iter().flat_map(|function| self.called(&function.program)).collect();
        for ((name, _), number) in self.dependencies.iter().zip(0..).map(|(one, n)| (one, DependencyNo(n))) {
            if made.contains(&number) || called.contains(name.as_str()) {
                continue;
            }
            let step = format!("{{ call = \"{name}\" }}");
            let askers = askers(name.as_str());
            let (what, help) = match askers.is_empty() {
                false => {
                    let askers = askers.join(", ");
                    let what =
                        "no step calls it, and whoever the design shows to ask it has steps of its own";
                    (what, format!("add {step} to the steps of {askers}"))
                }
                true => {
                    let what = "no step calls it, and no edge of the design leads from a function to it";
                    let others = stores.iter().filter(|store| store.as_str() != name.as_str());
                    let otherwise =
                        format!("add {step} to the steps of the function that asks it, or remove it");
                    (what, nearest(name.as_str(), others.map(String::as_str), &otherwise))
                }
            };
            problems.push(Problem { what: format!("[dependency.{name}]: {what}"), help });
        }
    }

    fn patient(&mut self, name: &Name) {
        self.assumptions.push(Assumption {
            what: format!("callers of {name}"),
            value: "wait for ever, and do not try again".into(),
            why: "no client is stated".into(),
            key: Some(format!("traffic.{name}.client")),
            knob: None,
        });
    }

    fn first_tenant(&self, source: &Source) -> TenantNo {
        let at = match &source.tenants {
            Tenants::One(name) => self.tenants.iter().position(|tenant| tenant == name).unwrap_or(0),
            Tenants::Many { .. } => 0,
        };
        TenantNo(u32::try_from(at).unwrap_or(0))
    }
}

impl Entrance {
    /// Whether somebody waits for an answer.
    pub(crate) fn waits(&self) -> bool {
        matches!(self, Entrance::Call { .. })
    }
}

/// How much time a trace covers.
fn lasts(recorded: &Recorded) -> Span {
    let slots = recorded.series.iter().map(|series| series.counts.len()).max().unwrap_or(0);
    Span(recorded.slot.0.saturating_mul(slots as u64))
}

/// `t1` to `tN`, then those that are named.
fn tenants(workload: &Workload, problems: &mut Vec<Problem>) -> Vec<Name> {
    let counts = workload.traffic.values().map(|source| match &source.tenants {
        Tenants::Many { count, .. } => *count,
        Tenants::One(_) => 0,
    });
    let count = counts.max().unwrap_or(0);
    if count > TENANTS_MAX {
        problems.push(Problem {
            what: format!("{count} tenants; a simulation has at most {TENANTS_MAX}"),
            help: "state fewer: beyond some thousands the answer hardly changes".into(),
        });
        return Vec::new();
    }
    let mut tenants: Vec<Name> = (1..=count).filter_map(|n| Name::new(&format!("t{n}")).ok()).collect();
    for source in workload.traffic.values() {
        if let Tenants::One(name) = &source.tenants
            && !tenants.contains(name)
        {
            tenants.push(name.clone());
        }
    }
    tenants
}

/// Behaviours of functions that are not there.
pub(super) fn unused_functions(workload: &Workload, names: &Names, problems: &mut Vec<Problem>) {
    for name in workload.functions.keys() {
        if !names.functions.contains_key(name) {
            let what = format!("[function.{name}]: there is no such function");
            problems.push(unknown(what, name, names.functions.keys(), "name a function of the application"));
        }
    }
}

/// Whom steps call.
fn callees<'s>(steps: &'s [Step], called: &mut BTreeSet<&'s str>) {
    for step in steps {
        match &step.act {
            Act::Call(call) => {
                called.insert(&call.to);
            }
            Act::Parallel(steps) => callees(steps, called),
            _ => {}
        }
    }
}

/// A step that calls somebody once in a run.
pub(super) fn call_one(to: &str) -> Step {
    let (to, retry) = (to.to_string(), Retry::default());
    let call = Call { to, times: 1, timeout: None, retry, keyed: false, optional: false };
    Step { act: Act::Call(call), per_item: false, chance: 1.0 }
}

/// A step that sends one event on.
pub(super) fn emit_one(to: &str) -> Step {
    let emit = Emit { to: to.to_string(), count: 1, event_bytes: None, delay: Span::ZERO };
    Step { act: Act::Emit(emit), per_item: true, chance: 1.0 }
}

/// How long something takes, in words.
pub(crate) fn words(lasting: &Lasting) -> String {
    match lasting {
        Lasting::Constant(span) => millis(*span),
        Lasting::Exponential { mean } => format!("exponential, mean {}", millis(*mean)),
        Lasting::Percentiles { p50, p99 } => format!("p50 {}, p99 {}", millis(*p50), millis(*p99)),
        Lasting::Quantiles(points) => format!("{} percentiles", points.len()),
        Lasting::Measured(values) => format!("{} measured values", values.len()),
    }
}

fn millis(span: Span) -> String {
    match span.0 {
        micros if micros < 1_000 => format!("{micros} µs"),
        micros if micros < 10_000_000 => format!("{} ms", micros as f64 / 1_000.0),
        micros => format!("{} s", micros as f64 / 1_000_000.0),
    }
}

/// Where less than a day is simulated of traffic that is stated by the day, it is the time around the day's peak: what
/// comes at night says nothing of what the design holds.
fn window(workload: &Workload, duration: Span, assumptions: &mut Vec<Assumption>) -> Window {
    let days =
        workload.traffic.values().filter(|source| source.scaled).filter_map(|source| match source.shape {
            Shape::Diurnal { period, .. } if period > duration => Some(period),
            _ => None,
        });
    let Some(day) = days.max() else { return Window::of(duration) };
    assumptions.push(Assumption {
        what: "which part of the day is simulated".into(),
        value: format!("{} min around its peak", duration.0 / 60_000_000),
        why: "traffic is stated by the day, and less than a day is simulated".into(),
        key: Some("duration".into()),
        knob: None,
    });
    let begins = Span((day.0 - duration.0) / 2);
    Window { begins, lasts: duration, rises: rises(duration), whole: begins.max(day) }
}

/// The traffic rises for a tenth of what is simulated, five minutes at most.
pub(crate) fn rises(lasts: Span) -> Span {
    Span(lasts.0 / 10).min(Span::from_secs(300))
}
