//! HTTP/1.1 clients that send too much, too little or too slowly, or do not read.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests: a failure here is the test's failure"
)]

#[expect(dead_code, reason = "shared with the other tests")]
mod site;

use std::time::{Duration, Instant};

use flyball_server::gateway::GatewayLimits;
use site::{Answer, Site};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpSocket, TcpStream},
};

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(20);

fn post(site: &Site) -> String {
    format!("POST /web/x HTTP/1.1\r\nhost: h\r\nx-api-key: {}\r\n", site.key)
}

/// Sends the start, then the piece again and again, with a pause before each, until the other side closes or
/// so many are sent: how many were, and what came.
async fn flood(
    site: &Site,
    start: &str,
    piece: &[u8],
    pause: Duration,
    pieces_max: usize,
) -> (usize, String) {
    let (mut read, mut write) = TcpStream::connect(site.address).await.unwrap().into_split();
    let read = tokio::spawn(async move {
        let mut came = Vec::new();
        let _ = read.read_to_end(&mut came).await;
        String::from_utf8_lossy(&came).into_owned()
    });
    write.write_all(start.as_bytes()).await.unwrap();
    let mut pieces = 0;
    while pieces < pieces_max && !read.is_finished() {
        // The pace of a slow client, not a wait for something.
        tokio::time::sleep(pause).await;
        if write.write_all(piece).await.is_err() {
            break;
        }
        pieces += 1;
    }
    (pieces, tokio::time::timeout(PATIENCE, read).await.expect("the gateway closes").unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_without_end_is_refused_and_not_read_on() {
    let site = Site::open().await;
    let start = format!("{}transfer-encoding: chunked\r\n\r\n", post(&site));
    let chunk = format!("10000\r\n{}\r\n", "x".repeat(0x10000));
    let (taken, came) = flood(&site, &start, chunk.as_bytes(), Duration::ZERO, 4_096).await;
    let answer = Answer::of(&came);
    assert_eq!((answer.status, answer.code().as_str()), (413, "FE4007"), "{answer:?}");
    assert_eq!(answer.json()["error"]["limit"].as_u64(), Some(65_536));
    // What the kernel's buffers hold, not 256 MiB.
    assert!(taken < 512, "{taken} chunks of 64 KiB were taken");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_breaks_off_or_is_none_reaches_no_function() {
    let site = Site::open().await;
    let command = "x-do: increment counters broken\r\n";
    for (rest, status) in [
        ("content-length: 10\r\n\r\nfive.", 400),
        ("transfer-encoding: chunked\r\n\r\n5\r\nfive.", 400),
        ("transfer-encoding: chunked\r\n\r\n5\r\nfi", 400),
        ("transfer-encoding: chunked\r\n\r\nzz\r\nfive.\r\n0\r\n\r\n", 400),
        ("transfer-encoding: chunked\r\n\r\n-5\r\nfive.\r\n0\r\n\r\n", 400),
        ("transfer-encoding: chunked\r\n\r\n5\r\nfive.but more\r\n0\r\n\r\n", 400),
        ("transfer-encoding: chunked\r\n\r\nfffffffffffffffff\r\nfive.\r\n0\r\n\r\n", 400),
    ] {
        let mut stream = TcpStream::connect(site.address).await.unwrap();
        stream.write_all(format!("{}{command}{rest}", post(&site)).as_bytes()).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut came = String::new();
        let read = tokio::time::timeout(PATIENCE, stream.read_to_string(&mut came)).await;
        read.expect("the gateway closes").unwrap();
        let answer = Answer::of(&came);
        assert_eq!((answer.status, answer.code().as_str()), (status, "FE4009"), "{rest:?}: {came}");
    }
    let first = site.ask("POST", "/web/x", &[("x-do", "increment counters broken")], "").await;
    assert_eq!((first.status, first.body.as_str()), (200, "1"), "nothing counted before");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_sends_byte_by_byte_has_no_more_time_than_another() {
    let limits = GatewayLimits {
        header_timeout: Duration::from_millis(200),
        body_timeout: Duration::from_millis(200),
        ..GatewayLimits::default()
    };
    let site = Site::with(limits, None).await;
    let pause = Duration::from_millis(10);
    let (sent, came) = flood(&site, "GET /hello HTTP/1.1\r\nx-a: ", b"x", pause, 1_000).await;
    assert!(sent < 1_000 && (came.is_empty() || came.starts_with("HTTP/1.1 408")), "{sent}: {came}");
    let start = format!("{}content-length: 10000\r\n\r\n", post(&site));
    let (sent, came) = flood(&site, &start, b"x", pause, 1_000).await;
    assert!(sent < 1_000, "{came}");
    assert_eq!((Answer::of(&came).status, Answer::of(&came).code().as_str()), (408, "FE4008"), "{came}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_does_not_read_is_closed() {
    for (write_timeout, response_timeout) in [(200, 3_600_000), (3_600_000, 200)] {
        let limits = GatewayLimits {
            connections_per_peer_max: 1,
            write_timeout: Duration::from_millis(write_timeout),
            response_timeout: Duration::from_millis(response_timeout),
            ..GatewayLimits::default()
        };
        let site = Site::with(limits, None).await;
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4 << 10).unwrap();
        let mut stream = socket.connect(site.address).await.unwrap();
        // More answers than the kernel's buffers hold.
        let request =
            format!("GET /web/x HTTP/1.1\r\nhost: h\r\nx-api-key: {}\r\nx-do: big 60000\r\n\r\n", site.key);
        stream.write_all(request.repeat(250).as_bytes()).await.unwrap();
        let hello = || site.ask_without_key("GET", "/t/other/hello", &[], "");
        let end = Instant::now() + PATIENCE;
        while hello().await.status != 503 {
            assert!(Instant::now() < end, "the connection is not there");
        }
        // The one place is free again when the connection is closed.
        let served = loop {
            let answer = hello().await;
            if answer.status == 200 || Instant::now() > end {
                break answer;
            }
        };
        assert_eq!(served.status, 200, "{write_timeout} {response_timeout}: {served:?}");
        drop(stream);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_of_too_many_or_too_large_headers_is_refused_and_not_read_on() {
    let site = Site::open().await;
    for piece in ["x-a: 1\r\n".to_string(), format!("x-a: {}\r\n", "x".repeat(60_000)), "x".repeat(60_000)] {
        let (taken, came) =
            flood(&site, "GET /hello HTTP/1.1\r\n", piece.as_bytes(), Duration::ZERO, 1_000_000).await;
        assert!(
            taken < 1_000_000 && (came.is_empty() || came.starts_with("HTTP/1.1 431")),
            "{taken}: {came}"
        );
    }
    let hello = site.ask_without_key("GET", "/t/other/hello", &[], "").await;
    assert_eq!(hello.status, 200);
}
