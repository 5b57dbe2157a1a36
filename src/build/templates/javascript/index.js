// Answers at /, and with what it was sent at /echo. Other servers of the web platform take it as it is too.
import { Hono } from "hono";

const app = new Hono();

app.get("/", (c) => c.text("Hello, world!\n"));
app.post("/echo", (c) => new Response(c.req.raw.body));

export default app;
