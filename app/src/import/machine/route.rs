//! Ways through the states of one scope: a machine, a branch of a parallel, or the states of a map.

/// The states of a scope and what can follow each.
#[derive(Debug, Default)]
pub(super) struct Scope {
    /// What can follow each state, as indexes. An index past the end is passed over.
    pub next: Vec<Vec<usize>>,
    /// What each state waits, seconds.
    pub waits_s: Vec<i64>,
    /// Where it begins; `None`: not known.
    pub start: Option<usize>,
}

/// What [`Scope::survey`] finds.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Survey {
    /// States that can lead back to where the way has been.
    pub back: Vec<usize>,
    /// The sum of waits on the way that has most, each state once, seconds.
    pub waits_s: i64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Seen {
    Not,
    OnTheWay,
    Done,
}

impl Scope {
    /// Walks from the start, each state once.
    pub fn survey(&self) -> Survey {
        let count = self.next.len();
        let mut walk =
            Walk { scope: self, seen: vec![Seen::Not; count], longest: vec![0; count], back: Vec::new() };
        let starts = match self.start {
            Some(start) => start..start.saturating_add(1).min(count),
            None => 0..count,
        };
        let mut waits_s = 0;
        for start in starts {
            walk.from(start);
            waits_s = waits_s.max(walk.longest.get(start).copied().unwrap_or(0));
        }
        walk.back.sort_unstable();
        walk.back.dedup();
        Survey { back: walk.back, waits_s }
    }
}

struct Walk<'s> {
    scope: &'s Scope,
    seen: Vec<Seen>,
    longest: Vec<i64>,
    back: Vec<usize>,
}

impl Walk<'_> {
    fn seen(&self, state: usize) -> Seen {
        self.seen.get(state).copied().unwrap_or(Seen::Done)
    }

    fn mark(&mut self, state: usize, seen: Seen) {
        if let Some(slot) = self.seen.get_mut(state) {
            *slot = seen;
        }
    }

    /// Depth first with a stack of its own: a chain of states may be as long as the file.
    fn from(&mut self, start: usize) {
        if self.seen(start) != Seen::Not {
            return;
        }
        self.mark(start, Seen::OnTheWay);
        let mut stack = vec![(start, 0_usize)];
        while let Some((state, turn)) = stack.last_mut() {
            let state = *state;
            let next = self.scope.next.get(state).and_then(|next| next.get(*turn)).copied();
            *turn += 1;
            match next.map(|next| (next, self.seen(next))) {
                Some((next, Seen::Not)) => {
                    self.mark(next, Seen::OnTheWay);
                    stack.push((next, 0));
                }
                Some((_, Seen::OnTheWay)) => self.back.push(state),
                Some((_, Seen::Done)) => {}
                None => {
                    self.finish(state);
                    stack.pop();
                }
            }
        }
    }

    fn finish(&mut self, state: usize) {
        let followers = self.scope.next.get(state).into_iter().flatten();
        // What is still on the way leads back: its waits are not counted twice.
        let done = followers.filter(|next| self.seen(**next) == Seen::Done);
        let behind = done.filter_map(|next| self.longest.get(*next)).max().copied().unwrap_or(0);
        let own = self.scope.waits_s.get(state).copied().unwrap_or(0);
        if let Some(longest) = self.longest.get_mut(state) {
            *longest = own.saturating_add(behind);
        }
        self.mark(state, Seen::Done);
    }
}
