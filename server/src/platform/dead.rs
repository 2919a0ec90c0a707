//! Dead letters: listing, showing, putting back and throwing away.

use std::sync::Arc;

use flyball_core::{
    Answer, Body, Envelope, EventId, Input, Name, Refusal, Seq, TenantId,
    record::{self, Dead, FailedAttempt},
};
use flyball_store::{Row, Scan, Table};

use super::{LookUpError, Platform};

/// Dead letters that one page or one redrive looks at.
pub const PAGE_MAX: usize = 1_000;
/// Bytes of a body that are shown.
const SHOWN_BYTES_MAX: usize = 64 << 10;

/// Which dead letters.
#[derive(Debug, Clone, Default)]
pub struct DeadFilter {
    /// Of this tenant.
    pub tenant: Option<TenantId>,
    /// From this queue (an inbox is `@function`).
    pub queue: Option<Name>,
    /// This one event.
    pub id: Option<EventId>,
}

impl DeadFilter {
    fn takes(&self, dead: &Dead) -> bool {
        self.tenant.is_none_or(|tenant| dead.event.tenant == tenant)
            && self.queue.as_ref().is_none_or(|queue| dead.event.queue == *queue)
            && self.id.is_none_or(|id| dead.event.id == id)
    }
}

/// A dead letter in a list.
#[derive(Debug, Clone)]
pub struct DeadSummary {
    /// Its place, where the next page goes on.
    pub seq: Seq,
    /// What it was and died of.
    pub dead: Dead,
}

/// Some dead letters.
#[derive(Debug, Clone, Default)]
pub struct DeadPage {
    /// In the order of acceptance.
    pub letters: Vec<DeadSummary>,
    /// Where to go on; `None` at the end.
    pub next: Option<Seq>,
}

/// All of a dead letter.
#[derive(Debug, Clone)]
pub struct DeadShown {
    /// Its place.
    pub seq: Seq,
    /// What it was and died of.
    pub dead: Dead,
    /// Its envelope, with the whole way it came.
    pub envelope: Envelope,
    /// Its failed runs.
    pub history: Vec<FailedAttempt>,
    /// Its bytes, the first 64 KiB.
    pub body: Body,
    /// How many there are.
    pub body_bytes: usize,
}

/// What a redrive or a discarding did.
#[derive(Debug, Clone, Default)]
pub struct RedriveReport {
    /// Letters put back (or thrown away; or, on a dry run, that would be).
    pub moved: Vec<EventId>,
    /// Letters that could not be, with why.
    pub refused: Vec<(EventId, Refusal)>,
    /// Where to go on; `None` at the end.
    pub next: Option<Seq>,
}

impl Platform {
    /// Dead letters after a place, `limit` at most. Looks at [`PAGE_MAX`] letters at most: a page may have
    /// fewer than there are and still say where to go on.
    ///
    /// # Errors
    /// Where a record can't be read.
    pub fn dead_list(
        &self,
        filter: &DeadFilter,
        after: Option<Seq>,
        limit: usize,
    ) -> Result<DeadPage, LookUpError> {
        let after = after.map(record::key_of);
        let scan = Scan {
            table: Table::Dead,
            prefix: &[],
            after: after.as_deref(),
            rows_max: PAGE_MAX,
            bytes_max: 4 << 20,
        };
        let page = self.lane.store.scan(&scan)?;
        let mut letters = Vec::new();
        let mut last = None;
        let mut more = page.more;
        for Row { key, value, .. } in &page.rows {
            if letters.len() == limit {
                more = true;
                break;
            }
            let Some(seq) = record::seq_of(key) else { continue };
            last = Some(seq);
            let dead: Dead = match record::decode(value) {
                Ok(dead) => dead,
                Err(error) => {
                    // One that can't be read must not hide the others.
                    tracing::error!(%error, ?seq, "a dead letter can't be read and is left out");
                    continue;
                }
            };
            if filter.takes(&dead) {
                letters.push(DeadSummary { seq, dead });
            }
        }
        Ok(DeadPage { letters, next: last.filter(|_| more) })
    }

    /// All of one dead letter; `None` where there is none of that id.
    ///
    /// # Errors
    /// Where a record can't be read.
    pub fn dead_show(&self, id: EventId) -> Result<Option<DeadShown>, LookUpError> {
        let filter = DeadFilter { id: Some(id), ..DeadFilter::default() };
        let mut after = None;
        loop {
            let page = self.dead_list(&filter, after, 1)?;
            if let Some(found) = page.letters.into_iter().next() {
                return self.show(found).map(Some);
            }
            match page.next {
                Some(next) => after = Some(next),
                None => return Ok(None),
            }
        }
    }

    fn show(&self, found: DeadSummary) -> Result<DeadShown, LookUpError> {
        let DeadSummary { seq, dead } = found;
        let store = &self.lane.store;
        let key = record::key_of(seq);
        let gone = || record::RecordError::Damaged("the letter's event is not in the store".into());
        let envelope = record::decode(&store.get(Table::Events, &key)?.ok_or_else(gone)?)?;
        let body = store.get(Table::Bodies, &key)?.unwrap_or_default();
        let scan =
            Scan { table: Table::History, prefix: &key, after: None, rows_max: 100, bytes_max: 1 << 20 };
        let rows = store.scan(&scan)?.rows;
        let history = rows.iter().filter_map(|row| record::decode(&row.value).ok()).collect();
        let shown = body.get(..SHOWN_BYTES_MAX).unwrap_or(&body);
        Ok(DeadShown { seq, dead, envelope, history, body: Body::from(shown), body_bytes: body.len() })
    }

    /// Puts dead letters back where they came from, with all their attempts, `max` at most; on a dry run
    /// only says which. To go on, call again with `next`.
    ///
    /// # Errors
    /// Where a record can't be read.
    pub async fn redrive(
        self: &Arc<Self>,
        filter: &DeadFilter,
        after: Option<Seq>,
        max: usize,
        dry_run: bool,
    ) -> Result<RedriveReport, LookUpError> {
        self.operate_dead(filter, after, max, dry_run, Input::Redrive).await
    }

    /// Throws dead letters away, `max` at most; on a dry run only says which.
    ///
    /// # Errors
    /// Where a record can't be read.
    pub async fn discard(
        self: &Arc<Self>,
        filter: &DeadFilter,
        after: Option<Seq>,
        max: usize,
        dry_run: bool,
    ) -> Result<RedriveReport, LookUpError> {
        self.operate_dead(filter, after, max, dry_run, Input::Discard).await
    }

    /// One at a time, from reading the letters to the last commit: what another has moved meanwhile would be
    /// moved again by its record as it was read. On a task of its own, because a caller may go at any time.
    async fn operate_dead(
        self: &Arc<Self>,
        filter: &DeadFilter,
        after: Option<Seq>,
        max: usize,
        dry_run: bool,
        input: fn(flyball_core::CallerId, Seq, Box<Dead>) -> Input,
    ) -> Result<RedriveReport, LookUpError> {
        let (platform, filter) = (Arc::clone(self), filter.clone());
        let work = tokio::spawn(async move {
            let _alone = platform.dead.lock().await;
            platform.move_dead(&filter, after, max, dry_run, input).await
        });
        // Only a bug of ours breaks it off.
        work.await.unwrap_or(Err(LookUpError::Down))
    }

    async fn move_dead(
        &self,
        filter: &DeadFilter,
        after: Option<Seq>,
        max: usize,
        dry_run: bool,
        input: fn(flyball_core::CallerId, Seq, Box<Dead>) -> Input,
    ) -> Result<RedriveReport, LookUpError> {
        let page = self.dead_list(filter, after, max.min(PAGE_MAX))?;
        let mut report = RedriveReport { next: page.next, ..RedriveReport::default() };
        for DeadSummary { seq, dead } in page.letters {
            let id = dead.event.id;
            if dry_run {
                report.moved.push(id);
                continue;
            }
            match self.lane.operate(|caller| input(caller, seq, Box::new(dead))).await {
                Answer::Accepted { .. } => report.moved.push(id),
                Answer::Refused(refusal) => report.refused.push((id, refusal)),
                Answer::Done { .. } | Answer::Failed { .. } | Answer::LookAgain => {
                    report.refused.push((id, Refusal::Unavailable));
                }
            }
        }
        Ok(report)
    }
}
