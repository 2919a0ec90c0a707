//! Clients that do nothing: a connection on which the first bytes do not come, or whose writes make no
//! progress for a time, is closed.

use std::{
    future::Future,
    io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::{Instant, Sleep},
};

/// How HTTP/2 begins. Until it is known whether a connection does, no other timeout of ours runs.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A stream that loses patience.
#[derive(Debug)]
pub(super) struct Impatient {
    stream: TcpStream,
    timeout: Duration,
    /// Set while a write waits.
    alarm: Option<Pin<Box<Sleep>>>,
    /// Until the version of HTTP is known: when it must be, and how much of the preface has come.
    opening: Option<(Pin<Box<Sleep>>, usize)>,
}

impl Impatient {
    pub(super) fn new(stream: TcpStream, first_bytes: Duration, timeout: Duration) -> Impatient {
        let opening = Some((Box::pin(tokio::time::sleep(first_bytes)), 0));
        Impatient { stream, timeout, alarm: None, opening }
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
        let polled = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.watch(context, polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
