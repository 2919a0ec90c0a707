//! Amazon's semantics as a model: functions go into the engine as Lambda's pool, everything else becomes a
//! part.

mod nodes;

use std::{collections::BTreeMap, sync::Arc};

use flyball_app::{
    design::{self, Api, ApiKind, Design, Edge, Kind, NodeId, Via},
    profile::{Limit, Price, Profile},
    workload::{Behaviour, Lasting, Workload},
};
use flyball_core::{
    Name, Span,
    model::{
        Application, Concurrency, Delivery, Function, Grants, Limits, PlatformLimits, RATE_PER_SECOND_MAX,
        Rate, TenantLimits,
    },
};

use super::{
    Assumption, Entrance, FunctionPlan, Gateway, Knob, Known, Names, NodePlan, Plan, Platform, Problem,
    RealPlan,
    gather::{self, Gathered, words},
    names::unknown,
    program::{EmitTo, Program},
    stated,
    ways::{self, Ways},
};
use crate::{
    aws::{gateway::GatewayPolicy, lambda::LambdaPolicy},
    cost::Architecture,
    message::FunctionNo,
};
use nodes::{Filters, Places};

/// What a run takes where nothing says.
const DURATION: Lasting = Lasting::Percentiles { p50: Span::from_millis(100), p99: Span::from_millis(1_000) };
/// What INIT takes where nothing says.
const INIT: Lasting = Lasting::Percentiles { p50: Span::from_millis(400), p99: Span::from_millis(1_500) };
/// How long an environment is kept when idle, where nothing says.
const IDLE_MAX: Span = Span::from_secs(600);
/// How old an environment becomes, where nothing says.
const AGE_MAX: Span = Span::from_secs(2 * 3_600);
/// Longer than any function may run, with INIT and a second INIT: the environment's own timeout ends it
/// first.
const ENGINE_TIMEOUT_BEYOND: Span = Span::from_secs(7_200);
/// Environments that one function keeps at most: more than any account's concurrency.
const PROVISIONED_MAX: u32 = 1_000_000;
/// Memory that the engine is told: it does not limit anything there.
const ENGINE_MEMORY_BYTES: u64 = 64 << 20;

/// A design of AWS on its way into a plan.
struct Making<'a> {
    design: &'a Design,
    profile: &'a Profile,
    workload: &'a Workload,
    /// Functions in the order of the engine's names.
    functions: Vec<(Name, NodeId)>,
    names: Names,
    places: Places,
    gathered: Gathered,
    problems: Vec<Problem>,
}

impl Plan {
    /// A design of AWS's services under a workload.
    ///
    /// # Errors
    /// Everything in the workload that does not fit the design, and what the platform itself would refuse.
    pub fn aws(
        name: &str,
        design: &Design,
        profile: &Profile,
        workload: &Workload,
    ) -> Result<Plan, Vec<Problem>> {
        let mut problems = Vec::new();
        let gathered = Gathered::new(workload, &mut problems);
        let functions = engine_names(design);
        let mut names = Names { dependencies: gathered.dependency_numbers(), ..Names::default() };
        for ((_, id), number) in functions.iter().zip(0..) {
            names.functions.insert(design.node(*id).name.clone(), FunctionNo(number));
        }
        let places = Places::new(design, &mut names, &functions);
        let making = Making { places, design, profile, workload, functions, names, gathered, problems };
        making.plan(name)
    }
}

/// The engine's names are narrower than a template's; they are in their own order.
fn engine_names(design: &Design) -> Vec<(Name, NodeId)> {
    let mut names = BTreeMap::new();
    for (id, node, _) in design.functions() {
        let plain: String = node.name.chars().filter(char::is_ascii_alphanumeric).take(48).collect();
        let first =
            [plain.as_str(), "f"].into_iter().find(|text| !text.is_empty()).unwrap_or("f").to_string();
        let mut name = first.clone();
        let mut number = 2_u32;
        while names.contains_key(&name) {
            name = format!("{first}-{number}");
            number += 1;
        }
        names.insert(name, id);
    }
    names.into_iter().filter_map(|(name, id)| Some((Name::new(&name).ok()?, id))).collect()
}

impl Making<'_> {
    fn plan(mut self, name: &str) -> Result<Plan, Vec<Problem>> {
        let functions = self.function_plans();
        let application = self.application(name);
        let (names, design, profile) = (&self.names, self.design, self.profile);
        let entrance = |to: &str, label: &str| entrance(design, profile, names, to, label);
        let sources = self.gathered.sources(self.workload, entrance, &mut self.problems);
        gather::unused_functions(self.workload, names, &mut self.problems);
        let asked = |name: &str| nodes::askers(design, name);
        let (workload, stores) = (self.workload, nodes::stores(design));
        self.gathered.unused_dependencies(workload, &functions, (&asked, stores), &mut self.problems);
        let (idle_max, age_max) = self.environments();
        let filters = Filters::new(&self.workload.filters);
        let (assumptions, problems) = (&mut self.gathered.assumptions, &mut self.problems);
        let (nodes, mut unmodelled) =
            nodes::nodes(design, profile, &self.places, filters, (assumptions, problems));
        // What a stated dependency stands for is modelled by it.
        unmodelled.retain(|part| !self.workload.dependencies.keys().any(|name| name.as_str() == part.name));
        let checked = match application.check() {
            Ok(checked) => Some(Arc::new(checked)),
            Err(found) => {
                let told = found.into_iter().map(|p| Problem { what: p.message, help: p.help });
                self.problems.extend(told);
                None
            }
        };
        let (Some(application), true) = (checked, self.problems.is_empty()) else {
            return Err(self.problems);
        };
        let ways = self.ways(&functions, &nodes);
        self.gathered.defaults(self.workload, &sources);
        let plan = Plan {
            ways,
            name: name.to_string(),
            platform: Platform::Aws,
            profile: profile.name().to_string(),
            profile_date: profile.collected().to_string(),
            traffic: String::new(),
            duration: self.gathered.window.lasts,
            window: self.gathered.window,
            assumptions: self.gathered.assumptions,
            unmodelled,
            expects: self.workload.expects.clone(),
            asserts: self.workload.asserts.clone(),
            stated: stated::stated(self.workload),
            application,
            functions,
            nodes,
            sources,
            dependencies: self.gathered.dependencies,
            tenants: self.gathered.tenants,
            commit: Lasting::Constant(Span::ZERO),
            idle_max,
            age_max,
            gateway: Some(GatewayPolicy::of(profile)),
            real: RealPlan::default(),
        };
        plan.promising()
    }

    /// Which way work goes.
    fn ways(&self, functions: &[FunctionPlan], nodes: &[NodePlan]) -> Ways {
        let mut ways = Ways::of_design(self.design);
        let dependencies: Vec<&Name> = self.gathered.dependencies.iter().map(|(name, _)| name).collect();
        ways.programs(functions, nodes, &dependencies);
        for (name, source) in &self.workload.traffic {
            ways.enter(name, ways::entered(self.design, source.to.as_deref().unwrap_or(name)));
        }
        ways
    }

    fn function_plans(&mut self) -> Vec<FunctionPlan> {
        let default = Behaviour::default();
        let functions = self.functions.clone();
        let mut plans = Vec::new();
        for ((name, id), number) in functions.into_iter().zip(0..) {
            let node = self.design.node(id);
            let Kind::Function(function) = &node.kind else { continue };
            let label = node.name.clone();
            let stated = self.workload.functions.get(&label).unwrap_or(&default);
            let number = FunctionNo(number);
            let steps = stated.steps.clone().unwrap_or_else(|| {
                let (design, places) = (self.design, &self.places);
                let (dependencies, assumptions) =
                    (&self.workload.dependencies, &mut self.gathered.assumptions);
                nodes::Shown { design, places, dependencies, assumptions }.steps(id, node)
            });
            let duration = self.gathered.duration_of(&label, stated, number, &DURATION);
            let program = Program::new(
                &label,
                duration.as_ref(),
                stated.per_item.as_ref(),
                &steps,
                &self.names,
                &mut self.problems,
            );
            let memory_mb = self.or(&function.memory_mb, Limit::LambdaMemoryDefault, 128.0);
            let timeout_s = self.or(&function.timeout_s, Limit::LambdaTimeoutDefault, 3.0);
            plans.push(FunctionPlan {
                timeout: Span::from_secs(timeout_s.max(1.0) as u64),
                memory_mb,
                architecture: match function.architecture.stated() {
                    Some(stated) if stated == "arm64" => Architecture::Arm,
                    _ => Architecture::X86,
                },
                used_mb: stated.memory_mb.unwrap_or(memory_mb),
                leak_mb: stated.leak_mb,
                init: self.init(&label, number, stated),
                error_rate: stated.error_rate,
                partial_failures: self.reports_partly(id),
                real: false,
                connections: self.gathered.connections(&program),
                program,
                reuse: true,
                provisioned: self.provisioned(&label, function),
                lambda: Some(LambdaPolicy::of(self.profile, function)),
                name,
                label,
            });
        }
        plans
    }

    /// Environments that are kept, of all aliases and versions.
    fn provisioned(&mut self, label: &str, function: &design::Function) -> u32 {
        let counts = function.provisioned.iter().filter_map(|provisioned| provisioned.count.stated());
        let count = counts.filter_map(|count| u32::try_from(*count).ok()).fold(0, u32::saturating_add);
        if count > 0 {
            self.gathered.assumptions.push(Assumption {
                what: format!("provisioned concurrency of {label}"),
                value: format!("{count} environments, from the beginning, for all invocations"),
                why: "whether callers name the alias that it belongs to is not known".into(),
                key: None,
                knob: None,
            });
        }
        count.min(PROVISIONED_MAX)
    }

    fn init(&mut self, label: &str, function: FunctionNo, stated: &Behaviour) -> Lasting {
        let given = stated.init.clone().or(self.workload.environments.init.clone());
        given.unwrap_or_else(|| {
            self.gathered.assumptions.push(Assumption {
                what: format!("INIT of {label}"),
                value: words(&INIT),
                why: "nothing is stated of it".into(),
                key: Some(format!("function.{label}.init")),
                knob: Some(Knob::Init(function)),
            });
            INIT
        })
    }

    fn environments(&mut self) -> (Span, Span) {
        let stated = &self.workload.environments;
        if stated.idle_max.is_none() {
            self.gathered.assumptions.push(Assumption {
                what: "how long an idle environment is kept".into(),
                value: "10 min".into(),
                why: "AWS does not say".into(),
                key: Some("environments.idle_max".into()),
                knob: Some(Knob::IdleMax),
            });
        }
        (stated.idle_max.unwrap_or(IDLE_MAX), stated.age_max.unwrap_or(AGE_MAX))
    }

    /// Whether a source of the function takes word of single failures.
    fn reports_partly(&self, id: NodeId) -> bool {
        self.design.incoming(id).any(|(_, edge)| match &edge.via {
            Via::EventSource(source) => source.partial_failures.stated() == Some(&true),
            _ => false,
        })
    }

    fn or(&self, setting: &design::Setting<i64>, limit: Limit, otherwise: f64) -> f64 {
        match setting.stated() {
            Some(value) => *value as f64,
            None => self.profile.value(limit).unwrap_or(otherwise),
        }
    }

    /// Lambda's pool as an application of the engine: functions with their reservations, nothing else.
    fn application(&self, name: &str) -> Application {
        let pool = self.profile.value(Limit::LambdaConcurrency).unwrap_or(1_000.0).max(1.0) as u32;
        let per_environment = self.profile.value(Limit::LambdaRequestsPerEnvironment).unwrap_or(10.0);
        let mut longest = Span::ZERO;
        let mut functions = BTreeMap::new();
        for (name, id) in &self.functions {
            let Kind::Function(function) = &self.design.node(*id).kind else { continue };
            let reserved = function.reserved.stated().and_then(|n| u32::try_from(*n).ok());
            let timeout = self.or(&function.timeout_s, Limit::LambdaTimeoutDefault, 3.0).max(1.0);
            let timeout = Span(Span::from_secs(timeout as u64).0 + ENGINE_TIMEOUT_BEYOND.0);
            longest = longest.max(timeout);
            let most = reserved.unwrap_or(pool);
            let per_second = (f64::from(most) * per_environment).clamp(1.0, f64::from(RATE_PER_SECOND_MAX));
            let rate = Rate { per_second: per_second as u32, burst: per_second as u32 };
            let concurrency =
                Concurrency { cap: reserved.unwrap_or(u32::MAX), guarantee: reserved.unwrap_or(0) };
            functions.insert(
                name.clone(),
                engine_function(name, timeout, Limits { concurrency, rate: Some(rate) }),
            );
        }
        if functions.is_empty() {
            // The engine wants one. Nobody calls it, and it is in no result.
            let (nobody, timeout) = (Name::unnamed(), Span::from_secs(1));
            longest = timeout;
            functions.insert(nobody.clone(), engine_function(&nobody, timeout, Limits::default()));
        }
        Application {
            name: Name::new(name).unwrap_or_else(|_| Name::unnamed()),
            functions,
            queues: BTreeMap::new(),
            topics: BTreeMap::new(),
            buses: BTreeMap::new(),
            routes: Vec::new(),
            limits: PlatformLimits {
                limits: Limits { concurrency: Concurrency { cap: pool, guarantee: 0 }, rate: None },
                timeout_max: longest,
                long_timeout: longest,
                long_concurrency_max: pool,
                call_wait_max: Span::ZERO,
                ..PlatformLimits::default()
            },
            tenant_defaults: TenantLimits::default(),
            tenants: BTreeMap::new(),
        }
    }
}

fn engine_function(name: &Name, timeout: Span, limits: Limits) -> Function {
    Function {
        name: name.clone(),
        component: String::new(),
        timeout,
        memory_bytes_max: ENGINE_MEMORY_BYTES,
        limits,
        per_tenant: Limits::default(),
        for_tenants: BTreeMap::new(),
        grants: Grants::default(),
        config: BTreeMap::new(),
        // Nothing is ever sent there.
        inbox: Delivery {
            batch_max: 1,
            batch_window: Span::ZERO,
            delay: Span::ZERO,
            visibility: timeout,
            attempts_max: 1,
            retry_base: Span::from_secs(1),
            retry_max: Span::from_secs(1),
            waiting_max: 1,
        },
    }
}

fn entrance(
    design: &Design,
    profile: &Profile,
    names: &Names,
    to: &str,
    label: &str,
) -> Result<Entrance, Problem> {
    let routes = || {
        design.edges().filter_map(|(_, edge)| match (&edge.via, &design.node(edge.from).kind) {
            (Via::Integration(_), Kind::Api(api)) => Some((edge, api)),
            _ => None,
        })
    };
    if let Some(&function) = names.functions.get(to) {
        let through = routes().find(|(edge, _)| design.node(edge.to).name == to);
        return Ok(called(design, profile, function, through));
    }
    let leads = |edge: &Edge| names.functions.get(&design.node(edge.to).name).copied();
    let found = routes().find(|(edge, _)| {
        design.node(edge.from).name == to
            || matches!(&edge.via, Via::Integration(i) if to == format!("{} {}", i.method, i.path) || to == i.path)
    });
    if let Some((edge, _)) = found
        && let Some(function) = leads(edge)
    {
        return Ok(called(design, profile, function, found));
    }
    if let Some(EmitTo::Node(node)) = names.targets.get(to) {
        return Ok(Entrance::Node(*node));
    }
    let known: Vec<String> = design.nodes().map(|(_, node)| node.name.clone()).collect();
    let what = format!("traffic {label} comes in at {to:?}, which the design does not have");
    Err(unknown(what, to, &known, "write `to = \"LogicalId\"` or `to = \"GET /path\"`"))
}

/// A function that is called, through an API or directly.
fn called(
    design: &Design,
    profile: &Profile,
    function: FunctionNo,
    through: Option<(&Edge, &Api)>,
) -> Entrance {
    Entrance::Call {
        function,
        gateway: through.and_then(|(edge, api)| gateway(design, profile, edge, api)),
        request: through.and_then(|(_, api)| price(api.kind)),
        metered: through
            .is_some_and(|(_, api)| matches!(api.kind, ApiKind::Rest | ApiKind::Http | ApiKind::WebSocket)),
    }
}

/// What one request of an API costs, where that is known.
fn price(kind: ApiKind) -> Option<Price> {
    match kind {
        ApiKind::Rest => Some(Price::RestRequests),
        ApiKind::Http => Some(Price::HttpRequests),
        ApiKind::WebSocket => Some(Price::WebSocketMessages),
        ApiKind::FunctionUrl | ApiKind::LoadBalancer | ApiKind::GraphQl | ApiKind::Flyball => None,
    }
}

/// A gateway, and how long it waits for what a route leads to.
fn gateway(design: &Design, profile: &Profile, edge: &Edge, api: &Api) -> Option<Gateway> {
    let Via::Integration(integration) = &edge.via else { return None };
    if integration.streamed {
        return None;
    }
    let limit = flyball_app::check::Look::entrance_limit(api.kind)?;
    let stated = integration.timeout_ms.stated().map(|ms| *ms as f64);
    let most = profile.row(limit);
    let millis = stated.or_else(|| most.map(|row| row.value))?;
    let span = |millis: f64| Span::from_millis(millis.max(0.0) as u64);
    // What the template states is raised there, as far as the quota goes; the quota itself on request.
    let quota = most.is_some_and(|row| row.raisable);
    let within = most.is_none_or(|row| millis * 2.0 <= row.value);
    let raised_by = match (stated, within, quota) {
        (Some(_), true, _) => "TimeoutInMillis",
        (_, false, true) => "Service Quotas: Maximum integration timeout in milliseconds",
        _ => "",
    };
    Some(Gateway {
        name: design.node(edge.from).name.clone(),
        timeout: span(millis),
        known: if stated.is_some() { Known::stated("the template") } else { Known::row(profile, limit) },
        raised_by: raised_by.into(),
    })
}
