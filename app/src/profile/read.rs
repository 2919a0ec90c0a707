//! Reads profiles.

use std::collections::BTreeMap;

use super::{Limit, Row};

/// A set of limits with their sources.
#[derive(Debug, Clone, Default)]
pub struct Profile {
    name: String,
    rows: BTreeMap<Limit, Row>,
}

impl Profile {
    /// Its name: `aws`, `flyball`, or what the user's file says.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A limit's row. `None`: this profile knows no such limit, and no rule may find anything by it.
    pub fn row(&self, limit: Limit) -> Option<&Row> {
        self.rows.get(&limit)
    }
}
