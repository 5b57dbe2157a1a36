// For `wasmserve dev`: an error is shown to whoever asks, and not only in the terminal.

let last;
const log = console.error.bind(console);
// Frameworks catch what an application throws, tell it here, and answer 500 (Hono's default handler of errors).
console.error = (...values) => {
  last = values.find((value) => value instanceof Error) ?? last;
  log(...values);
};

export function shown(response, error = last) {
  last = undefined;
  if (response.status !== 500 || error === undefined) return response;
  const text = error?.stack ? `${error}\n\n${error.stack}` : String(error);
  const escaped = text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
  const page =
    `<!doctype html><meta charset=utf-8><title>Internal Server Error</title>` +
    `<body style="font-family:sans-serif;margin:2em"><h1>Internal Server Error</h1>` +
    `<pre style="background:#eee;padding:1em;white-space:pre-wrap">${escaped}</pre>\n`;
  return new Response(page, { status: 500, headers: { "content-type": "text/html; charset=utf-8" } });
}
