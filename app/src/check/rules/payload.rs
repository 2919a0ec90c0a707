//! Bodies that one hop accepts and a later one does not.

use crate::{
    check::{About, Draft, Found, Look, Quantity, Rule, Severity, paths, words},
    design::{ApiKind, Edge, EdgeId, Kind, Mode, Node, NodeId, Setting, Via},
    document::Tree,
    profile::Limit,
};

/// FB0001: a path accepts what a later hop refuses.
pub(super) struct Narrowing;

/// FB0002: a batch does not fit what one invocation can get.
pub(super) struct BatchBytes;

/// The largest body that a node takes from an edge, bytes, and the limit of the profile that says so, where no
/// file does.
fn takes(look: &Look<'_>, id: NodeId, by: Option<&Edge>) -> Option<(i64, Option<Limit>)> {
    let of = |limit: Limit| look.profile.whole(limit).map(|bytes| (bytes, Some(limit)));
    let or = |setting: &Setting<i64>, limit: Limit| match setting.stated() {
        Some(stated) => Some((*stated, None)),
        None if setting.is_unknown() => None,
        None => of(limit),
    };
    match &look.design.node(id).kind {
        Kind::Queue(queue) => or(&queue.message_bytes_max, Limit::QueueMessageBytesDefault),
        Kind::Topic(topic) => or(&topic.message_bytes_max, Limit::TopicMessageBytesDefault),
        Kind::Bus(_) => of(Limit::BusEventBytesMax),
        Kind::Machine(_) => of(Limit::MachinePayloadBytesMax),
        Kind::Api(api) => match api.kind {
            ApiKind::Rest => of(Limit::ApiRestBytesMax),
            ApiKind::Http => of(Limit::ApiHttpBytesMax),
            ApiKind::WebSocket => of(Limit::ApiWebSocketBytesMax),
            ApiKind::LoadBalancer => of(Limit::ApiLoadBalancerBytesMax),
            ApiKind::Flyball => of(Limit::ApiFlyballBytesMax),
            ApiKind::FunctionUrl => of(Limit::LambdaRequestBytesMax),
            ApiKind::GraphQl => None,
        },
        Kind::Function(_) => match by.map(|edge| edge.mode) {
            Some(Mode::Async) => of(Limit::LambdaAsyncBytesMax),
            Some(Mode::Sync | Mode::Poll) => of(Limit::LambdaRequestBytesMax),
            _ => None,
        },
        _ => None,
    }
}

/// Whether an edge hands on the very body that its giver got.
fn same_body(edge: &Edge) -> bool {
    let same = match &edge.via {
        Via::Subscription(_) | Via::Matches | Via::EventSource(_) | Via::PipeSource(_) => true,
        Via::Target(target) => !target.reshaped,
        Via::Integration(_) => true,
        _ => false,
    };
    same && paths::carries(edge)
}

impl Rule for Narrowing {
    fn about(&self) -> &'static About {
        &About {
            code: "FB0001",
            title: "a path accepts what a later hop refuses",
            severity: Severity::Error,
            since: 1,
            page: include_str!("../../../../docs/rules/FB0001.md"),
        }
    }

    fn check(&self, look: &Look<'_>, found: &mut Found<'_>) {
        let mut budget = paths::Budget::of(look.design);
        for (id, node) in look.design.nodes() {
            let stated = look.given.traffic.get(&node.name).and_then(|traffic| traffic.event_bytes);
            // A function's own bodies are not what it was given.
            let draft = match (stated, &node.kind) {
                (_, Kind::Function(_)) => None,
                (Some(bytes), _) => too_large(look, id, bytes, &mut budget),
                (None, _) if look.is_aws() => accepted_then_refused(look, id, &mut budget),
                (None, _) => None,
            };
            draft.into_iter().for_each(|draft| found.add(draft));
            if look.is_aws() {
                rejected(look, (id, node), found);
            }
        }
    }
}

/// Stated bodies that do not fit through a path.
fn too_large(look: &Look<'_>, id: NodeId, bytes: f64, budget: &mut paths::Budget) -> Option<Draft> {
    let node = look.design.node(id);
    let size = words::bytes(bytes);
    let refuses = |at: NodeId, by: Option<&Edge>| {
        takes(look, at, by)
            .filter(|(most, _)| words::whole(*most) < bytes)
            .map(|(most, limit)| (at, most, limit))
    };
    let mut edges: Vec<EdgeId> = Vec::new();
    let mut wall = refuses(id, None);
    if wall.is_none() {
        for way in paths::simple_ways(look.design, id, budget, &same_body) {
            let first = way.iter().enumerate().find_map(|(index, edge)| {
                let edge = look.design.edge(*edge);
                refuses(edge.to, Some(edge)).map(|wall| (index, wall))
            });
            if let Some((index, first)) = first {
                wall = Some(first);
                edges = way.into_iter().take(index + 1).collect();
                break;
            }
        }
    }
    let (at, most, limit) = wall?;
    let (name, most) = (&look.design.node(at).name, words::whole(most));
    let most_words = words::bytes(most);
    let message = format!("events of {} have {size}, and {name} takes {most_words} at most", node.name);
    let help = "put the body into a bucket and send where it is".to_string();
    let of = format!("the largest body of {name}");
    let quantity = match limit {
        Some(limit) => look.limit(limit, of)?,
        None => Quantity::stated(of, most, "bytes"),
    };
    let mut path = look.hops(&edges, |_| String::new());
    if let Some(hop) = path.last_mut() {
        hop.wall = true;
        hop.limit = most_words;
    }
    let span = edges.last().map_or(node.span, |edge| look.design.edge(*edge).span);
    let draft = Draft::new(id, span, message, help)
        .at_most(Severity::Warning)
        .rests_on(edges)
        .path(path)
        .meets(quantity, Quantity::stated(format!("an event of {}", node.name), bytes, "bytes"));
    Some(limit.into_iter().fold(draft, |draft, limit| draft.by(look, limit)))
}

/// Without a word about sizes: only where the sender was told that all is well, and the body is refused behind its
/// back. What a gateway or a function's call refuses, its caller learns at once.
fn accepted_then_refused(look: &Look<'_>, id: NodeId, budget: &mut paths::Budget) -> Option<Draft> {
    let node = look.design.node(id);
    let (accepts, _) = match &node.kind {
        Kind::Bus(_) | Kind::Queue(_) | Kind::Topic(_) if !only_notices(look, id) => takes(look, id, None)?,
        _ => return None,
    };
    let mut narrowest: Option<(i64, Option<Limit>, Vec<EdgeId>)> = None;
    for way in paths::simple_ways(look.design, id, budget, &same_body) {
        let custom = way.iter().all(|edge| is_custom(look, look.design.edge(*edge)));
        for (index, edge) in way.iter().enumerate().filter(|_| custom) {
            let edge = look.design.edge(*edge);
            // Behind a function or a gateway the body is another, and a function takes what these services give.
            if !matches!(look.design.node(edge.to).kind, Kind::Queue(_) | Kind::Topic(_) | Kind::Machine(_)) {
                continue;
            }
            let Some((most, limit)) = takes(look, edge.to, Some(edge)) else { continue };
            if most < accepts && narrowest.as_ref().is_none_or(|(other, _, _)| most < *other) {
                narrowest = Some((most, limit, way.iter().take(index + 1).copied().collect()));
            }
        }
    }
    let (most, limit, edges) = narrowest?;
    let last = look.design.edge(*edges.last()?);
    let (name, to) = (&node.name, look.design.node(last.to));
    let [accepts_words, most_words] = [accepts, most].map(|bytes| words::bytes(words::whole(bytes)));
    let message = format!(
        "{name} accepts {accepts_words} and {} takes {most_words}: what lies between is accepted from the sender, \
         and refused behind its back",
        to.name
    );
    let help = match &to.kind {
        Kind::Topic(_) => format!("set MaximumMessageSize of {} to {accepts}, or send a reference", to.name),
        Kind::Queue(_) => format!("raise MaximumMessageSize of {} to {accepts}", to.name),
        _ => "put large bodies into a bucket and send where they are".to_string(),
    };
    let of = format!("the largest body of {}", to.name);
    let quantity = match limit {
        Some(limit) => look.limit(limit, of)?,
        None => Quantity::stated(of, words::whole(most), "bytes"),
    };
    let mut path = look.hops(&edges, |_| String::new());
    if let Some(hop) = path.first_mut() {
        hop.limit.clone_from(&accepts_words);
    }
    if let Some(hop) = path.last_mut() {
        hop.wall = true;
        hop.limit.clone_from(&most_words);
    }
    let draft = Draft::new(id, last.span, message, help)
        .at_most(Severity::Warning)
        .rests_on(edges)
        .path(path)
        .meets(
            quantity,
            Quantity::stated(format!("the largest body of {name}"), words::whole(accepts), "bytes"),
        )
        .assuming(format!("some bodies are larger than {most_words}"));
    Some(draft)
}

/// Whether all that is known to send to a node are services that tell of something: that is small.
fn only_notices(look: &Look<'_>, id: NodeId) -> bool {
    let mut any = false;
    let all = look.design.incoming(id).filter(|(_, edge)| paths::gives_work(edge)).all(|(_, edge)| {
        any = true;
        let from = &look.design.node(edge.from).kind;
        matches!(from, Kind::Bucket(_) | Kind::Schedule(_))
    });
    any && all
}

/// Whether senders of the user's own can be behind an edge: events of AWS's services are small.
fn is_custom(look: &Look<'_>, edge: &Edge) -> bool {
    let (Via::Matches, Kind::Rule(rule)) = (&edge.via, &look.design.node(edge.to).kind) else { return true };
    let sources = rule.pattern.as_ref().and_then(|pattern| pattern.get("source")).map(Tree::items);
    let is_default = matches!(&look.design.node(edge.from).kind, Kind::Bus(bus) if bus.is_default);
    match sources {
        Some(sources) => {
            sources.iter().any(|source| source.as_str().is_some_and(|source| !source.starts_with("aws.")))
        }
        // The default bus has the events of all services, and nothing says that it has others.
        None => !is_default,
    }
}

/// A topic for large messages has only subscribers that take them: AWS rejects the others.
fn rejected(look: &Look<'_>, (id, node): (NodeId, &Node), found: &mut Found<'_>) {
    let Kind::Topic(topic) = &node.kind else { return };
    let Some(default) = look.profile.whole(Limit::TopicMessageBytesDefault) else { return };
    let Some(most) = topic.message_bytes_max.stated().copied().filter(|most| *most > default) else { return };
    for (edge_id, edge) in look.design.outgoing(id) {
        let Via::Subscription(subscription) = &edge.via else { continue };
        let protocol = subscription.protocol.as_str();
        if !matches!(protocol, "http" | "https" | "email" | "email-json" | "sms" | "application") {
            continue;
        }
        let (name, most) = (&node.name, words::bytes(words::whole(most)));
        let message = format!(
            "AWS rejects it: {name} takes messages of {most}, and such topics have no subscribers by {protocol}"
        );
        let help =
            format!("take MaximumMessageSize off {name}, or deliver to {protocol} from a topic of its own");
        let Some(limit) =
            look.limit(Limit::TopicMessageBytesDefault, "the largest message for all subscribers")
        else {
            return;
        };
        let value = Quantity::stated(
            format!("the largest message of {name}"),
            topic.message_bytes_max.stated().map_or(0.0, |most| words::whole(*most)),
            "bytes",
        );
        let path = look.hop_pair(edge, most, protocol);
        found
            .add(Draft::new(id, edge.span, message, help).rests_on([edge_id]).path(path).meets(limit, value));
    }
}

impl Rule for BatchBytes {
    fn about(&self) -> &'static About {
        &About {
            code: "FB0002",
            title: "a batch does not fit one invocation",
            severity: Severity::Warning,
            since: 1,
            page: include_str!("../../../../docs/rules/FB0002.md"),
        }
    }

    fn check(&self, look: &Look<'_>, found: &mut Found<'_>) {
        let Some(most) = look.profile.value(Limit::LambdaRequestBytesMax) else { return };
        for (id, edge) in look.design.edges() {
            let Via::EventSource(source) = &edge.via else { continue };
            if !matches!(look.design.node(edge.to).kind, Kind::Function(_)) || !paths::carries(edge) {
                continue;
            }
            let from = look.design.node(edge.from);
            let (batch, inflation) = match &from.kind {
                Kind::Queue(_) => (look.queue_batch(source), 1.0),
                // Records of Kinesis are handed over in base64.
                Kind::Stream(stream) if !stream.of_table => {
                    (look.or(&source.batch_max, Limit::EventSourceStreamBatchDefault), 4.0 / 3.0)
                }
                _ => continue,
            };
            let given = |name: &str| look.given.traffic.get(name).and_then(|traffic| traffic.event_bytes);
            let stated = given(&from.name).or_else(|| given(&look.design.node(edge.to).name));
            if let (Some(batch), Some(bytes)) = (batch, stated) {
                let batch = words::whole(batch);
                if batch * bytes * inflation > most {
                    found.add(never_full(look, (id, edge), (batch, bytes, inflation, most)));
                }
            } else if let Kind::Stream(stream) = &from.kind
                && let Some(kib) = stream.record_kib_max.stated()
                && words::whole(*kib) * 1_024.0 * inflation > most
            {
                found.add(large_record(look, (id, edge), words::whole(*kib) * 1_024.0));
            }
        }
    }
}

fn never_full(
    look: &Look<'_>,
    (id, edge): (EdgeId, &Edge),
    (batch, bytes, inflation, most): (f64, f64, f64, f64),
) -> Draft {
    let (from, to) = (&look.design.node(edge.from).name, &look.design.node(edge.to).name);
    let fit = (most / (bytes * inflation)).floor();
    let (size, most_words) = (words::bytes(bytes), words::bytes(most));
    let message = match fit {
        fit if fit < 1.0 => format!(
            "an event of {from} has {size}, and {to} can be handed {most_words}: it can't be delivered at all"
        ),
        _ => format!(
            "a batch of {} events of {size} does not fit the {most_words} that {to} can be handed: it gets {} at \
             a time, and runs {} times as often as BatchSize says",
            words::decimal(batch),
            words::decimal(fit),
            words::decimal(batch / fit)
        ),
    };
    let help = match fit {
        fit if fit < 1.0 => "put the body into a bucket and send where it is".to_string(),
        _ => format!("set BatchSize to {}, or put bodies into a bucket", words::decimal(fit)),
    };
    let draft = Draft::new(edge.from, edge.span, message, help).rests_on([id]).path(look.hop_pair(
        edge,
        format!("{} × {size}", words::decimal(batch)),
        most_words,
    ));
    match look.limit(Limit::LambdaRequestBytesMax, format!("what one invocation of {to} gets")) {
        Some(limit) => {
            draft.meets(limit, Quantity::stated("a whole batch", batch * bytes * inflation, "bytes"))
        }
        None => draft,
    }
}

fn large_record(look: &Look<'_>, (id, edge): (EdgeId, &Edge), bytes: f64) -> Draft {
    let (from, to) = (&look.design.node(edge.from).name, &look.design.node(edge.to).name);
    let size = words::bytes(bytes);
    let message = format!(
        "{from} takes records of {size}, which are a third larger when {to} is handed them: they do not fit one \
         invocation"
    );
    let help = format!("set MaxRecordSizeInKiB of {from} to 4608 at most, or put bodies into a bucket");
    let draft = Draft::new(edge.from, edge.span, message, help)
        .rests_on([id])
        .path(look.hop_pair(edge, size, "6 MiB"))
        .assuming("what happens to a record that does not fit could not be verified");
    match look.limit(Limit::LambdaRequestBytesMax, format!("what one invocation of {to} gets")) {
        Some(limit) => draft.meets(limit, Quantity::stated("the largest record", bytes * 4.0 / 3.0, "bytes")),
        None => draft,
    }
}
