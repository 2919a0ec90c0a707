//! What the demo knows by itself: what was delivered and answered, and what the tenants were told. It is
//! held against what the platform says at the end.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, MutexGuard, PoisonError},
};

use super::traffic::Expected;

/// One tenant.
#[derive(Debug)]
pub struct Tenant {
    /// Its name.
    pub name: String,
    /// Its API key.
    pub key: String,
}

/// What was announced under one idempotency key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Announcement {
    /// The tenant whose address it came to.
    pub tenant: String,
    /// The repository that it speaks of.
    pub repository: String,
    /// The new findings.
    pub fingerprints: Vec<String>,
    /// How often it came.
    pub times: u64,
}

/// Everything that is counted while traffic is played.
#[derive(Debug, Default)]
pub struct Entries {
    /// Pushes accepted.
    pub pushes: u64,
    /// Batches that accepted pushes were split into.
    pub batches: u64,
    /// Redeliveries sent.
    pub redelivered: u64,
    /// Redeliveries that were answered with the recorded response.
    pub replayed: u64,
    /// Requests answered 429 or 503, and sent again later.
    pub throttled: u64,
    /// An event of each accepted push: where its flow can be found.
    pub events: Vec<String>,
    /// By tenant, repository: the fingerprints that its report must have.
    pub expected: BTreeMap<String, BTreeMap<String, BTreeSet<String>>>,
    /// Announcements by idempotency key.
    pub announced: BTreeMap<String, Announcement>,
    /// What went wrong, in words.
    pub wrong: Vec<String>,
}

/// The entries, shared by those who write them.
#[derive(Debug, Default)]
pub struct Books(Mutex<Entries>);

impl Books {
    /// Looks at the entries, or writes some.
    pub fn entries(&self) -> MutexGuard<'_, Entries> {
        // Counters and sets: no half-made change can be left behind.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A push was accepted, with these events.
    pub fn accepted(&self, tenant: &str, expected: &Expected, events: &[String]) {
        let mut entries = self.entries();
        entries.pushes += 1;
        entries.batches += events.len() as u64;
        if events.len() as u64 != expected.batches {
            let message = format!(
                "a push to {} was split into {} batches, not {}",
                expected.repository,
                events.len(),
                expected.batches
            );
            entries.wrong.push(message);
        }
        entries.events.extend(events.first().cloned());
        if !expected.fingerprints.is_empty() {
            let report = entries.expected.entry(tenant.to_string()).or_default();
            report.entry(expected.repository.clone()).or_default().extend(expected.fingerprints.clone());
        }
    }

    /// Something arrived at a tenant's address.
    pub fn announced(&self, key: &str, told: Announcement) {
        let mut entries = self.entries();
        match entries.announced.get_mut(key) {
            Some(known) => known.times += 1,
            None => drop(entries.announced.insert(key.to_string(), told)),
        }
    }
}

impl Entries {
    /// Findings that must be reported, over all tenants. Each is in a file of its own.
    pub fn findings(&self) -> u64 {
        self.expected.values().flat_map(BTreeMap::values).map(|report| report.len() as u64).sum()
    }
}
