//! Single values of the file: durations, sizes, numbers, words, references.

use std::{borrow::Cow, ops::RangeInclusive};

use flyball_core::{
    Name, Span,
    model::{Access, HostPattern, RouteMode, TenantFrom},
};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use toml::de::DeValue;

use crate::file::{
    quoted,
    reader::{Reader, Shape, Value},
};

/// Implements a schema that does not depend on anything.
macro_rules! schema {
    ($type:ty, $name:literal, $schema:tt) => {
        impl JsonSchema for $type {
            fn schema_name() -> Cow<'static, str> {
                $name.into()
            }
            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!($schema)
            }
        }
    };
}

pub(crate) use schema;

/// A text.
#[derive(Debug, Clone)]
pub(crate) struct Text(pub String);

schema!(Text, "Text", { "type": "string" });

impl Shape for Text {
    fn read(value: &Value<'_>, reader: &mut Reader) -> Option<Self> {
        match value.get_ref() {
            DeValue::String(text) => Some(Text(text.to_string())),
            _ => {
                reader.wrong_type(value, "a string", "put it in quotes");
                None
            }
        }
    }
}

pub(crate) fn text(value: &Value<'_>, reader: &mut Reader) -> Option<String> {
    Text::read(value, reader).map(|text| text.0)
}

/// The name of something that the file declares elsewhere.
#[derive(Debug, Clone)]
pub(crate) struct Reference(pub Name);

schema!(Reference, "Name", { "type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$" });

impl Shape for Reference {
    fn read(value: &Value<'_>, reader: &mut Reader) -> Option<Self> {
        let text = text(value, reader)?;
        match Name::new(&text) {
            Ok(name) => Some(Reference(name)),
            Err(error) => {
                reader.bad(value, format!("{} can't be a name: {error}", quoted(&text)), "correct the name");
                None
            }
        }
    }
}

pub(crate) fn integer(value: &Value<'_>, range: RangeInclusive<u64>, reader: &mut Reader) -> Option<u64> {
    let DeValue::Integer(integer) = value.get_ref() else {
        reader.wrong_type(value, "a whole number", "write it without quotes");
        return None;
    };
    let number = u64::from_str_radix(integer.as_str(), integer.radix()).ok();
    let number = number.filter(|number| range.contains(number));
    if number.is_none() {
        let message = format!(
            "{} is {}; it must be {} to {}",
            reader.here(),
            integer.as_str(),
            range.start(),
            range.end()
        );
        reader.bad(value, message, "leave it out for the default");
    }
    number
}

/// A number of things.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Count(pub u32);

schema!(Count, "Count", { "type": "integer", "minimum": 0, "maximum": 4_294_967_295_u64 });

impl Shape for Count {
    fn read(value: &Value<'_>, reader: &mut Reader) -> Option<Self> {
        integer(value, 0..=u64::from(u32::MAX), reader).and_then(|n| u32::try_from(n).ok()).map(Count)
    }
}

/// A number of things that fits 16 bits.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Small(pub u16);

schema!(Small, "SmallCount", { "type": "integer", "minimum": 0, "maximum": 65_535 });

impl Shape for Small {
    fn read(value: &Value<'_>, reader: &mut Reader) -> Option<Self> {
        integer(value, 0..=u64::from(u16::MAX), reader).and_then(|n| u16::try_from(n).ok()).map(Small)
    }
}

/// A large number of things.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Many(pub u64);

schema!(Many, "ManyCount", { "type": "integer", "minimum": 0, "maximum": 1_000_000_000_000_u64 });

impl Shape for Many {
    fn read(value: &Value<'_>, reader: &mut Reader) -> Option<Self> {
        integer(value, 0..=1_000_000_000_000, reader).map(Many)
    }
}

/// A length of time: `"250ms"`, `"10s"`, `"5m"`, `"24h"`, `"7d"`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Duration(pub Span);

schema!(Duration, "Duration", { "type": "string", "pattern": "^[0-9]+(us|ms|s|m|h|d)$" });

const TIME_UNITS: [(&str, u64); 6] = [
    ("us", 1),
    ("ms", 1_000),
    ("s", 1_000_000),
    ("m", 60_000_000),
    ("h", 3_600_000_000),
    ("d", 86_400_000_000),
];

impl Shape for Duration {
    fn read(value: &Value<'_>, reader: &mut Reader) -> Option<Self> {
        let help = "write a whole number and a unit: \"250ms\", \"10s\", \"5m\", \"24h\"";
        let DeValue::String(text) = value.get_ref() else {
            reader.wrong_type(value, "a duration in quotes", help);
            return None;
        };
        let span = with_unit(text, &TIME_UNITS).map(Span);
        if span.is_none() {
            reader.bad(value, format!("{} is no duration", quoted(text)), help);
        }
        span.map(Duration)
    }
}

/// A number of bytes: `"64MiB"`, `"6MB"`, or a whole number.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Size(pub u64);

schema!(Size, "Size", {
    "anyOf": [
        { "type": "integer", "minimum": 0 },
        { "type": "string", "pattern": "^[0-9]+(B|kB|KB|MB|GB|KiB|MiB|GiB)$" }
    ]
});

const SIZE_UNITS: [(&str, u64); 8] = [
    ("B", 1),
    ("kB", 1_000),
    ("KB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
];

impl Shape for Size {
    fn read(value: &Value<'_>, reader: &mut Reader) -> Option<Self> {
        let help = "write a number of bytes, or a number and a unit: \"64MiB\", \"256KiB\", \"6MB\"";
        match value.get_ref() {
            DeValue::Integer(_) => integer(value, 0..=1 << 50, reader).map(Size),
            DeValue::String(text) => {
                let size = with_unit(text, &SIZE_UNITS);
                if size.is_none() {
                    reader.bad(value, format!("{} is no size", quoted(text)), help);
                }
                size.map(Size)
            }
            _ => {
                reader.wrong_type(value, "a size", help);
                None
            }
        }
    }
}

fn with_unit(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at_checked(digits)?;
    let factor = units.iter().find(|(name, _)| *name == unit.trim_start())?.1;
    number.parse::<u64>().ok()?.checked_mul(factor)
}

/// One of a few words.
pub(crate) fn word<T: Copy>(value: &Value<'_>, words: &[(&str, T)], reader: &mut Reader) -> Option<T> {
    let text = text(value, reader)?;
    let found = words.iter().find(|(word, _)| *word == text).map(|(_, meaning)| *meaning);
    if found.is_none() {
        let all: Vec<String> = words.iter().map(|(word, _)| format!("{word:?}")).collect();
        let help = flyball_core::model::nearest(
            text.get(..text.len().min(64)).unwrap_or(""),
            words.iter().map(|(word, _)| *word),
            &format!("write {}", all.join(" or ")),
        );
        reader.bad(value, format!("{} is not {}", quoted(&text), all.join(" or ")), &help);
    }
    found
}

/// `"read"` or `"read-write"`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AccessWord(pub Access);

schema!(AccessWord, "Access", { "enum": ["read", "read-write"] });

impl Default for AccessWord {
    fn default() -> Self {
        AccessWord(Access::Read)
    }
}

impl Shape for AccessWord {
    fn read(value: &Value<'_>, reader: &mut Reader) -> Option<Self> {
        word(value, &[("read", Access::Read), ("read-write", Access::ReadWrite)], reader).map(AccessWord)
    }
}

/// `"sync"` or `"async"`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mode(pub RouteMode);

schema!(Mode, "RouteMode", { "enum": ["sync", "async"] });

impl Shape for Mode {
    fn read(value: &Value<'_>, reader: &mut Reader) -> Option<Self> {
        word(value, &[("sync", RouteMode::Sync), ("async", RouteMode::Async)], reader).map(Mode)
    }
}

/// A host that may be called.
#[derive(Debug, Clone)]
pub(crate) struct Host(pub HostPattern);

schema!(Host, "HostPattern", { "type": "string" });

impl Shape for Host {
    fn read(value: &Value<'_>, reader: &mut Reader) -> Option<Self> {
        match text(value, reader)?.parse() {
            Ok(pattern) => Some(Host(pattern)),
            Err(error) => {
                let error: flyball_core::model::HostPatternError = error;
                reader.bad(value, error.to_string(), "name the host, without scheme or path");
                None
            }
        }
    }
}

/// A method, upper case.
#[derive(Debug, Clone)]
pub(crate) struct Method(pub String);

schema!(Method, "Method", { "type": "string", "pattern": "^[A-Z-]{1,20}$" });

impl Shape for Method {
    fn read(value: &Value<'_>, reader: &mut Reader) -> Option<Self> {
        let text = text(value, reader)?;
        let fits =
            (1..=20).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_uppercase() || b == b'-');
        if !fits {
            let help = "write it in capitals: \"GET\", \"POST\"";
            reader.bad(value, format!("{} is no HTTP method", quoted(&text)), help);
        }
        fits.then_some(Method(text))
    }
}

/// `"key"`, `"path"`, `"host"` or `{ header = "x-tenant" }`.
#[derive(Debug, Clone)]
pub(crate) struct TenantSource(pub TenantFrom);

schema!(TenantSource, "TenantFrom", {
    "anyOf": [
        { "enum": ["key", "path", "host"] },
        {
            "type": "object",
            "properties": { "header": { "type": "string" } },
            "required": ["header"],
            "additionalProperties": false
        }
    ]
});

impl Shape for TenantSource {
    fn read(value: &Value<'_>, reader: &mut Reader) -> Option<Self> {
        if matches!(value.get_ref(), DeValue::String(_)) {
            let words = [("key", 0), ("path", 1), ("host", 2)];
            let from = match word(value, &words, reader)? {
                0 => TenantFrom::Key,
                1 => TenantFrom::Path,
                _ => TenantFrom::Host,
            };
            return Some(TenantSource(from));
        }
        let table = reader.table(value, &["header"])?;
        let header: crate::file::reader::Need<Text> = reader.field(value, table, "header");
        let name = header.0?.0;
        let fits = !name.is_empty()
            && name.len() <= 64
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
        if !fits {
            reader.bad(
                value,
                format!("{} is no header's name", quoted(&name)),
                "write { header = \"x-tenant\" }",
            );
        }
        fits.then(|| TenantSource(TenantFrom::Header(name.to_ascii_lowercase())))
    }
}

/// Values by any key.
#[derive(Debug, Clone, Default)]
pub(crate) struct Settings(pub std::collections::BTreeMap<String, String>);

schema!(Settings, "Settings", { "type": "object", "additionalProperties": { "type": "string" } });

impl Shape for Settings {
    fn read(value: &Value<'_>, reader: &mut Reader) -> Option<Self> {
        let DeValue::Table(table) = value.get_ref() else {
            reader.wrong_type(value, "a table of strings", "write { KEY = \"value\" }");
            return None;
        };
        let mut all = std::collections::BTreeMap::new();
        for (key, value) in table.iter() {
            let key = key.get_ref().to_string();
            if let Some(text) = reader.within(&key, |reader| text(value, reader)) {
                all.insert(key, text);
            }
        }
        Some(Settings(all))
    }
}
