// WebSockets with Hono, as for Workers: it sends each message back, and its page tries it.
import { Hono } from "hono";
import { upgradeWebSocket } from "hono/cloudflare-workers";

const app = new Hono();

app.get(
  "/echo",
  upgradeWebSocket(() => ({
    onMessage: (event, socket) => socket.send(event.data as string | ArrayBuffer),
    onClose: (event) => console.log(`closed with ${event.code}`),
  })),
);
app.get("/", (c) =>
  c.html(`<!doctype html><title>Echo</title><input id="text" placeholder="Say something"><pre id="log"></pre>
<script>
const socket = new WebSocket(location.protocol.replace("http", "ws") + "//" + location.host + "/echo");
socket.onmessage = (event) => (log.textContent += event.data + "\\n");
text.onchange = () => (socket.send(text.value), (text.value = ""));
</script>
`),
);

export default app;
