//! How long something takes, how a rate changes, how a time grows: a word or a table.

use std::borrow::Cow;

use flyball_core::Span;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use toml::de::DeValue;

use super::{
    MEASURED_MAX, POINTS_MAX,
    values::{Factor, Lapse, Pair, PeakToMean, Percentile, Slots, Stretch, ascends},
};
use crate::{
    file::{
        reader::{Need, Reader, Shape, Value},
        shape::table,
        values::{schema, word},
    },
    workload::{Lasting, Shape as TrafficShape},
};

table! {
    /// A distribution; one kind of it.
    Distribution {
        /// Log-normal, with `p99`: half take less.
        p50 = "p50": Option<Lapse>,
        /// Log-normal, with `p50`: 99 of 100 take less.
        p99 = "p99": Option<Lapse>,
        /// Exponential.
        mean = "mean": Option<Lapse>,
        /// Percentiles with their values, both ascending: [[50, "1ms"], [99, "9ms"]].
        quantiles = "quantiles": Option<Vec<Pair<Percentile, Stretch>>>,
        /// Values as measured; each is as likely.
        measured = "measured": Option<Vec<Stretch>>,
    }
}

/// How long something takes.
#[derive(Debug, Clone)]
pub(crate) struct LastingValue(pub Lasting);

/// A schema that is a duration or a table.
impl JsonSchema for LastingValue {
    fn schema_name() -> Cow<'static, str> {
        "Lasting".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let ways = [generator.subschema_for::<Stretch>(), generator.subschema_for::<Distribution>()];
        json_schema!({ "anyOf": ways })
    }
}

impl Shape for LastingValue {
    fn read(value: &Value<'_>, reader: &mut Reader) -> Option<Self> {
        if matches!(value.get_ref(), DeValue::String(_)) {
            return Stretch::read(value, reader).map(|span| LastingValue(Lasting::Constant(span.0)));
        }
        if !matches!(value.get_ref(), DeValue::Table(_)) {
            let help = "write \"120ms\", { p50 = \"120ms\", p99 = \"900ms\" } or { mean = \"80ms\" }";
            reader.wrong_type(value, "a duration in quotes, or a table", help);
            return None;
        }
        let before = reader.found_so_far();
        let table = Distribution::read(value, reader)?;
        match distribution(table) {
            Ok(lasting) => Some(LastingValue(lasting)),
            Err((message, help)) => {
                let message = format!("{} {message}", reader.here());
                // What is wrong inside was said already.
                if reader.found_so_far() == before {
                    reader.bad(value, message, help);
                }
                None
            }
        }
    }
}

type Wrong = (String, &'static str);

fn distribution(table: Distribution) -> Result<Lasting, Wrong> {
    let Distribution { p50, p99, mean, quantiles, measured } = table;
    match (p50, p99, mean, quantiles, measured) {
        (Some(Lapse(p50)), Some(Lapse(p99)), None, None, None) if p50 <= p99 => {
            Ok(Lasting::Percentiles { p50, p99 })
        }
        (Some(p50), Some(p99), None, None, None) => {
            let (p50, p99) = (in_words(p50.0), in_words(p99.0));
            Err((format!("has a p99 of {p99}, below its p50 of {p50}"), "p99 is at least p50"))
        }
        (Some(_), None, None, None, None) | (None, Some(_), None, None, None) => {
            Err(("has one percentile; it takes two".into(), "write both p50 and p99"))
        }
        (None, None, Some(mean), None, None) => Ok(Lasting::Exponential { mean: mean.0 }),
        (None, None, None, Some(all), None) => quantiles_of(&all),
        (None, None, None, None, Some(all)) => match all.len() {
            1..=MEASURED_MAX => Ok(Lasting::Measured(all.into_iter().map(|one| one.0).collect())),
            many => Err((
                format!("has {many} measured values; it must be 1 to {MEASURED_MAX}"),
                "take every n-th of them, or write quantiles",
            )),
        },
        _ => {
            let help = "write { p50, p99 }, { mean }, { quantiles } or { measured }";
            Err(("must be one kind of distribution".into(), help))
        }
    }
}

fn quantiles_of(all: &[Pair<Percentile, Stretch>]) -> Result<Lasting, Wrong> {
    if !(2..=POINTS_MAX).contains(&all.len()) {
        let message = format!("has {} quantiles; it must be 2 to {POINTS_MAX}", all.len());
        return Err((message, "write those that you know: [[50, \"1ms\"], [99, \"9ms\"]]"));
    }
    let (percents, values) = (all.iter().map(|pair| pair.0.0), all.iter().map(|pair| pair.1.0));
    if !ascends(percents, true) || !ascends(values, false) {
        let help = "write the percentiles in ascending order; a higher one is no shorter time";
        return Err(("has quantiles that do not ascend".into(), help));
    }
    Ok(Lasting::Quantiles(all.iter().map(|pair| (pair.0.0, pair.1.0)).collect()))
}

/// As a file would have it: the largest unit without a fraction.
pub(crate) fn in_words(span: Span) -> String {
    let units =
        [(86_400_000_000, "d"), (3_600_000_000, "h"), (60_000_000, "m"), (1_000_000, "s"), (1_000, "ms")];
    let unit = units.iter().find(|(micros, _)| span.0 >= *micros && span.0.is_multiple_of(*micros));
    let (micros, name) = unit.copied().unwrap_or((1, "us"));
    format!("{}{name}", span.0 / micros)
}

table! {
    /// A day: the peak at its middle.
    Diurnal {
        /// The peak divided by the mean; 1 to 1,000.
        peak_to_mean = "peak_to_mean": Need<PeakToMean>,
        /// The length of the day. Default 24h.
        period = "period": Option<Lapse>,
    }
}

table! {
    /// A straight line over the source's time.
    Ramp {
        /// The factor of the peak at the beginning.
        from = "from": Need<Factor>,
        /// The factor of the peak at the end.
        to = "to": Need<Factor>,
    }
}

table! {
    /// How the rate changes; one kind.
    Curve {
        /// A day.
        diurnal = "diurnal": Option<Diurnal>,
        /// A straight line.
        ramp = "ramp": Option<Ramp>,
        /// Points of time, ascending, with the factor of the peak: [["0s", 1], ["10m", 4]].
        points = "points": Option<Vec<Pair<Stretch, Factor>>>,
    }
}

/// How a rate changes.
#[derive(Debug, Clone)]
pub(crate) struct CurveValue(pub TrafficShape);

schema!(Flat, "Flat", { "enum": ["flat"] });
struct Flat;

impl JsonSchema for CurveValue {
    fn schema_name() -> Cow<'static, str> {
        "Shape".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let ways = [generator.subschema_for::<Flat>(), generator.subschema_for::<Curve>()];
        json_schema!({ "anyOf": ways })
    }
}

impl Shape for CurveValue {
    fn read(value: &Value<'_>, reader: &mut Reader) -> Option<Self> {
        if matches!(value.get_ref(), DeValue::String(_)) {
            return word(value, &[("flat", ())], reader).map(|()| CurveValue(TrafficShape::Flat));
        }
        if !matches!(value.get_ref(), DeValue::Table(_)) {
            let help =
                "write \"flat\", { diurnal = { peak_to_mean = 2.5 } }, { ramp = { from = 0.1, to = 2 } }";
            reader.wrong_type(value, "\"flat\" or a table", help);
            return None;
        }
        let before = reader.found_so_far();
        let Curve { diurnal, ramp, points } = Curve::read(value, reader)?;
        let curve = match (diurnal, ramp, points) {
            (Some(Diurnal { peak_to_mean: Need(Some(ratio)), period }), None, None) => {
                let period = period.map_or(Span::from_secs(86_400), |period| period.0);
                Some(TrafficShape::Diurnal { peak_to_mean: ratio.0, period })
            }
            (None, Some(Ramp { from: Need(Some(from)), to: Need(Some(to)) }), None) => {
                Some(TrafficShape::Ramp { from: from.0, to: to.0 })
            }
            (None, None, Some(points)) => points_of(&points, value, reader).map(TrafficShape::Points),
            _ => None,
        };
        if curve.is_none() && reader.found_so_far() == before {
            let message = format!("{} must be one kind of curve", reader.here());
            reader.bad(value, message, "write { diurnal }, { ramp } or { points }");
        }
        curve.map(CurveValue)
    }
}

fn points_of(
    points: &[Pair<Stretch, Factor>],
    value: &Value<'_>,
    reader: &mut Reader,
) -> Option<Vec<(Span, f64)>> {
    let message = if !(1..=POINTS_MAX).contains(&points.len()) {
        format!("{} has {} points; it must be 1 to {POINTS_MAX}", reader.here(), points.len())
    } else if !ascends(points.iter().map(|point| point.0.0), true) {
        format!("{} has points that do not ascend", reader.here())
    } else {
        return Some(points.iter().map(|point| (point.0.0, point.1.0)).collect());
    };
    reader.bad(value, message, "write the points in the order of time: [[\"0s\", 1], [\"10m\", 4]]");
    None
}

/// Concurrency with the factor of the time alone.
#[derive(Debug, Clone, Default)]
pub(crate) struct GrowthPoints(pub Vec<(u32, f64)>);

impl JsonSchema for GrowthPoints {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "Growth".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        <Vec<Pair<Slots, Factor>>>::json_schema(generator)
    }
}

impl Shape for GrowthPoints {
    fn read(value: &Value<'_>, reader: &mut Reader) -> Option<Self> {
        let before = reader.found_so_far();
        let points = <Vec<Pair<Slots, Factor>>>::read(value, reader)?;
        if reader.found_so_far() > before {
            return None;
        }
        let message = if !(1..=POINTS_MAX).contains(&points.len()) {
            format!("{} has {} points; it must be 1 to {POINTS_MAX}", reader.here(), points.len())
        } else if !ascends(points.iter().map(|point| point.0.0), true) {
            format!("{} has points that do not ascend", reader.here())
        } else {
            return Some(GrowthPoints(points.iter().map(|point| (point.0.0, point.1.0)).collect()));
        };
        reader.bad(value, message, "write them in the order of concurrency: [[1, 1.0], [100, 8.0]]");
        None
    }
}
