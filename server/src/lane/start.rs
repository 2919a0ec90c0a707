//! Starting an invocation: what it is given is read, the executor runs it, and how it ended goes to the
//! engine.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use flyball_core::{
    CallerId, Envelope, EventId, Failure, FailureKind, Input, InvocationId, Lineage, Name, Outcome, Start,
    StartedEvent, TenantId, Time, Usage, Work, invocation::Invocation, record,
};
use flyball_host::{Delivery, Finished, FirstSlice, HttpCall, wire};
use flyball_store::Table;

use super::{Caller, Lane, locked};
use crate::executor::Job;

impl Lane {
    /// Starts an invocation. If it can't be started, that is how it ended: for the engine to hear.
    pub(super) fn start(
        self: &Arc<Self>,
        generation: u64,
        start: Start,
        first_slice: FirstSlice,
    ) -> Option<Input> {
        let invocation = start.invocation;
        let events = match &start.work {
            Work::Call { .. } => 1,
            Work::Events(events) => events.len(),
        };
        let failure = self.try_start(generation, start, first_slice).err()?;
        Some(Input::Finished(invocation, failed(&failure, events)))
    }

    fn try_start(
        self: &Arc<Self>,
        generation: u64,
        start: Start,
        first_slice: FirstSlice,
    ) -> Result<(), Failure> {
        let Start { invocation, function, tenant, work, deadline } = start;
        let not_started = |why: String| Failure::new(FailureKind::NotStarted, why);
        let state = Invocation::new(self.application.clone(), &function, tenant)
            .ok_or_else(|| not_started(format!("there is no function {function}")))?;
        let name = self.tenants.name_of(tenant).ok_or_else(|| not_started("its tenant is unknown".into()))?;
        let caller = match &work {
            Work::Call { caller, .. } => Some(*caller),
            Work::Events(_) => None,
        };
        let (input, unreadable) = match work {
            Work::Call { caller, id, accepted } => {
                (self.call_input(&function, tenant, caller, id, accepted)?, Vec::new())
            }
            Work::Events(events) => self.events_input(&function, tenant, &events)?,
        };
        let http = matches!(input, flyball_host::Input::Http(_));
        let lane = Arc::clone(self);
        let left = deadline.since(self.now());
        self.executor.start(Job {
            function,
            tenant: name,
            invocation: state,
            input,
            deadline: Instant::now() + Duration::from_micros(left.0),
            response_bytes_max: self.application.limits.request_bytes_max,
            backend: self.backend.clone(),
            first_slice,
            done: Box::new(move |mut finished| {
                // They have their places among the others again.
                for (index, failure) in unreadable {
                    let result = flyball_core::EventResult { verdict: Err(failure), emits: Vec::new() };
                    let results = &mut finished.outcome.results;
                    results.insert(index.min(results.len()), result);
                }
                lane.ended(generation, invocation, caller, http, finished);
            }),
        });
        Ok(())
    }

    fn call_input(
        &self,
        function: &Name,
        tenant: TenantId,
        caller: CallerId,
        id: EventId,
        accepted: Time,
    ) -> Result<flyball_host::Input, Failure> {
        // What reads key-value data may meet a conflict, and then starts again.
        let again = self.application.functions.get(function).is_some_and(|f| !f.grants.kv.is_empty());
        let taken = |caller: &mut Caller| match again {
            true => caller.request.clone(),
            false => caller.request.take(),
        };
        let request = locked(&self.callers).get_mut(&caller).and_then(taken);
        let gone = || Failure::new(FailureKind::NotStarted, "its caller has gone");
        let request = request.ok_or_else(gone)?;
        let envelope = Envelope {
            id,
            tenant,
            target: Name::inbox_of(function),
            attributes: wire::attributes(&request),
            time: accepted,
            lineage: Lineage::edge(id),
        };
        Ok(flyball_host::Input::Http(Box::new(HttpCall { envelope, request, https: false })))
    }

    /// What a run of these events is given, and those that can't be read, by their place: they fail alone.
    fn events_input(
        &self,
        function: &Name,
        tenant: TenantId,
        events: &[StartedEvent],
    ) -> Result<(flyball_host::Input, Vec<(usize, Failure)>), Failure> {
        let inbox = Name::inbox_of(function);
        let mut deliveries = Vec::with_capacity(events.len());
        let mut failures = Vec::new();
        for (index, event) in events.iter().enumerate() {
            let (envelope, body) = match self.read_event(tenant, event) {
                Ok(read) => read,
                Err(failure) => {
                    tracing::error!(event = %event.id, %failure, "an event can't be read");
                    failures.push((index, failure));
                    continue;
                }
            };
            // Only what was sent to the inbox itself is a request: an event that says so of itself is not.
            if events.len() == 1
                && envelope.target == inbox
                && let Some(request) = wire::request(&envelope.attributes, &body)
            {
                let request = request.map_err(|error| unreadable(event.id, &error))?;
                let call = HttpCall { envelope, request, https: false };
                return Ok((flyball_host::Input::Http(Box::new(call)), failures));
            }
            let body = flyball_core::Body::from(&body[..]);
            deliveries.push(Delivery { envelope, body, attempt: u32::from(event.attempt) });
        }
        match (deliveries.is_empty(), failures.first()) {
            (true, Some((_, failure))) => Err(failure.clone()),
            _ => Ok((flyball_host::Input::Events(deliveries), failures)),
        }
    }

    fn read_event(&self, tenant: TenantId, event: &StartedEvent) -> Result<(Envelope, Bytes), Failure> {
        let key = record::key_of(event.seq);
        let read = |table| match self.store.get(table, &key) {
            Ok(Some(bytes)) => Ok(bytes),
            Ok(None) => Err(unreadable(event.id, "it is not in the store")),
            Err(error) => Err(unreadable(event.id, &error.to_string())),
        };
        let envelope: Envelope = record::decode(&read(Table::Events)?)
            .map_err(|error| unreadable(event.id, &error.to_string()))?;
        if (envelope.id, envelope.tenant) != (event.id, tenant) {
            return Err(unreadable(event.id, "its envelope is another event's or tenant's"));
        }
        Ok((envelope, read(Table::Bodies)?))
    }

    /// An executor is done with a run.
    fn ended(
        self: &Arc<Self>,
        generation: u64,
        invocation: InvocationId,
        caller: Option<CallerId>,
        http: bool,
        finished: Finished,
    ) {
        let Finished { mut outcome, response } = finished;
        if let Some(response) = response {
            match caller {
                // Nothing of it is written: it waits here for the answer.
                Some(caller) => {
                    if let Some(caller) = locked(&self.callers).get_mut(&caller) {
                        caller.response = Some(response);
                    }
                }
                None if http => {
                    if let Some(result) = outcome.results.first_mut()
                        && result.verdict.is_ok()
                    {
                        result.verdict = Ok(wire::encode_response(&response));
                    }
                }
                None => {}
            }
        }
        self.finished(generation, invocation, outcome);
    }
}

fn unreadable(id: EventId, why: &str) -> Failure {
    Failure::new(FailureKind::NotStarted, format!("event {id} can't be read: {why}"))
}

fn failed(failure: &Failure, events: usize) -> Outcome {
    let result = flyball_core::EventResult { verdict: Err(failure.clone()), emits: Vec::new() };
    Outcome { results: vec![result; events], reads: Vec::new(), writes: Vec::new(), usage: Usage::default() }
}
