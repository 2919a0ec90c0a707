//! A vector with holes: entries keep their index until removed, freed indices are used again.

use std::marker::PhantomData;

/// An index into a [`Slab`] of `T`. Never used for ordering: it depends on what was freed before. Four
/// bytes that lie anywhere, so that what holds one among small things stays small.
pub(crate) struct Ix<T>([u8; 4], PhantomData<fn() -> T>);

impl<T> Ix<T> {
    /// Leads to no entry.
    pub(crate) const NOWHERE: Self = Ix::new(u32::MAX);

    const fn new(index: u32) -> Self {
        Ix(index.to_ne_bytes(), PhantomData)
    }

    const fn get(self) -> u32 {
        u32::from_ne_bytes(self.0)
    }

    /// The same place in a slab of something else.
    #[cfg(test)]
    pub(crate) const fn cast<U>(self) -> Ix<U> {
        Ix::new(self.get())
    }

    /// Which chunk, and where in it.
    const fn place(self) -> (usize, usize) {
        (self.get() as usize / CHUNK, self.get() as usize % CHUNK)
    }
}

impl<T> Clone for Ix<T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for Ix<T> {}
impl<T> PartialEq for Ix<T> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}
impl<T> Eq for Ix<T> {}
impl<T> PartialOrd for Ix<T> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
// Needed to be part of a sorted key; every such key has a unique part before it.
impl<T> Ord for Ix<T> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.get().cmp(&other.get())
    }
}
impl<T> std::hash::Hash for Ix<T> {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.get().hash(state);
    }
}
impl<T> std::fmt::Debug for Ix<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "#{}", self.get())
    }
}

/// Entries that are allocated at once.
const CHUNK: usize = 1_024;

/// See the module's text. It grows by chunks, so that nothing is ever moved and no step pays for all.
#[derive(Debug, Hash)]
pub(crate) struct Slab<T> {
    chunks: Vec<Vec<Option<T>>>,
    free: Vec<u32>,
    len: u32,
}

impl<T> Slab<T> {
    pub(crate) const fn new() -> Self {
        Slab { chunks: Vec::new(), free: Vec::new(), len: 0 }
    }

    pub(crate) fn insert(&mut self, value: T) -> Ix<T> {
        self.len += 1;
        if let Some(index) = self.free.pop()
            && let Some(entry) = self.entry_mut(Ix::new(index))
        {
            *entry = Some(value);
            return Ix::new(index);
        }
        let last = self.chunks.len().saturating_sub(1);
        match self.chunks.last_mut().filter(|chunk| chunk.len() < CHUNK) {
            Some(chunk) => {
                chunk.push(Some(value));
                Self::ix(last, chunk.len() - 1)
            }
            None => {
                let mut chunk = Vec::with_capacity(CHUNK);
                chunk.push(Some(value));
                self.chunks.push(chunk);
                Self::ix(self.chunks.len() - 1, 0)
            }
        }
    }

    fn ix(chunk: usize, place: usize) -> Ix<T> {
        let index = u32::try_from(chunk * CHUNK + place).unwrap_or(u32::MAX);
        debug_assert!(index < u32::MAX, "the limits on what waits are far below");
        Ix::new(index)
    }

    fn entry_mut(&mut self, ix: Ix<T>) -> Option<&mut Option<T>> {
        let (chunk, place) = ix.place();
        self.chunks.get_mut(chunk)?.get_mut(place)
    }

    pub(crate) fn get(&self, ix: Ix<T>) -> Option<&T> {
        let (chunk, place) = ix.place();
        self.chunks.get(chunk)?.get(place)?.as_ref()
    }

    pub(crate) fn get_mut(&mut self, ix: Ix<T>) -> Option<&mut T> {
        self.entry_mut(ix)?.as_mut()
    }

    pub(crate) fn remove(&mut self, ix: Ix<T>) -> Option<T> {
        let value = self.entry_mut(ix)?.take()?;
        self.free.push(ix.get());
        self.len -= 1;
        Some(value)
    }

    pub(crate) fn len(&self) -> usize {
        self.len as usize
    }

    /// All entries, in index order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Ix<T>, &T)> {
        let all = (0_u32..).zip(self.chunks.iter().flatten());
        all.filter_map(|(index, entry)| Some((Ix::new(index), entry.as_ref()?)))
    }
}

// An index is only ever made by the slab that it indexes, and kept only as long as the entry is there:
// the engine's own invariant (`invariant::PLACED`). Breaking it is a bug of ours, not of an input.
impl<T> std::ops::Index<Ix<T>> for Slab<T> {
    type Output = T;
    #[expect(clippy::expect_used, reason = "see above")]
    fn index(&self, ix: Ix<T>) -> &T {
        self.get(ix).expect("an index lives as long as its entry")
    }
}

impl<T> std::ops::IndexMut<Ix<T>> for Slab<T> {
    #[expect(clippy::expect_used, reason = "see above")]
    fn index_mut(&mut self, ix: Ix<T>) -> &mut T {
        self.get_mut(ix).expect("an index lives as long as its entry")
    }
}
