import assert from "node:assert/strict";
import { test } from "node:test";
import { findings_max, fold } from "./fold.js";
import { decodeUtf8, encodeUtf8 } from "./utf8.js";

const finding = (fingerprint, line = 1) => ({ fingerprint, rule: "r", severity: "high", line, excerpt: "e" });
const found = (...findings) => ({ repository: "octo/cat", commit: "c1", path: "a", findings });

test("folding one event twice does not change the report and announces nothing", () => {
  const event = found(finding("f1"), finding("f2"), finding("f1"));
  const first = fold(null, event, 7);
  assert.deepEqual(first.added.map((added) => added.fingerprint), ["f1", "f2"]);
  const second = fold(first.report, event, 7);
  assert.equal(JSON.stringify(second.report), JSON.stringify(first.report));
  assert.deepEqual([second.added, second.omitted], [[], 0]);
});

test("a finding stays as it was first seen", () => {
  const first = fold(null, found(finding("f1", 3)), 7).report;
  const later = fold(first, { ...found(finding("f1", 9), finding("f2")), commit: "c2" }, 8);
  assert.deepEqual(
    [later.report.findings.f1.line, later.report.findings.f1.commit, later.report.findings.f1.first_seen_ms],
    [3, "c1", 7],
  );
  assert.deepEqual(later.added.map((added) => added.fingerprint), ["f2"]);
  assert.equal(first.findings.f2, undefined);
});

test("a report is bounded, and folding past the bound stays the same", () => {
  const all = found(...Array.from({ length: findings_max + 2 }, (_, at) => finding(`f${at}`)));
  const full = fold(null, all, 1);
  assert.deepEqual([Object.keys(full.report.findings).length, full.omitted], [findings_max, 2]);
  assert.deepEqual(fold(full.report, all, 2), { report: full.report, added: [], omitted: 2 });
});

test("UTF-8 goes both ways, and what is none is refused", () => {
  const text = "a\u00e9\u20ac\u{1f600}\u0000".repeat(2000);
  assert.deepEqual(Buffer.from(encodeUtf8(text)), Buffer.from(text));
  assert.equal(decodeUtf8(Buffer.from(text)), text);
  assert.deepEqual(Buffer.from(encodeUtf8("\ud800")), Buffer.from("\ufffd"));
  assert.throws(() => decodeUtf8([0xff, 0xfe]));
});
