//! Maps that can be looked into but not walked through, so that hash order can reach nothing.

use std::{
    fmt,
    hash::{BuildHasherDefault, Hash, Hasher},
};

/// A hash map without iteration.
#[expect(clippy::disallowed_types, reason = "nothing here iterates, and the hasher has no random state")]
pub(crate) struct LookupMap<K, V>(std::collections::HashMap<K, V, BuildHasherDefault<Mixer>>);

impl<K: Eq + Hash, V> LookupMap<K, V> {
    pub(crate) fn new() -> Self {
        #[expect(clippy::disallowed_types, reason = "see the type")]
        LookupMap(std::collections::HashMap::default())
    }

    pub(crate) fn get(&self, key: &K) -> Option<&V> {
        self.0.get(key)
    }

    pub(crate) fn insert(&mut self, key: K, value: V) -> Option<V> {
        self.0.insert(key, value)
    }

    pub(crate) fn remove(&mut self, key: &K) -> Option<V> {
        self.0.remove(key)
    }
}

impl<K, V> fmt::Debug for LookupMap<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LookupMap({})", self.0.len())
    }
}

/// Multiply and fold. Keys are hashes already, or small numbers of our own: nobody outside chooses them.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Mixer(u64);

impl Hasher for Mixer {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            self.write_u64(u64::from_le_bytes(*word));
        }
        if !rest.is_empty() {
            let mut word = [0; 8];
            for (to, from) in word.iter_mut().zip(rest) {
                *to = *from;
            }
            self.write_u64(u64::from_le_bytes(word));
        }
    }

    fn write_u8(&mut self, n: u8) {
        self.write_u64(u64::from(n));
    }

    fn write_u32(&mut self, n: u32) {
        self.write_u64(u64::from(n));
    }

    fn write_u64(&mut self, n: u64) {
        let wide = u128::from(self.0 ^ n ^ 0x9e37_79b9_7f4a_7c15) * 0xd6e8_feb8_6659_fd93;
        self.0 = (wide as u64) ^ ((wide >> 64) as u64);
    }

    fn write_usize(&mut self, n: usize) {
        self.write_u64(n as u64);
    }
}
