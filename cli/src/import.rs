//! `flyball import`: exports of a running system become a traffic file and a profile. Touches no network.

use std::{
    fs::{self, OpenOptions},
    io::{Read as _, Write as _},
    path::{Path, PathBuf},
};

use flyball_app::{
    Diagnostics,
    workload::observed::{EXPORT_BYTES_MAX, Observed, commands},
};

use crate::{
    arguments::{Format, Import},
    check,
    stop::{Stop, print, print_json},
};

/// Imports, and writes or prints.
///
/// # Errors
/// Where an export can't be read, or a file is there already: exit 2, and nothing was written.
pub fn run(wanted: &Import, format: Format) -> Result<(), Stop> {
    if let Some(template) = &wanted.print_commands {
        return print_commands(template.as_deref(), wanted);
    }
    let observed = observed(wanted)?;
    if observed.is_empty() && observed.profile().is_none() {
        return Err(Stop::wrong(
            "nothing to import: name exports by --metrics, --logs, --xray, --quotas. \
             flyball import --print-commands prints the commands that make them",
        ));
    }
    let traffic = match observed.is_empty() {
        true => None,
        false => Some(observed.traffic().map_err(|wrong| wrong_export(&wrong))?),
    };
    let profile = observed.profile();
    if wanted.profile_out.is_some() && profile.is_none() {
        return Err(Stop::wrong(
            "there is no profile to write: no quota was read that one has; add --quotas",
        ));
    }
    if wanted.out.is_some() && traffic.is_none() {
        return Err(Stop::wrong("there is no traffic to write: add --metrics"));
    }
    let traffic = traffic.map(|written| written.text);
    let files = [(&wanted.out, &traffic), (&wanted.profile_out, &profile)];
    for (path, _) in files {
        refuse_to_write_over(path.as_deref(), wanted.force)?;
    }
    let mut wrote = Vec::new();
    for (path, text) in files {
        if let (Some(path), Some(text)) = (path, text) {
            write(path, text, wanted.force)?;
            wrote.push(path.display().to_string());
        }
    }
    say(&observed, files.map(|(path, text)| text.as_deref().filter(|_| path.is_none())), &wrote, format)
}

fn print_commands(template: Option<&str>, wanted: &Import) -> Result<(), Stop> {
    let design = match template {
        None => None,
        Some(path) => Some(check::design(&[path.to_string()], &wanted.deployed, None)?.0),
    };
    print(&commands(design.as_ref()))
}

/// Reads all exports: names first, so that the others find them.
fn observed(wanted: &Import) -> Result<Observed, Stop> {
    let mut observed = Observed::default();
    take(&mut observed, &wanted.names, Observed::names)?;
    take(&mut observed, &wanted.metrics, Observed::metrics)?;
    take(&mut observed, &wanted.xray, Observed::service_graph)?;
    take(&mut observed, &wanted.quotas, Observed::quotas)?;
    for named in &wanted.logs {
        // A file whose own name has an equals sign is found as it is.
        let (function, path) = match named.split_once('=') {
            Some((function, path)) if !Path::new(named).exists() => (Some(function), path),
            _ => (None, named.as_str()),
        };
        let text = read(Path::new(path))?;
        observed.logs(path, function, &text).map_err(|wrong| wrong_export(&wrong))?;
    }
    Ok(observed)
}

/// Reads exports of one kind.
///
/// # Errors
/// Where one can't be read, or is none.
pub(crate) fn take(
    observed: &mut Observed,
    paths: &[PathBuf],
    take: fn(&mut Observed, &str, &str) -> Result<(), Diagnostics>,
) -> Result<(), Stop> {
    paths.iter().try_for_each(|path| {
        let text = read(path)?;
        take(observed, &path.display().to_string(), &text).map_err(|wrong| wrong_export(&wrong))
    })
}

/// Reads a file, but never more than is taken; `-` is standard input.
fn read(path: &Path) -> Result<String, Stop> {
    let unread = |error: std::io::Error| Stop::wrong(format!("{} can't be read: {error}", path.display()));
    let most = EXPORT_BYTES_MAX as u64 + 1;
    let mut text = String::new();
    if path == Path::new("-") {
        std::io::stdin().lock().take(most).read_to_string(&mut text).map_err(unread)?;
    } else {
        fs::File::open(path).map_err(unread)?.take(most).read_to_string(&mut text).map_err(unread)?;
    }
    Ok(text)
}

fn wrong_export(wrong: &Diagnostics) -> Stop {
    Stop::wrong(wrong.to_string())
}

fn refuse_to_write_over(path: Option<&Path>, force: bool) -> Result<(), Stop> {
    match path {
        Some(path) if !force && path.symlink_metadata().is_ok() => {
            let message = format!("{} is there already; nothing was written", path.display());
            Err(Stop::wrong(format!("{message}. Name another file, or write over it with --force")))
        }
        _ => Ok(()),
    }
}

fn write(path: &Path, text: &str, force: bool) -> Result<(), Stop> {
    let mut options = OpenOptions::new();
    options.write(true);
    if force {
        options.create(true).truncate(true)
    } else {
        options.create_new(true)
    };
    let written = options.open(path).and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|error| Stop::wrong(format!("{} can't be written: {error}", path.display())))
}

/// What was not written to files is printed; what was is told, with what was left out.
fn say(
    observed: &Observed,
    printed: [Option<&str>; 2],
    wrote: &[String],
    format: Format,
) -> Result<(), Stop> {
    if format == Format::Json {
        return print_json(&serde_json::json!({
            "traffic": printed[0],
            "profile": printed[1],
            "wrote": wrote,
            "notes": observed.notes(),
        }));
    }
    let mut errors = std::io::stderr();
    for note in observed.notes() {
        // Where nobody listens to errors there is only the exit code.
        let _ = writeln!(errors, "not taken: {note}");
    }
    for path in wrote {
        let _ = writeln!(errors, "wrote {path}");
    }
    printed.into_iter().flatten().try_for_each(print)
}
