//! A step of a function: which keys go with which act.

use std::borrow::Cow;

use flyball_core::Span;
use schemars::{JsonSchema, Schema, SchemaGenerator};

use super::{
    STEPS_DEEP_MAX,
    lasting::LastingValue,
    values::{AddKey, Bytes, Chance, Flag, Lapse, Per, Repeats, Retries, Stretch, Words},
};
use crate::{
    file::{
        reader::{Reader, Shape, Value},
        shape::table,
        values::Reference,
    },
    workload::{Act, Add, AddOf, Call, Emit, Retry, Step},
};

table! {
    /// A step: one of `compute`, `call`, `emit`, `parallel`, `add`, and what belongs to it.
    StepTable {
        /// Uses the processor, or sleeps, so long.
        compute = "compute": Option<LastingValue>,
        /// Asks a dependency or another function, and waits.
        call = "call": Option<Words>,
        /// Sends events on, to a node of the design.
        emit = "emit": Option<Words>,
        /// Steps that run side by side; all must end.
        parallel = "parallel": Option<Vec<StepValue>>,
        /// Adds one to a value of this namespace of key-value data.
        add = "add": Option<Reference>,
        /// Of `add`: "request": the value of the request which this came of; "tenant": the tenant's. Default "request".
        key = "key": Option<AddKey>,
        /// Of `call`: how many, one after the other; 1 to 10,000. Default 1.
        times = "times": Option<Repeats>,
        /// Of `call`: the function waits so long. Default: as long as it runs.
        timeout = "timeout": Option<Lapse>,
        /// Of `call`: tries after the first; 0 to 100. Default 0.
        retries = "retries": Option<Retries>,
        /// Of `call`: the wait before the first retry; it doubles each time. Default 100ms.
        retry_base = "retry_base": Option<Stretch>,
        /// Of `call`: the wait is never longer. Default 20s.
        retry_max = "retry_max": Option<Stretch>,
        /// Of `call`: the wait is drawn from zero to what is said. Default true.
        jitter = "jitter": Option<Flag>,
        /// Of `call`: carries a key derived from the item, so that the second of two calls does no work. Default
        /// false.
        keyed = "keyed": Option<Flag>,
        /// Of `call`: the run goes on though it failed. Default false.
        optional = "optional": Option<Flag>,
        /// Of `emit`: how many events; 1 to 10,000. Default 1.
        count = "count": Option<Repeats>,
        /// Of `emit`: the size of each. Default: as large as what came.
        event_bytes = "event_bytes": Option<Bytes>,
        /// Of `emit`: each waits so long before it can be received. Default 0s.
        delay = "delay": Option<Stretch>,
        /// "item": once for each item of the batch. Default "run".
        per = "per": Option<Per>,
        /// How likely it is done at all; more than 0, to 1. Default 1.
        chance = "chance": Option<Chance>,
    }
}

/// A step as it is meant.
#[derive(Debug, Clone)]
pub(crate) struct StepValue(pub Step);

impl JsonSchema for StepValue {
    fn schema_name() -> Cow<'static, str> {
        "Step".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        StepTable::json_schema(generator)
    }
}

impl Shape for StepValue {
    fn read(value: &Value<'_>, reader: &mut Reader) -> Option<Self> {
        let deep = reader.depth_of("parallel");
        if deep > STEPS_DEEP_MAX {
            let message = format!("this step is {deep} deep in `parallel`; at most {STEPS_DEEP_MAX}");
            reader.bad(value, message, "make the inner steps a function of their own");
            return None;
        }
        let before = reader.found_so_far();
        let table = StepTable::read(value, reader)?;
        let strange = strange_keys(&table);
        let per_item = table.per.is_some_and(|per| per.0);
        let chance = table.chance.map_or(1.0, |chance| chance.0);
        match act(table) {
            Some(act) if strange.is_empty() => Some(StepValue(Step { act, per_item, chance })),
            found => {
                if reader.found_so_far() == before {
                    let message = match found {
                        Some(_) => format!("{} has no meaning in this step", strange.join(", ")),
                        None => "a step is one of compute, call, emit, parallel, add".to_string(),
                    };
                    reader.bad(value, message, "write each act as a step of its own, with its own keys");
                }
                None
            }
        }
    }
}

/// Keys that belong to another act than the step's.
fn strange_keys(table: &StepTable) -> Vec<&'static str> {
    let of_call = [
        ("`times`", table.times.is_some()),
        ("`timeout`", table.timeout.is_some()),
        ("`retries`", table.retries.is_some()),
        ("`retry_base`", table.retry_base.is_some()),
        ("`retry_max`", table.retry_max.is_some()),
        ("`jitter`", table.jitter.is_some()),
        ("`keyed`", table.keyed.is_some()),
        ("`optional`", table.optional.is_some()),
    ];
    let of_emit = [
        ("`count`", table.count.is_some()),
        ("`event_bytes`", table.event_bytes.is_some()),
        ("`delay`", table.delay.is_some()),
    ];
    let of_add = [("`key`", table.key.is_some())];
    let adds = of_add.into_iter().filter(|_| table.add.is_none());
    let calls = of_call.into_iter().filter(|_| table.call.is_none());
    let emits = of_emit.into_iter().filter(|_| table.emit.is_none());
    calls.chain(emits).chain(adds).filter(|(_, is)| *is).map(|(name, _)| name).collect()
}

fn act(table: StepTable) -> Option<Act> {
    let retry = retry(table.retries, table.retry_base, table.retry_max, table.jitter, CALL_RETRY_BASE);
    let add = |to: Reference| Act::Add(Add { to: to.0, of: table.key.map_or(AddOf::default(), |key| key.0) });
    match (table.compute, table.call, table.emit, table.parallel, table.add) {
        (Some(lasting), None, None, None, None) => Some(Act::Compute(lasting.0)),
        (None, Some(to), None, None, None) => Some(Act::Call(Call {
            to: to.0,
            times: table.times.map_or(1, |times| times.0),
            timeout: table.timeout.map(|timeout| timeout.0),
            retry,
            keyed: table.keyed.is_some_and(|flag| flag.0),
            optional: table.optional.is_some_and(|flag| flag.0),
        })),
        (None, None, Some(to), None, None) => Some(Act::Emit(Emit {
            to: to.0,
            count: table.count.map_or(1, |count| count.0),
            event_bytes: table.event_bytes.map(|bytes| bytes.0),
            delay: table.delay.map_or(Span::ZERO, |delay| delay.0),
        })),
        (None, None, None, None, Some(to)) => Some(add(to)),
        (None, None, None, Some(steps), None) if !steps.is_empty() => {
            Some(Act::Parallel(steps.into_iter().map(|step| step.0).collect()))
        }
        _ => None,
    }
}

/// A function's wait before it calls again, where the file says none.
const CALL_RETRY_BASE: Span = Span::from_millis(100);
/// The longest wait, where the file says none.
pub(crate) const RETRY_MAX: Span = Span::from_secs(20);

/// Retries from the keys that speak of them.
pub(crate) fn retry(
    times: Option<Retries>,
    base: Option<Stretch>,
    max: Option<Stretch>,
    jitter: Option<Flag>,
    base_default: Span,
) -> Retry {
    let times = times.map_or(0, |times| times.0);
    if times == 0 {
        return Retry::default();
    }
    let base = base.map_or(base_default, |base| base.0);
    let max = max.map_or(RETRY_MAX.max(base), |max| max.0);
    Retry { times, base, max, jitter: jitter.is_none_or(|flag| flag.0) }
}
