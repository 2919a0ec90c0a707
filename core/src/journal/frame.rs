//! Entries as bytes: `length, guard, entry, check`. The guard is over the length, the check over the entry,
//! both over all that came before: what is changed, left out or put elsewhere is noticed, and a length that
//! is wrong is not taken for a log that was cut off.

use std::hash::Hasher as _;

use super::{ENTRY_BYTES_MAX, Entry, FORMAT, MAGIC, ReplayError};
use crate::engine::lookup::Mixer;

/// Length and guard.
const HEAD_BYTES: usize = 8;
/// The check.
const TAIL_BYTES: usize = 8;

/// An entry has more bytes than [`ENTRY_BYTES_MAX`], and was not encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an entry of the log has {bytes} bytes, the limit is {ENTRY_BYTES_MAX}")]
pub struct EntryTooLarge {
    /// How many it has.
    pub bytes: u64,
}

/// Writes entries as bytes.
#[derive(Debug, Clone)]
pub struct Encoder {
    chain: Mixer,
}

impl Encoder {
    /// A new log: what it begins with is appended to `to`.
    pub fn begin(to: &mut Vec<u8>) -> Encoder {
        to.extend(MAGIC);
        to.push(FORMAT);
        Encoder { chain: Mixer::default() }
    }

    /// Appends an entry to `to`.
    ///
    /// # Errors
    /// Where it is too large. Nothing is appended then, and others may follow.
    pub fn encode(&mut self, entry: &Entry, to: &mut Vec<u8>) -> Result<(), EntryTooLarge> {
        let start = to.len();
        let mut all = std::mem::take(to);
        all.extend([0; HEAD_BYTES]);
        let encoded = postcard::to_extend(entry, all);
        debug_assert!(encoded.is_ok(), "our own types serialise");
        *to = encoded.unwrap_or_default();
        let payload = to.get(start + HEAD_BYTES..).unwrap_or_default();
        let length = u32::try_from(payload.len()).unwrap_or(u32::MAX);
        if length > ENTRY_BYTES_MAX {
            let bytes = payload.len() as u64;
            to.truncate(start);
            return Err(EntryTooLarge { bytes });
        }
        let guard = guard(self.chain, length);
        self.chain.write(payload);
        self.chain.write_u32(length);
        let check = self.chain.finish();
        if let Some(head) = to.get_mut(start..start + HEAD_BYTES) {
            let number = u64::from(length) | u64::from(guard) << 32;
            head.copy_from_slice(&number.to_le_bytes());
        }
        to.extend(check.to_le_bytes());
        Ok(())
    }
}

fn guard(mut chain: Mixer, length: u32) -> u32 {
    chain.write_u32(length);
    // Its upper half: what the check does not show of a short entry.
    (chain.finish() >> 32) as u32
}

/// Reads entries from bytes that come in pieces. Keeps one entry and one piece at most.
#[derive(Debug)]
pub struct Decoder {
    bytes: Vec<u8>,
    /// Up to where `bytes` were read.
    read: usize,
    /// Of `bytes` in the log.
    offset: u64,
    chain: Mixer,
    begun: bool,
    ended: bool,
}

impl Default for Decoder {
    fn default() -> Self {
        let chain = Mixer::default();
        Decoder { bytes: Vec::new(), read: 0, offset: 0, chain, begun: false, ended: false }
    }
}

impl Decoder {
    /// More bytes of the log, in their order.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.bytes.drain(..self.read);
        self.offset += self.read as u64;
        self.read = 0;
        self.bytes.extend_from_slice(bytes);
    }

    /// The next entry; `None` where more bytes are needed for it.
    ///
    /// # Errors
    /// Where the bytes are no log, one of another format, or damaged. There is no more to read then.
    pub fn next_entry(&mut self) -> Result<Option<Entry>, ReplayError> {
        let unread = self.bytes.get(self.read..).unwrap_or_default();
        if !self.begun {
            let known = MAGIC.iter().zip(unread).all(|(expected, found)| expected == found);
            if !known {
                return Err(ReplayError::NotALog);
            }
            let Some(&format) = unread.get(MAGIC.len()) else { return Ok(None) };
            if format != FORMAT {
                return Err(ReplayError::Format { found: format });
            }
            self.begun = true;
            self.read += MAGIC.len() + 1;
            return self.next_entry();
        }
        if self.ended && !unread.is_empty() {
            return Err(self.damaged("it goes on after its end"));
        }
        let Some((head, rest)) = unread.split_first_chunk::<HEAD_BYTES>() else { return Ok(None) };
        let number = u64::from_le_bytes(*head);
        let (length, found) = (number as u32, (number >> 32) as u32);
        if guard(self.chain, length) != found || length > ENTRY_BYTES_MAX {
            return Err(self.damaged("an entry's length is not what was written"));
        }
        let Some((payload, rest)) = rest.split_at_checked(length as usize) else { return Ok(None) };
        let Some((check, _)) = rest.split_first_chunk::<TAIL_BYTES>() else { return Ok(None) };
        let mut chain = self.chain;
        chain.write(payload);
        chain.write_u32(length);
        if chain.finish() != u64::from_le_bytes(*check) {
            return Err(self.damaged("an entry is not what was written"));
        }
        let entry = match postcard::take_from_bytes::<Entry>(payload) {
            Ok((entry, [])) => entry,
            Ok(_) => return Err(self.damaged("an entry goes on after its end")),
            Err(error) => return Err(self.damaged(&error.to_string())),
        };
        self.chain = chain;
        self.read += HEAD_BYTES + payload.len() + TAIL_BYTES;
        self.ended = matches!(entry, Entry::End(_));
        Ok(Some(entry))
    }

    /// Where the next entry begins, bytes from the log's start.
    pub fn offset(&self) -> u64 {
        self.offset + self.read as u64
    }

    /// Bytes of an entry that is not whole: where there are no more, the log was cut off within it.
    pub fn left_bytes(&self) -> usize {
        self.bytes.len() - self.read
    }

    /// Whether even what a log begins with is not whole.
    pub fn is_empty(&self) -> bool {
        !self.begun
    }

    fn damaged(&self, why: &str) -> ReplayError {
        ReplayError::Damaged { offset: self.offset(), why: why.into() }
    }
}
