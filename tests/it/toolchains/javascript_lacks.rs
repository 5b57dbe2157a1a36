//! What the engine lacks: an application is told what is not there and who has it, where its instance ended, or the build did
//! with an advice that is none.

use super::javascript::answer;
use super::{place, trials, with_toolchains};
use crate::harness::{finished, root};
use std::fs::write;
use std::os::unix::fs::symlink;
use std::process::Output;

const ASKING: &str = r#"
const said = async (call) => {
  try {
    return await call();
  } catch (error) {
    return `${error.name}: ${error.message}`;
  }
};
const atFirst = await said(() => crypto.randomUUID());
const point = { kty: "EC", crv: "P-256", x: "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", y: "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0" };
export default async () => {
  const raw = crypto.getRandomValues(new Uint8Array(32));
  const key = await crypto.subtle.importKey("raw", raw, { name: "hmac", hash: "SHA-256" }, false, ["sign"]);
  return Response.json([
    atFirst,
    (await crypto.subtle.sign("HMAC", key, raw)).byteLength,
    crypto.randomUUID().length,
    await said(() => crypto.subtle.importKey("jwk", point, { name: "ECDSA", namedCurve: "P-256" }, false, ["verify"])),
    await said(() => crypto.subtle.importKey("raw", raw, "PBKDF2", false, ["deriveBits"])),
    await said(() => crypto.subtle.encrypt({ name: "AES-GCM", iv: raw }, key, raw)),
    await said(() => crypto.subtle.generateKey({ name: "HMAC", hash: "SHA-256" }, true, ["sign"])),
    await said(() => crypto.subtle.exportKey("raw", key)),
  ]);
};
"#;

/// It is made of the host's resources, as jco's adapter for Hono does it.
const OWN: &str = r#"
import { Fields, OutgoingBody, OutgoingResponse, ResponseOutparam } from "wasi:http/types@0.2.10";
export const incomingHandler = {
  handle(request, out) {
    const response = new OutgoingResponse(new Fields());
    const body = response.body();
    ResponseOutparam.set(out, { tag: "ok", val: response });
    const stream = body.write();
    stream.blockingWriteAndFlush(new TextEncoder().encode(`${Math.random()} ${crypto.randomUUID()}`));
    stream[Symbol.dispose]();
    OutgoingBody.finish(body, undefined);
  },
};
"#;

fn build(name: &str, text: &str) -> (String, Output) {
    let at = place(name);
    write(
        at.join("package.json"),
        r#"{"type": "module", "main": "index.js"}"#,
    )
    .unwrap();
    write(at.join("index.js"), text).unwrap();
    let installed = root().join("guests/javascript/node_modules");
    symlink(installed, at.join("node_modules")).unwrap();
    let file = at.join("app.wasm");
    let mut command = with_toolchains();
    command.arg("build").arg(&at).arg("-o").arg(&file);
    (file.display().to_string(), finished(command))
}

fn built(name: &str, text: &str) -> String {
    let (file, output) = build(name, text);
    assert!(output.status.success(), "{output:?}");
    file
}

/// The first was built, and answered nobody.
#[test]
fn an_application_without_a_default_export_or_with_modules_of_node_is_refused() {
    for (text, problem) in [
        (
            "export const app = { fetch() {} };",
            "index.js` has no default export, so that nothing answers requests",
        ),
        (
            "import \"node:fs\"; export default () => 0;",
            "the engine has no modules of Node.js, such as that named above",
        ),
    ] {
        let (_, output) = build("javascript-refused", text);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && said.contains(problem), "{said}");
    }
}

#[test]
fn what_crypto_lacks_is_said_with_who_has_it() {
    let server = trials::serve(&built("javascript-crypto", ASKING), &[]);
    let (status, told) = answer(&server, "/");
    assert_eq!(status, 200, "{told}");
    let told: Vec<serde_json::Value> = serde_json::from_str(&told).unwrap();
    assert_eq!((&told[1], &told[2]), (&32.into(), &36.into()), "{told:?}");
    for (at, begin, end) in [
        (
            0,
            "Error: crypto.randomUUID was called while the module is evaluated",
            "is answered",
        ),
        (
            3,
            "NotSupportedError: crypto.subtle.importKey for ECDSA is not there",
            "`@noble/curves/nist.js`",
        ),
        (
            4,
            "NotSupportedError: crypto.subtle.importKey for PBKDF2 is not there",
            "`@noble/hashes/pbkdf2.js`",
        ),
        (
            5,
            "NotSupportedError: crypto.subtle.encrypt for AES-GCM is not there",
            "`@noble/ciphers/aes.js`",
        ),
        (
            6,
            "NotSupportedError: crypto.subtle.generateKey is not there",
            "for HMAC",
        ),
        (
            7,
            "NotSupportedError: crypto.subtle.exportKey is not there",
            "imported from",
        ),
    ] {
        let line = told[at].as_str().unwrap();
        assert!(line.starts_with(begin) && line.ends_with(end), "{line}");
    }
}

/// What is drawn while the component is built was drawn again, number by number, in each instance.
#[test]
fn an_application_with_a_handler_of_its_own_has_random_numbers_of_its_own() {
    let server = trials::serve(&built("javascript-own", OWN), &[]);
    let (one, other) = (answer(&server, "/").1, answer(&server, "/").1);
    let ((one, its), (other, others)) =
        (one.split_once(' ').unwrap(), other.split_once(' ').unwrap());
    assert!(
        one != other && its != others,
        "{one} {its} {other} {others}"
    );
}
