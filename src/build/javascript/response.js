// The engine writes the length of a body among the fields of its response, where Fetch has no such field: whoever
// takes over these fields for another body announces a wrong length. It is kept apart here, for the bridge to send.

import { knownOfResponse, lightResponse } from "./light.js";

// Of responses, and of the streams that are the bodies of such: how many bytes the body has.
const lengths = new WeakMap();

// Of these nobody has seen the fields yet: the length among them is the engine's.
const unseen = new WeakSet();

// How long the body of a response is, where that is known.
export function lengthOf(response) {
  // The length is found when the fields are asked for.
  if (knownOfResponse(response) !== undefined || unseen.has(response)) void response.headers;
  return lengths.get(response);
}

// Of responses whose body is a text that nobody has looked at: that text. It is sent as it is, where the engine would make
// a stream of it and read that.
const texts = new WeakMap();

// The text that the body of a response is, where that is known.
export function textOf(response) {
  const known = knownOfResponse(response);
  if (known !== undefined) return known.text;
  return response.bodyUsed ? undefined : texts.get(response);
}

const Engine = Response;

const Ours = new Proxy(Engine, {
  construct(target, [body, init], as) {
    if (typeof body === "string" && as === Ours) {
      const light = lightResponse(body, init, (made) => void (texts.set(made, body), unseen.add(made)));
      if (light) return light;
    }
    const made = Reflect.construct(target, [body, init], as === Ours ? target : as);
    if (typeof body === "string") texts.set(made, body);
    if (body == null) {
      // The answer to HEAD is made in this way of the one to GET.
      carry(init, made);
    } else if (body instanceof ReadableStream) {
      carry(body, made);
    } else if (!announces(init?.headers, "content-length")) {
      unseen.add(made);
    }
    return made;
  },
});
globalThis.Response = Ours;
Engine.prototype.constructor = Ours;
if (Engine.json) Engine.json = asJson;

const { get: headers } = Object.getOwnPropertyDescriptor(Engine.prototype, "headers");
Object.defineProperty(Engine.prototype, "headers", {
  get() {
    const fields = headers.call(this);
    if (unseen.delete(this) && fields.has("content-length")) {
      lengths.set(this, fields.get("content-length"));
      fields.delete("content-length");
    }
    return fields;
  },
  configurable: true,
  enumerable: true,
});

// The fields of a response as they are sent, its length among them, where nobody else has them.
export function fieldsToSend(response) {
  return unseen.has(response) ? headers.call(response) : undefined;
}

// Fetch standard, section 5.5, "json". The engine's own would leave unknown here what it has written.
function asJson(data, init) {
  const text = JSON.stringify(data);
  if (text === undefined) throw new TypeError("the data cannot be written as JSON");
  const made = new Ours(text, init);
  if (!announces(init?.headers, "content-type")) made.headers.set("content-type", "application/json");
  return made;
}

// Whether an application gives a response this field. A record is looked through by itself: making fields of it takes
// longer.
function announces(headers, name) {
  if (headers == null) return false;
  if (Object.getPrototypeOf(headers) !== Object.prototype) return new Headers(headers).has(name);
  for (const given in headers) {
    if (given.length === name.length && given.toLowerCase() === name) return true;
  }
  return false;
}

function carry(from, to) {
  if (typeof from === "object" && lengths.has(from)) lengths.set(to, lengths.get(from));
}

const { get: body } = Object.getOwnPropertyDescriptor(Engine.prototype, "body");
Object.defineProperty(Engine.prototype, "body", {
  get() {
    const stream = body.call(this);
    texts.delete(this);
    if (stream && lengthOf(this) !== undefined) carry(this, stream);
    return stream;
  },
  configurable: true,
  enumerable: true,
});
