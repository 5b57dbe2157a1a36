// Between wasi:http and an application that has a `fetch`: requests and responses of the web platform on one
// side, WASI's resources on the other. `wasmserve build` bundles it with the application.

import { begin, renew, silence } from "./platform.js";
import { lengthOf } from "./response.js";
import { getEnvironment } from "wasi:cli/environment@0.2.10";
import {
  Fields,
  IncomingBody,
  OutgoingBody,
  OutgoingResponse,
  ResponseOutparam,
} from "wasi:http/types@0.2.10";

const PIECE = 65536n;
// What belongs to one connection, and is the host's (RFC 9110, section 7.6.1).
export const HOP_BY_HOP = new Set([
  "connection",
  "host",
  "http2-settings",
  "keep-alive",
  "proxy-authenticate",
  "proxy-authorization",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
]);
// The host writes the client's address here, and nobody else can.
const CLIENT = "wasmserve-client";
const decoder = new TextDecoder();
const encoder = new TextEncoder();

// See `wit/world.wit`.
export const bridge = { version: () => 1 };

// See `wit/deps/wasmserve-lifecycle-0.1.0`. The application was started while it was built.
export const lifecycle = { start() {}, settle };

// What answers requests of an application: `{ fetch(request, env, context) }`, or that function.
export function fetchOf(application) {
  const fetch =
    typeof application === "function" ? application : application?.fetch?.bind(application);
  if (typeof fetch !== "function") {
    throw new Error("the default export is no function, and has no function `fetch`");
  }
  return fetch;
}

// The handler of an application. `shown` makes what `wasmserve dev` answers of a response and of an error.
export function handlerOf(application, shown = (response) => response) {
  const fetch = fetchOf(application);
  called = fetch;
  return { handle: (incoming, out) => handle(fetch, shown, incoming, out) };
}

async function handle(fetch, shown, incoming, out) {
  // Handles that are left when this ends would belong to the next request: another instance has to be made for it then.
  const held = [() => incoming[Symbol.dispose]()];
  try {
    await respond(fetch, shown, incoming, out, held);
  } finally {
    for (const release of held.reverse()) release();
  }
}

async function respond(fetch, shown, incoming, out, held) {
  begin();
  const later = [];
  const isHead = incoming.method().tag === "head";
  let response, head;
  try {
    const { request, client } = requestOf(incoming, held);
    response = shown(await answerOf(fetch, request, client, later));
    head = headOf(response, isHead);
  } catch (error) {
    response = shown(failed(error), error);
    head = headOf(response, isHead);
  }
  if (isBodiless(response, isHead)) {
    // A head may announce a length that no body has (RFC 9110, sections 9.3.2 and 15.4.5).
    ResponseOutparam.set(out, { tag: "ok", val: head });
    await response.body?.cancel().catch(() => {});
  } else {
    const outgoing = head.body();
    ResponseOutparam.set(out, { tag: "ok", val: head });
    if (response.body) await send(response.body, outgoing);
    // A body that broke off is never finished, so that the client sees that it did.
    OutgoingBody.finish(outgoing, undefined);
  }
  for (const outcome of await Promise.allSettled(later)) {
    if (outcome.status === "rejected") console.error(String(outcome.reason));
  }
}

// Asks the application, which leaves promises that are to be waited for after its response.
export async function answerOf(fetch, request, client, later) {
  const env = Object.fromEntries(getEnvironment());
  if (client) introduce(client, env);
  const context = {
    waitUntil: (promise) => void later.push(promise),
    passThroughOnException() {},
  };
  const response = await fetch(request, env, context);
  if (!(response instanceof Response)) throw new TypeError("fetch gave no Response");
  if (response.body?.locked) throw new TypeError("the body of the response was read already");
  return response;
}

// The answer of an application that has failed, which the log tells.
export function failed(error) {
  console.error(error?.stack ? `${error}\n${error.stack}` : String(error));
  return new Response("Internal Server Error\n", { status: 500 });
}

// What answers requests.
let called;

// Has the engine do once what it would otherwise do in each instance, when a request comes for the first time: compile
// functions, and set up what they use. The application is asked for a path that it does not have, as when one in Python
// is built. It reaches nobody meanwhile, and what it says is not told; if it tries to reach somebody, each instance
// begins as it was built.
async function warmUp() {
  begin();
  await warmUpBridge();
  const speak = silence();
  for (let round = 0; round < ASKED && !problem; round++) {
    // Whatever comes of it.
    const isInTime = await inTime(askNowhere().catch(() => {}));
    if (!isInTime) problem = `the application has not answered a request for ${PATH} in a second`;
  }
  if (speak()) problem ??= `the application asks a server when it is asked for ${PATH}`;
}

async function askNowhere() {
  const env = Object.fromEntries(getEnvironment());
  introduce({ address: "127.0.0.1", port: 1 }, env);
  const later = [];
  const context = { waitUntil: (promise) => void later.push(promise), passThroughOnException() {} };
  const response = await called(new Request(NOWHERE, { method: "GET" }), env, context);
  await response.text();
  await Promise.allSettled(later);
}

// Why no other instance can begin as this one is: what goes on in it would go on in each.
let problem;

// The snapshot is taken: what is warm now is warm in each instance.
async function settle() {
  await warmUp();
  if (problem) throw problem;
  renew();
}

const PATH = "/a-path-that-is-nowhere";
const NOWHERE = `http://localhost${PATH}`;
const ASKED = 3;

// Waits for a second. Says whether the promise has ended.
async function inTime(promise) {
  let timer;
  const late = new Promise((resolve) => {
    timer = setTimeout(() => resolve(false), 1000);
  });
  const ended = await Promise.race([promise.then(() => true), late]);
  clearTimeout(timer);
  return ended;
}

async function warmUpBridge() {
  for (let round = 0; round < ROUNDS; round++) {
    const headers = new Headers({ accept: "*/*", host: "localhost" });
    const request = new Request("http://localhost/?a=b", { method: "GET", headers });
    const { searchParams, pathname } = new URL(request.url);
    const asked = `${request.method} ${pathname} ${searchParams.get("a")} ${request.headers.get("accept")}`;
    const shown = new Response(asked, { headers: { "content-type": "text/plain" } });
    headOf(shown, false)[Symbol.dispose]();
    const reader = shown.body.getReader();
    while (!(await reader.read()).done);
    const told = Response.json({ asked });
    headOf(told, false)[Symbol.dispose]();
    await told.text();
    Object.fromEntries(getEnvironment());
    addressOf("127.0.0.1:1");
    Math.random();
  }
}

// After so many the engine's inline caches have settled.
const ROUNDS = 10;

function isBodiless(response, isHead) {
  return isHead || response.status === 204 || response.status === 304;
}

function headOf(response, isHead) {
  const fields = fieldsOf(response.headers);
  const length = lengthOf(response);
  const announced = response.headers.has("content-length");
  if (isBodiless(response, isHead)) {
    if (length !== undefined && !announced && response.status !== 204) {
      fields.append("content-length", encoder.encode(length));
    }
  } else if (!response.body) {
    // Whatever it announces, nothing follows.
    if (announced) fields.set("content-length", [encoder.encode("0")]);
  } else if (length !== undefined) {
    fields.set("content-length", [encoder.encode(length)]);
  }
  const head = new OutgoingResponse(fields);
  head.setStatusCode(response.status);
  return head;
}

function requestOf(incoming, held) {
  const { tag, val } = incoming.method();
  const method = tag === "other" ? val : tag.toUpperCase();
  const scheme = incoming.scheme()?.tag === "HTTPS" ? "https" : "http";
  const authority = incoming.authority() ?? "localhost";
  const headers = new Headers();
  let client;
  const fields = incoming.headers();
  for (const [name, value] of fields.entries()) {
    if (name === CLIENT) client = addressOf(fromBytes(value));
    else headers.append(name, fromBytes(value));
  }
  fields[Symbol.dispose]();
  const init = { method, headers };
  if (method !== "GET" && method !== "HEAD") {
    init.body = bodyOf(incoming, held);
    init.duplex = "half";
  }
  const request = new Request(`${scheme}://${authority}${incoming.pathWithQuery() ?? "/"}`, init);
  return { request, client };
}

// Host and port of `192.0.2.1:50000` or `[2001:db8::1]:50000`.
export function addressOf(text) {
  const [, host, port] = /^(.*):([0-9]+)$/.exec(text);
  return { address: host.replace(/^\[|\]$/g, ""), port: Number(port) };
}

// Tells who asks as Deno, Bun and Node.js do, where `getConnInfo` of Hono looks for it. It is not among the variables of
// whoever lists them.
function introduce({ address, port }, env) {
  const family = address.includes(":") ? "IPv6" : "IPv4";
  const incoming = { socket: { remoteAddress: address, remotePort: port, remoteFamily: family } };
  const server = { incoming, requestIP: () => ({ address, port, family }) };
  const told = { remoteAddr: { transport: "tcp", hostname: address, port }, incoming, server };
  for (const [name, value] of Object.entries(told)) {
    if (!(name in env)) Object.defineProperty(env, name, { value, configurable: true, writable: true });
  }
}

function bodyOf(incoming, held) {
  const body = incoming.consume();
  let stream = body.stream();
  const end = () => {
    stream?.[Symbol.dispose]();
    // What comes of it is trailers, which nobody asks for.
    if (stream) IncomingBody.finish(body)[Symbol.dispose]();
    stream = undefined;
  };
  held.push(end);
  return new ReadableStream({
    pull(controller) {
      for (;;) {
        let piece;
        try {
          piece = stream.blockingRead(PIECE);
        } catch (error) {
          end();
          if ((error?.payload ?? error)?.tag === "closed") controller.close();
          else controller.error(new TypeError("the body of the request broke off"));
          return;
        }
        if (piece.length > 0) return controller.enqueue(piece);
      }
    },
  });
}

function fieldsOf(headers) {
  const fields = new Fields();
  for (const [name, value] of headers) {
    if (name !== "set-cookie" && !HOP_BY_HOP.has(name)) fields.append(name, toBytes(value));
  }
  for (const value of headers.getSetCookie()) {
    fields.append("set-cookie", toBytes(value));
  }
  return fields;
}

// Values of fields are byte strings, a byte a character (Fetch standard). Most are ASCII, which the engine does faster.
export function fromBytes(bytes) {
  const text = decoder.decode(bytes);
  if (text.length === bytes.length && !text.includes("\ufffd")) return text;
  return Array.from(bytes, (byte) => String.fromCharCode(byte)).join("");
}

export function toBytes(text) {
  const bytes = encoder.encode(text);
  return bytes.length === text.length ? bytes : Uint8Array.from(text, (character) => character.charCodeAt(0));
}

function waitFor(stream) {
  const ready = stream.subscribe();
  ready.block();
  ready[Symbol.dispose]();
}

// Each piece is flushed: what an application writes now its client reads now.
async function send(body, outgoing) {
  const stream = outgoing.write();
  const reader = body.getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      const piece = typeof value === "string" ? encoder.encode(value) : value;
      for (let sent = 0; sent < piece.length; ) {
        const room = Number(stream.checkWrite());
        const end = Math.min(sent + room, piece.length);
        if (room > 0) stream.write(piece.subarray(sent, end));
        else waitFor(stream);
        sent = end;
      }
      stream.flush();
    }
  } catch (error) {
    // Also where the client has gone.
    await reader.cancel(error).catch(() => {});
    throw error;
  } finally {
    stream[Symbol.dispose]();
  }
}
