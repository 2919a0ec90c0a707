//! Wasmtime without us: the loop that is left when everything that Flyball adds is taken away, on an engine
//! of the very same configuration. What stands beside our figures.

use std::{
    convert::Infallible,
    future::Future,
    io,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use flyball_host::HostLimits;
use http_body::{Body, Frame};
use hyper::{Request, Response, body::Incoming, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::sync::oneshot;
use wasmtime::{
    Engine, Store, StoreLimits, StoreLimitsBuilder,
    component::{Component, Linker, ResourceTable},
};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::{
    WasiHttpCtx, WasiHttpCtxView, WasiHttpView,
    p2::{
        bindings::{ProxyPre, http::types::Scheme},
        body::HyperOutgoingBody,
    },
};

/// What the event function exports, and nothing that it may import.
mod handler {
    wasmtime::component::bindgen!({
        inline: "package benches:bare; world bare { export flyball:function/handler@0.1.0; }",
        path: "../wit",
        exports: { default: async },
    });
}

use handler::{BarePre, exports::flyball::function::handler::Event};

/// An instance's memory limit, bytes: as in the application that it is compared with.
pub const MEMORY_BYTES_MAX: usize = 64 << 20;

struct Guest {
    wasi: WasiCtx,
    http: WasiHttpCtx,
    table: ResourceTable,
    limits: StoreLimits,
}

impl WasiView for Guest {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl WasiHttpView for Guest {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView { ctx: &mut self.http, table: &mut self.table, hooks: Default::default() }
    }
}

/// The limits that Flyball's host has for an application with the default cap.
pub fn limits() -> HostLimits {
    HostLimits { memory_bytes_max: MEMORY_BYTES_MAX as u64, ..HostLimits::default() }
}

fn store(engine: &Engine) -> Store<Guest> {
    let limits = StoreLimitsBuilder::new().memory_size(MEMORY_BYTES_MAX).build();
    let (wasi, table) = (WasiCtx::builder().build(), ResourceTable::new());
    let mut store = Store::new(engine, Guest { wasi, http: WasiHttpCtx::new(), table, limits });
    store.limiter(|guest| &mut guest.limits);
    store.set_epoch_deadline(1);
    store.epoch_deadline_async_yield_and_update(1);
    store
}

fn linked(engine: &Engine, bytes: &[u8]) -> wasmtime::Result<(Component, Linker<Guest>)> {
    let component = Component::from_binary(engine, bytes)?;
    let mut linker = Linker::new(engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    wasmtime_wasi_http::p2::add_only_http_to_linker_async(&mut linker)?;
    Ok((component, linker))
}

/// An event function, alone.
pub struct Events {
    engine: Engine,
    pre: BarePre<Guest>,
    event: Event,
}

impl Events {
    /// Compiles it. `event`'s data is what each run is given.
    ///
    /// # Errors
    /// Where it is no event function.
    pub fn new(engine: Engine, bytes: &[u8], data: &[u8]) -> wasmtime::Result<Events> {
        let (component, linker) = linked(&engine, bytes)?;
        let pre = BarePre::new(linker.instantiate_pre(&component)?)?;
        let text = |text: &str| text.to_string();
        let event = Event {
            id: text("596e833f578f1691aefdd18021bc5363"),
            tenant: text("acme"),
            target: text("work"),
            kind: text("work"),
            source: text("/bench"),
            subject: None,
            content_type: text("application/octet-stream"),
            time_ms: 1,
            attempt: 1,
            hop: 0,
            root: text("596e833f578f1691aefdd18021bc5363"),
            cause: None,
            data: data.to_vec(),
        };
        Ok(Events { engine, pre, event })
    }

    /// Instantiates, calls and drops.
    ///
    /// # Errors
    /// Where the guest fails.
    pub async fn run(&self) -> wasmtime::Result<()> {
        let mut store = store(&self.engine);
        let bindings = self.pre.instantiate_async(&mut store).await?;
        let event = self.event.clone();
        let handled = bindings.flyball_function_handler().call_handle(&mut store, &event).await?;
        handled.map(drop).map_err(|failure| wasmtime::Error::msg(format!("{failure:?}")))
    }
}

/// Serves a `wasi:http` component by hyper, for ever: a fresh instance for each request, polled in the
/// connection's own task, its body handed on as it comes.
///
/// # Errors
/// Where the address or the component can't be had.
pub async fn serve(address: SocketAddr, engine: Engine, bytes: &[u8]) -> wasmtime::Result<()> {
    let (component, linker) = linked(&engine, bytes)?;
    let pre = Arc::new(ProxyPre::new(linker.instantiate_pre(&component)?)?);
    let listener = tokio::net::TcpListener::bind(address).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let (pre, engine) = (pre.clone(), engine.clone());
        let service = service_fn(move |request| {
            let (pre, engine) = (pre.clone(), engine.clone());
            async move { Ok::<_, Infallible>(answer(&engine, pre, request).await) }
        });
        let mut builder = hyper::server::conn::http1::Builder::new();
        builder.timer(TokioTimer::new());
        let connection = builder.serve_connection(TokioIo::new(stream), service);
        tokio::spawn(async move { drop(connection.await) });
    }
}

type Running = Pin<Box<dyn Future<Output = wasmtime::Result<()>> + Send>>;

async fn answer(
    engine: &Engine,
    pre: Arc<ProxyPre<Guest>>,
    request: Request<Incoming>,
) -> Response<Streamed> {
    let (set, given) = oneshot::channel();
    let mut store = store(engine);
    let mut guest: Running = Box::pin(async move {
        let request = store.data_mut().http().new_incoming_request(Scheme::Http, request)?;
        let outparam = store.data_mut().http().new_response_outparam(set)?;
        let proxy = pre.instantiate_async(&mut store).await?;
        proxy.wasi_http_incoming_handler().call_handle(&mut store, request, outparam).await
    });
    tokio::pin!(given);
    let (mut returned, mut response) = (false, None);
    std::future::poll_fn(|context| {
        returned = returned || guest.as_mut().poll(context).is_ready();
        match given.as_mut().poll(context) {
            Poll::Ready(Ok(Ok(given))) => {
                response = Some(given);
                Poll::Ready(())
            }
            Poll::Ready(_) => Poll::Ready(()),
            Poll::Pending => Poll::Pending,
        }
    })
    .await;
    match response {
        Some(response) => {
            response.map(|body| Streamed { body: Some(body), guest: (!returned).then_some(guest) })
        }
        None => {
            let mut failed = Response::new(Streamed { body: None, guest: None });
            *failed.status_mut() = hyper::StatusCode::INTERNAL_SERVER_ERROR;
            failed
        }
    }
}

/// A body, and the guest that still writes it.
struct Streamed {
    body: Option<HyperOutgoingBody>,
    guest: Option<Running>,
}

impl Body for Streamed {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        if let Some(guest) = &mut self.guest
            && guest.as_mut().poll(context).is_ready()
        {
            self.guest = None;
        }
        let Some(body) = &mut self.body else { return Poll::Ready(None) };
        let frame = Pin::new(body).poll_frame(context);
        frame.map_err(|error| io::Error::other(format!("{error:?}")))
    }
}
