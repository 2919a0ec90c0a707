//! What functions log: the most recent lines of each tenant, in bounded memory. One tenant's lines never
//! push out another's.

use std::collections::{HashMap, VecDeque};

use flyball_core::{EventId, Name, TenantId, Time, invocation::LogLevel};

/// Lines kept of one tenant.
pub const LINES_PER_TENANT_MAX: usize = 1_000;
/// Bytes of lines kept of one tenant, while there are few.
const BYTES_PER_TENANT_MAX: usize = 256 << 10;
/// Bytes that tenants share when there are many: each keeps to its part from its next line on.
const BYTES_SHARED: usize = 64 << 20;
/// What a line takes besides its text, bytes.
const LINE_BYTES: usize = 128;

/// One line.
#[derive(Debug, Clone)]
pub struct LogLine {
    /// Grows with each line; where to go on from.
    pub cursor: u64,
    /// When it was logged.
    pub at: Time,
    /// By which function.
    pub function: Name,
    /// While handling which event.
    pub event: EventId,
    /// How bad it is.
    pub level: LogLevel,
    /// The line.
    pub message: String,
}

#[derive(Debug, Default)]
pub(super) struct Logs {
    next: u64,
    tenants: HashMap<TenantId, (VecDeque<LogLine>, usize)>,
}

impl Logs {
    pub(super) fn add(
        &mut self,
        at: Time,
        tenant: TenantId,
        function: Name,
        event: EventId,
        level: LogLevel,
        message: String,
    ) {
        self.next += 1;
        let share = (BYTES_SHARED / self.tenants.len().max(1)).min(BYTES_PER_TENANT_MAX);
        let (lines, bytes) = self.tenants.entry(tenant).or_default();
        *bytes += message.len() + LINE_BYTES;
        lines.push_back(LogLine { cursor: self.next, at, function, event, level, message });
        while lines.len() > LINES_PER_TENANT_MAX || (*bytes > share && lines.len() > 1) {
            if let Some(oldest) = lines.pop_front() {
                *bytes -= oldest.message.len() + LINE_BYTES;
            }
        }
    }

    pub(super) fn after(
        &self,
        tenant: TenantId,
        function: Option<&str>,
        after: u64,
        limit: usize,
    ) -> Vec<LogLine> {
        let lines = self.tenants.get(&tenant).into_iter().flat_map(|(lines, _)| lines);
        let wanted = |line: &&LogLine| {
            line.cursor > after && function.is_none_or(|function| line.function.as_str() == function)
        };
        let found: Vec<&LogLine> = lines.filter(wanted).collect();
        // From the start the newest are wanted, from a cursor the next.
        let skip = if after == 0 { found.len().saturating_sub(limit) } else { 0 };
        found.into_iter().skip(skip).take(limit).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_tenant_keeps_its_own_newest_lines() {
        let mut logs = Logs::default();
        let name = Name::new("f").unwrap();
        let add = |logs: &mut Logs, tenant, text: &str| {
            logs.add(Time(1), TenantId(tenant), name.clone(), EventId([0; 16]), LogLevel::Info, text.into());
        };
        add(&mut logs, 1, "quiet");
        for n in 0..2_000 {
            add(&mut logs, 2, &format!("loud {n}"));
        }
        assert_eq!(logs.after(TenantId(1), None, 0, 10).len(), 1);
        let newest = logs.after(TenantId(2), Some("f"), 0, 3);
        assert_eq!(
            newest.iter().map(|l| l.message.as_str()).collect::<Vec<_>>(),
            ["loud 1997", "loud 1998", "loud 1999"]
        );
        assert!(logs.after(TenantId(2), None, newest[2].cursor, 10).is_empty());
        assert_eq!(logs.after(TenantId(2), None, newest[0].cursor, 1)[0].message, "loud 1998");
    }

    #[test]
    fn many_tenants_share_what_there_is() {
        let mut logs = Logs::default();
        let name = Name::new("f").unwrap();
        for round in 0..100 {
            for tenant in 0..2_000 {
                let line = format!("{round} {}", "x".repeat(1_000));
                logs.add(Time(1), TenantId(tenant), name.clone(), EventId([0; 16]), LogLevel::Info, line);
            }
        }
        let kept: usize = logs.tenants.values().map(|(_, bytes)| bytes).sum();
        assert!(kept <= BYTES_SHARED && kept > BYTES_SHARED / 2, "{kept}");
        assert!(logs.tenants.values().all(|(lines, _)| lines.len() > 10));
    }
}
