//! For programs: one JSON document, described by a schema, and read again for a comparison.

use serde_json::Value;
use thiserror::Error;

use crate::result::{Simulation, VERSION};

/// A document of another simulation is read up to this size, bytes.
pub const DOCUMENT_BYTES_MAX: u64 = 64 << 20;

/// Why a document can't be compared with.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Unreadable {
    /// It is larger than any that `simulate` writes.
    #[error("{bytes} bytes are more than a simulation's JSON has ({DOCUMENT_BYTES_MAX} at most)")]
    TooLarge {
        /// Its size.
        bytes: usize,
    },
    /// It is not the JSON of a simulation.
    #[error("it is not what `flyball simulate --format json` prints: {why}")]
    NotASimulation {
        /// Where, and what was expected.
        why: String,
    },
    /// A later Flyball wrote it.
    #[error(
        "it has version {version}, and this Flyball reads up to {VERSION}: use the Flyball that wrote it"
    )]
    Later {
        /// The document's version.
        version: u32,
    },
}

/// The simulation as one JSON document; [`json_schema`] describes it.
pub fn json(simulation: &Simulation) -> Value {
    // Numbers, texts, and maps with texts for keys: nothing in it can fail to serialise.
    serde_json::to_value(simulation).unwrap_or_default()
}

/// The JSON Schema of what [`json`] makes.
pub fn json_schema() -> Value {
    schemars::generate::SchemaSettings::draft2020_12()
        .for_serialize()
        .into_generator()
        .into_root_schema_for::<Simulation>()
        .to_value()
}

/// Reads what [`json`] made, of this version or one before.
///
/// # Errors
///
/// [`Unreadable`], with what to do.
pub fn read(text: &str) -> Result<Simulation, Unreadable> {
    if text.len() as u64 > DOCUMENT_BYTES_MAX {
        return Err(Unreadable::TooLarge { bytes: text.len() });
    }
    let not = |why: String| Unreadable::NotASimulation { why };
    let value: Value = serde_json::from_str(text).map_err(|error| not(error.to_string()))?;
    let version =
        value.get("version").and_then(Value::as_u64).and_then(|version| u32::try_from(version).ok());
    match version {
        None | Some(0) => return Err(not("it has no version".into())),
        Some(version) if version > VERSION => return Err(Unreadable::Later { version }),
        Some(_) => {}
    }
    let simulation: Simulation = serde_json::from_value(value).map_err(|error| not(error.to_string()))?;
    if simulation.run.is_none() && simulation.load_line.is_none() && simulation.faults.is_none() {
        return Err(not("it has neither `run` nor `load_line` nor `faults`".into()));
    }
    Ok(simulation)
}
