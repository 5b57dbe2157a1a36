// Listens for the `fetch` event. Its engine makes instances for one request each: --reuse finds that out.
addEventListener("fetch", (event) => event.respondWith(answer(event.request)));

async function answer(request) {
  const { pathname } = new URL(request.url);
  if (pathname === "/") return new Response("Hello, world!\n");
  if (pathname === "/echo") return new Response(await request.text());
  return new Response("There is nothing here.\n", { status: 404 });
}
