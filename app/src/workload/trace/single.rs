//! Traces that have a line for each invocation. Their lines may be in any order.

use std::collections::BTreeMap;

use flyball_core::Span;

use super::{
    COUNTS_MAX, DURATIONS_KEPT_MAX, Format, INVOCATIONS_MAX, INVOKED_SERIES_MAX, azure2019::micros,
    rows::Rows,
};
use crate::{
    Diagnostics,
    workload::{DAYS_MAX, Lasting, Recorded, Series},
};

/// Lengths of a slot, seconds: the first one that does not need too many.
const SLOTS: [u64; 6] = [1, 10, 60, 600, 3_600, 86_400];

const DAY: Span = Span::from_secs(86_400);

/// Durations of one function, thinned evenly when there are many.
#[derive(Default)]
struct Kept {
    values: Vec<Span>,
    /// One of so many is kept.
    every: usize,
    seen: usize,
}

impl Kept {
    fn add(&mut self, value: Span) {
        self.every = self.every.max(1);
        if self.seen.is_multiple_of(self.every) {
            self.values.push(value);
        }
        self.seen += 1;
        if self.values.len() > DURATIONS_KEPT_MAX {
            let mut odd = true;
            self.values.retain(|_| {
                odd = !odd;
                !odd
            });
            self.every *= 2;
        }
    }

    fn lasting(self) -> Option<Lasting> {
        (!self.values.is_empty()).then_some(Lasting::Measured(self.values))
    }
}

#[derive(Default)]
struct Invoked {
    moments: Vec<Span>,
    durations: Kept,
}

/// Invocations by function.
#[derive(Default)]
struct Gathered {
    by_name: BTreeMap<String, Invoked>,
    many: usize,
}

impl Gathered {
    /// Takes one invocation; stops the reading at a limit.
    fn add(&mut self, rows: &mut Rows<'_>, name: &str, start: Span, duration: Option<Span>) {
        if self.many == INVOCATIONS_MAX {
            let help = "take a part of the trace";
            return rows.stop(format!("more than {INVOCATIONS_MAX} invocations"), help);
        }
        if !self.by_name.contains_key(name) && self.by_name.len() == INVOKED_SERIES_MAX {
            let help = "take a part of the trace";
            return rows.stop(format!("more than {INVOKED_SERIES_MAX} functions"), help);
        }
        self.many += 1;
        let one = self.by_name.entry(name.to_string()).or_default();
        one.moments.push(start);
        if let Some(duration) = duration {
            one.durations.add(duration);
        }
    }

    /// `zero`: the moment at which the trace begins.
    fn recorded(mut self, rows: Rows<'_>, format: Format, zero: Span) -> Result<Recorded, Diagnostics> {
        if !rows.is_good() {
            return Err(rows.finish());
        }
        let last = self.by_name.values().flat_map(|one| &one.moments).max().copied();
        let Some(last) = last else {
            return Err(rows.refuse("the trace has no rows".into(), "take one that has"));
        };
        let length = last.0.saturating_sub(zero.0);
        let slots = |seconds: &u64| length / (seconds * 1_000_000) + 1;
        let fits =
            |seconds: &u64| slots(seconds).saturating_mul(self.by_name.len() as u64) <= COUNTS_MAX as u64;
        let days = length / DAY.0;
        let Some(seconds) = SLOTS.into_iter().find(fits).filter(|_| days <= DAYS_MAX) else {
            let message = format!("the trace is {days} days long; at most {DAYS_MAX} are read");
            return Err(rows.refuse(message, "are its times in another unit?"));
        };
        let many = usize::try_from(slots(&seconds)).unwrap_or(usize::MAX);
        let what = format!(
            "{}: {} functions, {} s, {} invocations",
            format.key(),
            self.by_name.len(),
            length.div_ceil(1_000_000),
            self.many
        );
        let slot = Span::from_secs(seconds);
        let series = std::mem::take(&mut self.by_name).into_iter().map(|(name, invoked)| {
            let Invoked { mut moments, durations } = invoked;
            moments.iter_mut().for_each(|moment| moment.0 = moment.0.saturating_sub(zero.0));
            moments.sort_unstable();
            let mut counts = vec![0_u32; many];
            for moment in &moments {
                let at = usize::try_from(moment.0 / slot.0).unwrap_or(usize::MAX);
                if let Some(count) = counts.get_mut(at) {
                    *count += 1;
                }
            }
            Series { name, counts, moments, duration: durations.lasting(), ..Series::default() }
        });
        Ok(Recorded { what, slot, series: series.collect() })
    }
}

/// `app,func,end_timestamp,duration`, seconds.
pub(super) fn azure2021(mut rows: Rows<'_>) -> Result<Recorded, Diagnostics> {
    let columns = Format::Azure2021.columns().iter().filter_map(|name| rows.column(name)).collect::<Vec<_>>();
    let &[app, function, end, duration] = columns.as_slice() else { return Err(rows.finish()) };
    let mut all = Gathered::default();
    while rows.advance() {
        let (Some(end), Some(duration)) = (rows.number(end), rows.number(duration)) else { continue };
        let name = format!("{}/{}", rows.field(app), rows.field(function));
        // What began before the trace did is in it from its beginning.
        let start = (end - duration).max(0.0);
        all.add(&mut rows, &name, micros(start * 1e6), Some(micros(duration * 1e6)));
    }
    all.recorded(rows, Format::Azure2021, Span::ZERO)
}

/// `start_ms,application`.
pub(super) fn arrivals(mut rows: Rows<'_>) -> Result<Recorded, Diagnostics> {
    let columns = Format::Arrivals.columns().iter().filter_map(|name| rows.column(name)).collect::<Vec<_>>();
    let &[start, application] = columns.as_slice() else { return Err(rows.finish()) };
    let mut all = Gathered::default();
    while rows.advance() {
        let Some(start) = rows.number(start) else { continue };
        let name = rows.field(application).to_string();
        all.add(&mut rows, &name, micros(start * 1_000.0), None);
    }
    all.recorded(rows, Format::Arrivals, Span::ZERO)
}

/// Measured invocations of one AWS Lambda function: durations in milliseconds, the client's clock in seconds.
pub(super) fn pacslab(mut rows: Rows<'_>) -> Result<Recorded, Diagnostics> {
    let columns = Format::Pacslab.columns().iter().filter_map(|name| rows.column(name)).collect::<Vec<_>>();
    let &[cold, duration, memory, start, elapsed] = columns.as_slice() else { return Err(rows.finish()) };
    let mut all = Gathered::default();
    let (mut cold_beyond, mut warm_beyond) = (Kept::default(), Kept::default());
    let (mut first, mut most_mb) = (None::<Span>, 0.0_f64);
    while rows.advance() {
        let is_cold = match rows.field(cold).trim() {
            "True" | "true" | "1" => true,
            "False" | "false" | "0" => false,
            other => {
                let message = format!("`is_cold` is {}", crate::file::quoted(other));
                rows.wrong_field(cold, message, "it is True or False");
                continue;
            }
        };
        let numbers = [duration, memory, start, elapsed].map(|column| rows.number(column));
        let [Some(duration), Some(megabytes), Some(start), Some(elapsed)] = numbers else { continue };
        let (start, taken) = (micros(start * 1e6), micros(duration * 1_000.0));
        first = Some(first.map_or(start, |first| first.min(start)));
        most_mb = most_mb.max(megabytes);
        let beyond = Span(micros(elapsed * 1e6).0.saturating_sub(taken.0));
        if is_cold {
            cold_beyond.add(beyond)
        } else {
            warm_beyond.add(beyond)
        }
        all.add(&mut rows, "measured", start, (!is_cold).then_some(taken));
    }
    let mut recorded = all.recorded(rows, Format::Pacslab, first.unwrap_or_default())?;
    // What a cold start took for the client beyond the run, less what a warm one takes: way and gateway.
    let mut warm = warm_beyond.values;
    warm.sort_unstable();
    let way = warm.get(warm.len() / 2).copied().unwrap_or_default();
    let init: Vec<Span> =
        cold_beyond.values.iter().map(|beyond| Span(beyond.0.saturating_sub(way.0))).collect();
    for one in &mut recorded.series {
        one.memory_mb = Some(most_mb);
        one.init = (!init.is_empty()).then(|| Lasting::Measured(init.clone()));
    }
    Ok(recorded)
}
