//! Limits as data: each value with its source and its date.
//!
//! - [`Limit`]: every limit that a rule may ask for.
//! - [`Runtime`]: when support of a runtime ends.
//! - [`Profile`]: their values; `aws` and `flyball` are built in, a user's file changes single values.
//! - [`Prices`]: what things cost, by the same kind of rows.
//! - [`Given`]: what the same file says of the account and of the traffic.

mod given;
mod limit;
mod prices;
mod read;
mod runtime;
#[cfg(test)]
mod tests;

pub use given::{DatabaseFacts, Given, Traffic};
pub use limit::{Limit, Row, Unit};
pub use prices::{Price, PriceRow, Prices};
pub use read::Profile;
pub use runtime::Runtime;
