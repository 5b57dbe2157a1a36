// Requests and responses that the engine has not made yet. Making one takes the engine as long as everything else that is
// done with most of them: a request is asked for its method and its URL, a response has a text and a few fields. Such a
// one knows that itself, and the engine makes the real one, once, when it is asked for anything else.

// Gives the class of those that stand for what the engine makes with `Engine`. `own` says of each member what is known
// before there is a real one.
function standIn(Engine, own) {
  const { prototype } = Engine;

  // A private member is seen by nobody who lists or copies what there is.
  class Light {
    #known;
    #real;

    constructor(known) {
      this.#known = known;
    }

    // What is known of it, for as long as there is no real one.
    static knownOf(value) {
      return #known in value ? value.#known : undefined;
    }

    // The real one, of whatever may be one that stands for it.
    static realOf(value) {
      if (!(#known in value)) return value;
      if (value.#known !== undefined) {
        value.#real = value.#known.make(value);
        value.#known = undefined;
      }
      return value.#real;
    }
  }
  delete Light.prototype.constructor;
  Object.setPrototypeOf(Light.prototype, prototype);

  const { knownOf, realOf } = Light;
  for (const [name, { get, set, value, ...kind }] of Object.entries(Object.getOwnPropertyDescriptors(prototype))) {
    const ask = own[name];
    if (get) {
      const real = function () {
        return get.call(realOf(this));
      };
      const either = function () {
        const known = knownOf(this);
        return known === undefined ? get.call(realOf(this)) : ask(known);
      };
      define(prototype, name, { get: ask ? either : real, set, ...kind });
    } else if (typeof value === "function" && name !== "constructor") {
      const { [name]: call } = { [name](...given) { return value.apply(realOf(this), given); } };
      define(prototype, name, { value: call, ...kind });
    }
  }
  return Light;
}

const define = Object.defineProperty;

const EngineResponse = Response;
const LightRequest = standIn(Request, { method: ({ method }) => method, url: ({ url }) => url });
const LightResponse = standIn(Response, { status: ({ status }) => status, bodyUsed: () => false });

export const { knownOf: knownOfResponse } = LightResponse;

// What the engine is given in place of a request, or of what else it takes.
export function realRequest(value) {
  return typeof value === "object" && value !== null ? LightRequest.realOf(value) : value;
}

// A path and a query that are in a URL as they are here (URL standard, sections 1.3 and 4.4): no segment is `.` or `..`,
// however it is written, and there is nothing that is written otherwise in a URL.
const AS_IT_IS = /^(?:\/(?!\.|%2e)[\w\-~!$&()*+,;=:@%.]*)+(?:\?[\w\-~!$&()*+,;=:@%./?]*)?$/i;

// Scheme and authority that were last found to be in a URL as they are.
let origin;

function isAsItIs(scheme, authority, path) {
  const own = `${scheme}://${authority}`;
  if (origin !== own) {
    if (authority.includes("@") || URL.parse(`${own}/`)?.href !== `${own}/`) return false;
    origin = own;
  }
  return AS_IT_IS.test(path);
}

// A request without a body. `make` has the engine make it, of its URL.
export function lightRequest(scheme, authority, path, method, make) {
  const url = `${scheme}://${authority}${path}`;
  return isAsItIs(scheme, authority, path) ? new LightRequest({ method, url, make: () => make(url) }) : make(url);
}

const NAME = /^[!#$%&'*+\-.^_`|~\w]+$/;
// No whitespace at its ends, which the engine takes away, and none of what it refuses.
const VALUE = /^[!-~](?:[\t -~]*[!-~])?$/;

// A response whose body is a text, if what else it is made of is what most have. Everything else is the engine's, also to
// refuse.
export function lightResponse(text, init, made) {
  let status = 200;
  const fields = [];
  let type = "text/plain;charset=UTF-8";
  if (init != null) {
    if (Object.getPrototypeOf(init) !== Object.prototype || init.statusText !== undefined) return undefined;
    if (init.status !== undefined) {
      ({ status } = init);
      if (!Number.isInteger(status) || status < 200 || status > 599) return undefined;
      if (status === 204 || status === 205 || status === 304) return undefined;
    }
    const { headers } = init;
    if (headers != null) {
      if (Object.getPrototypeOf(headers) !== Object.prototype) return undefined;
      for (const given of Object.keys(headers)) {
        const value = headers[given];
        if (typeof value !== "string" || !NAME.test(given) || !VALUE.test(value)) return undefined;
        const name = given.toLowerCase();
        if (name === "content-length" || fields.some(([other]) => other === name)) return undefined;
        if (name === "content-type") type = undefined;
        fields.push([name, value]);
      }
    }
  }
  if (type !== undefined) fields.push(["content-type", type]);
  const make = (response) => {
    made(response);
    return new EngineResponse(text, { status, headers: fields });
  };
  return new LightResponse({ text, status, fields, make });
}
