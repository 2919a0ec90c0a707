//! Clients that do nothing: a connection on which the first bytes do not come, whose writes make no progress
//! for a time, or whose client does not take an answer as a whole within a time, is closed.

use std::{
    collections::VecDeque,
    future::Future,
    io,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::{Instant, Sleep},
};

use super::{GatewayLimits, request::Room};
use crate::lane::locked;

/// How HTTP/2 begins. Until it is known whether a connection does, no other timeout of ours runs.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Answers of one connection of which its client has not taken everything. In HTTP/2 a client can leave an
/// answer where it is and use the connection all the same, so that no write waits.
#[derive(Debug, Default)]
pub(crate) struct Untaken(Mutex<Answers>);

#[derive(Debug, Default)]
struct Answers {
    next: u64,
    /// Their numbers and when they were there to be taken, oldest first.
    waiting: VecDeque<(u64, Instant)>,
}

impl Untaken {
    fn oldest(&self) -> Option<Instant> {
        locked(&self.0).waiting.front().map(|(_, since)| *since)
    }
}

/// The body of an answer: counted until the last of it is written, or nobody will write it.
struct Held {
    bytes: Bytes,
    number: u64,
    untaken: Arc<Untaken>,
    room: Arc<Room>,
}

/// Counts the body of an answer for as long as it is in memory.
pub(super) fn hold(bytes: Bytes, untaken: &Arc<Untaken>, room: &Arc<Room>) -> Bytes {
    if bytes.is_empty() {
        return bytes;
    }
    room.answer(bytes.len());
    let mut answers = locked(&untaken.0);
    let number = answers.next;
    answers.next += 1;
    answers.waiting.push_back((number, Instant::now()));
    drop(answers);
    Bytes::from_owner(Held { bytes, number, untaken: untaken.clone(), room: room.clone() })
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.room.answer_gone(self.bytes.len());
        // Few: a connection has no more requests at once than `streams_max`.
        locked(&self.untaken.0).waiting.retain(|(number, _)| *number != self.number);
    }
}

/// A stream that loses patience.
#[derive(Debug)]
pub(crate) struct Impatient {
    stream: TcpStream,
    timeout: Duration,
    /// Set while a write waits.
    alarm: Option<Pin<Box<Sleep>>>,
    untaken: Arc<Untaken>,
    response_timeout: Duration,
    /// Rings when an answer that waited has waited too long, unless it was taken.
    untaken_alarm: Option<Pin<Box<Sleep>>>,
    /// Until the version of HTTP is known: when it must be, and how much of the preface has come.
    opening: Option<(Pin<Box<Sleep>>, usize)>,
}

impl Impatient {
    pub(crate) fn new(stream: TcpStream, limits: &GatewayLimits, untaken: Arc<Untaken>) -> Impatient {
        let opening = Some((Box::pin(tokio::time::sleep(limits.header_timeout)), 0));
        Impatient {
            stream,
            timeout: limits.write_timeout,
            alarm: None,
            untaken,
            response_timeout: limits.response_timeout,
            untaken_alarm: None,
            opening,
        }
    }

    /// Fails when an answer has waited for too long. The alarm is left as it is while answers come and go,
    /// and set anew when it rings: a busy connection sets one in a long time.
    fn answers_are_taken(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        loop {
            let Some(alarm) = &mut self.untaken_alarm else {
                let Some(oldest) = self.untaken.oldest() else { return Ok(()) };
                let at = oldest + self.response_timeout;
                self.untaken_alarm = Some(Box::pin(tokio::time::sleep_until(at)));
                continue;
            };
            if alarm.as_mut().poll(context).is_pending() {
                return Ok(());
            }
            self.untaken_alarm = None;
            if self.untaken.oldest().is_some_and(|oldest| oldest.elapsed() >= self.response_timeout) {
                let message = format!(
                    "the client has not taken a response within {} s",
                    self.response_timeout.as_secs()
                );
                return Err(io::Error::new(io::ErrorKind::TimedOut, message));
            }
        }
    }

    /// Looks at bytes that have come, until the version is known.
    fn opened_with(&mut self, bytes: &[u8]) {
        let Some((_, seen)) = &mut self.opening else { return };
        let rest = PREFACE.get(*seen..).unwrap_or(&[]);
        *seen += bytes.len();
        let same = bytes.iter().zip(rest).all(|(came, expected)| came == expected);
        if !same || *seen >= PREFACE.len() {
            self.opening = None;
        }
    }

    fn watch<T>(&mut self, context: &mut Context<'_>, polled: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if polled.is_ready() {
            self.alarm = None;
            return polled;
        }
        let timeout = self.timeout;
        let alarm =
            self.alarm.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(Instant::now() + timeout)));
        match alarm.as_mut().poll(context) {
            Poll::Ready(()) => {
                let message = format!("the client has read nothing for {} s", timeout.as_secs());
                Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, message)))
            }
            Poll::Pending => Poll::Pending,
        }
    }
}

impl AsyncRead for Impatient {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.answers_are_taken(context)?;
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(context, buffer);
        if polled.is_ready() {
            self.opened_with(buffer.filled().get(before..).unwrap_or(&[]));
        } else if let Some((alarm, _)) = &mut self.opening
            && alarm.as_mut().poll(context).is_ready()
        {
            let error = io::Error::new(io::ErrorKind::TimedOut, "the client has sent no request");
            return Poll::Ready(Err(error));
        }
        polled
    }
}

impl AsyncWrite for Impatient {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.answers_are_taken(context)?;
        let polled = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.watch(context, polled)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_flush(context);
        self.watch(context, polled)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.answers_are_taken(context)?;
        let polled = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.watch(context, polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
