//! Messages at rest. Each lies in one place, and stands in up to two lines: those of its state, and that of
//! all by age.
//!
//! To stand in line costs two places in the entry, so that joining, leaving from anywhere and being the first
//! are all done in constant time, whatever waits behind.

use flyball_core::Time;

use crate::message::Message;

/// No place.
const NOWHERE: u32 = u32::MAX;
/// Entries that are allocated at once: nothing that lies here is ever moved.
const CHUNK: usize = 1_024;

/// Where a message lies. It may be given to another once the message is gone: see [`Receipt`].
pub(crate) type Place = u32;

/// What shows that a message was received: good for nothing once it was received again, or is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Receipt {
    pub place: Place,
    generation: u32,
    receives: u16,
}

/// A message at rest.
#[derive(Debug)]
pub(crate) struct Entry {
    pub message: Message,
    /// When it came here.
    pub came: Time,
    /// When its state ends, where it ends by itself.
    pub due: Time,
    /// Its state, as the owner counts them.
    pub state: u8,
    /// It stands in the line by age.
    pub aging: bool,
    generation: u32,
    links: [Links; 2],
}

#[derive(Debug, Clone, Copy)]
struct Links {
    before: Place,
    behind: Place,
}

const UNLINKED: Links = Links { before: NOWHERE, behind: NOWHERE };

/// See the module's text.
#[derive(Debug, Default)]
pub(crate) struct Shelf {
    chunks: Vec<Vec<Entry>>,
    free: Vec<Place>,
    len: u64,
}

/// A line. `L`: which of an entry's two links it uses.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Line<const L: usize> {
    first: Place,
    last: Place,
    len: u64,
}

#[expect(
    clippy::indexing_slicing,
    reason = "places are made by `put`, and entries are never removed from chunks"
)]
impl Shelf {
    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    pub(crate) fn get(&self, place: Place) -> &Entry {
        &self.chunks[place as usize / CHUNK][place as usize % CHUNK]
    }

    pub(crate) fn get_mut(&mut self, place: Place) -> &mut Entry {
        &mut self.chunks[place as usize / CHUNK][place as usize % CHUNK]
    }

    /// Lays a message down; it stands in no line yet.
    pub(crate) fn put(&mut self, message: Message, came: Time, state: u8) -> Place {
        self.len += 1;
        if let Some(place) = self.free.pop() {
            let entry = self.get_mut(place);
            *entry = Entry { message, came, state, due: came, aging: false, links: [UNLINKED; 2], ..*entry };
            return place;
        }
        if self.chunks.last().is_none_or(|chunk| chunk.len() == CHUNK) {
            self.chunks.push(Vec::with_capacity(CHUNK));
        }
        let chunk = self.chunks.len() - 1;
        let within = self.chunks[chunk].len();
        let links = [UNLINKED; 2];
        self.chunks[chunk].push(Entry {
            message,
            came,
            due: came,
            state,
            aging: false,
            generation: 0,
            links,
        });
        // Memory ends long before the places do.
        u32::try_from(chunk * CHUNK + within).unwrap_or(NOWHERE)
    }

    /// Takes a message away that stands in no line any more.
    pub(crate) fn take(&mut self, place: Place) -> Message {
        self.len -= 1;
        let entry = self.get_mut(place);
        entry.generation = entry.generation.wrapping_add(1);
        let message = entry.message;
        self.free.push(place);
        message
    }

    pub(crate) fn receipt(&self, place: Place) -> Receipt {
        let entry = self.get(place);
        Receipt { place, generation: entry.generation, receives: entry.message.receives }
    }

    /// Whether the receipt is its message's newest.
    pub(crate) fn is_newest(&self, receipt: Receipt) -> bool {
        self.receipt(receipt.place) == receipt
    }
}

#[expect(clippy::indexing_slicing, reason = "`L` is 0 or 1: a compile-time check refuses others")]
impl<const L: usize> Line<L> {
    pub(crate) const fn new() -> Self {
        const { assert!(L < 2, "an entry has two links") };
        Line { first: NOWHERE, last: NOWHERE, len: 0 }
    }

    pub(crate) const fn len(&self) -> u64 {
        self.len
    }

    pub(crate) const fn first(&self) -> Option<Place> {
        if self.first == NOWHERE { None } else { Some(self.first) }
    }

    pub(crate) fn join(&mut self, shelf: &mut Shelf, place: Place) {
        shelf.get_mut(place).links[L] = Links { before: self.last, behind: NOWHERE };
        if self.last == NOWHERE {
            self.first = place;
        } else {
            shelf.get_mut(self.last).links[L].behind = place;
        }
        self.last = place;
        self.len += 1;
    }

    pub(crate) fn join_at_front(&mut self, shelf: &mut Shelf, place: Place) {
        shelf.get_mut(place).links[L] = Links { before: NOWHERE, behind: self.first };
        if self.first == NOWHERE {
            self.last = place;
        } else {
            shelf.get_mut(self.first).links[L].before = place;
        }
        self.first = place;
        self.len += 1;
    }

    /// The entry must stand in this line.
    pub(crate) fn leave(&mut self, shelf: &mut Shelf, place: Place) {
        let Links { before, behind } = shelf.get(place).links[L];
        shelf.get_mut(place).links[L] = UNLINKED;
        if before == NOWHERE {
            self.first = behind;
        } else {
            shelf.get_mut(before).links[L].behind = behind;
        }
        if behind == NOWHERE {
            self.last = before;
        } else {
            shelf.get_mut(behind).links[L].before = before;
        }
        self.len -= 1;
    }
}
