//! The limits that rules may ask for, and a row for each.

/// A limit's unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Bytes.
    Bytes,
    /// Seconds.
    Seconds,
    /// Milliseconds.
    Milliseconds,
    /// Things: environments, messages, attempts.
    Count,
    /// Things per second.
    PerSecond,
}

/// A value with its source.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// The value, in the limit's unit.
    pub value: f64,
    /// Where it is from.
    pub source: String,
    /// When it was so.
    pub date: String,
    /// It could not be verified: what rests on it says so.
    pub unverified: bool,
    /// It can be raised on request: what rests on it is assumed unless the user states it.
    pub raisable: bool,
    /// The user's file states it.
    pub stated: bool,
}

/// Every limit that a rule may ask for: the profile files have a row for each, by [`Limit::key`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Limit {
    /// Environments at once in one account and region.
    LambdaConcurrency,
}
