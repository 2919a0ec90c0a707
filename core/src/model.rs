//! The resolved application: what every verb works on. Readers (`app`) make it; [`Application::check`]
//! says whether it holds together, and only a [`Checked`] one reaches the engine.

mod check;
mod grant;
mod limits;

use std::{collections::BTreeMap, sync::Arc};

use serde::{Deserialize, Serialize};

pub use check::{Checked, Problem, nearest};
pub use grant::{Access, Grants, HostPattern, HostPatternError};
pub use limits::{
    Concurrency, InvocationLimits, Limits, PlatformLimits, RATE_PER_SECOND_MAX, Rate, TenantLimits,
};

use crate::{Attributes, Name, Span};

/// An application as declared, with defaults filled in.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Application {
    /// Its name.
    pub name: Name,
    /// Functions by name.
    pub functions: BTreeMap<Name, Function>,
    /// Declared queues by name. Inboxes are not here: each function has one.
    pub queues: BTreeMap<Name, Queue>,
    /// Topics by name.
    pub topics: BTreeMap<Name, Topic>,
    /// Buses by name.
    pub buses: BTreeMap<Name, Bus>,
    /// Routes in the order of the file; the most specific pattern wins, not the first.
    pub routes: Vec<Route>,
    /// Limits of the platform as a whole.
    pub limits: PlatformLimits,
    /// Limits of a tenant that no entry of `tenants` speaks of.
    pub tenant_defaults: TenantLimits,
    /// Limits of single tenants.
    pub tenants: BTreeMap<Name, TenantLimits>,
}

/// Code that runs for events or requests.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Function {
    /// Its name.
    pub name: Name,
    /// The component's path, as the file has it; relative to the file.
    pub component: String,
    /// A run is stopped after this time, whatever it does.
    pub timeout: Span,
    /// A run that allocates more fails.
    pub memory_bytes_max: u64,
    /// Concurrency and rate of the function over all tenants.
    pub limits: Limits,
    /// Concurrency and rate of the function for each single tenant.
    pub per_tenant: Limits,
    /// Single tenants for which `per_tenant` is different.
    pub for_tenants: BTreeMap<Name, Limits>,
    /// What it may do. Nothing is granted by default.
    pub grants: Grants,
    /// Values it can read by `configuration.get`.
    pub config: BTreeMap<String, String>,
    /// How its inbox behaves: the queue behind asynchronous routes, subscriptions and rules.
    pub inbox: Delivery,
}

/// A durable queue with one consumer.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Queue {
    /// Its name.
    pub name: Name,
    /// The function that consumes it.
    pub function: Name,
    /// How it delivers.
    pub delivery: Delivery,
}

/// How waiting events reach their function.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Delivery {
    /// Events of one tenant that one run may be given; 1 to 1,000.
    pub batch_max: u32,
    /// How long a batch that is not full may wait for more.
    pub batch_window: Span,
    /// Every event waits this long before its first run.
    pub delay: Span,
    /// How long a started event stays hidden: if its run has not ended by then it is taken as lost. At
    /// least the function's timeout.
    pub visibility: Span,
    /// Runs before an event goes to the dead letters; 1 or more.
    pub attempts_max: u16,
    /// The wait before the second run; it doubles each time.
    pub retry_base: Span,
    /// The wait is never longer.
    pub retry_max: Span,
    /// Events that may wait, over all tenants; past it new ones are refused.
    pub waiting_max: u64,
}

/// A topic copies each event to all its subscribers.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Topic {
    /// Its name.
    pub name: Name,
    /// Where copies go.
    pub subscribers: Vec<Destination>,
}

/// A bus copies each event to the destinations of all rules that match it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Bus {
    /// Its name.
    pub name: Name,
    /// Its rules by name.
    pub rules: BTreeMap<Name, Rule>,
}

/// What a rule matches, and where a match goes.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Rule {
    /// Its name.
    pub name: Name,
    /// The pattern.
    pub pattern: Pattern,
    /// Where a matching event goes.
    pub to: Destination,
}

/// A pattern over an event's attributes. An empty list matches everything; otherwise one entry must
/// match. An entry that ends with `*` matches a prefix.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Pattern {
    /// Over CloudEvents `type`.
    pub kind: Vec<String>,
    /// Over CloudEvents `source`.
    pub source: Vec<String>,
    /// Over CloudEvents `subject`; an event without one matches only an empty list.
    pub subject: Vec<String>,
}

impl Pattern {
    /// Whether an event with these attributes matches.
    pub fn matches(&self, attributes: &Attributes) -> bool {
        let subject = attributes.subject.as_deref();
        any(&self.kind, Some(&attributes.kind))
            && any(&self.source, Some(&attributes.source))
            && any(&self.subject, subject)
    }
}

fn any(list: &[String], value: Option<&str>) -> bool {
    list.is_empty()
        || value.is_some_and(|value| {
            list.iter().any(|entry| match entry.strip_suffix('*') {
                Some(prefix) => value.starts_with(prefix),
                None => value == entry,
            })
        })
}

/// Where a subscription or a rule leads.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Destination {
    /// A declared queue.
    Queue(Name),
    /// A function's inbox.
    Function(Name),
}

impl Destination {
    /// The queue that it is in the end.
    pub fn queue(&self) -> Name {
        match self {
            Destination::Queue(name) => name.clone(),
            Destination::Function(name) => Name::inbox_of(name),
        }
    }
}

/// An HTTP entrance.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Route {
    /// The path's pattern: segments are literal, `{name}` (one segment) or a final `{name...}` (the rest).
    /// A segment `{tenant}` can name the tenant.
    pub path: String,
    /// Methods, upper case; empty for all.
    pub methods: Vec<String>,
    /// The function that answers.
    pub function: Name,
    /// Whether the caller waits.
    pub mode: RouteMode,
    /// How the request's tenant is known.
    pub tenant: TenantFrom,
}

/// Whether the caller of a route waits for the function.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RouteMode {
    /// The answer is the function's.
    Sync,
    /// The request is stored, the answer is `202` with the event's id.
    Async,
}

/// How a route knows the tenant.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TenantFrom {
    /// By the API key, which every request must carry. A tenant named elsewhere must be the key's.
    Key,
    /// By the path's `{tenant}`, without a key: the function itself must authenticate the caller.
    Path,
    /// By this header, without a key: for a gateway behind a proxy that authenticates.
    Header(String),
    /// By the first label of the host name, without a key.
    Host,
}

impl Function {
    /// The queue behind its asynchronous routes, subscriptions and rules.
    pub fn inbox_queue(&self) -> Queue {
        Queue { name: Name::inbox_of(&self.name), function: self.name.clone(), delivery: self.inbox.clone() }
    }

    /// The limits for one tenant, by name.
    pub fn limits_for(&self, tenant: &str) -> Limits {
        *self.for_tenants.get(tenant).unwrap_or(&self.per_tenant)
    }
}

impl Application {
    /// The limits of a tenant, by name.
    pub fn limits_of(&self, tenant: &str) -> &TenantLimits {
        self.tenants.get(tenant).unwrap_or(&self.tenant_defaults)
    }

    /// Every queue there is, inboxes too, by name.
    pub fn all_queues(&self) -> BTreeMap<Name, Queue> {
        let inboxes = self.functions.values().map(Function::inbox_queue);
        self.queues.values().cloned().chain(inboxes).map(|q| (q.name.clone(), q)).collect()
    }

    /// Where an event with these attributes, sent to `target`, goes: queues, each with the subscriber
    /// whose copy it is (`None` where it was sent to the queue itself). Empty where no rule matches;
    /// `None` where there is no such target.
    pub fn route_event(&self, target: &str, attributes: &Attributes) -> Option<Vec<Delivered>> {
        if let Some(queue) = self.queues.get(target) {
            return Some(vec![Delivered { queue: queue.name.clone(), subscriber: None }]);
        }
        if let Some(function) = target.strip_prefix('@').and_then(|f| self.functions.get(f)) {
            return Some(vec![Delivered { queue: Name::inbox_of(&function.name), subscriber: None }]);
        }
        if let Some(topic) = self.topics.get(target) {
            let copy = |d: &Destination| {
                let queue = d.queue();
                Delivered { subscriber: Some(queue.clone()), queue }
            };
            return Some(topic.subscribers.iter().map(copy).collect());
        }
        let bus = self.buses.get(target)?;
        let matching = bus.rules.values().filter(|rule| rule.pattern.matches(attributes));
        Some(matching.map(|r| Delivered { queue: r.to.queue(), subscriber: Some(r.name.clone()) }).collect())
    }
}

/// One queue that an event goes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivered {
    /// The queue.
    pub queue: Name,
    /// The subscriber or rule that this copy is for.
    pub subscriber: Option<Name>,
}

/// A checked application is shared by the engine, the host and the driver.
pub type Shared = Arc<Checked>;
