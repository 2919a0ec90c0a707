//! The real binary as a process, for tests.
#![allow(clippy::expect_used, clippy::indexing_slicing, reason = "a test that can't go on fails")]

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    path::Path,
    process::{Child, Command, Output, Stdio},
    sync::mpsc,
    time::Duration,
};

/// Nothing that a test waits for takes longer.
const PATIENCE: Duration = Duration::from_secs(60);

/// A command of the binary, apart from the environment of whoever runs the tests.
pub fn flyball(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_flyball"));
    command.args(arguments).stdin(Stdio::null());
    for variable in ["FLYBALL_ADMIN", "FLYBALL_ADMIN_TOKEN", "FLYBALL_LOG", "FLYBALL_LOG_FORMAT"] {
        command.env_remove(variable);
    }
    command
}

/// Runs it to its end.
pub fn run(directory: &Path, arguments: &[&str]) -> Output {
    flyball(arguments).current_dir(directory).output().expect("the binary runs")
}

/// What a process wrote, as text.
pub fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("UTF-8")
}

/// A server that runs.
pub struct Served {
    child: Option<Child>,
    /// Host and port of the gateway.
    pub gateway: String,
    /// The admin API's URL.
    pub admin: String,
}

impl Served {
    /// Serves the application in this directory on free ports.
    pub fn start(directory: &Path) -> Served {
        let free = ["serve", "--format", "json", "--gateway", "127.0.0.1:0", "--admin", "127.0.0.1:0"];
        let mut command = flyball(&free);
        command.current_dir(directory).stdout(Stdio::piped());
        Served::of(command)
    }

    /// The same, with more arguments, and what it says to people in a file.
    #[allow(dead_code, reason = "not every test has a use for it")]
    pub fn start_with(directory: &Path, more: &[&str], said: std::fs::File) -> Served {
        let free = ["serve", "--format", "json", "--gateway", "127.0.0.1:0", "--admin", "127.0.0.1:0"];
        let mut command = flyball(&[&free, more].concat());
        command.current_dir(directory).stdout(Stdio::piped()).stderr(said);
        Served::of(command)
    }

    fn of(mut command: Command) -> Served {
        let mut child = command.spawn().expect("the binary runs");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("piped")).read_line(&mut line).expect("its output");
        let said: serde_json::Value = serde_json::from_str(&line).expect("where it listens");
        let url = |key: &str| said[key].as_str().expect("an address").to_string();
        let gateway = url("gateway").trim_start_matches("http://").to_string();
        Served { child: Some(child), gateway, admin: url("admin") }
    }

    /// Sends a request to the gateway; answers the whole response as text.
    pub fn request(&self, head: &str) -> String {
        ask(&self.gateway, head)
    }

    /// What it counts, as text for Prometheus.
    #[allow(dead_code, reason = "not every test has a use for it")]
    pub fn metrics(&self) -> String {
        ask(self.admin.trim_start_matches("http://"), "GET /metrics HTTP/1.1")
    }

    /// Sends SIGTERM and answers the exit code.
    pub fn terminate(self) -> Option<i32> {
        self.signal();
        self.wait()
    }

    /// Sends SIGTERM.
    pub fn signal(&self) {
        let child = self.child.as_ref().expect("it runs");
        let sent = Command::new("kill").args(["-TERM", &child.id().to_string()]).status().expect("kill runs");
        assert!(sent.success());
    }

    /// The exit code, once it has ended.
    pub fn wait(mut self) -> Option<i32> {
        let mut child = self.child.take().expect("it runs");
        let (ended, end) = mpsc::channel();
        std::thread::spawn(move || ended.send(child.wait()));
        end.recv_timeout(PATIENCE).expect("it ends in time").expect("its status").code()
    }
}

fn ask(address: &str, head: &str) -> String {
    let mut stream = TcpStream::connect(address).expect("it listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    write!(stream, "{head}\r\nhost: {address}\r\nconnection: close\r\n\r\n").expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    answer
}

impl Drop for Served {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // A test has failed: nothing must be left behind.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
