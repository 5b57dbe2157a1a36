// Opens the page of a running server in headless Chromium, in light and dark, wide and on a phone, uses it by keyboard,
// and has axe-core look for what keeps people out. Screenshots go to target/dashboard/.
//
//     node tests/dashboard/check.mjs EXECUTABLE

import assert from "node:assert/strict";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { Check } from "../browser.mjs";

const [executable] = process.argv.slice(2);
const pictures = "target/dashboard";
const check = new Check("dashboard", 60_000);
mkdirSync(pictures, { recursive: true });

// Serves the greeting, and gives the addresses of clients and of the page.
async function serve() {
  const words = ["guests/hello/hello.wat", "--workers", "2", "--port", "0", "--admin", "127.0.0.1:0", "--no-access-log"];
  const env = { ...process.env, XDG_CACHE_HOME: join(check.folder, "cache") };
  const server = check.start(executable, words, { stdio: ["ignore", "ignore", "pipe"], env });
  const lines = [];
  createInterface({ input: server.stderr }).on("line", (line) => lines.push(line));
  const address = (text) => lines.map((line) => line.match(`${text} (http://[^ ]+)`)?.[1]).find(Boolean);
  const page = await check.until("the admin address", () => address("is watched at"));
  return { server, page: `${page}/`, url: await check.until("the address", () => address("running on")) };
}

const text = (id) => `document.getElementById("${id}").innerText`;

async function judge(browser, name) {
  const { violations } = JSON.parse(await browser.evaluate(`axe.run(document).then((it) => JSON.stringify({ violations: it.violations }))`));
  const told = violations.map((it) => `${it.id}: ${it.help}\n  ${it.nodes.map((node) => node.html).join("\n  ")}`);
  assert.deepEqual(told, [], `${name}: axe-core finds fault`);
  assert.ok(await browser.evaluate("document.documentElement.scrollWidth <= innerWidth"), `${name}: the page is wider than the screen`);
  const { data } = await browser.tab("Page.captureScreenshot", { format: "png", captureBeyondViewport: true });
  writeFileSync(`${pictures}/${name}.png`, Buffer.from(data, "base64"));
}

// What takes the focus when Tab is pressed again and again.
async function focusable(browser) {
  const names = [];
  await browser.evaluate("document.activeElement.blur()");
  for (let pressed = 0; pressed < 20; pressed += 1) {
    await browser.press("Tab");
    names.push(await browser.evaluate("(document.activeElement.getAttribute('aria-label') ?? document.activeElement.innerText).trim()"));
  }
  return names;
}

async function use() {
  const { server, page, url } = await serve();
  let seen = 0;
  const load = setInterval(() => fetch(url).then((answer) => answer.text()).then(() => { seen += 1; }, () => {}), 20);
  const browser = await check.browse();
  const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
  for (const [name, width, height, scheme] of [
    ["light", 1280, 1000, "light"], ["dark", 1280, 1000, "dark"], ["phone-light", 360, 740, "light"], ["phone-dark", 360, 740, "dark"],
  ]) {
    await browser.tab("Emulation.setDeviceMetricsOverride", { width, height, deviceScaleFactor: 1, mobile: width < 500 });
    await browser.tab("Emulation.setEmulatedMedia", { features: [{ name: "prefers-color-scheme", value: scheme }] });
    await browser.tab("Page.navigate", { url: page });
    await check.until(`${name}: requests are drawn`, () => browser.evaluate(`!!document.querySelector("#latency-chart .curve") && /[1-9]/.test(${text("rate-words")})`));
    await check.until(`${name}: both workers are ready`, () => browser.evaluate(`${text("worker-count")} === "2 of 2 are ready"`));
    await browser.evaluate(axe);
    await judge(browser, name);
  }
  assert.ok(seen > 0);

  await browser.tab("Emulation.setDeviceMetricsOverride", { width: 1280, height: 1000, deviceScaleFactor: 1, mobile: false });
  const names = await focusable(browser);
  for (const name of ["Skip to the workers", "Pause", "The charts as a table", "Table of the workers", "metrics"]) {
    assert.ok(names.includes(name), `${name} is not reached by Tab: ${names.join(", ")}`);
  }
  await browser.evaluate(`document.getElementById("pause").focus()`);
  await browser.press("Enter", "Enter", "\r");
  assert.equal(await browser.evaluate(`document.getElementById("pause").getAttribute("aria-pressed")`), "true");
  await browser.press("Enter", "Enter", "\r");

  const { workers } = await (await fetch(`${page}status`)).json();
  process.kill(workers[0].pid, "SIGKILL");
  await check.until("the killed worker is told of", () => browser.evaluate(`${text("failures")}.includes("worker ${workers[0].pid} killed") && ${text("ends")}.includes("${workers[0].pid}")`));
  await check.until("it is read aloud", () => browser.evaluate(`${text("news")}.includes("worker ${workers[0].pid} killed")`));
  server.kill("SIGHUP");
  await check.until("the reload is told of", () => browser.evaluate(`${text("reloads")}.includes("success at")`));
  await browser.evaluate(`document.querySelector("details").open = true`);
  await judge(browser, "after-a-failure");
  assert.deepEqual(browser.complaints, [], "the browser complains");

  clearInterval(load);
  server.kill("SIGTERM");
  await check.until("the end is told of", () => browser.evaluate(`${text("news")}.includes("No answer")`));
  await judge(browser, "without-a-server");
}

await check.run(use, `the page is what it should be: screenshots are in ${pictures}`);
