// A Hono application, as it is: Node, Bun, Deno and Workers serve it too.
import { Hono } from "hono";
import { streamText } from "hono/streaming";

type Env = { Bindings: Record<string, string> };

const app = new Hono<Env>();
let counter = 0;

app.get("/", (c) => c.text("Hello, world!\n"));
// How many of these requests this instance has seen.
app.get("/counter", (c) => c.text(`${++counter}\n`));
app.get("/items/:id", (c) => c.json({ id: c.req.param("id"), query: c.req.query("q") ?? null }));
app.post("/items", async (c) => c.json({ created: (await c.req.json()).name }, 201));
// The body goes back as it comes.
app.post("/echo", (c) => new Response(c.req.raw.body));
app.get("/slow", (c) =>
  streamText(c, async (stream) => {
    for (let i = 0; i < 5; i++) {
      await stream.writeln(`chunk ${i}`);
      await stream.sleep(100);
    }
  }),
);
app.get("/cookies", (c) => {
  c.header("set-cookie", "a=1", { append: true });
  c.header("set-cookie", "b=2", { append: true });
  return c.text("two\n");
});
app.get("/greeting", (c) => c.text(`${c.env.GREETING ?? "none"}\n`));
app.get("/throw", () => {
  throw new Error("as asked");
});
// Goes on after the response.
app.get("/later", (c) => {
  c.executionCtx.waitUntil(
    new Promise<void>((done) => setTimeout(() => done(console.log("done later")), 50)),
  );
  return c.text("now\n");
});
app.get("/fetch", async (c) => c.text(await (await fetch(c.req.query("url")!)).text()));

export default app;
