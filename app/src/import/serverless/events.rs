//! The events of functions: what triggers them.
//!
//! - `poll`: what Lambda's pollers read: queues, streams, brokers.
//! - `push`: what other services send: topics, buckets, schedules, rules and the rest.
//! - `http`: what comes in by HTTP and WebSockets.

mod http;
mod poll;
mod push;

pub(super) use http::http_event;
pub(super) use push::schedule_expressions;

use super::{
    service::{Service, given, lambda},
    template::At,
};
use crate::document::{Tree, Value};

/// A function's event.
pub(super) struct Event<'e> {
    /// The function's name.
    pub function: &'e str,
    /// What the event says: a map, or its one value.
    pub own: &'e Tree,
    /// The place of its kind.
    pub at: At,
    /// From 1, over all events of the function.
    pub place: usize,
    /// From 1, over the function's events of this kind.
    pub number: usize,
}

impl Event<'_> {
    /// A setting of the event.
    pub fn get(&self, key: &str) -> Option<&Tree> {
        given(self.own.get(key))
    }

    /// A setting, copied.
    pub fn copy(&self, key: &str) -> Option<Tree> {
        self.get(key).cloned()
    }

    /// The setting, or the event itself where it is a single value.
    pub fn get_or_self(&self, key: &str) -> Option<&Tree> {
        match &self.own.value {
            // An intrinsic function stands for the value, too.
            Value::Map(entries) if !entries.iter().any(|entry| is_intrinsic(&entry.key)) => self.get(key),
            _ => Some(self.own),
        }
    }

    /// The function's logical id.
    pub fn lambda(&self) -> String {
        lambda(self.function)
    }

    /// What it triggers.
    pub fn target(&self, service: &Service) -> Tree {
        service.target(self.at, self.function)
    }

    /// Adds a resource that it makes.
    pub fn add(&self, service: &mut Service, id: &str, of: &str, properties: Tree) {
        service.template.add_for(&self.lambda(), self.at, id, of, properties);
    }
}

fn is_intrinsic(key: &str) -> bool {
    key == "Ref" || key.starts_with("Fn::")
}

/// Adds what the events of all functions make.
pub(super) fn all(service: &mut Service) {
    let functions = std::mem::take(&mut service.functions);
    for function in &functions {
        let Some(events) = given(function.value.get("events")) else { continue };
        if let Value::Unknown(unknown) = &events.value {
            let what = format!("the events of {} are not known: {}", function.key, unknown.why);
            service.unknown(events.span, Some(&lambda(&function.key)), what);
        }
        let mut numbers = std::collections::BTreeMap::new();
        for (index, tree) in events.items().iter().enumerate() {
            for entry in tree.entries() {
                let number = numbers.entry(entry.key.clone()).or_insert(0_usize);
                *number += 1;
                let event = Event {
                    function: &function.key,
                    own: &entry.value,
                    at: At(entry.key_span),
                    place: index + 1,
                    number: *number,
                };
                let schedules = one(service, &entry.key, &event);
                *number += schedules.saturating_sub(1);
            }
        }
    }
    service.functions = functions;
}

/// One event; how many resources it counts as in the numbers of its kind.
fn one(service: &mut Service, kind: &str, event: &Event<'_>) -> usize {
    if let Value::Unknown(unknown) = &event.own.value {
        let what = format!("an event of {} is not known: {}", event.function, unknown.why);
        service.unknown(event.own.span, Some(&event.lambda()), what);
        return 1;
    }
    match kind {
        "http" => http::rest(service, event),
        "httpApi" => http::http_api(service, event),
        "websocket" => http::websocket(service, event),
        "sqs" => poll::queue(service, event),
        "stream" => poll::stream(service, event),
        "kafka" | "msk" | "activemq" | "rabbitmq" => poll::broker(service, kind, event),
        "sns" => push::topic(service, event),
        "s3" => push::bucket(service, event),
        "schedule" => return push::schedule(service, event),
        "eventBridge" => push::event_bridge(service, event),
        "cloudwatchEvent" => push::cloudwatch_event(service, event),
        "cloudwatchLog" => push::log(service, event),
        "iot" => push::iot(service, event),
        "cognitoUserPool" => push::user_pool(service, event),
        "alb" => push::load_balancer(service, event),
        "alexaSkill" => push::permission(service, event, "AlexaSkill", "alexa-appkit.amazon.com"),
        "alexaSmartHome" => {
            push::permission(service, event, "AlexaSmartHome", "alexa-connectedhome.amazon.com");
        }
        "cloudFront" => push::cloud_front(service, event),
        "iotFleetProvisioning" => push::permission(service, event, "IotProvisioning", "iot.amazonaws.com"),
        _ => {
            let what = format!("an event of {} is of the kind `{kind}`, which is not read", event.function);
            service.unknown(event.at.0, Some(&event.lambda()), what);
        }
    }
    1
}
