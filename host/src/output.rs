//! What a guest writes to its standard output and error: lines in the tenant's log.

use std::{
    io,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
};

use bytes::Bytes;
use flyball_core::invocation::LogLevel;
use tokio::io::AsyncWrite;
use wasmtime_wasi::{
    async_trait,
    cli::{IsTerminal, StdoutStream},
    p2::{OutputStream, Pollable, StreamResult},
};

use crate::control::Control;

/// Bytes of one write that are taken at once, and of a line that has no end yet.
const BUFFER_BYTES_MAX: usize = 64 << 10;

/// A stream of lines. Clones are the same stream.
#[derive(Clone)]
pub(crate) struct Lines(Arc<Inner>);

struct Inner {
    control: Arc<Control>,
    level: LogLevel,
    /// The beginning of a line whose end was not written yet.
    rest: Mutex<Vec<u8>>,
}

impl Lines {
    pub(crate) fn new(control: Arc<Control>, level: LogLevel) -> Lines {
        Lines(Arc::new(Inner { control, level, rest: Mutex::new(Vec::new()) }))
    }

    /// Logs a last line that had no end.
    pub(crate) fn flush(&self) {
        let rest = std::mem::take(&mut *self.rest());
        if !rest.is_empty() {
            self.log(&rest);
        }
    }

    fn take(&self, bytes: &[u8]) {
        let mut rest = self.rest();
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            let (line, ended) = part.strip_suffix(b"\n").map_or((part, false), |line| (line, true));
            let room = BUFFER_BYTES_MAX.saturating_sub(rest.len());
            rest.extend_from_slice(line.get(..room).unwrap_or(line));
            if ended {
                self.log(&rest);
                rest.clear();
            }
        }
    }

    fn log(&self, line: &[u8]) {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        self.0.control.log(self.0.level, String::from_utf8_lossy(line).into_owned());
    }

    fn rest(&self) -> std::sync::MutexGuard<'_, Vec<u8>> {
        self.0.rest.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl IsTerminal for Lines {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Lines {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

#[async_trait]
impl Pollable for Lines {
    async fn ready(&mut self) {}
}

impl OutputStream for Lines {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.take(&bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(BUFFER_BYTES_MAX)
    }
}

impl AsyncWrite for Lines {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.take(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
