//! Which function's turn it is: for each function and class the key of its best flow, and at once whose is the least.
//!
//! A tree of comparisons over a fixed number of places, for a few that change all the time: a change goes up from its
//! leaf for as long as who is least changes, and moves nothing.

use super::{Class, FunctionIx, Tag};

/// Leaves of one function: one for each class, and one that stays empty, so that it is a power of two.
const OF_ONE: usize = 4;

/// What stands at a leaf. Those that are owed go before the rest, then the least tag, then who came first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Top {
    pub(super) rest: bool,
    pub(super) tag: Tag,
    pub(super) tie: u64,
}

/// See the module's text.
#[derive(Debug, Default, Hash)]
pub(super) struct Tops {
    /// By function and class. A power of two of them, or none.
    leaves: Vec<Option<Top>>,
    /// Which leaf is least below a node: the root is 1, below `n` are `2n` and `2n + 1`.
    least: Vec<u32>,
}

impl Tops {
    /// There is one function more.
    pub(super) fn add_function(&mut self, functions: usize) {
        let wanted = (functions * OF_ONE).next_power_of_two();
        if wanted > self.leaves.len() {
            self.leaves.resize(wanted, None);
            self.least = vec![0; wanted];
            for node in (1..wanted).rev() {
                self.compare(node);
            }
        }
    }

    pub(super) fn get(&self, function: FunctionIx, class: Class) -> Option<Top> {
        self.leaves.get(leaf(function, class)).copied().flatten()
    }

    pub(super) fn set(&mut self, function: FunctionIx, class: Class, top: Option<Top>) {
        let leaf = leaf(function, class);
        let Some(place) = self.leaves.get_mut(leaf) else { return };
        *place = top;
        let mut node = (self.leaves.len() + leaf) / 2;
        while node > 0 {
            let before = self.least.get(node).copied();
            let now = self.compare(node);
            // Whoever is least up there looked at another leaf than this one, and still does.
            if before == Some(now) && now as usize != leaf {
                return;
            }
            node /= 2;
        }
    }

    /// Whose turn it is.
    pub(super) fn first(&self) -> Option<(FunctionIx, Class, Top)> {
        let leaf = *self.least.get(1)?;
        let top = self.leaves.get(leaf as usize).copied().flatten()?;
        let class = match leaf as usize % OF_ONE {
            0 => Class::FlowOwed,
            1 => Class::TenantOwed,
            _ => Class::Rest,
        };
        Some((FunctionIx(leaf / OF_ONE as u32), class, top))
    }

    /// Which leaf is least below a node, by what stands right below it.
    fn compare(&mut self, node: usize) -> u32 {
        let below = |node: usize| match node.checked_sub(self.leaves.len()) {
            Some(leaf) => leaf as u32, // few: functions are counted by `u32`
            None => self.least.get(node).copied().unwrap_or(0),
        };
        let (one, other) = (below(2 * node), below(2 * node + 1));
        let at = |leaf: u32| self.leaves.get(leaf as usize).and_then(Option::as_ref);
        let least = match (at(one), at(other)) {
            (Some(a), Some(b)) if b < a => other,
            (None, Some(_)) => other,
            _ => one,
        };
        if let Some(place) = self.least.get_mut(node) {
            *place = least;
        }
        least
    }
}

fn leaf(function: FunctionIx, class: Class) -> usize {
    function.0 as usize * OF_ONE + class as usize
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    const CLASSES: [Class; 3] = [Class::FlowOwed, Class::TenantOwed, Class::Rest];

    proptest! {
        /// Against a sorted map, with functions that come later.
        #[test]
        fn the_least_is_first(
            acts in prop::collection::vec((0..9_u32, 0..3_usize, prop::option::of((any::<bool>(), 0..4_u128))), 1..200),
        ) {
            let (mut tops, mut model, mut functions) = (Tops::default(), BTreeMap::new(), 0);
            for (number, (function, class, key)) in (0..).zip(acts) {
                while functions <= function {
                    functions += 1;
                    tops.add_function(functions as usize);
                }
                let place = (FunctionIx(function), CLASSES[class]);
                // A tie is another each time, as it is there.
                let top = key.map(|(rest, tag)| Top { rest, tag, tie: number });
                tops.set(place.0, place.1, top);
                match top {
                    Some(top) => _ = model.insert(place, top),
                    None => _ = model.remove(&place),
                }
                prop_assert_eq!(tops.get(place.0, place.1), top);
                let least = model.iter().min_by_key(|(_, top)| **top).map(|((f, c), top)| (*f, *c, *top));
                prop_assert_eq!(tops.first(), least);
            }
        }
    }
}
