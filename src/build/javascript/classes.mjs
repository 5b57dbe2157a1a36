// Classes of Unicode that a module names in regular expressions (`\p{L}`), as ranges of characters: the engine has no tables,
// and Node.js has, which runs this while the component is built.
//
//     node classes.mjs MODULE OUTPUT

import { readFileSync, writeFileSync } from "node:fs";

const [module, output] = process.argv.slice(2);
// In a literal, or in a text that one is made of.
const NAMED = /\\[pP]\{([\w=]+)\}/g;

function rangesOf(name) {
  let one;
  try {
    one = new RegExp(`^\\p{${name}}$`, "u");
  } catch {
    // None that Node.js knows either: whoever evaluates it is told so.
    return undefined;
  }
  const ranges = [];
  for (let point = 0, begin; point <= 0x110000; point++) {
    const isIn = point < 0x110000 && one.test(String.fromCodePoint(point));
    if (isIn && begin === undefined) begin = point;
    if (!isIn && begin !== undefined) {
      ranges.push(begin, point - 1);
      begin = undefined;
    }
  }
  return ranges;
}

const names = new Set(Array.from(readFileSync(module, "utf8").matchAll(NAMED), ([, name]) => name));
const known = Object.fromEntries([...names].map((name) => [name, rangesOf(name)]).filter(([, ranges]) => ranges));
writeFileSync(output, `export const classes = ${JSON.stringify(known)};\n`);
