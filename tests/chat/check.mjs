// Opens the chat page of FastAPI's tutorial in headless Chromium, and talks through its WebSocket.
//
//     node tests/chat/check.mjs EXECUTABLE COMPONENT

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";

// Compiling the application may take minutes on a busy machine.
const LIMIT = 600_000;
const [executable, component] = process.argv.slice(2);
const folder = mkdtempSync(join(tmpdir(), "wasmserve-chat-"));
const started = [];
const lines = [];

async function until(what, look) {
  const deadline = Date.now() + LIMIT;
  for (;;) {
    const seen = await look();
    if (seen) return seen;
    assert.ok(Date.now() < deadline, `waited in vain: ${what}\n${lines.join("\n")}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

function start(command, words, options) {
  const child = spawn(command, words, options);
  child.on("error", (error) => { console.error(`${command}: ${error.message}`); process.exit(1); });
  started.push(child);
  return child;
}

// A page of a browser that is spoken to over two pipes (the Chrome DevTools Protocol).
async function browse() {
  const words = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--remote-debugging-pipe", `--user-data-dir=${folder}/browser`, "about:blank"];
  const chromium = start(process.env.CHROMIUM ?? "chromium", words, { stdio: ["ignore", "ignore", "ignore", "pipe", "pipe"] });
  const waiting = new Map();
  let [received, last] = ["", 0];
  chromium.stdio[4].setEncoding("utf8").on("data", (piece) => {
    const messages = (received + piece).split("\0");
    received = messages.pop();
    for (const message of messages.map((text) => JSON.parse(text))) waiting.get(message.id)?.(message);
  });
  const send = (method, params = {}, sessionId) => new Promise((resolve, reject) => {
    const id = ++last;
    const late = setTimeout(() => reject(new Error(`${method} was not answered`)), LIMIT);
    waiting.set(id, ({ error, result }) => {
      clearTimeout(late);
      return error ? reject(new Error(`${method}: ${error.message}`)) : resolve(result);
    });
    chromium.stdio[3].write(`${JSON.stringify({ id, method, params, sessionId })}\0`);
  });
  const { targetId } = await send("Target.createTarget", { url: "about:blank" });
  const { sessionId } = await send("Target.attachToTarget", { targetId, flatten: true });
  const tab = (method, params) => send(method, params, sessionId);
  for (const domain of ["Page", "Runtime"]) await tab(`${domain}.enable`);
  const evaluate = async (expression) => {
    const { result, exceptionDetails } = await tab("Runtime.evaluate", { expression, awaitPromise: true, returnByValue: true });
    assert.equal(exceptionDetails, undefined, exceptionDetails?.exception?.description);
    return result.value;
  };
  return { tab, evaluate };
}

const MESSAGES = `[...document.querySelectorAll("#messages li")].map((item) => item.innerText)`;

async function say({ tab, evaluate }, text, number) {
  await evaluate(`document.getElementById("messageText").focus()`);
  await tab("Input.insertText", { text });
  for (const type of ["keyDown", "keyUp"]) {
    await tab("Input.dispatchKeyEvent", { type, key: "Enter", code: "Enter", windowsVirtualKeyCode: 13, text: type === "keyDown" ? "\r" : undefined });
  }
  const answered = await until(`the answer to ${text}`, async () => {
    const messages = await evaluate(MESSAGES);
    return messages.length >= number && messages;
  });
  assert.equal(answered.at(-1), `Message text was: ${text}`);
  assert.equal(answered.length, number);
}

async function check() {
  const words = [component, "--workers", "2", "--port", "0", "--timeout-graceful-shutdown", "2s"];
  const server = start(executable, words, { stdio: ["ignore", "ignore", "pipe"] });
  createInterface({ input: server.stderr }).on("line", (line) => lines.push(line));
  const url = await until("the address", () => lines.map((line) => line.match(/running on (http:\/\/[^ ]+)/)?.[1]).find(Boolean));
  const browser = await browse();
  const open = async () => {
    await browser.tab("Page.navigate", { url: `${url}/` });
    await until("the WebSocket is open", () => browser.evaluate(`typeof ws === "object" && ws.readyState === WebSocket.OPEN`));
    await browser.evaluate(`ws.addEventListener("close", ({ code, wasClean }) => { globalThis.end = [code, wasClean]; })`);
  };
  await open();
  await say(browser, "hello", 1);
  await say(browser, "\u{1f600} and \u{e9}", 2);
  // A long one, and more short ones than the server queues.
  const [long, many] = [100_000, 200];
  await browser.evaluate(`ws.send("x".repeat(${long})); for (let i = 0; i < ${many}; i++) ws.send("message " + i)`);
  const all = await until("all are answered", async () => {
    const messages = await browser.evaluate(MESSAGES);
    return messages.length === 3 + many && messages;
  });
  assert.equal(all[2], `Message text was: ${"x".repeat(long)}`);
  all.slice(3).forEach((message, number) => assert.equal(message, `Message text was: message ${number}`));

  server.kill("SIGHUP");
  const replaced = await until("the WebSocket is closed for the reload", () => browser.evaluate("globalThis.end"));
  assert.deepEqual(replaced, [1012, true]);
  await open();
  await say(browser, "again", 1);
  server.kill("SIGTERM");
  const stopped = await until("the WebSocket is closed for the stop", () => browser.evaluate("globalThis.end"));
  assert.deepEqual(stopped, [1001, true]);
}

try {
  await check();
  console.log("Chromium talks with FastAPI's chat page");
} finally {
  for (const child of started) {
    const ended = new Promise((resolve) => { child.once("exit", resolve); });
    if (child.exitCode === null && child.kill("SIGKILL")) await ended;
  }
  rmSync(folder, { recursive: true, force: true, maxRetries: 10 });
}
process.exit();
