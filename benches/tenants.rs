//! What is resident while nothing happens: 10,000 tenants on one application with one function that each
//! has called once; and, harder, an application of many functions, each called once. Each platform is a
//! process of its own that opens what another has made, so that nothing of the making is counted.
//!
//! Each function has a component of its own: the same code, and a name in it, so that it is compiled,
//! cached and mapped apart from the others. `--same` makes them equal to the byte.
//!
//! `--tenants 10000`, `--functions 1000`.

use std::{
    error::Error,
    fmt::Write as _,
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Instant,
};

use bytes::Bytes;
use flyball_benches::{
    Arguments, Promise, Report, platform,
    process::{Memory, Server, end_with_starter, mib, root},
};
use flyball_core::{Name, TenantId};
use flyball_server::{
    gateway::{Gateway, GatewayLimits},
    platform::{CallAnswer, Platform},
};

/// As in the binary.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Calls at once.
const CALLERS: usize = 8;
/// Tenants of the application with many functions.
const FEW: usize = 10;
/// What the figures of many functions are carried on to.
const EXTRAPOLATED: f64 = 10_000.0;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::read();
    if let (Some(address), Some(directory)) = (arguments.get("serve"), arguments.get("directory")) {
        end_with_starter();
        return platform::serve(address.parse()?, Path::new(directory));
    }
    if let (Some(address), Some(directory)) = (arguments.get("call"), arguments.get("directory")) {
        end_with_starter();
        return call_and_serve(address.parse()?, Path::new(directory));
    }
    let tenants = arguments.number("tenants", 10_000) as usize;
    let functions = arguments.number("functions", 1_000) as usize;
    let same = arguments.get("same").is_some();
    let directory = tempfile::tempdir()?;
    let conditions = format!(
        "{tenants} tenants on one function, {functions} functions of {FEW} tenants, {CALLERS} calls at a time, \
         at rest"
    );
    let mut report = Report::new("tenants", conditions, &arguments);
    let one = make(&directory.path().join("one"), 1, 1, false)?;
    let base = Stages { loaded: ready(&one.directory)?.1, called: called(&one.directory)? };
    for (when, memory) in base.named() {
        report.figure(format!("1 tenant, 1 function, {when}: anonymous"), mib(memory.anonymous), "MiB");
        report.figure(format!("1 tenant, 1 function, {when}: mapped from files"), mib(memory.file), "MiB");
    }

    let many = make(&directory.path().join("tenants"), tenants, 1, false)?;
    report.figure(format!("{tenants} tenants created with a key"), tenants as f64 / many.tenants_s, "/s");
    report.figure("from exec to ready", ready(&many.directory)?.0, "s");
    let memory = called(&many.directory)?;
    report.figure("anonymous", mib(memory.anonymous), "MiB");
    report.figure("mapped from files", mib(memory.file), "MiB");
    let together = mib(memory.anonymous + memory.file);
    report.promised("together", together, "MiB", Promise::AtMost(1_024.0));
    let each = memory.anonymous.saturating_sub(base.called.anonymous) as f64 / tenants as f64;
    report.figure("a tenant, anonymous", each, "bytes");

    many_functions(&mut report, &directory.path().join("functions"), functions, base, same)?;
    report.finish();
    Ok(())
}

fn many_functions(
    report: &mut Report,
    directory: &Path,
    functions: usize,
    base: Stages,
    same: bool,
) -> Result<(), Box<dyn Error>> {
    let made = make(directory, FEW, functions, same)?;
    report.figure(format!("{functions} functions: the first open, which compiles"), made.open_s, "s");
    let (seconds, loaded) = ready(&made.directory)?;
    report.figure("from exec to ready, compiled before", seconds, "s");
    let found = Stages { loaded, called: called(&made.directory)? };
    for ((when, memory), (_, base)) in found.named().into_iter().zip(base.named()) {
        report.figure(format!("{when}: anonymous"), mib(memory.anonymous), "MiB");
        report.figure(format!("{when}: mapped from files"), mib(memory.file), "MiB");
        let more = functions.saturating_sub(1).max(1) as f64;
        let anonymous = memory.anonymous.saturating_sub(base.anonymous) as f64 / more;
        let file = memory.file.saturating_sub(base.file) as f64 / more;
        report.figure(format!("{when}: a function, anonymous"), anonymous / 1_024.0, "KiB");
        report.figure(format!("{when}: a function, mapped from files"), file / 1_024.0, "KiB");
        let together = (anonymous + file) * EXTRAPOLATED + (base.anonymous + base.file) as f64;
        let what = format!("{when}: EXTRAPOLATED to 10,000 functions, together");
        report.figure(what, mib(together as u64), "MiB");
    }
    Ok(())
}

/// What is resident at two stages.
#[derive(Debug, Clone, Copy)]
struct Stages {
    loaded: Memory,
    called: Memory,
}

impl Stages {
    fn named(self) -> [(&'static str, Memory); 2] {
        [("loaded", self.loaded), ("called", self.called)]
    }
}

/// An application that was opened once.
struct Made {
    directory: PathBuf,
    open_s: f64,
    tenants_s: f64,
}

/// Writes the application, opens it for the first time and creates its tenants.
fn make(directory: &Path, tenants: usize, functions: usize, same: bool) -> Result<Made, Box<dyn Error>> {
    fs::create_dir(directory)?;
    let component = fs::read(root().join("tests/guests/dist/http-hello.wasm"))?;
    let mut text = String::from("[application]\nname = \"tenants\"\n");
    for number in 0..functions {
        let name = format!("f{number}");
        let mut component = component.clone();
        if !same {
            component.extend_from_slice(&custom_section(&name));
        }
        fs::write(directory.join(format!("{name}.wasm")), component)?;
        // Writing to a String can't fail.
        let _ = writeln!(text, "[function.{name}]\ncomponent = \"{name}.wasm\"\nmemory = \"64MiB\"");
    }
    fs::write(directory.join("flyball.toml"), text)?;
    let runtime = runtime()?;
    let begun = Instant::now();
    let platform = runtime.block_on(async { platform::open(directory) })?;
    let open_s = begun.elapsed().as_secs_f64();
    let begun = Instant::now();
    for tenant in 0..tenants {
        platform.create_tenant(Name::new(&format!("t{tenant}"))?)?;
    }
    let tenants_s = begun.elapsed().as_secs_f64();
    platform.close();
    Ok(Made { directory: directory.to_path_buf(), open_s, tenants_s })
}

/// A section that says nothing to anyone: kind 0, length, length of its name, name. Names here are shorter
/// than 127 bytes, so that each length is one byte.
fn custom_section(name: &str) -> Vec<u8> {
    let length = name.len() as u8;
    [&[0, length + 1, length], name.as_bytes()].concat()
}

fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()
}

/// Seconds until it is ready, and what it takes then.
fn ready(directory: &Path) -> std::io::Result<(f64, Memory)> {
    let begun = Instant::now();
    let server = Server::role("serve", &[("directory", directory)])?;
    let seconds = begun.elapsed().as_secs_f64();
    Ok((seconds, server.settled_memory()?))
}

/// What it takes at rest, after each tenant has called and each function was called.
fn called(directory: &Path) -> std::io::Result<Memory> {
    Server::role("call", &[("directory", directory)])?.settled_memory()
}

/// The role of [`called`]: listens only when all calls are over.
fn call_and_serve(address: SocketAddr, directory: &Path) -> Result<(), Box<dyn Error>> {
    runtime()?.block_on(async {
        let platform = platform::open(directory)?;
        let functions: Arc<Vec<Name>> = Arc::new(platform.application().functions.keys().cloned().collect());
        let calls = platform.tenants().count().max(functions.len());
        let tasks: Vec<_> = (0..CALLERS)
            .map(|caller| tokio::spawn(call(platform.clone(), functions.clone(), caller, calls)))
            .collect();
        for task in tasks {
            task.await??;
        }
        let listener = tokio::net::TcpListener::bind(address).await?;
        Gateway::serve(listener, platform, GatewayLimits::default(), std::future::pending()).await;
        Ok(())
    })
}

async fn call(
    platform: Arc<Platform>,
    functions: Arc<Vec<Name>>,
    caller: usize,
    calls: usize,
) -> Result<(), String> {
    let tenants = platform.tenants().count();
    for number in (caller..calls).step_by(CALLERS) {
        let Some(function) = functions.get(number % functions.len()) else { continue };
        let request = http::Request::new(Bytes::new());
        let tenant = TenantId((number % tenants) as u32 + 1);
        match platform.call(tenant, function, request, None).await {
            CallAnswer::Done { response, .. } if response.status() == 200 => {}
            other => return Err(format!("{function} of {tenant:?} answered {other:?}")),
        }
    }
    Ok(())
}
