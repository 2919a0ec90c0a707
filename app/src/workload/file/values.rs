//! Single values of a traffic file, each with its bounds.

use std::{borrow::Cow, collections::BTreeMap};

use flyball_core::Span;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use toml::de::DeValue;

use super::{DAYS_MAX, ITEMS_MAX, PER_SECOND_MAX, REPEATS_MAX, TENANTS_MAX, USERS_MAX};
use crate::{
    file::{
        reader::{Need, Reader, Shape, Value},
        values::{Duration, Size, Text, integer, schema, word},
    },
    workload::{AddOf, Arrivals, Holds, Measure, trace::Format},
};

/// The longest name of a function or node, bytes.
const TEXT_BYTES_MAX: usize = 256;

/// The largest bound of something that is measured.
const BOUND_MAX: f64 = 1e15;

/// Reads a number within bounds; `above`: more than the lower one.
fn number(value: &Value<'_>, (above, least, most): (bool, f64, f64), reader: &mut Reader) -> Option<f64> {
    let (text, number) = match value.get_ref() {
        DeValue::Integer(number) => {
            #[expect(clippy::cast_precision_loss, reason = "what is that large is out of every bound")]
            let parsed = i64::from_str_radix(number.as_str(), number.radix()).ok().map(|n| n as f64);
            (number.as_str(), parsed)
        }
        DeValue::Float(number) => (number.as_str(), number.as_str().parse().ok()),
        _ => {
            reader.wrong_type(value, "a number", "write it without quotes and unit");
            return None;
        }
    };
    let fits = |n: &f64| *n <= most && if above { *n > least } else { *n >= least };
    let good = number.filter(fits);
    if good.is_none() {
        let least = if above { format!("more than {least} and at most") } else { format!("{least} to") };
        let message = format!("{} is {text}; it must be {least} {most}", reader.here());
        reader.bad(value, message, "correct the number");
    }
    good
}

/// Declares a kind of number: `above` its lower bound, or `from` it on.
macro_rules! number {
    ($(#[doc = $doc:literal])* $name:ident, $schema:literal, above $least:expr, $most:expr) => {
        number!($(#[doc = $doc])* $name, $schema, true, "exclusiveMinimum", $least, $most);
    };
    ($(#[doc = $doc:literal])* $name:ident, $schema:literal, from $least:expr, $most:expr) => {
        number!($(#[doc = $doc])* $name, $schema, false, "minimum", $least, $most);
    };
    ($(#[doc = $doc:literal])* $name:ident, $schema:literal, $above:literal, $key:literal, $least:expr,
        $most:expr) => {
        $(#[doc = $doc])*
        #[derive(Debug, Clone, Copy)]
        pub(crate) struct $name(pub f64);

        schema!($name, $schema, { "type": "number", $key: $least, "maximum": $most });

        impl Shape for $name {
            fn read(value: &Value<'_>, reader: &mut Reader) -> Option<Self> {
                number(value, ($above, f64::from($least), f64::from($most)), reader).map($name)
            }
        }
    };
}

number!(
    /// Events a second.
    PerSecond, "PerSecond", above 0, PER_SECOND_MAX
);
number!(
    /// A share of one.
    Share, "Share", from 0, 1
);
number!(
    /// A share of what comes that passes a filter.
    PassingShare, "PassingShare", from 0, 1
);

impl Default for PassingShare {
    fn default() -> PassingShare {
        PassingShare(1.0)
    }
}

number!(
    /// A share that is not none.
    Chance, "Chance", above 0, 1
);
number!(
    /// A factor of something.
    Factor, "Factor", from 0, 1_000_000
);
number!(
    /// The peak divided by the mean.
    PeakToMean, "PeakToMean", from 1, 1_000
);
number!(
    /// The exponent of Zipf's law.
    Zipf, "Zipf", from 0, 10
);
number!(
    /// Percent, more than a hundred included.
    Percent, "Percent", from 0, 1_000
);
number!(
    /// A percentile.
    Percentile, "Percentile", from 0, 100
);
number!(
    /// A bound of something that is measured.
    Bound, "Bound", from 0, BOUND_MAX
);

/// Declares a kind of whole number within bounds.
macro_rules! count {
    ($(#[doc = $doc:literal])* $name:ident, $schema:literal, $least:expr, $most:expr) => {
        $(#[doc = $doc])*
        #[derive(Debug, Clone, Copy)]
        pub(crate) struct $name(pub u32);

        schema!($name, $schema, { "type": "integer", "minimum": $least, "maximum": $most });

        impl Shape for $name {
            fn read(value: &Value<'_>, reader: &mut Reader) -> Option<Self> {
                let range = u64::from($least as u32)..=u64::from($most as u32);
                integer(value, range, reader).and_then(|n| u32::try_from(n).ok()).map($name)
            }
        }
    };
}

count!(
    /// Users.
    Users, "Users", 1, USERS_MAX
);
count!(
    /// Tenants.
    TenantCount, "TenantCount", 1, TENANTS_MAX
);
count!(
    /// Items in an event.
    Items, "Items", 1, ITEMS_MAX
);
count!(
    /// Repeats of a step, or events in a burst.
    Repeats, "Repeats", 1, REPEATS_MAX
);
count!(
    /// Tries after the first.
    Retries, "Retries", 0, 100
);
count!(
    /// Connections, servers, concurrency.
    Slots, "Slots", 1, 1_000_000
);
count!(
    /// What may be none.
    SlotsOrNone, "SlotsOrNone", 0, 1_000_000
);

/// Events; 1 or more.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Events(pub u64);

schema!(Events, "Events", { "type": "integer", "minimum": 1, "maximum": 1_000_000_000_000_u64 });

impl Shape for Events {
    fn read(value: &Value<'_>, reader: &mut Reader) -> Option<Self> {
        integer(value, 1..=1_000_000_000_000, reader).map(Events)
    }
}

/// True or false.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Flag(pub bool);

schema!(Flag, "Flag", { "type": "boolean" });

impl Shape for Flag {
    fn read(value: &Value<'_>, reader: &mut Reader) -> Option<Self> {
        match value.get_ref() {
            DeValue::Boolean(is) => Some(Flag(*is)),
            _ => {
                reader.wrong_type(value, "true or false", "write it without quotes");
                None
            }
        }
    }
}

/// The name of a node, as the design has it, or words.
#[derive(Debug, Clone)]
pub(crate) struct Words(pub String);

schema!(Words, "Words", { "type": "string", "minLength": 1, "maxLength": TEXT_BYTES_MAX });

impl Shape for Words {
    fn read(value: &Value<'_>, reader: &mut Reader) -> Option<Self> {
        let text = Text::read(value, reader)?.0;
        let fits = (1..=TEXT_BYTES_MAX).contains(&text.len());
        if !fits {
            let message =
                format!("{} has {} bytes; it must be 1 to {TEXT_BYTES_MAX}", reader.here(), text.len());
            reader.bad(value, message, "name what is meant");
        }
        fits.then_some(Words(text))
    }
}

/// A stretch of time; zero is one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stretch(pub Span);

schema!(Stretch, "Stretch", { "type": "string", "pattern": "^[0-9]+(us|ms|s|m|h|d)$" });

impl Shape for Stretch {
    fn read(value: &Value<'_>, reader: &mut Reader) -> Option<Self> {
        let span = Duration::read(value, reader)?.0;
        let fits = span.0 <= DAYS_MAX * 86_400_000_000;
        if !fits {
            let message = format!("{} is longer than {DAYS_MAX} days", reader.here());
            reader.bad(value, message, "correct the number or the unit");
        }
        fits.then_some(Stretch(span))
    }
}

/// A stretch of time that is not zero.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lapse(pub Span);

schema!(Lapse, "PositiveStretch", { "type": "string", "pattern": "^0*[1-9][0-9]*(us|ms|s|m|h|d)$" });

impl Shape for Lapse {
    fn read(value: &Value<'_>, reader: &mut Reader) -> Option<Self> {
        let span = Stretch::read(value, reader)?.0;
        if span == Span::ZERO {
            let message = format!("{} is zero; it must be more", reader.here());
            reader.bad(value, message, "write how long it is, or leave it out");
            return None;
        }
        Some(Lapse(span))
    }
}

/// Bytes: 0 to 1 TiB.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bytes(pub u64);

impl JsonSchema for Bytes {
    fn inline_schema() -> bool {
        Size::inline_schema()
    }
    fn schema_name() -> Cow<'static, str> {
        Size::schema_name()
    }
    fn schema_id() -> Cow<'static, str> {
        Size::schema_id()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        Size::json_schema(generator)
    }
}

impl Shape for Bytes {
    fn read(value: &Value<'_>, reader: &mut Reader) -> Option<Self> {
        let bytes = Size::read(value, reader)?.0;
        let fits = bytes <= 1 << 40;
        if !fits {
            let message = format!("{} has {bytes} bytes; at most 1 TiB", reader.here());
            reader.bad(value, message, "correct the number or the unit");
        }
        fits.then_some(Bytes(bytes))
    }
}

/// Tables by a name that others gave: a function's.
#[derive(Debug, Default)]
pub(crate) struct ByName<T>(pub BTreeMap<String, T>);

impl<T: JsonSchema> JsonSchema for ByName<T> {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        format!("By name: {}", T::schema_name()).into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let each = generator.subschema_for::<T>();
        let names = json_schema!({ "minLength": 1, "maxLength": TEXT_BYTES_MAX });
        json_schema!({ "type": "object", "propertyNames": names, "additionalProperties": each })
    }
}

impl<T: Shape + Default> Shape for ByName<T> {
    fn read(value: &Value<'_>, reader: &mut Reader) -> Option<Self> {
        let DeValue::Table(table) = value.get_ref() else {
            reader.wrong_type(value, "a table of names", "write the name after a dot: [function.NAME]");
            return None;
        };
        let mut all = BTreeMap::new();
        for (key, value) in table.iter() {
            let name = key.get_ref();
            let read = reader.within(name, |reader| {
                if !(1..=TEXT_BYTES_MAX).contains(&name.len()) {
                    let message =
                        format!("a name has 1 to {TEXT_BYTES_MAX} bytes, this one has {}", name.len());
                    reader.add(crate::Code::BadValue, key.span(), message, "give its own name".into());
                }
                T::read(value, reader)
            });
            all.insert(name.to_string(), read.unwrap_or_default());
        }
        Some(ByName(all))
    }
}

/// A pair in brackets.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pair<A, B>(pub A, pub B);

impl<A: JsonSchema, B: JsonSchema> JsonSchema for Pair<A, B> {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        format!("{} and {}", A::schema_name(), B::schema_name()).into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let (a, b) = (generator.subschema_for::<A>(), generator.subschema_for::<B>());
        json_schema!({ "type": "array", "prefixItems": [a, b], "minItems": 2, "maxItems": 2 })
    }
}

impl<A: Shape, B: Shape> Shape for Pair<A, B> {
    fn read(value: &Value<'_>, reader: &mut Reader) -> Option<Self> {
        match value.get_ref() {
            DeValue::Array(array) => match (array.first(), array.get(1), array.len()) {
                (Some(a), Some(b), 2) => {
                    let (a, b) = (A::read(a, reader), B::read(b, reader));
                    Some(Pair(a?, b?))
                }
                _ => {
                    let message = format!("this has {} values; it takes two", array.len());
                    reader.bad(value, message, "write two values in brackets");
                    None
                }
            },
            _ => {
                reader.wrong_type(value, "two values in brackets", "write two values in brackets");
                None
            }
        }
    }
}

/// Whether each of `pairs` lies above the one before it.
pub(crate) fn ascends<T: PartialOrd>(pairs: impl Iterator<Item = T> + Clone, strictly: bool) -> bool {
    let next = pairs.clone().skip(1);
    pairs.zip(next).all(|(a, b)| if strictly { a < b } else { a <= b })
}

/// `"item"` or `"run"`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Per(pub bool);

schema!(Per, "Per", { "enum": ["item", "run"] });

impl Shape for Per {
    fn read(value: &Value<'_>, reader: &mut Reader) -> Option<Self> {
        word(value, &[("item", true), ("run", false)], reader).map(Per)
    }
}

/// `"request"` or `"tenant"`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AddKey(pub AddOf);

schema!(AddKey, "AddKey", { "enum": ["request", "tenant"] });

impl Shape for AddKey {
    fn read(value: &Value<'_>, reader: &mut Reader) -> Option<Self> {
        word(value, &[("request", AddOf::Request), ("tenant", AddOf::Tenant)], reader).map(AddKey)
    }
}

/// `"at-start"` or `"at-end"`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Answers(pub bool);

schema!(Answers, "Answers", { "enum": ["at-start", "at-end"] });

impl Shape for Answers {
    fn read(value: &Value<'_>, reader: &mut Reader) -> Option<Self> {
        word(value, &[("at-start", true), ("at-end", false)], reader).map(Answers)
    }
}

/// What is measured.
#[derive(Debug, Clone, Copy)]
pub(crate) struct MeasureWord(pub Measure);

impl JsonSchema for MeasureWord {
    fn schema_name() -> Cow<'static, str> {
        "Measure".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "enum": Measure::ALL.map(Measure::key) })
    }
}

impl Shape for MeasureWord {
    fn read(value: &Value<'_>, reader: &mut Reader) -> Option<Self> {
        word(value, &Measure::ALL.map(|measure| (measure.key(), measure)), reader).map(MeasureWord)
    }
}

/// What kind of trace it is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FormatWord(pub Format);

impl JsonSchema for FormatWord {
    fn schema_name() -> Cow<'static, str> {
        "TraceFormat".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "enum": Format::ALL.map(Format::key) })
    }
}

impl Shape for FormatWord {
    fn read(value: &Value<'_>, reader: &mut Reader) -> Option<Self> {
        word(value, &Format::ALL.map(|format| (format.key(), format)), reader).map(FormatWord)
    }
}

/// How arrivals lie within the rate.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ArrivalsValue(pub Arrivals);

schema!(ArrivalsValue, "Arrivals", {
    "anyOf": [
        { "enum": ["poisson", "constant"] },
        {
            "type": "object",
            "properties": { "bursts": { "type": "integer", "minimum": 1, "maximum": REPEATS_MAX } },
            "required": ["bursts"],
            "additionalProperties": false
        }
    ]
});

impl Shape for ArrivalsValue {
    fn read(value: &Value<'_>, reader: &mut Reader) -> Option<Self> {
        if matches!(value.get_ref(), DeValue::String(_)) {
            let words = [("poisson", Arrivals::Poisson), ("constant", Arrivals::Constant)];
            return word(value, &words, reader).map(ArrivalsValue);
        }
        let table = reader.table(value, &["bursts"])?;
        let size: Need<Repeats> = reader.field(value, table, "bursts");
        size.0.map(|size| ArrivalsValue(Arrivals::Bursts { size: size.0 }))
    }
}

/// What must hold.
#[derive(Debug, Clone, Copy)]
pub(crate) struct HoldsValue(pub Holds);

schema!(HoldsValue, "Holds", {
    "anyOf": [
        { "enum": ["at-most-once", "settled"] },
        {
            "type": "object",
            "properties": { "value_max": { "type": "number", "minimum": 0, "maximum": BOUND_MAX } },
            "required": ["value_max"],
            "additionalProperties": false
        }
    ]
});

impl Shape for HoldsValue {
    fn read(value: &Value<'_>, reader: &mut Reader) -> Option<Self> {
        if matches!(value.get_ref(), DeValue::String(_)) {
            let words = [("at-most-once", Holds::AtMostOnce), ("settled", Holds::Settled)];
            return word(value, &words, reader).map(HoldsValue);
        }
        let table = reader.table(value, &["value_max"])?;
        let most: Need<Bound> = reader.field(value, table, "value_max");
        most.0.map(|most| HoldsValue(Holds::ValueMax(most.0)))
    }
}
