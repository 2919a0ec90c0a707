//! What is shown while traffic is played: on a terminal in place, elsewhere a line every few seconds.

use std::{sync::Arc, time::Duration};

use flyball_core::{Counts, Level, LimitStatus, Limited, TenantId};
use flyball_server::{platform::Platform, telemetry::Histogram};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use super::{books::Books, traffic::LOUD};
use crate::table::{micros, number};

/// Between two looks, on a terminal and elsewhere.
const EVERY: [Duration; 2] = [Duration::from_millis(250), Duration::from_secs(5)];
/// Limits shown, the tightest first.
const LIMITS_SHOWN: usize = 6;

/// What the platform says of itself at one moment.
#[derive(Debug)]
pub struct Figures {
    /// The engine's counts.
    pub counts: Counts,
    /// Dwell of all quiet tenants together.
    pub quiet: Histogram,
    /// Dwell of the loud one.
    pub loud: Histogram,
    /// Starts that had waited for a limit, by its level.
    pub throttled: Vec<(String, u64)>,
    /// Limits on concurrency of the platform, the functions and the loud tenant.
    pub limits: Vec<LimitStatus>,
}

/// Looks at the platform.
pub fn figures(platform: &Platform, loud: TenantId) -> Figures {
    let (mut quiet, mut loud_dwell) = (Histogram::default(), Histogram::default());
    let throttled = platform.telemetry().figures(|figures| {
        for (tenant, figures) in &figures.tenants {
            let all = if *tenant == loud { &mut loud_dwell } else { &mut quiet };
            if let Some(dwell) = &figures.dwell {
                all.merge(dwell);
            }
        }
        figures.throttled.iter().map(|(level, n)| (level.clone(), *n)).collect()
    });
    let shown = |limit: &LimitStatus| match &limit.name.level {
        _ if limit.name.of != Limited::Concurrency => false,
        Level::Platform | Level::Function(_) => true,
        Level::Tenant(name) => name.as_str() == LOUD,
        Level::LongFunctions | Level::FunctionTenant(..) | Level::Queue(_) => false,
    };
    let limits = platform.limits(1).into_iter().filter(shown).collect();
    Figures { counts: platform.counts(), quiet, loud: loud_dwell, throttled, limits }
}

impl Figures {
    /// Throttles in words.
    pub fn throttles(&self) -> String {
        if self.throttled.is_empty() {
            return "none".into();
        }
        let one = |(level, n): &(String, u64)| format!("{level} {}", number(*n));
        self.throttled.iter().map(one).collect::<Vec<_>>().join(", ")
    }

    fn lines(&self, books: &Books) -> Vec<String> {
        let counts = &self.counts;
        let mut lines = vec![format!(
            "events    accepted {}  waiting {}  running {}  done {}  dead {}",
            number(counts.accepted),
            number(counts.waiting),
            number(counts.running + counts.settling),
            number(counts.done),
            number(counts.dead)
        )];
        let mut tight: Vec<&LimitStatus> = self.limits.iter().collect();
        // The platform's first, then what has the least headroom.
        tight.sort_by_key(|l| {
            (l.name.level != Level::Platform, l.max.saturating_sub(l.now) * 100 / l.max.max(1))
        });
        for limit in tight.into_iter().take(LIMITS_SHOWN) {
            let room = limit.max.saturating_sub(limit.now);
            let name = limit.name.to_string();
            let LimitStatus { now, max, peak, .. } = limit;
            lines.push(format!("limit     {name:<32} {now:>3} of {max:>3}, headroom {room}, peak {peak}"));
        }
        for (who, dwell) in [("quiet", &self.quiet), ("loud", &self.loud)] {
            let (p50, p99) = (micros(dwell.quantile(500)), micros(dwell.quantile(990)));
            lines.push(format!("dwell     {who:<5}  p50 {p50}  p99 {p99}"));
        }
        let refused = books.entries().throttled;
        lines.push(format!("throttles {}; answered 429: {}", self.throttles(), number(refused)));
        lines.push(format!("duplicates caught {}", number(counts.duplicates)));
        lines
    }
}

/// Shows the figures until it is aborted; `played` says how much of the traffic is over.
pub async fn show(
    platform: Arc<Platform>,
    books: Arc<Books>,
    loud: TenantId,
    deliveries: u64,
    played: impl Fn() -> u64,
) {
    let board = MultiProgress::new();
    let terminal = !board.is_hidden();
    let mut rows: Vec<ProgressBar> = Vec::new();
    let traffic = board.add(bar(deliveries, "traffic"));
    loop {
        tokio::time::sleep(if terminal { EVERY[0] } else { EVERY[1] }).await;
        let figures = figures(&platform, loud);
        traffic.set_position(played());
        if !terminal {
            let counts = &figures.counts;
            eprintln!(
                "played {}/{deliveries}  accepted {}  running {}  done {}  dead {}  \
                 dwell p99 quiet {} loud {}",
                played(),
                counts.accepted,
                counts.running + counts.settling,
                counts.done,
                counts.dead,
                micros(figures.quiet.quantile(990)),
                micros(figures.loud.quantile(990)),
            );
            continue;
        }
        for (index, line) in figures.lines(&books).into_iter().enumerate() {
            if rows.len() <= index {
                rows.push(board.add(ProgressBar::new_spinner().with_style(plain_style())));
            }
            if let Some(row) = rows.get(index) {
                row.set_message(line);
                row.tick();
            }
        }
    }
}

/// A progress bar with its label.
pub fn bar(length: u64, label: &'static str) -> ProgressBar {
    let style = ProgressStyle::with_template("{msg:<9} [{bar:40}] {pos}/{len}");
    let bar = ProgressBar::new(length).with_message(label);
    match style {
        Ok(style) => bar.with_style(style.progress_chars("=> ")),
        Err(_) => bar,
    }
}

fn plain_style() -> ProgressStyle {
    ProgressStyle::with_template("{msg}").unwrap_or_else(|_| ProgressStyle::default_spinner())
}
