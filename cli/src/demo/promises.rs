//! Whether what was promised held: our own books against the tenants' reports, the announcements that
//! arrived, and the platform's figures.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use flyball_core::{EventId, LimitStatus, Limited};
use flyball_server::platform::Platform;
use serde::Deserialize;

use super::{
    books::{Entries, Tenant},
    player::get,
    view::Figures,
};
use crate::{
    http::{Peer, quoted},
    table::{micros, number},
};

/// A promise, and whether it held.
#[derive(Debug)]
pub struct Promise {
    /// Its short name.
    pub name: &'static str,
    /// Whether it held.
    pub held: bool,
    /// The numbers.
    pub detail: String,
}

/// The fingerprints in each tenant's reports, by tenant and repository.
pub type Reports = BTreeMap<String, BTreeMap<String, BTreeSet<String>>>;

#[derive(Deserialize)]
struct Page {
    reports: Vec<Report>,
    next: Option<String>,
}

#[derive(Deserialize)]
struct Report {
    repository: String,
    findings: BTreeMap<String, serde_json::Value>,
}

/// Reads every tenant's reports as the tenant would.
///
/// # Errors
/// Where one can't be read.
pub async fn reports(gateway: &str, tenants: &[Tenant]) -> Result<Reports, String> {
    let mut peer = Peer::new(gateway)?;
    let mut all = Reports::new();
    for tenant in tenants {
        let mut path = "/reports".to_string();
        loop {
            let response = get(&mut peer, &path, &tenant.key).await?;
            let page: Page = serde_json::from_slice(response.body()).map_err(|error| error.to_string())?;
            for report in page.reports {
                let findings = report.findings.into_keys().collect();
                all.entry(tenant.name.clone()).or_default().insert(report.repository, findings);
            }
            match page.next {
                Some(next) => path = format!("/reports?after={}", quoted(&next)),
                None => break,
            }
        }
    }
    Ok(all)
}

/// What is looked at.
#[derive(Debug)]
pub struct Evidence<'a> {
    /// Our own books.
    pub books: &'a Entries,
    /// What the tenants' reports have.
    pub reports: &'a Reports,
    /// The figures when all was over.
    pub figures: &'a Figures,
    /// Every limit.
    pub limits: &'a [LimitStatus],
    /// Events and calls that each function has finished.
    pub done: &'a BTreeMap<String, u64>,
    /// Whether nothing waited or ran any more.
    pub quiescent: bool,
    /// The bound on a quiet tenant's wait.
    pub bound: Bound,
}

/// The bound on a quiet tenant's wait, and what it follows from.
#[derive(Debug, Clone, Copy)]
pub struct Bound {
    /// Tenants with work.
    pub tenants: u64,
    /// Slots of the function that has the fewest.
    pub slots: u64,
    /// The longest run observed, from start to durable outcome, µs.
    pub longest_us: u64,
    /// The longest time that a batch may wait for more, µs: it counts as waiting too.
    pub window_us: u64,
}

impl Bound {
    /// ⌈tenants / slots⌉ × longest run, and the batch window: before a newcomer each other tenant is
    /// served once at most.
    pub fn micros(&self) -> u64 {
        self.tenants.div_ceil(self.slots.max(1)) * self.longest_us + self.window_us
    }
}

/// The bound, from the flows of the pushes that were accepted.
pub fn bound(platform: &Arc<Platform>, books: &Entries, tenants: u64) -> Bound {
    let mut longest_us = 0;
    for id in books.events.iter().filter_map(|id| EventId::parse(id)) {
        for event in platform.trace(id) {
            if let (Some(run), Some((ended, _))) = (event.runs.last(), &event.end) {
                longest_us = longest_us.max(ended.0.saturating_sub(run.started.0));
            }
        }
    }
    let caps = platform.application().functions.values().map(|f| f.limits.concurrency.cap);
    let fewest = caps.chain([platform.application().limits.limits.concurrency.cap]).min().unwrap_or(1);
    let windows = platform.application().queues.values().map(|queue| queue.delivery.batch_window.0);
    Bound { tenants, slots: u64::from(fewest), longest_us, window_us: windows.max().unwrap_or(0) }
}

/// All promises, in the order in which they are shown.
pub fn check(evidence: &Evidence<'_>) -> Vec<Promise> {
    vec![
        all_over(evidence),
        scanned_once(evidence),
        reported_once(evidence),
        announced_once(evidence),
        duplicates_caught(evidence),
        isolated(evidence),
        within_caps(evidence),
        quiet_wait(evidence),
        as_expected(evidence),
    ]
}

fn done(evidence: &Evidence<'_>, function: &str) -> u64 {
    evidence.done.get(function).copied().unwrap_or(0)
}

fn all_over(e: &Evidence<'_>) -> Promise {
    let counts = &e.figures.counts;
    let detail = format!(
        "{} events accepted, {} done, {} open, {} dead",
        number(counts.accepted),
        number(counts.done),
        number(counts.waiting + counts.running + counts.settling),
        number(counts.dead)
    );
    Promise {
        name: "nothing lost",
        held: e.quiescent && counts.dead == 0 && counts.done == counts.accepted,
        detail,
    }
}

fn scanned_once(e: &Evidence<'_>) -> Promise {
    let (batches, scanned) = (e.books.batches, done(e, "scan"));
    let detail = format!(
        "{} batches of {} pushes; {} scanned",
        number(batches),
        number(e.books.pushes),
        number(scanned)
    );
    Promise { name: "scanned once", held: batches == scanned && batches > 0, detail }
}

fn reported_once(e: &Evidence<'_>) -> Promise {
    let (planted, folded) = (e.books.findings(), done(e, "report"));
    let found: u64 = e.reports.values().flat_map(BTreeMap::values).map(|found| found.len() as u64).sum();
    let same = *e.reports == e.books.expected;
    let (planted_text, found_text) = (number(planted), number(found));
    let detail =
        format!("{planted_text} secrets planted; {found_text} in reports, folded {}", number(folded));
    Promise { name: "reported once", held: same && planted == folded && planted > 0, detail }
}

fn announced_once(e: &Evidence<'_>) -> Promise {
    let announced = &e.books.announced;
    let mut told: Vec<&String> = announced.values().flat_map(|a| &a.fingerprints).collect();
    let all = told.len();
    told.sort();
    told.dedup();
    let repeated = announced.values().filter(|a| a.times > 1).count() as u64;
    let held = all == told.len() && told.len() as u64 == e.books.findings() && repeated == 0;
    let detail = format!(
        "{} announcements, {} of them more than once",
        number(announced.len() as u64),
        number(repeated)
    );
    Promise { name: "announced once", held, detail }
}

fn duplicates_caught(e: &Evidence<'_>) -> Promise {
    let (sent, replayed) = (e.books.redelivered, e.books.replayed);
    let detail = format!("{} redeliveries; {} got the recorded answer", number(sent), number(replayed));
    Promise { name: "duplicates", held: sent == replayed, detail }
}

fn isolated(e: &Evidence<'_>) -> Promise {
    let own = |tenant: &str, repository: &str| repository.split('/').next() == Some(tenant);
    let reports = e.reports.iter().flat_map(|(tenant, reports)| reports.keys().map(move |r| (tenant, r)));
    let told = e.books.announced.values().map(|told| (&told.tenant, &told.repository));
    let astray = reports.chain(told).filter(|(tenant, repository)| !own(tenant, repository)).count();
    let detail = format!("{} reports or announcements of another tenant's", number(astray as u64));
    Promise { name: "tenants apart", held: astray == 0, detail }
}

fn within_caps(e: &Evidence<'_>) -> Promise {
    let capped = || e.limits.iter().filter(|limit| limit.name.of == Limited::Concurrency);
    let above: Vec<String> =
        capped().filter(|limit| limit.peak > limit.max).map(|l| l.name.to_string()).collect();
    let reached = capped().filter(|limit| limit.peak == limit.max).count() as u64;
    let detail = match above.first() {
        None => format!(
            "{} caps on concurrency, {} reached, none passed",
            number(capped().count() as u64),
            number(reached)
        ),
        Some(first) => format!("{} caps passed, {first} among them", number(above.len() as u64)),
    };
    Promise { name: "within caps", held: above.is_empty(), detail }
}

fn quiet_wait(e: &Evidence<'_>) -> Promise {
    let (p99, bound) = (e.figures.quiet.quantile(990), e.bound);
    let Bound { tenants, slots, longest_us, window_us } = bound;
    let (longest, window_ms) = (micros(longest_us), window_us / 1_000);
    let detail = format!(
        "p99 {}; bound {} = \u{2308}{tenants}/{slots}\u{2309} x {longest} + {window_ms} ms",
        micros(p99),
        micros(bound.micros())
    );
    Promise { name: "quiet served", held: p99 <= bound.micros(), detail }
}

fn as_expected(e: &Evidence<'_>) -> Promise {
    let detail = match e.books.wrong.as_slice() {
        [] => "no delivery failed".to_string(),
        [first, ..] => format!("{} went wrong: {first}", number(e.books.wrong.len() as u64)),
    };
    Promise { name: "all answered", held: e.books.wrong.is_empty(), detail }
}
