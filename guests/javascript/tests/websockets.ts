// WebSockets of Hono's adapter for Workers, and what may go wrong with them.
import { Hono } from "hono";
import { upgradeWebSocket } from "hono/cloudflare-workers";

const app = new Hono();
const sleep = (ms: number) => new Promise((done) => setTimeout(done, ms));

app.get(
  "/echo",
  upgradeWebSocket((c) => ({
    onMessage(event, socket) {
      const { data } = event;
      if (data === "state") socket.send(JSON.stringify([socket.readyState, c.req.header("x-own") ?? null]));
      else socket.send(data instanceof ArrayBuffer ? new Uint8Array(data) : (data as string));
    },
    onError: () => console.log("an error came first"),
    onClose: ({ code, reason, wasClean }, socket) =>
      console.log(`closed ${code} "${reason}" ${wasClean} in state ${socket.readyState}`),
  })),
);
app.get(
  "/chosen",
  async (c, next) => {
    await next();
    c.header("sec-websocket-protocol", "second");
    c.header("x-greeting", "hello");
    c.header("set-cookie", "a=b");
  },
  upgradeWebSocket(() => ({ onMessage: (_, socket) => socket.send(`chosen ${socket.raw!.protocol}`) })),
);
app.get(
  "/close",
  upgradeWebSocket((c) => ({
    onMessage(_, socket) {
      socket.send("before");
      try {
        socket.close(Number(c.req.query("code")), c.req.query("reason"));
      } catch (error) {
        socket.send((error as Error).name);
      }
      socket.send("after");
    },
  })),
);
app.get(
  "/throw",
  upgradeWebSocket(() => ({
    onMessage() {
      throw new Error("as asked");
    },
  })),
);
app.get(
  "/throw-later",
  upgradeWebSocket(() => ({
    async onMessage() {
      await sleep(20);
      throw new Error("as asked, later");
    },
  })),
);
app.get(
  "/denied",
  async (c) => c.text("not today\n", 403),
  upgradeWebSocket(() => ({})),
);
// Several things go on at a time.
app.get(
  "/busy",
  upgradeWebSocket((c) => {
    let ticks = 0;
    let timer: ReturnType<typeof setInterval> | undefined;
    return {
      async onMessage(event, socket) {
        timer ??= setInterval(() => socket.send(`tick ${ticks++}`), 30);
        const response = await fetch(c.req.query("url")!);
        socket.send(`${event.data} ${await response.text()}`);
      },
      onClose: () => clearInterval(timer),
    };
  }),
);
// What each handler waits for does not hold up the next one.
app.get(
  "/slow",
  upgradeWebSocket(() => ({
    async onMessage(event, socket) {
      await sleep(Number(event.data));
      socket.send(event.data as string);
    },
  })),
);
// Far more than the host queues, before its client reads.
app.get(
  "/flood",
  upgradeWebSocket(() => ({
    onMessage(event, socket) {
      const count = Number(event.data);
      for (let i = 0; i < count; i++) socket.send(`${i} ${"x".repeat(10_000)}`);
      socket.close(4000, "all");
    },
  })),
);
app.get(
  "/afterwards",
  upgradeWebSocket((c) => ({
    async onClose() {
      await sleep(50);
      console.log("done afterwards");
      c.executionCtx.waitUntil(sleep(10));
    },
    // It waits for what never comes.
    onMessage: () => new Promise(() => {}),
  })),
);

export default app;
