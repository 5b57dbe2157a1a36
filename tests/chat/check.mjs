// Opens the chat page of FastAPI's tutorial in headless Chromium, and talks through its WebSocket.
//
//     node tests/chat/check.mjs EXECUTABLE COMPONENT

import assert from "node:assert/strict";
import { createInterface } from "node:readline";
import { Check } from "../browser.mjs";

const [executable, component] = process.argv.slice(2);
const lines = [];
// Compiling the application may take minutes on a busy machine.
const check = new Check("chat", 600_000, () => lines.join("\n"));

const MESSAGES = `[...document.querySelectorAll("#messages li")].map((item) => item.innerText)`;

async function say({ tab, evaluate, press }, text, number) {
  await evaluate(`document.getElementById("messageText").focus()`);
  await tab("Input.insertText", { text });
  await press("Enter", "Enter", "\r");
  const answered = await check.until(`the answer to ${text}`, async () => {
    const messages = await evaluate(MESSAGES);
    return messages.length >= number && messages;
  });
  assert.equal(answered.at(-1), `Message text was: ${text}`);
  assert.equal(answered.length, number);
}

async function talk() {
  const words = [component, "--workers", "2", "--port", "0", "--timeout-graceful-shutdown", "2s"];
  const server = check.start(executable, words, { stdio: ["ignore", "ignore", "pipe"] });
  createInterface({ input: server.stderr }).on("line", (line) => lines.push(line));
  const url = await check.until("the address", () => lines.map((line) => line.match(/running on (http:\/\/[^ ]+)/)?.[1]).find(Boolean));
  const browser = await check.browse();
  const open = async () => {
    await browser.tab("Page.navigate", { url: `${url}/` });
    await check.until("the WebSocket is open", () => browser.evaluate(`typeof ws === "object" && ws.readyState === WebSocket.OPEN`));
    await browser.evaluate(`ws.addEventListener("close", ({ code, wasClean }) => { globalThis.end = [code, wasClean]; })`);
  };
  await open();
  await say(browser, "hello", 1);
  await say(browser, "\u{1f600} and \u{e9}", 2);
  // A long one, and more short ones than the server queues.
  const [long, many] = [100_000, 200];
  await browser.evaluate(`ws.send("x".repeat(${long})); for (let i = 0; i < ${many}; i++) ws.send("message " + i)`);
  const all = await check.until("all are answered", async () => {
    const messages = await browser.evaluate(MESSAGES);
    return messages.length === 3 + many && messages;
  });
  assert.equal(all[2], `Message text was: ${"x".repeat(long)}`);
  all.slice(3).forEach((message, number) => assert.equal(message, `Message text was: message ${number}`));

  server.kill("SIGHUP");
  const replaced = await check.until("the WebSocket is closed for the reload", () => browser.evaluate("globalThis.end"));
  assert.deepEqual(replaced, [1012, true]);
  await open();
  await say(browser, "again", 1);
  server.kill("SIGTERM");
  const stopped = await check.until("the WebSocket is closed for the stop", () => browser.evaluate("globalThis.end"));
  assert.deepEqual(stopped, [1001, true]);
}

await check.run(talk, "Chromium talks with FastAPI's chat page");
