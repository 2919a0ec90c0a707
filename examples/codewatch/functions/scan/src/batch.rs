//! The work without the platform: the event's data in, the data of the events to emit out.

use codewatch_rules::{Finding, check, scan, scan_path};
use serde::Deserialize;
use serde_json::{Value, json};

/// A longer file is refused.
pub const CONTENT_BYTES_MAX: usize = 256 * 1024;
/// The `path` of findings in a commit's message.
pub const MESSAGE_PATH: &str = "(commit message)";

#[derive(Deserialize)]
struct Batch {
    repository: String,
    commit: String,
    #[serde(default)]
    message: Option<String>,
    files: Vec<File>,
}

#[derive(Deserialize)]
struct File {
    path: String,
    #[serde(default)]
    content: Option<String>,
    #[serde(default)]
    base64: Option<String>,
}

/// What one batch comes to.
pub struct Scanned {
    /// `owner/name`.
    pub repository: String,
    /// The data of one event for each file with findings.
    pub findings: Vec<Value>,
}

/// Scans a batch.
///
/// # Errors
///
/// Why the whole batch can never be scanned. What may fail like that is sent in a batch of its own.
pub fn scanned(data: &[u8]) -> Result<Scanned, String> {
    let batch: Batch = serde_json::from_slice(data)
        .map_err(|error| format!("the event's data is no batch of files: {error}"))?;
    let mut findings = Vec::new();
    let mut add = |path: &str, found: Vec<Finding>| {
        if !found.is_empty() {
            findings.push(of_file(&batch.repository, &batch.commit, path, &found));
        }
    };
    if let Some(message) = &batch.message {
        add(MESSAGE_PATH, scan(MESSAGE_PATH, message));
    }
    for file in &batch.files {
        let mut found = scan_path(&file.path);
        found.append(&mut scan(&file.path, &text(file)?));
        add(&file.path, found);
    }
    Ok(Scanned { repository: batch.repository, findings })
}

fn text(file: &File) -> Result<String, String> {
    let path = &file.path;
    let text = match (&file.content, &file.base64) {
        (Some(text), _) => text.clone(),
        (None, None) => String::new(),
        (None, Some(base64)) => {
            let bytes =
                check::decode_base64(base64).ok_or_else(|| format!("{path}: `base64` is not base64"))?;
            String::from_utf8(bytes)
                .map_err(|error| format!("{path}: not UTF-8 at byte {}", error.utf8_error().valid_up_to()))?
        }
    };
    if text.len() > CONTENT_BYTES_MAX {
        return Err(format!("{path}: {} bytes long, at most {CONTENT_BYTES_MAX} are scanned", text.len()));
    }
    Ok(text)
}

fn of_file(repository: &str, commit: &str, path: &str, found: &[Finding]) -> Value {
    let findings: Vec<Value> = found
        .iter()
        .map(|finding| {
            json!({
                "rule": finding.rule,
                "severity": finding.severity,
                "line": finding.line,
                "excerpt": finding.excerpt,
                "fingerprint": finding.fingerprint,
            })
        })
        .collect();
    json!({ "repository": repository, "commit": commit, "path": path, "findings": findings })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(message: &str, files: Value) -> Vec<u8> {
        json!({ "repository": "octo/cat", "commit": "c1", "message": message, "files": files })
            .to_string()
            .into()
    }

    // One piece only in memory: the repository holds nothing that looks like a credential.
    fn secret_line() -> String {
        ["password = '", "Zq8vN2xK", "7pLw4RtY", "'"].concat()
    }

    #[test]
    fn each_file_with_findings_is_one_event() {
        let files = json!([
            { "path": "a.toml", "content": format!("[db]\n{}\n{}", secret_line(), secret_line().replace('Z', "Y")) },
            { "path": "b.toml", "content": "clean = true" },
            { "path": ".env" },
        ]);
        let scanned = scanned(&batch(&format!("add {}", secret_line()), files)).unwrap();
        let shape: Vec<_> = scanned
            .findings
            .iter()
            .map(|event| (event["path"].as_str().unwrap(), event["findings"].as_array().unwrap().len()))
            .collect();
        assert_eq!(shape, [(MESSAGE_PATH, 1), ("a.toml", 2), (".env", 1)]);
        assert_eq!(scanned.findings[1]["findings"][1]["line"], 3);
        assert!(!scanned.findings[1].to_string().contains("7pLw4RtY"));
    }

    #[test]
    fn what_can_not_be_scanned_is_an_error_that_names_it() {
        let cases = [
            (b"{".to_vec(), "no batch of files"),
            (batch("", json!([{ "path": "logo", "base64": "//8=" }])), "logo: not UTF-8 at byte 0"),
            (batch("", json!([{ "path": "logo", "base64": "!" }])), "logo: `base64` is not base64"),
            (
                batch("", json!([{ "path": "long", "content": "x".repeat(CONTENT_BYTES_MAX + 1) }])),
                "at most 262144",
            ),
        ];
        for (data, expected) in cases {
            let refusal = scanned(&data).err().unwrap();
            assert!(refusal.contains(expected), "{refusal}");
        }
    }
}
