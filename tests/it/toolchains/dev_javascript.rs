//! `wasmserve dev` of an application in JavaScript or TypeScript, which is read when it is served: a change takes a start
//! of the application, and no new component.

use super::{becomes, built, place, trials, with_toolchains};
use crate::harness::{Response, Server, eventually, get, root};
use std::ffi::OsString;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};

const MAIN: &str = "import { Hono } from 'hono';
import { text } from './text';
const app = new Hono();
app.get('/', (c) => c.text(text()));
export default app;
";

/// An application in its folder, which uses what the samples have installed.
fn project(name: &str) -> PathBuf {
    let at = place(name);
    for folder in ["project", "scratch"] {
        std::fs::create_dir(at.join(folder)).unwrap();
    }
    let installed = root().join("guests/javascript/node_modules");
    symlink(installed, at.join("project/node_modules")).unwrap();
    at
}

fn develop(main: &Path, scratch: &Path, options: &[&str]) -> Server {
    let mut command = with_toolchains();
    command.env("TMPDIR", scratch).arg("dev").arg(main);
    command.args(["--port", "0"]).args(options);
    Server::command(command).compiles().start()
}

/// The components without an application that are kept, each with what tells it from another of its name.
fn kept() -> Vec<(OsString, u64)> {
    let folder = root().join("target/python/cache/wasmserve/javascript");
    let entries = std::fs::read_dir(folder).unwrap().flatten();
    let mut found: Vec<_> = entries
        .map(|entry| (entry.file_name(), entry.metadata().unwrap().ino()))
        .collect();
    found.sort();
    found
}

/// Waits for the change of this number, until both workers have gone that served what was before: until then either of
/// the two answers.
fn changes(
    server: &Server,
    number: usize,
    wanted: impl Fn(&Response) -> bool,
    meanwhile: impl Fn(&Response) -> bool,
) {
    becomes(server, wanted, meanwhile);
    server.wait_for_count("ended: replaced by a reload", 2 * number);
}

#[test]
fn a_change_takes_a_start_and_no_new_component() {
    let at = project("dev-javascript");
    let write = |name: &str, text: &str| {
        std::fs::write(at.join("project").join(name), text).unwrap();
    };
    let says = |text: &str| format!("export const text = (): string => '{text}';\n");
    write("index.ts", MAIN);
    write("text.ts", &says("one"));
    let scratch = at.join("scratch");
    let server = develop(&at.join("project/index.ts"), &scratch, &["--workers", "2"]);
    assert_eq!(get(server.address, "/").text(), "one");
    let (components, compiled) = (kept(), server.printed().matches("Compiling ").count());
    let is = |text: &'static str| move |response: &Response| response.text() == text;
    write("text.ts", &says("two"));
    changes(&server, 1, is("two"), is("one"));

    // Where it comes from is told as it was written, to whoever asks and in the log.
    write(
        "text.ts",
        "\nexport function text(): never {\n  throw new TypeError('oh <dear>');\n}\n",
    );
    let thrown = |response: &Response| {
        let text = response.text();
        let places = ["text@text.ts:3:", "@index.ts:4:"];
        response.status == 500
            && text.contains("oh &lt;dear&gt;")
            && places.iter().all(|place| text.contains(place))
    };
    changes(&server, 2, thrown, is("two"));
    server.wait_for("text@text.ts:3:");

    // So is what is thrown while the module is evaluated.
    write("text.ts", &format!("missing();\n{}", says("never")));
    let missing = |response: &Response| {
        let text = response.text();
        response.status == 500
            && text.contains("missing is not defined")
            && text.contains("@text.ts:1:")
    };
    changes(&server, 3, missing, thrown);
    server.wait_for("missing is not defined");

    // A module may wait at its top level, and reaches nobody meanwhile.
    let waiting = "const waited = await Promise.resolve('three');
const fetched = await fetch('http://127.0.0.1:1/').catch((error) => `${error}`.includes('nobody is reached'));
export const text = () => `${waited} ${fetched}`;
";
    write("text.ts", waiting);
    changes(&server, 4, is("three true"), missing);
    assert_eq!(kept(), components);
    let printed = server.printed();
    assert_eq!(printed.matches("Compiling ").count(), compiled, "{printed}");
    // One that says something while it is evaluated is not primed.
    assert!(printed.matches("Primed ").count() >= 3, "{printed}");

    // What esbuild refuses is shown too.
    write("text.ts", "export const text = (;\n");
    let refused = |response: &Response| response.text().contains("text.ts:1:");
    changes(&server, 5, refused, is("three true"));
    write("text.ts", &says("four"));
    changes(&server, 6, is("four"), refused);
}

/// What uses the host by itself, or brings its own handler, is in the component as ever.
#[test]
fn an_application_that_asks_the_host_is_built() {
    let at = project("dev-javascript-host");
    let text = "import { getEnvironment } from 'wasi:cli/environment@0.2.10';
export default { fetch: () => new Response(JSON.stringify(getEnvironment())) };
";
    let main = at.join("project/index.js");
    std::fs::write(&main, text).unwrap();
    let server = develop(&main, &at.join("scratch"), &["--env", "NAME=value"]);
    assert_eq!(get(server.address, "/").text(), r#"[["NAME","value"]]"#);
    // From then on it is read when it is served.
    std::fs::write(&main, "export default () => new Response('read');\n").unwrap();
    becomes(
        &server,
        |response| response.text() == "read",
        |response| response.text().contains("NAME"),
    );
}

/// The status, what the application says in its fields, and the body. Whether a body that is streamed has ended when the
/// head is written, and so has a length, is not the application's word.
fn answer(server: &Server, method: &str, path: &str) -> (u16, Vec<(String, String)>, String) {
    let mut connection = server.connect();
    let response = match method {
        "POST" => trials::post(&mut connection, path, br#"{"name":"chair"}"#),
        _ => connection.get(path).response().unwrap(),
    };
    let length = response.body.len().to_string();
    let own = |name: &str, value: &str| match name {
        "date" | "x-request-id" | "transfer-encoding" => false,
        "content-length" => value != length,
        _ => true,
    };
    let fields = response.headers.iter();
    let fields = fields.filter(|(name, value)| own(name, value));
    (response.status, fields.cloned().collect(), response.text())
}

#[test]
fn what_is_read_when_it_is_served_answers_as_what_was_built() {
    let scratch = place("dev-javascript-same");
    for (application, asked) in [
        (
            "guests/javascript",
            &[
                "GET /",
                "GET /counter",
                "GET /items/7?q=a%20b",
                "GET /greeting",
                "GET /cookies",
                "GET /slow",
                "GET /later",
                "GET /nowhere",
                "POST /items",
                "POST /echo",
            ][..],
        ),
        (
            "guests/javascript/tests/platform.ts",
            &[
                "GET /",
                "GET /warmed",
                "GET /wrapped",
                "GET /tagged",
                "GET /json",
                "GET /announced",
                "GET /connection",
                "GET /clone",
            ],
        ),
    ] {
        let options = ["--env", "GREETING=good morning"];
        let of_build = trials::serve(&built(application), &options);
        let of_dev = develop(&root().join(application), &scratch, &options);
        for asked in asked {
            let (method, path) = asked.split_once(' ').unwrap();
            let expected = answer(&of_build, method, path);
            assert_eq!(
                answer(&of_dev, method, path),
                expected,
                "{application}: {asked}"
            );
        }
    }
}

/// Random numbers are an instance's own here too, and nothing of the host is left when a request is answered.
#[test]
fn instances_of_what_is_read_are_put_back_and_have_random_numbers_of_their_own() {
    let scratch = place("dev-javascript-random");
    let main = root().join("guests/javascript/tests/platform.ts");
    let server = develop(&main, &scratch, &[]);
    eventually("it is primed", || server.printed().contains("Primed "));
    let asked = || get(server.address, "/random").text();
    assert_ne!(asked(), asked());
}
