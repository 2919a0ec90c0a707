//! Identities. An event's id is derived, never random: the same cause gives the same id, so that a
//! second run of anything meets the first one's trace instead of leaving a second.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use siphasher::sip128::SipHasher24;

/// Identifies an event: 128 bits of a hash over what caused it. Written as 32 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventId(pub [u8; 16]);

/// A tenant's number, given once when the tenant is created and never used again for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TenantId(pub u32);

/// An event's place in the lane's order of acceptance; the key of its records in the store.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Seq(pub u64);

/// One run of a function, unique within an incarnation of the lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct InvocationId(pub u64);

/// Whoever waits for an answer. The driver chooses it; the engine only hands it back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CallerId(pub u64);

/// Numbers the commits that the engine asks for, from 1 in each incarnation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BatchNo(pub u64);

/// 64 bits of a hash over what a keyed request asked for: the same key with another request is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Fingerprint(pub u64);

impl EventId {
    /// One of [`EdgeIds`].
    pub fn at_edge(lane: u64, incarnation: u64, seq: Seq) -> EventId {
        EdgeIds::of(lane, incarnation).id(seq)
    }

    /// The id of a request with an idempotency key: the tenant, what it was sent to, and the key.
    pub fn keyed(tenant: TenantId, target: &str, key: &str) -> EventId {
        hash(&[b"keyed", &tenant.0.to_be_bytes(), target.as_bytes(), &[0], key.as_bytes()])
    }

    /// The id of the `ordinal`-th event that the handling of `self` emitted.
    pub fn emitted(self, ordinal: u32) -> EventId {
        hash(&[b"emitted", &self.0, &ordinal.to_be_bytes()])
    }

    /// The id of the copy of `self` that goes to one subscriber of a topic or one rule of a bus.
    pub fn copy_for(self, subscriber: &str) -> EventId {
        hash(&[b"copy", &self.0, subscriber.as_bytes()])
    }

    /// The idempotency key of a call to the outside made while `self` was handled: `name` is what the
    /// function calls it, or method, URL and body hash; `occurrence` counts the same name.
    pub fn outbound_key(self, name: &str, occurrence: u32) -> EventId {
        hash(&[b"outbound", &self.0, &occurrence.to_be_bytes(), name.as_bytes()])
    }

    /// A number that is spread evenly over ids and differs by `salt`: the seed of jitter.
    pub fn spread(self, salt: u64) -> u64 {
        let digest = hash(&[b"spread", &self.0, &salt.to_be_bytes()]);
        let mut low = [0; 8];
        low.copy_from_slice(&digest.0[..8]);
        u64::from_be_bytes(low)
    }

    /// Reads 32 hexadecimal digits; `None` for anything else.
    pub fn parse(text: &str) -> Option<EventId> {
        if text.len() != 32 || !text.is_ascii() {
            return None;
        }
        let number = u128::from_str_radix(text, 16).ok()?;
        // `from_str_radix` takes a sign; an id has none.
        text.bytes().all(|byte| byte.is_ascii_hexdigit()).then(|| EventId(number.to_be_bytes()))
    }
}

/// The ids of events and calls that arrive at the edge without an idempotency key, in one incarnation of a lane.
///
/// The lane's number is drawn once, so that no two installations give the same ids, and with them the same keys to
/// services outside. The incarnation is counted up durably at each open, so that a sequence that a crash forgot is
/// never reused. Nearly every call and event has one: SipHash-2-4 with a key of the lane and its incarnation takes a
/// third of what a block of BLAKE3 takes.
#[derive(Debug, Clone, Copy)]
pub struct EdgeIds(SipHasher24);

impl EdgeIds {
    /// Of this incarnation of this lane.
    pub fn of(lane: u64, incarnation: u64) -> EdgeIds {
        let key = hash(&[b"edge", &lane.to_be_bytes(), &incarnation.to_be_bytes()]);
        EdgeIds(SipHasher24::new_with_key(&key.0))
    }

    /// The id of what has this sequence.
    pub fn id(&self, seq: Seq) -> EventId {
        EventId(self.0.hash(&seq.0.to_be_bytes()).as_bytes())
    }
}

/// What is hashed in one go: a block of BLAKE3.
const BLOCK_BYTES: usize = 64;

fn hash(parts: &[&[u8]]) -> EventId {
    let mut block = [0; BLOCK_BYTES];
    let mut len = 0;
    for part in parts {
        // Most are short, and every step of the engine may make an id: without the state of a long hash.
        let Some(room) = block.get_mut(len..len + part.len()) else { return hash_long(parts) };
        room.copy_from_slice(part);
        len += part.len();
    }
    // `get_mut` above held it within the block.
    let digest = blake3::hash(block.get(..len).unwrap_or_default());
    let mut id = [0; 16];
    id.copy_from_slice(&digest.as_bytes()[..16]);
    EventId(id)
}

fn hash_long(parts: &[&[u8]]) -> EventId {
    let mut hasher = blake3::Hasher::new();
    for part in parts {
        hasher.update(part);
    }
    let mut id = [0; 16];
    hasher.finalize_xof().fill(&mut id);
    EventId(id)
}

impl Fingerprint {
    /// Over the parts of a request, each with its length, so that no two requests run together.
    pub fn of(parts: &[&[u8]]) -> Fingerprint {
        let mut hasher = blake3::Hasher::new();
        for part in parts {
            hasher.update(&(part.len() as u64).to_be_bytes());
            hasher.update(part);
        }
        let mut low = [0; 8];
        hasher.finalize_xof().fill(&mut low);
        Fingerprint(u64::from_be_bytes(low))
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

impl fmt::Debug for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EventId({self})")
    }
}

impl Serialize for EventId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(self)
        } else {
            self.0.serialize(serializer)
        }
    }
}

impl<'de> Deserialize<'de> for EventId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            let text = String::deserialize(deserializer)?;
            EventId::parse(&text)
                .ok_or_else(|| serde::de::Error::custom("an event id is 32 hexadecimal digits"))
        } else {
            <[u8; 16]>::deserialize(deserializer).map(EventId)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_reads_back_as_written_and_nothing_else_reads() {
        let id = EventId::at_edge(1, 2, Seq(3));
        assert_eq!(EventId::parse(&id.to_string()), Some(id));
        for wrong in ["", "+0000000000000000000000000000001", "zz", &"é".repeat(16)] {
            assert_eq!(EventId::parse(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn a_short_hash_is_as_the_long_one() {
        let bytes = [7; 300];
        for (first, second) in [(0, 0), (0, 1), (4, 28), (4, 60), (4, 61), (64, 0), (65, 0), (300, 300)] {
            let parts = [&bytes[..first], &bytes[..second]];
            assert_eq!(hash(&parts), hash_long(&parts), "{first} and {second} bytes");
        }
    }

    #[test]
    fn derivations_do_not_meet() {
        let id = EventId::at_edge(0, 1, Seq(1));
        let all = [
            id,
            EventId::at_edge(0, 2, Seq(1)),
            EventId::at_edge(1, 1, Seq(1)),
            EventId::at_edge(0, 1, Seq(2)),
            EventId::keyed(TenantId(0), "a", "bc"),
            EventId::keyed(TenantId(0), "ab", "c"),
            id.emitted(0),
            id.emitted(1),
            id.copy_for("a"),
            id.outbound_key("a", 0),
        ];
        for (i, a) in all.iter().enumerate() {
            assert!(all.iter().skip(i + 1).all(|b| a != b));
        }
    }
}
