//! Which fault comes when: drawn from a seed, as a file of faults says or without one.

use flyball_app::workload::faults::{self as stated, When};
use flyball_core::Span;

use crate::{
    message::FunctionNo,
    plan::{DependencyNo, Entrance, Plan, Platform, Problem},
    random::Random,
    result::FaultStep,
};

/// Faults of one run at most: what is drawn beyond is left out.
pub(crate) const FAULTS_MAX: usize = 200;

/// One fault, at its time.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Fault {
    /// After the beginning.
    pub at: Span,
    /// How long; zero for a moment.
    pub lasts: Span,
    pub what: What,
}

/// What goes wrong.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum What {
    Crash,
    Slow {
        dependency: DependencyNo,
        factor: f64,
    },
    Failing {
        dependency: DependencyNo,
        share: f64,
    },
    Refusing {
        dependency: DependencyNo,
    },
    Duplicates {
        share: f64,
    },
    Late {
        share: f64,
        by: Span,
    },
    Partial {
        function: Option<FunctionNo>,
        share: f64,
    },
    Stall,
    CommitFails {
        written: bool,
    },
    Clock {
        by: Span,
        back: bool,
    },
    Flood {
        source: u32,
        tenant: u32,
        per_s: f64,
    },
    Poison {
        source: u32,
    },
    /// All dead letters are put back, or thrown away.
    Redrive,
    Discard,
    Leak {
        function: FunctionNo,
        mb: f64,
    },
}

impl What {
    /// Its kind, as a result counts it.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            What::Crash => "crash",
            What::Slow { .. } => "slow dependency",
            What::Failing { .. } => "failing dependency",
            What::Refusing { .. } => "refusing dependency",
            What::Duplicates { .. } => "duplicate",
            What::Late { .. } => "late",
            What::Partial { .. } => "partial failures",
            What::Stall => "store stall",
            What::CommitFails { .. } => "failed commit",
            What::Clock { .. } => "clock jump",
            What::Flood { .. } => "flood",
            What::Poison { .. } => "poisoned event",
            What::Redrive => "redrive",
            What::Discard => "discard",
            What::Leak { .. } => "leak",
        }
    }

    fn only_flyball(&self) -> bool {
        let operated = matches!(self, What::Redrive | What::Discard);
        operated || matches!(self, What::Crash | What::Stall | What::CommitFails { .. } | What::Clock { .. })
    }
}

impl Fault {
    /// In words.
    pub(crate) fn told(&self, plan: &Plan) -> FaultStep {
        let function = |number: FunctionNo| {
            plan.functions.get(number.0 as usize).map_or(String::new(), |function| function.label.clone())
        };
        let dependency = |number: DependencyNo| {
            plan.dependencies.get(number.0 as usize).map_or(String::new(), |(name, _)| name.to_string())
        };
        let source = |number: u32| {
            plan.sources.get(number as usize).map_or(String::new(), |source| source.label.clone())
        };
        let percent = |share: f64| crate::result::figure(share * 100.0);
        let (what, of) = match &self.what {
            What::Crash => ("crash".to_string(), String::new()),
            What::Slow { dependency: of, factor } => {
                (format!("calls take {} times as long", crate::result::figure(*factor)), dependency(*of))
            }
            What::Failing { dependency: of, share } => {
                (format!("{} % of calls fail", percent(*share)), dependency(*of))
            }
            What::Refusing { dependency: of } => ("all calls are refused".into(), dependency(*of)),
            What::Duplicates { share } => (format!("{} % come twice", percent(*share)), String::new()),
            What::Late { share, by } => {
                (format!("{} % come {} s late", percent(*share), seconds(*by)), String::new())
            }
            What::Partial { function: of, share } => {
                (format!("{} % of items fail", percent(*share)), of.map_or(String::new(), function))
            }
            What::Stall => ("the store stalls".into(), String::new()),
            What::CommitFails { written: true } => {
                ("a commit's result is not known; it was written".into(), String::new())
            }
            What::CommitFails { written: false } => ("a commit fails".into(), String::new()),
            What::Clock { by, back } => {
                let way = if *back { "back" } else { "forward" };
                (format!("the clock is put {way} by {} s", seconds(*by)), String::new())
            }
            What::Flood { source: of, tenant, per_s } => {
                let tenant = plan.tenants.get(*tenant as usize).map_or("", |name| name.as_str());
                (format!("{tenant} sends {} more a second", crate::result::figure(*per_s)), source(*of))
            }
            What::Poison { source: of } => ("an event that ends what runs it".into(), source(*of)),
            What::Redrive => ("all dead letters are put back".into(), String::new()),
            What::Discard => ("all dead letters are thrown away".into(), String::new()),
            What::Leak { function: of, mb } => {
                (format!("each run leaves {} MiB behind", crate::result::figure(*mb)), function(*of))
            }
        };
        FaultStep { at_s: seconds(self.at), what, of, for_s: seconds(self.lasts) }
    }
}

fn seconds(span: Span) -> f64 {
    crate::result::figure(span.0 as f64 / 1e6)
}

/// What is wrong with a file of faults for this plan: names, and what the platform does not have.
pub(crate) fn check(plan: &Plan, faults: &stated::Faults) -> Result<(), Vec<Problem>> {
    let mut problems = Vec::new();
    let mut random = Random::of(0, "check");
    for fault in &faults.faults {
        match what(plan, &fault.what, &mut random) {
            Ok(what) if plan.platform == Platform::Aws && what.only_flyball() => problems.push(Problem {
                what: format!("a fault of kind {:?} is of Flyball's own platform", what.kind()),
                help: "leave it out, or simulate with the profile flyball".into(),
            }),
            Ok(_) => {}
            Err(problem) => problems.push(problem),
        }
    }
    if problems.is_empty() { Ok(()) } else { Err(problems) }
}

/// The faults of one seed, in the order of time.
pub(crate) fn schedule(plan: &Plan, faults: Option<&stated::Faults>, seed: u64) -> Vec<Fault> {
    let mut random = Random::of(seed, "schedule of faults");
    let mut all = match faults {
        Some(faults) => stated_ones(plan, faults, &mut random),
        None => drawn(plan, &mut random),
    };
    all.sort_by_key(|fault| fault.at);
    all.truncate(FAULTS_MAX);
    all
}

fn stated_ones(plan: &Plan, faults: &stated::Faults, random: &mut Random) -> Vec<Fault> {
    let mut all = Vec::new();
    for fault in &faults.faults {
        let mut at = match fault.when {
            When::At(at) => at,
            When::Mean(mean) => random.exponential(mean),
        };
        while at < plan.duration && all.len() < FAULTS_MAX * 2 {
            if let Ok(what) = what(plan, &fault.what, random) {
                all.push(Fault { at, lasts: fault.lasts, what });
            }
            match fault.when {
                When::At(_) => break,
                When::Mean(mean) => at = Span(at.0.saturating_add(random.exponential(mean).0).max(at.0 + 1)),
            }
        }
    }
    all
}

/// Without a file: three to eight faults of any kind that makes sense, most within the first nine tenths.
fn drawn(plan: &Plan, random: &mut Random) -> Vec<Fault> {
    let kinds: Vec<stated::What> = [
        stated::What::Crash,
        stated::What::Crash,
        stated::What::CommitFails,
        stated::What::StoreStall,
        stated::What::ClockJump { by: Span::from_secs(1), back: false },
        stated::What::ClockJump { by: Span::from_secs(1), back: true },
        stated::What::Slow { of: None, factor: 20.0 },
        stated::What::Failing { of: None, share: 0.5 },
        stated::What::Refusing { of: None },
        stated::What::Duplicates { share: 0.2 },
        stated::What::Late { share: 0.2, by: Span::from_secs(3) },
        stated::What::PartialFailures { of: None, share: 0.2 },
        stated::What::Flood { of: None, tenant: None, per_s: 100.0 },
        stated::What::Poison { of: None },
        stated::What::Leak { of: None, mb: 32.0 },
    ]
    .into_iter()
    .filter(|kind| {
        let mut probe = Random::of(0, "probe");
        let fits = |what: What| plan.platform == Platform::Flyball || !what.only_flyball();
        what(plan, kind, &mut probe).is_ok_and(fits)
    })
    .collect();
    let count = 3 + random.below(6);
    let mut all = Vec::new();
    let window = (plan.duration.0 / 10 * 9).max(1);
    for _ in 0..count {
        let at = Span(random.below(window));
        let Some(kind) = kinds.get(random.below(kinds.len() as u64) as usize) else { continue };
        let Ok(mut what) = what(plan, kind, random) else { continue };
        let mut lasts = Span(random.exponential(Span(plan.duration.0 / 20)).0.max(1_000));
        match &mut what {
            What::Crash => lasts = Span(1_000 + random.below(5_000_000)),
            What::Clock { by, .. } => {
                *by = Span(1 + random.below(120_000_000));
                lasts = Span::ZERO;
            }
            What::CommitFails { .. } | What::Poison { .. } => lasts = Span::ZERO,
            What::Flood { per_s, .. } => *per_s = 10.0 + random.below(190) as f64,
            What::Late { by, .. } => *by = Span(1 + random.below(60_000_000)),
            _ => {}
        }
        all.push(Fault { at, lasts, what });
    }
    all
}

/// A fault with its names looked up; what is left open is drawn.
fn what(plan: &Plan, stated: &stated::What, random: &mut Random) -> Result<What, Problem> {
    let dependencies = || plan.dependencies.iter().map(|(name, _)| name.as_str());
    let sources = || plan.sources.iter().map(|source| source.label.as_str());
    let functions = || plan.functions.iter().map(|function| function.label.as_str());
    let mut dependency =
        |of: &Option<String>| find(of.as_deref(), "dependency", dependencies(), random).map(DependencyNo);
    Ok(match stated {
        stated::What::Crash => What::Crash,
        stated::What::Slow { of, factor } => What::Slow { dependency: dependency(of)?, factor: *factor },
        stated::What::Failing { of, share } => What::Failing { dependency: dependency(of)?, share: *share },
        stated::What::Refusing { of } => What::Refusing { dependency: dependency(of)? },
        stated::What::Duplicates { share } => What::Duplicates { share: *share },
        stated::What::Late { share, by } => What::Late { share: *share, by: *by },
        stated::What::PartialFailures { of: None, share } => What::Partial { function: None, share: *share },
        stated::What::PartialFailures { of, share } => {
            let function = find(of.as_deref(), "function", functions(), random)?;
            What::Partial { function: Some(FunctionNo(function)), share: *share }
        }
        stated::What::StoreStall => What::Stall,
        stated::What::CommitFails => What::CommitFails { written: random.chance(0.5) },
        stated::What::ClockJump { by, back } => What::Clock { by: *by, back: *back },
        stated::What::Flood { of, tenant, per_s } => {
            let source = find(of.as_deref(), "traffic", sources(), random)?;
            let names = plan.tenants.iter().map(|name| name.as_str());
            let tenant = find(tenant.as_ref().map(|name| name.as_str()), "tenant", names, random)?;
            What::Flood { source, tenant, per_s: *per_s }
        }
        stated::What::Poison { of } => {
            let of = find(of.as_deref(), "traffic", sources(), random)?;
            let enters = plan.sources.get(of as usize).map(|source| &source.entrance);
            match enters {
                Some(Entrance::Call { .. }) | None => {
                    // Prefers what is accepted: a call that ends the process is simply gone.
                    let events = |s: &crate::plan::SourcePlan| !matches!(s.entrance, Entrance::Call { .. });
                    let other = plan.sources.iter().position(events);
                    What::Poison { source: other.map_or(of, |other| other as u32) }
                }
                Some(_) => What::Poison { source: of },
            }
        }
        stated::What::Redrive => What::Redrive,
        stated::What::Discard => What::Discard,
        stated::What::Leak { of, mb } => {
            let kept = plan.functions.iter().any(|function| function.reuse);
            if !kept {
                return Err(Problem {
                    what: "a leak: each run has an environment of its own, nothing can be left behind".into(),
                    help: "leave the fault out".into(),
                });
            }
            let function = find(of.as_deref(), "function", functions(), random)?;
            What::Leak { function: FunctionNo(function), mb: *mb }
        }
    })
}

/// The place of a name, or of one that is drawn.
fn find<'n>(
    name: Option<&str>,
    kind: &str,
    names: impl ExactSizeIterator<Item = &'n str> + Clone,
    random: &mut Random,
) -> Result<u32, Problem> {
    let found = match name {
        Some(name) => names.clone().position(|other| other == name),
        None if names.len() == 0 => None,
        None => usize::try_from(random.below(names.len() as u64)).ok(),
    };
    found.and_then(|found| u32::try_from(found).ok()).ok_or_else(|| {
        let known: Vec<String> = names.map(str::to_string).collect();
        match name {
            Some(name) => crate::plan::unknown(
                format!("a fault is of {name:?}, and there is no such {kind}"),
                name,
                &known,
                "name one that the traffic file or the design has",
            ),
            None => Problem {
                what: format!("a fault is of a {kind}, and there is none"),
                help: "leave the fault out".into(),
            },
        }
    })
}
