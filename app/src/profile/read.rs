//! Reads profiles: the built-in ones and the user's, by the same code.

use std::{collections::BTreeMap, mem};

use flyball_core::model::nearest;
use toml::de::{DeTable, DeValue};

use super::{DatabaseFacts, Given, Limit, Row, Runtime, Traffic};
use crate::file::{
    Code, Diagnostics, FILE_BYTES_MAX, SourceMap, quoted,
    reader::{Reader, Value},
};

/// The built-in profiles: name and text.
const BUILT_IN: [(&str, &str); 2] =
    [("aws", include_str!("aws.toml")), ("flyball", include_str!("flyball.toml"))];

/// What a profile's file has.
const KEYS: [&str; 7] = ["base", "collected", "limits", "runtimes", "account", "traffic", "database"];

/// A set of limits with their sources.
#[derive(Debug, Clone, Default)]
pub struct Profile {
    name: String,
    collected: String,
    rows: BTreeMap<Limit, Row>,
    runtimes: BTreeMap<String, Runtime>,
}

impl Profile {
    /// A built-in profile: `aws` or `flyball`.
    pub fn built_in(name: &str) -> Option<Profile> {
        let (_, text) = BUILT_IN.iter().find(|(known, _)| *known == name)?;
        // A test reads them all, so that there is nothing wrong with them.
        let (profile, _) = read(&format!("{name}.toml"), text, true).ok()?;
        Some(Profile { name: name.to_string(), ..profile })
    }

    /// The names of the built-in profiles.
    pub fn names() -> impl Iterator<Item = &'static str> {
        BUILT_IN.iter().map(|(name, _)| *name)
    }

    /// A user's profile: the one that it names as its `base` (`aws` where it names none), with what it states
    /// instead; and what it says of the account and of the traffic. `file_name` is only for messages.
    ///
    /// # Errors
    /// Everything that is wrong, in the order of the file.
    pub fn with(file_name: &str, text: &str) -> Result<(Profile, Given), Diagnostics> {
        read(file_name, text, false)
    }

    /// Its name: `aws`, `flyball`, or the user's file.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The day up to which its sources were read, such as `2026-11-23`. Rules have no other clock.
    pub fn collected(&self) -> &str {
        &self.collected
    }

    /// A limit's row. `None`: this profile knows no such limit, and no rule may find anything by it.
    pub fn row(&self, limit: Limit) -> Option<&Row> {
        self.rows.get(&limit)
    }

    /// A limit's value, in its unit.
    pub fn value(&self, limit: Limit) -> Option<f64> {
        self.row(limit).map(|row| row.value)
    }

    /// A limit's value as a whole number, for what files state as such.
    pub fn whole(&self, limit: Limit) -> Option<i64> {
        #[expect(clippy::cast_possible_truncation, reason = "read as a number of at most 1e15")]
        self.value(limit).map(|value| value.round() as i64)
    }

    /// What is known of a runtime by its identifier, such as `python3.9`.
    pub fn runtime(&self, identifier: &str) -> Option<&Runtime> {
        self.runtimes.get(identifier)
    }

    /// Every runtime that is known of, by identifier.
    pub fn runtimes(&self) -> impl Iterator<Item = (&str, &Runtime)> {
        self.runtimes.iter().map(|(name, runtime)| (name.as_str(), runtime))
    }
}

fn read(file_name: &str, text: &str, built_in: bool) -> Result<(Profile, Given), Diagnostics> {
    let mut reader = Reader::default();
    if text.len() > FILE_BYTES_MAX {
        let message = format!("the file has {} bytes; at most {FILE_BYTES_MAX} are read", text.len());
        reader.add(Code::TooLarge, 0..0, message, "a profile has a line for each limit".into());
        return Err(reader.finish(&SourceMap::of_text(file_name, "")));
    }
    let (root, syntax) = DeTable::parse_recoverable(text);
    let sources = SourceMap::new(file_name, text, root.get_ref());
    for error in syntax {
        let help = "see https://toml.io for how TOML is written".into();
        reader.add(Code::Syntax, error.span().unwrap_or(0..0), error.message().to_string(), help);
    }
    reader.keep_first_of_each_line(&sources);
    let span = root.span();
    let root = toml::Spanned::new(span, DeValue::Table(root.into_inner()));
    let mut walk = Walk { reader, profile: Profile::default(), given: Given::default(), built_in };
    walk.profile.name = file_name.to_string();
    walk.file(&root, file_name);
    match walk.reader.is_empty() {
        true => Ok((walk.profile, walk.given)),
        false => Err(walk.reader.finish(&sources)),
    }
}

struct Walk {
    reader: Reader,
    profile: Profile,
    given: Given,
    built_in: bool,
}

impl Walk {
    fn file(&mut self, root: &Value<'_>, file_name: &str) {
        let Some(table) = self.reader.table(root, &KEYS) else { return };
        if !self.built_in {
            self.base(get(table, "base"));
        }
        if let Some(value) = get(table, "collected") {
            self.profile.collected = self.text("collected", value).unwrap_or_default();
        }
        self.each(table, "limits", |walk, name, key, value| walk.limit(name, key, value, file_name));
        self.each(table, "runtimes", |walk, name, _, value| walk.runtime(name, value));
        if let Some(value) = get(table, "account") {
            let account = self.within("account", |walk| {
                let account = walk.reader.table(value, &["complete"])?;
                get(account, "complete").and_then(|value| walk.flag("complete", value))
            });
            self.given.account_complete = account.unwrap_or(false);
        }
        self.each(table, "traffic", |walk, name, _, value| walk.traffic(name, value));
        self.each(table, "database", |walk, name, _, value| walk.database(name, value));
    }

    fn base(&mut self, value: Option<&Value<'_>>) {
        let base = match value {
            None => Some("aws".to_string()),
            Some(value) => self.text("base", value),
        };
        let Some(base) = base else { return };
        let name = mem::take(&mut self.profile.name);
        if let Some(profile) = Profile::built_in(&base) {
            self.profile = Profile { name, ..profile };
        } else if let Some(value) = value {
            let message = format!("there is no profile {}", quoted(&base));
            let help = suggestion(&base, Profile::names(), "the profiles are aws and flyball");
            self.reader.add(Code::UnknownReference, value.span(), message, help);
        }
    }

    /// Calls `one` for each key of the table `name`.
    fn each<'i>(
        &mut self,
        table: &DeTable<'i>,
        name: &str,
        mut one: impl FnMut(&mut Walk, &str, std::ops::Range<usize>, &Value<'i>),
    ) {
        let Some(value) = get(table, name) else { return };
        self.within(name, |walk| {
            let DeValue::Table(table) = value.get_ref() else {
                walk.reader.wrong_type(value, "a table", "write its keys below it, each on a line");
                return;
            };
            for (key, value) in table.iter() {
                walk.within(key.get_ref(), |walk| one(walk, key.get_ref(), key.span(), value));
            }
        });
    }

    fn within<T>(&mut self, key: &str, read: impl FnOnce(&mut Walk) -> T) -> T {
        self.reader.enter(key);
        let result = read(self);
        self.reader.leave();
        result
    }

    fn limit(&mut self, name: &str, key: std::ops::Range<usize>, value: &Value<'_>, file_name: &str) {
        let Some(limit) = Limit::of_key(name) else {
            let names = Limit::ALL.iter().map(|limit| limit.key());
            let help = suggestion(name, names, "each rule's page names the limits that it rests on");
            let message = format!("there is no limit {}", quoted(name));
            self.reader.add(Code::UnknownKey, key, message, help);
            return;
        };
        let row = match value.get_ref() {
            DeValue::Table(_) => self.row(limit, value),
            _ => self.number(value, least(limit)).map(|value| Row { value, ..Row::stated() }),
        };
        if let Some(mut row) = row {
            if !self.built_in {
                row.stated = true;
                if row.source.is_empty() {
                    row.source = file_name.to_string();
                }
            }
            self.profile.rows.insert(limit, row);
        }
    }

    fn row(&mut self, limit: Limit, value: &Value<'_>) -> Option<Row> {
        let keys = ["value", "unit", "source", "date", "unverified", "raisable"];
        let table = self.reader.table(value, &keys)?;
        let Some(number) = get(table, "value") else {
            let message = format!("{} has no `value`", self.reader.here());
            self.reader.add(Code::MissingKey, value.span(), message, "add `value`: a number".into());
            return None;
        };
        let number = self.number(number, least(limit))?;
        if let Some(stated) = get(table, "unit") {
            let unit = self.text("unit", stated)?;
            if unit != limit.unit().as_str() {
                let unit = quoted(&unit);
                let message = format!("{} is in {}, not in {unit}", limit.key(), limit.unit().as_str());
                self.reader.bad(stated, message, "write the value in that unit, or leave `unit` out");
                return None;
            }
        }
        let text = |walk: &mut Walk, key| get(table, key).and_then(|value| walk.text(key, value));
        let flag = |walk: &mut Walk, key| get(table, key).and_then(|value| walk.flag(key, value));
        Some(Row {
            value: number,
            source: text(self, "source").unwrap_or_default(),
            date: text(self, "date").unwrap_or_default(),
            unverified: flag(self, "unverified").unwrap_or(false),
            raisable: flag(self, "raisable").unwrap_or(false),
            stated: false,
        })
    }

    fn runtime(&mut self, name: &str, value: &Value<'_>) {
        let keys = ["deprecated", "create_blocked", "update_blocked", "gone", "source", "date", "unverified"];
        let Some(table) = self.reader.table(value, &keys) else { return };
        let text = |walk: &mut Walk, key| get(table, key).and_then(|value| walk.text(key, value));
        let flag = |walk: &mut Walk, key| get(table, key).and_then(|value| walk.flag(key, value));
        let runtime = Runtime {
            deprecated: text(self, "deprecated").unwrap_or_default(),
            create_blocked: text(self, "create_blocked"),
            update_blocked: text(self, "update_blocked"),
            gone: flag(self, "gone").unwrap_or(false),
            source: text(self, "source").unwrap_or_default(),
            date: text(self, "date").unwrap_or_default(),
            unverified: flag(self, "unverified").unwrap_or(false),
        };
        self.profile.runtimes.insert(name.to_string(), runtime);
    }

    fn traffic(&mut self, name: &str, value: &Value<'_>) {
        let keys = ["peak_per_s", "p50_ms", "p99_ms", "event_bytes", "tenants"];
        let Some(table) = self.reader.table(value, &keys) else { return };
        let number = |walk: &mut Walk, key| {
            get(table, key).and_then(|value| walk.within(key, |walk| walk.number(value, 0.0)))
        };
        let traffic = Traffic {
            peak_per_s: number(self, "peak_per_s"),
            p50_ms: number(self, "p50_ms"),
            p99_ms: number(self, "p99_ms"),
            event_bytes: number(self, "event_bytes"),
            tenants: number(self, "tenants"),
        };
        self.given.traffic.insert(name.to_string(), traffic);
    }

    fn database(&mut self, name: &str, value: &Value<'_>) {
        let Some(table) = self.reader.table(value, &["connections_max", "processors"]) else { return };
        let number = |walk: &mut Walk, key| {
            get(table, key).and_then(|value| walk.within(key, |walk| walk.number(value, 0.0)))
        };
        let facts = DatabaseFacts {
            connections_max: number(self, "connections_max"),
            processors: number(self, "processors"),
        };
        self.given.databases.insert(name.to_string(), facts);
    }

    fn text(&mut self, key: &str, value: &Value<'_>) -> Option<String> {
        self.within(key, |walk| match value.get_ref() {
            DeValue::String(text) => Some(text.to_string()),
            _ => {
                walk.reader.wrong_type(value, "a string", "put it in quotes");
                None
            }
        })
    }

    fn flag(&mut self, key: &str, value: &Value<'_>) -> Option<bool> {
        self.within(key, |walk| match value.get_ref() {
            DeValue::Boolean(is) => Some(*is),
            _ => {
                walk.reader.wrong_type(value, "true or false", "write it without quotes");
                None
            }
        })
    }

    fn number(&mut self, value: &Value<'_>, least: f64) -> Option<f64> {
        let number = match value.get_ref() {
            DeValue::Integer(number) =>
            {
                #[expect(clippy::cast_precision_loss, reason = "no limit is larger than 1e15")]
                i64::from_str_radix(number.as_str(), number.radix()).ok().map(|number| number as f64)
            }
            DeValue::Float(number) => number.as_str().parse().ok(),
            _ => {
                self.reader.wrong_type(value, "a number", "write it without quotes and unit");
                return None;
            }
        };
        let good = number.filter(|number: &f64| *number >= least && *number <= 1e15);
        if good.is_none() {
            let message = format!("{} must be {least} to 1e15", self.reader.here());
            self.reader.bad(value, message, "leave it out for what the base profile has");
        }
        good
    }
}

impl Row {
    fn stated() -> Row {
        Row {
            value: 0.0,
            source: String::new(),
            date: String::new(),
            unverified: false,
            raisable: false,
            stated: true,
        }
    }
}

/// A count of retries may be -1, which stands for no end.
fn least(limit: Limit) -> f64 {
    if limit == Limit::EventSourceStreamRetriesDefault { -1.0 } else { 0.0 }
}

fn get<'t, 'i>(table: &'t DeTable<'i>, key: &str) -> Option<&'t Value<'i>> {
    table.iter().find(|(name, _)| name.get_ref() == key).map(|(_, value)| value)
}

/// The longest name for which a suggestion is looked for, bytes.
const SUGGESTED_BYTES_MAX: usize = 64;

fn suggestion<'a>(wrong: &str, names: impl Iterator<Item = &'a str>, otherwise: &str) -> String {
    match wrong.len() <= SUGGESTED_BYTES_MAX {
        true => nearest(wrong, names, otherwise),
        false => otherwise.to_string(),
    }
}
