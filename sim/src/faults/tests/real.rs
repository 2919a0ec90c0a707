//! Real functions under faults: a scripted one stands for the user's WebAssembly.

use std::collections::{BTreeMap, VecDeque};

use flyball_core::{
    Attributes, Body, EventId, Failure, FailureKind, KvKey, Span, Time, Usage,
    invocation::{GuestCall, Invocation, Reply, Step},
};

use super::*;
use crate::{
    guests::{
        Arrival, Arrived, GuestAnswer, GuestAsks, GuestEnd, GuestEvent, GuestPause, GuestRun, Guests,
        Platform, RunNo,
    },
    message::spread,
};

/// What its author did wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wrong {
    Nothing,
    /// Each run charges under a key of its own.
    KeyOfEachRun,
    /// What was tried before counts as a charge.
    CountsTries,
}

/// Charges each order at the bank, and counts the charges of each order.
#[derive(Debug)]
struct Charge {
    wrong: Wrong,
    running: BTreeMap<RunNo, Running>,
    asked: u64,
}

#[derive(Debug)]
struct Running {
    invocation: Invocation,
    left: VecDeque<GuestEvent>,
    events: usize,
    at: Option<GuestEvent>,
}

impl Charge {
    fn new(wrong: Wrong) -> Charge {
        Charge { wrong, running: BTreeMap::new(), asked: 0 }
    }

    fn next(&mut self, number: RunNo, now: Time) -> GuestPause {
        let running = self.running.get_mut(&number).unwrap();
        let Some(event) = running.left.pop_front() else {
            let Running { invocation, events, .. } = self.running.remove(&number).unwrap();
            let outcome = invocation.finish(events, Usage::default());
            return GuestPause::Ended(GuestEnd { at: now, outcome, status: None });
        };
        running.invocation.begin(event.envelope.clone());
        let of: EventId = event.envelope.id;
        running.at = Some(event);
        self.asked += 1;
        let own = if self.wrong == Wrong::KeyOfEachRun { self.asked } else { 0 };
        GuestPause::Asks(GuestAsks {
            at: now.after(Span::from_millis(1)),
            host: "bank.example".into(),
            port: 443,
            patience: Some(Span::from_secs(1)),
            of: Some(of),
            step: 1,
            key: of.spread(spread(own)),
        })
    }

    fn count(&mut self, number: RunNo, platform: Platform<'_>) {
        let running = self.running.get_mut(&number).unwrap();
        let event = running.at.as_ref().unwrap();
        let (namespace, key) = ("charges".to_string(), event.envelope.attributes.subject.clone().unwrap());
        let get = GuestCall::KvGet { namespace: namespace.clone(), key: key.clone() };
        let reply = match running.invocation.call(get) {
            Step::Host(call) => running.invocation.resume(platform(call)),
            Step::Reply(reply) => reply,
        };
        let Reply::Value(found) = reply else { panic!("{reply:?}") };
        let before: u32 = found.map_or(0, |body| std::str::from_utf8(&body).unwrap().parse().unwrap());
        let more = if self.wrong == Wrong::CountsTries { event.attempt } else { 1 };
        let value = Some(Body::from((before + more).to_string().into_bytes()));
        let set = GuestCall::KvSet { namespace, key, value };
        assert_eq!(running.invocation.call(set), Step::Reply(Reply::Done));
    }
}

impl Guests for Charge {
    fn arrives(&mut self, arrival: &Arrival<'_>) -> Option<Arrived> {
        let attributes = Attributes { kind: "order".into(), ..crate::plan::request_attributes() };
        let body = Body::from(arrival.number.to_string().into_bytes());
        (arrival.source == "orders").then_some(Arrived { attributes, body })
    }

    fn begin(&mut self, run: GuestRun<'_>, _: Platform<'_>) -> GuestPause {
        let (events, left) = (run.events.len(), run.events.into());
        let running = Running { invocation: run.invocation, left, events, at: None };
        self.running.insert(run.number, running);
        self.next(run.number, run.now)
    }

    fn go_on(&mut self, run: RunNo, now: Time, answer: GuestAnswer, platform: Platform<'_>) -> GuestPause {
        let verdict = match answer {
            GuestAnswer::Served => {
                self.count(run, platform);
                Ok(Body::default())
            }
            other => Err(Failure::new(FailureKind::Retry, format!("the bank: {other:?}"))),
        };
        self.running.get_mut(&run).unwrap().invocation.end(verdict);
        self.next(run, now)
    }

    fn stop(&mut self, run: RunNo) -> GuestEnd {
        let Running { mut invocation, events, .. } = self.running.remove(&run).unwrap();
        invocation.end(Err(Failure::new(FailureKind::Timeout, "")));
        GuestEnd { at: Time(0), outcome: invocation.finish(events, Usage::default()), status: None }
    }

    fn crashed(&mut self) {
        self.running.clear();
    }

    fn ended(&mut self, _: &mut dyn Iterator<Item = (&str, &KvKey, &Body)>) {
        self.running.clear();
    }
}

fn real(keyed: &str) -> Plan {
    plan_of(&format!(
        "{TRAFFIC}\n[real]\nfunctions = [\"charge\"]\nhosts = {{ \"bank.example\" = \"bank\" }}\nkeyed = {keyed}\n"
    ))
}

fn with(wrong: Wrong, keyed: &str, seeds: &Seeds) -> FaultsResult {
    run_with(&real(keyed), None, seeds, &mut Charge::new(wrong), &mut Quiet).unwrap()
}

/// The first failure, told.
fn failure(wrong: Wrong, keyed: &str) -> (FaultFailure, String) {
    for seed in 1..100 {
        let result = with(wrong, keyed, &seeds(seed, 1));
        if let Some(failure) = result.failures.first() {
            return (failure.clone(), told(&result));
        }
    }
    panic!("no seed found it");
}

#[test]
fn a_real_function_that_is_right_holds_under_every_seed() {
    let result = with(Wrong::Nothing, "[\"bank\"]", &seeds(1, 60));
    assert_eq!(result.seeds_failed, 0, "{}", told(&result));
    assert!(result.injected["crash"] > 10 && result.injected["duplicate"] > 10, "{:?}", result.injected);
}

#[test]
fn a_real_function_that_charges_under_another_key_each_time_is_found_and_made_small() {
    let (failure, told) = failure(Wrong::KeyOfEachRun, "[\"bank\"]");
    assert_eq!(failure.broken, "no order is charged twice");
    assert!(failure.schedule.len() <= 1, "{told}");
    let work = failure.trace.iter().filter(|step| step.what.contains("has done the work"));
    assert_eq!(work.count(), 2, "{told}");
    insta::assert_snapshot!(told);
}

#[test]
fn a_bank_that_heeds_no_keys_charges_twice() {
    let (failure, told) = failure(Wrong::Nothing, "[]");
    assert_eq!(failure.broken, "no order is charged twice", "{told}");
}

#[test]
fn what_a_real_function_writes_is_asserted() {
    let (failure, told) = failure(Wrong::CountsTries, "[\"bank\"]");
    assert_eq!(failure.broken, "one charge for each order", "{told}");
    assert!(failure.detail.contains("is 2, at most 1 may be"), "{told}");
}

#[test]
fn a_value_of_a_real_function_that_the_store_loses_is_found() {
    let plan = real("[\"bank\"]");
    let faults = stated("[[fault]]\nkind = \"crash\"\nat = \"10s\"\n");
    let mut charge = Charge::new(Wrong::Nothing);
    let cast: &mut Cast<'_> = &mut Some(&mut charge);
    let lost = (Planted::LosesValue, cast);
    let result = run_planted(&plan, Some(&faults), &seeds(1, 1), lost, &mut Quiet).unwrap();
    assert_eq!(result.failures[0].broken, CHECKS[4], "{}", told(&result));
}

#[test]
fn real_functions_under_faults_give_the_same_bytes_with_the_same_seed() {
    let result = |seed| with(Wrong::KeyOfEachRun, "[\"bank\"]", &seeds(seed, 3));
    let bytes = |result: &FaultsResult| serde_json::to_string(result).unwrap();
    let first = result(1);
    assert!(first.seeds_failed > 0, "one that fails is made small with the same bytes too");
    assert_eq!(bytes(&first), bytes(&result(1)));
    assert_ne!(bytes(&first), bytes(&result(4)));
}

#[test]
fn dependencies_that_heed_keys_and_namespaces_that_are_asserted_must_be_there() {
    let traffic = format!("{TRAFFIC}\n[real]\nfunctions = [\"charge\"]\nkeyed = [\"bonk\"]\n");
    let application = Arc::new(flyball_app::read("flyball.toml", SHOP).unwrap().application);
    let workload = workload::read("traffic.toml", &traffic).unwrap().workload;
    let problems = Plan::flyball(&application, &workload).unwrap_err();
    assert_eq!(
        problems[0].to_string(),
        "[real] keyed names \"bonk\", which is no dependency; did you mean bank?"
    );
}
