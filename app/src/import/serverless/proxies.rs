//! `serverless-apigateway-service-proxy`: routes that call other services without a function.

use super::{
    events::http_event,
    service::{Service, given},
    template::At,
};
use crate::document::{Entry, Tree};

/// A kind of proxy: its key, the property that names its target, the service, the action that is taken where none
/// is said, and the key that names the target in a request.
struct Proxy {
    key: &'static str,
    target: &'static str,
    service: &'static str,
    action: &'static str,
    named: &'static str,
}

const PROXIES: [Proxy; 6] = [
    Proxy { key: "sqs", target: "queueName", service: "sqs", action: "SendMessage", named: "QueueUrl" },
    Proxy { key: "s3", target: "bucket", service: "s3", action: "PutObject", named: "Bucket" },
    Proxy { key: "sns", target: "topicName", service: "sns", action: "Publish", named: "TopicArn" },
    Proxy {
        key: "kinesis",
        target: "streamName",
        service: "kinesis",
        action: "PutRecord",
        named: "StreamName",
    },
    Proxy {
        key: "dynamodb",
        target: "tableName",
        service: "dynamodb",
        action: "PutItem",
        named: "TableName",
    },
    Proxy {
        key: "eventbridge",
        target: "eventBusName",
        service: "events",
        action: "PutEvents",
        named: "EventBusName",
    },
];

/// Adds the routes of `custom.apiGatewayServiceProxies`.
pub(super) fn proxies(service: &mut Service) {
    let all = service.root.at(&["custom", "apiGatewayServiceProxies"]).cloned();
    for entry in all.as_ref().map(Tree::items).unwrap_or_default().iter().flat_map(Tree::entries) {
        match PROXIES.iter().find(|proxy| proxy.key == entry.key) {
            Some(proxy) => route(service, proxy, entry),
            None => {
                let what = format!("a service proxy is of the kind `{}`, which is not read", entry.key);
                service.unknown(entry.key_span, None, what);
            }
        }
    }
}

fn route(service: &mut Service, proxy: &Proxy, entry: &Entry) {
    let (at, own) = (At(entry.key_span), &entry.value);
    let text = |key: &str| own.get(key).and_then(Tree::as_str).unwrap_or_default().to_string();
    let (method, path) = (text("method"), text("path"));
    let Some(target) = given(own.get(proxy.target)).cloned() else { return };
    let action = given(own.get("action")).and_then(Tree::as_str).unwrap_or(proxy.action);
    let mut uri = vec![at.text("arn:aws:apigateway:"), at.reference("AWS::Region")];
    match proxy.service {
        "sqs" => {
            uri.extend([at.text(":sqs:path/"), at.reference("AWS::AccountId"), at.text("/"), target.clone()]);
        }
        "s3" => uri.extend([at.text(":s3:path/"), target.clone(), at.text("/{key}")]),
        of => uri.push(at.text(format!(":{of}:action/{action}"))),
    }
    let request = vec![at.text(format!("{{\"{}\":\"", proxy.named)), target, at.text("\"}")];
    let templates = at.map([("application/json", Some(at.join("", request)))]);
    let integration = at.map([
        ("IntegrationHttpMethod", Some(at.text("POST"))),
        ("Type", Some(at.text("AWS"))),
        ("Uri", Some(at.join("", uri))),
        ("RequestTemplates", Some(templates)),
    ]);
    http_event(service, at, (&method, path.trim_start_matches('/')), integration, None);
}
