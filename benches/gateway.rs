//! Hello world over HTTP: `flyball serve`, with its limits, tenants and metrics, beside the bare loop of
//! hyper and Wasmtime on an engine of the same configuration; and, where they are named, beside
//! `wasmtime serve` and `workerd`. Each is a process of its own, the client is this one.
//!
//! `--seconds 3`, `--rounds 5`, `--connections 16`; `--wasmtime PATH` and `--workerd PATH` add peers.

use std::{error::Error, fs, net::SocketAddr, path::Path, process::Command, time::Duration};

use flyball_benches::{Arguments, Promise, Report, bare, interleaved, load, platform, process, quantile};
use process::{Server, end_with_starter, free_address, root};

/// As in the binary, and for all that this process runs: the bare loop too.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const APPLICATION: &str = r#"
[application]
name = "hello"

[function.hello]
component = "http-hello.wasm"
memory = "64MiB"
timeout = "10s"

[[route]]
path = "/hello"
methods = ["GET"]
function = "hello"
tenant = { header = "x-tenant" }

[tenant.acme]
"#;

const WORKERD: &str = r#"using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [(name = "main", worker = .hello)],
  sockets = [(name = "http", address = "ADDRESS", http = (), service = "main")],
);
const hello :Workerd.Worker = (
  modules = [(name = "hello.js", esModule = "export default { fetch() { return new Response('hello\\n'); } };")],
  compatibilityDate = "2026-01-01",
);
"#;

/// One that answers hello.
struct Peer {
    name: &'static str,
    server: Server,
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::read();
    let component = root().join("tests/guests/dist/http-hello.wasm");
    if let Some(address) = arguments.get("bare") {
        end_with_starter();
        return serve_bare(address.parse()?, &component);
    }
    if let Some(address) = arguments.get("flyball") {
        end_with_starter();
        return platform::serve(address.parse()?, Path::new(arguments.get("directory").unwrap_or(".")));
    }
    let directory = tempfile::tempdir()?;
    fs::write(directory.path().join("flyball.toml"), APPLICATION)?;
    fs::copy(&component, directory.path().join("http-hello.wasm"))?;
    let mut peers = vec![
        Peer { name: "flyball serve", server: Server::role("flyball", &[("directory", directory.path())])? },
        Peer { name: "bare loop", server: Server::role("bare", &[])? },
    ];
    if let Some(path) = arguments.get("wasmtime") {
        let address = free_address()?;
        let mut command = Command::new(path);
        command.args(["serve", "-Scli", "--addr", &address.to_string()]).arg(&component);
        peers.push(Peer { name: "wasmtime serve", server: Server::start(&mut command, address)? });
    }
    if let Some(path) = arguments.get("workerd") {
        let address = free_address()?;
        let config = directory.path().join("workerd.capnp");
        fs::write(&config, WORKERD.replace("ADDRESS", &address.to_string()))?;
        let mut command = Command::new(path);
        command.arg("serve").arg(&config);
        peers.push(Peer { name: "workerd", server: Server::start(&mut command, address)? });
    }
    compare(&peers, &arguments);
    Ok(())
}

fn compare(peers: &[Peer], arguments: &Arguments) {
    let connections = arguments.number("connections", 16) as usize;
    let time = Duration::from_secs(arguments.number("seconds", 3));
    let rounds = arguments.number("rounds", 5) as usize;
    let conditions = format!(
        "hello world, {connections} connections kept alive, {rounds} rounds of {} s in turns, the client on \
         the same processors",
        time.as_secs()
    );
    let mut report = Report::new("gateway", conditions, arguments);
    let mut latencies = vec![(Vec::new(), Vec::new()); peers.len()];
    let contestants = peers.iter().zip(&mut latencies).map(|(peer, (p50s, p99s))| {
        let contestant = move || {
            let request = b"GET /hello HTTP/1.1\r\nhost: localhost\r\nx-tenant: acme\r\n\r\n";
            let found = load::run(peer.server.address, request, connections, time);
            if found.errors > 0 {
                eprintln!("{}: {} requests failed", peer.name, found.errors);
            }
            p50s.push(found.p50_us);
            p99s.push(found.p99_us);
            found.per_second
        };
        Box::new(contestant) as flyball_benches::Contestant<'_>
    });
    let rates = interleaved(rounds, &mut contestants.collect::<Vec<_>>());
    let ours = rates.first().copied().unwrap_or(0.0);
    for ((peer, rate), (p50s, p99s)) in peers.iter().zip(&rates).zip(&mut latencies) {
        report.figure(peer.name, *rate, "requests/s");
        report.figure(format!("{} p50", peer.name), quantile(p50s, 0.5), "µs");
        let p99 = quantile(p99s, 0.5);
        if peer.name == "flyball serve" {
            report.promised(format!("{} p99", peer.name), p99, "µs", Promise::AtMost(3_000.0));
        } else {
            report.figure(format!("{} p99", peer.name), p99, "µs");
        }
    }
    for (peer, rate) in peers.iter().zip(&rates).skip(1) {
        let bound = match peer.name {
            "bare loop" => 0.75,
            "wasmtime serve" => 2.2,
            _ => 1.3,
        };
        let what = format!("flyball serve / {}", peer.name);
        report.promised(what, ours / rate, "×", Promise::AtLeast(bound));
    }
    report.finish();
}

/// The role of the bare loop.
fn serve_bare(address: SocketAddr, component: &Path) -> Result<(), Box<dyn Error>> {
    let (engine, _) = flyball_host::bare_engine(&bare::limits())?;
    let ticking = engine.clone();
    std::thread::spawn(move || {
        loop {
            std::thread::sleep(Duration::from_millis(1));
            ticking.increment_epoch();
        }
    });
    let bytes = fs::read(component)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    Ok(runtime.block_on(bare::serve(address, engine, &bytes))?)
}
