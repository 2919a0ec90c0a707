//! One function for many tests: the event's data is a script, one command a line, run in order. The result is what
//! the commands printed, a line each. README.md beside this crate lists the commands.

use std::fmt::Write as _;

wit_bindgen::generate!({ world: "event-function", path: "../../../wit" });

use exports::flyball::function::handler::{Event, Failure, Guest};
use flyball::function::logging::Level;
use flyball::function::types::{Error, NewEvent};
use flyball::function::{blobs, configuration, emitter, keyvalue, logging};

struct Script;

/// How many events this instance has handled: tells a fresh instance from one that is used again.
static HANDLED: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);

impl Guest for Script {
    fn handle(event: Event) -> Result<Option<Vec<u8>>, Failure> {
        HANDLED.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let Ok(script) = std::str::from_utf8(&event.data) else {
            return Err(Failure::Permanent("the script is not UTF-8".into()));
        };
        let mut printed = Vec::new();
        for line in script.lines().filter(|line| !line.trim().is_empty()) {
            if line == "echo" {
                return Ok(Some(event.data));
            }
            let (must, command) = match line.strip_prefix("must ") {
                Some(command) => (true, command),
                None => (false, line),
            };
            match run(command, &event) {
                Ok(text) => printed.extend_from_slice(&text),
                Err(Stop::Failed(failure)) => return Err(failure),
                Err(Stop::Refused(error)) if must => return Err(refused(error)),
                Err(Stop::Refused(error)) => printed.extend_from_slice(refusal(&error).as_bytes()),
            }
            if printed.last().is_some_and(|last| *last != b'\n') {
                printed.push(b'\n');
            }
        }
        Ok(if printed.is_empty() { None } else { Some(printed) })
    }
}

enum Stop {
    Failed(Failure),
    Refused(Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Stop::Refused(error)
    }
}

fn refusal(error: &Error) -> String {
    let (name, text) = match error {
        Error::Denied(text) => ("denied", text),
        Error::Limit(text) => ("limit", text),
        Error::Invalid(text) => ("invalid", text),
        Error::Unavailable(text) => ("unavailable", text),
    };
    format!("! {name}: {text}")
}

fn refused(error: Error) -> Failure {
    let text = refusal(&error);
    if matches!(error, Error::Unavailable(_)) { Failure::Retry(text) } else { Failure::Permanent(text) }
}

fn wrong(line: &str) -> Stop {
    Stop::Failed(Failure::Permanent(format!("wrong command: {line}")))
}

/// The first `COUNT` words of `text`, and the rest of the line.
fn words<'a, const COUNT: usize>(text: &'a str, line: &str) -> Result<([&'a str; COUNT], &'a str), Stop> {
    let mut found = [""; COUNT];
    let mut rest = text;
    for word in &mut found {
        (*word, rest) = rest.split_once(' ').unwrap_or((rest, ""));
        if word.is_empty() {
            return Err(wrong(line));
        }
    }
    Ok((found, rest))
}

fn number(text: &str, line: &str) -> Result<u64, Stop> {
    text.parse().map_err(|_| wrong(line))
}

fn run(line: &str, event: &Event) -> Result<Vec<u8>, Stop> {
    let (command, rest) = line.split_once(' ').unwrap_or((line, ""));
    match command {
        "print" => Ok(rest.as_bytes().to_vec()),
        "describe" => Ok(describe(event).into_bytes()),
        "handled" => Ok(HANDLED.load(std::sync::atomic::Ordering::Relaxed).to_string().into_bytes()),
        "result" => Ok(vec![b'x'; number(rest, line)? as usize]),
        "fail-until" if u64::from(event.attempt) < number(rest, line)? => {
            Err(Stop::Failed(Failure::Retry(format!("attempt {}", event.attempt))))
        }
        "fail-until" => Ok(Vec::new()),
        "retry" => Err(Stop::Failed(Failure::Retry(rest.into()))),
        "permanent" => Err(Stop::Failed(Failure::Permanent(rest.into()))),
        "emit" | "emit-sized" | "again" => emit(command, rest, event, line),
        "get" | "set" | "delete" | "keys" | "increment" => data(command, rest, line),
        "put" => Ok(blobs::put(rest.as_bytes())?.into_bytes()),
        "blob" => Ok(blobs::get(rest)?.unwrap_or_else(|| b"none".to_vec())),
        "config" => Ok(configuration::get(rest).unwrap_or_else(|| "none".into()).into_bytes()),
        "secret" => Ok(configuration::secret(rest)?.unwrap_or_else(|| b"none".to_vec())),
        "tenant" => Ok(configuration::tenant().into_bytes()),
        "event-id" => Ok(configuration::event_id().into_bytes()),
        "log" => log(rest, line),
        "stdout" => {
            println!("{rest}");
            Ok(Vec::new())
        }
        "sleep" => {
            std::thread::sleep(std::time::Duration::from_millis(number(rest, line)?));
            Ok(Vec::new())
        }
        "clocks" => Ok(clocks().into_bytes()),
        "random" => Ok(random().into_bytes()),
        "work" | "spin" | "allocate" | "recurse" | "trap" => misbehave(command, rest, line),
        _ => Err(wrong(line)),
    }
}

/// Milliseconds of the wall clock, and whether the monotonic one goes on.
fn clocks() -> String {
    let began = std::time::Instant::now();
    let wall = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let goes_on = began.elapsed() > std::time::Duration::ZERO;
    format!("{} {goes_on}", wall.as_millis())
}

/// What a hash table is seeded with.
fn random() -> String {
    use std::hash::{BuildHasher, RandomState};
    format!("{:016x}", RandomState::new().hash_one(0))
}

fn describe(event: &Event) -> String {
    let mut text = String::new();
    let none = || "none".to_string();
    let fields: [(&str, String); 12] = [
        ("id", event.id.clone()),
        ("tenant", event.tenant.clone()),
        ("target", event.target.clone()),
        ("kind", event.kind.clone()),
        ("source", event.source.clone()),
        ("subject", event.subject.clone().unwrap_or_else(none)),
        ("content-type", event.content_type.clone()),
        ("time-ms", event.time_ms.to_string()),
        ("attempt", event.attempt.to_string()),
        ("hop", event.hop.to_string()),
        ("root", event.root.clone()),
        ("cause", event.cause.clone().unwrap_or_else(none)),
    ];
    for (name, value) in fields {
        let _ = writeln!(text, "{name}={value}");
    }
    text
}

fn emit(command: &str, rest: &str, event: &Event, line: &str) -> Result<Vec<u8>, Stop> {
    let (target, count, delay_ms, data) = match command {
        "emit" => {
            let ([target, count, delay_ms], payload) = words::<3>(rest, line)?;
            // `\n` in a payload is a line feed, so that what is emitted can be a script in its turn.
            let payload = payload.replace("\\n", "\n");
            (target, number(count, line)?, number(delay_ms, line)?, payload.into_bytes())
        }
        "emit-sized" => {
            let ([target, bytes], _) = words::<2>(rest, line)?;
            (target, 1, 0, vec![b'x'; number(bytes, line)? as usize])
        }
        _ => {
            let ([target, delay_ms], _) = words::<2>(rest, line)?;
            (target, 1, number(delay_ms, line)?, event.data.clone())
        }
    };
    let mut ids = String::new();
    let new = NewEvent {
        kind: "test.script".into(),
        subject: None,
        content_type: "text/plain".into(),
        delay_ms,
        data,
    };
    for _ in 0..count {
        let _ = writeln!(ids, "{}", emitter::emit(target, &new)?);
    }
    Ok(ids.into_bytes())
}

fn data(command: &str, rest: &str, line: &str) -> Result<Vec<u8>, Stop> {
    if command == "keys" {
        let ([namespace, limit], prefix) = words::<2>(rest, line)?;
        let keys = keyvalue::keys(namespace, prefix, None, number(limit, line)? as u32)?;
        return Ok(keys.join("\n").into_bytes());
    }
    let ([namespace, key], value) = words::<2>(rest, line)?;
    match command {
        "get" => Ok(keyvalue::get(namespace, key)?.unwrap_or_else(|| b"none".to_vec())),
        "set" => keyvalue::set(namespace, key, value.as_bytes()).map(|()| Vec::new()).map_err(Stop::from),
        "delete" => keyvalue::delete(namespace, key).map(|()| Vec::new()).map_err(Stop::from),
        _ => {
            let before = keyvalue::get(namespace, key)?.unwrap_or_else(|| b"0".to_vec());
            let before = number(&String::from_utf8_lossy(&before), line)?;
            let after = (before + 1).to_string().into_bytes();
            keyvalue::set(namespace, key, &after)?;
            Ok(after)
        }
    }
}

fn log(rest: &str, line: &str) -> Result<Vec<u8>, Stop> {
    let ([level], message) = words::<1>(rest, line)?;
    let level = match level {
        "debug" => Level::Debug,
        "info" => Level::Info,
        "warn" => Level::Warn,
        "error" => Level::Error,
        _ => return Err(wrong(line)),
    };
    logging::log(level, message);
    Ok(Vec::new())
}

fn misbehave(command: &str, rest: &str, line: &str) -> Result<Vec<u8>, Stop> {
    match command {
        // About one to three nanoseconds a round.
        "work" => {
            let mut state = 1_u64;
            for _ in 0..number(rest, line)? {
                state = std::hint::black_box(state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1));
            }
            Ok(state.to_string().into_bytes())
        }
        "spin" => loop {
            std::hint::black_box(0);
        },
        "allocate" => {
            let mut kept = Vec::new();
            loop {
                kept.push(std::hint::black_box(vec![1_u8; 1 << 20]));
            }
        }
        "recurse" => Ok(depth(0).to_string().into_bytes()),
        _ => core::arch::wasm32::unreachable(),
    }
}

#[expect(unconditional_recursion, reason = "it is here to run out of stack")]
fn depth(level: u64) -> u64 {
    std::hint::black_box(depth(std::hint::black_box(level + 1))) + 1
}

export!(Script);
