//! `flyball serve`: a platform with its gateway and admin API, and how it starts and stops.

use std::{
    fs::{OpenOptions, Permissions},
    io,
    net::SocketAddr,
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use flyball_app::{Code, Diagnostics, Read};
use flyball_core::model::{Route, TenantFrom};
use flyball_server::{
    admin,
    gateway::{Gateway, GatewayLimits},
    platform::{FunctionError, OpenError, Platform, PlatformConfig, Record},
};
use indicatif::ProgressBar;
use tokio::{net::TcpListener, sync::watch, task::JoinHandle};

use crate::{
    arguments::{Format, Serve},
    build,
    stop::{Stop, print, print_json},
};

/// What an end at once may take.
const CLOSE_AT_ONCE_MAX: Duration = Duration::from_secs(2);

/// What a running server is started with.
#[derive(Debug)]
pub struct Wanted<'a> {
    /// The application file.
    pub file: &'a Path,
    /// Where data is kept.
    pub data: PathBuf,
    /// Where the gateway listens.
    pub gateway: SocketAddr,
    /// Where the admin API listens.
    pub admin: SocketAddr,
    /// What clients of the admin API must show.
    pub admin_token: Option<String>,
    /// How long running work may take to end.
    pub grace: Duration,
    /// Where what the engine is told is recorded.
    pub record: Option<Record>,
}

/// A platform that runs, with its listeners.
#[derive(Debug)]
pub struct Running {
    /// The platform.
    pub platform: Arc<Platform>,
    /// Where the gateway listens.
    pub gateway: SocketAddr,
    /// Where the admin API listens.
    pub admin: SocketAddr,
    grace: Duration,
    stop_gateway: watch::Sender<bool>,
    stop_admin: watch::Sender<bool>,
    gateway_task: JoinHandle<()>,
    admin_task: JoinHandle<()>,
}

/// Runs until it is told to end.
///
/// # Errors
/// Where it can't start: exit 2.
pub async fn run(serve: Serve, format: Format) -> Result<(), Stop> {
    let directory = serve.file.parent().unwrap_or(Path::new(""));
    let wanted = Wanted {
        file: &serve.file,
        data: serve.data.unwrap_or_else(|| directory.join(".flyball")),
        gateway: serve.gateway,
        admin: serve.admin,
        admin_token: serve.admin_token,
        grace: serve.grace,
        record: match &serve.record {
            Some(log) => Some(record(log, serve.record_mib_max, serve.force)?),
            None => None,
        },
    };
    // Before anything listens: a signal that comes early must not be lost.
    let mut signals = Signals::new()?;
    let running = Running::start(wanted).await?;
    announce(&running, format)?;
    signals.next().await;
    tracing::info!("draining; a second signal ends it at once");
    let platform = running.platform.clone();
    tokio::select! {
        whole = running.drain() => {
            if !whole {
                tracing::warn!("not all work ended in time; it goes on after the next start");
            }
            Ok(())
        }
        () = signals.next() => {
            close_at_once(platform).await;
            Err(Stop::failed("ended at once; unfinished work goes on after the next start"))
        },
    }
}

/// A log that nobody but its owner can read: it holds what users send.
fn record(log: &Path, mib_max: u64, force: bool) -> Result<Record, Stop> {
    let shown = log.display();
    let unwritable = |error: io::Error| Stop::wrong(format!("{shown} can't be written: {error}"));
    let empty = log.symlink_metadata().map_or(true, |metadata| metadata.is_file() && metadata.len() == 0);
    if !empty && !force {
        return Err(Stop::wrong(format!(
            "{shown} is there already, and a log is never added to\n\
             name another, such as one with the time in it, or write over it by --force"
        )));
    }
    let mut options = OpenOptions::new();
    let file = options.write(true).create(true).truncate(true).mode(0o600).open(log).map_err(unwritable)?;
    // One that was there keeps the mode it had.
    file.set_permissions(Permissions::from_mode(0o600)).map_err(unwritable)?;
    Ok(Record {
        to: Box::new(file),
        build: build::name().into(),
        log_bytes_max: mib_max << 20,
        unwritten_bytes_max: Record::UNWRITTEN_BYTES_MAX,
    })
}

/// What runs returns to its queue, so that the next start does not take this end for a crash. A store that
/// does not answer is not waited for.
async fn close_at_once(platform: Arc<Platform>) {
    let (closed, heard) = tokio::sync::oneshot::channel();
    // A thread that nobody waits for at the end, unlike the runtime's.
    std::thread::spawn(move || {
        platform.close();
        let _ = closed.send(());
    });
    let _ = tokio::time::timeout(CLOSE_AT_ONCE_MAX, heard).await;
}

fn announce(running: &Running, format: Format) -> Result<(), Stop> {
    let (gateway, admin) = (running.gateway, running.admin);
    let application = running.platform.application();
    if format == Format::Json {
        return print_json(&serde_json::json!({
            "application": application.name,
            "gateway": format!("http://{gateway}"),
            "admin": format!("http://{admin}"),
        }));
    }
    let (functions, queues) = (application.functions.len(), application.queues.len());
    let mut text = format!("{}: {functions} functions, {queues} queues\n", application.name);
    text.push_str(&format!("  gateway  http://{gateway}\n  admin    http://{admin}\n"));
    if let Some(route) = application.routes.first() {
        text.push_str("\nTry:\n");
        text.push_str(&example(route, running));
    }
    print(&text)
}

/// How a route is called, with a tenant to be created first where there is none.
fn example(route: &Route, running: &Running) -> String {
    let mut text = String::new();
    let named = running.platform.tenants().list(None, 1).into_iter().next();
    let declared = running.platform.application().tenants.keys().next();
    let name = named.as_ref().map(|tenant| &tenant.name).or(declared).map_or("acme", |name| name.as_str());
    if named.is_none() {
        let elsewhere = match running.admin.port() {
            9440 => String::new(),
            _ => format!(" --admin http://{}", running.admin),
        };
        text.push_str(&format!("  flyball tenants create {name}{elsewhere}\n"));
    }
    let path = route.path.replace("{tenant}", name);
    let method = route.methods.first().map(|method| format!(" -X {method}")).filter(|m| m != " -X GET");
    let tenant = match &route.tenant {
        TenantFrom::Key => " -H 'x-api-key: KEY'".to_string(),
        TenantFrom::Path => String::new(),
        TenantFrom::Header(header) => format!(" -H '{header}: {name}'"),
        TenantFrom::Host => format!(" -H 'host: {name}.localhost'"),
    };
    text.push_str(&format!(
        "  curl{}{tenant} 'http://{}{path}'\n",
        method.unwrap_or_default(),
        running.gateway
    ));
    text
}

impl Running {
    /// Reads the application, opens the platform, and listens.
    ///
    /// # Errors
    /// What is wrong with the file, its components, the data directory or the addresses: exit 2.
    pub async fn start(wanted: Wanted<'_>) -> Result<Running, Stop> {
        let Read { application, sources } = read(wanted.file)?;
        let (gateway_listener, gateway) = listen(wanted.gateway, "gateway").await?;
        let (admin_listener, admin) = listen(wanted.admin, "admin").await?;
        let auth = admin::Auth::open(wanted.admin_token.as_deref(), admin, &wanted.data);
        let auth = auth.map_err(|error| Stop::wrong(error.to_string()))?;
        let config = PlatformConfig {
            application: Arc::new(application),
            base: wanted.file.parent().unwrap_or(Path::new("")).to_path_buf(),
            data: Some(wanted.data),
            cache: None,
            guest_threads: None,
        };
        let opening = tokio::task::spawn_blocking(move || Platform::open_recorded(config, wanted.record));
        let opened = while_waiting("compiling components", opening).await;
        let opened = opened.map_err(|error| Stop::wrong(format!("opening broke off: {error}")))?;
        let platform = opened.map_err(|error| not_opened(error, &sources))?;
        let (stop_gateway, mut gateway_stopped) = watch::channel(false);
        let (stop_admin, mut admin_stopped) = watch::channel(false);
        let limits = GatewayLimits { grace: wanted.grace, ..GatewayLimits::default() };
        let gateway_task =
            tokio::spawn(Gateway::serve(gateway_listener, platform.clone(), limits, async move {
                // A sender that is gone says the same.
                let _ = gateway_stopped.wait_for(|stopped| *stopped).await;
            }));
        let router = admin::router(platform.clone(), auth);
        let limits = admin::AdminLimits::default();
        let admin_task = tokio::spawn(admin::serve(admin_listener, router, limits, async move {
            let _ = admin_stopped.wait_for(|stopped| *stopped).await;
        }));
        let grace = wanted.grace;
        Ok(Running { platform, gateway, admin, grace, stop_gateway, stop_admin, gateway_task, admin_task })
    }

    /// Takes no new work, lets what runs end, and closes the store. Answers whether all has ended within
    /// the grace period.
    pub async fn drain(self) -> bool {
        // The admin API stays to the last: it says that the server drains.
        let whole = self.platform.drain(self.grace).await;
        let _ = self.stop_gateway.send(true);
        let _ = self.gateway_task.await;
        let _ = self.stop_admin.send(true);
        // A client that keeps its connection open must not keep the server.
        let _ = tokio::time::timeout(Duration::from_secs(1), self.admin_task).await;
        let platform = self.platform;
        let _ = tokio::task::spawn_blocking(move || platform.close()).await;
        whole
    }
}

/// Reads an application file whose components are there.
fn read(file: &Path) -> Result<Read, Stop> {
    let shown = file.display().to_string();
    let text = std::fs::read_to_string(file).map_err(|error| {
        let help = "flyball init DIR writes a new application; flyball serve FILE names another file";
        Stop::wrong(format!("{shown} can't be read: {error}\n{help}"))
    })?;
    let base = file.parent().unwrap_or(Path::new(""));
    flyball_app::read_with(&shown, &text, |component| base.join(component).is_file())
        .map_err(|diagnostics| Stop::wrong(diagnostics.to_string()))
}

fn not_opened(error: OpenError, sources: &flyball_app::SourceMap) -> Stop {
    let functions = match error {
        OpenError::Functions(functions) => functions,
        other => return Stop::wrong(other.to_string()),
    };
    let diagnostic = |error: &FunctionError| {
        let (code, help) = match error.wrong_world {
            true => (Code::ComponentWorld, "export what its triggers need, or name another component"),
            false => (Code::BadValue, "build the component again, or name another"),
        };
        let message = format!("function {}: {}", error.function, error.message);
        sources.diagnostic(code, &["function", &error.function, "component"], &message, help)
    };
    let diagnostics = functions.iter().map(diagnostic).collect();
    Stop::wrong(Diagnostics { diagnostics, left_out: 0 }.to_string())
}

async fn listen(address: SocketAddr, what: &str) -> Result<(TcpListener, SocketAddr), Stop> {
    let bound = async {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        Ok((listener, address))
    };
    bound.await.map_err(|error: std::io::Error| {
        Stop::wrong(format!("can't listen on {address}: {error}\nchoose another address by --{what} ADDR"))
    })
}

/// Shows a spinner where a person waits for more than a second.
async fn while_waiting<T>(what: &'static str, work: impl Future<Output = T>) -> T {
    let mut work = std::pin::pin!(work);
    match tokio::time::timeout(Duration::from_secs(1), &mut work).await {
        Ok(done) => done,
        Err(_) => {
            let spinner = ProgressBar::new_spinner().with_message(what);
            spinner.enable_steady_tick(Duration::from_millis(100));
            let done = work.await;
            spinner.finish_and_clear();
            done
        }
    }
}

/// The signals that end the server.
#[derive(Debug)]
pub struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

impl Signals {
    /// Catches them from now on.
    ///
    /// # Errors
    /// Where the system refuses.
    pub fn new() -> Result<Signals, Stop> {
        use tokio::signal::unix::{SignalKind, signal};
        let caught =
            |kind| signal(kind).map_err(|error| Stop::wrong(format!("signals can't be caught: {error}")));
        Ok(Signals {
            terminate: caught(SignalKind::terminate())?,
            interrupt: caught(SignalKind::interrupt())?,
        })
    }

    /// Waits for the next one.
    pub async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
