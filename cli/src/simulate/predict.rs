//! The application under stated traffic, in virtual time: what breaks first, and at which load.

use std::{
    fs::File,
    io::{BufReader, Read as _},
    path::{Path, PathBuf},
    sync::{
        Arc, Once,
        atomic::{AtomicBool, Ordering},
    },
};

use flyball_app::{
    FILE_BYTES_MAX,
    design::{Design, Platform},
    profile::Profile,
    workload::{self, Tenants, Volume, Workload, trace},
};
use flyball_core::Span;
use flyball_sim::{
    Question, Watch,
    guests::Guests,
    line::Search,
    plan::{Plan, Problem},
    report::{self, Report},
    result::Simulation,
};
use indicatif::{ProgressBar, ProgressStyle};

use super::{faults, hands::Cores, traced};
use crate::{
    arguments::{Format, Simulate},
    check,
    simulate::real::Real,
    stop::{Stop, print, print_json},
};

/// The traffic file where none is named: beside the application.
const TRAFFIC: &str = "traffic.toml";

/// Simulates and prints.
///
/// # Errors
/// A promise that breaks: exit 1. Files that can't be read or do not fit together: exit 2.
pub fn run(wanted: &Simulate, format: Format) -> Result<(), Stop> {
    let (design, profile, mut workload, traffic) = read(wanted)?;
    overrides(&mut workload, wanted);
    let mut guests = if wanted.real { Some(real(&design, &mut workload, &traffic)?) } else { None };
    let plan = plan(&design, &profile, &workload, wanted)?.with_traffic(&traffic.display().to_string());
    let guests = guests.as_mut().map(|guests| guests as &mut dyn Guests);
    if faults::wanted(wanted) {
        let simulation = faults::run(&plan, wanted, guests)?;
        say(&simulation, &design, wanted, format)?;
        return if report::fails(&simulation) { Err(Stop::silent()) } else { Ok(()) };
    }
    let question = Question {
        seed: wanted.seed,
        load: wanted.load,
        line: wanted.load_line.then(|| Search::from_seed(wanted.seed)),
    };
    let mut waiting = Waiting::start();
    let simulation = flyball_sim::simulate_with(&plan, &question, guests, &Cores, &mut waiting)
        .map_err(|wrong| stop(&[wrong]))?;
    waiting.bar.finish_and_clear();
    let worse = say(&simulation, &design, wanted, format)?;
    if worse || report::fails(&simulation) { Err(Stop::silent()) } else { Ok(()) }
}

/// Applications of a directory that are named when one of them must be chosen.
const NAMED_MAX: usize = 10;

/// `check` looks at all that a directory holds at once; to simulate two applications as one would be an answer to a
/// question that nobody has asked.
///
/// # Errors
/// Where a directory holds more than one, with their names.
fn one_application(wanted: &Simulate) -> Result<(), Stop> {
    for path in wanted.paths.iter().filter(|path| Path::new(path).is_dir()) {
        let found = check::applications(path, &wanted.deployed)?;
        let (Some(first), true) = (found.first(), found.len() > 1) else { continue };
        let mut named: Vec<&str> = found.iter().take(NAMED_MAX).map(String::as_str).collect();
        let more = found.len().saturating_sub(NAMED_MAX);
        let more = if more > 0 { format!("\n  and {more} more") } else { String::new() };
        let list = format!("{}{more}", named.join("\n  "));
        named.truncate(2);
        return Err(Stop::wrong(format!(
            "{path} holds {} applications, and one is simulated at a time:\n  {list}\nname the one that is meant: \
             flyball simulate {first}\nor, where they are deployed together, each of them: flyball simulate {}{}",
            found.len(),
            named.join(" "),
            if found.len() > 2 { " ..." } else { "" }
        )));
    }
    Ok(())
}

/// The application, its limits, its traffic, and the traffic's file.
fn read(wanted: &Simulate) -> Result<(Design, Profile, Workload, PathBuf), Stop> {
    let application = || {
        one_application(wanted)?;
        check::design(&wanted.paths, &wanted.deployed, wanted.profile.as_deref())
    };
    let traced = |workload: &Workload| workload.traffic.values().any(|source| source.as_functions);
    if let Some(traffic) = &wanted.traffic {
        let mut workload = read_workload(traffic)?;
        let (design, profile) = if traced(&workload) {
            let template = traced::expand(&mut workload).map_err(Stop::wrong)?;
            check::design_of(template, wanted.profile.as_deref())?
        } else {
            application()?
        };
        return Ok((design, profile, workload, traffic.clone()));
    }
    let (design, profile) = application()?;
    let traffic = traffic_file(wanted)?;
    let workload = read_workload(&traffic)?;
    if traced(&workload) {
        return Err(Stop::wrong(format!(
            "{} has traffic whose trace is the application (as_functions); name the file by --traffic, without an \
             application",
            traffic.display()
        )));
    }
    Ok((design, profile, workload, traffic))
}

/// The design's file and the traffic beside it.
fn traffic_file(wanted: &Simulate) -> Result<PathBuf, Stop> {
    if let Some(traffic) = &wanted.traffic {
        return Ok(traffic.clone());
    }
    let first = wanted.paths.first().map_or(Path::new("."), Path::new);
    let beside = if first.is_dir() { first } else { first.parent().unwrap_or(Path::new(".")) };
    let traffic = beside.join(TRAFFIC);
    if traffic.is_file() {
        return Ok(traffic);
    }
    Err(Stop::wrong(format!(
        "there is no {}: state the traffic there, or name a file by --traffic. The least:\n\n{LEAST}\n\
         `flyball import` makes one from what AWS has measured; docs/traffic-file.md has all keys",
        traffic.display()
    )))
}

/// What a person writes first.
const LEAST: &str = "  [traffic.api]\n  to = \"GET /\"          # a route, queue, topic or function of yours\n  \
                     peak_per_s = 50\n  [function.NAME]\n  duration = { p50 = \"80ms\", p99 = \"600ms\" }\n";

fn read_workload(file: &Path) -> Result<Workload, Stop> {
    let name = file.display().to_string();
    let unread =
        |error: std::io::Error| Stop::wrong(format!("the traffic file {name} can't be read: {error}"));
    let text = bounded(file, FILE_BYTES_MAX as u64).map_err(unread)?.ok_or_else(|| {
        Stop::wrong(format!(
            "the traffic file {name} has more than {FILE_BYTES_MAX} bytes, and no more are read; state recorded \
             traffic by `trace`"
        ))
    })?;
    let mut workload = workload::read(&name, &text).map_err(|wrong| Stop::wrong(wrong.to_string()))?.workload;
    let beside = file.parent().unwrap_or(Path::new("."));
    for source in workload.traffic.values_mut() {
        if let Volume::Trace(files) = &source.volume {
            source.volume = Volume::Recorded(read_trace(files, beside)?);
        }
    }
    Ok(workload)
}

/// A file's text. `None`: it is larger than that, and no more of it was read.
fn bounded(file: &Path, bytes_max: u64) -> std::io::Result<Option<String>> {
    let mut text = String::new();
    File::open(file)?.take(bytes_max.saturating_add(1)).read_to_string(&mut text)?;
    Ok((text.len() as u64 <= bytes_max).then_some(text))
}

fn read_trace(files: &workload::TraceFiles, beside: &Path) -> Result<workload::Recorded, Stop> {
    let open = |name: &String| {
        let path = beside.join(name);
        File::open(&path)
            .map(BufReader::new)
            .map_err(|error| Stop::wrong(format!("the trace {} can't be read: {error}", path.display())))
    };
    let mut arrivals = open(&files.arrivals)?;
    let mut durations = files.durations.as_ref().map(open).transpose()?;
    let mut memory = files.memory.as_ref().map(open).transpose()?;
    let optional = |name: &'_ Option<String>| name.clone().unwrap_or_default();
    let (durations_name, memory_name) = (optional(&files.durations), optional(&files.memory));
    let inputs = trace::Inputs {
        arrivals: trace::Input { name: &files.arrivals, text: &mut arrivals },
        durations: durations.as_mut().map(|text| trace::Input { name: &durations_name, text }),
        memory: memory.as_mut().map(|text| trace::Input { name: &memory_name, text }),
    };
    trace::read(files.format, inputs).map_err(|wrong| Stop::wrong(wrong.to_string()))
}

/// The application's own functions.
fn real(design: &Design, workload: &mut Workload, traffic: &Path) -> Result<Real, Stop> {
    if design.platform != Platform::Flyball {
        return Err(Stop::wrong(
            "--real runs the components of a Flyball application; of others only models can be simulated",
        ));
    }
    let file = design.files.ids().next().ok_or_else(|| Stop::wrong("nothing could be read"))?;
    let name = design.files.name(file);
    let read = flyball_app::read(name, design.files.text(file));
    let application = read.map_err(|wrong| Stop::wrong(wrong.to_string()))?.application;
    let folder = |file: &Path| file.parent().map_or_else(PathBuf::new, Path::to_path_buf);
    Real::new(&application, &folder(Path::new(name)), workload, &folder(traffic))
}

/// What the command line says instead.
fn overrides(workload: &mut Workload, wanted: &Simulate) {
    if let Some(duration) = wanted.duration {
        workload.duration = Some(Span(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)));
    }
    if let Some(tenants) = wanted.tenants {
        for source in workload.traffic.values_mut() {
            if let Tenants::Many { count, .. } = &mut source.tenants {
                *count = tenants;
            }
        }
    }
}

fn plan(design: &Design, profile: &Profile, workload: &Workload, wanted: &Simulate) -> Result<Plan, Stop> {
    let made = match design.platform {
        Platform::Flyball => {
            let file = design.files.ids().next().ok_or_else(|| Stop::wrong("nothing could be read"))?;
            let read = flyball_app::read(design.files.name(file), design.files.text(file));
            let read = read.map_err(|wrong| Stop::wrong(wrong.to_string()))?;
            Plan::flyball(&Arc::new(read.application), workload)
        }
        Platform::Aws => {
            let name = wanted.paths.first().map_or("application", String::as_str);
            Plan::aws(name, design, profile, workload)
        }
    };
    made.map_err(|problems| stop(&problems))
}

pub(super) fn stop(problems: &[Problem]) -> Stop {
    let lines: Vec<String> =
        problems.iter().map(|problem| format!("{}\n  {}", problem.what, problem.help)).collect();
    Stop::wrong(lines.join("\n"))
}

/// Prints, and writes the files that are asked for. Whether it is worse than what it is compared with.
fn say(simulation: &Simulation, design: &Design, wanted: &Simulate, format: Format) -> Result<bool, Stop> {
    let base = wanted.against.as_ref().map(|file| base(file)).transpose()?;
    let against = base.as_ref().map(|(name, other)| (name.as_str(), other));
    let report = Report { simulation, design: Some(design), against };
    let write = |file: &Path, text: String| {
        std::fs::write(file, text)
            .map_err(|error| Stop::wrong(format!("{} can't be written: {error}", file.display())))
    };
    if let Some(file) = &wanted.report {
        write(file, report::page(&report))?;
    }
    if let Some(file) = &wanted.junit {
        write(file, report::junit(&report))?;
    }
    match format {
        Format::Json => print_json(&report::json(simulation)),
        Format::Text => print(&report::text(&report, check::style())),
        Format::Sarif => {
            Err(Stop::wrong("--format sarif is of `check`; simulate has text and json, and --junit"))
        }
    }?;
    let worse = |(name, other)| report::compare(name, other, simulation).verdict == report::Verdict::Worse;
    Ok(against.is_some_and(worse))
}

fn base(file: &Path) -> Result<(String, Simulation), Stop> {
    let name = file.display().to_string();
    let unread = |error: std::io::Error| Stop::wrong(format!("the base {name} can't be read: {error}"));
    let text = bounded(file, report::DOCUMENT_BYTES_MAX).map_err(unread)?.ok_or_else(|| {
        let most = report::DOCUMENT_BYTES_MAX;
        Stop::wrong(format!("the base {name} has more than {most} bytes: simulate writes no such JSON"))
    })?;
    let other = report::read(&text).map_err(|why| Stop::wrong(format!("{name} is no simulation: {why}")))?;
    Ok((name, other))
}

/// Shows how far it is, and hears Ctrl-C.
struct Waiting {
    bar: ProgressBar,
    stopped: Arc<AtomicBool>,
    searching: Once,
}

/// Steps of a progress bar.
const STEPS: u64 = 1_000;

impl Waiting {
    fn start() -> Waiting {
        let bar = ProgressBar::new(STEPS);
        if let Ok(style) =
            ProgressStyle::with_template("{bar:40} {percent} % of the virtual time, {eta} left")
        {
            bar.set_style(style);
        }
        let stopped = Arc::new(AtomicBool::new(false));
        listen(stopped.clone());
        Waiting { bar, stopped, searching: Once::new() }
    }
}

/// The first Ctrl-C ends the simulation, which then says what is known; the second one ends the process.
pub(super) fn listen(stopped: Arc<AtomicBool>) {
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build();
        let Ok(runtime) = runtime else { return };
        runtime.block_on(async {
            while tokio::signal::ctrl_c().await.is_ok() {
                if stopped.swap(true, Ordering::Relaxed) {
                    std::process::exit(130);
                }
            }
        });
    });
}

impl Watch for Waiting {
    fn run(&mut self, now_s: f64, of_s: f64) -> bool {
        self.bar.set_position((now_s / of_s.max(1e-9) * STEPS as f64) as u64);
        self.stopped.load(Ordering::Relaxed)
    }

    fn search(&self, runs: u64) -> bool {
        self.searching.call_once(|| {
            if let Ok(style) =
                ProgressStyle::with_template("{spinner} searching for the load line, {msg}, {elapsed}")
            {
                self.bar.set_style(style);
            }
        });
        self.bar.set_message(format!("{runs} runs"));
        self.bar.tick();
        self.stopped.load(Ordering::Relaxed)
    }
}
