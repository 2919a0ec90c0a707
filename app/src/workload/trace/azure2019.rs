//! Azure Functions 2019: counts by minute, with durations of functions and memory of applications beside them.

use std::collections::BTreeMap;

use flyball_core::Span;

use super::{COUNTS_MAX, Format, Input, SERIES_MAX, rows::Rows};
use crate::{
    Diagnostics,
    workload::{Lasting, Recorded, Series},
};

/// Minutes in one row: two weeks.
const MINUTES_MAX: usize = 20_160;
/// The percentiles that the file of durations has; milliseconds.
const PERCENTILES: [u8; 7] = [0, 1, 25, 50, 75, 99, 100];
const MINUTE: Span = Span::from_secs(60);

/// Columns that name a function: its owner, its application, itself.
struct Keys {
    owner: usize,
    app: usize,
    function: Option<usize>,
}

impl Keys {
    fn of(rows: &Rows<'_>) -> Option<Keys> {
        let (owner, app) = (rows.column("HashOwner")?, rows.column("HashApp")?);
        Some(Keys { owner, app, function: rows.column("HashFunction") })
    }

    /// What the row is about.
    fn key(&self, rows: &Rows<'_>) -> String {
        let function = self.function.map_or("", |column| rows.field(column));
        format!("{}\n{}\n{function}", rows.field(self.owner), rows.field(self.app))
    }
}

pub(super) fn read(
    mut rows: Rows<'_>,
    durations: Option<Input<'_>>,
    memory: Option<Input<'_>>,
) -> Result<Recorded, Diagnostics> {
    let minutes = minutes(&mut rows)?;
    let Some(keys) = Keys::of(&rows) else { return Err(rows.finish()) };
    // By owner, application and function; a function that has two rows is one.
    let mut places: BTreeMap<String, usize> = BTreeMap::new();
    let mut series: Vec<Series> = Vec::new();
    while rows.advance() {
        let place = *places.entry(keys.key(&rows)).or_insert(series.len());
        if place == series.len() {
            if series.len() == SERIES_MAX || (series.len() + 1) * minutes.len() > COUNTS_MAX {
                let message = format!(
                    "more than {SERIES_MAX} functions, or more than {COUNTS_MAX} counts ({} functions of {} minutes \
                     so far)",
                    series.len(),
                    minutes.len()
                );
                rows.stop(message, "take a part of the trace");
                break;
            }
            let name = keys.function.map_or("", |column| rows.field(column)).to_string();
            series.push(Series { name, counts: vec![0; minutes.len()], ..Series::default() });
        }
        let Some(Series { counts, .. }) = series.get_mut(place) else { continue };
        for (count, column) in counts.iter_mut().zip(&minutes) {
            match rows.count(*column) {
                Some(more) => *count = count.saturating_add(more),
                // One error a row says it.
                None => break,
            }
        }
    }
    if !rows.is_good() {
        return Err(rows.finish());
    }
    if series.is_empty() {
        return Err(rows.refuse("the trace has no rows".into(), "take one that has"));
    }
    let timed = durations.map(|input| durations_of(input, &places, &mut series)).transpose()?;
    let sized = memory.map(|input| memory_of(input, &places, &mut series)).transpose()?;
    let invocations: u64 = series.iter().flat_map(|one| &one.counts).map(|count| u64::from(*count)).sum();
    let mut what = format!(
        "{}: {} functions, {} minutes, {invocations} invocations",
        Format::Azure2019.key(),
        series.len(),
        minutes.len()
    );
    for (of, many) in [("durations", timed), ("memory", sized)] {
        if let Some(many) = many {
            what += &format!(", {of} of {many} functions");
        }
    }
    Ok(Recorded { what, slot: MINUTE, series })
}

/// The columns of minutes, in their order: `1` or `minute_1` and on.
fn minutes(rows: &mut Rows<'_>) -> Result<Vec<usize>, Diagnostics> {
    let number = |name: &String| name.strip_prefix("minute_").unwrap_or(name).parse::<usize>().ok();
    let columns: Vec<(usize, usize)> =
        rows.header().iter().enumerate().filter_map(|(at, name)| number(name).map(|n| (n, at))).collect();
    let many = columns.len();
    let minutes: BTreeMap<usize, usize> = columns.into_iter().collect();
    let whole = minutes.keys().copied().eq(1..=many);
    if whole && (1..=MINUTES_MAX).contains(&many) {
        return Ok(minutes.into_values().collect());
    }
    let message =
        format!("the first line has {many} columns of minutes, not 1 to n with n at most {MINUTES_MAX}");
    rows.stop(message, "minutes are columns named 1, 2, … or minute_1, minute_2, …");
    Err(Diagnostics { diagnostics: rows.noted(), left_out: 0 })
}

/// Opens a further file and finds its columns.
fn further<'a>(input: Input<'a>, names: &[String]) -> Result<(Rows<'a>, Keys, Vec<usize>), Diagnostics> {
    let rows = Rows::open(input)?;
    let columns: Vec<Option<usize>> = names.iter().map(|name| rows.column(name)).collect();
    let missing = names.iter().zip(&columns).find(|(_, column)| column.is_none());
    match (Keys::of(&rows), missing) {
        (Some(keys), None) => Ok((rows, keys, columns.into_iter().flatten().collect())),
        (_, missing) => {
            let name = missing.map_or("HashOwner and HashApp", |(name, _)| name);
            let message = format!("this file has no column {name}");
            Err(rows.refuse(message, "are the files of durations and of memory interchanged?"))
        }
    }
}

/// Reads the file of durations; answers how many functions it told of.
fn durations_of(
    input: Input<'_>,
    places: &BTreeMap<String, usize>,
    series: &mut [Series],
) -> Result<usize, Diagnostics> {
    let names = PERCENTILES.map(|percent| format!("percentile_Average_{percent}"));
    let (mut rows, keys, columns) = further(input, &names)?;
    let mut told = 0;
    while rows.advance() {
        let mut least = 0.0_f64;
        let mut quantiles = Vec::with_capacity(PERCENTILES.len());
        for (percent, column) in PERCENTILES.iter().zip(&columns) {
            let Some(millis) = rows.number(*column) else { break };
            // They are averages over a day of what was counted, and can cross by a little.
            least = least.max(millis);
            quantiles.push((f64::from(*percent), micros(least * 1_000.0)));
        }
        let place = places.get(&keys.key(&rows)).and_then(|place| series.get_mut(*place));
        if let Some(one) = place.filter(|_| quantiles.len() == PERCENTILES.len()) {
            told += usize::from(one.duration.is_none());
            one.duration = Some(Lasting::Quantiles(quantiles));
        }
    }
    if rows.is_good() { Ok(told) } else { Err(rows.finish()) }
}

/// Reads the file of memory, which has applications; answers of how many functions it told.
fn memory_of(
    input: Input<'_>,
    places: &BTreeMap<String, usize>,
    series: &mut [Series],
) -> Result<usize, Diagnostics> {
    let (mut rows, keys, columns) = further(input, &["AverageAllocatedMb".to_string()])?;
    let Some(column) = columns.first().copied() else { return Ok(0) };
    let mut told = 0;
    while rows.advance() {
        let Some(megabytes) = rows.number(column) else { continue };
        // Of all functions of the application: their keys begin as its own does.
        let app = keys.key(&rows);
        let of_app = places.range(app.clone()..).take_while(|(key, _)| key.starts_with(&app));
        for (_, place) in of_app {
            if let Some(one) = series.get_mut(*place) {
                told += usize::from(one.memory_mb.is_none());
                one.memory_mb = Some(megabytes);
            }
        }
    }
    if rows.is_good() { Ok(told) } else { Err(rows.finish()) }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 0 to 1e18")]
pub(super) fn micros(value: f64) -> Span {
    Span(value.round() as u64)
}
