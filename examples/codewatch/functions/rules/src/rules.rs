//! The rules. To add one: a line here, and its cases in `cases.txt`.

use crate::check;

/// How bad it is when the finding is true.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// A credential of a known form: revoke it.
    High,
    /// Probably a credential, or a file that holds some.
    Medium,
    /// Looks like a secret by its name and randomness only.
    Low,
}

impl Severity {
    /// The word in a finding.
    pub fn name(self) -> &'static str {
        match self {
            Self::High => "high",
            Self::Medium => "medium",
            Self::Low => "low",
        }
    }
}

/// One rule. It matches within a line; capture group 1 of `pattern` is the secret.
pub struct Rule {
    /// Its stable name.
    pub id: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// Literals in lower case: a line without any of them is not matched against `pattern` at all.
    pub keywords: &'static [&'static str],
    /// The form of the secret.
    pub pattern: &'static str,
    /// What no pattern can say: a checksum, randomness, a placeholder.
    pub holds: fn(&str) -> bool,
}

const fn rule(
    id: &'static str,
    severity: Severity,
    keywords: &'static [&'static str],
    pattern: &'static str,
    holds: fn(&str) -> bool,
) -> Rule {
    Rule { id, severity, keywords, pattern, holds }
}

use Severity::{High, Low, Medium};

/// In order of priority: where two rules match the same characters, the first has them.
pub const RULES: &[Rule] = &[
    rule(
        "aws-access-key-id",
        High,
        &["akia", "asia", "abia", "acca"],
        r"\b((?:AKIA|ASIA|ABIA|ACCA)[A-Z2-7]{16})\b",
        |secret| check::real(secret) && check::bits_per_character(secret) >= 3.0,
    ),
    rule(
        "aws-secret-access-key",
        High,
        &["aws", "secret"],
        r#"(?i)(?:aws|secret)[a-z0-9_. -]{0,30}["']?\s*[:=]>?\s*["']?([a-z0-9/+]{40})(?:[^a-z0-9/+=]|$)"#,
        |secret| check::real(secret) && check::bits_per_character(secret) >= 4.2 && check::mixed_case(secret),
    ),
    rule(
        "github-token",
        High,
        &["ghp_", "gho_", "ghu_", "ghs_", "ghr_"],
        r"\b(gh[pousr]_[A-Za-z0-9]{36})\b",
        |secret| check::crc32_base62(secret),
    ),
    rule(
        "github-fine-grained-token",
        High,
        &["github_pat_"],
        r"\b(github_pat_[A-Za-z0-9]{22}_[A-Za-z0-9]{59})\b",
        check::random,
    ),
    rule(
        "gitlab-token",
        High,
        &["glpat-"],
        r"\b(glpat-[A-Za-z0-9_-]{20})(?:[^A-Za-z0-9_-]|$)",
        check::random,
    ),
    rule(
        "slack-token",
        High,
        &["xoxa-", "xoxb-", "xoxp-", "xoxr-", "xoxs-"],
        r"\b(xox[abprs]-[0-9]{10,13}-[A-Za-z0-9-]{20,80})",
        check::random,
    ),
    rule(
        "slack-webhook",
        High,
        &["hooks.slack.com"],
        r"(hooks\.slack\.com/services/T[A-Z0-9]{8,11}/B[A-Z0-9]{8,11}/[A-Za-z0-9]{24})",
        check::random,
    ),
    rule("stripe-live-key", High, &["_live_"], r"\b((?:sk|rk)_live_[A-Za-z0-9]{24,99})\b", check::random),
    rule("google-api-key", High, &["aiza"], r"\b(AIza[A-Za-z0-9_-]{35})(?:[^A-Za-z0-9_-]|$)", check::random),
    rule(
        "google-oauth-secret",
        High,
        &["gocspx-"],
        r"\b(GOCSPX-[A-Za-z0-9_-]{28})(?:[^A-Za-z0-9_-]|$)",
        check::random,
    ),
    rule(
        "private-key",
        High,
        &["private key"],
        r"(-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----)",
        |_| true,
    ),
    rule(
        "json-web-token",
        Medium,
        &["eyj"],
        r"\b(eyJ[A-Za-z0-9_-]{10,2000}\.eyJ[A-Za-z0-9_-]{4,4000}\.[A-Za-z0-9_-]{20,1000})",
        check::json_web_token,
    ),
    rule("npm-token", High, &["npm_"], r"\b(npm_[A-Za-z0-9]{36})\b", check::crc32_base62),
    rule(
        "pypi-token",
        High,
        &["pypi-ageichlwas5vcmc"],
        r"\b(pypi-AgEIcHlwaS5vcmc[A-Za-z0-9_-]{50,500})",
        check::random,
    ),
    rule("twilio-api-key", High, &["sk"], r"\b(SK[0-9a-f]{32})\b", check::random),
    rule(
        "sendgrid-api-key",
        High,
        &["sg."],
        r"\b(SG\.[A-Za-z0-9_-]{22}\.[A-Za-z0-9_-]{43})(?:[^A-Za-z0-9_-]|$)",
        check::random,
    ),
    rule("mailgun-api-key", High, &["key-"], r"\b(key-[0-9a-f]{32})\b", check::random),
    rule(
        "digitalocean-token",
        High,
        &["dop_v1_", "doo_v1_", "dor_v1_"],
        r"\b(do[por]_v1_[0-9a-f]{64})\b",
        check::random,
    ),
    rule(
        "anthropic-api-key",
        High,
        &["sk-ant-"],
        r"\b(sk-ant-[a-z]{3,5}[0-9]{2}-[A-Za-z0-9_-]{80,120})",
        check::random,
    ),
    rule(
        "openai-api-key",
        High,
        &["t3blbkfj"],
        r"\b(sk-(?:[a-z]{4,8}-)?[A-Za-z0-9_-]{20,80}T3BlbkFJ[A-Za-z0-9_-]{20,80})",
        check::random,
    ),
    rule(
        "shopify-token",
        High,
        &["shpat_", "shpca_", "shppa_", "shpss_"],
        r"\b(shp(?:at|ca|pa|ss)_[0-9a-fA-F]{32})\b",
        check::random,
    ),
    rule("vault-token", High, &["hvs.", "hvb."], r"\b(hv[sb]\.[A-Za-z0-9_-]{24,200})", check::random),
    rule(
        "telegram-bot-token",
        High,
        &[":aa"],
        r"\b([0-9]{8,10}:AA[A-Za-z0-9_-]{33})(?:[^A-Za-z0-9_-]|$)",
        check::random,
    ),
    rule(
        "azure-storage-key",
        High,
        &["accountkey"],
        r"(?i)AccountKey\s*=\s*([A-Za-z0-9+/]{86}==)",
        check::random,
    ),
    rule(
        "password-in-url",
        Medium,
        &["://"],
        r#"(?i)\b(?:postgres(?:ql)?|mysql|mariadb|mongodb(?:\+srv)?|rediss?|amqps?|https?|ftp)://[^\s:/@"']{0,64}:([^\s/@"']{6,128})@[a-z0-9.-]{3,253}"#,
        check::real,
    ),
    rule(
        "secret-assignment",
        Low,
        &["secret", "token", "passw", "pwd", "key", "credential"],
        r#"(?i)(?:secret|token|passwo?r?d|pwd|api_?key|access_?key|private_?key|credentials?)[a-z0-9_]{0,20}["']?\s*(?::=|=>|[:=])\s*["']([^\s"']{16,200})["']"#,
        check::assigned_secret,
    ),
];

/// Names of files that hold credentials, whatever is in them: (ending of the path, rule).
pub const FILE_NAMES: &[&str] = &[
    "id_rsa",
    "id_dsa",
    "id_ecdsa",
    "id_ed25519",
    ".pem",
    ".p12",
    ".pfx",
    ".keystore",
    ".jks",
    ".kdbx",
    ".env",
    ".npmrc",
    ".pypirc",
    ".netrc",
    ".pgpass",
    ".htpasswd",
    "credentials.json",
    "secrets.yml",
    "secrets.yaml",
];
/// The rule that [`FILE_NAMES`] belong to.
pub const FILE_NAME_RULE: &str = "sensitive-file-name";
