//! `flyball check`: the walls of a design, before it is deployed.
//!
//! - `sources`: which files are read, from the disk or from a git revision, within bounds.
//! - `mend`: `--fix`: changes files, and looks again.
//! - `wait`: what a person sees who waits.
//!
//! What is found is `flyball_app`'s, and so is how it is said.

mod mend;
mod sources;
mod wait;

use std::{
    io::IsTerminal as _,
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use flyball_app::{
    check::{self as rules, About, Baseline, Finding, Level, Look, RULES_VERSION, Rule},
    design::{Design, Platform, Unresolved},
    document::{FileId, Span},
    import::{Imported, Input, Options, Problem, import, stacks},
    profile::{Given, Profile},
    report::{self, Against, Drawing, Report, Style},
    workload::observed::Observed,
};

use crate::{
    arguments::{Check, Deny, Deployed, Format},
    stop::{Stop, print, print_json},
    table,
};
use sources::{Disk, Gathered, Revision, Sources, Unread};

/// Problems that are told where nothing could be read.
const PROBLEMS_TOLD: usize = 5;

/// What was looked at, and what was found.
struct Looked {
    imported: Imported,
    profile: Profile,
    findings: Vec<Finding>,
}

/// What is the same for each look of a run.
struct Asked {
    options: Options,
    /// The profile that the user names; without one the file's platform decides.
    stated: Option<Stated>,
    /// What traces show.
    observed: Option<(String, Observed)>,
    rules: Vec<&'static dyn Rule>,
    rules_version: u32,
    /// Whether good practice is asked for too.
    advice: bool,
}

/// Checks and prints.
///
/// # Errors
/// Findings at or above the denied level: exit 1. Nothing that could be read, or a wrong command line: exit 2.
pub fn run(wanted: &Check, format: Format) -> Result<(), Stop> {
    let asked = Asked::of(wanted)?;
    let drawing = wanted.graph.as_deref().map(Graph::of).transpose()?;
    let waiting = wait::Waiting::start();
    let disk = Disk;
    let gathered = sources::gather(&disk, &wanted.paths)?;
    let mut looked = asked.look(&gathered, &disk);
    let mut mended = None;
    if wanted.fix || wanted.fix_unsafe {
        let (said, after) = mend::run(wanted, &asked, &gathered, looked)?;
        (mended, looked) = (Some(said), after);
    }
    if let Some(file) = &wanted.write_baseline {
        drop(waiting);
        return write_baseline(file, &looked.findings);
    }
    let against = match &wanted.against {
        None => None,
        Some(base) => {
            let known = known(base, &wanted.paths, &asked)?;
            let compared = known.compare(std::mem::take(&mut looked.findings));
            looked.findings = compared.new;
            Some(Against { base: base.clone(), known: compared.known, gone: compared.gone })
        }
    };
    drop(waiting);
    let about: Vec<&'static About> = asked.rules.iter().map(|rule| rule.about()).collect();
    let report = Report {
        design: &looked.imported.design,
        problems: &looked.imported.problems,
        findings: &looked.findings,
        rules: &about,
        rules_version: asked.rules_version,
        profile: looked.profile.name(),
        files_read: looked.imported.read,
        against: against.as_ref(),
    };
    say(&report, format, drawing.as_ref(), mended.as_deref())?;
    verdict(&looked, wanted.deny)
}

impl Asked {
    fn of(wanted: &Check) -> Result<Asked, Stop> {
        let rules_version = wanted.rules_version.unwrap_or(RULES_VERSION);
        if rules_version == 0 || rules_version > RULES_VERSION {
            let message = format!("--rules-version {rules_version}: there are 1 to {RULES_VERSION}");
            return Err(Stop::wrong(message));
        }
        let kept = |about: &About| {
            about.since <= rules_version && (wanted.advice || about.severity > rules::Severity::Advice)
        };
        Ok(Asked {
            options: options(&wanted.deployed),
            stated: wanted.profile.as_deref().map(Stated::of).transpose()?,
            observed: observed(&wanted.xray, &wanted.names)?,
            rules: rules::ours().into_iter().filter(|rule| kept(rule.about())).collect(),
            rules_version,
            advice: wanted.advice,
        })
    }

    /// Reads the files and runs the rules.
    fn look(&self, gathered: &Gathered, sources: &dyn Sources) -> Looked {
        let local = |path: &str| sources::local(sources, &gathered.roots, path);
        let mut imported = import(gathered.inputs.clone(), &self.options, &local);
        add_unread(gathered, &mut imported);
        if let Some(observed) = &self.observed {
            add_observed(observed, &mut imported.design);
        }
        let (profile, given) = match &self.stated {
            Some(stated) => {
                stated.note_strangers(&mut imported.design);
                (stated.profile.clone(), stated.given.clone())
            }
            None => (platforms(&imported.design), Given::default()),
        };
        let given = Given { today: given.today.or_else(|| Some(today())), ..given };
        let look = Look { design: &imported.design, profile: &profile, given: &given };
        let mut findings = rules::check(&look, &self.rules);
        findings.retain(|finding| self.advice || finding.level > Level::Advice);
        Looked { imported, profile, findings }
    }
}

/// Exports of X-Ray, where any are named.
fn observed(xray: &[PathBuf], names: &[PathBuf]) -> Result<Option<(String, Observed)>, Stop> {
    let Some(first) = xray.first() else { return Ok(None) };
    let mut observed = Observed::default();
    crate::import::take(&mut observed, names, Observed::names)?;
    crate::import::take(&mut observed, xray, Observed::service_graph)?;
    Ok(Some((first.display().to_string(), observed)))
}

/// Adds what traces show; where none of it is of these files, that is stated.
fn add_observed((name, observed): &(String, Observed), design: &mut Design) {
    let connected = observed.connect(design);
    if connected.found > 0 || connected.calls == 0 {
        return;
    }
    let file = design.files.add(name, String::new());
    let what = format!(
        "none of the calls in the traces ({}) is between resources of these files: --names says which deployed name \
         is which logical id",
        connected.calls
    );
    design.unresolved.push(Unresolved { span: Span { file, start: 0, end: 0 }, resource: None, what });
}

/// The profile of a design's own platform.
fn platforms(design: &Design) -> Profile {
    let name = match design.platform {
        Platform::Aws => "aws",
        Platform::Flyball => "flyball",
    };
    Profile::built_in(name).unwrap_or_default()
}

fn options(deployed: &Deployed) -> Options {
    Options {
        parameters: deployed.parameters.iter().cloned().collect(),
        stage: deployed.stage.clone(),
        region: deployed.region.clone(),
    }
}

/// The design that paths name, with the limits of a profile or of its own platform.
///
/// # Errors
/// Where nothing could be read, or the profile can't be.
pub(crate) fn design(
    paths: &[String],
    deployed: &Deployed,
    stated: Option<&str>,
) -> Result<(Design, Profile), Stop> {
    let gathered = sources::gather(&Disk, paths)?;
    let local = |path: &str| sources::local(&Disk, &gathered.roots, path);
    let mut imported = import(gathered.inputs.clone(), &options(deployed), &local);
    if imported.read == 0 {
        add_unread(&gathered, &mut imported);
        return Err(Stop::wrong(nothing_read(&imported)));
    }
    let profile = match stated {
        Some(name) => Stated::of(name)?.profile,
        None => platforms(&imported.design),
    };
    Ok((imported.design, profile))
}

/// The applications of a directory: the files of templates that no other one names. Templates that a CDK assembly or a
/// composition of services names belong together, and are one.
///
/// # Errors
/// Where nothing could be read.
pub(crate) fn applications(directory: &str, deployed: &Deployed) -> Result<Vec<String>, Stop> {
    let gathered = sources::gather(&Disk, &[directory.to_string()])?;
    let base = |name: &str| name.rsplit('/').next().unwrap_or(name).to_ascii_lowercase();
    let names_others = |name: &str| {
        let base = base(name);
        base == "manifest.json" || base.starts_with("serverless-compose.")
    };
    if gathered.inputs.iter().any(|input| names_others(&input.name)) {
        return Ok(vec![directory.to_string()]);
    }
    let own = gathered.inputs.iter().filter(|input| base(&input.name) == "flyball.toml");
    let mut files: Vec<String> = own.map(|input| input.name.clone()).collect();
    let local = |path: &str| sources::local(&Disk, &gathered.roots, path);
    let read = stacks(gathered.inputs.clone(), &options(deployed), &local);
    let nested: Vec<&String> =
        read.stacks.iter().flat_map(|stack| &stack.nested).map(|(_, name)| name).collect();
    let roots = read.stacks.iter().filter(|stack| !nested.contains(&&stack.name));
    files.extend(roots.map(|stack| read.files.name(stack.file).to_string()));
    files.sort_unstable();
    files.dedup();
    Ok(files)
}

/// A template that was made, and the limits that are asked for.
pub(crate) fn design_of(template: String, stated: Option<&str>) -> Result<(Design, Profile), Stop> {
    let inputs = vec![Input { name: "trace".into(), text: template }];
    let imported = import(inputs, &Options::default(), &|_| None);
    let profile = match stated {
        Some(name) => Stated::of(name)?.profile,
        None => platforms(&imported.design),
    };
    Ok((imported.design, profile))
}

/// The day, in UTC: runtimes have one on which their support ends.
fn today() -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let micros = u64::try_from(now.as_micros()).unwrap_or(u64::MAX);
    table::moment(micros).split(' ').next().unwrap_or_default().to_string()
}

/// What could not be read is a problem at its place, as what is wrong within a file.
fn add_unread(gathered: &Gathered, imported: &mut Imported) {
    imported.problems.extend(gathered.unread.iter().map(|unread| {
        let file = imported.design.files.add(&unread.name, unread.text.clone());
        problem(unread, file)
    }));
}

/// Why nothing could be read: the first problems, each with its place and what to do.
fn nothing_read(imported: &Imported) -> String {
    let told = imported.problems.iter().take(PROBLEMS_TOLD).map(|problem| {
        let place = imported.design.files.place(problem.span);
        let Problem { code, message, help, .. } = problem;
        format!(
            "error[{code}]: {message}\n --> {}:{}:{}\n  = help: {help}\n\n",
            place.file, place.line, place.column
        )
    });
    told.chain(["nothing could be read".into()]).collect()
}

fn problem(unread: &Unread, file: FileId) -> Problem {
    let at = u32::try_from(unread.at).unwrap_or(0);
    Problem {
        code: unread.code,
        span: Span { file, start: at, end: at },
        message: unread.message.clone(),
        help: unread.help.into(),
    }
}

/// A profile that the user names: a built-in one, or a file's.
struct Stated {
    name: String,
    /// The file's; empty for a built-in one.
    text: String,
    profile: Profile,
    given: Given,
}

impl Stated {
    fn of(name: &str) -> Result<Stated, Stop> {
        if let Some(profile) = Profile::built_in(name) {
            return Ok(Stated { name: name.into(), text: String::new(), profile, given: Given::default() });
        }
        let text = std::fs::read_to_string(name).map_err(|error| {
            let names: Vec<&str> = Profile::names().collect();
            Stop::wrong(format!(
                "the profile {name} can't be read: {error}; it is a file, or {}",
                names.join(" or ")
            ))
        })?;
        let (profile, given) = Profile::with(name, &text).map_err(|wrong| Stop::wrong(wrong.to_string()))?;
        Ok(Stated { name: name.into(), text, profile, given })
    }

    /// States what the file says of names that nothing in the design has: mostly a slip of the pen.
    fn note_strangers(&self, design: &mut Design) {
        let strangers = self.given.strangers(design);
        if strangers.is_empty() {
            return;
        }
        let file = design.files.add(&self.name, self.text.clone());
        for (table, name) in strangers {
            let at = [format!("[{table}.{name}]"), format!("[{table}.\"{name}\"]"), name.clone()];
            let at = at.iter().find_map(|words| self.text.find(words.as_str())).unwrap_or(0);
            let start = u32::try_from(at).unwrap_or(0);
            let span = Span { file, start, end: start };
            let what = format!("[{table}.{name}] is stated, and nothing in these files is named {name}");
            design.unresolved.push(Unresolved { span, resource: None, what });
        }
    }
}

/// What a base has: a baseline file, or the same paths at a git revision, looked at in the same way.
fn known(base: &str, paths: &[String], asked: &Asked) -> Result<Baseline, Stop> {
    if Path::new(base).is_file() {
        let text = std::fs::read_to_string(base)
            .map_err(|error| Stop::wrong(format!("the baseline {base} can't be read: {error}")))?;
        return Baseline::read(&text).map_err(|why| Stop::wrong(format!("{base} is no baseline: {why}")));
    }
    let revision = Revision::of(base)?;
    let gathered = sources::gather_known(&revision, paths)?;
    Ok(Baseline::of(&asked.look(&gathered, &revision).findings))
}

fn write_baseline(file: &Path, findings: &[Finding]) -> Result<(), Stop> {
    std::fs::write(file, rules::baseline_file(findings))
        .map_err(|error| Stop::wrong(format!("{} can't be written: {error}", file.display())))?;
    let count = findings.iter().filter(|finding| finding.suppressed.is_none()).count();
    let plural = if count == 1 { "" } else { "s" };
    print(&format!("wrote {}: {count} known finding{plural}\n", file.display()))
}

/// A drawing that was asked for.
struct Graph {
    drawing: Drawing,
    /// `None`: standard output.
    file: Option<PathBuf>,
}

impl Graph {
    fn of(wanted: &str) -> Result<Graph, Stop> {
        let by_word = |word: &str| match word {
            "svg" => Some(Drawing::Svg),
            "dot" | "gv" => Some(Drawing::Dot),
            "mermaid" | "mmd" => Some(Drawing::Mermaid),
            _ => None,
        };
        if let Some(drawing) = by_word(wanted) {
            return Ok(Graph { drawing, file: None });
        }
        let ending = Path::new(wanted).extension().and_then(|ending| ending.to_str());
        match ending.and_then(by_word) {
            Some(drawing) => Ok(Graph { drawing, file: Some(wanted.into()) }),
            None => Err(Stop::wrong(format!(
                "--graph {wanted}: name a file that ends with .svg, .dot or .mmd, or write dot or mermaid"
            ))),
        }
    }
}

/// Prints the report, and the drawing where one was asked for.
fn say(report: &Report<'_>, format: Format, graph: Option<&Graph>, mended: Option<&str>) -> Result<(), Stop> {
    if let Some(graph) = graph {
        let text = report::graph(report, graph.drawing);
        match &graph.file {
            None => return print(&text),
            Some(file) => std::fs::write(file, text)
                .map_err(|error| Stop::wrong(format!("{} can't be written: {error}", file.display())))?,
        }
    }
    match format {
        Format::Json => print_json(&report::json(report)),
        Format::Sarif => print_json(&report::sarif(report)),
        Format::Text => {
            let text = report::text(report, style());
            print(&format!("{}{text}", mended.unwrap_or("")))
        }
    }
}

/// As the terminal takes it: colour only there and where nobody wants it away, our own characters only where
/// the locale has them.
pub(crate) fn style() -> Style {
    let is = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    let terminal = std::io::stdout().is_terminal();
    let colour = terminal && is("NO_COLOR").is_none() && is("TERM").is_none_or(|term| term != "dumb");
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(is);
    let plain = locale.is_some_and(|locale| {
        let locale = locale.to_string_lossy().to_ascii_lowercase();
        !locale.contains("utf-8") && !locale.contains("utf8")
    });
    // Without a terminal nobody knows the reader's locale: what is piped is UTF-8.
    Style { colour, ascii: terminal && plain, ..Style::default() }
}

/// The exit code.
fn verdict(looked: &Looked, deny: Deny) -> Result<(), Stop> {
    if looked.imported.read == 0 {
        return Err(Stop::wrong("nothing could be read"));
    }
    let denied = match deny {
        Deny::Error => Level::Error,
        Deny::Warning => Level::Warning,
    };
    let over = |finding: &Finding| finding.suppressed.is_none() && finding.level >= denied;
    if looked.findings.iter().any(over) { Err(Stop::silent()) } else { Ok(()) }
}
