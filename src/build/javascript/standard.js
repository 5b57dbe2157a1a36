// Parts of the web platform that stand by themselves, for `platform.js`: each is here until the engine brings it.

URL.parse ??= function parse(...given) {
  try {
    return new URL(...given.filter((part) => part !== undefined));
  } catch {
    return null;
  }
};
URL.canParse ??= function canParse(...given) {
  return URL.parse(...given) !== null;
};

// Encoding standard, sections 7.4 and 7.6.
globalThis.TextDecoderStream ??= class TextDecoderStream {
  #decoder;
  #stream;
  constructor(label = "utf-8", options = {}) {
    const decoder = new TextDecoder(label, options);
    const pass = (text, controller) => void (text && controller.enqueue(text));
    this.#decoder = decoder;
    this.#stream = new TransformStream({
      transform: (piece, controller) => pass(decoder.decode(piece, { stream: true }), controller),
      flush: (controller) => pass(decoder.decode(), controller),
    });
  }
  get encoding() { return this.#decoder.encoding; }
  get fatal() { return this.#decoder.fatal; }
  get ignoreBOM() { return this.#decoder.ignoreBOM; }
  get readable() { return this.#stream.readable; }
  get writable() { return this.#stream.writable; }
};

globalThis.TextEncoderStream ??= class TextEncoderStream {
  #stream;
  constructor() {
    const encoder = new TextEncoder();
    // The first half of a character whose other half comes with the next piece.
    let half = "";
    this.#stream = new TransformStream({
      transform(piece, controller) {
        let text = half + piece;
        half = /[\ud800-\udbff]$/.test(text) ? text.slice(-1) : "";
        text = half ? text.slice(0, -1) : text;
        if (text) controller.enqueue(encoder.encode(text));
      },
      flush: (controller) => void (half && controller.enqueue(encoder.encode(half))),
    });
  }
  get encoding() { return "utf-8"; }
  get readable() { return this.#stream.readable; }
  get writable() { return this.#stream.writable; }
};

ReadableStream.from ??= function from(pieces) {
  const iterator = (pieces[Symbol.asyncIterator] ?? pieces[Symbol.iterator]).call(pieces);
  return new ReadableStream({
    async pull(controller) {
      const { done, value } = await iterator.next();
      if (done) controller.close();
      else controller.enqueue(await value);
    },
    cancel: async (reason) => void (await iterator.return?.(reason)),
  });
};

// The engine's own throws what is caught nowhere, and ends the instance.
AbortSignal.prototype.throwIfAborted = function throwIfAborted() {
  if (this.aborted) throw this.reason;
};
AbortSignal.abort = function abort(reason = new DOMException("This operation was aborted", "AbortError")) {
  const controller = new AbortController();
  controller.abort(reason);
  return controller.signal;
};

// The engine's own ends the instance where one of them is of a time-out.
AbortSignal.any = function any(signals) {
  const controller = new AbortController();
  const given = [...signals];
  const aborted = given.find((signal) => signal.aborted);
  if (aborted) controller.abort(aborted.reason);
  for (const signal of aborted ? [] : given) {
    signal.addEventListener("abort", () => controller.abort(signal.reason), { once: true });
  }
  return controller.signal;
};

Response.error ??= function error() {
  const response = new Response(null);
  for (const [name, value] of [["type", "error"], ["status", 0], ["ok", false]]) {
    Object.defineProperty(response, name, { value, configurable: true });
  }
  return response;
};

globalThis.navigator ??= Object.freeze({ userAgent: "wasmserve" });

// What is first in a line and has `%s` in it has the rest put into it (Console standard, section 2.2).
const FORMATS = {
  s: String,
  d: (value) => Math.trunc(Number(value)),
  i: (value) => Math.trunc(Number(value)),
  f: Number,
  j: JSON.stringify,
  c: () => "",
};
export function formatted([first, ...rest]) {
  if (typeof first !== "string" || rest.length === 0) return [first, ...rest];
  const text = first.replace(/%([sdifjc%])/g, (whole, letter) => {
    if (letter === "%") return "%";
    return rest.length > 0 ? FORMATS[letter](rest.shift()) : whole;
  });
  return [text, ...rest];
}
