// Classes of Unicode in regular expressions, for those that the application names; `classes.mjs` has found them. esbuild has
// made a call of `RegExp` of each literal that has one.

import { classes } from "./classes.js";

const EngineRegExp = RegExp;
const texts = new Map();

if (Object.keys(classes).length > 0) {
  globalThis.RegExp = new Proxy(EngineRegExp, {
    apply: (target, self, given) => Reflect.apply(target, self, spelled(given)),
    construct: (target, given, as) =>
      Reflect.construct(target, spelled(given), as === globalThis.RegExp ? target : as),
  });
  EngineRegExp.prototype.constructor = globalThis.RegExp;
}

function spelled([pattern, flags]) {
  const isPlain = typeof pattern !== "string" || !/\\[pP]\{/.test(pattern);
  if (isPlain || !/[uv]/.test(flags ?? "")) return flags === undefined ? [pattern] : [pattern, flags];
  return [withRanges(pattern, flags.includes("v")), flags];
}

// The pattern, with ranges in place of its classes.
function withRanges(pattern, nests) {
  let depth = 0;
  return pattern.replace(/\\([pP])\{([\w=]+)\}|\\.|[[\]]/gsu, (found, letter, name) => {
    if (found === "[") depth = nests ? depth + 1 : 1;
    if (found === "]") depth = nests ? Math.max(depth - 1, 0) : 0;
    if (name === undefined || classes[name] === undefined) return found;
    const ranges = textOf(name, letter === "P");
    return depth > 0 && !nests ? ranges : `[${ranges}]`;
  });
}

function textOf(name, isOther) {
  const key = isOther ? `^${name}` : name;
  if (!texts.has(key)) {
    const ranges = isOther ? others(classes[name]) : classes[name];
    let text = "";
    for (let at = 0; at < ranges.length; at += 2) {
      text += spell(ranges[at]);
      if (ranges[at + 1] > ranges[at]) text += `-${spell(ranges[at + 1])}`;
    }
    texts.set(key, text);
  }
  return texts.get(key);
}

const spell = (point) => `\\u{${point.toString(16)}}`;

function others(ranges) {
  const found = [];
  let next = 0;
  for (let at = 0; at < ranges.length; at += 2) {
    if (ranges[at] > next) found.push(next, ranges[at] - 1);
    next = ranges[at + 1] + 1;
  }
  if (next <= 0x10ffff) found.push(next, 0x10ffff);
  return found;
}
