//! The load line: the load at which the first promise breaks, found by trying.
//!
//! A geometric sweep up or down from the stated traffic finds a load that holds and one that breaks; bisection of
//! that bracket finds the line of the first seed. Each other seed begins there and finds its own. Then it is asked what
//! raising the wall's limit would bring, to which load one must go back for it to recover, and which assumptions the
//! answer rests on. What does not depend on one another is done side by side, by whoever lends [`Hands`].
//!
//! All loads that are tried are rungs of one ladder, so that seeds meet at the same ones.

mod horizon;
mod recovery;
mod sensitivity;
mod wall;

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
};

use horizon::Horizon;

use crate::{
    conclude::conclude,
    plan::{Plan, Problem},
    result::{
        BaseRate, CurvePoint, Ended, Figures, LineVerdict, LoadLineResult, PartResult, RunResult, figure,
    },
    world::{Setting, World},
};

/// The highest load that is tried.
pub const LOAD_MAX: f64 = 1_024.0;
/// The lowest load that is tried.
pub const LOAD_MIN: f64 = 1.0 / 1_024.0;
/// Rungs from one load to its double: each load is 2^(1/16), 4.4 %, above the one below.
const DOUBLE: i32 = 16;
/// The rung of [`LOAD_MAX`]; that of [`LOAD_MIN`] is as far down.
const RUNG_MAX: i32 = 10 * DOUBLE;
/// The bracket of the line is so wide, rungs.
const WIDTH: i32 = 1;
/// The same for what is only asked about the line: 14 %.
const WIDTH_COARSE: i32 = 3;
/// The ratio of such a bracket's ends: what moves the line by less is not seen.
const RATIO_COARSE: f64 = 1.15;
/// Happenings of one run of a search. A run that reaches them without breaking ends the sweep.
pub const HAPPENINGS_MAX: u64 = 200_000_000;
/// A run of so much load and so many happenings ends it as well: more load takes longer, and says less. Runs get less
/// than all of the traffic long before ([`horizon`]).
const SWEPT: Swept = Swept { load: 16.0, happenings: 10_000_000 };
/// Seeds that each load is tried with at least.
pub const SEEDS_MIN: usize = 5;

/// How a load line is searched for.
#[derive(Debug, Clone)]
pub struct Search {
    /// Seeds that each load is tried with: at least [`SEEDS_MIN`].
    pub seeds: Vec<u64>,
    /// Also asked: recovery, raising, sensitivity.
    pub thorough: bool,
}

impl Search {
    /// The first seed and those after it.
    pub fn from_seed(seed: u64) -> Search {
        Search { seeds: (0..SEEDS_MIN as u64).map(|n| seed.wrapping_add(n)).collect(), thorough: true }
    }
}

/// Whether a search is to end before it is done. Told how many runs there were.
pub type Halt<'a> = dyn Fn(u64) -> bool + Sync + 'a;

/// A piece of a search. What it finds does not depend on other pieces.
pub type Piece<'a> = Box<dyn FnOnce() + Send + 'a>;

/// Who does the pieces of a search: each once, in any order, side by side where there are cores.
pub trait Hands {
    /// Comes back when all are done.
    fn do_all(&self, pieces: Vec<Piece<'_>>);
}

/// One piece after the other.
#[derive(Debug, Clone, Copy)]
pub struct InTurn;

impl Hands for InTurn {
    fn do_all(&self, pieces: Vec<Piece<'_>>) {
        pieces.into_iter().for_each(|piece| piece());
    }
}

/// Searches for the load line. The answer does not depend on `hands`.
///
/// # Errors
/// Where the plan's traffic is beyond a limit.
pub fn load_line(
    plan: &Plan,
    search: &Search,
    hands: &dyn Hands,
    halt: &Halt<'_>,
) -> Result<LoadLineResult, Problem> {
    let trial = Trial::new(plan, halt);
    let mut trials = Trials { trial: &trial, seeds: &search.seeds, hands, curve: Vec::new() };
    let mut line = LoadLineResult { seeds: search.seeds.clone(), ..LoadLineResult::default() };
    base(plan, &mut line);
    let found = trials.over_seeds()?;
    if line.base_per_s == 0.0 {
        // Users send as they are answered: how much that is shows in a run.
        let first = trials.curve.iter().find(|tried| tried.load == 1.0);
        line.base_per_s = first.map_or(0.0, Tried::arrivals_per_s);
    }
    let Some(found) = found else {
        line.verdict = trials.undecided();
        trials.explain(&mut line, false)?;
        return Ok(trials.into_line(line));
    };
    line.verdict = found;
    trials.explain(&mut line, search.thorough)?;
    Ok(trials.into_line(line))
}

/// Where the line lies.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Bracket {
    Between { holds: f64, breaks: f64 },
    Never { tried: f64 },
    Zero { tried: f64 },
}

/// The load of a rung.
fn load_at(rung: i32) -> f64 {
    libm::exp2(f64::from(rung) / f64::from(DOUBLE))
}

/// The rung that is nearest to a load.
fn rung_of(load: f64) -> i32 {
    let rung = libm::round(libm::log2(load.clamp(LOAD_MIN, LOAD_MAX)) * f64::from(DOUBLE));
    rung as i32
}

/// Where a sweep begins. Its first step is so many rungs, each later one twice as many, up to [`DOUBLE`].
#[derive(Debug, Clone, Copy)]
struct Start {
    rung: i32,
    up: i32,
    down: i32,
}

impl Start {
    /// The same both ways.
    fn at(rung: i32, step: i32) -> Start {
        Start { rung, up: step, down: step }
    }
}

/// A bracket of the line no wider than `width` rungs. `None`: broken off.
fn bracket(
    start: Start,
    width: i32,
    holds: &mut dyn FnMut(f64) -> Result<Option<bool>, Problem>,
) -> Result<Option<Bracket>, Problem> {
    let from = start.rung.clamp(-RUNG_MAX, RUNG_MAX);
    let Some(first) = holds(load_at(from))? else { return Ok(None) };
    let (mut held, mut broke, mut step) =
        if first { (from, None, start.up) } else { (-RUNG_MAX - 1, Some(from), start.down) };
    let mut broken = loop {
        let next = match broke {
            None if held >= RUNG_MAX => return Ok(Some(Bracket::Never { tried: load_at(held) })),
            None => (held + step).min(RUNG_MAX),
            Some(broke) if held >= -RUNG_MAX => break broke,
            Some(broke) if broke <= -RUNG_MAX => {
                return Ok(Some(Bracket::Zero { tried: load_at(broke) }));
            }
            Some(broke) => (broke - step).max(-RUNG_MAX),
        };
        let Some(holds) = holds(load_at(next))? else { return Ok(None) };
        if holds {
            held = next;
        } else {
            broke = Some(next);
        }
        step = (step * 2).min(DOUBLE);
    };
    while broken - held > width {
        let between = held + (broken - held) / 2;
        let Some(holds) = holds(load_at(between))? else { return Ok(None) };
        if holds { held = between } else { broken = between }
    }
    Ok(Some(Bracket::Between { holds: load_at(held), breaks: load_at(broken) }))
}

/// Where a sweep upwards ends though nothing breaks.
#[derive(Debug, Clone, Copy)]
struct Swept {
    load: f64,
    happenings: u64,
}

impl Swept {
    fn reached(self, load: f64, run: &RunResult) -> bool {
        run.about.ended == Ended::EventsMax
            || load >= self.load && run.about.events_simulated >= self.happenings
    }
}

/// Runs of a search, and when they are to end.
struct Trial<'a> {
    plan: &'a Plan,
    horizon: Horizon,
    swept: Swept,
    halt: &'a Halt<'a>,
    runs: AtomicU64,
    halted: AtomicBool,
}

/// What was tried so far.
struct Trials<'a> {
    trial: &'a Trial<'a>,
    seeds: &'a [u64],
    hands: &'a dyn Hands,
    curve: Vec<Tried>,
}

/// One load, with the seeds that it was tried with.
struct Tried {
    load: f64,
    /// By seed.
    runs: BTreeMap<u64, RunResult>,
}

/// What was tried with one seed, and where its line lies. `None`: broken off.
#[derive(Default)]
struct OfSeed {
    runs: Vec<(f64, RunResult)>,
    found: Option<Bracket>,
}

impl Tried {
    /// What came in, the median over the seeds of its mean.
    fn arrivals_per_s(&self) -> f64 {
        let of = |run: &RunResult| run.about.arrivals as f64 / run.about.simulated_s.max(1e-6);
        let mut all: Vec<f64> = self.runs.values().map(of).collect();
        all.sort_by(f64::total_cmp);
        figure(all.get(all.len() / 2).copied().unwrap_or(0.0))
    }

    fn holds(&self) -> bool {
        self.runs.values().all(|run| run.broken().next().is_none())
    }
}

impl<'a> Trial<'a> {
    fn new(plan: &'a Plan, halt: &'a Halt<'a>) -> Trial<'a> {
        Trial {
            plan,
            horizon: Horizon::new(plan),
            swept: SWEPT,
            halt,
            runs: AtomicU64::new(0),
            halted: AtomicBool::new(false),
        }
    }

    /// Whether the search is broken off.
    fn halts(&self, runs: u64) -> bool {
        if !self.halted.load(Ordering::Relaxed) && (self.halt)(runs) {
            self.halted.store(true, Ordering::Relaxed);
        }
        self.halted.load(Ordering::Relaxed)
    }

    /// One run, of the busiest part where all would take too long. `None`: the search was broken off.
    fn one(&self, plan: &Plan, seed: u64, load: f64) -> Result<Option<RunResult>, Problem> {
        let part = self.horizon.plan(plan, load);
        let run = self.as_it_is(part.as_ref().unwrap_or(plan), seed, load)?;
        if let Some(run) = &run {
            self.horizon.learn(run, load);
        }
        Ok(run)
    }

    fn as_it_is(&self, plan: &Plan, seed: u64, load: f64) -> Result<Option<RunResult>, Problem> {
        if self.halts(self.runs.load(Ordering::Relaxed)) {
            return Ok(None);
        }
        let runs = self.runs.fetch_add(1, Ordering::Relaxed) + 1;
        let setting = Setting { seed, load, happenings_max: HAPPENINGS_MAX };
        let mut halted = false;
        let tally = World::new(plan, setting)?.run(&mut |_| {
            halted = halted || self.halts(runs);
            halted
        });
        Ok((!halted).then(|| conclude(plan, setting, &tally)))
    }

    /// The line of a plan, and each run that says something of it. `None`: broken off.
    fn search(
        &self,
        (plan, seed): (&Plan, u64),
        start: Start,
        width: i32,
        tell: &mut dyn FnMut(f64, RunResult),
    ) -> Result<Option<Bracket>, Problem> {
        let (mut broke, mut lowest, mut swept) = (false, f64::INFINITY, None);
        let found = bracket(start, width, &mut |load| {
            let Some(run) = self.one(plan, seed, load)? else { return Ok(None) };
            let holds = run.broken().next().is_none();
            if holds && broke && run.about.arrivals == 0 {
                // So little load that nothing comes: what breaks with the least there is breaks at zero.
                return Ok(Some(false));
            }
            broke |= !holds;
            lowest = lowest.min(load);
            if !broke && self.swept.reached(load, &run) {
                swept = Some(load);
            }
            tell(load, run);
            Ok(swept.is_none().then_some(holds))
        })?;
        Ok(match (found, swept) {
            (None, Some(tried)) => Some(Bracket::Never { tried }),
            (Some(Bracket::Zero { .. }), _) => Some(Bracket::Zero { tried: lowest }),
            (found, _) => found,
        })
    }

    /// The line of one seed.
    fn of_seed(&self, seed: u64, start: Start) -> Result<OfSeed, Problem> {
        let mut runs = Vec::new();
        let found = self.search((self.plan, seed), start, WIDTH, &mut |load, run| runs.push((load, run)))?;
        Ok(OfSeed { runs, found })
    }
}

impl Trials<'_> {
    /// The line of the first seed, and those of the others from there on; then the line over all. `None`: broken
    /// off.
    fn over_seeds(&mut self) -> Result<Option<LineVerdict>, Problem> {
        let Some((&first, rest)) = self.seeds.split_first() else { return Ok(None) };
        let first = self.trial.of_seed(first, Start::at(0, DOUBLE))?;
        // The other seeds' lines are near.
        let start = match first.found {
            Some(Bracket::Between { holds, .. }) => Start::at(rung_of(holds), WIDTH),
            Some(Bracket::Never { tried }) => Start::at(rung_of(tried), DOUBLE),
            Some(Bracket::Zero { .. }) | None => return Ok(self.over(vec![first])),
        };
        let trial = self.trial;
        let others = side_by_side(self.hands, rest, |seed| trial.of_seed(*seed, start));
        let all = std::iter::once(Ok(first)).chain(others).collect::<Result<Vec<_>, _>>()?;
        Ok(self.over(all))
    }

    /// The line over the seeds.
    fn over(&mut self, all: Vec<OfSeed>) -> Option<LineVerdict> {
        let found: Option<Vec<Bracket>> = all.iter().map(|one| one.found).collect();
        for (one, seed) in all.into_iter().zip(self.seeds) {
            for (load, run) in one.runs {
                match self.curve.iter_mut().find(|tried| tried.load == load) {
                    Some(tried) => _ = tried.runs.insert(*seed, run),
                    None => self.curve.push(Tried { load, runs: BTreeMap::from([(*seed, run)]) }),
                }
            }
        }
        let (mut low, mut high, mut broke) = (f64::INFINITY, 0.0_f64, f64::INFINITY);
        for bracket in found? {
            match bracket {
                Bracket::Between { holds, breaks } => {
                    (low, high, broke) = (low.min(holds), high.max(holds), broke.min(breaks));
                }
                // Where one seed goes on for ever another may not: it counts as the highest.
                Bracket::Never { tried } => (low, high) = (low.min(tried), high.max(tried)),
                Bracket::Zero { tried } => {
                    return Some(LineVerdict::BreaksAtZero { tried_down_to: figure(tried) });
                }
            }
        }
        if broke.is_infinite() {
            return Some(LineVerdict::NeverBreaks { tried_up_to: figure(low) });
        }
        Some(LineVerdict::Found {
            holds_at: figure(low),
            breaks_at: figure(broke),
            seeds_low: figure(low),
            seeds_high: figure(high),
        })
    }

    fn undecided(&self) -> LineVerdict {
        let breaks = self.curve.iter().filter(|t| !t.holds()).map(|t| t.load).fold(f64::INFINITY, f64::min);
        // One seed may hold where another breaks.
        let held = self.curve.iter().filter(|t| t.holds() && t.load < breaks);
        let holds = held.map(|t| t.load).fold(0.0, f64::max);
        if self.curve.is_empty() {
            return LineVerdict::Undecided;
        }
        LineVerdict::Between {
            holds_at: figure(holds),
            breaks_at: if breaks.is_finite() { figure(breaks) } else { 0.0 },
        }
    }

    /// The lowest load of which only a part was run, and the shortest part.
    fn part(&self) -> Option<PartResult> {
        let of_s = figure(self.trial.plan.duration.0 as f64 / 1e6);
        let runs = self.curve.iter().flat_map(|tried| tried.runs.values().map(|run| (tried.load, run)));
        let parts =
            runs.map(|(load, run)| (load, run.about.duration_s)).filter(|(_, lasts_s)| *lasts_s < of_s);
        parts.fold(None, |part, (load, lasts_s)| {
            let before = part.unwrap_or(PartResult { from_load: f64::INFINITY, lasts_s, of_s });
            let from_load = before.from_load.min(figure(load));
            Some(PartResult { from_load, lasts_s: before.lasts_s.min(lasts_s), of_s })
        })
    }

    /// Everything that was tried, as the result has it.
    fn into_line(self, mut line: LoadLineResult) -> LoadLineResult {
        let mut curve: Vec<CurvePoint> = self.curve.iter().map(point).collect();
        curve.sort_by(|a, b| a.load_factor.total_cmp(&b.load_factor));
        curve.extend(std::mem::take(&mut line.curve));
        line.curve = curve;
        line.part = self.part();
        line.broken_off = self.trial.halted.load(Ordering::Relaxed);
        line.runs = self.trial.runs.load(Ordering::Relaxed);
        line
    }
}

/// What comes of each, in their order.
fn side_by_side<T: Sync, R: Send>(hands: &dyn Hands, of: &[T], each: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let mut found: Vec<Option<R>> = of.iter().map(|_| None).collect();
    let each = &each;
    let pieces =
        of.iter().zip(&mut found).map(|(of, found)| Box::new(move || *found = Some(each(of))) as Piece<'_>);
    hands.do_all(pieces.collect());
    found.into_iter().flatten().collect()
}

/// What the factor 1 means.
fn base(plan: &Plan, line: &mut LoadLineResult) {
    for source in plan.sources.iter().filter(|source| source.source.scaled) {
        let name = &source.label;
        let arrivals = crate::arrivals::Arrivals::new(name, &source.source, plan.window, 1.0, 0);
        let peak = arrivals.map_or(0.0, |arrivals| arrivals.peak_per_s());
        line.base.push(BaseRate { source: name.clone(), peak_per_s: figure(peak) });
    }
    line.base_per_s = figure(line.base.iter().map(|base| base.peak_per_s).sum());
}

/// A load that was tried: what was measured, over its seeds.
fn point(tried: &Tried) -> CurvePoint {
    let all: Vec<Figures> = tried.runs.values().map(figures).collect();
    let over = |pick: &dyn Fn(&[f64]) -> Option<f64>| {
        let of = |of: &dyn Fn(&Figures) -> f64| {
            let mut values: Vec<f64> = all.iter().map(of).collect();
            values.sort_by(f64::total_cmp);
            figure(pick(&values).unwrap_or(0.0))
        };
        Figures {
            goodput_per_s: of(&|one| one.goodput_per_s),
            p99_ms: of(&|one| one.p99_ms),
            dwell_p99_ms: of(&|one| one.dwell_p99_ms),
            errors_percent: of(&|one| one.errors_percent),
            throttled_percent: of(&|one| one.throttled_percent),
            dead_letters: of(&|one| one.dead_letters),
            dropped: of(&|one| one.dropped),
            backlog_end: of(&|one| one.backlog_end),
            cost_usd_per_month: of(&|one| one.cost_usd_per_month),
        }
    };
    let mut broken: Vec<String> =
        tried.runs.values().flat_map(|run| run.broken().map(|promise| promise.promise.clone())).collect();
    broken.sort_unstable();
    broken.dedup();
    CurvePoint {
        load_factor: figure(tried.load),
        arrivals_per_s: tried.arrivals_per_s(),
        on_way_back: false,
        holds: tried.holds(),
        seeds_tried: tried.runs.len() as u64,
        seeds_broken: tried.runs.values().filter(|run| run.broken().next().is_some()).count() as u64,
        broken,
        median: over(&|values| values.get(values.len() / 2).copied()),
        min: over(&|values| values.first().copied()),
        max: over(&|values| values.last().copied()),
    }
}

/// What is told of one run of a search.
fn figures(run: &RunResult) -> Figures {
    let answers = run.sources.iter().filter(|s| s.synchronous).map(|s| s.latency.p99_ms).fold(0.0, f64::max);
    let runs = || run.functions.iter().map(|f| f.duration.p99_ms).fold(0.0, f64::max);
    let (failed, arrivals): (u64, u64) =
        run.sources.iter().fold((0, 0), |(failed, all), s| (failed + s.failed, all + s.arrivals));
    let throttled = run.platform.throttled as f64;
    let answered = run.sources.iter().map(|s| s.answered).sum::<u64>() as f64;
    Figures {
        goodput_per_s: answered / run.about.simulated_s.max(1e-6),
        p99_ms: if answers > 0.0 { answers } else { runs() },
        dwell_p99_ms: run.platform.dwell.p99_ms,
        errors_percent: failed as f64 * 100.0 / (arrivals as f64).max(1.0),
        throttled_percent: throttled * 100.0 / (throttled + run.platform.invocations as f64).max(1.0),
        dead_letters: run.nodes.iter().flat_map(|n| n.dead_letters.values()).sum::<u64>() as f64,
        dropped: run.nodes.iter().flat_map(|n| n.dropped.values()).sum::<u64>() as f64,
        backlog_end: run.nodes.iter().map(|n| n.backlog_end).sum::<u64>() as f64,
        cost_usd_per_month: run.cost.usd_per_month,
    }
}

#[cfg(test)]
mod tests;
