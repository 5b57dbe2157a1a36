// Between wasmserve:websocket and an application that answers with a WebSocket. `wasmserve build` bundles it with those
// that use one.

import { begin } from "./platform.js";
import { addressOf, answerOf, eachFieldToSend, failed, fetchOf } from "./bridge.js";
import { fromBytes, toBytes } from "./host.js";
import { isBusy, pause, untilNextTimer } from "./waiting.js";
import { inside, socketOf } from "./sockets.js";
import { subscribeDuration } from "wasi:clocks/monotonic-clock@0.2.10";
import { poll } from "wasi:io/poll@0.2.10";

// Where the engine waits for the host, messages are asked for after so many milliseconds at most.
const LONGEST = 20;

export function socketHandlerOf(application, shown = (response) => response) {
  const fetch = fetchOf(application);
  return { handle: (opening, connection) => handle(fetch, shown, opening, connection) };
}

async function handle(fetch, shown, opening, connection) {
  begin();
  const later = [];
  let response;
  try {
    const client = opening.client && addressOf(opening.client);
    response = shown(await answerOf(fetch, requestOf(opening), () => client, later));
    const socket = socketOf(response);
    if (socket) accept(connection, response, socket);
  } catch (error) {
    response = shown(failed(error), error);
  }
  const socket = socketOf(response);
  if (socket) await converse(connection, socket);
  else connection.reject(response.status, fieldsOf(response), new Uint8Array(await response.arrayBuffer()));
  let left = later.length;
  for (const promise of later) {
    Promise.resolve(promise).catch((error) => console.error(String(error))).finally(() => void left--);
  }
  await rest(() => left > 0 || (socket && inside.isRunning(socket)));
  connection[Symbol.dispose]();
}

function requestOf({ scheme, authority, pathWithQuery, headers: fields }) {
  const headers = new Headers();
  for (const [name, value] of fields) headers.append(name, fromBytes(value));
  // As it is in HTTP/1.1, and as applications look for it.
  headers.set("connection", "Upgrade");
  headers.set("upgrade", "websocket");
  const request = new Request(`${scheme}://${authority}${pathWithQuery}`, { method: "GET", headers });
  // Of requests that are sent, these fields are not the application's to write, and the engine leaves them out.
  Object.defineProperty(request, "headers", { value: headers, configurable: true });
  return request;
}

// The host writes the fields of the handshake itself.
function fieldsOf(response) {
  const fields = [];
  eachFieldToSend(response.headers, (name, value) => {
    if (name !== "content-length" && !name.startsWith("sec-websocket-")) fields.push([name, toBytes(value)]);
  });
  return fields;
}

function accept(connection, response, socket) {
  const protocol = response.headers.get("sec-websocket-protocol") || undefined;
  try {
    connection.accept(protocol, fieldsOf(response));
  } catch (error) {
    const { tag, val } = error?.payload ?? error;
    // The client has left, as it is told when it receives.
    if (tag === "decided") return;
    const reasons = {
      "unknown-subprotocol": `the client has not offered the subprotocol ${protocol}`,
      "illegal-header": `the field ${val} cannot be sent`,
    };
    throw new TypeError(`the WebSocket cannot be accepted: ${reasons[tag] ?? tag}`);
  }
  inside.open(socket, connection, protocol);
}

// Gives the application what comes until the connection is closed, and lets everything else go on in between.
async function converse(connection, socket) {
  let patience = 1;
  for (;;) {
    await pause(0);
    inside.flush(socket);
    let message;
    try {
      message = connection.receive();
    } catch (error) {
      inside.ended(socket, error?.payload ?? error);
      return;
    }
    if (message !== undefined) {
      inside.deliver(socket, message);
      patience = 1;
    } else if (isBusy()) {
      await pause(patience);
      patience = Math.min(patience * 2, LONGEST);
    } else {
      wait(connection, socket);
      patience = 1;
    }
  }
}

// Waits in the host, and nothing else goes on meanwhile: there is nothing.
function wait(connection, socket) {
  const awaited = [connection.subscribeReceive()];
  if (inside.isWaiting(socket)) awaited.push(connection.subscribeSend());
  const timer = untilNextTimer();
  if (timer !== undefined) awaited.push(subscribeDuration(BigInt(Math.ceil(timer * 1e6))));
  try {
    poll(awaited);
  } finally {
    for (const pollable of awaited) pollable[Symbol.dispose]();
  }
}

// Lets what is left come to its end, for as long as there is something that it can wait for.
async function rest(isLeft) {
  await pause(0);
  while (isLeft() && (isBusy() || untilNextTimer() !== undefined)) await pause(1);
}
