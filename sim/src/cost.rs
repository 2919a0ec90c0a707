//! What it costs: from what was used in a run to a bill for a month.
//!
//! - [`Usage`]: units that are paid for, counted by AWS's rules. - [`Bill`]: what they cost in a month, and a tenant's
//!   part of it.

use flyball_app::profile::{Price, Prices};
use flyball_core::Span;

use crate::result::{Basis, ServiceCost};

/// Hours of a month, as prices count them.
pub const MONTH_HOURS: f64 = 730.0;
/// Assumed: a run writes so many bytes to its log, the platform's own lines included.
pub const LOG_BYTES_PER_RUN: u64 = 1_024;
/// A poller of a queue with nothing in it asks again so often: the longest that a queue lets one wait (20 s).
pub const LONG_POLL: Span = Span::from_secs(20);

/// A processor, with its own prices.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Architecture {
    /// `x86_64`, where nothing is stated.
    #[default]
    X86,
    /// `arm64`.
    Arm,
}

/// Units that are paid for, of one run of the simulation.
#[derive(Debug, Clone, PartialEq)]
pub struct Usage {
    /// By the order of [`Price::ALL`].
    units: Vec<f64>,
}

impl Default for Usage {
    fn default() -> Usage {
        Usage { units: vec![0.0; Price::ALL.len()] }
    }
}

impl Usage {
    /// Counts so many units. What is not a number or below 0 counts nothing.
    pub fn add(&mut self, price: Price, units: f64) {
        if let Some(sum) = self.units.get_mut(price as usize) {
            *sum += if units.is_finite() { units.max(0.0) } else { 0.0 };
        }
    }

    /// How many units there are.
    pub fn units(&self, price: Price) -> f64 {
        self.units.get(price as usize).copied().unwrap_or(0.0)
    }

    /// Runs of functions, with their log. `billed`: all their time together, INIT included (billed since 2025-08),
    /// each rounded up to milliseconds by who measured it. `memory_mb`: as configured, mebibytes.
    #[expect(clippy::cast_precision_loss, reason = "below 2⁵³")]
    pub fn runs(&mut self, architecture: Architecture, memory_mb: f64, runs: u64, billed: Span) {
        let price = match architecture {
            Architecture::X86 => Price::LambdaX86,
            Architecture::Arm => Price::LambdaArm,
        };
        self.add(price, gb_seconds(memory_mb, billed));
        self.logged_runs(runs as f64);
    }

    /// Runs on environments that are [provisioned](Self::provisioned).
    #[expect(clippy::cast_precision_loss, reason = "below 2⁵³")]
    pub fn provisioned_runs(&mut self, architecture: Architecture, memory_mb: f64, runs: u64, billed: Span) {
        let price = match architecture {
            Architecture::X86 => Price::ProvisionedX86Runs,
            Architecture::Arm => Price::ProvisionedArmRuns,
        };
        self.add(price, gb_seconds(memory_mb, billed));
        self.logged_runs(runs as f64);
    }

    /// Environments that are kept, whether they run or not, for so long.
    pub fn provisioned(&mut self, architecture: Architecture, memory_mb: f64, environments: u32, time: Span) {
        let price = match architecture {
            Architecture::X86 => Price::ProvisionedX86,
            Architecture::Arm => Price::ProvisionedArm,
        };
        self.add(price, gb_seconds(memory_mb, time) * f64::from(environments));
    }

    /// Requests of that many bytes each: one counts for each beginning chunk, where the price says so. Of a batch
    /// that goes in one request, its bytes together.
    #[expect(clippy::cast_precision_loss, reason = "below 2⁵³")]
    pub fn requests(&mut self, prices: &Prices, price: Price, requests: u64, bytes_each: u64) {
        let chunks = prices.row(price).map_or(1, |row| row.chunks(bytes_each));
        self.add(price, requests as f64 * chunks as f64);
    }

    /// Pollers that find nothing for so long together: each asks again after [`LONG_POLL`].
    #[expect(clippy::cast_precision_loss, reason = "below 2⁵³")]
    pub fn empty_receives(&mut self, price: Price, idle: Span) {
        self.add(price, idle.0 as f64 / LONG_POLL.0 as f64);
    }

    /// Adds all that another counted.
    pub fn merge(&mut self, other: &Usage) {
        self.units.iter_mut().zip(&other.units).for_each(|(sum, units)| *sum += units);
    }

    #[expect(clippy::cast_precision_loss, reason = "below 2⁵³")]
    fn logged_runs(&mut self, runs: f64) {
        self.add(Price::LambdaRequests, runs);
        self.add(Price::LogsIngested, runs * LOG_BYTES_PER_RUN as f64 / 1e9);
    }
}

/// What a month costs.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Bill {
    /// What is paid for, the dearest first. What costs nothing is not in it.
    pub services: Vec<ServiceCost>,
    /// All together, US dollars.
    pub usd_per_month: f64,
    /// What was used and has no price.
    pub unpriced: Vec<Price>,
    /// The prices that are paid, with their places among the services.
    pub by_price: Vec<(Price, usize)>,
}

impl Bill {
    /// Of a month of 730 hours that goes on like the time that was simulated: its units are multiplied, and then
    /// priced by the tiers of a month. Nothing where no time was simulated.
    #[expect(clippy::cast_precision_loss, reason = "a year of microseconds at most")]
    pub fn of(prices: &Prices, usage: &Usage, simulated: Span) -> Bill {
        if simulated == Span::ZERO {
            return Bill::default();
        }
        let months = MONTH_HOURS * 3_600e6 / simulated.0 as f64;
        let mut bill = Bill::default();
        let mut priced = Vec::new();
        for price in Price::ALL {
            let units = usage.units(*price) * months;
            if units <= 0.0 {
                continue;
            }
            let Some(row) = prices.row(*price) else {
                bill.unpriced.push(*price);
                continue;
            };
            let usd = row.usd(units);
            if usd > 0.0 {
                priced.push(*price);
                bill.services.push(ServiceCost {
                    service: price.service().into(),
                    what: price.what().into(),
                    units_per_month: units,
                    usd_per_unit: usd / units,
                    usd_per_month: usd,
                    source: row.source.clone(),
                    date: row.date.clone(),
                    basis: if row.unverified { Basis::Unverified } else { Basis::Sourced },
                });
            }
        }
        let mut order: Vec<(Price, ServiceCost)> = priced.into_iter().zip(bill.services).collect();
        order.sort_by(|a, b| b.1.usd_per_month.total_cmp(&a.1.usd_per_month));
        bill.by_price = order.iter().map(|(price, _)| *price).zip(0..).collect();
        bill.services = order.into_iter().map(|(_, service)| service).collect();
        bill.usd_per_month = bill.services.iter().map(|service| service.usd_per_month).sum();
        bill
    }

    /// What tenants cost of it, US dollars a month: all of it, divided by their parts of what was used. GB-seconds go
    /// by the first of a tenant's two weights, everything else by the second; where all weights are 0 nobody is
    /// charged.
    pub fn shared(&self, weights: &[(f64, f64)]) -> Vec<f64> {
        let is_compute = |service: &&ServiceCost| service.what.starts_with("GB-seconds");
        let compute: f64 = self.services.iter().filter(is_compute).map(|service| service.usd_per_month).sum();
        let other = self.usd_per_month - compute;
        let sum = |of: fn(&(f64, f64)) -> f64| weights.iter().map(of).sum::<f64>();
        let (compute_sum, other_sum) = (sum(|weights| weights.0), sum(|weights| weights.1));
        let part = |usd: f64, weight: f64, sum: f64| if sum > 0.0 { usd * weight / sum } else { 0.0 };
        weights
            .iter()
            .map(|weights| part(compute, weights.0, compute_sum) + part(other, weights.1, other_sum))
            .collect()
    }
}

#[expect(clippy::cast_precision_loss, reason = "not before 285 years of microseconds")]
fn gb_seconds(memory_mb: f64, time: Span) -> f64 {
    memory_mb / 1_024.0 * time.0 as f64 / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    const MONTH: Span = Span::from_secs(730 * 3_600);
    const HOUR: Span = Span::from_secs(3_600);

    const fn secs(secs: u64) -> Span {
        Span::from_secs(secs)
    }

    fn near(got: f64, usd: f64) {
        assert!((got - usd).abs() < 0.005 + usd * 1e-5, "{got}, not {usd}");
    }

    fn bill(count: impl FnOnce(&Prices, &mut Usage), simulated: Span) -> Bill {
        let (prices, mut usage) = (Prices::built_in(), Usage::default());
        count(&prices, &mut usage);
        Bill::of(&prices, &usage, simulated)
    }

    #[test]
    fn examples_worked_by_hand_from_the_rows() {
        use Architecture::{Arm, X86};
        type Count = fn(&Prices, &mut Usage);
        let cases: [(&str, Count, f64); 10] = [
            // 3,000,000 × 120 ms × 1.5 GB = 540,000 GB-s = 9.00; requests 0.60; 3.072 GB of logs 1.54.
            ("x86", |_, usage| usage.runs(X86, 1_536.0, 3_000_000, secs(360_000)), 9.0 + 0.6 + 1.536),
            ("arm", |_, usage| usage.runs(Arm, 1_536.0, 3_000_000, secs(360_000)), 7.20 + 0.6 + 1.536),
            // 10 environments of 1 GB for 730 h: 26,280,000 GB-s.
            ("kept", |_, usage| usage.provisioned(X86, 1_024.0, 10, MONTH), 109.50),
            ("kept, arm", |_, usage| usage.provisioned(Arm, 1_024.0, 10, MONTH), 87.60),
            // 1,000,000 × 1 s × 1 GB on them, and 1.024 GB of logs.
            (
                "on those",
                |_, usage| usage.provisioned_runs(X86, 1_024.0, 1_000_000, secs(1_000_000)),
                9.72 + 0.2 + 0.512,
            ),
            // 1 MiB in one message is 16 requests, 100 KiB are 2.
            ("queue", |prices, usage| usage.requests(prices, Price::SqsStandard, 1_000_000, 1 << 20), 6.40),
            (
                "topic",
                |prices, usage| usage.requests(prices, Price::SnsPublishes, 1_000_000, 100 << 10),
                1.00,
            ),
            ("bus", |prices, usage| usage.requests(prices, Price::EventBridgeEvents, 5_000_000, 1), 5.00),
            // Five pollers with nothing to do for a month: 657,000 requests.
            ("idle", |_, usage| usage.empty_receives(Price::SqsStandard, Span(MONTH.0 * 5)), 0.2628),
            ("api", |_, usage| usage.add(Price::RestRequests, 400e6), 333.0 * 3.5 + 67.0 * 2.8),
        ];
        for (name, count, usd) in cases {
            let got = bill(count, MONTH).usd_per_month;
            assert!((got - usd).abs() < 0.005, "{name}: {got}, not {usd}");
        }
    }

    /// 20 million invocations of 3 s at 1,024 MB in a week cost about 1,000 US dollars of compute.
    #[test]
    fn a_week_becomes_a_month() {
        let week = Span::from_secs(7 * 24 * 3_600);
        let seen = bill(
            |_, usage| usage.runs(Architecture::X86, 1_024.0, 20_000_000, Span(60_000_000_000_000)),
            week,
        );
        near(seen.services[0].usd_per_month * 168.0 / 730.0, 60e6 * 16.6667e-6);
        assert_eq!((seen.services[0].service.as_str(), seen.services[0].basis), ("Lambda", Basis::Sourced));
        assert!(seen.services.is_sorted_by(|a, b| a.usd_per_month >= b.usd_per_month));
    }

    /// An hour at the rate of the second tier is charged as a month at that rate.
    #[test]
    fn tiers_are_those_of_the_month() {
        let seen = bill(|_, usage| usage.add(Price::HttpRequests, 1e6), HOUR);
        near(seen.usd_per_month, 300.0 + 430.0 * 0.9);
        near(seen.services[0].usd_per_unit * 730e6, 687.0);
    }

    #[test]
    fn what_costs_nothing_is_not_on_the_bill_and_what_has_no_price_is_named() {
        let free = bill(|_, usage| usage.add(Price::SnsAwsDeliveries, 1e9), HOUR);
        assert_eq!((free.services.len(), free.usd_per_month), (0, 0.0));
        assert_eq!(bill(|_, usage| usage.add(Price::S3Puts, f64::NAN), HOUR), Bill::default());
        assert_eq!(bill(|_, usage| usage.add(Price::S3Puts, 1.0), Span::ZERO), Bill::default());
        let mut usage = Usage::default();
        usage.add(Price::S3Gets, 1.0);
        assert_eq!(Bill::of(&Prices::default(), &usage, HOUR).unpriced, [Price::S3Gets]);
    }

    #[test]
    fn tenants_share_all_of_it_by_what_they_used() {
        let seen = bill(
            |prices, usage| {
                usage.runs(Architecture::X86, 1_024.0, 1_000_000, Span::from_secs(1_000_000));
                usage.requests(prices, Price::SqsStandard, 3_000_000, 100);
            },
            MONTH,
        );
        let tenants = seen.shared(&[(3.0, 1.0), (1.0, 1.0), (0.0, 0.0)]);
        near(tenants.iter().sum(), seen.usd_per_month);
        near(tenants[0], 16.6667 * 0.75 + (seen.usd_per_month - 16.6667) / 2.0);
        assert_eq!(tenants[2], 0.0);
        assert_eq!(seen.shared(&[(0.0, 0.0)]), [0.0]);
        assert!(seen.shared(&[]).is_empty());
    }
}
