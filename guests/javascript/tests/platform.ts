// What applications take from the web platform, and what middleware does to responses: asked by the tests.
import { Hono } from "hono";
import { etag } from "hono/etag";
import { keptHeaders, ofRequest, ofResponse, responses } from "./light";

const app = new Hono();
// Also while the module is evaluated.
const born = Math.random();
// As Deno, Bun and Node.js tell who asks; the last is what `@hono/node-server/conninfo` reads.
const clientOf = (c: any) => {
  const { remoteAddr, server } = c.env;
  return [remoteAddr, server.requestIP(c.req.raw), (c.env.server ?? c.env).incoming.socket];
};
const codes = (text: string | null) => [...(text ?? "")].map((character) => character.charCodeAt(0));

// Whatever the path is: what a request says of its URL, and what the engine says when it makes it of that.
app.use(async (c, next) => {
  const { url } = c.req.raw;
  return url.includes("told-url") ? c.json([url, c.req.raw.clone().url]) : next();
});
app.use("/wrapped", async (c, next) => {
  await next();
  c.res = new Response(`<<${await c.res.text()}>>`);
});
app.use("/tagged", etag());
// Asked for before the first request.
let warmed = "nothing";
let kept: { fetch: typeof fetch; log: typeof console.log };
app.use("/a-path-that-is-nowhere", async (c, next) => {
  console.log("said before the first request");
  if (c.env.HANGS) await new Promise(() => {});
  kept ??= { fetch: globalThis.fetch, log: console.log };
  if (c.env.ASKS) warmed = await fetch("http://localhost/").then(String, String);
  await next();
});
app.get("/warmed", (c) => c.text(warmed));
app.get("/kept", async (c) => {
  kept.log("said by what was kept");
  return c.text(await (await kept.fetch(c.req.query("url")!)).text());
});
app.get("/", (c) => c.text("Hello, world!\n"));
app.get("/wrapped", (c) => c.text("inner"));
app.get("/tagged", (c) => c.text("tagged"));
// A regular expression that takes twice as long for each further letter.
app.get("/backtracks", (c) => c.text(`${/^(a+)+$/.test("a".repeat(60) + "b")}`));
app.get("/json", () => Response.json({ a: 1 }));
app.get("/unmodified", () => new Response(null, { status: 304, headers: { "content-length": "5" } }));
app.get("/announced", () => new Response(null, { headers: { "content-length": "1000" } }));
app.get("/connection", () => new Response("x", { headers: { connection: "keep-alive", "x-a": "b" } }));
app.get("/client", (c) => c.json([clientOf(c), c.env, c.req.header("wasmserve-client") ?? null]));
app.get("/error", (c) => {
  console.error("told by console.error");
  throw new Error("thrown");
});
app.get("/random", (c) => c.json([born, Math.random()]));
app.get("/bytes", (c) =>
  c.json(codes(c.req.header("x-in") ?? null), 200, { "x-out": "lev\u00e9" }),
);
app.get("/clone", async (c) => {
  const one = new Response("abc");
  const other = one.clone();
  const pieces = [];
  for await (const piece of new Response("abcd").body!) pieces.push(piece.length);
  return c.json([await one.text(), await other.text(), one.bodyUsed, pieces]);
});
// Parts of the web platform that the engine lacks, each by what comes of it.
const all = async (stream: ReadableStream) => {
  let text = "";
  for await (const piece of stream as any) text += piece;
  return text;
};
const thrown = (run: () => unknown) => {
  try {
    return String(run());
  } catch (error: any) {
    return `${error?.name ?? error}: ${error?.message}`;
  }
};
const parts: Record<string, () => unknown> = {
  parse: () => [URL.parse("b", "http://a/")?.href, URL.parse("b"), URL.canParse("http://a/"), URL.canParse("b")],
  decoded: () => all(new Response("h\u00e9llo").body!.pipeThrough(new TextDecoderStream())),
  encoded: () =>
    new Response((ReadableStream as any).from(["\ud83d", "\ude00"]).pipeThrough(new TextEncoderStream())).text(),
  from: () => all((ReadableStream as any).from(["a", Promise.resolve("b")])),
  aborted: () => {
    const controller = new AbortController();
    controller.abort(new Error("why"));
    return [thrown(() => controller.signal.throwIfAborted()), AbortSignal.abort().reason.name];
  },
  timeout: async () => {
    const signal = AbortSignal.any([AbortSignal.timeout(1), new AbortController().signal]);
    await new Promise((resolve) => signal.addEventListener("abort", resolve));
    return signal.reason.name;
  },
  error: () => [Response.error().type, Response.error().status],
  blob: async () => (await new Response("a", { headers: { "content-type": "x/y" } }).blob()).type,
  agent: () => navigator.userAgent,
  normalized: () => [
    "Cr\u00e8me Br\u00fbl\u00e9e".normalize("NFD").replace(/[\u0300-\u036f]/g, ""),
    "e\u0323\u0302 \u0415\u0308".normalize("NFC") === "\u1ec7 \u0401",
    "\u00bd".normalize("NFKC"),
    thrown(() => "\u0e01".normalize()).startsWith("RangeError: normalize(\"NFC\") knows Latin"),
  ],
  letters: () => /^[\p{L}\p{N}]+$/u.test("aé1") && thrown(() => new RegExp("\\p{" + "Nope}", "u")).startsWith("SyntaxError"),
  digest: async () => (await crypto.subtle.digest("SHA-256", new Uint8Array(1))).byteLength,
  form: async () => {
    const form = new FormData();
    form.append("a", "1");
    form.append("f", new File(["xyz", new Uint8Array([0, 255])], "f\u00e9.txt", { type: "text/plain" }));
    form.append("e", new File([], "e"));
    const read = await new Response(form).clone().formData();
    const file = read.get("f") as File;
    const lines = await new Response("a=1&b=%C3%A9", {
      headers: { "content-type": "application/x-www-form-urlencoded" },
    }).formData();
    const bytes = [...new Uint8Array(await file.arrayBuffer())];
    return [read.get("a"), file.name, file.type, bytes, (read.get("e") as File).size, lines.get("b")];
  },
};
app.get("/parts", async (c) => {
  console.debug("told %s of %d%%", "half", 50.5);
  const results: Record<string, unknown> = {};
  for (const [name, part] of Object.entries(parts)) {
    results[name] = await Promise.resolve().then(part).catch(String);
  }
  return c.json(results);
});
// Responses whose body is a text: as they were made, looked at, read, taken over by others, and large.
const texts: Record<string, () => Response | Promise<Response>> = {
  plain: () => new Response("h\u00e9llo"),
  lone: () => new Response("a\ud800b"),
  empty: () => new Response(""),
  "looked-at": () => {
    const response = new Response("looked at");
    return response.body!.locked ? new Response("locked") : response;
  },
  read: async () => {
    const response = new Response("read");
    await response.text();
    return response;
  },
  halved: () => new Response(new Response("halved").body!.tee()[1]),
  "taken-over": () => {
    const response = new Response("inner", { headers: { "x-inner": "1" } });
    return new Response(response.body, response);
  },
  "as-another": () => new Response("longer than the other", new Response("other", { headers: { "x-other": "1" } })),
  "seen-fields": () => {
    const response = new Response("seen", { headers: { "set-cookie": "a=1" } });
    response.headers.append("set-cookie", "b=2");
    return response;
  },
  announced: () => new Response("four", { headers: { "Content-Length": "4" } }),
  large: () => new Response("\u00e9".repeat(100_000), { headers: { "x-large": "v".repeat(20_000) } }),
  problem: () => Response.json({ a: 1 }, { status: 422, headers: { "content-type": "application/problem+json" } }),
  "json-as-another": () => Response.json([1], new Response(null, { status: 201 })),
  "no-json": () => {
    try {
      return Response.json(undefined);
    } catch (error) {
      return new Response(String(error instanceof TypeError));
    }
  },
  redirect: () => {
    const asked = new Request("http://a.test/", { redirect: "manual" });
    return new Response([new Request("http://a.test/").redirect, new Request(asked).redirect].join());
  },
};
app.get("/text/:of", (c) => texts[c.req.param("of")]());
// What the engine has not made yet behaves as what it has made: each gives what does not hold.
app.get("/light/request", async (c) => c.json(await ofRequest(c.req.raw, c.env)));
app.get("/light/response", async (c) => c.json(await ofResponse()));
app.get("/light/kept", (c) => c.text(keptHeaders(c.req.raw)));
// To where its field `host` says.
app.get("/light/forwarded", (c) => fetch(c.req.raw));
app.get("/light/:of", (c) => responses[c.req.param("of")]());
// What it was asked, a line for each thing.
app.all("/request/*", async (c) => {
  const { pathname, search } = new URL(c.req.url);
  const lines = [`path ${pathname}${search}`];
  for (const [name, value] of c.req.raw.headers) lines.push(`header ${name}: ${value}`);
  lines.push(`body ${(await c.req.arrayBuffer()).byteLength}`, "");
  const bytes = Uint8Array.from(codes(lines.join("\n")));
  return new Response(bytes, { headers: { "content-type": "text/plain", "x-out": "lev\u00e9" } });
});
app.get("/fetch", async (c) => {
  const { url, method, body, redirect } = c.req.query();
  try {
    const init = { method, body, redirect: redirect as RequestRedirect };
    const response = await fetch(url, init);
    return c.json([response.status, response.redirected, await response.text()]);
  } catch (error) {
    return c.text(String(error), 502);
  }
});

export default app;
