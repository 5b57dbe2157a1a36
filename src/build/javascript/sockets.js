// WebSockets as applications for Workers have them: one end of a pair is given away with the response, and the
// application keeps the other. `wasmserve build` bundles it with applications that use them.

const [CONNECTING, OPEN, CLOSING, CLOSED] = [0, 1, 2, 3];
// The application failed (RFC 6455, section 7.4.1).
const FAILED = 1011;
// The client has left without closing.
const ABNORMAL = 1006;
// So much waits for a client that does not keep up, before the application has to wait for it.
const MOST_BUFFERED = 1 << 20;
const LONGEST_REASON = 123;
const encoder = new TextEncoder();
const owned = Symbol("made here");

// What the bridge does with a WebSocket, and no application.
export let inside;

globalThis.MessageEvent ??= class MessageEvent extends Event {
  constructor(type, { data = null, origin = "", lastEventId = "", ...init } = {}) {
    super(type, init);
    describe(this, { data, origin, lastEventId });
  }
};
globalThis.CloseEvent ??= class CloseEvent extends Event {
  constructor(type, { code = 0, reason = "", wasClean = false, ...init } = {}) {
    super(type, init);
    describe(this, { code, reason, wasClean });
  }
};
globalThis.ErrorEvent ??= class ErrorEvent extends Event {
  constructor(type, { message = "", error = undefined, ...init } = {}) {
    super(type, init);
    describe(this, { message, error });
  }
};

function describe(target, values) {
  for (const [name, value] of Object.entries(values)) {
    Object.defineProperty(target, name, { value, enumerable: true, configurable: true });
  }
}

class WebSocket extends EventTarget {
  #state = OPEN;
  #connection;
  #waiting = [];
  #buffered = 0;
  // How the application closes it, once what waits was sent.
  #end;
  #wrapped = new WeakMap();
  #handlers = {};
  // So many handlers of events have not come to their end.
  #running = 0;
  #protocol = "";
  binaryType = "arraybuffer";

  constructor(key) {
    if (key !== owned) throw new TypeError("there are no WebSockets to other servers here");
    super();
  }

  get readyState() {
    return this.#state;
  }

  get protocol() {
    return this.#protocol;
  }

  get url() {
    return "";
  }

  get extensions() {
    return "";
  }

  get bufferedAmount() {
    return this.#buffered;
  }

  // Workers begin to take messages with it; here that is with the response.
  accept() {}

  send(data) {
    const message = messageOf(data);
    if (this.#state !== OPEN) return;
    this.#waiting.push(message);
    this.#buffered += message.val.length;
    this.#flush();
    while (this.#connection && this.#buffered > MOST_BUFFERED) this.#sendNext();
  }

  close(code, reason = "") {
    if (code !== undefined && !mayBeSent(code)) {
      throw new DOMException(`a WebSocket cannot be closed with the code ${code}`, "InvalidAccessError");
    }
    const text = String(reason).toWellFormed();
    if (encoder.encode(text).length > LONGEST_REASON) {
      throw new DOMException("the reason is longer than 123 bytes", "SyntaxError");
    }
    this.#close(code, text);
  }

  #close(code, reason) {
    if (this.#state > OPEN) return;
    this.#state = CLOSING;
    this.#end = { code, reason };
    this.#flush();
  }

  addEventListener(type, listener, options) {
    if (listener) super.addEventListener(type, this.#wrap(listener), options);
  }

  removeEventListener(type, listener, options) {
    const wrapped = this.#wrapped.get(listener);
    if (wrapped) super.removeEventListener(type, wrapped, options);
  }

  // What a handler of events throws, at once or later, closes the WebSocket.
  #wrap(listener) {
    let wrapped = this.#wrapped.get(listener);
    if (!wrapped) {
      wrapped = (event) => void this.#run(listener, event);
      this.#wrapped.set(listener, wrapped);
    }
    return wrapped;
  }

  async #run(listener, event) {
    this.#running++;
    try {
      await (typeof listener === "function" ? listener.call(this, event) : listener.handleEvent(event));
    } catch (error) {
      console.error(error);
      this.#close(FAILED, "");
    } finally {
      this.#running--;
    }
  }

  #open(connection, protocol) {
    this.#connection = connection;
    this.#protocol = protocol ?? "";
    this.#flush();
  }

  #deliver({ tag, val }) {
    let data = val;
    if (tag === "binary") {
      const { buffer, byteOffset, byteLength } = val;
      data = this.binaryType === "blob" ? new Blob([val]) : buffer.slice(byteOffset, byteOffset + byteLength);
    }
    // Who has closed receives nothing any more.
    if (this.#state === OPEN) this.dispatchEvent(new MessageEvent("message", { data }));
  }

  #ended({ code, reason }) {
    this.#state = CLOSED;
    this.#forget();
    const wasClean = code !== ABNORMAL;
    if (!wasClean) {
      const message = "the client has left without closing";
      this.dispatchEvent(new ErrorEvent("error", { message, error: new Error(message) }));
    }
    this.dispatchEvent(new CloseEvent("close", { code, reason, wasClean }));
  }

  // Sends what there is room for.
  #flush() {
    if (!this.#connection) return;
    while (this.#waiting.length > 0) {
      const room = this.#connection.subscribeSend();
      const isThere = room.ready();
      room[Symbol.dispose]();
      if (!isThere) return;
      this.#sendNext();
    }
    if (this.#end) {
      this.#connection.close(this.#end.code, this.#end.reason);
      this.#end = undefined;
    }
  }

  #sendNext() {
    const message = this.#waiting.shift();
    this.#buffered -= message.val.length;
    try {
      this.#connection.send(message);
    } catch {
      // It is closed, as whoever receives is told.
      this.#forget();
    }
  }

  #forget() {
    this.#waiting = [];
    this.#buffered = 0;
  }

  static {
    for (const type of ["message", "error", "close"]) {
      Object.defineProperty(this.prototype, `on${type}`, {
        get() {
          return this.#handlers[type]?.handler ?? null;
        },
        set(handler) {
          const handled = this.#handlers[type];
          if (handled) handled.handler = handler;
          else this.#handle(type, handler);
        },
        configurable: true,
        enumerable: true,
      });
    }
    for (const [name, value] of Object.entries({ CONNECTING, OPEN, CLOSING, CLOSED })) {
      for (const owner of [this, this.prototype]) Object.defineProperty(owner, name, { value, enumerable: true });
    }
    inside = {
      open: (socket, connection, protocol) => socket.#open(connection, protocol),
      deliver: (socket, message) => socket.#deliver(message),
      ended: (socket, closed) => socket.#ended(closed),
      flush: (socket) => socket.#flush(),
      isRunning: (socket) => socket.#running > 0,
      isWaiting: (socket) => socket.#waiting.length > 0,
    };
  }

  #handle(type, handler) {
    const handled = { handler };
    handled.handleEvent = (event) => {
      if (typeof handled.handler === "function") return handled.handler.call(this, event);
    };
    this.#handlers[type] = handled;
    this.addEventListener(type, handled);
  }
}

function messageOf(data) {
  if (ArrayBuffer.isView(data)) {
    return { tag: "binary", val: new Uint8Array(data.buffer, data.byteOffset, data.byteLength).slice() };
  }
  if (data instanceof ArrayBuffer) return { tag: "binary", val: new Uint8Array(data.slice(0)) };
  if (data instanceof Blob) throw new TypeError("a Blob is sent as its `arrayBuffer()`");
  return { tag: "text", val: String(data).toWellFormed() };
}

// RFC 6455, section 7.4, and the registry that it founds.
function mayBeSent(code) {
  return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) || (code >= 3000 && code <= 4999);
}

// The application keeps one end, and gives the other away with the response.
const others = new WeakMap();

class WebSocketPair {
  constructor() {
    for (const end of [0, 1]) this[end] = new WebSocket(owned);
    others.set(this[0], this[1]);
    others.set(this[1], this[0]);
  }
}

globalThis.WebSocket ??= WebSocket;
globalThis.WebSocketPair ??= WebSocketPair;

// The engine makes no response of the status 101.
const Before = globalThis.Response;
const Now = new Proxy(Before, {
  construct(target, [body, init], as) {
    const webSocket = init?.webSocket;
    if (!(webSocket instanceof WebSocket)) return Reflect.construct(target, [body, init], as === Now ? target : as);
    const response = new Before(null, { headers: init.headers });
    describe(response, { status: 101, statusText: "Switching Protocols", ok: false, webSocket });
    return response;
  },
});
globalThis.Response = Now;
Before.prototype.constructor = Now;

// The application's end of the WebSocket that a response opens.
export function socketOf(response) {
  return others.get(response.webSocket);
}
