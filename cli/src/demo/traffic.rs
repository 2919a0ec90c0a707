//! What is played: real push payloads, varied for each tenant and push, at moments of a real trace. All
//! of it follows from the number of tenants and the duration.

use std::time::Duration;

use bytes::Bytes;
use hmac::{Hmac, Mac as _};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

const PUSH: &str = include_str!("../../../examples/codewatch/samples/push.json");
const ARRIVALS: &str = include_str!("../../../examples/codewatch/traffic/arrivals.csv");
/// What the excerpt covers, milliseconds.
const EXCERPT_MS: u64 = 20 * 60 * 1_000;
/// The tenant that is a hundred times louder than each other one, as the application's file names it.
pub const LOUD: &str = "megacorp";
const LOUDER: u32 = 100;
/// A quiet tenant pushes once in so many seconds.
const QUIET_PUSH_EVERY_S: u64 = 5;
/// The rule of `scan` that finds what is planted.
const RULE: &str = "digitalocean-token";
/// One delivery of so many is sent again, as a code host does that saw no answer.
const REDELIVERED_OF: u64 = 12;

/// A webhook to be delivered.
#[derive(Debug)]
pub struct Delivery {
    /// The tenant, by its place in the list.
    pub tenant: usize,
    /// When, from the start.
    pub at: Duration,
    /// The delivery's id, which is its idempotency key too.
    pub id: String,
    /// The payload.
    pub body: Bytes,
    /// `sha256=...` under the tenant's secret.
    pub signature: String,
    /// Whether it is sent a second time.
    pub twice: bool,
    /// What must come of it.
    pub expected: Expected,
}

/// What must come of a push.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expected {
    /// `owner/name`.
    pub repository: String,
    /// Events for `scan`.
    pub batches: u64,
    /// A fingerprint for each file with a planted secret.
    pub fingerprints: Vec<String>,
}

/// The name of the tenant at this place; the loud one is the first.
pub fn name_of(tenant: usize) -> String {
    if tenant == 0 { LOUD.into() } else { format!("tenant-{tenant:03}") }
}

/// The secret that this tenant shares with its code host.
pub fn secret_of(tenant: usize) -> String {
    hex(&digest(&["webhook secret", &name_of(tenant)]), 32)
}

/// Everything that is to be delivered, in the order of time.
///
/// # Errors
/// Where a sample is damaged.
pub fn plan(tenants: usize, duration: Duration) -> Result<Vec<Delivery>, String> {
    let sample: Value = serde_json::from_str(PUSH).map_err(|error| format!("the sample push: {error}"))?;
    let arrivals = arrivals()?;
    let quiet_pushes = u32::try_from(duration.as_secs() / QUIET_PUSH_EVERY_S).unwrap_or(u32::MAX).max(1);
    let mut deliveries = Vec::new();
    for tenant in 0..tenants {
        let pushes = if tenant == 0 { quiet_pushes.saturating_mul(LOUDER) } else { quiet_pushes };
        for push in 0..pushes {
            deliveries.push(delivery(&sample, &arrivals, tenant, push, duration));
        }
    }
    deliveries.sort_by_key(|delivery| delivery.at);
    Ok(deliveries)
}

fn arrivals() -> Result<Vec<u64>, String> {
    let line = |line: &str| line.split(',').next().and_then(|start| start.parse().ok());
    let read: Option<Vec<u64>> = ARRIVALS.lines().skip(1).map(line).collect();
    read.filter(|read| !read.is_empty()).ok_or_else(|| "the excerpt of the trace is damaged".to_string())
}

fn delivery(sample: &Value, arrivals: &[u64], tenant: usize, push: u32, duration: Duration) -> Delivery {
    let name = name_of(tenant);
    let seed = digest(&["push", &name, &push.to_string()]);
    let draw = |at: usize| u64::from(seed.get(at).copied().unwrap_or(0));
    // A loud tenant has several repositories, and its pushes more files.
    let repository = format!("{name}/service-{}", draw(0) % if tenant == 0 { 8 } else { 2 });
    let files = 1 + draw(1) % if tenant == 0 { 24 } else { 8 };
    let planted = match draw(2) % 4 {
        _ if push == 0 => 1,
        0 => 1 + draw(3) % 2,
        _ => 0,
    };
    let commit = hex(&digest(&["commit", &name, &push.to_string()]), 40);
    let contents = contents(&commit, push, files, planted);
    let fingerprints = contents.iter().filter_map(|file| file.fingerprint.clone()).collect();
    let body = Bytes::from(payload(sample, &repository, &commit, &contents).to_string());
    let hash = hex(&digest(&["delivery", &commit]), 32);
    let part = |from, to| hash.get(from..to).unwrap_or_default();
    let id = [part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32)].join("-");
    Delivery {
        tenant,
        at: moment(arrivals, &seed, duration),
        signature: sign(&secret_of(tenant), &body),
        id,
        body,
        twice: draw(6) % REDELIVERED_OF == 0,
        expected: Expected { repository, batches: files.div_ceil(10), fingerprints },
    }
}

/// A moment of the trace's distribution, between two neighbouring arrivals, scaled to the duration.
fn moment(arrivals: &[u64], seed: &[u8; 32], duration: Duration) -> Duration {
    let draw = seed.iter().skip(8).take(4).fold(0_u64, |all, byte| (all << 8) | u64::from(*byte));
    let scaled = draw * arrivals.len() as u64;
    let (index, within) = ((scaled >> 32) as usize, scaled & 0xffff_ffff);
    let from = if index == 0 { 0 } else { arrivals.get(index - 1).copied().unwrap_or(0) };
    let to = arrivals.get(index).copied().unwrap_or(EXCERPT_MS);
    let millis = from + ((to.saturating_sub(from) * within) >> 32);
    duration.mul_f64((millis as f64 / EXCERPT_MS as f64).min(1.0))
}

struct File {
    path: String,
    content: String,
    fingerprint: Option<String>,
}

fn contents(commit: &str, push: u32, files: u64, planted: u64) -> Vec<File> {
    (0..files)
        .map(|file| {
            let path = format!("src/p{push}/part{file}.rs");
            let seed = hex(&digest(&["file", commit, &path]), 64);
            let mut content =
                format!("//! Part {file}.\n\n/// Answers.\npub fn answer() -> u32 {{\n    {file}\n}}\n");
            let mut fingerprint = None;
            if file < planted {
                // Invented, and of no service: a hash of where it stands.
                let secret = format!("dop_v1_{seed}");
                content.push_str(&format!("\n// deploys with {secret}\n"));
                fingerprint = Some(hex(&digest_of(&[RULE, &path, &secret], true), 32));
            }
            File { path, content, fingerprint }
        })
        .collect()
}

/// The sample with this push's repository, commit and files in it.
fn payload(sample: &Value, repository: &str, commit: &str, files: &[File]) -> Value {
    let mut payload = sample.clone();
    let (owner, name) = repository.split_once('/').unwrap_or((repository, repository));
    let paths: Vec<&str> = files.iter().map(|file| file.path.as_str()).collect();
    let change = json!({
        "id": commit,
        "tree_id": commit,
        "distinct": true,
        "message": format!("Change {} files", files.len()),
        "timestamp": "2019-05-15T15:20:33Z",
        "author": { "name": owner, "email": format!("dev@{owner}.test"), "username": owner },
        "added": paths,
        "removed": [],
        "modified": [],
    });
    let contents: serde_json::Map<String, Value> =
        files.iter().map(|file| (file.path.clone(), Value::from(file.content.clone()))).collect();
    if let Some(fields) = payload.as_object_mut() {
        fields.insert("ref".into(), "refs/heads/main".into());
        fields.insert("after".into(), commit.into());
        fields.insert("deleted".into(), false.into());
        fields.insert("head_commit".into(), change.clone());
        fields.insert("commits".into(), json!([change]));
        fields.insert("flyball_contents".into(), Value::Object(contents));
        if let Some(of) = fields.get_mut("repository").and_then(Value::as_object_mut) {
            of.insert("name".into(), name.into());
            of.insert("full_name".into(), repository.into());
        }
    }
    payload
}

fn sign(secret: &str, body: &[u8]) -> String {
    #[expect(clippy::expect_used, reason = "HMAC takes keys of any length")]
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("any key");
    mac.update(body);
    let bytes: [u8; 32] = mac.finalize().into_bytes().into();
    format!("sha256={}", hex(&bytes, 64))
}

fn digest(parts: &[&str]) -> [u8; 32] {
    digest_of(parts, false)
}

/// With `terminated`, each part ends with a zero byte, as in a fingerprint of `scan`; else a separator.
fn digest_of(parts: &[&str], terminated: bool) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part);
        hash.update([if terminated { 0 } else { 0x1f }]);
    }
    hash.finalize().into()
}

fn hex(bytes: &[u8], digits: usize) -> String {
    let mut text: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    text.truncate(digits);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_arguments_plan_the_same_deliveries_and_one_tenant_is_a_hundred_times_louder() {
        let duration = Duration::from_secs(10);
        let (one, two) = (plan(4, duration).unwrap(), plan(4, duration).unwrap());
        assert_eq!(one.len(), 2 * (100 + 3));
        let of = |tenant| one.iter().filter(|delivery| delivery.tenant == tenant).count();
        assert_eq!([of(0), of(1), of(2), of(3)], [200, 2, 2, 2]);
        assert!(one.iter().zip(&two).all(|(a, b)| (a.at, &a.body, &a.id) == (b.at, &b.body, &b.id)));
        assert!(one.iter().all(|delivery| delivery.at <= duration));
        assert!(one.is_sorted_by_key(|delivery| delivery.at));
        let ids: std::collections::BTreeSet<&str> = one.iter().map(|d| d.id.as_str()).collect();
        assert_eq!(ids.len(), one.len());
        assert!(one.iter().any(|delivery| delivery.twice));
        let planted: usize = one.iter().map(|delivery| delivery.expected.fingerprints.len()).sum();
        assert!(planted > 20, "{planted}");
    }

    #[test]
    fn a_payload_is_the_real_one_with_the_push_in_it() {
        let delivery = plan(2, Duration::from_secs(1)).unwrap().remove(0);
        let payload: Value = serde_json::from_slice(&delivery.body).unwrap();
        assert_eq!(payload["repository"]["full_name"], delivery.expected.repository.as_str());
        assert_eq!(payload["repository"]["node_id"], "MDEwOlJlcG9zaXRvcnkxODY4NTMwMDI=");
        let files = payload["flyball_contents"].as_object().unwrap();
        assert_eq!(files.len(), payload["commits"][0]["added"].as_array().unwrap().len());
        let planted = files.values().filter(|file| file.as_str().unwrap().contains("dop_v1_")).count();
        assert_eq!(planted, delivery.expected.fingerprints.len());
    }

    #[test]
    fn signatures_are_those_of_the_documented_example() {
        let expected = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
        assert_eq!(sign("It's a Secret to Everybody", b"Hello, World!"), expected);
    }
}
