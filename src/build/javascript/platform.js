// What the web platform has and the engine does not yet, where it can be had without the engine. Each part stands
// aside once the engine brings it. `wasmserve build` bundles it with every application.

import { lightRequest, realRequest } from "./light.js";
import { formatted } from "./standard.js";
import { drawWhen } from "./crypto.js";
import "./bodies.js";
import "./locale.js";
import "./unicode.js";
import "./normalize.js";

// Nobody is reached, and nothing is said: the application is warmed up. Whatever it keeps of `fetch` and `console`
// meanwhile is of use afterwards.
let quiet = false;
let tried = false;

// The module of the application is evaluated while the component serves, where nobody may be reached as little as while
// it is built.
let evaluating = false;

// An error is told with where it comes from.
const told = (value) => (value instanceof Error && value.stack ? `${value}\n${value.stack}` : value);
for (const name of ["error", "warn", "debug", "log", "info", "trace"]) {
  // The engine takes what is only for debugging to be an error.
  const say = console[name === "debug" ? "log" : name]?.bind(console);
  if (say) console[name] = (...values) => void (quiet || say(...formatted(values).map(told)));
}

// A body's text has U+FFFD for what is no UTF-8 (Encoding standard, section 6); the engine's own refuses it.
for (const { prototype } of [Request, Response]) {
  prototype.text = async function text() {
    return decoder.decode(await this.arrayBuffer());
  };
}
const decoder = new TextDecoder();

// A body's bytes, and the pieces of a stream one by one (Fetch standard, Streams standard).
for (const { prototype } of [Request, Response]) {
  prototype.bytes ??= async function bytes() {
    return new Uint8Array(await this.arrayBuffer());
  };
}
ReadableStream.prototype.values ??= async function* values({ preventCancel = false } = {}) {
  const reader = this.getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      yield value;
    }
  } finally {
    if (!preventCancel) await reader.cancel();
    reader.releaseLock();
  }
};
ReadableStream.prototype[Symbol.asyncIterator] ??= ReadableStream.prototype.values;

// The body of a response that was cloned is one half of it: another response has that.
const halves = new WeakMap();
if (!Response.prototype.clone) {
  const { prototype } = Response;
  for (const name of ["arrayBuffer", "json", "text"]) {
    const read = prototype[name];
    prototype[name] = { [name]() { return read.call(halves.get(this) ?? this); } }[name];
  }
  for (const name of ["body", "bodyUsed"]) {
    const { get } = Object.getOwnPropertyDescriptor(prototype, name);
    Object.defineProperty(prototype, name, {
      get() { return get.call(halves.get(this) ?? this); },
      configurable: true,
      enumerable: true,
    });
  }
  prototype.clone = function clone() {
    if (this.bodyUsed || this.body?.locked) throw new TypeError("the body was read already");
    if (!this.body) return copied(this, new Response(null, this));
    const [own, other] = this.body.tee();
    halves.set(this, new Response(own));
    return copied(this, new Response(other, this));
  };
}

function copied(from, to) {
  return from.url ? located(to, from.url, from.redirected) : to;
}

function located(response, url, redirected) {
  Object.defineProperty(response, "url", { value: url, configurable: true });
  Object.defineProperty(response, "redirected", { value: redirected, configurable: true });
  return response;
}

// Numbers of its own for each instance, from the host. While the module is evaluated, which is when it is built, the
// host is not there to ask, and the engine's own generator would end the build.
let live = false;
let words = new Uint32Array(64);
let next = words.length;
let state = Date.now() | 1;

Math.random = function random() {
  const high = word() >>> 5;
  const low = word() >>> 6;
  return (high * 67108864 + low) / 9007199254740992;
};

function word() {
  if (!live) {
    // Marsaglia's xorshift.
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state;
  }
  if (next === words.length) {
    words = crypto.getRandomValues(words);
    next = 0;
  }
  return words[next++];
}

// The module was evaluated, and the instance is one that answers.
export function begin() {
  live = true;
}

// The handler of an application that brings its own.
export function begun(handler) {
  const handle = (...given) => {
    begin();
    return handler.handle(...given);
  };
  return { ...handler, handle };
}

// To be called where it is known when the first request begins.
export function refuseToDrawBefore() {
  drawWhen(() => live);
}

// Others begin as this instance is now: none of them is to draw what another has.
export function renew() {
  next = words.length;
}

// Has the application reach nobody and say nothing, until the function is called that this gives. That says whether it
// has tried to reach somebody: it may have kept that it could not.
export function silence() {
  quiet = true;
  return () => {
    quiet = false;
    return tried;
  };
}

// Has the module that is evaluated reach nobody, until the function is called that this gives.
export function reachNobody() {
  evaluating = true;
  return () => {
    evaluating = false;
  };
}

const listen = globalThis.addEventListener;
if (listen) {
  globalThis.addEventListener = function addEventListener(type, listener, ...rest) {
    const begun = (event) => {
      begin();
      return typeof listener === "function" ? listener(event) : listener.handleEvent(event);
    };
    return listen.call(globalThis, type, type === "fetch" ? begun : listener, ...rest);
  };
}

// What is said of a request's redirects, which the engine does not keep, and the body that it was made with.
const asked = new WeakMap();
const EngineRequest = Request;
globalThis.Request = new Proxy(EngineRequest, {
  construct(target, [input, init], as) {
    const request = Reflect.construct(target, [realRequest(input), init], as === globalThis.Request ? target : as);
    const before = asked.get(input);
    const redirect = init?.redirect ?? before?.redirect ?? "follow";
    const body = init?.body;
    if (body != null || redirect !== "follow") asked.set(request, { redirect, body });
    return request;
  },
});

EngineRequest.prototype.constructor = globalThis.Request;

// The request of a client: it has a body, or none, and follows redirects as others do. `headers` gives its fields.
export function requestOf(scheme, authority, path, method, headers, body) {
  if (body === undefined) {
    const make = (url) => new EngineRequest(url, { method, headers: headers() });
    return lightRequest(scheme, authority, path, method, make);
  }
  const init = { method, headers: headers(), body, duplex: "half" };
  const request = new EngineRequest(`${scheme}://${authority}${path}`, init);
  asked.set(request, { redirect: "follow", body });
  return request;
}

if (!("redirect" in EngineRequest.prototype)) {
  Object.defineProperty(EngineRequest.prototype, "redirect", {
    get() { return asked.get(this)?.redirect ?? "follow"; },
    configurable: true,
    enumerable: true,
  });
}

const REDIRECTS = [301, 302, 303, 307, 308];
const MOST = 20;
const engineFetch = globalThis.fetch;

// Follows redirects (Fetch standard, HTTP-redirect fetch).
globalThis.fetch = async function fetch(input, init) {
  if (quiet) {
    tried = true;
    throw new TypeError("nobody is reached before the first request");
  }
  if (evaluating) throw new TypeError("nobody is reached while the module is evaluated; ask in a request");
  const known = asked.get(input);
  const mode = init?.redirect ?? known?.redirect ?? "follow";
  const first = input instanceof EngineRequest ? input : new EngineRequest(input, bodiless(init));
  let { method, url } = first;
  method = (init?.method ?? method).toUpperCase();
  const headers = new Headers(init?.headers ?? first.headers);
  let body = init?.body ?? known?.body ?? (input instanceof EngineRequest ? input.body : null);
  const signal = init?.signal ?? (input instanceof EngineRequest ? input.signal : undefined);
  let response = await engineFetch(realRequest(input), init);
  for (let hops = 0; REDIRECTS.includes(response.status) && mode !== "manual"; hops++) {
    const location = response.headers.get("location");
    if (location === null) break;
    if (mode === "error") throw new TypeError(`${url} redirects`);
    if (hops === MOST) throw new TypeError(`${first.url} redirects more than ${MOST} times`);
    const target = new URL(location, url);
    if (!/^https?:$/.test(target.protocol)) throw new TypeError(`${url} redirects to ${target.protocol}`);
    const { status } = response;
    if (status !== 303 && body instanceof ReadableStream) {
      throw new TypeError(`${url} redirects, and the body of the request cannot be sent again`);
    }
    if (becomesGet(status, method)) {
      method = "GET";
      body = null;
      for (const name of [...headers.keys()]) if (name.startsWith("content-")) headers.delete(name);
    }
    if (target.origin !== new URL(url).origin) {
      for (const name of ["authorization", "cookie", "host", "proxy-authorization"]) headers.delete(name);
    }
    await response.body?.cancel().catch(() => {});
    url = target.href;
    response = await engineFetch(url, defined({ method, headers, body, signal }));
    located(response, url, true);
  }
  return response;
};

function becomesGet(status, method) {
  if (status === 303) return method !== "GET" && method !== "HEAD";
  return (status === 301 || status === 302) && method === "POST";
}

function bodiless(init) {
  const { body, duplex, ...rest } = init ?? {};
  return rest;
}

function defined(init) {
  return Object.fromEntries(Object.entries(init).filter(([, value]) => value != null));
}
