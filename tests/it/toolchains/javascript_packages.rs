//! Packages of npm as applications on Workers have them. Guards against those that are taken in their form for Node.js,
//! which cannot be bundled, against `process`, which is not there, and against regular expressions with classes of Unicode.

use super::javascript::answer;
use super::{place, trials, with_toolchains};
use crate::harness::{Server, finished, root};
use std::fs::{create_dir_all, write};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

const FILES: [(&str, &str); 12] = [
    ("package.json", r#"{"type": "module", "main": "index.js"}"#),
    ("index.js", INDEX),
    ("formats.js", FORMATS),
    (
        "node_modules/chosen/package.json",
        r#"{"exports": {".": {"browser": "./web.js", "default": "./node.js"}}}"#,
    ),
    (
        "node_modules/chosen/web.js",
        "export default \"chosen for the web\";",
    ),
    ("node_modules/chosen/node.js", "import \"node:crypto\";"),
    (
        "node_modules/mapped/package.json",
        r#"{"main": "main.js", "browser": {"./node.js": "./web.js", "fs": false}}"#,
    ),
    (
        "node_modules/mapped/main.js",
        "require(\"fs\"); module.exports = require(\"./node.js\");",
    ),
    (
        "node_modules/mapped/web.js",
        "module.exports = \"mapped to the web\";",
    ),
    ("node_modules/mapped/node.js", "require(\"node:os\");"),
    ("node_modules/asks/package.json", "{}"),
    (
        "node_modules/asks/index.js",
        "module.exports = process.env.NODE_ENV === \"production\" ? \"production\" : \"development\";",
    ),
];

const INDEX: &str = r##"
import { formats } from "./formats.js";
import chosen from "chosen";
import mapped from "mapped";
import mode from "asks";

const words = /[\p{L}\p{N}_]+/gu;
const refused = () => {
  try {
    return String(new RegExp("\\p{Nope}", "u"));
  } catch (error) {
    return error.name;
  }
};
const found = () => [
  "Grüße, 世界 42!".match(words),
  /^\P{L}+$/u.test("42 !"),
  /[^\P{L}a]/u.exec("aé")[0],
  /(?<=\p{Lu})\w/u.exec("aÉb")[0],
  new RegExp("^\\p{Script=Greek}$", "u").test("λ"),
  /\p{Emoji_Presentation}/u.test("🎉"),
  /[\]\p{Nd}]/u.exec("x٣")[0],
  new RegExp("a", "u") instanceof RegExp && /a/.constructor === RegExp,
  RegExp("\\p{L}").source,
  refused(),
];
const about = (env) => [
  Object.getPrototypeOf(env) === Object.prototype,
  String(env),
  Object.keys(env),
  JSON.stringify({ ...env }),
  env.remoteAddr.hostname,
  Object.create(env).incoming.socket.remoteAddress,
  env.server,
];

export default {
  async fetch(request, env) {
    const { pathname } = new URL(request.url);
    if (pathname === "/texts") {
      const body = new Uint8Array([97, 255, 98]);
      const asked = new Request("http://localhost/", { method: "POST", body });
      return Response.json([await new Response(body).text(), await asked.clone().text(), await new Response("\ufeffx").text()]);
    }
    if (pathname === "/formats") return new Response(formats());
    if (pathname === "/env") return Response.json(about(env));
    return Response.json(pathname === "/packages" ? [chosen, mapped, mode] : found());
  },
};
"##;

/// What Node.js knows of English too; it has narrow spaces before `PM` in some of its versions.
const FORMATS: &str = r#"
const EN = "en-US";
const NUMBERS = [0, -0, 1, 1234.5, 1234567.891, 0.005, 1.005, 2.675, -1234.567, 1e21, 999999, 99.95, 1e-7, Infinity];
const OF_NUMBERS = [
  {}, { style: "percent", maximumFractionDigits: 1 }, { style: "currency", currency: "USD" },
  { style: "currency", currency: "JPY" }, { style: "currency", currency: "CHF" }, { maximumFractionDigits: 0 },
  { minimumFractionDigits: 2 }, { useGrouping: false }, { minimumIntegerDigits: 2 }, { maximumSignificantDigits: 3 },
  { signDisplay: "exceptZero" }, { notation: "compact" }, { style: "unit", unit: "hour", unitDisplay: "long" },
  { style: "currency", currency: "USD", currencySign: "accounting" }, { style: "currency" },
];
const DATES = [0, Date.UTC(2026, 0, 2, 15, 4, 5, 67), Date.UTC(1999, 11, 31, 23, 59, 59, 999)];
const OF_DATES = [
  undefined, { dateStyle: "full" }, { dateStyle: "medium", timeStyle: "short" }, { dateStyle: "long", timeStyle: "long" },
  { month: "short", day: "numeric" }, { weekday: "long", year: "numeric", month: "long", day: "numeric", hour: "numeric" },
  { year: "2-digit", month: "2-digit", day: "2-digit" }, { hour: "2-digit", minute: "2-digit", hour12: false },
  { minute: "2-digit", second: "2-digit", fractionalSecondDigits: 3 }, { weekday: "short", hour: "numeric" },
];
const UNITS = ["year", "quarter", "day", "seconds", "fortnight"];
const WORDS = ["a", "A", "B", "b", "ä", "z", "é", "e", "10", "2", "", " ", "résumé", "resume", "Resume", "foo10", "foo2"];

export function formats() {
  const told = [];
  const tell = (call) => {
    try {
      told.push(call());
    } catch (error) {
      told.push(error.name);
    }
  };
  for (const options of OF_NUMBERS) {
    for (const number of NUMBERS) {
      tell(() => number.toLocaleString(EN, options));
      tell(() => new Intl.NumberFormat(EN, options).formatToParts(number));
    }
  }
  for (const options of OF_DATES) {
    for (const date of DATES.map((time) => new Date(time))) {
      for (const name of ["toLocaleString", "toLocaleDateString", "toLocaleTimeString"]) tell(() => date[name](EN, options));
      tell(() => Intl.DateTimeFormat(EN, options).formatToParts(date));
    }
  }
  tell(() => Intl.DateTimeFormat(EN).resolvedOptions().timeZone);
  tell(() => new Date(NaN).toLocaleString());
  tell(() => 12345678901234567890n.toLocaleString(EN));
  tell(() => new Intl.NumberFormat("not a locale"));
  tell(() => new Intl.DateTimeFormat(EN, { timeZone: "Nowhere/Atall" }));
  for (const number of [0, 1, 2, 3, 11, 12, 13, 21, 22, 101, 1.5]) {
    tell(() => new Intl.PluralRules(EN).select(number));
    tell(() => new Intl.PluralRules(EN, { type: "ordinal" }).select(number));
  }
  for (const unit of UNITS) {
    for (const value of [-2, -1, 0, 1, 1.5]) {
      for (const options of [{}, { numeric: "auto" }, { style: "short" }]) {
        tell(() => new Intl.RelativeTimeFormat(EN, options).format(value, unit));
      }
    }
  }
  for (const list of [[], ["a"], ["a", "b"], ["a", "b", "c"]]) {
    tell(() => new Intl.ListFormat(EN).format(list) + new Intl.ListFormat(EN, { type: "disjunction" }).format(list));
  }
  tell(() => WORDS.toSorted((one, other) => one.localeCompare(other, EN)));
  tell(() => WORDS.toSorted(new Intl.Collator(EN, { numeric: true }).compare));
  tell(() => "a".localeCompare("Á", EN, { sensitivity: "base" }));
  return JSON.stringify(told).replaceAll("\u202f", " ");
}
"#;

const PACKAGES: &str = r#"["chosen for the web","mapped to the web","production"]"#;
const FOUND: &str =
    r#"[["Grüße","世界","42"],true,"é","b",true,true,"٣",true,"\\p{L}","SyntaxError"]"#;
const TEXTS: &str = "[\"a\u{fffd}b\",\"a\u{fffd}b\",\"x\"]";
const ENVIRONMENT: &str =
    r#"[true,"[object Object]",["server"],"{\"server\":\"set\"}","127.0.0.1","127.0.0.1","set"]"#;

fn project(at: &Path) {
    for (name, text) in FILES {
        let file = at.join("project").join(name);
        create_dir_all(file.parent().unwrap()).unwrap();
        write(file, text).unwrap();
    }
    let installed = root().join("guests/javascript/node_modules");
    symlink(installed, at.join("node_modules")).unwrap();
}

fn answers_what_is_expected(server: &Server) {
    for (path, expected) in [
        ("/packages", PACKAGES),
        ("/letters", FOUND),
        ("/env", ENVIRONMENT),
        ("/texts", TEXTS),
    ] {
        assert_eq!(answer(server, path), (200, expected.to_owned()), "{path}");
    }
}

/// What Node.js answers.
fn formats_are_as_elsewhere(at: &Path, server: &Server) {
    let mut node = Command::new("node");
    let script = "import(\"./project/formats.js\").then(({ formats }) => console.log(formats()))";
    node.current_dir(at).env("TZ", "UTC").args(["-e", script]);
    let output = finished(node);
    let told: serde_json::Value = serde_json::from_slice(&output.stdout).expect("node answers");
    let (status, text) = answer(server, "/formats");
    let found: serde_json::Value = serde_json::from_str(&text).expect(&text);
    assert_eq!(status, 200);
    let (told, found) = (told.as_array().unwrap(), found.as_array().unwrap());
    assert!(told.len() > 600 && told.len() == found.len());
    for (one, other) in found.iter().zip(told) {
        assert_eq!(one, other);
    }
}

#[test]
fn packages_are_taken_as_on_workers_and_classes_of_letters_are_known() {
    let at = place("javascript-packages");
    project(&at);
    let file = at.join("app.wasm");
    let mut command = with_toolchains();
    command
        .args(["build", "project", "-o"])
        .arg(&file)
        .current_dir(&at);
    let output = finished(command);
    assert!(output.status.success(), "{output:?}");
    for reuse in ["1", "100"] {
        let options = ["--env", "server=set", "--reuse", reuse];
        let server = trials::serve(&file.display().to_string(), &options);
        answers_what_is_expected(&server);
        answers_what_is_expected(&server);
        formats_are_as_elsewhere(&at, &server);
    }
}

/// The application is read from a file then, and the component is that of any.
#[test]
fn packages_and_classes_of_letters_are_the_same_while_developing() {
    let at = place("javascript-packages-dev");
    project(&at);
    let mut command = with_toolchains();
    command.arg("dev").arg(at.join("project"));
    command.args(["--port", "0", "--env", "server=set"]);
    answers_what_is_expected(&Server::command(command).compiles().start());
}
