//! Who holds how many connections.

use std::collections::BTreeMap;

use super::Refused;

/// An environment's number: the world's own, used once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EnvironmentNo(pub u64);

/// Connections. An environment holds its pool while it lives; work whose caller is gone holds the one that it came
/// by, and the environment needs another for its next call. A call from elsewhere, and any call where there are no
/// pools, has one for its time. More calls at once than an environment has connections share them.
#[derive(Debug, Clone)]
pub(super) struct Connections {
    most: Option<u32>,
    pool: u32,
    held: u32,
    environments: BTreeMap<EnvironmentNo, Pool>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Pool {
    idle: u32,
    busy: u32,
}

/// What a call goes by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Connection {
    /// One of an environment's.
    Of(EnvironmentNo),
    /// One that closes with the call.
    Own,
    /// One that others use too.
    Shared,
}

impl Connections {
    pub(super) const fn new(most: Option<u32>, pool: u32) -> Connections {
        Connections { most, pool, held: 0, environments: BTreeMap::new() }
    }

    pub(super) const fn held(&self) -> u32 {
        self.held
    }

    pub(super) fn connect(&mut self, environment: EnvironmentNo) -> Result<(), Refused> {
        if self.pool == 0 || self.environments.contains_key(&environment) {
            return Ok(());
        }
        let opened = self.open(self.pool);
        let idle = if opened.is_ok() { self.pool } else { 0 };
        self.environments.insert(environment, Pool { idle, busy: 0 });
        opened
    }

    pub(super) fn disconnect(&mut self, environment: EnvironmentNo) {
        if let Some(pool) = self.environments.remove(&environment) {
            self.held = self.held.saturating_sub(pool.idle);
        }
    }

    pub(super) fn take(&mut self, environment: Option<EnvironmentNo>) -> Result<Connection, Refused> {
        let known = environment.and_then(|number| Some((number, *self.environments.get(&number)?)));
        let Some((number, mut pool)) = known else {
            return self.open(1).map(|()| Connection::Own);
        };
        if pool.idle > 0 {
            pool.idle -= 1;
        } else if pool.busy >= self.pool {
            return Ok(Connection::Shared);
        } else {
            self.open(1)?;
        }
        pool.busy += 1;
        self.environments.insert(number, pool);
        Ok(Connection::Of(number))
    }

    /// The caller is gone, the work goes on.
    pub(super) fn orphan(&mut self, connection: Connection) -> Connection {
        match connection {
            Connection::Of(number) => {
                if let Some(pool) = self.environments.get_mut(&number) {
                    pool.busy = pool.busy.saturating_sub(1);
                }
                Connection::Own
            }
            other => other,
        }
    }

    pub(super) fn give_back(&mut self, connection: Connection) {
        match connection {
            Connection::Of(number) => match self.environments.get_mut(&number) {
                Some(pool) => {
                    pool.busy = pool.busy.saturating_sub(1);
                    pool.idle += 1;
                }
                None => self.held = self.held.saturating_sub(1),
            },
            Connection::Own => self.held = self.held.saturating_sub(1),
            Connection::Shared => {}
        }
    }

    fn open(&mut self, count: u32) -> Result<(), Refused> {
        let held = self.held.saturating_add(count);
        if self.most.is_some_and(|most| held > most) {
            return Err(Refused::NoConnection);
        }
        self.held = held;
        Ok(())
    }
}
