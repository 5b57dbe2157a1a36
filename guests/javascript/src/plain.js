// A handler and no framework.
export default {
  async fetch(request) {
    const { pathname } = new URL(request.url);
    if (pathname === "/") return new Response("Hello, world!\n");
    if (pathname === "/echo") return new Response(request.body);
    return new Response("There is nothing here.\n", { status: 404 });
  },
};
