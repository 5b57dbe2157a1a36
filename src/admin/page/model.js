// What the page knows: the last answers of the server, and what follows from their differences. It draws nothing.
// The server writes BAD_ENDS before it: the ends of workers that somebody should look into.
"use strict";

const model = (() => {
  // Points of the charts, and seconds that percentiles are of.
  const POINTS = 120;
  const WINDOW = 10;
  const FAILURES = 50;

  const number = (value) => (Number.isFinite(value) ? value : 0);
  const list = (value) => (Array.isArray(value) ? value : []);
  const sum = (values) => values.reduce((total, value) => total + number(value), 0);

  function create() {
    return { samples: [], points: [], failures: [] };
  }

  // Another executable counts anew, and a worker may write anything: nothing ever goes down.
  function grown(before, after) {
    return Math.max(0, number(after) - number(before));
  }

  // What so large a part took less than, in seconds; null where there is nothing. Bucket n is from 2^(n-1) to 2^n
  // microseconds, within which values are taken to be spread evenly on a logarithmic scale.
  function percentile(counts, part) {
    const all = sum(counts);
    let below = 0;
    for (let bucket = 0; bucket < counts.length; bucket += 1) {
      if (counts[bucket] > 0 && below + counts[bucket] >= all * part) {
        const within = Math.min(1, Math.max(0, (all * part - below) / counts[bucket]));
        return 2 ** (bucket - 1 + within) / 1e6;
      }
      below += counts[bucket];
    }
    return null;
  }

  function latest(state) {
    const sample = state.samples[state.samples.length - 1];
    return sample ? sample.status : null;
  }

  // A change in a second between the last two answers.
  function perSecond(state, difference) {
    const [before, after] = state.samples.slice(-2);
    if (!after) return 0;
    return difference(before.status, after.status) / Math.max(0.001, after.at - before.at);
  }

  function rate(state, of) {
    return perSecond(state, (before, after) => grown(of(before), of(after)));
  }

  function workerRate(state, worker) {
    return perSecond(state, (before) => {
      const same = list(before.workers).find((other) => other.pid === worker.pid);
      return grown(same ? same.requests : 0, worker.requests);
    });
  }

  function percentiles(state) {
    const counts = (sample) => list(sample.status.requests?.duration_counts);
    const before = counts(state.samples[0]);
    const after = counts(state.samples[state.samples.length - 1]);
    const lately = after.map((count, bucket) => grown(before[bucket], count));
    return [0.5, 0.9, 0.99].map((part) => percentile(lately, part));
  }

  // Failures that show as counters that have grown.
  function counted(before, after, at) {
    const found = [];
    for (const [name, what] of [["guest_failures", "request failed"], ["refused", "request refused"]]) {
      for (const [kind, count] of Object.entries(after.requests?.[name] ?? {})) {
        const times = grown(before.requests?.[name]?.[kind], count);
        if (times > 0) found.push({ at, what: `${what}: ${kind.replaceAll("_", " ")}`, times });
      }
    }
    return found;
  }

  // Failures that the server names one by one, and had not named before.
  function told(before, after) {
    const known = list(before?.ended_workers).map((end) => `${end.pid} ${end.at}`);
    const ends = list(after.ended_workers)
      .filter((end) => BAD_ENDS.includes(end.reason) && !known.includes(`${end.pid} ${end.at}`))
      .map((end) => {
        const detail = end.detail ? `: ${end.detail}` : "";
        return { at: end.at, what: `worker ${end.pid} ${String(end.reason).replaceAll("_", " ")}${detail}`, times: 1 };
      });
    const last = after.reloads?.last;
    if (last?.outcome === "failure" && last.at !== before?.reloads?.last?.at) {
      ends.push({ at: last.at, what: `reload failed: ${last.reason ?? ""}`, times: 1 });
    }
    return ends;
  }

  // Failures of a kind share a line.
  function merge(failures) {
    const merged = new Map();
    for (const failure of failures) {
      const same = merged.get(failure.what);
      if (same) {
        same.times += failure.times;
        same.at = Math.max(same.at, failure.at);
      } else {
        merged.set(failure.what, { ...failure });
      }
    }
    return [...merged.values()].sort((one, other) => other.at - one.at).slice(0, FAILURES);
  }

  // Takes note of an answer that came at this moment, in seconds since 1970.
  function add(state, status, at) {
    const before = latest(state);
    const failures = [...(before ? counted(before, status, at) : []), ...told(before, status)];
    state.failures = merge([...state.failures, ...failures]);
    state.samples.push({ at, status });
    while (state.samples.length > 2 && at - state.samples[0].at > WINDOW) state.samples.shift();
    const [p50, p90, p99] = percentiles(state);
    state.points.push({ at, rate: rate(state, (it) => it.requests?.total), p50, p90, p99 });
    if (state.points.length > POINTS) state.points.shift();
    return failures;
  }

  function time(seconds) {
    if (typeof seconds !== "number") return "–";
    if (seconds < 0.001) return `${(seconds * 1e6).toFixed(0)} µs`;
    if (seconds < 1) return `${(seconds * 1e3).toFixed(1)} ms`;
    if (seconds < 60) return `${seconds.toFixed(1)} s`;
    if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${Math.floor(seconds % 60)} s`;
    if (seconds < 86400) return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds / 60) % 60)} min`;
    return `${Math.floor(seconds / 86400)} d ${Math.floor((seconds / 3600) % 24)} h`;
  }

  function count(value) {
    const rounded = value > 0 && value < 10 ? Math.round(value * 10) / 10 : Math.round(number(value));
    return rounded.toLocaleString("en");
  }

  function bytes(value) {
    const mib = number(value) / 1048576;
    return mib < 1024 ? `${mib.toFixed(1)} MiB` : `${(mib / 1024).toFixed(1)} GiB`;
  }

  // A canary in one line; what has failed of all, and what 99 of 100 requests took, of both versions.
  function canary(it) {
    if (!it) return "none";
    const version = (of) => `${count(of?.failed)} of ${count(of?.requests)} failed, p99 ${time(of?.p99_seconds)}`;
    const left = it.state === "waiting"
      ? "too few requests to judge by, waiting"
      : `${time(Math.max(0, number(it.time_seconds) - number(it.elapsed_seconds)))} left`;
    return `version ${it.generation}, ${left}: ${version(it.new)}; old version: ${version(it.old)}`;
  }

  // A round number that is no less, for the end of an axis.
  function ceiling(value) {
    const size = 10 ** Math.floor(Math.log10(Math.max(value, 1e-6)));
    return [1, 2, 5, 10].map((step) => step * size).find((step) => step >= value) ?? value;
  }

  return { add, bytes, canary, ceiling, count, create, latest, list, number, percentile, rate, sum, time, workerRate, perSecond, grown };
})();
