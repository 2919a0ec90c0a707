//! Events: a CloudEvents envelope, our lineage, and a body of bytes.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{EventId, Name, TenantId, Time};

/// An event's bytes. Cheap to clone; the engine passes it on and keeps none.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Body(pub Arc<[u8]>);

impl Body {
    /// How many bytes.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Default for Body {
    fn default() -> Self {
        Body(Arc::from([]))
    }
}

impl From<Vec<u8>> for Body {
    fn from(bytes: Vec<u8>) -> Self {
        Body(bytes.into())
    }
}

impl From<&[u8]> for Body {
    fn from(bytes: &[u8]) -> Self {
        Body(bytes.into())
    }
}

impl std::ops::Deref for Body {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &self.0
    }
}

/// What is known of an event besides its body. Immutable from acceptance on: attempts and delays are
/// in the index, not here.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Envelope {
    /// Its derived id.
    pub id: EventId,
    /// Whom it belongs to: the credential's tenant, never the sender's choice.
    pub tenant: TenantId,
    /// The queue, topic or bus it was sent to.
    pub target: Name,
    /// What the sender says it is.
    pub attributes: Attributes,
    /// When it was accepted.
    pub time: Time,
    /// Where it comes from.
    pub lineage: Lineage,
}

/// The CloudEvents attributes that the sender chooses. Each text has at most
/// [`ATTRIBUTE_BYTES_MAX`] bytes.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Attributes {
    /// CloudEvents `type`.
    pub kind: String,
    /// CloudEvents `source`.
    pub source: String,
    /// CloudEvents `subject`.
    pub subject: Option<String>,
    /// CloudEvents `datacontenttype`.
    pub content_type: String,
}

/// The longest attribute, bytes.
pub const ATTRIBUTE_BYTES_MAX: usize = 256;

impl Attributes {
    /// The first attribute that is too long, with its length in bytes.
    pub fn too_long(&self) -> Option<(&'static str, usize)> {
        [
            ("type", self.kind.len()),
            ("source", self.source.len()),
            ("subject", self.subject.as_ref().map_or(0, String::len)),
            ("datacontenttype", self.content_type.len()),
        ]
        .into_iter()
        .find(|(_, length)| *length > ATTRIBUTE_BYTES_MAX)
    }
}

/// The way an event came: every function that led here, oldest first.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Lineage {
    /// The event at the edge that all of this descends from; its own id at the edge.
    pub root: EventId,
    /// The functions on the way; as many as there were hops.
    pub hops: Vec<Hop>,
}

/// One step of a lineage: a function handled an event and emitted the next.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Hop {
    /// The event that was handled.
    pub event: EventId,
    /// The function that handled it.
    pub function: Name,
    /// When that event had been accepted.
    pub time: Time,
}

impl Lineage {
    /// Of an event at the edge.
    pub fn edge(id: EventId) -> Lineage {
        Lineage { root: id, hops: Vec::new() }
    }

    /// The event whose handling emitted this one; `None` at the edge.
    pub fn cause(&self) -> Option<EventId> {
        self.hops.last().map(|hop| hop.event)
    }

    /// How many functions it has passed.
    pub fn hop_count(&self) -> u32 {
        // Bounded by the hop limit, which is a `u16`.
        u32::try_from(self.hops.len()).unwrap_or(u32::MAX)
    }
}

impl Envelope {
    /// The lineage of what `function` emits while handling this event.
    pub fn lineage_through(&self, function: &Name) -> Lineage {
        let mut hops = Vec::with_capacity(self.lineage.hops.len() + 1);
        hops.extend_from_slice(&self.lineage.hops);
        hops.push(Hop { event: self.id, function: function.clone(), time: self.time });
        Lineage { root: self.lineage.root, hops }
    }
}
