//! How a verb ends when it can't go on, and printing that survives a closed pipe.

use std::{
    fmt,
    io::{ErrorKind, Write},
    process::ExitCode,
};

/// Why a verb stops, with its exit code.
#[derive(Debug, PartialEq, Eq)]
pub struct Stop {
    code: u8,
    message: String,
}

impl Stop {
    /// What was asked for failed: exit 1.
    pub fn failed(message: impl Into<String>) -> Stop {
        Stop { code: 1, message: message.into() }
    }

    /// The command line, the application or its surroundings are wrong: exit 2.
    pub fn wrong(message: impl Into<String>) -> Stop {
        Stop { code: 2, message: message.into() }
    }

    /// All was said already: exit 1 and no more text.
    pub fn silent() -> Stop {
        Stop::failed("")
    }

    /// Says it on standard error.
    pub fn report(&self) -> ExitCode {
        if !self.message.is_empty() {
            // Where nobody listens to errors there is only the exit code.
            let _ = writeln!(std::io::stderr(), "{}", self.message.trim_end());
        }
        ExitCode::from(self.code)
    }
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// Prints to standard output, at once.
///
/// # Errors
/// Where it can't be written. A reader that went away, as `head` does, ends the program silently.
pub fn print(text: &str) -> Result<(), Stop> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Err(Stop::silent()),
        Err(error) => Err(Stop::failed(format!("standard output can't be written: {error}"))),
    }
}

/// Prints a line of JSON.
///
/// # Errors
/// As [`print`].
pub fn print_json(value: &serde_json::Value) -> Result<(), Stop> {
    print(&format!("{value}\n"))
}
