// The fold itself, without the platform: (report so far, findings of one file) -> (report, what is new in it).

// A report is one value in the key-value store, so it has to end somewhere.
export const findings_max = 500;

export function fold(before, found, time_ms) {
  const findings = { ...(before?.findings ?? {}) };
  const added = [];
  let count = Object.keys(findings).length;
  let omitted = 0;
  for (const { fingerprint, ...finding } of found.findings) {
    if (Object.hasOwn(findings, fingerprint)) continue;
    if (count >= findings_max) {
      omitted += 1;
      continue;
    }
    findings[fingerprint] = { ...finding, path: found.path, commit: found.commit, first_seen_ms: time_ms };
    added.push({ fingerprint, ...finding });
    count += 1;
  }
  return { report: { repository: found.repository, findings }, added, omitted };
}
