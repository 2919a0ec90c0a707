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

    /// Where the value of a key lies.
    pub(crate) fn place(&self, key: &K) -> Option<Ix<Entry<K, V>>> {
        self.places.get(key).copied()
    }

    /// What lies there.
    pub(crate) fn at_mut(&mut self, ix: Ix<Entry<K, V>>) -> Option<&mut V> {
        self.entries.get_mut(ix).map(|entry| &mut entry.value)
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    #[derive(Debug, Clone, Copy)]
    enum Act {
        Insert(u64),
        Change(u64, u32),
        Remove(u64),
    }

    fn act() -> impl Strategy<Value = Act> {
        let key = 0..40_u64;
        prop_oneof![
            3 => key.clone().prop_map(Act::Insert),
            1 => (key.clone(), any::<u32>()).prop_map(|(key, value)| Act::Change(key, value)),
            2 => key.prop_map(Act::Remove),
        ]
    }

    proptest! {
        /// Against a sorted map, with the place that each key was given: it keeps it while it is there.
        #[test]
        fn it_is_a_map_whose_places_stay(acts in prop::collection::vec(act(), 1..300)) {
            let (mut table, mut model, mut places) = (Table::new(), BTreeMap::new(), BTreeMap::new());
            for act in acts {
                match act {
                    Act::Insert(key) => if let std::collections::btree_map::Entry::Vacant(entry) = model.entry(key) {
                        entry.insert(0);
                        places.insert(key, table.insert(key, 0));
                    },
                    Act::Change(key, value) => {
                        let (mine, theirs) = (table.get_mut(&key), model.get_mut(&key));
                        prop_assert_eq!(&mine, &theirs);
                        if let (Some(mine), Some(theirs)) = (mine, theirs) {
                            (*mine, *theirs) = (value, value);
                        }
                    }
                    Act::Remove(key) => {
                        prop_assert_eq!(table.remove(&key), model.remove(&key));
                        if let Some(place) = places.remove(&key) {
                            prop_assert_eq!(table.key(place), None);
                            prop_assert_eq!(table.at_mut(place), None);
                        }
                    }
                }
                for key in 0..40 {
                    prop_assert_eq!(table.get(&key), model.get(&key));
                }
                for (key, place) in &places {
                    prop_assert_eq!(table.key(*place), Some(*key));
                    prop_assert_eq!(table.at_mut(*place), model.get_mut(key));
                }
                // In the order of the places, each under its own.
                let walked: Vec<_> = table.iter().map(|(place, entry)| (place, entry.key, entry.value)).collect();
                prop_assert!(walked.is_sorted_by_key(|(place, ..)| *place));
                let mut by_key: Vec<_> = walked.iter().map(|(place, key, value)| (*key, (*place, *value))).collect();
                by_key.sort_unstable_by_key(|(key, _)| *key);
                let expected: Vec<_> = model.iter().map(|(key, value)| (*key, (places[key], *value))).collect();
                prop_assert_eq!(by_key, expected);
                prop_assert_eq!((table.len(), table.is_empty()), (model.len(), model.is_empty()));
                prop_assert_eq!(table.values().count(), model.len());
            }
        }
    }
}
