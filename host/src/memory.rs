//! The memory limit of one instance.

use std::sync::Arc;

use wasmtime::ResourceLimiter;

use crate::control::Control;

/// What an entry of a table takes.
const ENTRY_BYTES: usize = 8;

/// Counts an instance's linear memories and tables against the function's limit.
///
/// A guest that asks for more is told so by WebAssembly's own means (`memory.grow` fails), because some
/// collect garbage then and go on. If it traps afterwards, the refusal is taken for the reason.
pub(crate) struct MemoryLimit {
    control: Arc<Control>,
    bytes_max: u64,
    bytes: u64,
    /// What it would have had with the growth that was refused last.
    pub(crate) refused_bytes: Option<u64>,
}

impl MemoryLimit {
    pub(crate) fn new(control: Arc<Control>, bytes_max: u64) -> MemoryLimit {
        MemoryLimit { control, bytes_max, bytes: 0, refused_bytes: None }
    }

    pub(crate) fn bytes_max(&self) -> u64 {
        self.bytes_max
    }
}

impl ResourceLimiter for MemoryLimit {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let bytes = self.bytes.saturating_add((desired as u64).saturating_sub(current as u64));
        if bytes > self.bytes_max {
            self.refused_bytes = Some(bytes);
            return Ok(false);
        }
        self.bytes = bytes;
        self.control.memory_is(bytes);
        Ok(true)
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        self.memory_growing(current.saturating_mul(ENTRY_BYTES), desired.saturating_mul(ENTRY_BYTES), None)
    }
}
