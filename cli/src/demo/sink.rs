//! The tenants' side: an HTTP server on loopback that takes announcements. Each tenant has a path of its
//! own, so an announcement that goes astray is seen.

use std::{convert::Infallible, net::SocketAddr, sync::Arc};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use tokio::net::TcpListener;

use super::books::{Announcement, Books};

const BODY_BYTES_MAX: usize = 4 << 20;

#[derive(Deserialize)]
struct Told {
    repository: String,
    new_findings: Vec<Finding>,
}

#[derive(Deserialize)]
struct Finding {
    fingerprint: String,
}

/// Listens on a free port, and writes what comes into the books until the program ends.
///
/// # Errors
/// Where no port can be had.
pub async fn listen(books: Arc<Books>) -> std::io::Result<SocketAddr> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let books = books.clone();
            let service = service_fn(move |request| take(request, books.clone()));
            tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
        }
    });
    Ok(address)
}

async fn take(request: Request<Incoming>, books: Arc<Books>) -> Result<Response<Full<Bytes>>, Infallible> {
    let tenant = request.uri().path().trim_start_matches('/').to_string();
    let key = request.headers().get("idempotency-key").and_then(|key| key.to_str().ok()).map(String::from);
    let body = Limited::new(request.into_body(), BODY_BYTES_MAX).collect().await;
    let told = body.ok().and_then(|body| serde_json::from_slice::<Told>(&body.to_bytes()).ok());
    let mut response = Response::new(Full::default());
    match (key, told) {
        (Some(key), Some(told)) => {
            let fingerprints = told.new_findings.into_iter().map(|finding| finding.fingerprint).collect();
            books.announced(
                &key,
                Announcement { tenant, repository: told.repository, fingerprints, times: 1 },
            );
        }
        _ => {
            books.entries().wrong.push(format!("an announcement to {tenant} has no key, or is no JSON"));
            *response.status_mut() = StatusCode::BAD_REQUEST;
        }
    }
    Ok(response)
}
