//! What no client of good will does over HTTP/2, frame by frame; and HTTP/2 clients that send too much or too
//! slowly. Whatever becomes of their connections, another one is served.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests: a failure here is the test's failure"
)]

#[expect(dead_code, reason = "shared with the other tests")]
mod site;

use std::{
    convert::Infallible,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use flyball_server::gateway::GatewayLimits;
use http::{Request, Response};
use http_body_util::BodyExt as _;
use hyper::body::{Body, Frame};
use site::{Site, until};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    task::JoinHandle,
};

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RESET: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GO_AWAY: u8 = 7;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const ACK: u8 = 1;
const END_HEADERS: u8 = 4;
const ENHANCE_YOUR_CALM: u32 = 11;
/// Bytes of a frame, and of the dynamic table, that need not be agreed upon.
const FRAME_BYTES_MAX: usize = 16_384;
const TABLE_BYTES_MAX: usize = 4_096;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut bytes = length[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// An integer of HPACK after a prefix of 7 bits.
fn integer(value: usize) -> Vec<u8> {
    if value < 127 {
        return vec![value as u8];
    }
    let (mut bytes, mut rest) = (vec![127], value - 127);
    while rest > 127 {
        bytes.push((rest % 128) as u8 | 128);
        rest /= 128;
    }
    bytes.push(rest as u8);
    bytes
}

/// A header in full, with how it is to be indexed: 0 not, 0x40 in the dynamic table.
fn literal(indexed: u8, name: &str, value: &str) -> Vec<u8> {
    [&[indexed][..], &integer(name.len()), name.as_bytes(), &integer(value.len()), value.as_bytes()].concat()
}

/// The beginning of a request's head.
fn head(method: &str, path: &str, headers: &[(&str, &str)]) -> Vec<u8> {
    let own = [(":method", method), (":scheme", "http"), (":authority", "localhost"), (":path", path)];
    own.iter().chain(headers).flat_map(|(name, value)| literal(0, name, value)).collect()
}

/// Frames that came: kind and payload.
type Frames = Arc<Mutex<Vec<(u8, Vec<u8>)>>>;

/// A connection on which anything can be said. What comes is collected, and pings are answered.
struct Client {
    write: Arc<tokio::sync::Mutex<OwnedWriteHalf>>,
    frames: Frames,
    read: JoinHandle<()>,
}

impl Client {
    async fn open(site: &Site, settings: &[u8]) -> Client {
        let (read, mut write) = TcpStream::connect(site.address).await.unwrap().into_split();
        write.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
        write.write_all(&frame(SETTINGS, 0, 0, settings)).await.unwrap();
        let write = Arc::new(tokio::sync::Mutex::new(write));
        let frames = Frames::default();
        let read = tokio::spawn(Client::read(read, write.clone(), frames.clone()));
        Client { write, frames, read }
    }

    async fn read(mut stream: OwnedReadHalf, write: Arc<tokio::sync::Mutex<OwnedWriteHalf>>, frames: Frames) {
        let mut start = [0_u8; 9];
        while stream.read_exact(&mut start).await.is_ok() {
            let mut payload = vec![0; u32::from_be_bytes([0, start[0], start[1], start[2]]) as usize];
            if stream.read_exact(&mut payload).await.is_err() {
                break;
            }
            if start[3] == PING && start[4] & ACK == 0 {
                let _ = write.lock().await.write_all(&frame(PING, ACK, 0, &payload)).await;
            }
            frames.lock().unwrap().push((start[3], payload));
        }
    }

    /// Whether it could be sent: not when the other side has closed.
    async fn send(&self, bytes: &[u8]) -> bool {
        self.write.lock().await.write_all(bytes).await.is_ok()
    }

    /// Waits for a frame of this kind.
    async fn comes(&self, kind: u8, what: &str) -> Vec<u8> {
        let found = || self.frames.lock().unwrap().iter().find(|(k, _)| *k == kind).cloned();
        until(what, found).await.1
    }

    /// Waits until the gateway has ended the connection, which this side never does: all that came.
    async fn ended(self, what: &str) -> Vec<(u8, Vec<u8>)> {
        let ended = tokio::time::timeout(Duration::from_secs(20), self.read).await;
        ended.unwrap_or_else(|_| panic!("the connection is still there: {what}")).unwrap();
        std::mem::take(&mut *self.frames.lock().unwrap())
    }
}

/// Why the gateway went away, if it said so.
fn reason(frames: &[(u8, Vec<u8>)]) -> Option<u32> {
    let (_, payload) = frames.iter().rev().find(|(kind, _)| *kind == GO_AWAY)?;
    Some(u32::from_be_bytes(payload[4..8].try_into().unwrap()))
}

async fn another_is_served(site: &Site) {
    for _ in 0..10 {
        assert_eq!(site.ask_without_key("GET", "/t/other/hello", &[], "").await.status, 200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_without_end_ends_the_connection() {
    let site = Site::open().await;
    let large = literal(0, "x", &"v".repeat(FRAME_BYTES_MAX - 16));
    for piece in [&[][..], &literal(0, "x", "v"), &large] {
        let client = Client::open(&site, &[]).await;
        assert!(client.send(&frame(HEADERS, END_STREAM, 1, &head("GET", "/t/acme/hello", &[]))).await);
        let flood = frame(CONTINUATION, 0, 1, piece).repeat(10);
        for _ in 0..1_000 {
            if !client.send(&flood).await {
                break;
            }
        }
        let frames = client.ended("CONTINUATION without end").await;
        assert!(!frames.iter().any(|(kind, _)| *kind == HEADERS), "it was answered: {frames:?}");
        another_is_served(&site).await;
    }
}

/// A head with one header of `TABLE_BYTES_MAX` in the dynamic table, and references to it, of a byte each.
fn bomb(references: usize) -> Vec<u8> {
    let mut bomb = head("GET", "/t/acme/hello", &[]);
    bomb.extend(literal(0x40, "x", &"v".repeat(TABLE_BYTES_MAX - 33)));
    bomb.resize(bomb.len() + references, 0x80 | 62);
    frame(HEADERS, END_STREAM | END_HEADERS, 1, &bomb)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_small_head_that_unpacks_to_a_large_one_is_answered_431_or_ends_the_connection() {
    let site = Site::open().await;
    // 80 KiB of headers.
    let client = Client::open(&site, &[]).await;
    assert!(client.send(&bomb(20)).await);
    // "431" in Huffman's code.
    let answer = client.comes(HEADERS, "an answer").await;
    assert!(answer.windows(3).any(|part| part == [0x69, 0x90, 0xff]), "{answer:x?}");
    assert!(client.send(&frame(PING, 0, 0, b"12345678")).await);
    assert_eq!(client.comes(PING, "its answer").await, b"12345678", "the connection goes on");
    // 48 MiB of headers.
    let client = Client::open(&site, &[]).await;
    assert!(client.send(&bomb(12_000)).await);
    let frames = client.ended("a head of 48 MiB").await;
    assert_eq!(reason(&frames), Some(ENHANCE_YOUR_CALM), "{frames:?}");
    assert!(!frames.iter().any(|(kind, _)| *kind == HEADERS), "it was answered: {frames:?}");
    another_is_served(&site).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_are_reset_as_soon_as_they_are_sent_end_the_connection() {
    let site = Site::open().await;
    let client = Client::open(&site, &[]).await;
    let request = head("POST", "/web/x", &[("x-api-key", &site.key), ("x-do", "sleep 500")]);
    let mut flood = Vec::new();
    for n in 0..5_000 {
        let stream = 2 * n + 1;
        flood.extend(frame(HEADERS, END_STREAM | END_HEADERS, stream, &request));
        flood.extend(frame(RESET, 0, stream, &8_u32.to_be_bytes()));
    }
    let _ = client.send(&flood).await;
    another_is_served(&site).await;
    let frames = client.ended("five thousand requests that were reset").await;
    assert_eq!(reason(&frames), Some(ENHANCE_YOUR_CALM), "{frames:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_stops_within_a_head_is_closed() {
    let limits = GatewayLimits { header_timeout: Duration::from_millis(150), ..GatewayLimits::default() };
    let site = Site::with(limits, None).await;
    let client = Client::open(&site, &[]).await;
    assert!(client.send(&frame(HEADERS, 0, 1, &head("GET", "/t/acme/hello", &[]))).await);
    let frames = client.ended("a head that stopped").await;
    assert!(!frames.iter().any(|(kind, _)| *kind == HEADERS), "{frames:?}");
}

/// A body in pieces: as many as are wanted, then nothing more and no end.
struct Pieces {
    left: usize,
    bytes: usize,
    given: Arc<AtomicUsize>,
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.left == 0 {
            return Poll::Pending;
        }
        self.left -= 1;
        self.given.fetch_add(self.bytes, Ordering::Relaxed);
        Poll::Ready(Some(Ok(Frame::data(Bytes::from(vec![b'x'; self.bytes])))))
    }
}

/// Sends such a body on a connection of its own: the answer, and how many bytes were taken of the body.
async fn send(site: &Site, length: Option<&str>, pieces: usize, bytes: usize) -> (Response<Bytes>, usize) {
    let io = hyper_util::rt::TokioIo::new(TcpStream::connect(site.address).await.unwrap());
    let executor = hyper_util::rt::TokioExecutor::new();
    let (mut sender, connection) = hyper::client::conn::http2::handshake(executor, io).await.unwrap();
    tokio::spawn(connection);
    let given = Arc::new(AtomicUsize::new(0));
    let mut request = Request::post("http://localhost/web/x").header("x-api-key", &site.key);
    if let Some(length) = length {
        request = request.header("content-length", length);
    }
    let body = Pieces { left: pieces, bytes, given: given.clone() };
    let answer = sender.send_request(request.body(body).unwrap());
    let answer = tokio::time::timeout(Duration::from_secs(20), answer).await.expect("an answer").unwrap();
    let (parts, body) = answer.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    (Response::from_parts(parts, body), given.load(Ordering::Relaxed))
}

fn error(answer: &Response<Bytes>) -> serde_json::Value {
    serde_json::from_slice::<serde_json::Value>(answer.body()).unwrap()["error"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_over_the_limit_is_answered_413_and_not_read_on() {
    let site = Site::open().await;
    let (announced, taken) = send(&site, Some("9999999999"), 0, 0).await;
    let why = error(&announced);
    assert_eq!((announced.status().as_u16(), why["code"].as_str(), taken), (413, Some("FE4007"), 0));
    assert_eq!((why["limit"].as_u64(), why["value"].as_u64()), (Some(65_536), Some(9_999_999_999)));
    let (endless, taken) = send(&site, None, usize::MAX, FRAME_BYTES_MAX).await;
    let why = error(&endless);
    assert_eq!((endless.status().as_u16(), why["code"].as_str()), (413, Some("FE4007")), "{why}");
    assert_eq!(why["limit"].as_u64(), Some(65_536));
    // What the flow control lets out before the answer, and no more.
    assert!(taken <= 4 << 20, "{taken} bytes were taken");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_stops_is_answered_408() {
    let limits = GatewayLimits { body_timeout: Duration::from_millis(150), ..GatewayLimits::default() };
    let site = Site::with(limits, None).await;
    let (late, _) = send(&site, Some("10"), 1, 5).await;
    assert_eq!((late.status().as_u16(), error(&late)["code"].as_str()), (408, Some("FE4008")));
}

/// `SETTINGS_INITIAL_WINDOW_SIZE` of nothing: no byte of a body may be sent.
const NO_WINDOW: [u8; 6] = [0, 4, 0, 0, 0, 0];

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_takes_no_answer_is_closed_though_it_answers_pings() {
    let limits = GatewayLimits {
        header_timeout: Duration::from_millis(150),
        response_timeout: Duration::from_millis(600),
        ..GatewayLimits::default()
    };
    let site = Site::with(limits, None).await;
    let client = Client::open(&site, &NO_WINDOW).await;
    let request = head("GET", "/web/x", &[("x-api-key", &site.key), ("x-do", "big 60000")]);
    assert!(client.send(&frame(HEADERS, END_STREAM | END_HEADERS, 1, &request)).await);
    let frames = client.ended("an answer that is not taken").await;
    assert!(frames.iter().any(|(kind, _)| *kind == HEADERS), "it was answered: {frames:?}");
    assert!(!frames.iter().any(|(kind, payload)| *kind == DATA && !payload.is_empty()), "{frames:?}");
    another_is_served(&site).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_that_are_not_taken_leave_no_room_for_more_until_they_are() {
    let limits = GatewayLimits {
        bodies_bytes_max: 100_000,
        response_timeout: Duration::from_secs(3_600),
        ..GatewayLimits::default()
    };
    let site = Site::with(limits, None).await;
    let client = Client::open(&site, &NO_WINDOW).await;
    let request = head("GET", "/web/x", &[("x-api-key", &site.key), ("x-do", "big 60000")]);
    for stream in [1, 3] {
        assert!(client.send(&frame(HEADERS, END_STREAM | END_HEADERS, stream, &request)).await);
    }
    let hello = || site.ask_without_key("GET", "/t/other/hello", &[], "");
    let end = std::time::Instant::now() + Duration::from_secs(20);
    let refused = loop {
        let answer = hello().await;
        if answer.status != 200 || std::time::Instant::now() > end {
            break answer;
        }
    };
    assert_eq!((refused.status, refused.code().as_str()), (503, "FE4014"), "{refused:?}");
    assert_eq!(refused.json()["error"]["limit"].as_u64(), Some(100_000));
    // A client that goes away gives back what it held.
    client.read.abort();
    drop(client);
    while hello().await.status != 200 {
        assert!(std::time::Instant::now() < end, "the room never came back");
    }
}
