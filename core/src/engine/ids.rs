//! Where the event of an id is. The table holds indices alone, five bytes each with the table's own: the ids
//! are in the entries that they lead to.
//!
//! It is many small tables, so that the step in which one grows is no long one.

use hashbrown::HashTable;

use super::slab::Ix;
use crate::EventId;

const TABLES: u64 = 64;

/// A map from ids to indices without iteration, so that hash order can reach nothing.
pub(crate) struct Ids<T> {
    /// So that nobody outside can choose keys whose ids meet in one place: it differs from lane to lane.
    salt: u64,
    tables: Vec<HashTable<Ix<T>>>,
}

impl<T> Ids<T> {
    pub(crate) fn new(salt: u64) -> Self {
        Ids { salt, tables: (0..TABLES).map(|_| HashTable::new()).collect() }
    }

    /// `id_of` says the id of an entry; it is asked for entries that are in here only.
    pub(crate) fn get(&self, id: EventId, id_of: impl Fn(Ix<T>) -> EventId) -> Option<Ix<T>> {
        let hash = hash(self.salt, id);
        self.tables.get(table_of(hash))?.find(hash, |ix| id_of(*ix) == id).copied()
    }

    /// From here on the id leads to `ix`, whatever it led to before.
    pub(crate) fn insert(&mut self, id: EventId, ix: Ix<T>, id_of: impl Fn(Ix<T>) -> EventId) {
        let (salt, hash) = (self.salt, hash(self.salt, id));
        let Some(table) = self.tables.get_mut(table_of(hash)) else { return };
        match table.find_mut(hash, |ix| id_of(*ix) == id) {
            Some(place) => *place = ix,
            None => drop(table.insert_unique(hash, ix, |ix| self::hash(salt, id_of(*ix)))),
        }
    }

    /// Removes the id only where it leads to `ix`: two events may bear one id for a while.
    pub(crate) fn remove(&mut self, id: EventId, ix: Ix<T>) {
        let hash = hash(self.salt, id);
        if let Some(table) = self.tables.get_mut(table_of(hash))
            && let Ok(entry) = table.find_entry(hash, |found| *found == ix)
        {
            entry.remove();
        }
    }
}

impl<T> std::fmt::Debug for Ids<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Ids({})", self.tables.iter().map(HashTable::len).sum::<usize>())
    }
}

/// An id is a hash already; the salt is mixed in.
fn hash(salt: u64, id: EventId) -> u64 {
    let id = u128::from_le_bytes(id.0);
    let wide = u128::from(salt ^ (id as u64) ^ 0x9e37_79b9_7f4a_7c15) * 0xd6e8_feb8_6659_fd93;
    (wide as u64) ^ ((wide >> 64) as u64) ^ ((id >> 64) as u64)
}

/// By bits that the tables use for nothing else.
fn table_of(hash: u64) -> usize {
    ((hash >> 48) % TABLES) as usize
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::{Seq, engine::slab::Slab};

    proptest! {
        /// Ids that come and go, two entries of one id among them, against a sorted map.
        #[test]
        fn it_is_a_map(salt: u64, acts in prop::collection::vec((0..400_u64, any::<bool>()), 1..1_500)) {
            let id = |number| EventId::at_edge(0, 0, Seq(number));
            let (mut slab, mut ids) = (Slab::<EventId>::new(), Ids::new(salt));
            let mut model: BTreeMap<u64, Ix<EventId>> = BTreeMap::new();
            let mut all: BTreeMap<u64, Vec<Ix<EventId>>> = BTreeMap::new();
            for (number, insert) in acts {
                if insert {
                    let ix = slab.insert(id(number));
                    ids.insert(id(number), ix, |ix| slab[ix]);
                    model.insert(number, ix);
                    all.entry(number).or_default().push(ix);
                } else if let Some(ix) = all.get_mut(&number).and_then(Vec::pop) {
                    slab.remove(ix);
                    ids.remove(id(number), ix);
                    if model.get(&number) == Some(&ix) {
                        model.remove(&number);
                    }
                }
                prop_assert_eq!(ids.get(id(number), |ix| slab[ix]), model.get(&number).copied());
            }
            for number in 0..400 {
                prop_assert_eq!(ids.get(id(number), |ix| slab[ix]), model.get(&number).copied());
            }
        }
    }
}
