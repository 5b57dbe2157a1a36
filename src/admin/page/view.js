// Draws what the model knows, and asks the server for more. What comes from the server is text and never HTML.
"use strict";

(() => {
  const INTERVAL = 1000;
  const SVG = "http://www.w3.org/2000/svg";
  const state = model.create();
  const found = (id) => document.getElementById(id);
  let paused = false;
  let silentSince = null;

  function element(name, text, className) {
    const made = document.createElement(name);
    if (text !== undefined) made.textContent = text;
    if (className) made.className = className;
    return made;
  }

  function shape(name, attributes, text) {
    const made = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    if (text !== undefined) made.textContent = text;
    return made;
  }

  // Text that is the same is left alone, so that a screen reader or a selection is not disturbed.
  function write(node, text) {
    if (node.textContent !== text) node.textContent = text;
  }

  function definitions(id, pairs) {
    const target = found(id);
    pairs.forEach(([name, value, className], index) => {
      let pair = target.children[index];
      if (!pair) {
        pair = element("div");
        pair.append(element("dt"), element("dd"));
        target.append(pair);
      }
      write(pair.children[0], name);
      write(pair.children[1], value);
      pair.children[1].className = className ?? "";
    });
  }

  // Rows of cells; a cell is a text, or a list of a text, a class and a node that stands before it.
  function table(id, rows, empty) {
    const body = found(id).tBodies[0];
    const columns = found(id).tHead.rows[0].cells.length;
    if (rows.length === 0) {
      const cell = element("td", empty);
      cell.colSpan = columns;
      const row = element("tr");
      row.append(cell);
      return body.replaceChildren(row);
    }
    const made = rows.map((cells) => {
      const row = element("tr");
      cells.forEach((cell, index) => {
        const [text, className, before] = Array.isArray(cell) ? cell : [cell, "number"];
        const made = element(index === 0 ? "th" : "td", text, className);
        if (index === 0) made.scope = "row";
        if (before) made.prepend(before);
        row.append(made);
      });
      return row;
    });
    return body.replaceChildren(...made);
  }

  function clock(at) {
    return new Date(at * 1000).toLocaleTimeString();
  }

  function bar(busy) {
    const drawn = shape("svg", { class: "load", viewBox: "0 0 100 10", preserveAspectRatio: "none", "aria-hidden": "true" });
    drawn.append(shape("rect", { width: 100, height: 10 }), shape("rect", { width: busy * 100, height: 10 }));
    return drawn;
  }

  // One chart: curves of the points from the left to the right, on an axis that begins at nought.
  function chart(id, curves, label, words) {
    const box = found(id);
    const [width, height, left, bottom, top] = [Math.max(box.clientWidth, 200), Math.max(box.clientHeight, 120), 64, 18, 8];
    const points = state.points;
    const known = curves.flatMap(([key]) => points.map((point) => model.number(point[key])));
    const most = model.ceiling(Math.max(...known, 1e-6));
    const x = (index) => left + ((width - left - 4) * (index + 120 - points.length)) / 119;
    const y = (value) => height - bottom - ((height - bottom - top) * value) / most;
    const drawn = shape("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": words });
    for (const part of [0, 0.5, 1]) {
      const line = y(most * part);
      drawn.append(shape("line", { class: "grid", x1: left, x2: width, y1: line, y2: line }));
      drawn.append(shape("text", { x: left - 6, y: line + 4, "text-anchor": "end" }, label(most * part)));
    }
    drawn.append(shape("text", { x: left, y: height - 3 }, "2 minutes ago"));
    drawn.append(shape("text", { x: width - 4, y: height - 3, "text-anchor": "end" }, "now"));
    curves.forEach(([key, name], order) => {
      const places = points.map((point, index) => [x(index), point[key]]).filter(([, value]) => value !== null);
      if (places.length === 0) return;
      const path = places.map(([across, value], index) => `${index ? "L" : "M"}${across.toFixed(1)} ${y(value).toFixed(1)}`).join("");
      if (curves.length === 1) {
        const ends = [places[places.length - 1][0], places[0][0]].map((across) => `L${across.toFixed(1)} ${y(0).toFixed(1)}`);
        drawn.append(shape("path", { class: "under", d: `${path}${ends.join("")}Z` }));
      }
      drawn.append(shape("path", { class: `curve ${["one", "two", "three"][order]}`, d: path }));
      if (curves.length > 1) {
        const start = left + 8 + order * 72;
        drawn.append(shape("line", { class: `curve ${["one", "two", "three"][order]}`, x1: start, x2: start + 22, y1: top + 6, y2: top + 6 }));
        drawn.append(shape("text", { x: start + 27, y: top + 10 }, name));
      }
    });
    box.replaceChildren(drawn);
  }

  function drawCharts() {
    const now = state.points[state.points.length - 1];
    const most = Math.max(...state.points.map((point) => point.rate));
    const rate = `${model.count(now.rate)} requests a second now, ${model.count(most)} at most in two minutes.`;
    chart("rate-chart", [["rate", "requests/s"]], model.count, rate);
    write(found("rate-words"), rate);
    const latency = now.p50 === null
      ? "No request has ended in the last ten seconds."
      : `Of the last ten seconds: half of the requests took less than ${model.time(now.p50)}, 90 % less than ${model.time(now.p90)}, 99 % less than ${model.time(now.p99)}.`;
    chart("latency-chart", [["p50", "p50"], ["p90", "p90"], ["p99", "p99"]], model.time, latency);
    write(found("latency-words"), latency);
    if (found("history").closest("details").open) {
      const rows = state.points.filter((_, index) => (state.points.length - 1 - index) % 10 === 0).reverse();
      table("history", rows.map((it) => [clock(it.at), model.count(it.rate), model.time(it.p50), model.time(it.p90), model.time(it.p99)]), "Nothing yet");
    }
  }

  function drawNumbers(status) {
    const now = state.points[state.points.length - 1];
    const requests = status.requests ?? {};
    const failed = model.rate(state, (it) => model.sum(Object.values(it.requests?.guest_failures ?? {})));
    const errors = model.rate(state, (it) => it.requests?.by_status?.["5xx"]);
    const cpu = model.perSecond(state, (before, after) => model.grown(before.cpu_seconds, after.cpu_seconds));
    definitions("numbers", [
      ["requests/s", model.count(now.rate)],
      ["p50", model.time(now.p50)],
      ["p99", model.time(now.p99)],
      ["in flight", model.count(requests.in_flight)],
      ["waiting", model.count(requests.queued)],
      ["failed/s", model.count(failed), failed > 0 ? "bad" : ""],
      ["5xx/s", model.count(errors), errors > 0 ? "bad" : ""],
      ["CPU", `${(cpu * 100).toFixed(0)} %`],
      ["memory", model.bytes(model.sum(model.list(status.workers).map((it) => it.memory_bytes)))],
      ["requests in all", model.count(requests.total)],
    ]);
  }

  function drawWorkers(status) {
    const workers = model.list(status.workers);
    const ready = workers.filter((it) => it.state === "ready").length;
    write(found("worker-count"), `${ready} of ${status.workers_wanted} are ready`);
    table("workers", workers.map((it) => {
      const busy = Math.min(1, Math.max(0, model.number(it.busy)));
      const answering = it.answering ? `${it.answering.request} (${model.time(it.answering.since_seconds)})` : "";
      return [
        String(it.pid), [it.state, it.state === "ready" ? "good" : "bad"], [`${(busy * 100).toFixed(0)} %`, "number", bar(busy)],
        model.count(model.workerRate(state, it)), model.count(it.requests),
        [model.count(it.failures), it.failures > 0 ? "bad" : "number"], model.count(it.connections), model.count(it.in_flight),
        model.bytes(it.memory_bytes), model.time(it.age_seconds), String(it.generation), [answering, "text"],
      ];
    }), "There is no worker");
  }

  function drawFailures(status) {
    table("failures", state.failures.map((it) => [clock(it.at), [it.what, "text"], model.count(it.times)]), "Nothing has failed");
    const reloads = status.reloads ?? {};
    const last = reloads.last;
    const outcome = last ? `${last.outcome} at ${clock(last.at)}${last.reason ? `: ${last.reason}` : ""}` : "none yet";
    definitions("reloads", [
      ["version served", `${reloads.generation}${reloads.in_progress ? ", another is being made" : ""}`],
      ["succeeded", model.count(reloads.succeeded)],
      ["failed", model.count(reloads.failed), reloads.failed > 0 ? "bad" : ""],
      ["last reload", outcome, last?.outcome === "failure" ? "bad" : ""],
      ["canary", model.canary(reloads.canary)],
    ]);
    const ends = model.list(status.ended_workers);
    table("ends", ends.map((it) => [clock(it.at), String(it.pid), String(it.reason).replaceAll("_", " "), [it.detail, "text"]]), "None has ended");
  }

  function draw() {
    const status = model.latest(state);
    if (!status || !state.points.length) return;
    const component = status.component;
    const version = component ? `${component.path}, version ${component.generation}, ${String(component.digest ?? "").slice(0, 12)}` : "nothing is served yet";
    write(found("version"), `${status.version} [${status.pid}]`);
    write(found("component"), `${version}, at ${model.list(status.listeners).join(", ")}`);
    write(found("state"), `${status.state}, ${status.ready ? "ready" : "not ready"}`);
    found("state").className = `badge ${status.ready ? "good" : "bad"}`;
    write(found("uptime"), `up ${model.time(status.uptime_seconds)}`);
    drawNumbers(status);
    drawCharts();
    drawWorkers(status);
    drawFailures(status);
  }

  // What is read aloud: only what somebody would want to hear of.
  function tell(status, failures) {
    const reasons = status.ready ? [] : model.list(status.reasons);
    const newest = failures.filter((it) => model.number(it.at) > Date.now() / 1000 - 30).map((it) => it.what);
    if (reasons.length > 0) write(found("news"), `Not ready: ${reasons.join("; ")}`);
    else if (newest.length > 0) write(found("news"), newest.join("; "));
    else if (/^(Not ready|No answer)/.test(found("news").textContent)) write(found("news"), "The server is ready again.");
  }

  async function ask() {
    const asked = await fetch("status", { cache: "no-store", signal: AbortSignal.timeout(5000) });
    if (!asked.ok) throw new Error(`status ${asked.status}`);
    const status = await asked.json();
    silentSince = null;
    tell(status, model.add(state, status, Date.now() / 1000));
    draw();
  }

  async function look() {
    if (!paused && !document.hidden) {
      try {
        await ask();
      } catch (error) {
        silentSince ??= new Date();
        write(found("news"), `No answer from the server since ${silentSince.toLocaleTimeString()}; it is asked again every second.`);
        write(found("state"), "no answer");
        found("state").className = "badge bad";
      }
    }
    setTimeout(look, INTERVAL);
  }

  found("pause").addEventListener("click", () => {
    paused = !paused;
    found("pause").setAttribute("aria-pressed", String(paused));
  });
  addEventListener("resize", draw);
  found("history").closest("details").addEventListener("toggle", draw);
  look();
})();
