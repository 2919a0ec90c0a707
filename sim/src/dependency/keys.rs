//! Which calls were made before.

use std::collections::{BTreeMap, VecDeque};

/// Keys that a dependency remembers: past that the oldest is forgotten, and a call with it is worked on again.
pub const KEYS_MAX: usize = 2_000_000;

/// Keys of calls that were taken on: waiting, in work, or done. One that failed is forgotten.
#[derive(Debug, Clone)]
pub(super) struct Keys {
    most: usize,
    /// With the number under which it was remembered.
    known: BTreeMap<u64, u64>,
    /// In the order in which they came; some may be forgotten, or remembered anew.
    order: VecDeque<(u64, u64)>,
    next: u64,
}

impl Keys {
    /// That remembers so many.
    pub(super) const fn new(most: usize) -> Keys {
        Keys { most, known: BTreeMap::new(), order: VecDeque::new(), next: 0 }
    }

    pub(super) fn knows(&self, key: u64) -> bool {
        self.known.contains_key(&key)
    }

    pub(super) fn remember(&mut self, key: u64) {
        self.known.insert(key, self.next);
        self.order.push_back((key, self.next));
        self.next += 1;
        while self.order.len() > self.most {
            if let Some((oldest, number)) = self.order.pop_front()
                && self.known.get(&oldest) == Some(&number)
            {
                self.known.remove(&oldest);
            }
        }
    }

    pub(super) fn forget(&mut self, key: u64) {
        self.known.remove(&key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn past_their_limit_the_oldest_is_forgotten() {
        let mut keys = Keys::new(100);
        keys.remember(7);
        keys.forget(7);
        keys.remember(7);
        (100..198).for_each(|key| keys.remember(key));
        assert!(keys.knows(7) && keys.knows(100));
        // What leaves first is the memory that was forgotten; 7 was remembered anew.
        keys.remember(1);
        assert!(keys.knows(7) && keys.knows(100));
        keys.remember(2);
        assert!(!keys.knows(7) && keys.knows(100));
    }
}
