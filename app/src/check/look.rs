//! What rules look at.

use crate::{
    design::Design,
    profile::{Given, Profile},
};

/// What rules look at.
#[derive(Debug, Clone, Copy)]
pub struct Look<'a> {
    /// The design.
    pub design: &'a Design,
    /// The limits.
    pub profile: &'a Profile,
    /// What the user says of the account and the traffic.
    pub given: &'a Given,
}
