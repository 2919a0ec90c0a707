//! An HTTP client that costs little: it shares the machine's processors with what it measures, and what it
//! takes itself would hide differences.

use std::{
    io,
    net::SocketAddr,
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

/// What a load found.
#[derive(Debug, Default)]
pub struct Load {
    /// Requests answered with 200, a second.
    pub per_second: f64,
    /// Median latency, µs.
    pub p50_us: f64,
    /// The 99th percentile of latency, µs.
    pub p99_us: f64,
    /// Answers that were none, or not 200.
    pub errors: u64,
}

/// Requests over so many connections, each waiting for its answer before it asks again, for a time. The
/// request is sent as it is; answers must be HTTP/1.1 with a length or in chunks.
pub fn run(address: SocketAddr, request: &[u8], connections: usize, time: Duration) -> Load {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let Ok(runtime) = runtime else { return Load { errors: 1, ..Load::default() } };
    let begun = Instant::now();
    let end = begun + time;
    let results = runtime.block_on(async {
        let tasks: Vec<_> = (0..connections)
            .map(|_| {
                let request = request.to_vec();
                tokio::spawn(async move { connection(address, &request, end).await })
            })
            .collect();
        let mut results = Vec::new();
        for task in tasks {
            results.push(task.await.unwrap_or_else(|_| (Vec::new(), 1)));
        }
        results
    });
    let took = begun.elapsed().as_secs_f64();
    let errors = results.iter().map(|(_, errors)| errors).sum();
    let mut latencies: Vec<f64> = results.into_iter().flat_map(|(latencies, _)| latencies).collect();
    let per_second = latencies.len() as f64 / took;
    let p99_us = crate::quantile(&mut latencies, 0.99);
    let p50_us = crate::quantile(&mut latencies, 0.5);
    Load { per_second, p50_us, p99_us, errors }
}

async fn connection(address: SocketAddr, request: &[u8], end: Instant) -> (Vec<f64>, u64) {
    let mut latencies = Vec::with_capacity(1 << 16);
    let mut errors = 0;
    let mut buffer = Vec::with_capacity(8 << 10);
    let Ok(mut stream) = TcpStream::connect(address).await else { return (latencies, 1) };
    // A small request goes out at once either way.
    drop(stream.set_nodelay(true));
    while Instant::now() < end {
        let sent = Instant::now();
        match exchange(&mut stream, request, &mut buffer).await {
            Ok(200) => latencies.push(sent.elapsed().as_nanos() as f64 / 1_000.0),
            Ok(_) => errors += 1,
            Err(_) => {
                errors += 1;
                match TcpStream::connect(address).await {
                    Ok(again) => stream = again,
                    Err(_) => break,
                }
            }
        }
    }
    (latencies, errors)
}

/// Sends a request and reads its whole answer; its status.
async fn exchange(stream: &mut TcpStream, request: &[u8], buffer: &mut Vec<u8>) -> io::Result<u16> {
    stream.write_all(request).await?;
    buffer.clear();
    loop {
        if stream.read_buf(buffer).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if let Some(status) = whole(buffer)? {
            return Ok(status);
        }
    }
}

/// The status of an answer that has come whole; `None` while it has not.
fn whole(buffer: &[u8]) -> io::Result<Option<u16>> {
    let mut headers = [httparse::EMPTY_HEADER; 32];
    let mut response = httparse::Response::new(&mut headers);
    let wrong = |_| io::Error::from(io::ErrorKind::InvalidData);
    let httparse::Status::Complete(head) = response.parse(buffer).map_err(wrong)? else { return Ok(None) };
    let body = buffer.get(head..).unwrap_or_default();
    let header = |name: &str| response.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name));
    let ended = match header("content-length").and_then(|length| std::str::from_utf8(length.value).ok()) {
        Some(length) => length.parse().is_ok_and(|length: usize| body.len() >= length),
        // The last chunk is empty, and nothing that we measure sends its bytes within another.
        None => body.ends_with(b"0\r\n\r\n"),
    };
    Ok(response.code.filter(|_| ended))
}

#[cfg(test)]
mod tests {
    use super::whole;

    #[test]
    fn an_answer_is_whole_with_its_last_byte() {
        let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
        assert_eq!(whole(answer).unwrap(), Some(200));
        assert_eq!(whole(&answer[..answer.len() - 1]).unwrap(), None);
        let chunked = b"HTTP/1.1 404 No\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n";
        assert_eq!(whole(chunked).unwrap(), Some(404));
        assert_eq!(whole(&chunked[..chunked.len() - 5]).unwrap(), None);
        assert!(whole(b"garbage\r\n\r\n").is_err());
    }
}
