//! A sorted set whose least is always at hand, for many keys that come in nearly anywhere.
//!
//! The least keys are sorted, in `front`. All others are in buckets, each for a stretch of the order and
//! not sorted in itself: a key that comes in is written behind the last of its bucket, and nothing around
//! it is read. A bucket is sorted when its turn comes. So an insert costs one line of the processor's
//! cache where a search tree's leaf would cost many, which is what counts where there are many keys.

use std::collections::BTreeMap;

/// Keys in a bucket, and in front, at most. What they cost a step is bounded by it.
const BUCKET_MAX: usize = 128;

/// See the module's text.
#[derive(Debug, Hash)]
pub(crate) struct Heap<K> {
    /// The greatest first. Empty only where nothing is in the buckets either.
    front: Vec<K>,
    /// By a key that is not above any in the bucket, and above all that come before. None is empty.
    buckets: BTreeMap<K, Vec<K>>,
}

impl<K> Default for Heap<K> {
    fn default() -> Self {
        Heap { front: Vec::new(), buckets: BTreeMap::new() }
    }
}

impl<K: Ord + Copy> Heap<K> {
    pub(crate) const fn new() -> Self {
        Heap { front: Vec::new(), buckets: BTreeMap::new() }
    }

    pub(crate) fn first(&self) -> Option<&K> {
        self.front.last()
    }

    pub(crate) fn pop_first(&mut self) -> Option<K> {
        let first = self.front.pop();
        self.refill();
        first
    }

    /// The key must be a new one.
    pub(crate) fn insert(&mut self, key: K) {
        let upper = match self.buckets.range_mut(..=key).next_back() {
            Some((_, bucket)) => {
                bucket.push(key);
                (bucket.len() > BUCKET_MAX).then(|| upper_half(bucket))
            }
            None => {
                let place = self.front.partition_point(|other| *other > key);
                self.front.insert(place, key);
                let half = self.front.len() / 2;
                (self.front.len() > BUCKET_MAX).then(|| self.front.drain(..half).rev().collect())
            }
        };
        if let Some(upper) = upper
            && let Some(least) = upper.first()
        {
            self.buckets.insert(*least, upper);
        }
    }

    /// Whether it was there.
    pub(crate) fn remove(&mut self, key: &K) -> bool {
        let Some((from, bucket)) = self.buckets.range_mut(..=*key).next_back() else {
            let found = self.front.binary_search_by(|other| key.cmp(other));
            if let Ok(place) = found {
                self.front.remove(place);
                self.refill();
            }
            return found.is_ok();
        };
        let from = *from;
        let Some(place) = bucket.iter().position(|other| other == key) else { return false };
        bucket.swap_remove(place);
        if bucket.is_empty() {
            self.buckets.remove(&from);
        } else if bucket.len() < bucket.capacity() / 4 {
            bucket.shrink_to(bucket.len() * 2);
        }
        true
    }

    /// The next bucket's turn, where nothing is left in front.
    fn refill(&mut self) {
        if self.front.is_empty()
            && let Some((_, mut bucket)) = self.buckets.pop_first()
        {
            bucket.sort_unstable_by(|one, other| other.cmp(one));
            self.front = bucket;
        }
    }

    /// All keys, in no order that means anything.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &K> {
        self.front.iter().chain(self.buckets.values().flatten())
    }
}

/// Takes the greater half out of a bucket. The least of it is its first.
fn upper_half<K: Ord + Copy>(bucket: &mut Vec<K>) -> Vec<K> {
    let half = bucket.len() / 2;
    bucket.select_nth_unstable(half);
    let mut upper = Vec::with_capacity(BUCKET_MAX + 1);
    upper.extend(bucket.drain(half..));
    upper
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    /// What is done: a key goes in, one goes out, the least goes out.
    #[derive(Debug, Clone, Copy)]
    enum Act {
        Insert(u32),
        Remove(u32),
        Pop,
    }

    /// Many more go in than out, over few enough keys that they meet.
    fn acts(most: u32) -> impl Strategy<Value = Vec<Act>> {
        let act = prop_oneof![
            6 => (0..most).prop_map(Act::Insert),
            2 => (0..most).prop_map(Act::Remove),
            1 => Just(Act::Pop),
        ];
        prop::collection::vec(act, 1..3_000)
    }

    fn check(heap: &Heap<u32>, model: &BTreeSet<u32>) -> Result<(), TestCaseError> {
        prop_assert_eq!(heap.first(), model.first());
        prop_assert!(heap.front.len() <= BUCKET_MAX + 1);
        prop_assert!(heap.buckets.values().all(|bucket| (1..=BUCKET_MAX + 1).contains(&bucket.len())));
        Ok(())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn it_is_a_sorted_set(acts in prop_oneof![acts(500), acts(100_000)]) {
            let (mut heap, mut model) = (Heap::new(), BTreeSet::new());
            for act in acts {
                match act {
                    // A key is in it once.
                    Act::Insert(key) => if model.insert(key) {
                        heap.insert(key);
                    },
                    Act::Remove(key) => prop_assert_eq!(heap.remove(&key), model.remove(&key)),
                    Act::Pop => prop_assert_eq!(heap.pop_first(), model.pop_first()),
                }
                check(&heap, &model)?;
            }
            let mut all: Vec<_> = heap.iter().copied().collect();
            all.sort_unstable();
            prop_assert_eq!(all, model.iter().copied().collect::<Vec<_>>());
            while let Some(key) = model.pop_first() {
                prop_assert_eq!(heap.pop_first(), Some(key));
            }
            prop_assert_eq!(heap.pop_first(), None);
        }
    }
}
