//! Bodies, and where they lie: small ones side by side in packs, apart from the tree that finds them.
//!
//! A page of a tree that holds three bodies is written again when one of them goes, and events are over in another
//! order than they came. A pack is written once, on pages that lie side by side (below half a page with others on
//! one), and freed as a whole when the last of its bodies is gone. Then only the tree of places changes, with a hundred
//! of them on a page. One that is old and has few left gives them to the tree, so that what waits for long does not
//! keep the room of what came with it.
//!
//! ```text
//! bodies   key → INLINE, the body | PACKED, pack, where in it, bytes
//! packs    pack → (bytes of key, bytes of body, key, body)*
//! live     pack → bodies that are left, bodies that there were
//! ```

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::io::Write as _;
use std::ops::{Bound, RangeInclusive};
use std::sync::atomic::{AtomicU64, Ordering};

use heed::{AnyTls, RoTxn, RwTxn};

use super::{Rows, prefix_end};
use crate::{Batch, Table, Write};

/// The databases besides that of [`Table::Bodies`]; no table has these names.
pub(super) const DATABASES: [&str; 2] = ["packs", "live"];

/// Bodies of so many bytes go into packs: smaller ones are many to a page, larger ones have pages of their own.
const PACKED_BYTES: RangeInclusive<usize> = 256..=4096;
/// A pack of more than one body has so many bytes at most: four pages with their header.
const PACK_BYTES_MAX: usize = 4 * 4096 - 16;
/// Fewer bodies in one commit have no pack: a page of the tree is written in any case.
const GROUP_BODIES_MIN: usize = 4;
/// A pack is old when so many batches came after it.
const OLD_BATCHES: u64 = 1 << 16;
/// An old pack is given up when a quarter of its bodies is left, rounded up.
const LEFT_SHARE: u32 = 4;
/// Packs that one commit looks at, to give up old ones.
const LOOKS_MAX: usize = 64;
/// Bits of a pack's number that count the packs of one commit: of 64 MiB at most, so that they are enough.
const PACK_BITS: u32 = 16;

const INLINE: u8 = 0;
const PACKED: u8 = 1;
/// Before a key and its body in a pack.
const HEAD_BYTES: usize = size_of::<u16>() + size_of::<u32>();

/// How a commit writes bodies.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// Many into packs, and old packs are given up.
    Packs,
    /// All into the tree, and nothing else is touched: where there is hardly room.
    Tree,
}

/// The table of bodies.
pub(super) struct Packs {
    bodies: Rows,
    packs: Rows,
    live: Rows,
    /// The pack that was looked at last for what is left of it.
    swept: AtomicU64,
}

/// Where a body lies in a pack.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Place {
    pack: u64,
    at: u32,
    bytes: u32,
}

/// The bodies of a pack.
#[derive(Clone, Copy, Default)]
struct Count {
    left: u32,
    all: u32,
}

/// The changes of one commit.
pub(super) struct Packing<'p> {
    to: &'p Packs,
    /// The number of the commit's first batch.
    first: u64,
    way: Way,
    /// Whether it makes packs.
    packs: bool,
    /// The pack that is being filled.
    open: Vec<u8>,
    /// Packs that were filled.
    filled: u64,
    /// Of packs that changed.
    counts: BTreeMap<u64, Count>,
}

impl Packs {
    /// With the database of [`Table::Bodies`] and those that [`DATABASES`] names.
    pub(super) fn new(bodies: Rows, [packs, live]: [Rows; DATABASES.len()]) -> Packs {
        Packs { bodies, packs, live, swept: AtomicU64::new(0) }
    }

    /// Those that [`DATABASES`] names.
    pub(super) fn databases(&self) -> [&Rows; DATABASES.len()] {
        [&self.packs, &self.live]
    }

    /// A key's body by what is stored for it. `None`: damaged.
    pub(super) fn body<'t>(
        &self,
        txn: &'t RoTxn<'_, AnyTls>,
        key: &[u8],
        stored: &'t [u8],
    ) -> heed::Result<Option<&'t [u8]>> {
        if let Some((&INLINE, body)) = stored.split_first() {
            return Ok(Some(body));
        }
        let Some(place) = Place::decode(stored) else { return Ok(None) };
        let pack = self.packs.get(txn, &place.pack.to_be_bytes())?;
        Ok(pack.and_then(|pack| place.within(pack, key)))
    }

    /// To begin a commit whose first batch has this number.
    pub(super) fn packing(&self, group: &[Batch], first: u64, way: Way) -> Packing<'_> {
        let puts = group.iter().flat_map(|batch| &batch.writes).filter(|write| match write {
            Write::Put { table: Table::Bodies, value, .. } => PACKED_BYTES.contains(&value.len()),
            _ => false,
        });
        let packs = way == Way::Packs && puts.take(GROUP_BODIES_MIN).count() == GROUP_BODIES_MIN;
        Packing { to: self, first, way, packs, open: Vec::new(), filled: 0, counts: BTreeMap::new() }
    }

    fn put_inline(&self, txn: &mut RwTxn<'_>, key: &[u8], body: &[u8]) -> heed::Result<()> {
        self.bodies.put_reserved(txn, key, body.len() + 1, |space| {
            space.write_all(&[INLINE])?;
            space.write_all(body)
        })
    }

    fn count(&self, txn: &RoTxn<'_, AnyTls>, pack: u64) -> heed::Result<Option<Count>> {
        Ok(self.live.get(txn, &pack.to_be_bytes())?.and_then(Count::decode))
    }
}

impl Packing<'_> {
    pub(super) fn put(&mut self, txn: &mut RwTxn<'_>, key: &[u8], body: &[u8]) -> heed::Result<()> {
        self.leave(txn, key)?;
        if !self.packs || !PACKED_BYTES.contains(&body.len()) {
            return self.to.put_inline(txn, key, body);
        }
        let more = HEAD_BYTES + key.len() + body.len();
        if !self.open.is_empty() && self.open.len() + more > PACK_BYTES_MAX {
            self.fill(txn)?;
        }
        // Keys have 511 bytes at most, and bodies in packs 4,096.
        self.open.extend((key.len() as u16).to_be_bytes());
        self.open.extend((body.len() as u32).to_be_bytes());
        self.open.extend(key);
        let place = Place { pack: self.number(), at: self.open.len() as u32, bytes: body.len() as u32 };
        self.open.extend(body);
        let count = self.counts.entry(place.pack).or_default();
        *count = Count { left: count.left + 1, all: count.all + 1 };
        self.to.bodies.put(txn, key, &place.encode())
    }

    pub(super) fn delete(&mut self, txn: &mut RwTxn<'_>, key: &[u8]) -> heed::Result<()> {
        self.leave(txn, key)?;
        self.to.bodies.delete(txn, key).map(drop)
    }

    pub(super) fn delete_prefix(&mut self, txn: &mut RwTxn<'_>, prefix: &[u8]) -> heed::Result<()> {
        let end = prefix_end(prefix);
        let end = end.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
        // LMDB has no empty key.
        let start = if prefix.is_empty() { Bound::Unbounded } else { Bound::Included(prefix) };
        let mut left: BTreeMap<u64, u32> = BTreeMap::new();
        for row in self.to.bodies.range(txn, &(start, end))? {
            if let Some(place) = Place::decode(row?.1) {
                *left.entry(place.pack).or_default() += 1;
            }
        }
        for (pack, bodies) in left {
            self.take(txn, pack, bodies)?;
        }
        self.to.bodies.delete_range(txn, &(start, end)).map(drop)
    }

    /// Writes what is left to write.
    pub(super) fn finish(mut self, txn: &mut RwTxn<'_>) -> heed::Result<()> {
        if !self.open.is_empty() {
            self.fill(txn)?;
        }
        if self.way == Way::Packs {
            self.sweep(txn)?;
        }
        for (pack, count) in &self.counts {
            let key = pack.to_be_bytes();
            if count.left == 0 {
                self.to.packs.delete(txn, &key)?;
                self.to.live.delete(txn, &key)?;
            } else {
                self.to.live.put(txn, &key, &count.encode())?;
            }
        }
        Ok(())
    }

    /// The number of the pack that is being filled: larger than that of any before.
    fn number(&self) -> u64 {
        self.first << PACK_BITS | self.filled
    }

    fn fill(&mut self, txn: &mut RwTxn<'_>) -> heed::Result<()> {
        self.to.packs.put(txn, &self.number().to_be_bytes(), &self.open)?;
        self.open.clear();
        self.filled += 1;
        Ok(())
    }

    /// The key's body leaves the pack that it lies in.
    fn leave(&mut self, txn: &RwTxn<'_>, key: &[u8]) -> heed::Result<()> {
        match self.to.bodies.get(txn, key)?.and_then(Place::decode) {
            Some(place) => self.take(txn, place.pack, 1),
            None => Ok(()),
        }
    }

    /// So many bodies leave a pack.
    fn take(&mut self, txn: &RwTxn<'_>, pack: u64, bodies: u32) -> heed::Result<()> {
        let count = match self.counts.get(&pack) {
            Some(count) => *count,
            // Without a count it is damaged, and stays.
            None => match self.to.count(txn, pack)? {
                Some(count) => count,
                None => return Ok(()),
            },
        };
        self.counts.insert(pack, Count { left: count.left.saturating_sub(bodies), ..count });
        Ok(())
    }

    /// Looks at as many packs as it changed and one more, and gives up those that are old and have few bodies left.
    fn sweep(&mut self, txn: &mut RwTxn<'_>) -> heed::Result<()> {
        let mut swept = self.to.swept.load(Ordering::Relaxed);
        for _ in 0..=self.counts.len().min(LOOKS_MAX) {
            let next = self.to.live.get_greater_than(txn, &swept.to_be_bytes())?;
            let next = next.and_then(|(key, _)| Some(u64::from_be_bytes(key.try_into().ok()?)));
            let Some(pack) = next.filter(|pack| (pack >> PACK_BITS) + OLD_BATCHES <= self.first) else {
                // All that come after are younger.
                swept = 0;
                break;
            };
            swept = pack;
            let count = match self.counts.get(&pack) {
                Some(count) => Some(*count),
                None => self.to.count(txn, pack)?,
            };
            if let Some(count) = count.filter(|count| count.few()) {
                self.give_up(txn, pack, count)?;
            }
        }
        self.to.swept.store(swept, Ordering::Relaxed);
        Ok(())
    }

    /// What is left of a pack goes to the tree.
    fn give_up(&mut self, txn: &mut RwTxn<'_>, pack: u64, mut count: Count) -> heed::Result<()> {
        let Some(bytes) = self.to.packs.get(txn, &pack.to_be_bytes())?.map(<[u8]>::to_vec) else {
            return Ok(());
        };
        let mut at = 0;
        while let Some((place, key)) = Place::read(pack, &bytes, at) {
            at = place.at as usize + place.bytes as usize;
            if self.to.bodies.get(txn, key)?.and_then(Place::decode) == Some(place)
                && let Some(body) = place.within(&bytes, key)
            {
                self.to.put_inline(txn, key, body)?;
                count.left = count.left.saturating_sub(1);
            }
        }
        // One that is damaged keeps what was not found in it.
        self.counts.insert(pack, count);
        Ok(())
    }
}

impl Place {
    fn encode(self) -> [u8; 17] {
        let mut bytes = [PACKED; 17];
        let rest =
            self.pack.to_be_bytes().into_iter().chain(self.at.to_be_bytes()).chain(self.bytes.to_be_bytes());
        bytes.iter_mut().skip(1).zip(rest).for_each(|(to, from)| *to = from);
        bytes
    }

    fn decode(stored: &[u8]) -> Option<Place> {
        let (&PACKED, rest) = stored.split_first()? else { return None };
        let (pack, rest) = rest.split_first_chunk()?;
        let (at, rest) = rest.split_first_chunk()?;
        let bytes = rest.try_into().ok()?;
        let (pack, at) = (u64::from_be_bytes(*pack), u32::from_be_bytes(*at));
        Some(Place { pack, at, bytes: u32::from_be_bytes(bytes) })
    }

    /// The body that begins with its head at `at`, and its key.
    fn read(pack: u64, bytes: &[u8], at: usize) -> Option<(Place, &[u8])> {
        let (key_bytes, rest) = bytes.get(at..)?.split_first_chunk()?;
        let (body_bytes, rest) = rest.split_first_chunk()?;
        let key = rest.get(..usize::from(u16::from_be_bytes(*key_bytes)))?;
        let at = u32::try_from(at + HEAD_BYTES + key.len()).ok()?;
        Some((Place { pack, at, bytes: u32::from_be_bytes(*body_bytes) }, key))
    }

    /// The body of the key, which lies before it.
    fn within<'p>(self, pack: &'p [u8], key: &[u8]) -> Option<&'p [u8]> {
        let (before, body) = pack.split_at_checked(self.at as usize)?;
        body.get(..self.bytes as usize).filter(|_| before.ends_with(key))
    }
}

impl Count {
    /// Whether so few are left that the pack is not worth its room.
    fn few(self) -> bool {
        (1..self.all).contains(&self.left) && self.left <= self.all.div_ceil(LEFT_SHARE)
    }

    fn encode(self) -> [u8; 8] {
        (u64::from(self.left) << 32 | u64::from(self.all)).to_be_bytes()
    }

    fn decode(stored: &[u8]) -> Option<Count> {
        let both = u64::from_be_bytes(stored.try_into().ok()?);
        Some(Count { left: (both >> 32) as u32, all: both as u32 })
    }
}
