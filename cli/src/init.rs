//! `flyball init`: a new application that can be served at once.

use std::{fs::OpenOptions, io::Write, path::Path};

use flyball_core::Name;

use crate::{
    arguments::Init,
    stop::{Stop, print},
};

const HELLO: &[u8] = include_bytes!("../../tests/guests/dist/http-hello.wasm");

/// Writes the application. Nothing that is there is touched.
///
/// # Errors
/// Where a file is there already, or can't be written.
pub fn run(wanted: &Init) -> Result<(), Stop> {
    let directory = &wanted.directory;
    let file = directory.join("flyball.toml");
    let component = directory.join("hello.wasm");
    for path in [&file, &component] {
        if path.symlink_metadata().is_ok() {
            let message = format!("{} is there already; nothing was written", path.display());
            return Err(Stop::wrong(format!("{message}. Choose another directory: flyball init DIR")));
        }
    }
    std::fs::create_dir_all(directory).map_err(|error| unwritable(directory, &error))?;
    write_new(&component, HELLO)?;
    write_new(&file, flyball_app::template(&name_of(directory)).as_bytes())?;
    let shown = directory.display().to_string();
    let go = if shown == "." { String::new() } else { format!("cd {shown}\n  ") };
    print(&format!("wrote {}\nwrote {}\n\nNext:\n  {go}flyball serve\n", file.display(), component.display()))
}

/// The directory's own name as far as it can be an application's.
fn name_of(directory: &Path) -> Name {
    let whole = std::path::absolute(directory).ok();
    let last = whole.as_deref().and_then(Path::file_name).map(|name| name.to_string_lossy().into_owned());
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let cleaned: String = last
        .unwrap_or_default()
        .chars()
        .map(|c| if fits(c) { c } else { '-' })
        .skip_while(|c| !c.is_ascii_alphanumeric())
        .take(64)
        .collect();
    #[expect(clippy::expect_used, reason = "a literal that is a name, as every test of init finds out")]
    Name::new(&cleaned).unwrap_or_else(|_| Name::new("application").expect("a name"))
}

fn write_new(path: &Path, bytes: &[u8]) -> Result<(), Stop> {
    let opened = OpenOptions::new().write(true).create_new(true).open(path);
    opened.and_then(|mut file| file.write_all(bytes)).map_err(|error| unwritable(path, &error))
}

fn unwritable(path: &Path, error: &std::io::Error) -> Stop {
    Stop::wrong(format!("{} can't be written: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_gives_the_application_its_name() {
        for (directory, name) in [
            ("/srv/my-app", "my-app"),
            ("/srv/My App", "My-App"),
            ("/srv/.hidden", "hidden"),
            ("/", "application"),
            ("/srv/---", "application"),
        ] {
            assert_eq!(name_of(Path::new(directory)).as_str(), name);
        }
    }
}
