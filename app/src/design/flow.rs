//! What can follow what in a state machine.

use crate::document::Span;

/// The states of a scope, and what can follow each: a whole machine, a branch of a parallel, or the states that a map
/// runs for each item.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Flow {
    /// Its states, in the order of the file.
    pub states: Vec<FlowState>,
    /// Where it begins; `None`: not known.
    pub start: Option<usize>,
}

/// A state.
#[derive(Debug, Clone, PartialEq)]
pub struct FlowState {
    /// Its name, with those of the maps and parallels around it before it: [`Task::state`](super::Task::state).
    pub name: String,
    /// Where it stands.
    pub span: Span,
    /// What can follow it, as indexes into the states of its flow. An index past the end is passed over.
    pub next: Vec<usize>,
    /// What a `Wait` waits, seconds, where that is a number.
    pub waits_s: i64,
    /// How many events of history one turn of it adds at least.
    pub events_min: i64,
    /// The branches of a parallel, or what a map runs for each item.
    pub inside: Vec<Flow>,
}

/// The way through a flow on which most adds up.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Longest<'f> {
    /// The sum.
    pub sum: i64,
    /// What adds to it, in its order.
    pub states: Vec<&'f str>,
}

/// A way that comes back to where it began.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Round<'f> {
    /// The states of it, in their order.
    pub states: Vec<&'f FlowState>,
}

/// How many rounds are kept of one flow: the others are in [`Survey::back`] alone.
const ROUNDS_MAX: usize = 16;

/// What a walk through a flow finds.
#[derive(Debug, Default)]
struct Survey {
    /// States that can lead back to where the way has been.
    back: Vec<usize>,
    /// Ways that come back, as indexes.
    rounds: Vec<Vec<usize>>,
    /// The sum on the longest way from each state on.
    longest: Vec<i64>,
    /// What follows each state on its longest way.
    follows: Vec<Option<usize>>,
    /// Where the longest way begins.
    start: Option<usize>,
}

impl Flow {
    /// The longest way, each state once, where `own` says what a state adds by itself. Of the branches of a parallel
    /// the longest counts, and a map runs for one item.
    pub fn longest(&self, own: &dyn Fn(&FlowState) -> i64) -> Longest<'_> {
        let inside: Vec<Longest<'_>> = self.states.iter().map(|state| inside_of(state, own)).collect();
        let each: Vec<i64> = inside.iter().map(|inside| inside.sum).collect();
        let survey = self.survey(&each);
        let mut at = survey.start;
        let mut way = Longest {
            sum: at.and_then(|at| survey.longest.get(at)).copied().unwrap_or(0),
            states: Vec::new(),
        };
        // Each state once: a walk ends.
        while let Some(state) = at {
            way.states.extend(inside.get(state).into_iter().flat_map(|inside| inside.states.iter().copied()));
            at = survey.follows.get(state).copied().flatten();
        }
        way
    }

    /// States that can lead back to where the way has been, with those inside of others.
    pub fn loops(&self) -> Vec<&str> {
        let mut all = Vec::new();
        self.each(&mut |flow| {
            let back = flow.survey(&[]).back;
            all.extend(back.iter().filter_map(|at| flow.states.get(*at)).map(|state| state.name.as_str()));
        });
        all
    }

    /// Ways that come back to where they began, with those inside of others; of one flow some, where it has many.
    pub fn rounds(&self) -> Vec<Round<'_>> {
        let mut all = Vec::new();
        self.each(&mut |flow| {
            for round in flow.survey(&[]).rounds {
                let states = round.iter().filter_map(|at| flow.states.get(*at)).collect();
                all.push(Round { states });
            }
        });
        all
    }

    /// This flow and all inside of it. As deep as files may be nested, which is little.
    fn each<'f>(&'f self, visit: &mut impl FnMut(&'f Flow)) {
        visit(self);
        for inside in self.states.iter().flat_map(|state| &state.inside) {
            inside.each(visit);
        }
    }

    /// Walks from the start, each state once. `own` is what each state adds.
    fn survey(&self, own: &[i64]) -> Survey {
        let count = self.states.len();
        let mut walk = Walk {
            flow: self,
            own,
            seen: vec![Seen::Not; count],
            found: Survey { longest: vec![0; count], follows: vec![None; count], ..Survey::default() },
        };
        let starts = match self.start {
            Some(start) => start..start.saturating_add(1).min(count),
            None => 0..count,
        };
        for start in starts {
            walk.from(start);
            let longest = |at: usize| walk.found.longest.get(at).copied().unwrap_or(0);
            if walk.found.start.is_none_or(|best| longest(best) < longest(start)) {
                walk.found.start = Some(start);
            }
        }
        walk.found.back.sort_unstable();
        walk.found.back.dedup();
        walk.found
    }
}

impl Round<'_> {
    /// How many events of history a round adds at least.
    pub fn events_min(&self) -> i64 {
        self.states.iter().fold(0, |sum, state| sum.saturating_add(state.events_min))
    }

    /// What the `Wait`s of a round wait, seconds.
    pub fn waits_s(&self) -> i64 {
        self.states.iter().fold(0, |sum, state| sum.saturating_add(state.waits_s))
    }
}

/// What a state and the longest of what is inside of it add.
fn inside_of<'f>(state: &'f FlowState, own: &dyn Fn(&FlowState) -> i64) -> Longest<'f> {
    let inside = state.inside.iter().map(|flow| flow.longest(own)).max_by_key(|inside| inside.sum);
    let mut way = inside.unwrap_or_default();
    let adds = own(state);
    if adds > 0 {
        way.sum = way.sum.saturating_add(adds);
        way.states.insert(0, state.name.as_str());
    }
    way
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Seen {
    Not,
    OnTheWay,
    Done,
}

struct Walk<'f> {
    flow: &'f Flow,
    own: &'f [i64],
    seen: Vec<Seen>,
    found: Survey,
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
            let next = self.flow.states.get(state).and_then(|state| state.next.get(*turn)).copied();
            *turn += 1;
            match next.map(|next| (next, self.seen(next))) {
                Some((next, Seen::Not)) => {
                    self.mark(next, Seen::OnTheWay);
                    stack.push((next, 0));
                }
                Some((next, Seen::OnTheWay)) => {
                    self.found.back.push(state);
                    if self.found.rounds.len() < ROUNDS_MAX {
                        let way = stack.iter().map(|(state, _)| *state).skip_while(|state| *state != next);
                        self.found.rounds.push(way.collect());
                    }
                }
                Some((_, Seen::Done)) => {}
                None => {
                    self.finish(state);
                    stack.pop();
                }
            }
        }
    }

    fn finish(&mut self, state: usize) {
        let followers = self.flow.states.get(state).map(|state| state.next.as_slice()).unwrap_or_default();
        // What is still on the way leads back: it is not counted twice.
        let done = followers.iter().copied().filter(|next| self.seen.get(*next) == Some(&Seen::Done));
        let longest = |next: &usize| self.found.longest.get(*next).copied().unwrap_or(0);
        let behind = done.max_by_key(longest);
        let sum = behind.as_ref().map_or(0, longest);
        let own = self.own.get(state).copied().unwrap_or(0);
        if let Some(longest) = self.found.longest.get_mut(state) {
            *longest = own.saturating_add(sum);
        }
        if let Some(follows) = self.found.follows.get_mut(state) {
            *follows = behind;
        }
        self.mark(state, Seen::Done);
    }
}

#[cfg(test)]
mod tests;
