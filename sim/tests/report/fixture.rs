//! Simulations as a run would leave them: codewatch with many tenants, at its load line and past it.
#![allow(clippy::cast_precision_loss, reason = "small counts")]

use std::collections::BTreeMap;

use flyball_sim::result::*;

/// Slots of every series.
pub const SLOTS: usize = 120;

fn series(of: impl Fn(f64) -> f64) -> Series {
    (0..SLOTS).map(|slot| figure(of(slot as f64 / SLOTS as f64))).collect()
}

/// Something between -1 and 1 that looks drawn by chance and is not.
fn noise(t: f64, salt: f64) -> f64 {
    let x = libm::sin(t * 12_345.678 + salt * 78.233) * 43_758.547;
    2.0 * (x - libm::floor(x)) - 1.0
}

/// A morning: up to the peak and down again.
fn day(t: f64) -> f64 {
    0.55 + 0.45 * libm::sin(t * 3.1)
}

pub fn limit(name: &str, scope: Scope, of: &str, value: f64, unit: &str) -> LimitRef {
    LimitRef { name: name.into(), scope, of: of.into(), value, unit: unit.into() }
}

fn by(pairs: &[(&str, u64)]) -> BTreeMap<String, u64> {
    pairs.iter().filter(|(_, number)| *number > 0).map(|(name, number)| ((*name).into(), *number)).collect()
}

fn times(count: u64, p50_ms: f64, p99_ms: f64) -> Percentiles {
    Percentiles {
        count,
        mean_ms: figure(p50_ms * 1.3),
        p50_ms: figure(p50_ms),
        p95_ms: figure((p50_ms * p99_ms * p99_ms).cbrt()),
        p99_ms: figure(p99_ms),
        max_ms: figure(p99_ms * 2.4),
    }
}

fn whole(value: f64) -> u64 {
    format!("{value:.0}").parse().unwrap_or_default()
}

/// How much of the time is past the wall, from 0 to 1, at a place of the run.
fn past(load: f64, t: f64) -> f64 {
    if load < 4.0 || t < 0.3 { 0.0 } else { ((t - 0.3) / 0.5).min(1.0) }
}

/// One run of codewatch at a load.
pub fn run(load: f64, tenants: u64) -> RunResult {
    let broken = load > 4.0;
    let rate = 38.0 * load;
    let arrivals = whole(rate * 0.82 * 3_600.0);
    RunResult {
        about: About {
            application: "codewatch".into(),
            platform: "flyball".into(),
            profile: "flyball".into(),
            profile_date: "2026-11".into(),
            traffic: "examples/codewatch/traffic.toml".into(),
            seed: 1,
            load_factor: load,
            duration_s: 3_600.0,
            simulated_s: 3_600.0,
            ended: Ended::Complete,
            tenants,
            engine_steps: arrivals * 9,
            arrivals,
            events_simulated: arrivals * 14,
            invariants_checked: true,
        },
        slot_s: 30.0,
        sources: vec![pushes(load, arrivals), readers(load)],
        functions: functions(load),
        nodes: nodes(load),
        dependencies: vec![notify_address(load)],
        platform: platform(load),
        tenants: tenants_of(load, tenants, arrivals),
        limits: limits(load),
        cost: cost(load, tenants),
        promises: promises(broken),
    }
}

fn pushes(load: f64, arrivals: u64) -> SourceResult {
    let rate = 38.0 * load;
    let lost = move |t: f64| past(load, t) * 0.35;
    let errors = if load > 4.0 { arrivals / 9 } else { 0 };
    SourceResult {
        name: "pushes".into(),
        to: "gateway".into(),
        synchronous: true,
        scaled: true,
        arrivals,
        arrivals_mean_per_s: figure(rate * 0.82),
        arrivals_peak_per_s: figure(rate),
        requests: arrivals + errors * 2,
        retries: errors * 2,
        retries_let_be: errors / 4,
        answered: arrivals - errors,
        failed: errors,
        errors: by(&[("throttled", errors * 2), ("timeout", errors / 3)]),
        refused: by(&[("concurrency", errors * 2)]),
        timeouts: errors / 3,
        latency: times(arrivals, 42.0, if load > 4.0 { 9_800.0 } else { 180.0 }),
        times: SourceTimes {
            arrivals_per_s: series(|t| rate * day(t) * (1.0 + 0.04 * noise(t, 1.0))),
            requests_per_s: series(|t| rate * day(t) * (1.0 + lost(t) * 1.4 + 0.04 * noise(t, 1.0))),
            answered_per_s: series(|t| rate * day(t) * (1.0 - lost(t) + 0.03 * noise(t, 2.0))),
            errors_per_s: series(|t| rate * day(t) * lost(t) * 2.2),
            latency_p99_ms: series(|t| 170.0 * (1.0 + 0.2 * noise(t, 3.0)) * libm::pow(58.0, past(load, t))),
        },
    }
}

fn readers(load: f64) -> SourceResult {
    let rate = 6.0 * load;
    let arrivals = whole(rate * 3_600.0);
    SourceResult {
        name: "readers".into(),
        to: "gateway".into(),
        synchronous: true,
        scaled: true,
        arrivals,
        arrivals_mean_per_s: figure(rate),
        arrivals_peak_per_s: figure(rate),
        requests: arrivals,
        answered: arrivals,
        latency: times(arrivals, 11.0, 64.0),
        times: SourceTimes {
            arrivals_per_s: series(|t| rate * (1.0 + 0.1 * noise(t, 5.0))),
            requests_per_s: series(|t| rate * (1.0 + 0.1 * noise(t, 5.0))),
            answered_per_s: series(|t| rate * (1.0 + 0.1 * noise(t, 5.0))),
            errors_per_s: series(|_| 0.0),
            latency_p99_ms: series(|t| 60.0 * (1.0 + 0.2 * noise(t, 6.0)) * libm::pow(9.0, past(load, t))),
        },
        ..SourceResult::default()
    }
}

fn functions(load: f64) -> Vec<FunctionResult> {
    // Name, runs for a push, median ms, cap, memory MB.
    let all = [
        ("notify", 0.4, 120.0, 16.0, 64.0),
        ("report", 0.9, 45.0, 24.0, 128.0),
        ("reports", 0.2, 11.0, 16.0, 64.0),
        ("scan", 1.6, 210.0, 32.0, 64.0),
        ("webhook", 1.0, 18.0, 32.0, 64.0),
    ];
    all.iter()
        .map(|(name, share, median, cap, memory)| {
            let rate = 38.0 * load * share;
            let busy = rate * median / 1_000.0 * 1.9;
            let full = *name == "scan" && load > 4.0;
            let runs = whole(rate * 0.82 * 3_600.0);
            let at = move |t: f64| {
                let wanted = busy * day(t) * (1.0 + 0.15 * noise(t, *median));
                if full && past(load, t) > 0.0 { *cap } else { wanted.min(*cap).round() }
            };
            let peak = (0..SLOTS).map(|slot| at(slot as f64 / SLOTS as f64)).fold(0.0, f64::max);
            FunctionResult {
                name: (*name).into(),
                memory_mb: *memory,
                timeout_s: 30.0,
                runs,
                succeeded: runs - runs / 900,
                events: runs - runs / 900,
                attempts_mean: if full { 1.31 } else { 1.001 },
                attempts_peak: if full { 5 } else { 2 },
                failed: by(&[("trap", runs / 1_800), ("timeout", if full { runs / 40 } else { 0 })]),
                throttled: by(&[("concurrency", if full { runs / 6 } else { 0 })]),
                timeouts: if full { runs / 40 } else { 0 },
                orphans: 0,
                cold_starts: whole(busy * 6.0) + 4,
                init: times(40, 3.0, 11.0),
                duration: times(runs, *median, median * 5.2),
                dwell: times(runs, 0.8, if full { 44_000.0 } else { 38.0 }),
                concurrency_peak: peak,
                concurrency_peak_at_s: 1_830.0,
                concurrency_mean: figure(busy * 0.8),
                concurrency_max: Some(*cap),
                concurrency_guarantee: (*name == "webhook").then_some(4.0),
                billed_s: figure(rate * 3_600.0 * median / 1_000.0),
                billed_gb_s: figure(rate * 3_600.0 * median / 1_000.0 * memory / 1_024.0),
                memory_peak_mb: Some(figure(memory * 0.7)),
                leak: (*name == "report").then_some(Leak {
                    mb_per_run: 0.02,
                    out_of_memory_after_s: 41_000.0,
                    out_of_memory_after_runs: 1_900.0,
                    out_of_memory: 0,
                    recycled: 12,
                }),
                times: FunctionTimes {
                    concurrency: series(at),
                    environments: series(|t| at(t) + 2.0),
                    runs_per_s: series(|t| rate * day(t)),
                    failed_per_s: series(|t| if full { rate * past(load, t) * 0.04 } else { 0.0 }),
                    throttled_per_s: series(|t| if full { rate * past(load, t) * 0.6 } else { 0.0 }),
                    cold_starts_per_s: series(|t| if t < 0.05 { 1.5 } else { 0.02 }),
                    dwell_p50_ms: series(|t| 0.8 * libm::pow(900.0, past(load, t))),
                    dwell_p99_ms: series(|t| 38.0 * libm::pow(1_100.0, past(load, t))),
                },
            }
        })
        .collect()
}

fn nodes(load: f64) -> Vec<NodeResult> {
    let node = |name: &str, kind: &str, share: f64, grows: bool| {
        let rate = 38.0 * load * share;
        let entered = whole(rate * 0.82 * 3_600.0);
        let waiting = move |t: f64| {
            let usual = rate * 0.2 * (1.0 + 0.4 * noise(t, share));
            if grows { usual + past(load, t) * rate * 180.0 } else { usual }
        };
        let end = if grows { whole(waiting(1.0)) } else { 0 };
        NodeResult {
            name: name.into(),
            kind: kind.into(),
            entered,
            left: entered - end,
            receives: entered + entered / 9,
            receives_mean: if grows { 1.31 } else { 1.0 },
            handled_again: entered / 400,
            backlog_end: end,
            backlog_peak: whole(waiting(1.0)),
            backlog_peak_at_s: 3_600.0,
            drained_after_s: (!grows).then_some(0.0),
            oldest_age_peak_s: if grows { 412.0 } else { 0.8 },
            dead_letters: by(&[("attempts", if grows { 214 } else { 0 })]),
            dead_letters_to: "the platform's dead letters".into(),
            dropped: BTreeMap::new(),
            to_end: times(entered, 4.0, if grows { 44_000.0 } else { 60.0 }),
            times: NodeTimes {
                backlog: series(waiting),
                entered_per_s: series(|t| rate * day(t)),
                left_per_s: series(|t| rate * day(t) * (1.0 - past(load, t) * 0.3)),
                oldest_age_s: series(|t| 0.5 + past(load, t) * 400.0),
                dead_letters_per_s: series(|t| if grows && t > 0.8 { 0.3 } else { 0.0 }),
            },
        }
    };
    vec![
        node("announcements", "topic", 0.4, false),
        node("files", "queue", 1.6, load > 4.0),
        node("findings", "queue", 0.9, false),
    ]
}

fn notify_address(load: f64) -> DependencyResult {
    let calls = whole(38.0 * load * 0.4 * 0.82 * 3_600.0);
    DependencyResult {
        name: "notify-address".into(),
        callers: vec!["notify".into()],
        calls,
        answered: calls - calls / 300,
        refused: BTreeMap::new(),
        failed: calls / 300,
        broken_off: 0,
        orphans: calls / 2_000,
        orphans_s: 12.4,
        duplicates: 0,
        executions_per_event: 0.38,
        connections_max: Some(60.0),
        connections_peak: figure((4.0 + load * 3.0).min(60.0)),
        connections_peak_at_s: 1_800.0,
        servers: Some(20.0),
        in_service_peak: figure(4.0 + load),
        waiting_peak: 0.0,
        utilisation_percent: figure(6.0 * load),
        utilisation_peak_percent: figure(9.0 * load),
        latency: times(calls, 90.0, 310.0),
        times: DependencyTimes {
            connections: series(|t| (4.0 + load * 3.0 * day(t)).round()),
            in_service: series(|t| (load * 2.0 * day(t)).round()),
            waiting: series(|_| 0.0),
            utilisation_percent: series(|t| 9.0 * load * day(t)),
            latency_p99_ms: series(|t| 300.0 * (1.0 + 0.15 * noise(t, 9.0))),
        },
    }
}

fn platform(load: f64) -> PlatformResult {
    let functions = functions(load);
    let mut all = vec![0.0; SLOTS];
    for function in &functions {
        for (sum, value) in all.iter_mut().zip(&function.times.concurrency) {
            *sum += *value;
        }
    }
    let all: Series = all.into_iter().map(|value: f64| value.min(64.0)).collect();
    PlatformResult {
        concurrency_max: Some(64.0),
        concurrency_peak: all.iter().copied().fold(0.0, f64::max),
        concurrency_peak_at_s: 1_830.0,
        invocations: functions.iter().map(|function| function.runs).sum(),
        runs_per_event: if load > 4.0 { 4.6 } else { 4.02 },
        throttled: functions.iter().flat_map(|function| function.throttled.values()).sum(),
        cold_starts: functions.iter().map(|function| function.cold_starts).sum(),
        dwell: times(600_000, 0.9, if load > 4.0 { 44_000.0 } else { 41.0 }),
        store: Some(StoreResult {
            commits: 91_000,
            records_per_commit: 6.2,
            utilisation_percent: figure(11.0 * load),
        }),
        times: PlatformTimes {
            environments: all.iter().map(|value| figure(value + 9.0)).collect(),
            concurrency: all,
            throttled_per_s: series(|t| 38.0 * load * past(load, t) * 0.9),
            cold_starts_per_s: series(|t| {
                if t < 0.05 { 7.0 - 120.0 * t } else { 0.1 + 0.1 * noise(t, 4.0).abs() }
            }),
            dwell_p50_ms: series(|t| 0.9 * (1.0 + 0.2 * noise(t, 7.0)) * libm::pow(600.0, past(load, t))),
            dwell_p95_ms: series(|t| 9.0 * (1.0 + 0.2 * noise(t, 8.0)) * libm::pow(1_500.0, past(load, t))),
            dwell_p99_ms: series(|t| 40.0 * (1.0 + 0.2 * noise(t, 9.0)) * libm::pow(1_100.0, past(load, t))),
            cost_usd_per_h: series(|t| 0.31 * load * day(t)),
        },
    }
}

fn tenants_of(load: f64, tenants: u64, arrivals: u64) -> TenantsResult {
    let worst = if load > 4.0 { 61_000.0 } else { 96.0 };
    let over = move |percent: f64| {
        let tail = libm::pow(percent / 100.0, 6.0);
        figure(12.0 * (1.0 + percent / 80.0) * libm::pow(worst / 27.0, tail))
    };
    let shown = (1..=TENANTS_SHOWN_MAX.min(usize::try_from(tenants).unwrap_or(1))).map(|rank| {
        let share = 18.0 / rank as f64;
        TenantResult {
            name: if rank == 1 { "megacorp".into() } else { format!("t{rank}") },
            arrivals: whole(arrivals as f64 * share / 100.0),
            arrivals_percent: figure(share),
            throttled: if load > 4.0 { whole(9_000.0 / rank as f64) } else { 0 },
            throttled_percent: if load > 4.0 { figure(52.0 / rank as f64) } else { 0.0 },
            errors: if load > 4.0 { whole(4_000.0 / rank as f64) } else { 0 },
            dead_letters: 0,
            dwell: times(100, 4.0, over(100.0 / rank as f64)),
            cost_usd_per_month: figure(40.0 * load / rank as f64),
        }
    });
    let group = |group: &str, number: u64, name: &str, base: f64, grows: f64| TenantGroup {
        group: group.into(),
        tenants: number,
        name: name.into(),
        dwell_p99_ms: series(|t| base * (1.0 + 0.25 * noise(t, base)) * libm::pow(grows, past(load, t))),
        arrivals_per_s: series(|t| base * day(t)),
    };
    TenantsResult {
        active: tenants - tenants / 50,
        dwell_p99_best: Some(NamedValue { name: "t8812".into(), value: 12.0 }),
        dwell_p99_median: Some(NamedValue { name: "t401".into(), value: over(50.0) }),
        dwell_p99_worst: Some(NamedValue { name: "megacorp".into(), value: worst }),
        dwell_p99_over_tenants_ms: (0..=50)
            .map(|step| f64::from(step) * 2.0)
            .map(|percent| Quantile { percent, value: over(percent) })
            .collect(),
        shown: shown.collect(),
        groups: vec![
            group("quiet", tenants / 2, "", 12.0, 1.6),
            group("median", 1, "t401", 21.0, 40.0),
            group("loud", 1, "megacorp", 44.0, 1_400.0),
        ],
        starved: if load > 4.0 { vec![starvation()] } else { Vec::new() },
    }
}

fn starvation() -> Starvation {
    Starvation {
        by: "megacorp".into(),
        by_scope: Scope::Tenant,
        share_percent: 71.0,
        whom: vec!["t17".into(), "t204".into(), "t31".into(), "t9".into()],
        whom_scope: Scope::Tenant,
        whom_count: 412,
        limit: limit("concurrency", Scope::Function, "scan", 32.0, "environments"),
        throttled: 31_207,
        dwell_p99_ms: 21_400.0,
    }
}

/// A limit with what was used of it.
fn used(limit: LimitRef, basis: Basis, source: &str, peak: f64) -> LimitResult {
    let headroom = (1.0 - peak / limit.value) * 100.0;
    let met = headroom <= 0.05;
    LimitResult {
        basis,
        source: source.into(),
        date: if basis == Basis::Sourced { "2026-11".into() } else { String::new() },
        raisable: true,
        raised_by: format!("{}.{}", limit.of, limit.name),
        peak: figure(peak),
        peak_at_s: Some(1_830.0),
        headroom_percent: figure(headroom.max(0.0)),
        first_reached_s: met.then_some(1_112.0),
        refused: if met { 12_411 } else { 0 },
        delayed: if met { 90_320 } else { 0 },
        limit,
    }
}

fn limits(load: f64) -> Vec<LimitResult> {
    let scan = limit("concurrency", Scope::Function, "scan", 32.0, "environments");
    let all = limit("concurrency", Scope::Platform, "", 64.0, "invocations");
    let tenant = limit("concurrency", Scope::Tenant, "megacorp", 12.0, "environments");
    let waiting = limit("waiting events", Scope::Platform, "", 500_000.0, "events");
    let connections = limit("connections", Scope::Dependency, "notify-address", 60.0, "connections");
    let body = limit("event size", Scope::Node, "files", 1_048_576.0, "bytes");
    vec![
        used(scan, Basis::Exact, "flyball.toml:57", (load * 7.9).min(32.0)),
        used(tenant, Basis::Exact, "flyball.toml:32", (load * 2.6).min(11.0)),
        used(all, Basis::Exact, "flyball.toml:11", (load * 11.0).min(57.0)),
        used(body, Basis::Sourced, "quotas, section 2.1", 262_144.0),
        used(connections, Basis::Assumed, "", (4.0 + load * 3.0).min(60.0)),
        used(waiting, Basis::Exact, "flyball.toml:14", (load * 900.0).min(21_000.0)),
    ]
}

fn cost(load: f64, tenants: u64) -> CostResult {
    let service = |service: &str, what: &str, units: f64, each: f64, basis: Basis| ServiceCost {
        service: service.into(),
        what: what.into(),
        units_per_month: figure(units * load),
        usd_per_unit: each,
        usd_per_month: figure(units * load * each),
        source: if basis == Basis::Sourced { "prices, eu-central-1".into() } else { String::new() },
        date: "2026-11".into(),
        basis,
    };
    let services = vec![
        service("functions", "GB-seconds", 9_800_000.0, 0.000_016_666_7, Basis::Sourced),
        service("functions", "invocations", 390_000_000.0, 0.000_000_2, Basis::Sourced),
        service("queues", "requests", 120_000_000.0, 0.000_000_4, Basis::Sourced),
        service("storage", "GB-months", 40.0, 0.1, Basis::Assumed),
    ];
    let whole_usd = services.iter().map(|one| one.usd_per_month).sum::<f64>();
    let top = (1..=10_u64.min(tenants)).map(|rank| TenantCost {
        name: if rank == 1 { "megacorp".into() } else { format!("t{rank}") },
        usd_per_month: figure(whole_usd * 0.18 / rank as f64),
        share_percent: figure(18.0 / rank as f64),
    });
    CostResult {
        usd_per_month: figure(whole_usd),
        usd_per_event: 0.000_003_1,
        wasted_usd_per_month: figure(whole_usd * if load > 4.0 { 0.22 } else { 0.004 }),
        tenants_top: if tenants > 1 { top.collect() } else { Vec::new() },
        tenant_median_usd_per_month: 0.012,
        services,
        unpriced: vec!["network traffic".into()],
    }
}

fn promises(broken: bool) -> Vec<PromiseResult> {
    let promise = |words: &str, of: &str, measure: &str, unit: &str, max: f64, value: f64| PromiseResult {
        promise: words.into(),
        of: of.into(),
        measure: measure.into(),
        unit: unit.into(),
        stated: of == "files",
        max,
        value,
        broken: None,
    };
    let dwell = if broken { 44_000.0 } else { 60.0 };
    let mut all = vec![
        promise("p99 dwell of files at most 5 s", "files", "dwell_p99", "ms", 5_000.0, dwell),
        promise(
            "dead letters at most 0",
            "",
            "dead_letters",
            "events",
            0.0,
            if broken { 214.0 } else { 0.0 },
        ),
        promise(
            "errors of callers at most 0.1 %",
            "",
            "errors_percent",
            "percent",
            0.1,
            if broken { 11.0 } else { 0.0 },
        ),
        promise("dropped at most 0", "", "dropped", "events", 0.0, 0.0),
        promise("growth of the backlog at most 1 %", "", "backlog_growth_percent", "percent", 1.0, 0.0),
    ];
    if broken {
        for (index, promise) in all.iter_mut().take(3).enumerate() {
            promise.broken = Some(Broken {
                reason: String::new(),
                at_s: 1_112.0 + 300.0 * index as f64,
                because: Some(limit("concurrency", Scope::Function, "scan", 32.0, "environments")),
                held_by: Some(Holder { name: "megacorp".into(), scope: Scope::Tenant, share_percent: 71.0 }),
                path: way(),
                hits: hits(),
                tenants_hit: 412,
            });
        }
    }
    all
}

/// The way to the wall.
fn way() -> Vec<String> {
    ["pushes", "gateway", "webhook", "files", "scan"].map(String::from).to_vec()
}

fn hits() -> Vec<Hit> {
    let hit = |name: &str, value: f64| Hit { name: name.into(), scope: Scope::Tenant, value };
    vec![hit("megacorp", 61_000.0), hit("t17", 28_000.0), hit("t204", 27_100.0), hit("t31", 26_000.0)]
}

/// A load that was tried.
fn point(load: f64, back: bool) -> CurvePoint {
    let base_per_s = 44.0;
    let broken = load > if back { 3.3 } else { 4.05 };
    let over = if broken { load / 4.05 } else { 1.0 };
    // Seeds differ by a few percent.
    let figures = |by: f64| Figures {
        goodput_per_s: figure(base_per_s * if broken { 3.4 / over } else { load }),
        p99_ms: figure(by * if broken { 9_000.0 * over } else { 170.0 + 8.0 * load * load }),
        dwell_p99_ms: figure(by * if broken { 40_000.0 * over } else { 40.0 + 9.0 * load * load }),
        errors_percent: figure(if broken { 11.0 * over } else { 0.0 }),
        throttled_percent: figure(if broken { 16.0 * over } else { 0.0 }),
        dead_letters: if broken { 214.0 } else { 0.0 },
        dropped: 0.0,
        backlog_end: figure(if broken { 11_000.0 * over } else { 8.0 * load }),
        cost_usd_per_month: figure(260.0 * load),
    };
    let near = (load - 4.05).abs() < 0.3 && !back;
    let by = if near { 0.06 } else { 0.0 };
    CurvePoint {
        load_factor: load,
        arrivals_per_s: figure(base_per_s * load),
        on_way_back: back,
        holds: !broken,
        seeds_tried: if near { 5 } else { 1 },
        seeds_broken: if !broken {
            0
        } else if near {
            3
        } else {
            1
        },
        broken: if broken { vec!["p99 dwell of files at most 5 s".into()] } else { Vec::new() },
        median: figures(1.0),
        min: figures(1.0 - by),
        max: figures(1.0 + by),
    }
}

/// Loads on the way back.
const BACK: [f64; 5] = [4.0, 3.6, 3.4, 3.2, 3.0];

/// The search on codewatch.
pub fn line(tenants: u64) -> LoadLineResult {
    let base_per_s = 44.0;
    let wall = Wall {
        reason: String::new(),
        load_factor: 4.1,
        per_s: figure(4.1 * base_per_s),
        promise: "p99 dwell of files at most 5 s".into(),
        measure: "dwell_p99".into(),
        unit: "ms".into(),
        max: 5_000.0,
        value: 44_000.0,
        at_s: 1_112.0,
        because: Some(limit("concurrency", Scope::Function, "scan", 32.0, "environments")),
        held_by: Some(Holder { name: "megacorp".into(), scope: Scope::Tenant, share_percent: 71.0 }),
        hits: hits(),
        tenants_hit: 412,
        starvation: Some(starvation()),
        path: way(),
        seeds_broken: 5,
    };
    let next = Wall {
        load_factor: 7.4,
        per_s: figure(7.4 * base_per_s),
        promise: "errors of callers at most 0.1 %".into(),
        unit: "percent".into(),
        max: 0.1,
        value: 2.4,
        because: Some(limit("concurrency", Scope::Function, "report", 24.0, "environments")),
        path: ["pushes", "gateway", "webhook", "files", "scan", "findings", "report"]
            .map(String::from)
            .to_vec(),
        ..Wall::default()
    };
    let up = [0.5, 1.0, 2.0, 3.0, 3.5, 4.0, 4.1, 4.25, 4.5, 5.0, 6.0, 8.0];
    let curve = up.map(|load| point(load, false)).into_iter().chain(BACK.map(|load| point(load, true)));
    LoadLineResult {
        verdict: LineVerdict::Found { holds_at: 4.0, breaks_at: 4.1, seeds_low: 3.9, seeds_high: 4.2 },
        base: vec![base("pushes", 38.0), base("readers", 6.0)],
        base_per_s,
        part: None,
        raising: Some(Raising {
            limit: wall.because.clone().unwrap(),
            to: 64.0,
            by: "function.scan.concurrency.cap".into(),
            holds_at: 7.2,
            holds_at_per_s: figure(7.2 * base_per_s),
            never_breaks: false,
            next: Some(Box::new(next)),
        }),
        wall: Some(wall),
        recovery: Recovery::At { load_factor: 3.2, after_s: 260.0 },
        headroom: limits(4.0),
        sensitive: vec![
            sensitivity(
                "duration of scan",
                "210 ms",
                ["147 ms", "273 ms"],
                "function.scan.duration",
                [5.6, 3.1],
            ),
            sensitivity("files in one push", "8", ["6", "10"], "traffic.pushes.items", [4.9, 3.4]),
            sensitivity("commit of the store", "2 ms", ["1.4 ms", "2.6 ms"], "store.commit", [4.0, 4.0]),
        ],
        assumptions_tried: 5,
        seeds: vec![1, 2, 3, 4, 5],
        broken_off: false,
        runs: 131,
        curve: curve.collect(),
        beyond: Some(Box::new(run(4.1, tenants))),
    }
}

fn base(source: &str, peak_per_s: f64) -> BaseRate {
    BaseRate { source: source.into(), peak_per_s }
}

fn sensitivity(what: &str, value: &str, sides: [&str; 2], key: &str, holds_at: [f64; 2]) -> Sensitivity {
    let side = |value: &str, holds_at: f64| WallSide {
        value: value.into(),
        holds_at,
        because: "concurrency of scan".into(),
    };
    Sensitivity {
        what: what.into(),
        value: value.into(),
        key: key.into(),
        less: side(sides[0], holds_at[0]),
        more: side(sides[1], holds_at[1]),
    }
}

pub fn faults(failing: bool) -> FaultsResult {
    let check =
        |what: &str, stated: bool, seeds_failed: u64| FaultCheck { what: what.into(), stated, seeds_failed };
    FaultsResult {
        seed_first: 1,
        seeds_run: 200,
        seeds_asked: 200,
        regressions_run: 3,
        injected: by(&[("crash", 412), ("duplicate delivery", 3_104), ("store stall", 207)]),
        checks: vec![
            check("an accepted event is pending, running, done or dead", false, 0),
            check("an outcome commits once", false, 0),
            check("no finding is announced twice", true, if failing { 3 } else { 0 }),
        ],
        failures: if failing { vec![fault_failure()] } else { Vec::new() },
        seeds_failed: if failing { 3 } else { 0 },
    }
}

fn fault_failure() -> FaultFailure {
    let step = |at_s: f64, what: &str, of: &str, for_s: f64| FaultStep {
        at_s,
        what: what.into(),
        of: of.into(),
        for_s,
    };
    let trace =
        |at_s: f64, place: &str, what: &str| TraceStep { at_s, place: place.into(), what: what.into() };
    FaultFailure {
        seed: 41,
        broken: "no finding is announced twice".into(),
        detail: "finding 7f2a of tenant t17 was sent to its address twice".into(),
        at_s: 182.4,
        schedule: vec![step(181.0, "slow answers", "notify-address", 16.0), step(182.2, "crash", "", 0.0)],
        schedule_before: 37,
        duration_s: 1_200.0,
        load_factor: 1.0,
        event: "7f2a".into(),
        trace: vec![
            trace(180.1, "report", "emits to announcements"),
            trace(180.9, "notify", "attempt 1 begins; calls notify-address"),
            trace(182.2, "notify", "lost in the crash"),
            trace(183.0, "notify", "attempt 2 begins; calls notify-address"),
        ],
        again: "flyball simulate examples/codewatch --faults faults.toml --seed 41".into(),
    }
}

fn assumption(what: &str, value: &str, why: &str, basis: Basis, key: &str, ask: &str) -> Assumption {
    Assumption {
        what: what.into(),
        value: value.into(),
        why: why.into(),
        basis,
        key: key.into(),
        ask: ask.into(),
    }
}

/// All of it.
pub fn codewatch(tenants: u64) -> Simulation {
    Simulation {
        application: "codewatch".into(),
        version: VERSION,
        flyball: "0.1.0".into(),
        run: Some(run(1.0, tenants)),
        load_line: Some(line(tenants)),
        faults: None,
        assumptions: vec![
            assumption(
                "duration of scan",
                "210 ms (p50), 1.1 s (p99)",
                "nothing states it; what a scan of the samples takes on one machine",
                Basis::Assumed,
                "function.scan.duration",
                "a run of flyball serve with --record",
            ),
            assumption(
                "timeout of the callers of pushes",
                "10 s",
                "GitHub's documentation, 2026-10; could not be verified",
                Basis::Unverified,
                "traffic.pushes.client.timeout",
                "",
            ),
            assumption(
                "INIT of every function",
                "3 ms",
                "a fresh instance of a component",
                Basis::Assumed,
                "",
                "",
            ),
        ],
        unmodelled: vec![Unmodelled {
            name: "reports".into(),
            kind: "key-value data".into(),
            what: "conflicts between runs that write the same key are not simulated".into(),
        }],
        stated: [("function.scan.per_item", "p50 2 ms, p99 10 ms"), ("dependency.Archive.service", "10 ms")]
            .map(|(key, value)| (key.to_string(), value.to_string()))
            .into(),
    }
}

/// Writes something into every name and text that comes from outside.
pub fn spoil(simulation: &mut Simulation, evil: &str) {
    let mut value = flyball_sim::report::json(simulation);
    fn walk(value: &mut serde_json::Value, evil: &str) {
        match value {
            serde_json::Value::String(text) => text.push_str(evil),
            serde_json::Value::Array(items) => items.iter_mut().for_each(|item| walk(item, evil)),
            serde_json::Value::Object(object) => {
                // What chooses one of several is ours.
                let fixed = ["basis", "scope", "by_scope", "whom_scope", "ended", "line", "recovers"];
                for (key, item) in object.iter_mut().filter(|(key, _)| !fixed.contains(&key.as_str())) {
                    let counts =
                        ["errors", "refused", "failed", "throttled", "dead_letters", "dropped", "injected"];
                    if let (true, Some(by)) = (counts.contains(&key.as_str()), item.as_object_mut()) {
                        by.insert(evil.into(), 3.into());
                    }
                    walk(item, evil);
                }
            }
            _ => {}
        }
    }
    walk(&mut value, evil);
    *simulation = serde_json::from_value(value).unwrap();
}
