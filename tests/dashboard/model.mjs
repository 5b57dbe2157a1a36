// Judges what the page makes of status documents, without a browser: node tests/dashboard/model.mjs

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import vm from "node:vm";

const source = readFileSync(new URL("../../src/admin/page/model.js", import.meta.url), "utf8");
const model = vm.runInThisContext(`"use strict"; const BAD_ENDS = ["crashed"];\n${source}\nmodel;`);

function watched(...documents) {
  const state = model.create();
  const failures = documents.map((status, second) => model.add(state, status, 1000 + second));
  return { state, failures, now: state.points.at(-1) };
}

// Rates are of the last second, and never below nought.
const total = (count) => ({ requests: { total: count } });
assert.equal(watched(total(7)).now.rate, 0);
assert.equal(watched(total(0), total(10), total(17)).now.rate, 7);
assert.equal(watched(total(1e9), total(1)).now.rate, 0);

// Percentiles are of the last requests, and within their bucket.
const counts = (...duration_counts) => ({ requests: { duration_counts } });
const { p50 } = watched(counts(0, 0, 1000, 0), counts(0, 0, 1000, 8)).now;
assert.ok(p50 >= 4e-6 && p50 < 8e-6, p50);
assert.equal(watched(counts(0, 5)).now.p50, null);
assert.equal(model.percentile([0, 1, 0], 1), 2e-6);

// A worker has the rate of its own process.
const workers = (...each) => ({ workers: each.map(([pid, requests]) => ({ pid, requests })) });
const after = workers([1, 8], [3, 4]);
const { state } = watched(workers([1, 5], [2, 100]), after);
assert.deepEqual(after.workers.map((worker) => model.workerRate(state, worker)), [3, 4]);

// Failures are told once, and those of a kind share a line.
const crashed = { pid: 7, at: 1000.5, reason: "crashed", detail: "SIGSEGV" };
const reloaded = { pid: 8, at: 1000.6, reason: "reload", detail: "" };
const traps = (trap, ...ended_workers) => ({ requests: { guest_failures: { trap } }, ended_workers });
const failed = watched(traps(5), traps(7, crashed, reloaded), traps(10, crashed, reloaded), traps(10, crashed, reloaded));
assert.deepEqual(failed.state.failures, [
  { at: 1002, what: "request failed: trap", times: 5 },
  { at: 1000.5, what: "worker 7 crashed: SIGSEGV", times: 1 },
]);
assert.equal(failed.failures.flat().length, 3);
const last = { outcome: "failure", at: 900, reason: "no component" };
assert.equal(watched({ reloads: { last } }).state.failures[0].what, "reload failed: no component");

// Whatever a server says, the page goes on, and keeps no more than it shows.
const odd = { requests: { total: null, duration_counts: [null, "x"], guest_failures: { trap: "y" } }, workers: null };
const many = watched(...Array(500).fill({}), odd, { requests: null, ended_workers: 7, reloads: null });
assert.ok(many.state.points.length <= 120 && many.state.samples.length <= 12);

// A canary is shown with the figures of both versions.
const compared = (failed, p99_seconds) => ({ requests: 240, failed, p99_seconds });
const canary = { generation: 4, state: "comparing", elapsed_seconds: 15, time_seconds: 60, old: compared(0, null), new: compared(12, 0.0201) };
assert.equal(model.canary(canary), "version 4, 45.0 s left: 12 of 240 failed, p99 20.1 ms; old version: 0 of 240 failed, p99 –");
assert.match(model.canary({ ...canary, state: "waiting" }), /too few requests/);
assert.deepEqual([model.canary(null), typeof model.canary({ state: 7 })], ["none", "string"]);

// Times, numbers and sizes are shown in the units that people use.
const shown = [0.00012, 0.25, 7.25, 61.9, 7260, 90000, null].map(model.time);
assert.deepEqual(shown, ["120 µs", "250.0 ms", "7.3 s", "1 min 1 s", "2 h 1 min", "1 d 1 h", "–"]);
assert.deepEqual([0, 0.25, 12.6, 1234567, undefined].map(model.count), ["0", "0.3", "13", "1,234,567", "0"]);
assert.deepEqual([12 << 20, 3 * 2 ** 30].map(model.bytes), ["12.0 MiB", "3.0 GiB"]);
assert.deepEqual([0.3, 1, 7, 1200].map((value) => Number(model.ceiling(value).toPrecision(3))), [0.5, 1, 10, 2000]);
console.log("the page understands what servers say");
