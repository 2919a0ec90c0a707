//! `flyball simulate --faults`, `--seeds`, `--nightly`: what must hold, whatever goes wrong.

use std::{
    fs,
    io::{ErrorKind, Write as _},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use flyball_app::{FILE_BYTES_MAX, workload::faults::Faults};
use flyball_sim::{
    faults::{self, Seeds, Watch, regressions},
    guests::Guests,
    plan::Plan,
    result::Simulation,
};
use indicatif::{ProgressBar, ProgressStyle};

use super::predict;
use crate::{arguments::Simulate, stop::Stop};

/// Where failing seeds are kept, where nothing is said.
const REGRESSIONS: &str = "regressions.txt";

/// Whether faults are asked for.
pub(super) fn wanted(wanted: &Simulate) -> bool {
    wanted.faults.is_some() || wanted.seeds.is_some() || wanted.nightly.is_some()
}

/// Runs the seeds that are asked for; `guests` run the application's own functions.
///
/// # Errors
/// Files that can't be read or written, faults that do not fit the plan.
pub(super) fn run(
    plan: &Plan,
    wanted: &Simulate,
    guests: Option<&mut dyn Guests>,
) -> Result<Simulation, Stop> {
    let stated = wanted.faults.as_deref().map(read).transpose()?;
    let file = wanted.regressions.clone().or(wanted.nightly.map(|_| PathBuf::from(REGRESSIONS)));
    let known = file.as_deref().map(|file| known(file, wanted.nightly.is_some())).transpose()?;
    let known = known.unwrap_or_default();
    let seeds = Seeds {
        first: wanted.seed,
        count: if wanted.nightly.is_some() { u64::MAX } else { wanted.seeds.unwrap_or(1) },
        regressions: known.clone(),
    };
    let total = seeds.count.saturating_add(known.len() as u64);
    let mut waiting = Waiting::start(total, wanted.nightly);
    let result = match guests {
        Some(guests) => faults::run_with(plan, stated.as_ref(), &seeds, guests, &mut waiting),
        None => faults::run(plan, stated.as_ref(), &seeds, &mut waiting),
    };
    waiting.bar.finish_and_clear();
    let mut result = result.map_err(|wrong| predict::stop(&wrong))?;
    for failure in &mut result.failures {
        failure.again = again(wanted, failure.seed);
    }
    if let (Some(file), Some(_)) = (&file, wanted.nightly) {
        append(file, &regressions::lines(&result, &known))?;
    }
    Ok(faults::document(plan, result))
}

/// The command that runs one seed again.
fn again(wanted: &Simulate, seed: u64) -> String {
    let mut words = vec!["flyball simulate".to_string()];
    words.extend(wanted.paths.iter().cloned());
    let files = [("--traffic", &wanted.traffic), ("--faults", &wanted.faults)];
    for (flag, file) in files {
        words.extend(file.as_ref().map(|file| format!("{flag} {}", file.display())));
    }
    words.extend(wanted.real.then(|| "--real".to_string()));
    words.extend(wanted.profile.as_ref().map(|profile| format!("--profile {profile}")));
    words.extend(wanted.tenants.map(|tenants| format!("--tenants {tenants}")));
    words.extend(wanted.duration.map(|duration| format!("--duration {}ms", duration.as_millis())));
    words.push(format!("--seed {seed} --seeds 1"));
    words.join(" ")
}

fn read(file: &Path) -> Result<Faults, Stop> {
    let name = file.display().to_string();
    let unread = |error: std::io::Error| Stop::wrong(format!("the faults in {name} can't be read: {error}"));
    let bytes = fs::metadata(file).map_err(unread)?.len();
    if bytes > FILE_BYTES_MAX as u64 {
        return Err(Stop::wrong(format!("{name} has {bytes} bytes; at most {FILE_BYTES_MAX} are read")));
    }
    let text = fs::read_to_string(file).map_err(unread)?;
    flyball_app::workload::faults::read(&name, &text).map_err(|wrong| Stop::wrong(wrong.to_string()))
}

/// Seeds that failed before. `new`: the file may not be there yet.
fn known(file: &Path, new: bool) -> Result<Vec<u64>, Stop> {
    let name = file.display();
    let text = match fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) if new && error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(Stop::wrong(format!("the regressions in {name} can't be read: {error}"))),
    };
    regressions::read(&text).map_err(|wrong| Stop::wrong(format!("{name}, {wrong}")))
}

fn append(file: &Path, lines: &str) -> Result<(), Stop> {
    if lines.is_empty() {
        return Ok(());
    }
    let opened = fs::OpenOptions::new().create(true).append(true).open(file);
    opened.and_then(|mut file| file.write_all(lines.as_bytes())).map_err(|error| {
        Stop::wrong(format!("{} can't be written: {error}; what failed:\n{lines}", file.display()))
    })
}

/// Shows how far it is, and hears Ctrl-C.
struct Waiting {
    bar: ProgressBar,
    stopped: Arc<AtomicBool>,
    until: Option<Instant>,
}

impl Waiting {
    fn start(seeds: u64, nightly: Option<Duration>) -> Waiting {
        let bar = if nightly.is_some() { ProgressBar::new_spinner() } else { ProgressBar::new(seeds) };
        let template = match nightly {
            Some(_) => "{spinner} {msg}, {elapsed}",
            None => "{bar:40} {pos} of {len} seeds, {msg}, {eta} left",
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        let stopped = Arc::new(AtomicBool::new(false));
        predict::listen(stopped.clone());
        Waiting { bar, stopped, until: nightly.map(|time| Instant::now() + time) }
    }

    fn is_over(&self) -> bool {
        self.stopped.load(Ordering::Relaxed) || self.until.is_some_and(|until| Instant::now() >= until)
    }
}

impl Watch for Waiting {
    fn seed(&mut self, ran: u64, failed: u64) -> bool {
        self.bar.set_position(ran);
        self.bar.set_message(format!("{ran} seeds ran, {failed} failed"));
        self.bar.tick();
        self.is_over()
    }

    fn run(&mut self) -> bool {
        self.bar.tick();
        self.is_over()
    }
}
