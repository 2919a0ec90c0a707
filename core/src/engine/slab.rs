//! A vector with holes: entries keep their index until removed, freed indices are used again.

use std::marker::PhantomData;

/// An index into a [`Slab`] of `T`. Never used for ordering: it depends on what was freed before.
pub(crate) struct Ix<T>(u32, PhantomData<fn() -> T>);

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
        self.0.cmp(&other.0)
    }
}
impl<T> std::hash::Hash for Ix<T> {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}
impl<T> std::fmt::Debug for Ix<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "#{}", self.0)
    }
}

/// See the module's text.
#[derive(Debug, Hash)]
pub(crate) struct Slab<T> {
    entries: Vec<Option<T>>,
    free: Vec<u32>,
}

impl<T> Slab<T> {
    pub(crate) const fn new() -> Self {
        Slab { entries: Vec::new(), free: Vec::new() }
    }

    pub(crate) fn insert(&mut self, value: T) -> Ix<T> {
        if let Some(index) = self.free.pop()
            && let Some(entry) = self.entries.get_mut(index as usize)
        {
            *entry = Some(value);
            return Ix(index, PhantomData);
        }
        let index = u32::try_from(self.entries.len()).unwrap_or(u32::MAX);
        debug_assert!(index < u32::MAX, "the limits on what waits are far below");
        self.entries.push(Some(value));
        Ix(index, PhantomData)
    }

    pub(crate) fn get(&self, ix: Ix<T>) -> Option<&T> {
        self.entries.get(ix.0 as usize)?.as_ref()
    }

    pub(crate) fn get_mut(&mut self, ix: Ix<T>) -> Option<&mut T> {
        self.entries.get_mut(ix.0 as usize)?.as_mut()
    }

    pub(crate) fn remove(&mut self, ix: Ix<T>) -> Option<T> {
        let value = self.entries.get_mut(ix.0 as usize)?.take()?;
        self.free.push(ix.0);
        Some(value)
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len() - self.free.len()
    }

    /// All entries, in index order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Ix<T>, &T)> {
        let full = |(index, entry): (usize, &'_ Option<T>)| entry.as_ref().map(|_| index);
        self.entries.iter().enumerate().filter_map(full).filter_map(|index| {
            let entry = self.entries.get(index)?.as_ref()?;
            Some((Ix(index as u32, PhantomData), entry))
        })
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
