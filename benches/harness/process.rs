//! Servers that are measured run as processes of their own: a peer's binary, or this benchmark again in
//! another role.

use std::{
    fs, io,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

/// How long a server may take until it listens; a first start compiles.
const START_MAX: Duration = Duration::from_secs(120);
/// Memory that has not changed for this long is at rest.
const SETTLED_FOR: Duration = Duration::from_secs(2);
/// What is no change.
const STILL_BYTES: u64 = 256 << 10;
/// How long that is waited for.
const SETTLING_MAX: Duration = Duration::from_secs(20);
/// How long one of our own may take to end by itself.
const END_MAX: Duration = Duration::from_secs(5);

/// A process that is ended when this is dropped.
#[derive(Debug)]
pub struct Server {
    child: Child,
    /// Where it listens.
    pub address: SocketAddr,
}

impl Server {
    /// Starts it and waits until something listens at `address`.
    ///
    /// # Errors
    /// Where it can't be started, ends, or does not listen in time.
    pub fn start(command: &mut Command, address: SocketAddr) -> io::Result<Server> {
        Server::spawn(command.stdin(Stdio::null()), address)
    }

    fn spawn(command: &mut Command, address: SocketAddr) -> io::Result<Server> {
        let child = command.stdout(Stdio::null()).stderr(Stdio::inherit()).spawn()?;
        let mut server = Server { child, address };
        let end = Instant::now() + START_MAX;
        while std::net::TcpStream::connect(address).is_err() {
            if let Some(status) = server.child.try_wait()? {
                return Err(io::Error::other(format!("{command:?} ended with {status}")));
            }
            if Instant::now() > end {
                return Err(io::Error::other(format!("{command:?} does not listen at {address}")));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(server)
    }

    /// Starts this benchmark again: `--ROLE ADDRESS` and what else is given. There it calls [`end_with_starter`].
    ///
    /// # Errors
    /// As [`Server::start`].
    pub fn role(role: &str, others: &[(&str, &Path)]) -> io::Result<Server> {
        let address = free_address()?;
        let mut command = Command::new(std::env::current_exe()?);
        command.arg(format!("--{role}")).arg(address.to_string());
        for (name, path) in others {
            command.arg(format!("--{name}")).arg(path);
        }
        Server::spawn(command.stdin(Stdio::piped()), address)
    }

    /// Its memory.
    ///
    /// # Errors
    /// Where it has ended.
    pub fn memory(&self) -> io::Result<Memory> {
        memory(&self.child.id().to_string())
    }

    /// Its memory once it has come to rest: what it gives back after a start is given back.
    ///
    /// # Errors
    /// As [`Server::memory`].
    pub fn settled_memory(&self) -> io::Result<Memory> {
        let end = Instant::now() + SETTLING_MAX;
        let mut before = self.memory()?;
        loop {
            std::thread::sleep(SETTLED_FOR);
            let now = self.memory()?;
            if now.anonymous.abs_diff(before.anonymous) < STILL_BYTES || Instant::now() > end {
                return Ok(now);
            }
            before = now;
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if self.child.stdin.take().is_some() {
            let end = Instant::now() + END_MAX;
            while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < end {
                std::thread::sleep(Duration::from_millis(5));
            }
        }
        // One that has ended by itself needs no killing.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// For a role: this process ends, in good order, when the one that started it drops it or is gone. An instrumented one
/// writes then what it went through.
pub fn end_with_starter() {
    std::thread::spawn(|| {
        drop(io::copy(&mut io::stdin(), &mut io::sink()));
        std::process::exit(0);
    });
}

/// Resident memory, bytes.
#[derive(Debug, Clone, Copy, Default)]
pub struct Memory {
    /// Its own: heap, stacks, what guests touched.
    pub anonymous: u64,
    /// Mapped from files, which the kernel may take back: code, LMDB's pages.
    pub file: u64,
}

/// Bytes as MiB.
pub fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

/// The memory of a process, by its id or `self`.
///
/// # Errors
/// Where there is no such process, or no `/proc`.
pub fn memory(process: &str) -> io::Result<Memory> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    let bytes = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let kibibytes = line.and_then(|rest| rest.trim().trim_end_matches(" kB").parse::<u64>().ok());
        kibibytes.unwrap_or(0) << 10
    };
    Ok(Memory { anonymous: bytes("RssAnon:"), file: bytes("RssFile:") })
}

/// An address of this machine that nobody listens at now.
///
/// # Errors
/// Where there is none.
pub fn free_address() -> io::Result<SocketAddr> {
    std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()
}

/// The repository's root.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}
