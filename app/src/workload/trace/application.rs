//! A trace as an application: each of its series a function of its own.

use std::{collections::BTreeMap, fmt::Write as _};

use flyball_core::Name;

use crate::workload::{Behaviour, Recorded, Source, Volume};

/// The longest that a function of Lambda may run, seconds: what a trace has of longer runs is broken off there.
const TIMEOUT_S: u32 = 900;
/// The least memory of one, mebibytes.
const MEMORY_MB_MIN: f64 = 128.0;
/// The most memory of one, mebibytes.
const MEMORY_MB_MAX: f64 = 10_240.0;

/// What a trace becomes: functions, who calls them, and what they do.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Application {
    /// A template of CloudFormation with the functions, and nothing else.
    pub template: String,
    /// A source for each function.
    pub traffic: BTreeMap<Name, Source>,
    /// What the trace says of each.
    pub functions: BTreeMap<String, Behaviour>,
}

/// Each series of a trace as a function that is called when the series has an event. `like`: whose it is and who
/// calls. Functions are named by their place and by the first letters of the series' name. Series without an event
/// are left out. `first`: the place of the first, less one.
pub fn application(like: &Source, recorded: Recorded, first: usize) -> Application {
    let mut made = Application::default();
    let Recorded { what, slot, series } = recorded;
    for (place, series) in (first + 1..).zip(series) {
        if series.counts.iter().all(|count| *count == 0) {
            continue;
        }
        let tail: String = series.name.chars().filter(char::is_ascii_alphanumeric).take(6).collect();
        let id = format!("F{place:05}{tail}");
        let Ok(name) = Name::new(&id.to_ascii_lowercase()) else { continue };
        let memory_mb = series.memory_mb.unwrap_or(MEMORY_MB_MIN).clamp(MEMORY_MB_MIN, MEMORY_MB_MAX).ceil();
        // Writing to a string can't fail.
        let _ = write!(
            made.template,
            "  {id}:\n    Type: AWS::Lambda::Function\n    Properties:\n      Handler: trace\n      \
             Runtime: provided.al2023\n      Role: arn:aws:iam::123456789012:role/trace\n      \
             Code: {{ ZipFile: trace }}\n      MemorySize: {memory_mb}\n      Timeout: {TIMEOUT_S}\n"
        );
        let behaviour = Behaviour {
            duration: series.duration.clone(),
            init: series.init.clone(),
            memory_mb: series.memory_mb,
            ..Behaviour::default()
        };
        made.functions.insert(id.clone(), behaviour);
        let volume = Volume::Recorded(Recorded { what: what.clone(), slot, series: vec![series] });
        made.traffic.insert(name, Source { to: Some(id), volume, as_functions: false, ..like.clone() });
    }
    if !made.template.is_empty() {
        made.template.insert_str(0, "Resources:\n");
    }
    made
}
