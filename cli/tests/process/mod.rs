//! The real binary as a process that tests start, kill and ask.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests: a failure here is the test's failure, and not every file uses all of it"
)]

use std::{
    fs::File,
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;

/// A start on a directory that was in use needs less.
pub const RESTART_MAX: Duration = Duration::from_secs(10);
/// Compiling the guests, before the first start, is not what is measured.
pub const FIRST_START_MAX: Duration = Duration::from_secs(60);
/// What takes longer has stopped. It only ends a test that fails.
pub const STUCK: Duration = Duration::from_secs(30);
/// Between two looks at something that changes by itself.
pub const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Numbers that look random and are the same at each run.
pub struct Dice(pub u64);

impl Dice {
    pub fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 31)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        (mixed ^ (mixed >> 29)) % n
    }
}

/// A process of the real binary; it is killed when this is dropped.
pub struct Server {
    pub child: Child,
    /// Where its gateway listens, once it is known.
    gateway: Option<SocketAddr>,
    /// Its one line of output; empty where it ended without.
    pub announced: mpsc::Receiver<String>,
}

impl Server {
    pub fn command(directory: &Path) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_flyball"));
        command.args(["--format", "json", "serve"]).arg(directory.join("flyball.toml"));
        command.arg("--data").arg(directory.join("data"));
        command.args(["--gateway", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--grace", "300ms"]);
        command.env("FLYBALL_LOG", "warn").env_remove("FLYBALL_ADMIN_TOKEN");
        command.stdin(Stdio::null());
        command
    }

    pub fn spawn(directory: &Path) -> Server {
        Server::spawn_with(directory, &[])
    }

    /// With more arguments.
    pub fn spawn_with(directory: &Path, more: &[&str]) -> Server {
        let errors = File::options().create(true).append(true).open(directory.join("log")).unwrap();
        let mut child =
            Server::command(directory).args(more).stdout(Stdio::piped()).stderr(errors).spawn().unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let (tell, announced) = mpsc::channel();
        thread::spawn(move || {
            let mut line = String::new();
            // A process that was killed before has nothing to say.
            let _ = out.read_line(&mut line);
            let _ = tell.send(line);
        });
        Server { child, gateway: None, announced }
    }

    /// A process that announces nothing.
    pub fn of(child: Child) -> Server {
        Server { child, gateway: None, announced: mpsc::channel().1 }
    }

    /// Starts one and waits until it takes work. Answers with the address of its admin API.
    pub fn start(directory: &Path, within: Duration) -> (Server, SocketAddr) {
        Server::start_with(directory, &[], within)
    }

    /// The same with more arguments.
    pub fn start_with(directory: &Path, more: &[&str], within: Duration) -> (Server, SocketAddr) {
        let before = Instant::now();
        let mut server = Server::spawn_with(directory, more);
        let line = server.announced.recv_timeout(within).unwrap_or_default();
        let said: Value = serde_json::from_str(&line).unwrap_or_default();
        let address = |of: &str| said[of].as_str()?.strip_prefix("http://")?.parse::<SocketAddr>().ok();
        let (Some(admin), Some(gateway)) = (address("admin"), address("gateway")) else {
            let log = std::fs::read_to_string(directory.join("log")).unwrap_or_default();
            panic!("it did not start within {within:?}; it printed {line:?} and logged\n{log}");
        };
        server.gateway = Some(gateway);
        until("it is ready", || (ask(admin, "GET", "/readyz", "")?.0 == 200).then_some(()));
        assert!(before.elapsed() < within, "the start took {:?}, more than {within:?}", before.elapsed());
        (server, admin)
    }

    /// Where its gateway listens.
    pub fn gateway(&self) -> SocketAddr {
        self.gateway.unwrap()
    }

    /// SIGTERM: answers the exit code.
    pub fn terminate(&mut self) -> Option<i32> {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        until("it has ended", || self.child.try_wait().unwrap()).code()
    }

    /// SIGKILL: it is gone when this returns.
    pub fn kill(&mut self) {
        assert_eq!(self.child.try_wait().unwrap(), None, "it ended by itself");
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Looks until there is something; what never comes fails the test.
pub fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + STUCK;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < end, "after {STUCK:?} it was still not so that {what}");
        thread::sleep(LOOK_EVERY);
    }
}

/// Sends a request on a connection of its own.
pub fn request(to: SocketAddr, method: &str, path: &str, body: &str) -> std::io::Result<TcpStream> {
    let mut stream = TcpStream::connect(to)?;
    stream.set_read_timeout(Some(STUCK))?;
    let length = body.len();
    let head = "host: localhost\r\nconnection: close\r\ncontent-type: application/json\r\n";
    let whole = format!("{method} {path} HTTP/1.1\r\n{head}content-length: {length}\r\n\r\n{body}");
    stream.write_all(whole.as_bytes())?;
    Ok(stream)
}

/// The answer's status and JSON; `None` where no whole answer came.
pub fn ask(to: SocketAddr, method: &str, path: &str, body: &str) -> Option<(u16, Value)> {
    let mut answer = String::new();
    request(to, method, path, body).and_then(|mut stream| stream.read_to_string(&mut answer)).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let mut lines = head.lines();
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let length =
        lines.find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
    (length == Some(body.len())).then(|| (status, serde_json::from_str(body).unwrap_or_default()))
}

/// Sends these bytes and answers all that comes back.
pub fn exchange(to: SocketAddr, bytes: &str) -> String {
    let mut stream = TcpStream::connect(to).unwrap();
    stream.set_read_timeout(Some(STUCK)).unwrap();
    stream.write_all(bytes.as_bytes()).unwrap();
    let mut answer = String::new();
    // What closes hard has said what it had to say before.
    let _ = stream.read_to_string(&mut answer);
    answer
}

/// A read that must succeed: nobody kills the server meanwhile.
pub fn get(from: SocketAddr, path: &str) -> Value {
    let (status, body) = ask(from, "GET", path, "").expect("an answer");
    assert_eq!(status, 200, "{path}: {body}");
    body
}
