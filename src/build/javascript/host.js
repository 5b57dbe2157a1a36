// wasi:http as the bridge uses it, with the host's functions called as the canonical ABI has them. The bindings that
// componentize-js makes stand between otherwise, and take ten times as long for each call as the call itself.
// `bindings.mjs` has them hand over what is used here.

import { host } from "wasmserve:host";

const of = (names, interface_) => (name) => found(names + name, interface_ + name);
const types = of("$import_wasi_http_types_0_2_10$", "wasi:http/types ");
const streams = of("$import_wasi_io_streams_0_2_10$", "wasi:io/streams ");
const drops = of("$resource_import$", "drop ");

function found(name, known) {
  if (typeof host[name] !== "function") throw new Error(`componentize-js has no binding for ${known}`);
  return host[name];
}

const memory = host.$memory;
const allocate = found("$realloc", "memory");
const free = found("$dealloc", "memory");

const environment = found("$import_wasi_cli_environment_0_2_10$getEnvironment", "wasi:cli/environment");
const method = types("incomingRequest$method$method");
const scheme = types("incomingRequest$method$scheme");
const authority = types("incomingRequest$method$authority");
const pathWithQuery = types("incomingRequest$method$pathWithQuery");
const headersOf = types("incomingRequest$method$headers");
const consume = types("incomingRequest$method$consume");
const entries = types("fields$method$entries");
const newFields = types("fields$constructor");
const append = types("fields$method$append");
const newResponse = types("outgoingResponse$constructor");
const setStatusCode = types("outgoingResponse$method$setStatusCode");
const bodyOf = types("outgoingResponse$method$body");
const setResponse = types("responseOutparam$static$set");
const streamOf = types("incomingBody$method$stream");
const finishIncoming = types("incomingBody$static$finish");
const streamTo = types("outgoingBody$method$write");
const finishOutgoing = types("outgoingBody$static$finish");
const blockingRead = streams("inputStream$method$blockingRead");
const checkWrite = streams("outputStream$method$checkWrite");
const write = streams("outputStream$method$write");
const flush = streams("outputStream$method$flush");
const subscribe = streams("outputStream$method$subscribe");
const block = found("$import_wasi_io_poll_0_2_10$pollable$method$block", "wasi:io/poll");

const dropRequest = drops("types_0_2_10$drop$incomingRequest");
const dropFields = drops("types_0_2_10$drop$fields");
const dropResponse = drops("types_0_2_10$drop$outgoingResponse");
const dropOutgoing = drops("types_0_2_10$drop$outgoingBody");
const dropTrailers = drops("types_0_2_10$drop$futureTrailers");
const dropInput = drops("streams_0_2_10$drop$inputStream");
const dropOutput = drops("streams_0_2_10$drop$outputStream");
const dropError = drops("error_0_2_10$drop$error");
const dropPollable = drops("poll_0_2_10$drop$pollable");

const decoder = new TextDecoder();
const encoder = new TextEncoder();

// What is given to the host is written to this buffer, unless it is larger. The engine takes back at the end of each call
// what was allocated in it.
const ROOM = 16384;
let scratch = 0;

// To be called where a call of the host's begins, and where it ends.
export function allocateScratch() {
  scratch = allocate(0, 0, 1, ROOM);
}
export function freeScratch() {
  free(scratch, ROOM, 1);
  scratch = 0;
}

// A memory that grows has another buffer. It does not move: what a call has left is found in the buffer that there was
// after it.
let bytes = new Uint8Array(memory.buffer);
let words = new DataView(memory.buffer);

function refreshViews() {
  const { buffer } = memory;
  if (bytes.buffer === buffer) return;
  bytes = new Uint8Array(buffer);
  words = new DataView(buffer);
}

const word = (at) => words.getUint32(at, true);

// What `read` makes of the bytes of a `string` or a `list<u8>`, which are given back to the memory.
function take(at, read) {
  const begin = word(at);
  const length = word(at + 4);
  if (length === 0) return "";
  const text = read(bytes.subarray(begin, begin + length));
  free(begin, length, 1);
  return text;
}

const decode = (encoded) => decoder.decode(encoded);
const takeText = (at) => take(at, decode);

// Calls `visit` with each pair of a list that a call has left: a text, and what `read` makes of the bytes beside it.
function eachPair(left, read, visit) {
  refreshViews();
  const list = word(left);
  const length = word(left + 4);
  for (let at = list; at < list + length * 16; at += 16) {
    const name = takeText(at);
    visit(name, take(at + 8, read));
  }
  if (length > 0) free(list, length * 16, 4);
  free(left);
}

// Values of fields are byte strings, a byte a character (Fetch standard). Most are ASCII, which the engine does faster.
export function fromBytes(value) {
  const text = decoder.decode(value);
  if (text.length === value.length && !text.includes("\ufffd")) return text;
  return Array.from(value, (byte) => String.fromCharCode(byte)).join("");
}

export function toBytes(text) {
  const encoded = encoder.encode(text);
  return encoded.length === text.length
    ? encoded
    : Uint8Array.from(text, (character) => character.charCodeAt(0));
}

// The variables of the environment, of which each caller makes an object for itself. They stay as they are for as long as
// a server runs which has this instance or another that begins as it is.
export function variables() {
  if (known === undefined) {
    known = Object.create(null);
    eachPair(environment(), decode, (name, value) => void (known[name] = value));
  }
  return known;
}

let known;

// What follows is seen by no application, so that nothing of it has to be private, which takes the engine longer.

const METHODS = ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"];

// A request, by its handle.
export class Incoming {
  constructor(handle) {
    this.handle = handle;
    this.body = this.stream = undefined;
  }

  method() {
    const told = method(this.handle);
    refreshViews();
    const text = METHODS[bytes[told]] ?? takeText(told + 4);
    free(told);
    return text;
  }

  scheme() {
    const told = scheme(this.handle);
    refreshViews();
    const isKnown = bytes[told];
    const kind = bytes[told + 4];
    if (isKnown && kind === 2) takeText(told + 8);
    free(told);
    return isKnown && kind === 1 ? "https" : "http";
  }

  authority() {
    return optional(authority(this.handle));
  }

  pathWithQuery() {
    return optional(pathWithQuery(this.handle));
  }

  // Calls a function with the name and the value of each field.
  eachField(visit) {
    if (this.handle === undefined) {
      throw new TypeError("the request was answered before anybody has looked at its fields, which are gone with it");
    }
    const fields = headersOf(this.handle);
    eachPair(entries(fields), fromBytes, visit);
    dropFields(fields);
  }

  // The body, to be read from then on.
  open() {
    this.body = handleIn(consume(this.handle), "the body was taken already");
    this.stream = handleIn(streamOf(this.body), "the body was taken already");
  }

  // The next piece, for which it waits; undefined at the end.
  read(most) {
    // A stream asks for its first piece when it is made, and somebody may when the request was answered.
    if (this.stream === undefined) throw new TypeError("the request was answered, and its body is gone with it");
    for (;;) {
      const told = blockingRead(this.stream, most);
      refreshViews();
      if (bytes[told]) {
        const isEnd = closed(told, 4);
        this.end();
        if (isEnd) return undefined;
        throw new TypeError("the body of the request broke off");
      }
      const begin = word(told + 4);
      const length = word(told + 8);
      free(told);
      if (length === 0) continue;
      const piece = bytes.slice(begin, begin + length);
      free(begin, length, 1);
      return piece;
    }
  }

  end() {
    if (this.stream === undefined) return;
    dropInput(this.stream);
    this.stream = undefined;
    // What comes of it is trailers, which nobody asks for.
    dropTrailers(finishIncoming(this.body));
  }

  // Gives everything back.
  close() {
    this.end();
    dropRequest(this.handle);
    this.handle = undefined;
  }
}

function optional(told) {
  refreshViews();
  const text = bytes[told] ? takeText(told + 4) : undefined;
  free(told);
  return text;
}

// The handle of a result that has no other error.
function handleIn(told, problem) {
  refreshViews();
  const isError = bytes[told];
  const handle = word(told + 4);
  free(told);
  if (isError) throw new TypeError(problem);
  return handle;
}

// Whether the error of a stream says that it is closed, and not that it is broken.
function closed(told, at) {
  const isClosed = bytes[told + at] === 1;
  const error = word(told + at + 4);
  free(told);
  if (!isClosed) dropError(error);
  return isClosed;
}

// The head of a response, which becomes the host's.
export class Head {
  constructor() {
    this.fields = newFields();
    this.response = undefined;
    // The body, where it is known whole.
    this.whole = undefined;
  }

  append(name, value) {
    const length = name.length + value.length;
    const place = length > ROOM ? allocate(0, 0, 1, length) : scratch;
    refreshViews();
    put(name + value, place);
    const told = append(this.fields, place, name.length, place + name.length, value.length);
    refreshViews();
    const isError = bytes[told];
    const kind = bytes[told + 1];
    free(told);
    if (place !== scratch) free(place, length, 1);
    if (isError) {
      const reason = ["its name or its value has characters that none may have", "the host writes it"][kind];
      throw new TypeError(`the field ${name} of the response cannot be sent: ${reason ?? "it is too late for it"}`);
    }
  }

  // No field can be appended from then on.
  setStatus(status) {
    this.response = newResponse(this.fields);
    this.fields = undefined;
    if (status !== 200 && setStatusCode(this.response, status)) throw new TypeError(`no response has the status ${status}`);
  }

  // Sends it. With a body there is more to come, which is returned.
  send(out, hasBody) {
    const response = this.response;
    const body = hasBody ? handleIn(bodyOf(response), "the body was taken already") : undefined;
    this.response = undefined;
    setResponse(out, 0, response, 0, 0n, 0, 0, 0, 0);
    return body === undefined ? undefined : new Outgoing(body);
  }

  // Gives back what was not sent.
  close() {
    if (this.fields !== undefined) dropFields(this.fields);
    if (this.response !== undefined) dropResponse(this.response);
    this.fields = this.response = undefined;
  }
}

// Writes text whose characters are a byte each. Where some are not ASCII it has no room for all of them in UTF-8.
function put(text, place) {
  const { read } = encoder.encodeInto(text, bytes.subarray(place, place + text.length));
  if (read === text.length) return;
  for (let at = 0; at < text.length; at++) bytes[place + at] = text.charCodeAt(at);
}

// The body of a response.
export class Outgoing {
  constructor(body) {
    this.body = body;
    this.stream = handleIn(streamTo(body), "the body was taken already");
  }

  // Writes bytes, which the client may not have taken when this returns.
  write(piece) {
    for (let at = 0; at < piece.length; at += ROOM) {
      const part = piece.subarray(at, at + ROOM);
      refreshViews();
      bytes.set(part, scratch);
      this.writeFrom(scratch, part.length);
    }
  }

  // Has what was written go out now.
  flush() {
    done(flush(this.stream), 4);
  }

  writeFrom(place, length) {
    for (let at = 0; at < length; ) {
      const told = checkWrite(this.stream);
      refreshViews();
      const isError = bytes[told];
      if (isError) done(told, 8);
      const room = Number(words.getBigUint64(told + 8, true));
      free(told);
      if (room === 0) {
        const ready = subscribe(this.stream);
        block(ready);
        dropPollable(ready);
        continue;
      }
      const count = Math.min(room, length - at);
      done(write(this.stream, place + at, count), 4);
      at += count;
    }
  }

  // Only a body that is finished is whole.
  finish() {
    dropOutput(this.stream);
    const body = this.body;
    this.stream = this.body = undefined;
    const told = finishOutgoing(body, 0, 0);
    refreshViews();
    const isError = bytes[told];
    free(told);
    if (isError) throw new TypeError("the body of the response is not as long as its content-length says");
  }

  // Leaves the body unfinished, which the client sees.
  close() {
    if (this.stream !== undefined) dropOutput(this.stream);
    if (this.body !== undefined) dropOutgoing(this.body);
    this.stream = this.body = undefined;
  }
}

// Fails where the result of a call says so.
function done(told, at) {
  refreshViews();
  if (!bytes[told]) return void free(told);
  throw new TypeError(closed(told, at) ? "the client has gone" : "the response could not be written");
}
