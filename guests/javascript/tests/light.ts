// Requests and responses that the engine has not made yet, and those that it has: they are to be the same for whoever uses
// them. Each function gives the names of what does not hold.
type Checks = Record<string, (() => unknown) | (() => Promise<unknown>)>;

async function wrong(checks: Checks): Promise<string[]> {
  const names = [];
  for (const [name, holds] of Object.entries(checks)) {
    const held = await Promise.resolve().then(holds).catch(String);
    if (held !== true) names.push(`${name}: ${held}`);
  }
  return names;
}

function refuses(kind: new () => Error, run: () => unknown): boolean | string {
  try {
    run();
  } catch (error) {
    return error instanceof kind || String(error);
  }
  return "nothing was thrown";
}

const own = (value: object) => JSON.stringify([value, { ...value }, Reflect.ownKeys(value)]);

export function ofRequest(asked: Request, env: any): Promise<string[]> {
  // What looks at more than method and URL has the engine make the request: nothing before `headers` does.
  return wrong({
    instance: () => asked instanceof Request && asked.constructor === Request,
    tag: () => Object.prototype.toString.call(asked) === "[object Request]",
    own: () => own(asked) === '[{},{},[]]',
    method: () => asked.method === "GET" && "method" in asked,
    derived: () => Object.create(env).remoteAddr.hostname === "127.0.0.1",
    proxied: () => new Proxy(env, {}).remoteAddr === env.remoteAddr,
    // An object like any other, and what it tells of the client is not among the variables for whoever lists or copies them.
    variables: () =>
      JSON.stringify([env, { ...env }, Object.keys(env)]) === "[{},{},[]]" &&
      Object.getPrototypeOf(env) === Object.prototype && !("requestIP" in env),
    looped: () => {
      for (const name in env) return name;
      return true;
    },
    assigned: () => ((env.server = 1), env.server === 1 && Object.keys(env).join() === "server"),
    again: () => new Request(asked).headers.get("x-a") === "1, 2",
    other: () => new Request(asked, { method: "PUT" }).method === "PUT",
    "as init": () => new Request("http://a.test/", asked).headers.get("x-a") === "1, 2",
    "an heir": () => new (class Own extends Request {})(asked).url === asked.url,
    headers: () => asked.headers.get("x-a") === "1, 2" && asked.headers === asked.headers,
    listed: () => asked.headers.has("x-a") && !asked.headers.has("wasmserve-client"),
    changed: () => {
      asked.headers.set("x-a", "3");
      return new Request(asked).headers.get("x-a") === "3" && asked.clone().headers.get("x-a") === "3";
    },
    redirect: () => asked.redirect === "follow",
    body: () => asked.body === null && asked.bodyUsed === false,
    text: async () => (await asked.text()) === "",
    blob: async () => (await asked.blob()).size === 0,
    foreign: () => refuses(TypeError, () => Object.getOwnPropertyDescriptor(Request.prototype, "url")!.get!.call({})),
  });
}

const made = (init?: any) => new Response("h\u00e9llo", init);

export function ofResponse(): Promise<string[]> {
  return wrong({
    instance: () => made() instanceof Response && made().constructor === Response,
    tag: () => Object.prototype.toString.call(made()) === "[object Response]",
    own: () => own(made({ headers: { "x-a": "1" } })) === '[{},{},[]]',
    called: () => refuses(TypeError, () => (Response as any)("x")),
    status: () => made().status === 200 && made({ status: 404 }).status === 404 && made().ok && !made({ status: 404 }).ok,
    "its text": () => made().statusText === "" && made({ status: 201, statusText: "So" }).statusText === "So",
    "what is not there": () => made({ status: undefined, headers: undefined }).status === 200,
    type: () => made().headers.get("content-type") === "text/plain;charset=UTF-8",
    "own type": () => made({ headers: { "Content-Type": "x/y" } }).headers.get("content-type") === "x/y",
    "no length": () => made().headers.get("content-length") === null,
    record: () => [...made({ headers: { "X-B": "2", "x-a": "1 2" } }).headers.keys()].join() === "content-type,x-a,x-b",
    trimmed: () => made({ headers: { "x-a": " 1\t" } }).headers.get("x-a") === "1",
    number: () => made({ headers: { "x-a": 7 } }).headers.get("x-a") === "7",
    twice: () => made({ headers: { "x-a": "1", "X-A": "2" } }).headers.get("x-a") === "1, 2",
    pairs: () => made({ headers: [["x-a", "1"], ["x-a", "2"]] }).headers.get("x-a") === "1, 2",
    headers: () => made({ headers: new Headers({ "x-a": "1" }) }).headers.get("x-a") === "1",
    "as init": () => new Response("x", made({ status: 404, headers: { "x-a": "1" } })).headers.get("x-a") === "1",
    "later changes": () => {
      const headers = { "x-a": "1" };
      const response = made({ headers });
      headers["x-a"] = "2";
      return response.headers.get("x-a") === "1" && response.headers === response.headers;
    },
    "an illegal name": () => refuses(TypeError, () => made({ headers: { "x a": "1" } })),
    "an illegal value": () => refuses(TypeError, () => made({ headers: { "x-a": "1\n2" } })),
    "a character": () => refuses(TypeError, () => made({ headers: { "x-a": "\u0101" } })),
    "a status": () => refuses(RangeError, () => made({ status: 199 })) && refuses(RangeError, () => made({ status: 600 })),
    bodiless: () => refuses(TypeError, () => made({ status: 204 })),
    text: async () => (await made().text()) === "h\u00e9llo",
    json: async () => (await new Response("[1]").json())[0] === 1,
    bytes: async () => (await made().arrayBuffer()).byteLength === 6 && (await made().bytes()).length === 6,
    blob: async () => (await made({ headers: { "content-type": "x/y" } }).blob()).type === "x/y",
    used: async () => {
      const response = made();
      const before = response.bodyUsed;
      await response.text();
      return !before && response.bodyUsed && (await response.text().then(() => "read again", () => true));
    },
    clone: async () => {
      const response = made({ status: 404, headers: { "x-a": "1" } });
      const other = response.clone();
      return (await response.text()) === (await other.text()) && other.status === 404 && other.headers.has("x-a");
    },
    tee: async () => {
      const response = made();
      const [one] = response.body!.tee();
      return (await new Response(one).text()) === "h\u00e9llo" && response.body!.locked;
    },
    "an heir": async () => {
      class Own extends Response {
        extra = 1;
      }
      const response = new Own("own", { status: 201 });
      return response instanceof Own && response.extra === 1 && response.status === 201 && (await response.text()) === "own";
    },
    "by its own": () => Response.json({}).headers.get("content-type") === "application/json",
    elsewhere: () => Response.redirect("http://a.test/", 303).headers.get("location") === "http://a.test/",
    error: () => Response.error().type === "error" && Response.error() instanceof Response,
    foreign: () => refuses(TypeError, () => Object.getOwnPropertyDescriptor(Response.prototype, "status")!.get!.call({})),
  });
}

// Responses as they are sent: a body of `sent`, whatever else they are.
export const responses: Record<string, () => Response> = {
  fields: () => made({ status: 404, headers: { "X-A": "1", "set-cookie": "a=1", connection: "close" } }),
  heir: () => new (class Own extends Response {})("h\u00e9llo", { headers: { "x-a": "1" } }),
  changed: () => {
    const response = made({ headers: { "set-cookie": "a=1" } });
    response.headers.append("set-cookie", "b=2");
    response.headers.set("x-a", "2");
    return response;
  },
  "another-status": () => Object.defineProperty(made({ headers: { "x-a": "1" } }), "status", { value: 418 }),
};

let kept: Request | undefined;

// The headers of the request before are its own for as long as it is answered.
export function keptHeaders(request: Request): string {
  try {
    return kept?.headers.get("x-a") ?? "none";
  } catch (error) {
    return String(error);
  } finally {
    kept = request;
  }
}
