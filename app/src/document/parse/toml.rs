//! TOML.

use std::ops::Range;

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{
    ParseError,
    builder::{Builder, Put, Wrap},
};
use crate::document::Value;

pub(super) fn read(text: &str, builder: &mut Builder) -> Result<(), ParseError> {
    let table = match DeTable::parse(text) {
        Ok(table) => table,
        Err(error) => {
            let place = error.span().unwrap_or(0..0);
            let help = "see https://toml.io for how TOML is written";
            return Err(builder.error(place, error.message().to_string(), help));
        }
    };
    map(table.get_ref(), &(0..text.len()), builder)
}

fn map(table: &DeTable<'_>, place: &Range<usize>, builder: &mut Builder) -> Result<(), ParseError> {
    builder.open_map(place.start, 0, Wrap::None)?;
    // Tables are sorted by key; people wrote them in another order.
    let mut entries: Vec<_> = table.iter().collect();
    entries.sort_by_key(|(key, _)| key.span().start);
    for (key, inside) in entries {
        builder.key(key.get_ref().to_string(), key.span());
        value(inside, builder)?;
    }
    builder.close(Some(place.end))
}

fn value(value: &Spanned<DeValue<'_>>, builder: &mut Builder) -> Result<(), ParseError> {
    let place = value.span();
    let simple = match value.get_ref() {
        DeValue::Table(table) => return map(table, &place, builder),
        DeValue::Array(items) => {
            builder.open_list(place.start, 0, Wrap::None)?;
            for item in items {
                self::value(item, builder)?;
            }
            return builder.close(Some(place.end));
        }
        DeValue::String(text) => Value::Text(text.to_string()),
        DeValue::Boolean(is) => Value::Bool(*is),
        DeValue::Datetime(time) => Value::Text(time.to_string()),
        DeValue::Integer(number) => {
            let parsed = i64::from_str_radix(number.as_str(), number.radix());
            parsed.map_or_else(|_| Value::Text(number.as_str().to_string()), Value::Integer)
        }
        DeValue::Float(number) => match number.as_str().parse() {
            Ok(float) => Value::Float(float),
            Err(_) => Value::Text(number.as_str().to_string()),
        },
    };
    builder.put(Put::plain(simple, place))
}
