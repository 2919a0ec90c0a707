//! Plays deliveries at the gateway, as a code host would: at their time, signed, again where it is asked
//! to wait, and some of them twice.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use serde::Deserialize;
use tokio::{task::JoinSet, time::Instant};

use super::{
    books::{Books, Tenant},
    traffic::Delivery,
};
use crate::http::Peer;

/// Connections of the quiet tenants, and of the loud one: its waiting requests must not hold up theirs.
const CONNECTIONS: [usize; 2] = [64, 32];
/// How long one request may take.
const ANSWER_MAX: Duration = Duration::from_secs(30);
/// How often a delivery is sent until it is taken; with waits of a second or more in between.
const TRIES_MAX: u32 = 120;

/// The deliveries on their way.
#[derive(Debug)]
pub struct Player {
    books: Arc<Books>,
    tenants: Arc<Vec<Tenant>>,
    gateway: String,
    start: Instant,
    /// Deliveries that are over.
    pub played: AtomicU64,
}

/// What `webhook` answers, or the gateway where the call goes on without us.
#[derive(Deserialize)]
struct Answer {
    events: Option<Vec<String>>,
    result: Option<String>,
}

impl Player {
    /// Against this gateway, from now on.
    pub fn new(books: Arc<Books>, tenants: Arc<Vec<Tenant>>, gateway: String) -> Arc<Player> {
        Arc::new(Player { books, tenants, gateway, start: Instant::now(), played: AtomicU64::new(0) })
    }

    /// Plays them all; they are in the order of time.
    pub async fn play(self: &Arc<Self>, deliveries: Vec<Delivery>) {
        let (loud, quiet): (VecDeque<_>, VecDeque<_>) = deliveries.into_iter().partition(|d| d.tenant == 0);
        let mut workers = JoinSet::new();
        for (queue, connections) in [quiet, loud].into_iter().zip(CONNECTIONS) {
            let queue = Arc::new(Mutex::new(queue));
            for _ in 0..connections {
                let (this, queue) = (self.clone(), queue.clone());
                workers.spawn(async move { this.work(&queue).await });
            }
        }
        while workers.join_next().await.is_some() {}
    }

    async fn work(&self, queue: &Mutex<VecDeque<Delivery>>) {
        let Ok(mut peer) = Peer::new(&self.gateway) else { return };
        loop {
            let next = queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
            let Some(delivery) = next else { return };
            tokio::time::sleep_until(self.start + delivery.at).await;
            if let Err(message) = self.deliver(&mut peer, &delivery).await {
                self.books.entries().wrong.push(format!("{}: {message}", delivery.expected.repository));
            }
            self.played.fetch_add(1, Ordering::Relaxed);
        }
    }

    async fn deliver(&self, peer: &mut Peer, delivery: &Delivery) -> Result<(), String> {
        let tenant = self.tenants.get(delivery.tenant).ok_or("there is no such tenant")?;
        let first = self.taken(peer, tenant, delivery).await?;
        let events = self.events_of(peer, tenant, &first).await?;
        self.books.accepted(&tenant.name, &delivery.expected, &events);
        if delivery.twice {
            self.books.entries().redelivered += 1;
            let second = self.taken(peer, tenant, delivery).await?;
            let same = self.events_of(peer, tenant, &second).await? == events;
            if same && second.headers().contains_key("idempotency-replayed") {
                self.books.entries().replayed += 1;
            }
        }
        Ok(())
    }

    /// Sends a delivery until it is taken, each time under the same key.
    async fn taken(&self, peer: &mut Peer, tenant: &Tenant, d: &Delivery) -> Result<Response<Bytes>, String> {
        let mut last = String::new();
        for _ in 0..TRIES_MAX {
            let request = Request::post(format!("/t/{}/webhook", tenant.name))
                .header("content-type", "application/json")
                .header("user-agent", "GitHub-Hookshot/demo")
                .header("x-github-event", "push")
                .header("x-github-delivery", &d.id)
                .header("idempotency-key", &d.id)
                .header("x-hub-signature-256", &d.signature)
                .body(d.body.clone())
                .map_err(|error| error.to_string())?;
            let response = match peer.send(request, ANSWER_MAX).await {
                Ok(response) => response,
                Err(error) => {
                    // It may have arrived: the key makes sending it again safe.
                    last = error.to_string();
                    tokio::time::sleep(Duration::from_secs(1)).await;
                    continue;
                }
            };
            let text = String::from_utf8_lossy(response.body());
            last = format!("{}: {}", response.status(), text.chars().take(200).collect::<String>());
            match response.status() {
                StatusCode::ACCEPTED => return Ok(response),
                StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE | StatusCode::CONFLICT => {
                    self.books.entries().throttled += 1;
                    tokio::time::sleep(retry_after(&response)).await;
                }
                _ => return Err(last),
            }
        }
        Err(format!("not taken after {TRIES_MAX} tries: {last}"))
    }

    /// The events that a push was split into; where the gateway said that the call goes on, its result is
    /// fetched.
    async fn events_of(
        &self,
        peer: &mut Peer,
        tenant: &Tenant,
        response: &Response<Bytes>,
    ) -> Result<Vec<String>, String> {
        let read = |body: &Bytes| {
            serde_json::from_slice::<Answer>(body).map_err(|error| format!("the answer: {error}"))
        };
        let mut answer = read(response.body())?;
        let place = answer.result.take();
        for _ in 0..TRIES_MAX {
            if let Some(events) = answer.events {
                return Ok(events);
            }
            let place = place.as_deref().ok_or("the answer names neither events nor a result")?;
            let response = get(peer, place, &tenant.key).await?;
            answer = read(response.body())?;
            if answer.events.is_none() {
                tokio::time::sleep(retry_after(&response)).await;
            }
        }
        Err("accepted, but without a result for minutes".into())
    }
}

/// Reads something with a tenant's key.
///
/// # Errors
/// Where there is no answer, or none of success.
pub async fn get(peer: &mut Peer, path: &str, key: &str) -> Result<Response<Bytes>, String> {
    let request = Request::builder().method(Method::GET).uri(path).header("x-api-key", key);
    let request = request.body(Bytes::new()).map_err(|error| error.to_string())?;
    let response = peer.send(request, ANSWER_MAX).await.map_err(|error| format!("{path}: {error}"))?;
    if response.status().is_success() {
        return Ok(response);
    }
    let text = String::from_utf8_lossy(response.body());
    Err(format!("{path}: {}: {}", response.status(), text.chars().take(200).collect::<String>()))
}

fn retry_after(response: &Response<Bytes>) -> Duration {
    let header = response.headers().get(http::header::RETRY_AFTER).and_then(|value| value.to_str().ok());
    Duration::from_secs(header.and_then(|text| text.parse().ok()).unwrap_or(1).clamp(1, 10))
}
