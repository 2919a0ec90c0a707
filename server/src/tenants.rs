//! Who the tenants are: names, numbers, API keys and secrets. Every change is durable before it is
//! answered. Keys are kept as hashes; a key's text is shown once, when it is made.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    sync::{
        Arc, Mutex, RwLock,
        atomic::{AtomicU64, Ordering},
    },
};

use flyball_core::{
    Name, Tenant, TenantId, Time,
    model::{Shared, TenantLimits},
    record::{self, RecordError},
};
use flyball_store::{Batch, Bytes, Scan, Store, StoreError, Table, Write};
use serde::{Deserialize, Serialize};

use crate::lane::{locked, wall_clock};

/// Tenants that there may be.
pub const TENANTS_MAX: usize = 100_000;
/// Keys that one tenant may have.
pub const KEYS_MAX: usize = 16;
/// Secrets that one tenant may have.
pub const SECRETS_MAX: usize = 100;
/// A secret's value, bytes.
pub const SECRET_BYTES_MAX: usize = 64 << 10;
/// A secret's name, bytes.
const SECRET_NAME_BYTES_MAX: usize = 128;

/// Why a tenant can't be changed.
#[derive(Debug, thiserror::Error)]
pub enum TenantError {
    /// There is none of that name.
    #[error("there is no tenant {0}; `flyball tenants create {0}` makes one")]
    Unknown(Name),
    /// There is one of that name already.
    #[error("there is a tenant {0} already")]
    Exists(Name),
    /// There is no such key.
    #[error("tenant {0} has no key {1}; `flyball tenants show {0}` lists them")]
    NoKey(Name, String),
    /// A limit is reached.
    #[error("{what}: {max} at most; remove one first")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many there may be.
        max: usize,
    },
    /// An argument is wrong.
    #[error("{0}")]
    Invalid(String),
    /// The store failed: nothing changed, or it is not known whether.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A tenant as it is stored.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Entry {
    id: TenantId,
    name: Name,
    enabled: bool,
    created: Time,
    keys: Vec<Key>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Key {
    /// The first digits of the key, to tell it from others.
    id: String,
    hash: [u8; 32],
    created: Time,
    /// From when on it is no longer valid.
    expires: Option<Time>,
}

/// A tenant, without what is secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TenantView {
    /// Its number.
    pub id: TenantId,
    /// Its name.
    pub name: Name,
    /// Whether it may send and call.
    pub enabled: bool,
    /// When it was created.
    pub created: Time,
    /// Its keys.
    pub keys: Vec<KeyView>,
    /// The names of its secrets.
    pub secrets: Vec<String>,
}

/// A key, without what is secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyView {
    /// What it is called when it is revoked.
    pub id: String,
    /// When it was made.
    pub created: Time,
    /// From when on it is no longer valid; `None` for never.
    pub expires: Option<Time>,
}

/// Who a key or a name belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Its number.
    pub id: TenantId,
    /// Its name.
    pub name: Name,
    /// Whether it may send and call.
    pub enabled: bool,
}

/// All tenants.
pub struct Tenants {
    application: Shared,
    store: Arc<dyn Store>,
    read: RwLock<Tables>,
    /// One change at a time.
    change: Mutex<()>,
    /// Counts the changes of tenants.
    version: AtomicU64,
}

#[derive(Default)]
struct Tables {
    by_id: BTreeMap<TenantId, Entry>,
    by_name: BTreeMap<Name, TenantId>,
    by_key: HashMap<[u8; 32], (TenantId, Option<Time>)>,
    names: HashMap<TenantId, Arc<str>>,
    secrets: HashMap<(TenantId, String), Bytes>,
}

impl fmt::Debug for Tenants {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Never what is in it: keys' hashes and secrets.
        f.debug_struct("Tenants").finish_non_exhaustive()
    }
}

impl Tenants {
    /// Reads all tenants, and creates those that the application names and that do not exist yet.
    ///
    /// # Errors
    /// Where the store fails or a record can't be read.
    pub fn open(application: Shared, store: Arc<dyn Store>) -> Result<Tenants, StoreError> {
        let mut tables = Tables::default();
        let mut after: Option<Vec<u8>> = None;
        loop {
            let scan = Scan {
                table: Table::Tenants,
                prefix: &[],
                after: after.as_deref(),
                rows_max: 1_000,
                bytes_max: 8 << 20,
            };
            let page = store.scan(&scan)?;
            for row in &page.rows {
                tables.restore(&row.key, &row.value).map_err(|error| StoreError::Damaged {
                    what: format!("a tenant's record: {error}"),
                    place: format!("table tenants, key {:?}", row.key),
                })?;
            }
            after = page.rows.last().map(|row| row.key.clone());
            if !page.more || after.is_none() {
                break;
            }
        }
        let tenants = Tenants {
            application,
            store,
            read: RwLock::new(tables),
            change: Mutex::new(()),
            version: AtomicU64::new(0),
        };
        for name in tenants.application.tenants.keys() {
            match tenants.create(name.clone()) {
                Ok(_) | Err(TenantError::Exists(_)) => {}
                Err(TenantError::Store(error)) => return Err(error),
                Err(other) => tracing::warn!(%other, "a tenant of the application can't be created"),
            }
        }
        Ok(tenants)
    }

    /// All tenants as the engine takes them, in the order of their numbers.
    pub(crate) fn all(&self) -> Vec<Tenant> {
        self.tables(|t| t.by_id.values().map(|entry| self.for_engine(entry)).collect())
    }

    /// Differs after any change of a tenant.
    pub(crate) fn version(&self) -> u64 {
        self.version.load(Ordering::SeqCst)
    }

    /// A tenant as the engine takes it.
    pub(crate) fn one(&self, id: TenantId) -> Option<Tenant> {
        self.tables(|t| t.by_id.get(&id).map(|entry| self.for_engine(entry)))
    }

    fn for_engine(&self, entry: &Entry) -> Tenant {
        let limits: TenantLimits = self.application.limits_of(&entry.name).clone();
        Tenant { id: entry.id, name: entry.name.clone(), limits, enabled: entry.enabled }
    }

    /// A tenant's name.
    pub(crate) fn name_of(&self, id: TenantId) -> Option<Arc<str>> {
        self.tables(|t| t.names.get(&id).cloned())
    }

    /// Whose key this is; `None` where it is nobody's, or expired.
    pub fn by_key(&self, key: &str) -> Option<Identity> {
        // The hash is what is looked up, so timing tells nothing of the key itself.
        let hash = *blake3::hash(key.as_bytes()).as_bytes();
        let now = wall_clock();
        self.tables(|t| {
            let (id, expires) = t.by_key.get(&hash)?;
            if expires.is_some_and(|at| at <= now) {
                return None;
            }
            t.by_id.get(id).map(identity)
        })
    }

    /// The tenant of this name.
    pub fn by_name(&self, name: &str) -> Option<Identity> {
        self.tables(|t| t.by_id.get(t.by_name.get(name)?).map(identity))
    }

    /// How many tenants there are.
    pub fn count(&self) -> usize {
        self.tables(|t| t.by_id.len())
    }

    /// Tenants in the order of their names, after `after`, `limit` at most.
    pub fn list(&self, after: Option<&str>, limit: usize) -> Vec<TenantView> {
        self.tables(|t| {
            let later = t.by_name.iter().filter(|(name, _)| after.is_none_or(|after| name.as_str() > after));
            later.filter_map(|(_, id)| t.view(*id)).take(limit).collect()
        })
    }

    /// One tenant.
    ///
    /// # Errors
    /// Where there is none of that name.
    pub fn show(&self, name: &Name) -> Result<TenantView, TenantError> {
        self.tables(|t| t.by_name.get(name).and_then(|id| t.view(*id)))
            .ok_or_else(|| TenantError::Unknown(name.clone()))
    }

    /// Creates a tenant without a key.
    ///
    /// # Errors
    /// Where there is one of that name, or [`TENANTS_MAX`] of them, or the store fails.
    pub fn create(&self, name: Name) -> Result<TenantView, TenantError> {
        let _one = locked(&self.change);
        let id = self.tables(|t| {
            if t.by_name.contains_key(&name) {
                return Err(TenantError::Exists(name.clone()));
            }
            if t.by_id.len() >= TENANTS_MAX {
                return Err(TenantError::TooMany { what: "tenants", max: TENANTS_MAX });
            }
            // Tenants are disabled, never removed, so the greatest number was never given to another.
            Ok(TenantId(t.by_id.keys().next_back().map_or(1, |last| last.0 + 1)))
        })?;
        let entry = Entry { id, name, enabled: true, created: wall_clock(), keys: Vec::new() };
        self.save(entry)
    }

    /// Lets a tenant send and call, or not. What it has waiting runs on.
    ///
    /// # Errors
    /// Where there is none of that name, or the store fails.
    pub fn set_enabled(&self, name: &Name, enabled: bool) -> Result<TenantView, TenantError> {
        self.change(name, |entry| {
            entry.enabled = enabled;
            Ok(())
        })
    }

    /// Makes a key. The text is returned once and kept nowhere. With `expire_others` (from now) the keys
    /// there were stop being valid then: a rotation in one step.
    ///
    /// # Errors
    /// Where there is no such tenant, it has [`KEYS_MAX`] keys, or the store fails.
    pub fn add_key(
        &self,
        name: &Name,
        expire_others: Option<Time>,
    ) -> Result<(String, KeyView), TenantError> {
        let mut random = [0_u8; 32];
        getrandom::fill(&mut random)
            .map_err(|error| TenantError::Invalid(format!("no randomness can be had: {error}")))?;
        let digits: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
        let text = format!("fb_{name}_{digits}");
        let now = wall_clock();
        let id: String = digits.chars().take(8).collect();
        let key = Key { id, hash: *blake3::hash(text.as_bytes()).as_bytes(), created: now, expires: None };
        let view = key.view();
        self.change(name, |entry| {
            entry.keys.retain(|key| key.expires.is_none_or(|at| at > now));
            if entry.keys.len() >= KEYS_MAX {
                return Err(TenantError::TooMany { what: "keys of a tenant", max: KEYS_MAX });
            }
            if let Some(at) = expire_others {
                for other in &mut entry.keys {
                    other.expires = Some(other.expires.map_or(at, |before| before.min(at)));
                }
            }
            entry.keys.push(key);
            Ok(())
        })?;
        Ok((text, view))
    }

    /// Ends a key's validity at once.
    ///
    /// # Errors
    /// Where there is no such tenant or key, or the store fails.
    pub fn revoke_key(&self, name: &Name, key: &str) -> Result<TenantView, TenantError> {
        self.change(name, |entry| {
            let before = entry.keys.len();
            entry.keys.retain(|k| k.id != key);
            if entry.keys.len() == before {
                return Err(TenantError::NoKey(name.clone(), key.to_string()));
            }
            Ok(())
        })
    }

    /// Sets a secret, or removes it with `None`.
    ///
    /// # Errors
    /// Where there is no such tenant, a bound is passed, or the store fails.
    pub fn set_secret(&self, name: &Name, secret: &str, value: Option<Bytes>) -> Result<(), TenantError> {
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if secret.is_empty() || secret.len() > SECRET_NAME_BYTES_MAX || !secret.chars().all(fits) {
            let message = format!(
                "a secret's name is 1 to {SECRET_NAME_BYTES_MAX} of a-z, A-Z, 0-9, '.', '_' and '-'; {secret:?} is not"
            );
            return Err(TenantError::Invalid(message));
        }
        if let Some(bytes) = value.as_ref().map(Bytes::len).filter(|bytes| *bytes > SECRET_BYTES_MAX) {
            let message = format!("a secret has at most {SECRET_BYTES_MAX} bytes, this one has {bytes}");
            return Err(TenantError::Invalid(message));
        }
        let _one = locked(&self.change);
        let id = self.by_name(name).ok_or_else(|| TenantError::Unknown(name.clone()))?.id;
        let place = (id, secret.to_string());
        let others = self.tables(|t| t.secrets.keys().filter(|(t, s)| *t == id && s != secret).count());
        if value.is_some() && others >= SECRETS_MAX {
            return Err(TenantError::TooMany { what: "secrets of a tenant", max: SECRETS_MAX });
        }
        let key = secret_key(id, secret);
        let write = match &value {
            Some(value) => Write::Put { table: Table::Tenants, key, value: value.clone() },
            None => Write::Delete { table: Table::Tenants, key },
        };
        self.store.commit(&[Batch { checks: Vec::new(), writes: vec![write] }])?;
        let mut tables = self.read.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        match value {
            Some(value) => tables.secrets.insert(place, value),
            None => tables.secrets.remove(&place),
        };
        Ok(())
    }

    /// A secret's value: for the tenant's own functions.
    pub(crate) fn secret(&self, id: TenantId, secret: &str) -> Option<Bytes> {
        self.tables(|t| t.secrets.get(&(id, secret.to_string())).cloned())
    }

    fn change(
        &self,
        name: &Name,
        change: impl FnOnce(&mut Entry) -> Result<(), TenantError>,
    ) -> Result<TenantView, TenantError> {
        let _one = locked(&self.change);
        let entry = self.tables(|t| t.by_name.get(name).and_then(|id| t.by_id.get(id)).cloned());
        let mut entry = entry.ok_or_else(|| TenantError::Unknown(name.clone()))?;
        change(&mut entry)?;
        self.save(entry)
    }

    fn save(&self, entry: Entry) -> Result<TenantView, TenantError> {
        let value = Bytes::copy_from_slice(&record::encode(&entry));
        let write = Write::Put { table: Table::Tenants, key: entry_key(entry.id), value };
        self.store.commit(&[Batch { checks: Vec::new(), writes: vec![write] }])?;
        let mut tables = self.read.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        let id = entry.id;
        let unknown = TenantError::Unknown(entry.name.clone());
        tables.put(entry);
        self.version.fetch_add(1, Ordering::SeqCst);
        tables.view(id).ok_or(unknown)
    }

    fn tables<T>(&self, look: impl FnOnce(&Tables) -> T) -> T {
        look(&self.read.read().unwrap_or_else(std::sync::PoisonError::into_inner))
    }
}

impl Tables {
    fn put(&mut self, entry: Entry) {
        for old in self.by_id.get(&entry.id).into_iter().flat_map(|before| &before.keys) {
            self.by_key.remove(&old.hash);
        }
        for key in &entry.keys {
            self.by_key.insert(key.hash, (entry.id, key.expires));
        }
        self.by_name.insert(entry.name.clone(), entry.id);
        self.names.insert(entry.id, entry.name.as_str().into());
        self.by_id.insert(entry.id, entry);
    }

    fn restore(&mut self, key: &[u8], value: &Bytes) -> Result<(), RecordError> {
        let damaged = || RecordError::Damaged("not a tenant's key".into());
        let (id, rest) = key.split_at_checked(4).ok_or_else(damaged)?;
        let id = TenantId(u32::from_be_bytes(id.try_into().map_err(|_| damaged())?));
        match rest.split_first() {
            None => {
                let entry: Entry = record::decode(value)?;
                self.put(entry);
            }
            Some((b's', secret)) => {
                let secret = String::from_utf8(secret.to_vec()).map_err(|_| damaged())?;
                self.secrets.insert((id, secret), value.clone());
            }
            Some(_) => return Err(damaged()),
        }
        Ok(())
    }

    fn view(&self, id: TenantId) -> Option<TenantView> {
        let entry = self.by_id.get(&id)?;
        let mut secrets: Vec<String> =
            self.secrets.keys().filter(|(tenant, _)| *tenant == id).map(|(_, s)| s.clone()).collect();
        secrets.sort();
        Some(TenantView {
            id,
            name: entry.name.clone(),
            enabled: entry.enabled,
            created: entry.created,
            keys: entry.keys.iter().map(Key::view).collect(),
            secrets,
        })
    }
}

impl Key {
    fn view(&self) -> KeyView {
        KeyView { id: self.id.clone(), created: self.created, expires: self.expires }
    }
}

fn identity(entry: &Entry) -> Identity {
    Identity { id: entry.id, name: entry.name.clone(), enabled: entry.enabled }
}

/// A tenant's record; its secrets' records come right after.
fn entry_key(id: TenantId) -> Vec<u8> {
    id.0.to_be_bytes().to_vec()
}

fn secret_key(id: TenantId, secret: &str) -> Vec<u8> {
    let mut key = entry_key(id);
    key.push(b's');
    key.extend(secret.as_bytes());
    key
}

#[cfg(test)]
mod tests {
    use flyball_core::Span;
    use flyball_store::{faulty::Faulty, memory::Memory};

    use super::*;

    const APPLICATION: &str = r#"
        [application]
        name = "a"
        [tenant.declared]
        weight = 200
        [function.f]
        component = "f.wasm"
        [[route]]
        path = "/"
        function = "f"
    "#;

    fn open(store: &Arc<Faulty<Memory>>) -> Tenants {
        let read = flyball_app::read("flyball.toml", APPLICATION).map_err(|wrong| wrong.to_string());
        Tenants::open(Arc::new(read.unwrap().application), store.clone()).unwrap()
    }

    fn name(text: &str) -> Name {
        Name::new(text).unwrap()
    }

    #[test]
    fn what_was_answered_is_there_after_a_restart() {
        let store = Arc::new(Faulty::new(Memory::new()));
        let tenants = open(&store);
        let id = tenants.create(name("acme")).unwrap().id;
        assert!(matches!(tenants.create(name("acme")), Err(TenantError::Exists(_))));
        let (key, view) = tenants.add_key(&name("acme"), None).unwrap();
        assert!(key.starts_with("fb_acme_") && key.len() == "fb_acme_".len() + 64);
        tenants.set_secret(&name("acme"), "token", Some("s3cret".into())).unwrap();
        tenants.set_enabled(&name("declared"), false).unwrap();
        let tenants = open(&store);
        let identity = Identity { id, name: name("acme"), enabled: true };
        assert_eq!(tenants.by_key(&key), Some(identity));
        assert_eq!(tenants.by_key(&key.to_uppercase()), None);
        assert_eq!(tenants.secret(id, "token"), Some("s3cret".into()));
        let shown = tenants.show(&name("acme")).unwrap();
        assert_eq!((shown.keys, shown.secrets), (vec![view.clone()], vec!["token".to_string()]));
        assert!(!tenants.by_name("declared").unwrap().enabled, "declaring it again does not enable it");
        assert_eq!(tenants.one(tenants.by_name("declared").unwrap().id).unwrap().limits.weight, 200);
        tenants.revoke_key(&name("acme"), &view.id).unwrap();
        tenants.set_secret(&name("acme"), "token", None).unwrap();
        let tenants = open(&store);
        assert_eq!((tenants.by_key(&key), tenants.secret(id, "token")), (None, None));
    }

    #[test]
    fn a_rotation_leaves_the_key_before_valid_for_its_grace() {
        let tenants = open(&Arc::new(Faulty::new(Memory::new())));
        let (first, _) = tenants.add_key(&name("declared"), None).unwrap();
        let later = wall_clock().after(Span::from_secs(3_600));
        let (second, _) = tenants.add_key(&name("declared"), Some(later)).unwrap();
        assert!(tenants.by_key(&first).is_some() && tenants.by_key(&second).is_some());
        let (third, _) = tenants.add_key(&name("declared"), Some(wall_clock())).unwrap();
        assert!(tenants.by_key(&first).is_none() && tenants.by_key(&second).is_none());
        assert!(tenants.by_key(&third).is_some());
        // Those that have expired make room; of valid ones there is an end.
        for _ in 1..KEYS_MAX {
            tenants.add_key(&name("declared"), None).unwrap();
        }
        let refused = tenants.add_key(&name("declared"), None);
        assert!(matches!(refused, Err(TenantError::TooMany { max: KEYS_MAX, .. })), "{refused:?}");
    }

    #[test]
    fn a_change_that_was_not_stored_is_not_made_and_bounds_hold() {
        let store = Arc::new(Faulty::new(Memory::new()));
        let tenants = open(&store);
        store.set_disk_full(true);
        assert!(matches!(tenants.create(name("acme")), Err(TenantError::Store(_))));
        assert!(matches!(tenants.add_key(&name("declared"), None), Err(TenantError::Store(_))));
        assert!(
            tenants.by_name("acme").is_none() && tenants.show(&name("declared")).unwrap().keys.is_empty()
        );
        store.set_disk_full(false);
        let set = |secret: &str, bytes| {
            tenants.set_secret(&name("declared"), secret, Some(Bytes::from(vec![0; bytes])))
        };
        assert!(matches!(set("large", SECRET_BYTES_MAX + 1), Err(TenantError::Invalid(_))));
        assert!(matches!(set("no/name", 1), Err(TenantError::Invalid(_))));
        for n in 0..SECRETS_MAX {
            set(&format!("s{n}"), 1).unwrap();
        }
        assert!(matches!(set("more", 1), Err(TenantError::TooMany { max: SECRETS_MAX, .. })));
        set("s0", SECRET_BYTES_MAX).unwrap();
    }
}
