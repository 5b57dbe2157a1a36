// What the engine's `crypto` lacks is said, with who has it: an application would be told otherwise that something is no
// function, or its instance would end.

// Refuses random numbers until the function says that they can be had: the host has none while a component is built.
export function drawWhen(isLive) {
  for (const name of ["getRandomValues", "randomUUID"]) {
    const draw = crypto[name].bind(crypto);
    crypto[name] = (...asked) => {
      if (isLive()) return draw(...asked);
      throw new Error(
        `crypto.${name} was called while the module is evaluated, which is done once, when it is built: each instance ` +
          "would have the same. Call it where a request is answered",
      );
    };
  }
}

// Whatever is imported for others is refused by the engine, or ends the instance, as ECDSA does.
const IMPORTED = new Set(["HMAC", "RSASSA-PKCS1-V1_5"]);
const PACKAGES = [
  [/^AES-/, "@noble/ciphers", "aes.js"],
  [/^PBKDF2$/, "@noble/hashes", "pbkdf2.js"],
  [/^HKDF$/, "@noble/hashes", "hkdf.js"],
  [/^ECD(SA|H)$/, "@noble/curves", "nist.js"],
  [/^(ED|X)25519$/, "@noble/curves", "ed25519.js"],
];
const OTHERWISE = {
  generateKey: "import what crypto.getRandomValues gives, for HMAC",
  exportKey: "keep what the key was imported from",
};

const nameOf = (algorithm) => String(algorithm?.name ?? algorithm).toUpperCase();

async function refuse(method, algorithm) {
  const name = nameOf(algorithm);
  const [, folder, file] = PACKAGES.find(([names]) => names.test(name)) ?? [];
  const remedy = folder ? `: \`npm install ${folder}\`, and use \`${folder}/${file}\`` : OTHERWISE[method] ? `: ${OTHERWISE[method]}` : "";
  const what = `crypto.subtle.${method}${folder ? ` for ${name}` : ""} is not there`;
  throw new DOMException(`${what}, as the engine has digests, HMAC and RSASSA-PKCS1-v1_5${remedy}`, "NotSupportedError");
}

const prototype = Object.getPrototypeOf(crypto.subtle);
for (const method of ["generateKey", "encrypt", "decrypt", "deriveBits", "deriveKey"]) {
  prototype[method] ??= { [method]: (algorithm) => refuse(method, algorithm) }[method];
}
for (const method of ["exportKey", "wrapKey", "unwrapKey"]) {
  prototype[method] ??= { [method]: () => refuse(method) }[method];
}
const { importKey } = prototype;
prototype.importKey = async function (format, key, algorithm, ...rest) {
  if (!IMPORTED.has(nameOf(algorithm))) return refuse("importKey", algorithm);
  return importKey.call(this, format, key, algorithm, ...rest);
};
