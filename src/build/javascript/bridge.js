// Between wasi:http and an application that has a `fetch`: requests and responses of the web platform on one
// side, WASI's resources on the other. `wasmserve build` bundles it with the application.

import { Head, Incoming, allocateScratch, freeScratch, variables } from "./host.js";
import { knownOfResponse } from "./light.js";
import { begin, refuseToDrawBefore, renew, requestOf, silence } from "./platform.js";
import { fieldsToSend, lengthOf, textOf } from "./response.js";

refuseToDrawBefore();

const PIECE = 65536n;
// What belongs to one connection, and is the host's (RFC 9110, section 7.6.1).
const HOP_BY_HOP = new Set([
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
  return { handle: (request, out) => handle(fetch, shown, request, out) };
}

// The request and what takes the response are handles here. What is left open when this ends would belong to the next
// request: another instance has to be made for it then.
async function handle(fetch, shown, request, out) {
  begin();
  allocateScratch();
  const later = [];
  const incoming = new Incoming(request);
  let head, body;
  try {
    const method = incoming.method();
    const isHead = method === "HEAD";
    let response;
    try {
      const received = new Received(incoming, method);
      const answer = ask(fetch, received.request, () => received.client(), later);
      // What is there is not waited for.
      response = shown(checked(answer instanceof Response ? answer : await answer));
      head = headOf(response, isHead);
    } catch (error) {
      response = shown(failed(error), error);
      head = headOf(response, isHead);
    }
    const text = textOf(response);
    if (isBodiless(response, isHead)) {
      // A head may announce a length that no body has (RFC 9110, sections 9.3.2 and 15.4.5).
      head.send(out, false);
      if (text === undefined) await response.body?.cancel().catch(() => {});
    } else {
      body = head.send(out, true);
      if (text !== undefined) body.write(head.whole ?? encoder.encode(text));
      else if (response.body) await send(response.body, body);
      // A body that broke off is never finished, so that the client sees that it did.
      body.finish();
    }
    if (later.length > 0) await ended(later);
  } finally {
    head?.close();
    body?.close();
    incoming.close();
    freeScratch();
  }
}

async function ended(later) {
  for (const outcome of await Promise.allSettled(later)) {
    if (outcome.status === "rejected") console.error(String(outcome.reason));
  }
}

// Asks the application, which leaves promises that are to be waited for after its response. `client` tells who asks.
function ask(fetch, request, client, later) {
  const env = environmentOf(client);
  const context = {
    waitUntil: (promise) => void later.push(promise),
    passThroughOnException() {},
  };
  return fetch(request, env, context);
}

function checked(response) {
  if (!(response instanceof Response)) throw new TypeError("fetch gave no Response");
  if (textOf(response) === undefined && response.body?.locked) throw new TypeError("the body of the response was read already");
  return response;
}

// What an application answers.
export async function answerOf(fetch, request, client, later) {
  return checked(await ask(fetch, request, client, later));
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
  const later = [];
  const request = requestOf("http", "localhost", PATH, "GET", () => []);
  const response = await answerOf(called, request, () => ({ address: "127.0.0.1", port: 1 }), later);
  await response.text();
  await Promise.allSettled(later);
}

// Why no other instance can begin as this one is: what goes on in it would go on in each.
let problem;

// The snapshot is taken: what is warm now is warm in each instance.
async function settle() {
  allocateScratch();
  try {
    await warmUp();
  } finally {
    freeScratch();
  }
  if (problem) throw problem;
  renew();
}

const PATH = "/a-path-that-is-nowhere";
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
    const headers = [["accept", "*/*"], ["host", "localhost"]];
    const request = requestOf("http", "localhost", "/?a=b", "GET", () => headers);
    const { searchParams, pathname } = new URL(request.url);
    const asked = `${request.method} ${pathname} ${searchParams.get("a")} ${request.headers.get("accept")}`;
    const shown = new Response(asked, { headers: { "content-type": "text/plain" } });
    headOf(shown, false).close();
    const reader = shown.body.getReader();
    while (!(await reader.read()).done);
    const told = Response.json({ asked });
    headOf(told, false).close();
    await told.text();
    variables();
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
  const { status } = response;
  const known = isBodiless(response, isHead) ? undefined : knownOfResponse(response);
  const head = new Head();
  try {
    if (known !== undefined) {
      for (const [name, value] of known.fields) if (!HOP_BY_HOP.has(name)) head.append(name, value);
      head.whole = encoder.encode(known.text);
      head.append("content-length", String(head.whole.length));
    } else {
      appendFields(head, response, isHead);
    }
    head.setStatus(status);
  } catch (error) {
    head.close();
    throw error;
  }
  return head;
}

function appendFields(head, response, isHead) {
  const hasText = textOf(response) !== undefined;
  const isWhole = hasText && !isBodiless(response, isHead);
  const fields = isWhole ? fieldsToSend(response) : undefined;
  if (fields !== undefined) {
    appendAll(head, fields);
  } else {
    const length = lengthToSend(response, isHead, hasText);
    appendAll(head, response.headers, length !== undefined);
    if (length !== undefined) head.append("content-length", length);
  }
}

function appendAll(head, fields, withoutLength = false) {
  eachFieldToSend(fields, (name, value) => {
    if (!withoutLength || name !== "content-length") head.append(name, value);
  });
}

// Calls `visit` with the name and the value of each field but those that are the host's.
export function eachFieldToSend(headers, visit) {
  for (const [name, value] of headers) {
    if (name !== "set-cookie" && !HOP_BY_HOP.has(name)) visit(name, value);
  }
  for (const value of headers.getSetCookie()) visit("set-cookie", value);
}

// The length that a response announces in place of what its fields say, if any.
function lengthToSend(response, isHead, hasText) {
  const length = lengthOf(response);
  const announced = response.headers.has("content-length");
  if (isBodiless(response, isHead)) return announced || response.status === 204 ? undefined : length;
  if (hasText || response.body) return length;
  // Whatever it announces, nothing follows.
  return announced ? "0" : undefined;
}

// What a client has asked. Its fields are read when somebody looks at one, as many applications do at none.
class Received {
  constructor(incoming, method) {
    this.incoming = incoming;
    this.fields = this.address = undefined;
    const hasBody = method !== "GET" && method !== "HEAD";
    const authority = incoming.authority() ?? "localhost";
    const told = incoming.pathWithQuery() ?? "/";
    // `OPTIONS *` is about the server (RFC 9110, section 9.3.7), and no URL is.
    const path = told === "*" ? "/" : told;
    const body = hasBody ? bodyOf(incoming) : undefined;
    this.request = requestOf(incoming.scheme(), authority, path, method, () => this.headers(), body);
  }

  headers() {
    if (this.fields === undefined) {
      const fields = [];
      this.incoming.eachField((name, value) => {
        if (name === CLIENT) this.address = addressOf(value);
        else fields.push([name, value]);
      });
      this.fields = fields;
    }
    return this.fields;
  }

  client() {
    this.headers();
    return this.address;
  }
}

// Host and port of `192.0.2.1:50000` or `[2001:db8::1]:50000`.
export function addressOf(text) {
  const colon = text.lastIndexOf(":");
  const isBracketed = text[0] === "[";
  const address = isBracketed ? text.slice(1, colon - 1) : text.slice(0, colon);
  return { address, port: Number(text.slice(colon + 1)) };
}

// The variables as an object like any other, which tells who asks as Deno, Bun and Node.js do, where `getConnInfo` of Hono
// looks for it. That is not among the variables for whoever lists or copies them, and is found when somebody looks.
function environmentOf(client) {
  const environment = Object.defineProperties({}, CLIENT_MEMBERS);
  asking = { client, told: undefined };
  askers.set(environment, asking);
  // A variable of that name is what the operator has set.
  return Object.assign(environment, variables());
}

// Who asks, by the variables that were given with the request; and who has asked last, for proxies of them.
const askers = new WeakMap();
let asking;

// The same for all requests, as making them takes the engine longer than most requests take.
const CLIENT_MEMBERS = {};
for (const name of ["remoteAddr", "incoming", "server"]) {
  CLIENT_MEMBERS[name] = {
    get() {
      let own = this;
      while (own !== null && !askers.has(own)) own = Object.getPrototypeOf(own);
      const asker = own === null ? asking : askers.get(own);
      return (asker.told ??= addressesOf(asker.client()))[name];
    },
    set(value) { Object.defineProperty(this, name, { value, configurable: true, enumerable: true, writable: true }); },
    configurable: true,
  };
}

function addressesOf(client) {
  if (client === undefined) return {};
  const { address, port } = client;
  const family = address.includes(":") ? "IPv6" : "IPv4";
  const incoming = { socket: { remoteAddress: address, remotePort: port, remoteFamily: family } };
  return {
    remoteAddr: { transport: "tcp", hostname: address, port },
    incoming,
    server: { incoming, requestIP: () => ({ address, port, family }) },
  };
}

function bodyOf(incoming) {
  incoming.open();
  return new ReadableStream({
    pull(controller) {
      try {
        const piece = incoming.read(PIECE);
        if (piece === undefined) controller.close();
        else controller.enqueue(piece);
      } catch (error) {
        controller.error(error);
      }
    },
  });
}

const encoder = new TextEncoder();

// Each piece is flushed: what an application writes now its client reads now.
async function send(body, outgoing) {
  const reader = body.getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      outgoing.write(typeof value === "string" ? encoder.encode(value) : value);
      outgoing.flush();
    }
  } catch (error) {
    // Also where the client has gone.
    await reader.cancel(error).catch(() => {});
    throw error;
  }
}
