// Stands in for the program that componentize-js runs last, which evaluates the application's module and the bindings
// between it and the host. The bindings are made lighter before that: they tell a log of each call that nobody reads, and
// look at text character by character. Where the bridge is there, they hand the host's functions over to it.
//
//     node bindings.mjs COMPONENTIZE-JS plain|bridged WIZER-ARGUMENT...

import { spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const [script, kind, ...given] = process.argv.slice(2);
const FOLDER = "--dir=";
const folder = given.find((word) => word.startsWith(FOLDER))?.slice(FOLDER.length);
const file = join(folder ?? "", "initializer.js");
let text = readFileSync(file, "utf8");

function fail(reason) {
  console.error(reason);
  process.exit(1);
}

// Replaces what has to be there, all of it.
function replace(what, pattern, by) {
  const before = text;
  text = text.replace(pattern, by);
  if (text === before) fail(`the bindings of this componentize-js have no ${what} that wasmserve knows; install version 0.23`);
}

// The program that componentize-js would have run: a package of its own, beside it.
function wizerOf(script) {
  try {
    return createRequire(script).resolve("@bytecodealliance/wizer");
  } catch {
    fail(`${script} has no @bytecodealliance/wizer beside it; install componentize-js in the project`);
  }
}

const LOG = /^ *_debugLog\('[^']*'(?:, \{[^{}]*\})?\);\n/gm;
const TEXT = /^function _utf8AllocateAndEncode\(s, realloc, memory\) \{\n[^]*?^\}\n/m;
const LIGHTER = `function _utf8AllocateAndEncode(s, realloc, memory) {
  if (typeof s !== 'string') throw new TypeError('expected a string, received [' + typeof s + ']');
  if (s.length === 0) return { ptr: 1, len: 0 };
  const encoded = TEXT_ENCODER_UTF8.encode(s);
  const len = encoded.length;
  const ptr = realloc(0, 0, 1, len);
  new Uint8Array(memory.buffer, ptr, len).set(encoded);
  return { ptr, len };
}
`;
text = text.replace(LOG, "").replace(TEXT, () => LIGHTER);

if (kind === "bridged") {
  const names = /^let \[([$\w, ]*)\] = \$bindings;$/m.exec(text)?.[1] ?? "";
  const module = `defineBuiltinModule('wasmserve:host', { host: { ${names} } });\n`;
  replace("modules", /^defineBuiltinModule\(/m, (begin) => module + begin);
  // The bridge takes the handles themselves.
  const handler = /^async function (export_incomingHandler_\w+\$handle)\(arg0, arg1\) \{\n[^]*? await (\w+)\(rsc0, rsc2\);\n[^]*?^\}\n/m;
  replace("handler", handler, (_, name, called) => `async function ${name}(arg0, arg1) {\n  await ${called}(arg0, arg1);\n}\n`);
}
writeFileSync(file, text);

const { default: program } = await import(pathToFileURL(wizerOf(script)));
const { status, error } = spawnSync(program, given, { stdio: "inherit" });
if (error) fail(`cannot run ${program}: ${error.message}`);
process.exit(status ?? 1);
