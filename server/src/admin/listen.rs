//! The admin API's connections. Few are enough for operators; strangers can't hold more of them, or for
//! longer, than the limits say, so that they take none of what the gateway needs.

use std::{future::Future, sync::Arc, time::Duration};

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
    service::TowerToHyperService,
};
use tokio::{net::TcpListener, sync::Semaphore};

use crate::gateway::{
    GatewayLimits,
    slow::{Impatient, Untaken},
};

/// Limits of the admin API's connections.
#[derive(Debug, Clone)]
pub struct AdminLimits {
    /// Connections at once; at the limit no further one is accepted until one ends. Default 256.
    pub connections_max: usize,
    /// A request's head, bytes; past it 431. Default 64 KiB.
    pub header_bytes_max: usize,
    /// How long a request's head may take, the wait on an idle connection included; then the connection
    /// is closed. Default 30 s.
    pub header_timeout: Duration,
    /// How long a client may take none of its response; then the connection is closed. Default 30 s.
    pub write_timeout: Duration,
    /// How long requests that run may take to end when the API stops. Default 30 s.
    pub grace: Duration,
}

impl Default for AdminLimits {
    fn default() -> Self {
        AdminLimits {
            connections_max: 256,
            header_bytes_max: 64 << 10,
            header_timeout: Duration::from_secs(30),
            write_timeout: Duration::from_secs(30),
            grace: Duration::from_secs(30),
        }
    }
}

/// Serves until `shutdown` resolves, and then what runs, within the grace period.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    limits: AdminLimits,
    shutdown: impl Future<Output = ()>,
) {
    let places = Arc::new(Semaphore::new(limits.connections_max));
    let graceful = GracefulShutdown::new();
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(limits.header_timeout)
        .max_buf_size(limits.header_bytes_max.max(8_192));
    let impatience = GatewayLimits {
        header_timeout: limits.header_timeout,
        write_timeout: limits.write_timeout,
        ..GatewayLimits::default()
    };
    let mut shutdown = std::pin::pin!(shutdown);
    loop {
        // A place first, then the connection: what is not accepted waits in the kernel.
        let accept = async {
            let place = places.clone().acquire_owned().await;
            (place, listener.accept().await)
        };
        let (place, accepted) = tokio::select! {
            accepted = accept => accepted,
            () = &mut shutdown => break,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "a connection to the admin API can't be accepted");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let io = TokioIo::new(Impatient::new(stream, &impatience, Arc::new(Untaken::default())));
        let service = TowerToHyperService::new(router.clone());
        let connection = graceful.watch(http.serve_connection(io, service));
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection to the admin API ended early");
            }
            drop(place);
        });
    }
    drop(listener);
    // What is left then is broken off with the process.
    let _ = tokio::time::timeout(limits.grace, graceful.shutdown()).await;
}
