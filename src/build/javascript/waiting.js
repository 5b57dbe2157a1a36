// What an application waits for beside messages: its timers, and promises that the engine keeps once the host has
// answered. Whoever waits for a message in a call of the host's holds the whole instance up meanwhile, and has to know
// of these.

const engineTimeout = globalThis.setTimeout;
const engineInterval = globalThis.setInterval;

// When timers are due, by their numbers.
const due = new Map();

const soon = (delay) => performance.now() + Math.max(0, Number(delay) || 0);

globalThis.setTimeout = function setTimeout(handler, delay = 0, ...values) {
  const run = (...given) => {
    due.delete(id);
    handler(...given);
  };
  const id = engineTimeout(run, delay, ...values);
  due.set(id, soon(delay));
  return id;
};
globalThis.setInterval = function setInterval(handler, delay = 0, ...values) {
  const run = (...given) => {
    due.set(id, soon(delay));
    handler(...given);
  };
  const id = engineInterval(run, delay, ...values);
  due.set(id, soon(delay));
  return id;
};
for (const name of ["clearTimeout", "clearInterval"]) {
  const clear = globalThis[name];
  globalThis[name] = { [name](id) { due.delete(id); return clear(id); } }[name];
}

// In so many milliseconds the next timer is due; undefined where there is none.
export function untilNextTimer() {
  if (due.size === 0) return undefined;
  return Math.max(0, Math.min(...due.values()) - performance.now());
}

// Lets everything else go on for so many milliseconds, and once where it is none.
export function pause(milliseconds) {
  return new Promise((resolve) => void engineTimeout(resolve, milliseconds));
}

let pending = 0;

// Whether the engine has to ask the host for something that the application waits for.
export function isBusy() {
  return pending > 0;
}

function count(owner, name) {
  const call = owner[name];
  if (typeof call !== "function") return;
  const counted = {
    [name](...values) {
      const result = call.apply(this, values);
      if (typeof result?.then === "function") {
        pending++;
        const settled = () => void pending--;
        result.then(settled, settled);
      }
      return result;
    },
  };
  owner[name] = counted[name];
}

count(globalThis, "fetch");
count(ReadableStreamDefaultReader.prototype, "read");
count(ReadableStream.prototype, "pipeTo");
for (const { prototype } of [Request, Response]) {
  for (const name of ["arrayBuffer", "blob", "bytes", "formData", "json", "text"]) count(prototype, name);
}
