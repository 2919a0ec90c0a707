//! A map from consecutive numbers, for what is numbered as it comes and taken out roughly in that order.

use std::collections::VecDeque;

/// Keeps a place for each number from the least that is still there.
#[derive(Debug, Hash)]
pub(crate) struct Ring<T> {
    /// The number of the first place.
    first: u64,
    places: VecDeque<Option<T>>,
}

impl<T> Ring<T> {
    /// An empty one, whose first number will be this.
    pub(crate) const fn starting_at(first: u64) -> Self {
        Ring { first, places: VecDeque::new() }
    }

    /// Puts a value in; its number is one more than that of the last.
    pub(crate) fn push(&mut self, value: T) -> u64 {
        self.places.push_back(Some(value));
        self.next() - 1
    }

    /// The number of the next value.
    pub(crate) fn next(&self) -> u64 {
        self.first + self.places.len() as u64
    }

    pub(crate) fn remove(&mut self, number: u64) -> Option<T> {
        let index = usize::try_from(number.checked_sub(self.first)?).ok()?;
        let value = self.places.get_mut(index)?.take();
        while matches!(self.places.front(), Some(None)) {
            self.places.pop_front();
            self.first += 1;
        }
        value
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// All values in the order of their numbers.
    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = (u64, &T)> {
        let numbered = self.places.iter().enumerate();
        numbered.filter_map(|(index, place)| Some((self.first + index as u64, place.as_ref()?)))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_is_a_map_from_consecutive_numbers(acts in prop::collection::vec(prop::option::of(0..40_u64), 1..200)) {
            let (mut ring, mut model) = (Ring::starting_at(1), BTreeMap::new());
            let mut next = 1;
            for act in acts {
                match act {
                    None => {
                        prop_assert_eq!(ring.push(next * 10), next);
                        model.insert(next, next * 10);
                        next += 1;
                    }
                    Some(number) => prop_assert_eq!(ring.remove(number), model.remove(&number)),
                }
                let kept: Vec<_> = model.iter().map(|(number, value)| (*number, value)).collect();
                prop_assert_eq!(ring.iter().collect::<Vec<_>>(), kept);
                prop_assert_eq!((ring.is_empty(), ring.next()), (model.is_empty(), next));
            }
        }
    }
}
