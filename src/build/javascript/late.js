// For `wasmserve dev`: the component of an application that is read from a file when it starts, so that a change of it
// takes a start and no build. `wasmserve build` makes this component once.

import { bridge, fetchOf, handlerOf, lifecycle } from "./bridge.js";
import { shown } from "./development.js";
import { reachNobody } from "./platform.js";
import { install } from "./positions.js";
import { getDirectories } from "wasi:filesystem/preopens@0.2.10";

const FOLDER = "/app";
const NAME = "application.js";
const PIECE = 1n << 20n;

// The module hands itself over by this name.
const HAND_OVER = Symbol.for("wasmserve.application");

let loading;

// Where the lines of the module come from: read with it, as the files may be those of another version when an error is
// told.
let map;

// Evaluates the application, unless that was done. What it throws then is thrown for each request, which shows it.
const load = () => (loading ??= evaluate());

async function evaluate() {
  const text = read(NAME);
  map = read(`${NAME}.map`);
  let application;
  globalThis[HAND_OVER] = (given) => void (application = given);
  // A module is strict, and may wait for something at its top level. Its first line is the second here.
  const module = (0, eval)(`(async () => {"use strict";\n${text}\n})\n//# sourceURL=${NAME}`);
  const release = reachNobody();
  try {
    await module();
  } finally {
    release();
    delete globalThis[HAND_OVER];
  }
  return fetchOf(application);
}

// What is in a file of the folder.
function read(name) {
  const decoder = new TextDecoder();
  const directories = getDirectories();
  let file;
  try {
    const [folder] = directories.find(([, path]) => path === FOLDER) ?? [];
    if (!folder) throw new Error(`no directory is ${FOLDER}: only \`wasmserve dev\` serves this component`);
    file = folder.openAt({}, name, {}, { read: true });
    let text = "";
    for (let at = 0n, ended = false; !ended; ) {
      let piece;
      [piece, ended] = file.read(PIECE, at);
      text += decoder.decode(piece, { stream: true });
      at += BigInt(piece.length);
    }
    return text + decoder.decode();
  } finally {
    file?.[Symbol.dispose]();
    for (const [directory] of directories) directory[Symbol.dispose]();
  }
}

install(NAME, () => map);

export { bridge };

export const incomingHandler = handlerOf(async (...asked) => (await load())(...asked), shown);

export const application = {
  async start() {
    // Whoever asks is shown it.
    await load().catch((error) => console.error(error));
  },
  settle: lifecycle.settle,
};
