//! `flyball simulate --replay`: a log is fed to the engine of this build, and all effects compared.

use std::{fmt::Write as _, path::Path};

use flyball_core::{
    Span, Time,
    journal::{Difference, EffectsHash, End, Replay, ReplayError, Tally},
};
use serde_json::json;

use super::log;
use crate::{
    arguments::Format,
    build,
    stop::{Stop, print, print_json},
    table::plain,
};

/// How a replay ended.
struct Ended {
    tally: Tally,
    /// What stopped it, with the log's offset.
    error: Option<ReplayError>,
    /// Bytes of a last entry that is not whole.
    cut_bytes: usize,
}

/// Replays a log and prints what came of it.
///
/// # Errors
/// Where a step is different: exit 1; where the log can't be read: exit 2.
pub fn run(log: &Path, format: Format) -> Result<(), Stop> {
    let mut replay = Replay::new();
    let read = log::read(log, |entry, offset| replay.take(entry, offset))?;
    let (error, cut_bytes) = match read {
        Ok(cut_bytes) => (None, cut_bytes),
        Err(error) => (Some(error), 0),
    };
    report(&log.display().to_string(), &Ended { tally: replay.tally(), error, cut_bytes }, format)
}

fn report(log: &str, ended: &Ended, format: Format) -> Result<(), Stop> {
    let (result, stop) = match &ended.error {
        None => ("exact", None),
        Some(ReplayError::Different(_)) => ("different", Some(Stop::silent())),
        Some(error) => {
            let steps = ended.tally.steps;
            let before = match steps {
                0 => String::new(),
                _ => format!("\n  {steps} steps before it were replayed and were exact"),
            };
            let message = format!("error[{}]: {log}: {error}{before}", error.code());
            ("unreadable", Some(Stop::wrong(message)))
        }
    };
    match format {
        Format::Json => print_json(&as_json(log, ended, result))?,
        // There is nothing to tell of what is no log.
        _ if ended.tally.steps == 0 && stop.is_some() && result == "unreadable" => {}
        _ => print(&text(log, ended, result))?,
    }
    stop.map_or(Ok(()), Err)
}

fn text(log: &str, ended: &Ended, result: &str) -> String {
    let Ended { tally, error, .. } = ended;
    let counts = &tally.counts;
    let mut text = format!("replayed {log}: {result}\n");
    let mut line = |name: &str, value: String| {
        // Writing to a string can't fail.
        let _ = writeln!(text, "  {name:<12} {}", plain(&value));
    };
    if let Some(ReplayError::Different(difference)) = error {
        describe(difference, &mut line);
    }
    line("application", tally.application.as_ref().map_or("none", |name| name.as_str()).to_string());
    line("recorded by", format!("{}{}", tally.build, other_build(tally)));
    line(
        "covers",
        format!("{}, {} steps, {}", lasting(tally.covered()), tally.steps, engines(tally.engines)),
    );
    let (accepted, done, dead) = (counts.accepted, counts.done, counts.dead);
    line("events", format!("{accepted} accepted, {done} done, {dead} dead letters at the end"));
    line("calls", format!("{} without a key", counts.calls));
    line("refused", format!("{}, of these throttled {}", counts.refused, tally.throttled));
    line("runs", format!("{} tried again, {} stale", counts.retried, counts.conflicts));
    line("effects", format!("{}, hash {:016x}", tally.effects, tally.hash));
    if let Some(note) = note(ended) {
        line("the log", note);
    }
    text
}

fn describe(difference: &Difference, line: &mut impl FnMut(&str, String)) {
    let Difference { step, engine, at, input, recorded, came, effects } = difference;
    line("step", format!("{step}, of engine {engine}, at {} s", seconds(*at)));
    line("told", input.clone());
    line("recorded", format!("{} effects, hash {:016x}", recorded.count, recorded.hash()));
    line("came", format!("{} effects, hash {:016x}", came.count, came.hash()));
    for effect in effects {
        line("", effect.clone());
    }
    line("see", "flyball explain FE6004".into());
}

fn other_build(tally: &Tally) -> &'static str {
    match tally.build == build::name() {
        true => ", which is this build",
        false => ", which is another build: the same effects are promised for one build only",
    }
}

fn engines(engines: u64) -> String {
    match engines {
        1 => "1 engine".into(),
        more => format!("{more} engines: one, and one for each commit that failed"),
    }
}

/// What is to be said of the log's end, unless it is whole.
fn note(ended: &Ended) -> Option<String> {
    if ended.error.is_some() {
        return None;
    }
    Some(match ended.tally.end {
        Some(End::Closed) => return None,
        None if ended.cut_bytes == 0 => "was cut off: the process was killed, or records still".into(),
        None => format!(
            "was cut off within an entry, of which it has {} bytes: the process was killed, or records still",
            ended.cut_bytes
        ),
        Some(End::TooSlow { unwritten_bytes_max }) => format!(
            "ends early: its disk did not keep up, more than {unwritten_bytes_max} bytes were not written"
        ),
        Some(End::LogFull { log_bytes_max }) => {
            format!("ends early: it had reached its limit of {log_bytes_max} bytes, --record-mib-max")
        }
        Some(End::EntryTooLarge { bytes }) => {
            format!("ends early: an input had {bytes} bytes, more than an entry may have")
        }
    })
}

fn as_json(log: &str, ended: &Ended, result: &str) -> serde_json::Value {
    let Ended { tally, error, cut_bytes } = ended;
    json!({
        "log": log,
        "result": result,
        "application": tally.application,
        "build": tally.build,
        "this_build": build::name(),
        "steps": tally.steps,
        "engines": tally.engines,
        "first_us": tally.first.0,
        "covered_us": tally.covered().0,
        "counts": tally.counts,
        "throttled": tally.throttled,
        "effects": tally.effects,
        "hash": format!("{:016x}", tally.hash),
        "complete": tally.end == Some(End::Closed),
        "cut_bytes": cut_bytes,
        "note": note(ended),
        "error": error.as_ref().map(error_as_json),
    })
}

fn error_as_json(error: &ReplayError) -> serde_json::Value {
    let (code, message) = (error.code(), error.to_string());
    let ReplayError::Different(difference) = error else {
        return json!({ "code": code, "message": message });
    };
    let hash = |hash: &EffectsHash| json!({ "count": hash.count, "hash": format!("{:016x}", hash.hash()) });
    json!({
        "code": code,
        "message": message,
        "step": difference.step,
        "engine": difference.engine,
        "at_us": difference.at.0,
        "input": difference.input,
        "recorded": hash(&difference.recorded),
        "came": hash(&difference.came),
        "effects": difference.effects,
    })
}

fn seconds(at: Time) -> String {
    format!("{}.{:06}", at.0 / 1_000_000, at.0 % 1_000_000)
}

pub(super) fn lasting(span: Span) -> String {
    let seconds = span.0 / 1_000_000;
    match (seconds / 3_600, seconds / 60 % 60, seconds % 60) {
        (0, 0, seconds) => format!("{seconds}.{:03} s", span.as_millis() % 1_000),
        (0, minutes, seconds) => format!("{minutes} min {seconds} s"),
        (hours, minutes, seconds) => format!("{hours} h {minutes} min {seconds} s"),
    }
}
