//! Places that are used again, with keys that are good for what they were given for alone.

/// A place (30 bits) and its generation (32 bits); the two highest bits are free for others.
pub(crate) type Key = u64;

#[derive(Debug)]
struct Slot<T> {
    generation: u32,
    held: Option<T>,
}

/// See the module's text.
#[derive(Debug)]
pub(crate) struct Slots<T> {
    slots: Vec<Slot<T>>,
    free: Vec<u32>,
}

impl<T> Slots<T> {
    pub(crate) fn new() -> Slots<T> {
        Slots { slots: Vec::new(), free: Vec::new() }
    }

    pub(crate) fn len(&self) -> u64 {
        (self.slots.len() - self.free.len()) as u64
    }

    pub(crate) fn put(&mut self, held: T) -> Key {
        let place = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot { generation: 0, held: None });
            u32::try_from(self.slots.len() - 1).unwrap_or(u32::MAX)
        });
        let Some(slot) = self.slots.get_mut(place as usize) else { return Key::MAX };
        slot.held = Some(held);
        (u64::from(place) << 32) | u64::from(slot.generation)
    }

    fn slot_mut(&mut self, key: Key) -> Option<&mut Slot<T>> {
        let slot = self.slots.get_mut((key >> 32) as usize)?;
        (u64::from(slot.generation) == key & u64::from(u32::MAX)).then_some(slot)
    }

    pub(crate) fn get_mut(&mut self, key: Key) -> Option<&mut T> {
        self.slot_mut(key)?.held.as_mut()
    }

    pub(crate) fn take(&mut self, key: Key) -> Option<T> {
        let slot = self.slot_mut(key)?;
        let held = slot.held.take()?;
        slot.generation = slot.generation.wrapping_add(1);
        self.free.push((key >> 32) as u32);
        Some(held)
    }
}
