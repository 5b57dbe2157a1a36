// Where an error comes from is told as the developer knows it, by the file and the line that was written, and not by the
// line of the module that esbuild has made of all files (Source Map, revision 3).

const DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const MORE = 32;

// Has errors tell positions in the module of this name by its map, which is asked for when it is needed first. The module
// begins in the second line of what was evaluated.
export function install(name, mapOf) {
  const { get, set } = Object.getOwnPropertyDescriptor(Error.prototype, "stack") ?? {};
  if (!get) return;
  const position = new RegExp(`${name.replaceAll(".", "\\.")}:(\\d+):(\\d+)`, "g");
  let map;
  const stack = {
    get() {
      const stack = get.call(this);
      if (typeof stack !== "string" || !stack.includes(`${name}:`)) return stack;
      try {
        map ??= parsed(JSON.parse(mapOf()));
      } catch {
        return stack;
      }
      return stack.replace(position, (whole, line, column) => original(map, line - 2, column - 1) ?? whole);
    },
    set,
  };
  Object.defineProperty(Error.prototype, "stack", { ...stack, configurable: true, enumerable: false });
}

// The file, the line and the column, both counted from one.
function original({ sources, lines }, line, column) {
  const segments = lines[line] ?? [];
  const next = segments.findIndex((segment) => segment.column > column);
  const segment = next < 0 ? segments.at(-1) : segments[next - 1];
  return segment && `${sources[segment.source]}:${segment.line + 1}:${segment.at + 1}`;
}

function parsed({ sources, mappings }) {
  let source = 0;
  let line = 0;
  let at = 0;
  const lines = mappings.split(";").map((text) => {
    let column = 0;
    const segments = [];
    for (const part of text ? text.split(",") : []) {
      const fields = numbers(part);
      column += fields[0];
      if (fields.length < 4) continue;
      source += fields[1];
      line += fields[2];
      at += fields[3];
      segments.push({ column, source, line, at });
    }
    return segments;
  });
  return { sources, lines };
}

// Five bits in each digit, the lowest first, and the sign in the lowest of all.
function numbers(text) {
  const found = [];
  let value = 0;
  let shift = 0;
  for (const digit of text) {
    const bits = DIGITS.indexOf(digit);
    value |= (bits & (MORE - 1)) << shift;
    shift += 5;
    if (bits & MORE) continue;
    found.push(value & 1 ? -(value >> 1) : value >> 1);
    value = shift = 0;
  }
  return found;
}
