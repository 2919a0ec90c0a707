//! What a run costs in a month, when, and whom.

use std::collections::BTreeMap;

use flyball_app::profile::{Price, Prices};
use flyball_core::Span;

use super::{figure, result};
use crate::{
    cost::{Architecture, Bill, LOG_BYTES_PER_RUN, LONG_POLL, MONTH_HOURS, Usage},
    measure::Series,
    message::FunctionNo,
    plan::{Entrance, NodeKind, Plan, Platform},
    result::{CostResult, RunResult, TenantCost},
    world::{BEGINNING, CHUNK_BYTES, NodeTally, Tally, TenantTally},
};

/// Tenants that are named, the dearest first.
const TENANTS_NAMED: usize = 10;
/// Messages that one request to a queue brings at most (API model, ReceiveMessage).
const RECEIVED_MAX: f64 = 10.0;

/// Puts the cost into a result: of all, and of the tenants that are shown.
pub(super) fn price(plan: &Plan, tally: &Tally, run: &mut RunResult) {
    let mut unpriced: Vec<String> = plan.dependencies.iter().map(|(name, _)| name.to_string()).collect();
    if plan.platform == Platform::Flyball {
        unpriced.insert(0, "the machines that Flyball runs on".into());
        run.cost = CostResult { unpriced, ..CostResult::default() };
        return;
    }
    let (prices, time) = (Prices::built_in(), tally.now.since(BEGINNING));
    let bill = Bill::of(&prices, &used(plan, tally, &prices, time), time);
    let wasted = Bill::of(&prices, &wasted(plan, tally), time);
    if plan.nodes.iter().any(|node| matches!(&node.kind, NodeKind::Stream(policy) if policy.takes.is_some()))
    {
        unpriced.push("Kinesis: PUT units".into());
    }
    unpriced.extend(plan.unmodelled.iter().map(|part| format!("{} ({})", part.name, part.kind)));
    unpriced.extend(bill.unpriced.iter().map(|price| format!("{}: {}", price.service(), price.what())));
    let arrivals: u64 = tally.sources.iter().map(|source| source.arrivals).sum();
    let months = time.0 as f64 / (MONTH_HOURS * 3_600e6);
    let weights: Vec<(f64, f64)> =
        tally.tenants.iter().map(|books| (books.runs_micros as f64, books.arrivals as f64)).collect();
    let shares = bill.shared(&weights);
    show_tenants(run, plan, &shares);
    run.platform.times.cost_usd_per_h = over_time(plan, tally, &bill);
    run.cost = CostResult {
        usd_per_month: figure(bill.usd_per_month),
        usd_per_event: if arrivals == 0 {
            0.0
        } else {
            figure(bill.usd_per_month * months / arrivals as f64)
        },
        wasted_usd_per_month: figure(wasted.usd_per_month.min(bill.usd_per_month)),
        tenants_top: dearest(plan, &shares, bill.usd_per_month),
        tenant_median_usd_per_month: figure(median(&tally.tenants, &shares)),
        services: bill.services,
        unpriced,
    };
    for service in &mut run.cost.services {
        service.units_per_month = figure(service.units_per_month);
        service.usd_per_unit = figure(service.usd_per_unit);
        service.usd_per_month = figure(service.usd_per_month);
    }
}

fn used(plan: &Plan, tally: &Tally, prices: &Prices, time: Span) -> Usage {
    let mut usage = Usage::default();
    for (function, books) in plan.functions.iter().zip(&tally.functions) {
        let (architecture, memory_mb) = (function.architecture, function.memory_mb);
        let (runs, billed) = (books.provisioned_runs, books.provisioned_micros);
        let on_demand = Span(books.billed_micros.saturating_sub(billed));
        usage.runs(architecture, memory_mb, books.runs.saturating_sub(runs), on_demand);
        usage.provisioned_runs(architecture, memory_mb, runs, Span(billed));
        usage.provisioned(architecture, memory_mb, function.provisioned, time);
    }
    for (source, books) in plan.sources.iter().zip(&tally.sources) {
        if let Entrance::Call { request: Some(price), .. } = source.entrance {
            // What is not let in is not paid for.
            let let_in = books.requests.saturating_sub(books.turned_away.count);
            usage.requests(prices, price, let_in, source.source.event_bytes);
        }
    }
    for (node, books) in plan.nodes.iter().zip(&tally.nodes) {
        // A pipe is paid for what passes its filter.
        let passed = node.kind.pipes().map(|share| books.entered_chunks as f64 * share).sum();
        usage.add(Price::EventBridgePipes, passed);
        if let Some((price, units)) = by_entering(&node.kind, books) {
            usage.add(price, units);
        }
        match &node.kind {
            NodeKind::Queue { mappings, .. } => {
                let price = price_of_queue(&node.kind);
                let pollers: u64 = mappings.iter().map(|mapping| u64::from(mapping.start)).sum();
                let readers =
                    mappings.iter().flat_map(|mapping| &mapping.legs).filter_map(|leg| leg.function());
                usage.add(price, received(tally, books, readers));
                usage.empty_receives(price, Span(time.0.saturating_mul(pollers)));
            }
            NodeKind::Stream(policy) if policy.takes.is_some() => {
                usage.add(Price::KinesisShardHours, f64::from(policy.shards) * time.0 as f64 / 3_600e6);
            }
            _ => {}
        }
    }
    usage
}

const fn price_of_queue(kind: &NodeKind) -> Price {
    if matches!(kind, NodeKind::Queue { fifo: true, .. }) { Price::SqsFifo } else { Price::SqsStandard }
}

/// What is paid because messages come in at a node.
fn by_entering(kind: &NodeKind, books: &NodeTally) -> Option<(Price, f64)> {
    let chunks = books.entered_chunks as f64;
    match kind {
        NodeKind::Parking | NodeKind::Queue { .. } => Some((price_of_queue(kind), chunks)),
        NodeKind::Topic { what: "topic", .. } => Some((Price::SnsPublishes, chunks)),
        NodeKind::Bus(_) => Some((Price::EventBridgeEvents, chunks)),
        NodeKind::Machine(policy) if policy.express => Some((Price::ExpressRequests, books.entered as f64)),
        // Each step, and the end.
        NodeKind::Machine(policy) => {
            Some((Price::Transitions, books.entered as f64 * (policy.steps.len() + 1) as f64))
        }
        NodeKind::Asynchronous(_)
        | NodeKind::Topic { .. }
        | NodeKind::Schedule(_)
        | NodeKind::Stream(_)
        | NodeKind::Trail(_) => None,
    }
}

/// Requests that bring a queue's messages and delete them: as large as the batches of those who read it, in the mean.
/// What a batch brings is paid for by chunks; to delete it is one request.
fn received(tally: &Tally, books: &NodeTally, readers: impl Iterator<Item = FunctionNo>) -> f64 {
    let (runs, items) = readers
        .filter_map(|function| tally.functions.get(function.0 as usize))
        .fold((0, 0), |(runs, items), function| (runs + function.runs, items + function.items));
    if runs == 0 || books.entered == 0 {
        return 0.0;
    }
    let batch = (items as f64 / runs as f64).clamp(1.0, RECEIVED_MAX);
    let bytes = books.entered_bytes as f64 / books.entered as f64;
    let chunks = libm::ceil(batch * bytes / f64::from(CHUNK_BYTES)).max(1.0);
    let received = books.left.max(books.receives) as f64;
    (chunks + 1.0) * received / batch
}

/// Runs that failed, and runs for nobody: all that can be told apart.
fn wasted(plan: &Plan, tally: &Tally) -> Usage {
    let mut usage = Usage::default();
    for (function, books) in plan.functions.iter().zip(&tally.functions) {
        let runs = books.failed.values().sum::<u64>() + books.orphans;
        usage.runs(function.architecture, function.memory_mb, runs, Span(books.wasted_micros));
    }
    usage
}

/// When the units of each price were used: a weight for each slot. What is not here is used evenly.
fn when(plan: &Plan, tally: &Tally) -> BTreeMap<Price, Vec<f64>> {
    let mut weights: BTreeMap<Price, Vec<f64>> = BTreeMap::new();
    let mut add = |price: Price, values: Vec<f64>| {
        let sums = weights.entry(price).or_default();
        sums.resize(sums.len().max(values.len()), 0.0);
        sums.iter_mut().zip(values).for_each(|(sum, value)| *sum += value);
    };
    for (function, books) in plan.functions.iter().zip(&tally.functions) {
        let busy = books.concurrency.iter().map(|(_, slot)| slot.mean() * function.memory_mb).collect();
        let price = match function.architecture {
            Architecture::X86 => Price::LambdaX86,
            Architecture::Arm => Price::LambdaArm,
        };
        add(price, busy);
        add(Price::LambdaRequests, counts(&books.runs_over));
        add(Price::LogsIngested, counts(&books.runs_over));
    }
    for (source, books) in plan.sources.iter().zip(&tally.sources) {
        if let Entrance::Call { request: Some(price), .. } = source.entrance {
            add(price, counts(&books.requests_over));
        }
    }
    for (node, books) in plan.nodes.iter().zip(&tally.nodes) {
        if let Some((price, _)) = by_entering(&node.kind, books) {
            add(price, counts(&books.entered_over));
        }
    }
    weights
}

fn counts(series: &Series<u64>) -> Vec<f64> {
    series.iter().map(|(_, count)| *count as f64).collect()
}

/// What each slot costs, US dollars an hour: the bill, spread over the time by when its units were used.
fn over_time(plan: &Plan, tally: &Tally, bill: &Bill) -> Vec<f64> {
    let slots = tally.throttled_over.iter().count();
    let mut per_h = vec![0.0; slots];
    let weights = when(plan, tally);
    let even = vec![1.0; slots];
    for (price, service) in &bill.by_price {
        let weights = weights.get(price).filter(|all| all.iter().sum::<f64>() > 0.0).unwrap_or(&even);
        let sum: f64 = weights.iter().sum();
        let mean_per_h = bill.services.get(*service).map_or(0.0, |one| one.usd_per_month) / MONTH_HOURS;
        for (per_h, weight) in per_h.iter_mut().zip(weights) {
            *per_h += mean_per_h * weight / sum * slots as f64;
        }
    }
    per_h.into_iter().map(figure).collect()
}

fn show_tenants(run: &mut RunResult, plan: &Plan, shares: &[f64]) {
    let of = |name: &str| {
        let number = plan.tenants.iter().position(|tenant| tenant.as_str() == name)?;
        shares.get(number).copied()
    };
    for tenant in &mut run.tenants.shown {
        tenant.cost_usd_per_month = figure(of(&tenant.name).unwrap_or(0.0));
    }
}

fn dearest(plan: &Plan, shares: &[f64], all: f64) -> Vec<TenantCost> {
    let mut tenants: Vec<(&flyball_core::Name, f64)> =
        plan.tenants.iter().zip(shares.iter().copied()).filter(|(_, usd)| *usd > 0.0).collect();
    tenants.sort_by(|a, b| b.1.total_cmp(&a.1));
    let cost = |(name, usd): (&flyball_core::Name, f64)| TenantCost {
        name: name.to_string(),
        usd_per_month: figure(usd),
        share_percent: figure(usd * 100.0 / all),
    };
    tenants.into_iter().take(TENANTS_NAMED).map(cost).collect()
}

/// Of those that sent something.
fn median(tenants: &[TenantTally], shares: &[f64]) -> f64 {
    let mut active: Vec<f64> =
        tenants.iter().zip(shares).filter(|(books, _)| books.arrivals > 0).map(|(_, usd)| *usd).collect();
    active.sort_by(f64::total_cmp);
    active.get(active.len() / 2).copied().unwrap_or(0.0)
}

/// What the cost takes for true.
pub(super) fn assumptions(plan: &Plan) -> Vec<result::Assumption> {
    if plan.platform == Platform::Flyball {
        return Vec::new();
    }
    let prices = Prices::built_in();
    let assumed = |what: &str, value: String, why: &str| result::Assumption {
        what: what.into(),
        value,
        why: why.into(),
        basis: result::Basis::Assumed,
        key: String::new(),
        ask: String::new(),
    };
    let mut all = vec![
        assumed(
            "prices",
            format!("list prices of {}", prices.region),
            "without free tiers, taxes and discounts; the region is not asked for",
        ),
        assumed(
            "log of one run",
            format!("{LOG_BYTES_PER_RUN} bytes"),
            "nothing is known of what functions write to their logs",
        ),
    ];
    if plan.nodes.iter().any(|node| matches!(node.kind, NodeKind::Queue { .. })) {
        all.push(assumed(
            "requests for a queue's messages",
            format!(
                "one to receive and one to delete each batch, and one each {} s of each poller",
                LONG_POLL.0 / 1_000_000
            ),
            "how pollers ask is not documented; this is the longest that they may wait",
        ));
    }
    all
}
