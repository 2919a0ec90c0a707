//! Our own application file: reads `flyball.toml` into [`flyball_core::model::Application`].
//!
//! Every error is reported at once, with file, line and column.
//!
//! - `shape`: the file's tables, each key declared once, for the reader and for [`json_schema`].
//! - `resolve`: defaults, and what a key that is left out takes over from elsewhere.

mod diagnostic;
pub(crate) mod reader;
mod resolve;
pub(crate) mod shape;
mod source;
mod template;
pub(crate) mod values;

pub use diagnostic::{Code, DIAGNOSTICS_MAX, Diagnostic, Diagnostics, Level};
pub use shape::json_schema;
pub use source::SourceMap;
pub use template::template;

use self::reader::{Reader, Shape, Value};
use flyball_core::model::{Checked, Problem};
use toml::de::{DeTable, DeValue};

/// The longest application file, bytes.
pub const FILE_BYTES_MAX: usize = 4 << 20;

/// What a good file is read to.
#[derive(Debug)]
pub struct Read {
    /// The application, in which every reference leads somewhere.
    pub application: Checked,
    /// Where in the file each key is, for diagnostics about it that come later.
    pub sources: SourceMap,
}

/// Reads an application file without looking for its components. `file_name` is only for messages.
///
/// # Errors
/// Everything that is wrong, in the order of the file; at most [`DIAGNOSTICS_MAX`], with how many more.
pub fn read(file_name: &str, text: &str) -> Result<Read, Diagnostics> {
    read_with(file_name, text, |_| true)
}

/// Reads an application file. `exists` is asked once for each function's component, with the path as the
/// file has it (relative to the file).
///
/// # Errors
/// As [`read`], and each component that does not exist.
pub fn read_with(file_name: &str, text: &str, exists: impl Fn(&str) -> bool) -> Result<Read, Diagnostics> {
    let Parsed { mut reader, sources, broken, root } = parse(file_name, text, "split the application")?;
    let file = shape::File::read(&root, &mut reader);
    let file = file.unwrap_or_default();
    let application = resolve::application(file, &sources, &mut reader);
    for (name, function) in &application.functions {
        if !function.component.is_empty() && !exists(&function.component) {
            let place = ["function", name, "component"].map(String::from);
            let message = format!("there is no component {}", quoted(&function.component));
            let help = "build it, or correct the path: it is relative to this file";
            reader.add_at(Code::ComponentMissing, &place, &sources, message, help.into());
        }
    }
    if broken {
        reader.forget_what_follows_from_syntax(&sources);
        return Err(reader.finish(&sources));
    }
    match application.check() {
        Ok(application) if reader.is_empty() => Ok(Read { application, sources }),
        Ok(_) => Err(reader.finish(&sources)),
        Err(problems) => {
            reader.add_problems(problems, &sources);
            Err(reader.finish(&sources))
        }
    }
}

/// A text as TOML, before anything is made of it.
pub(crate) struct Parsed<'i> {
    /// Holds what is wrong with the syntax.
    pub reader: Reader,
    pub sources: SourceMap,
    /// The text is not TOML throughout; what follows from that is to be forgotten.
    pub broken: bool,
    pub root: Value<'i>,
}

/// Parses a text. `smaller` says what to do where it is larger than [`FILE_BYTES_MAX`].
///
/// # Errors
/// Where it is larger.
pub(crate) fn parse<'i>(file_name: &str, text: &'i str, smaller: &str) -> Result<Parsed<'i>, Diagnostics> {
    let mut reader = Reader::default();
    if text.len() > FILE_BYTES_MAX {
        let message = format!("the file has {} bytes; at most {FILE_BYTES_MAX} are read", text.len());
        reader.add(Code::TooLarge, 0..0, message, smaller.into());
        return Err(reader.finish(&SourceMap::of_text(file_name, "")));
    }
    let (root, syntax) = DeTable::parse_recoverable(text);
    let sources = SourceMap::new(file_name, text, root.get_ref());
    let broken = !syntax.is_empty();
    for error in syntax {
        let code = if error.message() == "duplicate key" { Code::DuplicateName } else { Code::Syntax };
        let (message, help) = match code {
            Code::DuplicateName => {
                ("this key stands twice".to_string(), "remove one, or give it another name")
            }
            _ => (error.message().to_string(), "see https://toml.io for how TOML is written"),
        };
        reader.add(code, error.span().unwrap_or(0..0), message, help.into());
    }
    reader.keep_first_of_each_line(&sources);
    let span = root.span();
    let root = toml::Spanned::new(span, DeValue::Table(root.into_inner()));
    Ok(Parsed { reader, sources, broken, root })
}

/// Which kind of error a problem of the model is.
fn code_of(problem: &Problem) -> Code {
    let twice = ["subscribes twice", "an earlier route", "is the name of a"];
    if twice.iter().any(|words| problem.message.contains(words)) {
        return Code::DuplicateName;
    }
    match problem.place.last().map(String::as_str) {
        Some("function" | "emit" | "subscribers" | "to") => Code::UnknownReference,
        Some("path") => Code::BadValue,
        _ => Code::ImpossibleLimit,
    }
}

/// A text in quotes for a message, cut where it is long.
pub(crate) fn quoted(text: &str) -> String {
    let mut short: String = text.chars().take(100).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    format!("{short:?}")
}
