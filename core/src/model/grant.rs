//! Grants: what a function may do. Nothing is granted by default.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    str::FromStr,
};

use serde::{Deserialize, Serialize};

use crate::Name;

/// Everything one function may do beyond computing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Grants {
    /// Queues, topics and buses it may emit to.
    pub emit: BTreeSet<Name>,
    /// Key-value namespaces.
    pub kv: BTreeMap<Name, Access>,
    /// Blobs.
    pub blobs: Option<Access>,
    /// Names of tenants' secrets.
    pub secrets: BTreeSet<String>,
    /// Hosts it may send requests to.
    pub http: BTreeSet<HostPattern>,
}

/// Reading, or reading and writing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Access {
    /// Reading only.
    Read,
    /// Reading and writing.
    ReadWrite,
}

/// A host that may be called: `example.com` (any port), `example.com:8443`, `*.example.com` (any
/// subdomain, not the domain itself) or `*` (any host: visible in review as what it is).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct HostPattern {
    host: String,
    port: Option<u16>,
}

/// Why a text is not a [`HostPattern`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not a host pattern: write `example.com`, `example.com:8443`, `*.example.com` or `*`, \
     without scheme or path"
)]
pub struct HostPatternError(String);

impl HostPattern {
    /// Whether the pattern lets a request through to this host and port.
    pub fn allows(&self, host: &str, port: u16) -> bool {
        if self.port.is_some_and(|only| only != port) {
            return false;
        }
        let host = host.to_ascii_lowercase();
        match self.host.strip_prefix('*') {
            Some("") => true,
            // The suffix starts with a dot, so `*.a.b` does not allow `xa.b`, and something must be before it.
            Some(suffix) => host.len() > suffix.len() && host.ends_with(suffix),
            None => host == self.host,
        }
    }
}

impl FromStr for HostPattern {
    type Err = HostPatternError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || HostPatternError(text.to_string());
        let (host, port) = match text.rsplit_once(':') {
            // A bare IPv6 address has colons; with a port it is in brackets.
            Some((host, port)) if !host.contains(':') || host.ends_with(']') => {
                (host, Some(port.parse::<u16>().ok().filter(|p| *p > 0).ok_or_else(wrong)?))
            }
            _ => (text, None),
        };
        let rest = host.strip_prefix("*.").unwrap_or(if host == "*" { "any" } else { host });
        let fits = !rest.is_empty()
            && rest.len() <= 253
            && !rest.starts_with('.')
            && rest.chars().all(|c| c.is_ascii_alphanumeric() || "-._:[]".contains(c));
        if fits { Ok(HostPattern { host: host.to_ascii_lowercase(), port }) } else { Err(wrong()) }
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.port {
            Some(port) => write!(f, "{}:{port}", self.host),
            None => f.write_str(&self.host),
        }
    }
}

impl TryFrom<String> for HostPattern {
    type Error = HostPatternError;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<HostPattern> for String {
    fn from(pattern: HostPattern) -> String {
        pattern.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_pattern_allows_what_it_says() {
        let table = [
            ("example.com", "example.com", 443, true),
            ("example.com", "EXAMPLE.com", 80, true),
            ("example.com", "a.example.com", 443, false),
            ("example.com", "example.com.evil.net", 443, false),
            ("example.com:8443", "example.com", 443, false),
            ("example.com:8443", "example.com", 8443, true),
            ("*.example.com", "a.b.example.com", 443, true),
            ("*.example.com", "example.com", 443, false),
            ("*.example.com", "badexample.com", 443, false),
            ("*.example.com", ".example.com", 443, false),
            ("*", "anything", 1, true),
            ("127.0.0.1:9000", "127.0.0.1", 9000, true),
            ("[::1]:9000", "[::1]", 9000, true),
        ];
        for (pattern, host, port, allowed) in table {
            let parsed: HostPattern = pattern.parse().unwrap();
            assert_eq!(parsed.allows(host, port), allowed, "{pattern} {host}:{port}");
            assert_eq!(parsed.to_string(), pattern);
        }
    }

    #[test]
    fn urls_and_bad_ports_are_not_host_patterns() {
        for wrong in ["", "https://a.b", "a.b/c", "a:0", "a:99999", "*.", "*a.b", "a b", ".a"] {
            assert!(wrong.parse::<HostPattern>().is_err(), "{wrong:?}");
        }
    }
}
