//! `--fix` and `--fix-unsafe`: changes the files, and looks again whether that mended what was found.

use std::{collections::BTreeMap, fmt::Write as _, path::Path};

use flyball_app::{
    check::{
        Finding,
        fix::{Mend, mend},
    },
    import::Input,
};
use similar::TextDiff;

use super::{Asked, Disk, Gathered, Looked, sources};
use crate::{arguments::Check, stop::Stop, table::plain};

/// Lines around a change in a diff.
const CONTEXT_LINES: usize = 3;

/// Mends what can be mended. Says what was done, and what is left is found anew.
///
/// # Errors
/// A file that can't be written, or a change that does not mend what it was made for: then nothing is written.
pub(super) fn run(
    wanted: &Check,
    asked: &Asked,
    gathered: &Gathered,
    before: Looked,
) -> Result<(String, Looked), Stop> {
    let which = if wanted.fix_unsafe { Mend::All } else { Mend::Safe };
    let files = &before.imported.design.files;
    let mut findings = before.findings.clone();
    // What a tool wrote is written anew by it: its source must be mended.
    findings.iter_mut().filter(|finding| is_generated(finding)).for_each(|finding| finding.fix = None);
    let mended = mend(files, &findings, which);
    let mut said = String::new();
    for (at, why) in &mended.refused {
        if let Some(finding) = findings.get(*at) {
            let _ = writeln!(said, "not mended: {} at {}: {why}", finding.code, plain(&finding.resource));
        }
    }
    if mended.files.is_empty() {
        said.push_str(&nothing(which, &findings));
        return Ok((said, before));
    }
    let changed: BTreeMap<&str, &str> =
        mended.files.iter().map(|(file, text)| (files.name(*file), text.as_str())).collect();
    for (file, text) in &mended.files {
        let name = plain(files.name(*file));
        if wanted.fix_unsafe || wanted.dry_run {
            said.push_str(&diff(&name, files.text(*file), text));
        }
    }
    let after = look_again(asked, gathered, &changed);
    let made: Vec<&Finding> = mended.made.iter().filter_map(|(at, _)| findings.get(*at)).collect();
    holds(&before, &after, &made)?;
    let count = made.len();
    let plural = if count == 1 { "" } else { "s" };
    if wanted.dry_run {
        let _ = writeln!(said, "{count} finding{plural} would be mended\n");
        return Ok((said, before));
    }
    for (name, text) in &changed {
        write(name, text)?;
    }
    let names: Vec<String> = changed.keys().map(|name| plain(name)).collect();
    let _ = writeln!(said, "{count} finding{plural} mended in {}\n", names.join(", "));
    Ok((said, after))
}

/// What is said where nothing is changed, and with which option something would be.
fn nothing(which: Mend, findings: &[Finding]) -> String {
    let others = findings.iter().filter(|finding| {
        which == Mend::Safe
            && finding.suppressed.is_none()
            && finding.fix.as_ref().is_some_and(|fix| !fix.safe)
    });
    match others.count() {
        0 => "nothing to mend\n\n".to_string(),
        1 => "nothing to mend without --fix-unsafe; with it, 1 finding\n\n".to_string(),
        count => format!("nothing to mend without --fix-unsafe; with it, {count} findings\n\n"),
    }
}

/// Whether a finding is in what another tool makes of its sources.
fn is_generated(finding: &Finding) -> bool {
    finding.construct_path.is_some() || finding.place.file == "stdin" || finding.place.file == "stdin.json"
}

/// The same look at the changed texts.
fn look_again(asked: &Asked, gathered: &Gathered, changed: &BTreeMap<&str, &str>) -> Looked {
    let inputs = gathered.inputs.iter().map(|input| Input {
        name: input.name.clone(),
        text: changed.get(input.name.as_str()).map_or_else(|| input.text.clone(), |text| (*text).to_string()),
    });
    asked.look(&gathered.with(inputs.collect()), &Over { changed })
}

/// The disk as it will be.
struct Over<'a> {
    changed: &'a BTreeMap<&'a str, &'a str>,
}

impl sources::Sources for Over<'_> {
    fn is(&self, path: &str) -> Option<sources::Is> {
        Disk.is(path)
    }
    fn read(&self, path: &str) -> Result<Vec<u8>, sources::Refused> {
        match self.changed.get(path) {
            Some(text) => Ok(text.as_bytes().to_vec()),
            None => Disk.read(path),
        }
    }
    fn list(&self, directory: &str) -> Vec<(String, sources::Is)> {
        Disk.list(directory)
    }
    fn escapes(&self, root: &str, path: &str) -> bool {
        Disk.escapes(root, path)
    }
}

/// A change that breaks a file, or that does not mend, is a fault of ours and must not be written.
fn holds(before: &Looked, after: &Looked, made: &[&Finding]) -> Result<(), Stop> {
    let count = |looked: &Looked, fingerprint: &str| {
        looked.findings.iter().filter(|finding| finding.fingerprint == fingerprint).count()
    };
    if after.imported.problems.len() > before.imported.problems.len() {
        return Err(Stop::wrong("nothing was written: a changed file could not be read again"));
    }
    for finding in made {
        if count(after, &finding.fingerprint) >= count(before, &finding.fingerprint) {
            let place = &finding.place;
            return Err(Stop::wrong(format!(
                "nothing was written: the change for {} at {}:{} does not mend it; please report this",
                finding.code, place.file, place.line
            )));
        }
    }
    Ok(())
}

fn diff(name: &str, old: &str, new: &str) -> String {
    let diff = TextDiff::from_lines(old, new);
    let mut unified = diff.unified_diff();
    let text =
        unified.context_radius(CONTEXT_LINES).header(&format!("a/{name}"), &format!("b/{name}")).to_string();
    // Lines are the user's own, but not their control characters.
    let clean: String = text.split('\n').map(|line| plain(line.trim_end_matches('\r')) + "\n").collect();
    clean
}

/// In one step: whoever reads the file meanwhile sees all of it, old or new.
fn write(name: &str, text: &str) -> Result<(), Stop> {
    let failed = |error: &dyn std::fmt::Display| Stop::wrong(format!("{name} can't be written: {error}"));
    // Where the name is a link, what it leads to is written.
    let path = std::fs::canonicalize(name).map_err(|error| failed(&error))?;
    let folder = path.parent().unwrap_or(Path::new("/"));
    let mut beside = tempfile::NamedTempFile::new_in(folder).map_err(|error| failed(&error))?;
    std::io::Write::write_all(&mut beside, text.as_bytes()).map_err(|error| failed(&error))?;
    let permissions = std::fs::metadata(&path).map_err(|error| failed(&error))?.permissions();
    std::fs::set_permissions(beside.path(), permissions).map_err(|error| failed(&error))?;
    beside.persist(&path).map_err(|error| failed(&error))?;
    Ok(())
}
