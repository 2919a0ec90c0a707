//! A profile's rows, and a design's settings, as plain numbers.

use flyball_app::{
    design::Setting,
    profile::{Limit, Profile},
};
use flyball_core::Span;

/// A limit as a whole number; `or` where the profile has no such row, or a negative one.
pub(crate) fn number(profile: &Profile, limit: Limit, or: u64) -> u64 {
    profile.whole(limit).and_then(|value| u64::try_from(value).ok()).unwrap_or(or)
}

/// As [`number`], at most what fits in 32 bits.
pub(crate) fn count(profile: &Profile, limit: Limit, or: u32) -> u32 {
    u32::try_from(number(profile, limit, u64::from(or))).unwrap_or(u32::MAX)
}

/// A limit that is in seconds.
pub(crate) fn seconds(profile: &Profile, limit: Limit, or: u64) -> Span {
    Span::from_secs(number(profile, limit, or))
}

/// What a file states; `or` where it states nothing, or nothing that is known.
pub(crate) fn stated_count(setting: &Setting<i64>, or: u32) -> u32 {
    let Some(value) = setting.stated().and_then(|value| u64::try_from(*value).ok()) else { return or };
    u32::try_from(value).unwrap_or(u32::MAX)
}

/// What a file states in seconds; `or` where it states nothing, or nothing that is known.
pub(crate) fn stated_seconds(setting: &Setting<i64>, or: Span) -> Span {
    setting.stated().and_then(|value| u64::try_from(*value).ok()).map_or(or, Span::from_secs)
}
