// Headless Chromium for the checks of pages, and what each of them does: starts programs, waits, and ends all in time.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

// A check has a folder of its own, and waits for so many milliseconds at most. What `said` returns is told when it waits
// in vain.
export class Check {
  constructor(name, limit, said = () => "") {
    this.folder = mkdtempSync(join(tmpdir(), `wasmserve-${name}-`));
    this.limit = limit;
    this.said = said;
    this.started = [];
  }

  async until(what, look) {
    const deadline = Date.now() + this.limit;
    for (;;) {
      const seen = await look();
      if (seen) return seen;
      assert.ok(Date.now() < deadline, `waited in vain: ${what}\n${this.said()}`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  start(command, words, options) {
    const child = spawn(command, words, options);
    child.on("error", (error) => { console.error(`${command}: ${error.message}`); process.exit(1); });
    this.started.push(child);
    return child;
  }

  // A page of a browser that is spoken to over two pipes (the Chrome DevTools Protocol).
  async browse() {
    const words = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--remote-debugging-pipe", `--user-data-dir=${this.folder}/browser`, "about:blank"];
    const chromium = this.start(process.env.CHROMIUM ?? "chromium", words, { stdio: ["ignore", "ignore", "ignore", "pipe", "pipe"] });
    const [waiting, complaints] = [new Map(), []];
    let [received, last] = ["", 0];
    chromium.stdio[4].setEncoding("utf8").on("data", (piece) => {
      const messages = (received + piece).split("\0");
      received = messages.pop();
      for (const message of messages.map((text) => JSON.parse(text))) {
        waiting.get(message.id)?.(message);
        if (message.method === "Runtime.exceptionThrown") complaints.push(JSON.stringify(message.params.exceptionDetails));
        if (message.method === "Log.entryAdded" && message.params.entry.level === "error") complaints.push(message.params.entry.text);
      }
    });
    const send = (method, params = {}, sessionId) => new Promise((resolve, reject) => {
      const id = ++last;
      const late = setTimeout(() => reject(new Error(`${method} was not answered`)), this.limit);
      waiting.set(id, ({ error, result }) => {
        clearTimeout(late);
        return error ? reject(new Error(`${method}: ${error.message}`)) : resolve(result);
      });
      chromium.stdio[3].write(`${JSON.stringify({ id, method, params, sessionId })}\0`);
    });
    const { targetId } = await send("Target.createTarget", { url: "about:blank" });
    const { sessionId } = await send("Target.attachToTarget", { targetId, flatten: true });
    const tab = (method, params) => send(method, params, sessionId);
    for (const domain of ["Page", "Runtime", "Log"]) await tab(`${domain}.enable`);
    const evaluate = async (expression) => {
      const { result, exceptionDetails } = await tab("Runtime.evaluate", { expression, awaitPromise: true, returnByValue: true });
      assert.equal(exceptionDetails, undefined, exceptionDetails?.exception?.description);
      return result.value;
    };
    const press = async (key, code = key, text) => {
      const pressed = { key, code, windowsVirtualKeyCode: { Tab: 9, Enter: 13 }[key] };
      await tab("Input.dispatchKeyEvent", { type: "keyDown", ...pressed, text });
      await tab("Input.dispatchKeyEvent", { type: "keyUp", ...pressed });
    };
    return { tab, evaluate, press, complaints };
  }

  // Runs a check to its end, and ends what it has started however it went.
  async run(check, done) {
    try {
      await check();
      console.log(done);
    } finally {
      for (const child of this.started) {
        const ended = new Promise((resolve) => { child.once("exit", resolve); });
        if (child.exitCode === null && child.kill("SIGKILL")) await ended;
      }
      rmSync(this.folder, { recursive: true, force: true, maxRetries: 10 });
    }
    process.exit();
  }
}
