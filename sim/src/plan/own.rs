//! Flyball's own semantics: the application file's model goes into the engine as it stands.

use std::sync::Arc;

use flyball_app::workload::{self, Behaviour, Lasting, Step, Workload};
use flyball_core::{
    Attributes, Name, Span,
    model::{Access, Application, Checked, Function, Route, RouteMode},
};

use super::{
    Assumption, Entrance, FunctionPlan, Knob, Names, Plan, Platform, Problem, RealPlan,
    gather::{self, Gathered},
    names::unknown,
    program::{EmitTo, Program},
    stated,
    ways::{self, Ways},
};
use crate::{cost::Architecture, message::FunctionNo};

/// What a run takes where nothing says.
const DURATION: Lasting = Lasting::Percentiles { p50: Span::from_millis(5), p99: Span::from_millis(50) };
/// What a fresh instance takes where nothing says. Measured: `docs/performance.md`, a warm invocation.
const INSTANCE: Lasting = Lasting::Constant(Span(15));
/// What a group commit takes where nothing says.
const COMMIT: Lasting = Lasting::Constant(Span::from_millis(2));

impl Plan {
    /// An application of Flyball under a workload.
    ///
    /// # Errors
    /// Everything in the workload that does not fit the application.
    pub fn flyball(application: &Arc<Checked>, workload: &Workload) -> Result<Plan, Vec<Problem>> {
        let mut problems = Vec::new();
        let mut gathered = Gathered::new(workload, &mut problems);
        let names = names(application, &gathered);
        let functions = functions(application, workload, &names, &mut gathered, &mut problems);
        gather::unused_functions(workload, &names, &mut problems);
        // No edge of an application's own design leads to a dependency.
        let nobody = |_: &str| Vec::new();
        gathered.unused_dependencies(workload, &functions, (&nobody, Vec::new()), &mut problems);
        let sources =
            gathered.sources(workload, |to, label| entrance(application, &names, to, label), &mut problems);
        let real = real(workload, &names, &mut gathered, &mut problems);
        if workload.store.commit.is_none() {
            gathered.assumptions.push(Assumption {
                what: "group commit of the store".into(),
                value: "2 ms".into(),
                why: "an SSD that keeps its promises; serve measures yours".into(),
                key: Some("store.commit".into()),
                knob: Some(Knob::Commit),
            });
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        let ways = ways(application, workload, &functions, &gathered);
        gathered.defaults(workload, &sources);
        let (window, assumptions) = (gathered.window, gathered.assumptions);
        let plan = Plan {
            ways,
            name: application.name.to_string(),
            platform: Platform::Flyball,
            profile: "flyball".into(),
            profile_date: String::new(),
            traffic: String::new(),
            duration: window.lasts,
            window,
            assumptions,
            unmodelled: Vec::new(),
            expects: workload.expects.clone(),
            asserts: workload.asserts.clone(),
            stated: stated::stated(workload),
            application: application.clone(),
            functions,
            nodes: Vec::new(),
            sources,
            dependencies: gathered.dependencies,
            tenants: gathered.tenants,
            commit: workload.store.commit.clone().unwrap_or(COMMIT),
            idle_max: Span::ZERO,
            age_max: Span(u64::MAX),
            gateway: None,
            real,
        };
        plan.promising()
    }
}

/// Which way work goes.
fn ways(
    application: &Application,
    workload: &Workload,
    functions: &[FunctionPlan],
    gathered: &Gathered,
) -> Ways {
    let mut ways = Ways::of_application(application);
    let dependencies: Vec<&Name> = gathered.dependencies.iter().map(|(name, _)| name).collect();
    ways.programs(functions, &[], &dependencies);
    for function in functions.iter().filter(|function| function.real) {
        // What it does is not known before it does it.
        for to in application.functions.get(&function.name).into_iter().flat_map(|f| &f.grants.emit) {
            ways.link(&function.label, to);
        }
    }
    for (name, source) in &workload.traffic {
        let to = source.to.as_deref().unwrap_or(name);
        let is_known = |route: &&Route| is_route(route, to) || route.function.as_str() == to;
        let nodes = match application.routes.iter().find(is_known) {
            Some(route) if route.mode == RouteMode::Sync => {
                vec![ways::gateway(application).into(), route.function.to_string()]
            }
            Some(route) => {
                vec![ways::gateway(application).into(), Name::inbox_of(&route.function).to_string()]
            }
            None => vec![to.to_string()],
        };
        ways.enter(name, nodes);
    }
    ways
}

fn names(application: &Application, gathered: &Gathered) -> Names {
    let mut names = Names { dependencies: gathered.dependency_numbers(), ..Names::default() };
    for (name, number) in application.functions.keys().zip(0..) {
        names.functions.insert(name.to_string(), FunctionNo(number));
        names.targets.insert(name.to_string(), EmitTo::Target(Name::inbox_of(name).to_string()));
    }
    let declared = application.queues.keys().chain(application.topics.keys()).chain(application.buses.keys());
    for name in declared {
        names.targets.insert(name.to_string(), EmitTo::Target(name.to_string()));
    }
    names
}

fn functions(
    application: &Application,
    workload: &Workload,
    names: &Names,
    gathered: &mut Gathered,
    problems: &mut Vec<Problem>,
) -> Vec<FunctionPlan> {
    let default = Behaviour::default();
    let mut functions = Vec::new();
    for (function, number) in application.functions.values().zip(0..) {
        let label = function.name.to_string();
        let stated = workload.functions.get(&label).unwrap_or(&default);
        let real = workload.real.functions.contains(&label);
        let steps = match &stated.steps {
            _ if real => Vec::new(),
            Some(steps) => steps.clone(),
            None => granted(function, gathered),
        };
        let modelled = if real { &default } else { stated };
        let duration =
            if real { None } else { gathered.duration_of(&label, stated, FunctionNo(number), &DURATION) };
        let per_item = modelled.per_item.as_ref();
        let program = Program::new(&label, duration.as_ref(), per_item, &steps, names, problems);
        for namespace in program.namespaces() {
            if function.grants.kv.get(namespace.as_str()) != Some(&Access::ReadWrite) {
                problems.push(Problem {
                    what: format!("{label} adds to {namespace:?}, which it is not granted"),
                    help: format!("grant it: kv = {{ {namespace} = \"read-write\" }}"),
                });
            }
        }
        functions.push(FunctionPlan {
            timeout: function.timeout,
            memory_mb: function.memory_bytes_max as f64 / 1_048_576.0,
            architecture: Architecture::default(),
            used_mb: stated.memory_mb.unwrap_or(function.memory_bytes_max as f64 / 1_048_576.0),
            leak_mb: 0.0,
            init: stated.init.clone().unwrap_or(INSTANCE),
            error_rate: stated.error_rate,
            partial_failures: true,
            connections: gathered.connections(&program),
            program,
            reuse: false,
            provisioned: 0,
            lambda: None,
            name: function.name.clone(),
            real,
            label,
        });
    }
    functions
}

/// What real functions reach, and what is assumed of them.
fn real(
    workload: &Workload,
    names: &Names,
    gathered: &mut Gathered,
    problems: &mut Vec<Problem>,
) -> RealPlan {
    let mut plan = RealPlan { secrets: workload.real.secrets.clone(), ..RealPlan::default() };
    for (host, to) in &workload.real.hosts {
        match names.dependencies.get(to) {
            Some(&dependency) => drop(plan.hosts.insert(host.clone(), dependency)),
            None => {
                let what = format!("[real.hosts]: {host} is {to:?}, which is no dependency");
                let otherwise = "state it as [dependency.NAME]";
                problems.push(unknown(what, to, names.dependencies.keys(), otherwise));
            }
        }
    }
    for to in &workload.real.keyed {
        match names.dependencies.get(to) {
            Some(&dependency) => plan.keyed.push(dependency),
            None => {
                let what = format!("[real] keyed names {to:?}, which is no dependency");
                let otherwise = "state it as [dependency.NAME]";
                problems.push(unknown(what, to, names.dependencies.keys(), otherwise));
            }
        }
    }
    if workload.real.functions.is_empty() {
        return plan;
    }
    let mut assume = |what: &str, value: String, why: &str, key: &str| {
        let (what, why, key) = (what.into(), why.into(), Some(key.into()));
        gathered.assumptions.push(Assumption { what, value, why, key, knob: None });
    };
    if workload.real.fuel_per_us.is_none() {
        let value = format!("{} instructions a microsecond", workload::FUEL_PER_US);
        let why = "docs/performance.md has what was measured; state what `serve` measures on your machine";
        assume("speed of real functions", value, why, "real.fuel_per_us");
    }
    let why = "nothing leaves a simulation";
    assume("hosts that [real.hosts] does not name", "refuse connections".into(), why, "real.hosts");
    plan
}

/// Steps that the grants show: one event to each target.
fn granted(function: &Function, gathered: &mut Gathered) -> Vec<Step> {
    let mut steps = Vec::new();
    for target in &function.grants.emit {
        gathered.assumptions.push(Assumption {
            what: format!("events that {} emits to {target}", function.name),
            value: "1 for each event".into(),
            why: "it is granted, and no steps are stated".into(),
            key: Some(format!("function.{}.steps", function.name)),
            knob: None,
        });
        steps.push(gather::emit_one(target));
    }
    steps
}

fn entrance(application: &Application, names: &Names, to: &str, label: &str) -> Result<Entrance, Problem> {
    if let Some(route) = application.routes.iter().find(|route| is_route(route, to)) {
        return Ok(routed(application, names, route));
    }
    if let Some(&function) = names.functions.get(to) {
        let route = application.routes.iter().find(|route| route.function.as_str() == to);
        return Ok(match route {
            Some(route) => routed(application, names, route),
            None => Entrance::Call { function, gateway: None, request: None, metered: false },
        });
    }
    if let Some(EmitTo::Target(target)) = names.targets.get(to) {
        return Ok(Entrance::Send { target: target.clone(), attributes: attributes(label) });
    }
    let spelled = |route: &Route| match route.methods.first() {
        Some(method) => format!("{method} {}", route.path),
        None => route.path.clone(),
    };
    let routes: Vec<String> = application.routes.iter().map(spelled).collect();
    let known = names.targets.keys().chain(&routes);
    let what = format!("traffic {label} comes in at {to:?}, which the application does not have");
    Err(unknown(what, to, known, "write `to = \"NAME\"`: a route, queue, topic, bus or function"))
}

fn is_route(route: &Route, to: &str) -> bool {
    match to.split_once(' ') {
        Some((method, path)) => {
            route.path == path && (route.methods.is_empty() || route.methods.iter().any(|m| m == method))
        }
        None => route.path == to,
    }
}

fn routed(application: &Application, names: &Names, route: &Route) -> Entrance {
    match (route.mode, names.functions.get(route.function.as_str())) {
        (RouteMode::Sync, Some(&function)) => {
            // Flyball's gateway waits as long as the function may run, and for its slot.
            let _ = application;
            Entrance::Call { function, gateway: None, request: None, metered: false }
        }
        _ => Entrance::Send {
            target: Name::inbox_of(&route.function).to_string(),
            attributes: attributes("request"),
        },
    }
}

/// Of a request.
pub(crate) fn request_attributes() -> Attributes {
    attributes("request")
}

fn attributes(label: &str) -> Attributes {
    Attributes {
        kind: label.to_string(),
        source: "/simulation".into(),
        subject: None,
        content_type: "application/octet-stream".into(),
    }
}
