//! Values that are found by a key in one look-up, and walked through in the order of their places.

use std::hash::Hash;

use super::{
    lookup::LookupMap,
    slab::{Ix, Slab},
};

/// A value with its key, where it lies in the table.
#[derive(Debug, Hash)]
pub(crate) struct Entry<K, V> {
    pub(crate) key: K,
    pub(crate) value: V,
}

/// See the module's text.
#[derive(Debug)]
pub(crate) struct Table<K, V> {
    entries: Slab<Entry<K, V>>,
    places: LookupMap<K, Ix<Entry<K, V>>>,
}

impl<K: Copy + Eq + Hash, V> Table<K, V> {
    pub(crate) fn new() -> Self {
        Table { entries: Slab::new(), places: LookupMap::new() }
    }

    /// The key must be a new one.
    pub(crate) fn insert(&mut self, key: K, value: V) -> Ix<Entry<K, V>> {
        let ix = self.entries.insert(Entry { key, value });
        let before = self.places.insert(key, ix);
        debug_assert!(before.is_none(), "keys are used once");
        ix
    }

    pub(crate) fn get(&self, key: &K) -> Option<&V> {
        self.entries.get(*self.places.get(key)?).map(|entry| &entry.value)
    }

    pub(crate) fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        self.entries.get_mut(*self.places.get(key)?).map(|entry| &mut entry.value)
    }

    pub(crate) fn remove(&mut self, key: &K) -> Option<V> {
        let ix = self.places.remove(key)?;
        self.entries.remove(ix).map(|entry| entry.value)
    }

    /// The key of what lies there.
    pub(crate) fn key(&self, ix: Ix<Entry<K, V>>) -> Option<K> {
        self.entries.get(ix).map(|entry| entry.key)
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (Ix<Entry<K, V>>, &Entry<K, V>)> {
        self.entries.iter()
    }

    pub(crate) fn values(&self) -> impl Iterator<Item = &V> {
        self.iter().map(|(_, entry)| &entry.value)
    }
}

/// For a hash of the engine's state.
impl<K: Hash, V: Hash> Hash for Table<K, V> {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.entries.hash(state);
    }
}
