// The engine writes the length of a body among the fields of its response, where Fetch has no such field: whoever
// takes over these fields for another body announces a wrong length. It is kept apart here, for the bridge to send.

// Of responses, and of the streams that are the bodies of such: how many bytes the body has.
const lengths = new WeakMap();

// How long the body of a response is, where that is known.
export function lengthOf(response) {
  return lengths.get(response);
}

const Engine = Response;
const json = Engine.json;

const Ours = new Proxy(Engine, {
  construct(target, [body, init], as) {
    const made = Reflect.construct(target, [body, init], as === Ours ? target : as);
    return noted(made, body, init);
  },
  get(target, name, receiver) {
    if (name === "json" && json) return (data, init) => noted(json.call(target, data, init), "", init);
    return Reflect.get(target, name, receiver);
  },
});
globalThis.Response = Ours;

function noted(made, body, init) {
  if (body == null) {
    // The answer to HEAD is made in this way of the one to GET.
    carry(init, made);
  } else if (body instanceof ReadableStream) {
    carry(body, made);
  } else if (made.headers.has("content-length") && !announces(init?.headers)) {
    lengths.set(made, made.headers.get("content-length"));
    made.headers.delete("content-length");
  }
  return made;
}

function carry(from, to) {
  if (typeof from === "object" && lengths.has(from)) lengths.set(to, lengths.get(from));
}

function announces(headers) {
  return headers != null && new Headers(headers).has("content-length");
}

const { get } = Object.getOwnPropertyDescriptor(Engine.prototype, "body");
Object.defineProperty(Engine.prototype, "body", {
  get() {
    const stream = get.call(this);
    if (stream) carry(this, stream);
    return stream;
  },
  configurable: true,
  enumerable: true,
});
