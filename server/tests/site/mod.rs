//! A platform with its gateway on a port of its own, and a client that can do what it wants.

use std::{path::PathBuf, sync::Arc, time::Duration};

use flyball_core::Name;
use flyball_server::{
    gateway::{Gateway, GatewayLimits},
    platform::{Platform, PlatformConfig},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::oneshot,
    task::JoinHandle,
};

/// One application for all tests: `hello`, `web` and `script` with routes, queues and grants.
pub const APPLICATION: &str = r#"
[application]
name = "site"

[limits]
concurrency = { cap = 16 }
request_bytes_max = "64KiB"
event_bytes_max = "32KiB"
call_wait_max = "1s"
invocation = { result_bytes_max = "1MiB" }

[tenant.acme]
[tenant.other]

[function.hello]
component = "http-hello.wasm"
timeout = "5s"

[function.web]
component = "script-http.wasm"
timeout = "1s"
memory = "16MiB"
grants.emit = ["work"]
grants.kv = { counters = "read-write" }

[function.script]
component = "script.wasm"
timeout = "1s"
memory = "16MiB"
grants.emit = ["work", "news"]
grants.kv = { counters = "read-write" }
grants.blobs = "read-write"
grants.secrets = ["token"]
config = { COLOUR = "green" }

[queue.work]
function = "script"
retry = { base = "10ms", max = "50ms" }

[queue.spare]
function = "script"

[topic.news]
subscribers = [{ queue = "work" }]

[[route]]
path = "/hello"
function = "hello"

[[route]]
path = "/t/{tenant}/hello"
methods = ["GET"]
function = "hello"
tenant = "path"

[[route]]
path = "/by-header"
function = "web"
tenant = { header = "x-tenant" }

[[route]]
path = "/by-host"
function = "web"
tenant = "host"

[[route]]
path = "/web/{rest...}"
function = "web"

[[route]]
path = "/later"
methods = ["POST"]
function = "web"
mode = "async"
"#;

pub struct Site {
    pub platform: Arc<Platform>,
    pub address: std::net::SocketAddr,
    pub key: String,
    stop: Option<oneshot::Sender<()>>,
    gateway: JoinHandle<()>,
}

fn guests() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/guests/dist")
}

/// Compiled guests are shared by all tests of this crate.
fn cache() -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("components")
}

/// Opens the platform; `data` outlives it, or `None` for memory.
pub async fn platform(data: Option<PathBuf>) -> Arc<Platform> {
    platform_of(APPLICATION, data).await
}

/// The same, of another application.
pub async fn platform_of(application: &str, data: Option<PathBuf>) -> Arc<Platform> {
    let read = flyball_app::read("flyball.toml", application).map_err(|wrong| wrong.to_string()).unwrap();
    let config = PlatformConfig {
        application: Arc::new(read.application),
        base: guests(),
        data,
        cache: Some(cache()),
        guest_threads: Some(2),
    };
    tokio::task::block_in_place(|| Platform::open(config)).unwrap()
}

impl Site {
    pub async fn open() -> Site {
        Site::with(GatewayLimits::default(), None).await
    }

    pub async fn with(limits: GatewayLimits, data: Option<PathBuf>) -> Site {
        let platform = platform(data).await;
        let (key, _) = platform.add_key(&Name::new("acme").unwrap(), None).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let shutdown = async move { drop(stopped.await) };
        let gateway = tokio::spawn(Gateway::serve(listener, platform.clone(), limits, shutdown));
        Site { platform, address, key, stop: Some(stop), gateway }
    }

    /// Stops the gateway and waits for it.
    pub async fn stop(mut self) -> Arc<Platform> {
        drop(self.stop.take());
        self.gateway.await.unwrap();
        self.platform
    }

    /// Tells the gateway to stop, without waiting.
    pub fn stopping(&mut self) {
        drop(self.stop.take());
    }

    /// Sends bytes, reads until the other side closes.
    pub async fn raw(&self, bytes: &[u8]) -> String {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        // The other side may close before it has read everything.
        let _ = stream.write_all(bytes).await;
        let mut answer = Vec::new();
        let read = stream.read_to_end(&mut answer);
        let _ = tokio::time::timeout(Duration::from_secs(20), read).await.expect("the gateway answers");
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// One request with the tenant's key: status, head and body.
    pub async fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let key = ("x-api-key", self.key.as_str());
        self.ask_without_key(method, path, &[&[key], headers].concat(), body).await
    }

    pub async fn ask_without_key(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Answer {
        let mut request = format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n");
        for (name, value) in headers {
            request += &format!("{name}: {value}\r\n");
        }
        request += &format!("content-length: {}\r\n\r\n{body}", body.len());
        Answer::of(&self.raw(request.as_bytes()).await)
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Answer {
    pub fn of(text: &str) -> Answer {
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((text, ""));
        let status = head.split(' ').nth(1).and_then(|s| s.parse().ok()).unwrap_or(0);
        Answer { status, head: head.to_ascii_lowercase(), body: body.to_string() }
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }

    /// The error's code.
    pub fn code(&self) -> String {
        let json: serde_json::Value = serde_json::from_str(&self.body).unwrap_or_default();
        json["error"]["code"].as_str().unwrap_or_default().to_string()
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

/// Polls until it is so; fails after 20 s.
pub async fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let end = std::time::Instant::now() + Duration::from_secs(20);
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(std::time::Instant::now() < end, "never: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
