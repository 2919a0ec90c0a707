// Folds findings into the tenant's report: one key per repository in namespace `reports`.
//
// Running twice for one event must not change the report, so findings are keyed by fingerprint and one that is
// already there stays as it was first seen. What is announced is what was not there before.

import emitter from "flyball:function/emitter@0.1.0";
import keyvalue from "flyball:function/keyvalue@0.1.0";
import logging from "flyball:function/logging@0.1.0";
import { decodeUtf8, encodeUtf8 } from "./utf8.js";
import { findings_max, fold } from "./fold.js";

const namespace = "reports";
const topic = "announcements";

function permanent(message) {
  return { tag: "permanent", val: message };
}

// What the host refused: only an `unavailable` platform is worth another attempt.
function refused(what, error) {
  const text = `${what}: ${error?.tag ?? "error"}: ${error?.val ?? error}`;
  return error?.tag === "unavailable" ? { tag: "retry", val: text } : permanent(text);
}

function call(what, host_call) {
  try {
    return host_call();
  } catch (error) {
    throw refused(what, error?.payload ?? error);
  }
}

function parse(what, bytes) {
  let value;
  try {
    value = JSON.parse(decodeUtf8(bytes));
  } catch (error) {
    throw permanent(`${what} is not JSON: ${error.message}`);
  }
  return value;
}

function checked(finding_event) {
  const text = (name) => typeof finding_event?.[name] === "string" && finding_event[name] !== "";
  for (const name of ["repository", "commit", "path"]) {
    if (!text(name)) throw permanent(`the event's data: \`${name}\` must be a text that is not empty`);
  }
  const list = finding_event.findings;
  if (!Array.isArray(list) || list.some((finding) => typeof finding?.fingerprint !== "string")) {
    throw permanent("the event's data: `findings` must be a list, each with a `fingerprint`");
  }
  return finding_event;
}

function handle(event) {
  const found = checked(parse("the event's data", event.data));
  const key = found.repository;
  const stored = call("reading the report", () => keyvalue.get(namespace, key));
  const before = stored ? parse(`the stored report ${key}`, stored) : null;
  const { report, added, omitted } = fold(before, found, Number(event.timeMs));
  if (omitted > 0) {
    logging.log("warn", `${key}: ${omitted} findings left out, a report holds ${findings_max}; resolve some first`);
  }
  if (added.length === 0) return null;
  call("writing the report", () => keyvalue.set(namespace, key, encodeUtf8(JSON.stringify(report))));
  const announcement = {
    repository: found.repository,
    commit: found.commit,
    path: found.path,
    new_findings: added,
    total: Object.keys(report.findings).length,
  };
  call("announcing", () =>
    emitter.emit(topic, {
      kind: "codewatch.announcement",
      subject: key,
      contentType: "application/json",
      delayMs: 0,
      data: encodeUtf8(JSON.stringify(announcement)),
    }),
  );
  logging.log("info", `${key}: ${added.length} new findings in ${found.path}`);
  return null;
}

export const handler = { handle };
