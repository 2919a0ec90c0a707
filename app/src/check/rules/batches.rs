//! Batches of queues and streams.

use crate::{
    check::{
        About, Draft, Fix, Found, Look, Quantity, Rule, Severity, fix,
        load::number,
        rules::{consumers::receives, pool::named},
        words,
    },
    design::{Edge, EdgeId, EventSource, Kind, Queue, Setting, Stream, Via},
    profile::Limit,
};

/// A batching window's key: CloudFormation's and the Serverless Framework's.
const WINDOW: [(&str, &str); 2] = [("MaximumBatchingWindowInSeconds", "1"), ("maximumBatchingWindow", "1")];

/// Partial failures, as the mapping and as `serverless.yml` have them.
const REPORTED: [(&str, &str); 2] = [
    ("FunctionResponseTypes", "[\"ReportBatchItemFailures\"]"),
    ("functionResponseType", "ReportBatchItemFailures"),
];

/// FB0023: a batch that no event source may have without a window.
pub(super) struct Window;

/// FB0024: a batch that the stated traffic does not fill.
pub(super) struct Fill;

/// FB0025: one bad message takes its whole batch along.
pub(super) struct Partial;

/// FB0031: a record that can't be processed blocks its shard.
pub(super) struct Poison;

/// Deliveries up to which good messages die with a bad one before they are likely to be in another batch.
const FEW_RECEIVES: i64 = 3;

/// A batch that is meant to be large: below, nobody waits for it to fill.
const LARGE_BATCH: i64 = 100;

type FromQueue<'a> = (EdgeId, &'a Edge, &'a EventSource, &'a Queue);

fn queues<'a>(look: &Look<'a>) -> impl Iterator<Item = FromQueue<'a>> {
    let design = look.design;
    design.edges().filter_map(move |(id, edge)| {
        let Via::EventSource(source) = &edge.via else { return None };
        let Kind::Queue(queue) = &design.node(edge.from).kind else { return None };
        (source.enabled.or(true) == Some(true)).then_some((id, edge, source.as_ref(), queue))
    })
}

impl Rule for Window {
    fn about(&self) -> &'static About {
        &About {
            code: "FB0023",
            title: "batch above 10 without a window",
            severity: Severity::Error,
            since: 1,
            page: include_str!("../../../../docs/rules/FB0023.md"),
        }
    }

    fn check(&self, look: &Look<'_>, found: &mut Found<'_>) {
        if !look.is_aws() {
            return;
        }
        for (id, edge) in look.design.edges() {
            let Via::EventSource(source) = &edge.via else { continue };
            let Kind::Queue(queue) = &look.design.node(edge.from).kind else { continue };
            if queue.fifo {
                fifo_batch(look, id, edge, source, found);
            } else {
                unwindowed(look, id, edge, source, found);
            }
        }
    }
}

fn unwindowed(look: &Look<'_>, id: EdgeId, edge: &Edge, source: &EventSource, found: &mut Found<'_>) {
    let Setting::Stated(batch, span) = source.batch_max else { return };
    let Some(most) = look.profile.whole(Limit::EventSourceUnwindowedBatchMax) else { return };
    if batch <= most || source.window_s.or(0) != Some(0) {
        return;
    }
    let [from, to] = [edge.from, edge.to].map(|id| &look.design.node(id).name);
    let message = format!(
        "AWS rejects the event source: a batch of {batch} from {from} to {to} needs a batching window of at \
         least 1 s, and there is none"
    );
    let help = format!("set MaximumBatchingWindowInSeconds to 1 or more, or BatchSize to {most} or less");
    let mut draft = Draft::new(edge.to, span, message, help).rests_on([id]).path(look.hop_pair(
        edge,
        String::new(),
        format!("batches of {batch}"),
    ));
    if let Some(limit) = look.limit(Limit::EventSourceUnwindowedBatchMax, "a batch without a window") {
        draft = draft.meets(limit, Quantity::stated("the batch", number(batch), "messages"));
    }
    let files = &look.design.files;
    let edit = match &source.window_s {
        Setting::Stated(stated, window) => fix::number(files, *window, *stated, 1),
        Setting::Default => fix::beside(files, span, WINDOW),
        Setting::Unknown { .. } => None,
    };
    if let Some(edit) = edit {
        // Messages wait for the window: that can show.
        let title = "MaximumBatchingWindowInSeconds: 1".to_string();
        draft = draft.fix(Fix { title, safe: false, edits: vec![edit] });
    }
    found.add(draft);
}

fn fifo_batch(look: &Look<'_>, id: EdgeId, edge: &Edge, source: &EventSource, found: &mut Found<'_>) {
    let [from, to] = [edge.from, edge.to].map(|id| &look.design.node(id).name);
    if let (Setting::Stated(batch, span), Some(most)) =
        (&source.batch_max, look.profile.whole(Limit::EventSourceFifoBatchMax))
        && *batch > most
    {
        let message = format!(
            "AWS rejects the event source: a batch from the FIFO queue {from} to {to} has at most {most} \
             messages, not {batch}"
        );
        let help = format!("set BatchSize to {most} or less");
        let mut draft = Draft::new(edge.to, *span, message, help).rests_on([id]);
        if let Some(limit) = look.limit(Limit::EventSourceFifoBatchMax, "a batch of a FIFO queue") {
            draft = draft.meets(limit, Quantity::stated("the batch", number(*batch), "messages"));
        }
        found.add(draft);
    }
    if let Setting::Stated(window, span) = source.window_s
        && window > 0
    {
        let message = format!(
            "AWS rejects the event source: {from} is a FIFO queue, and those have no batching window \
             ({window} s)"
        );
        let help = "leave MaximumBatchingWindowInSeconds out".into();
        found.add(Draft::new(edge.to, span, message, help).rests_on([id]));
    }
}

impl Rule for Fill {
    fn about(&self) -> &'static About {
        &About {
            code: "FB0024",
            title: "batch that can't fill",
            severity: Severity::Warning,
            since: 1,
            page: include_str!("../../../../docs/rules/FB0024.md"),
        }
    }

    fn check(&self, look: &Look<'_>, found: &mut Found<'_>) {
        for (id, edge, source, _) in queues(look) {
            let Setting::Stated(batch, span) = source.batch_max else { continue };
            let rate = look.traffic(edge.from).and_then(|traffic| traffic.peak_per_s);
            let (Some(rate), Some(window)) = (rate, source.window_s.or(0)) else { continue };
            let comes = (rate * number(window)).max(1.0);
            if batch < LARGE_BATCH || window < 1 || comes * 2.0 > number(batch) {
                continue;
            }
            let [from, to] = [edge.from, edge.to].map(|id| &look.design.node(id).name);
            let [rate_said, comes_said, batch_said] =
                [rate, comes.round(), number(batch)].map(words::decimal);
            let message = format!(
                "batches of {batch_said} from {from} to {to} never fill: in a window of {window} s at \
                 {rate_said}/s about {comes_said} messages come, so that {to} runs with these"
            );
            let needed = words::decimal((number(batch) / rate).ceil().min(300.0));
            let help =
                format!("set MaximumBatchingWindowInSeconds to {needed}, or BatchSize to what does come");
            found.add(
                Draft::new(edge.to, span, message, help)
                    .rests_on([id])
                    .meets(
                        Quantity::stated("messages in a window", comes, "messages"),
                        Quantity::stated("the batch", number(batch), "messages"),
                    )
                    .assuming("messages come evenly, at the stated rate"),
            );
        }
    }
}

impl Rule for Partial {
    fn about(&self) -> &'static About {
        &About {
            code: "FB0025",
            title: "batch without partial failures",
            severity: Severity::Warning,
            since: 1,
            page: include_str!("../../../../docs/rules/FB0025.md"),
        }
    }

    fn check(&self, look: &Look<'_>, found: &mut Found<'_>) {
        if !look.is_aws() {
            return;
        }
        let whole: Vec<FromQueue<'_>> = queues(look)
            .filter(|(_, _, source, _)| source.partial_failures.or(false) == Some(false))
            .filter(|(_, _, source, _)| look.queue_batch(source).is_some_and(|batch| batch > 1))
            .filter(|(_, edge, _, _)| matches!(look.design.node(edge.to).kind, Kind::Function(_)))
            .collect();
        let mut rest: Vec<FromQueue<'_>> = Vec::new();
        for from in whole {
            match receives(look, from.1.from).filter(|receives| *receives <= FEW_RECEIVES) {
                Some(receives) => dies_along(look, from, receives, found),
                None => rest.push(from),
            }
        }
        comes_again(look, &rest, found);
    }
}

fn dies_along(look: &Look<'_>, (id, edge, source, _): FromQueue<'_>, receives: i64, found: &mut Found<'_>) {
    let Some(batch) = look.queue_batch(source) else { return };
    let [from, to] = [edge.from, edge.to].map(|id| &look.design.node(id).name);
    let [good, batch] = [batch - 1, batch].map(|value| words::decimal(number(value)));
    let default = if source.batch_max.is_default() { " (the default)" } else { "" };
    let when = match receives {
        1 => "at once".to_string(),
        receives => format!("after {receives} deliveries"),
    };
    let message = format!(
        "one message that {to} can't process fails its whole batch of up to {batch}{default}: {when} up to \
         {good} good messages of {from} are in the dead letters too"
    );
    let help = "report single failures (FunctionResponseTypes: [ReportBatchItemFailures] and the answer it \
         needs), or set BatchSize to 1"
        .into();
    let mut draft = Draft::new(edge.to, edge.span, message, help).rests_on([id]).path(look.hop_pair(
        edge,
        format!("dead letters {when}"),
        format!("batches of {batch}"),
    ));
    let absent = source.partial_failures.is_default();
    if let Some(edit) = fix::beside(&look.design.files, edge.span, REPORTED).filter(|_| absent) {
        // What the function answers counts from then on.
        let title =
            "FunctionResponseTypes: [ReportBatchItemFailures]; let the function answer with what failed";
        draft = draft.fix(Fix { title: title.to_string(), safe: false, edits: vec![edit] });
    }
    found.add(draft);
}

/// One note for all, since whether it matters is a question that no file answers.
fn comes_again(look: &Look<'_>, rest: &[FromQueue<'_>], found: &mut Found<'_>) {
    let Some((id, edge, _, _)) = rest.first() else { return };
    let mut names: Vec<&str> =
        rest.iter().map(|(_, edge, _, _)| look.design.node(edge.to).name.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    let who = if names.len() == 1 { String::new() } else { "one of ".to_string() };
    let message = format!(
        "where {who}{} fails at one message, its whole batch comes again, and what was done for the others \
         is done again",
        named(&names)
    );
    let help =
        "report single failures (FunctionResponseTypes: [ReportBatchItemFailures] and the answer it needs)"
            .into();
    found.add(
        Draft::new(edge.to, edge.span, message, help)
            .rests_on([*id])
            .assuming("these functions do something that must not be done twice"),
    );
}

impl Rule for Poison {
    fn about(&self) -> &'static About {
        &About {
            code: "FB0031",
            title: "stream blocked by one record",
            severity: Severity::Warning,
            since: 1,
            page: include_str!("../../../../docs/rules/FB0031.md"),
        }
    }

    fn check(&self, look: &Look<'_>, found: &mut Found<'_>) {
        if !look.is_aws() {
            return;
        }
        for (id, edge) in look.design.edges() {
            let Via::EventSource(source) = &edge.via else { continue };
            let Kind::Stream(stream) = &look.design.node(edge.from).kind else { continue };
            let function = matches!(look.design.node(edge.to).kind, Kind::Function(_));
            if function && source.enabled.or(true) == Some(true) {
                poison(look, id, edge, (source, stream), found);
            }
        }
    }
}

fn poison(
    look: &Look<'_>,
    id: EdgeId,
    edge: &Edge,
    (source, stream): (&EventSource, &Stream),
    found: &mut Found<'_>,
) {
    // -1 is the default of both: until the record expires.
    let (Some(retries), Some(age)) = (source.retries_max.or(-1), source.age_max_s.or(-1)) else { return };
    let kept_s = if stream.of_table {
        look.profile.value(Limit::StreamTableRetention)
    } else {
        match &stream.retention_h {
            Setting::Default => look.profile.value(Limit::StreamRetentionDefault),
            stated => stated.stated().map(|hours| 3_600.0 * number(*hours)),
        }
    };
    let reported = source.on_failure.or(false);
    let [from, to] = [edge.from, edge.to].map(|id| &look.design.node(id).name);
    let endless = retries < 0 && age < 0;
    let (message, help) = match (endless, reported) {
        (true, _) => {
            let kept = kept_s
                .map_or_else(|| "until it expires".into(), |kept| format!("for {}", words::seconds(kept)));
            let mut missing = vec!["MaximumRetryAttempts"];
            if source.bisect.or(false) == Some(false) {
                missing.push("BisectBatchOnFunctionError");
            }
            if reported == Some(false) {
                missing.push("an OnFailure destination");
            }
            let message = format!(
                "a record of {from} that {to} can't process is tried again {kept}, and everything behind it \
                 in its shard waits"
            );
            let set = if let [alone] = missing.as_slice() { (*alone).into() } else { and(&missing) };
            (message, format!("set {set}"))
        }
        (false, Some(false)) => {
            let limit = match (retries, age) {
                (0.., _) => format!("{} tries", retries.saturating_add(1)),
                _ => words::seconds(number(age)),
            };
            let message = format!(
                "after {limit} a record of {from} that {to} can't process is dropped, and nothing tells of it"
            );
            (message, "set DestinationConfig.OnFailure of the event source".to_string())
        }
        (false, _) => return,
    };
    let draft = Draft::new(edge.to, edge.span, message, help).rests_on([id]);
    found.add(draft.path(look.hop_pair(edge, "", "")));
}

fn and(parts: &[&str]) -> String {
    match parts {
        [rest @ .., last] if !rest.is_empty() => format!("{} and {last}", rest.join(", ")),
        parts => parts.concat(),
    }
}
