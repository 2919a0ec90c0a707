//! Which flows a tenant has. Most tenants have few at a time, and then they lie in the tenant's own entry.

use super::{Flow, FunctionIx, Ix};

/// Flows that need no memory of their own.
const FEW: usize = 6;

type Place = (FunctionIx, Ix<Flow>);

/// A tenant's flows in the order of their functions: no more of them than there are functions.
#[derive(Debug)]
pub(super) enum Flows {
    Few(u8, [Place; FEW]),
    Many(Vec<Place>),
}

impl Flows {
    pub(super) const fn new() -> Self {
        Flows::Few(0, [(FunctionIx(0), Ix::NOWHERE); FEW])
    }

    fn all(&self) -> &[Place] {
        match self {
            Flows::Few(len, few) => few.get(..usize::from(*len)).unwrap_or_default(),
            Flows::Many(many) => many,
        }
    }

    fn find(&self, function: FunctionIx) -> Result<usize, usize> {
        let all = self.all();
        let place = if all.len() <= FEW {
            all.iter().take_while(|(other, _)| *other < function).count()
        } else {
            all.partition_point(|(other, _)| *other < function)
        };
        if all.get(place).is_some_and(|(found, _)| *found == function) { Ok(place) } else { Err(place) }
    }

    pub(super) fn get(&self, function: FunctionIx) -> Option<Ix<Flow>> {
        self.at(self.find(function).ok()?)
    }

    /// One after the other, from 0.
    pub(super) fn at(&self, place: usize) -> Option<Ix<Flow>> {
        self.all().get(place).map(|(_, flow)| *flow)
    }

    /// The tenant has no other for this function.
    pub(super) fn insert(&mut self, function: FunctionIx, flow: Ix<Flow>) {
        let found = self.find(function);
        debug_assert!(found.is_err(), "a tenant has one flow for a function");
        let Err(place) = found else { return };
        match self {
            Flows::Few(len, few) if usize::from(*len) < FEW => {
                *len += 1;
                if let Some(from) = few.get_mut(place..usize::from(*len)) {
                    from.rotate_right(1);
                }
                if let Some(entry) = few.get_mut(place) {
                    *entry = (function, flow);
                }
            }
            Flows::Few(_, few) => {
                let mut many = few.to_vec();
                many.insert(place, (function, flow));
                *self = Flows::Many(many);
            }
            Flows::Many(many) => many.insert(place, (function, flow)),
        }
    }

    pub(super) fn remove(&mut self, function: FunctionIx) {
        let Ok(place) = self.find(function) else { return };
        match self {
            Flows::Few(len, few) => {
                if let Some(from) = few.get_mut(place..usize::from(*len)) {
                    from.rotate_left(1);
                }
                *len -= 1;
            }
            Flows::Many(many) => {
                many.remove(place);
                // Not as soon as they would fit: who goes up and down around that pays nothing.
                if many.len() <= FEW / 2 {
                    let mut few = [(FunctionIx(0), Ix::NOWHERE); FEW];
                    few.iter_mut().zip(&*many).for_each(|(to, from)| *to = *from);
                    *self = Flows::Few(many.len() as u8, few);
                }
            }
        }
    }
}

/// For a hash of the engine's state: not where they lie, but which they are.
impl std::hash::Hash for Flows {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.all().hash(state);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::engine::slab::Slab;

    proptest! {
        /// Against a sorted map. Nothing is looked up in the slab: it makes the places only.
        #[test]
        fn it_is_a_map_in_order(acts in prop::collection::vec((0..14_u32, any::<bool>()), 1..300)) {
            let mut places = Slab::<u32>::new();
            let (mut flows, mut model) = (Flows::new(), BTreeMap::new());
            for (number, insert) in acts {
                let function = FunctionIx(number);
                match (insert, model.contains_key(&number)) {
                    (true, false) => {
                        let flow = places.insert(number).cast();
                        model.insert(number, flow);
                        flows.insert(function, flow);
                    }
                    (false, _) => {
                        model.remove(&number);
                        flows.remove(function);
                    }
                    (true, true) => {}
                }
                for number in 0..14 {
                    prop_assert_eq!(flows.get(FunctionIx(number)), model.get(&number).copied());
                }
                let walked: Vec<_> = (0..).map_while(|place| flows.at(place)).collect();
                prop_assert_eq!(walked, model.values().copied().collect::<Vec<_>>());
            }
        }
    }
}
