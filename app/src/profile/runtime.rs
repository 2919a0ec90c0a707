//! What is known of a runtime's end.

/// When support of a runtime ends, or ended. Days are written as `2026-04-30`, so that they compare as texts.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Runtime {
    /// From this day there are no security patches.
    pub deprecated: String,
    /// From this day no function can be made with it, where that is known.
    pub create_blocked: Option<String>,
    /// From this day functions that use it can't be changed, where that is known.
    pub update_blocked: Option<String>,
    /// It can neither be used for new functions nor for changed ones: deploying is rejected.
    pub gone: bool,
    /// Where it is from.
    pub source: String,
    /// When it was so.
    pub date: String,
    /// It could not be verified: what rests on it says so.
    pub unverified: bool,
}
