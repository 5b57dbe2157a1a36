//! Middleware: components in front of the application, which are composed with it when it is compiled.

use crate::harness::middleware::component;
use crate::harness::websocket;
use crate::harness::{Folder, Server, Start, eventually, finished, get, guest, root, wasmserve};
use nix::sys::signal::Signal;
use std::fs;

const TOKEN: &str = "Bearer open sesame";

/// The application with the greeting in text form, of WASI 0.2.0.
fn hello() -> String {
    let path = root().join("guests/hello/hello.wat");
    path.to_str().unwrap().to_owned()
}

/// Middleware of WASI 0.2.0 that does this with each request.
fn middleware(code: &str) -> String {
    component(&format!(
        r#";; What is called directly and short may be compiled into what calls it.
        (table 1 funcref)
        (elem (i32.const 0) $of_the_middleware)
        (func $of_the_middleware (param i32 i32) {code})
        (func (export "handle") (param i32 i32)
          (call_indirect (param i32 i32) (local.get 0) (local.get 1) (i32.const 0)))"#
    ))
}

const PASSES: &str = "local.get 0 local.get 1 call $next";
const TRAPS: &str = "unreachable";

fn written(folder: &Folder, name: &str, text: &str) -> String {
    let path = folder.file(name);
    fs::write(&path, text).unwrap();
    path
}

/// A server with this middleware, the outermost first, whose token is known.
fn behind(application: &str, middleware: &[&str]) -> Start {
    let mut start = Server::component(application).arg("--env=TOKEN=open sesame");
    for path in middleware {
        start = start.option("--middleware", path);
    }
    start
}

fn status(server: &Server, token: Option<&str>) -> u16 {
    let mut connection = server.connect();
    let mut request = connection.get("/");
    if let Some(token) = token {
        request = request.header("Authorization", token);
    }
    request.response().unwrap().status
}

#[test]
fn requests_reach_the_application_by_its_middleware_whatever_version_of_0_2_each_is_of() {
    for application in [hello(), guest("greeting"), guest("hello")] {
        let server = behind(&application, &[&guest("gate")]).start();
        let mut connection = server.connect();
        let refused = connection.get("/").response().unwrap();
        assert_eq!(refused.status, 401, "{application}");
        assert_eq!(refused.header("www-authenticate"), Some("Bearer"));
        assert_eq!(refused.text(), "a token is needed\n");
        for _ in 0..3 {
            let request = connection.get("/").header("Authorization", TOKEN);
            let response = request.response().unwrap();
            assert_eq!(response.status, 200, "{application}");
            assert!(response.text().starts_with("Hello"), "{application}");
        }
        assert_eq!(status(&server, Some("Bearer other")), 401);
    }
}

#[test]
fn the_one_that_is_named_first_is_the_outermost() {
    let folder = Folder::new("order");
    let (gate, traps) = (
        guest("gate"),
        written(&folder, "traps.wat", &middleware(TRAPS)),
    );
    let passes = written(&folder, "passes.wat", &middleware(PASSES));
    let server = behind(&hello(), &[&passes, &gate, &traps, &passes]).start();
    assert_eq!(status(&server, None), 401);
    assert_eq!(status(&server, Some(TOKEN)), 500);
    let server = behind(&hello(), &[&passes, &traps, &gate]).start();
    assert_eq!(status(&server, None), 500);
    let server = behind(&hello(), &[&passes, &gate, &passes, &passes]).start();
    assert_eq!(status(&server, None), 401);
    assert_eq!(status(&server, Some(TOKEN)), 200);
}

#[test]
fn middleware_of_0_3_changes_what_the_application_answers() {
    let middleware = guest("middleware");
    let server = behind(&guest("service"), &[&middleware, &middleware]).start();
    assert_eq!(status(&server, None), 401);
    let mut connection = server.connect();
    let request = connection.get("/").header("Authorization", TOKEN);
    let response = request.response().unwrap();
    assert_eq!(response.text(), "Hello, world!\n");
    let seen = response
        .headers
        .iter()
        .filter(|(name, _)| name == "x-middleware");
    assert_eq!(seen.count(), 2, "{:?}", response.headers);
}

#[test]
fn bodies_pass_middleware_while_they_come() {
    for (application, middleware) in [("echo", "gate"), ("service", "middleware")] {
        let server = behind(&guest(application), &[&guest(middleware)]).start();
        let mut connection = server.connect();
        let request = connection.post("/echo").header("Authorization", TOKEN);
        request
            .header("Transfer-Encoding", "chunked")
            .send()
            .unwrap();
        connection.write("6\r\nfirst\n\r\n").unwrap();
        connection.head().unwrap();
        assert_eq!(connection.chunk().unwrap().unwrap(), b"first\n");
        connection.write("7\r\nsecond\n\r\n0\r\n\r\n").unwrap();
        assert_eq!(connection.chunk().unwrap().unwrap(), b"second\n");
        assert_eq!(connection.chunk().unwrap(), None);
    }
}

#[test]
fn the_log_says_where_it_was_that_a_guest_trapped() {
    let folder = Folder::new("traps");
    let path = written(&folder, "traps.wat", &middleware(TRAPS));
    let server = behind(&hello(), &[&path]).start();
    for count in 1..=3 {
        assert_eq!(status(&server, None), 500);
        server.wait_for_count("of_the_middleware", count);
    }
    assert_eq!(
        server.printed().matches("Started server process").count(),
        1
    );
    let path = written(&folder, "passes.wat", &middleware(PASSES));
    let server = behind(&guest("behaviours"), &[&path]).start();
    assert_eq!(get(server.address, "/trap-before-head").status, 500);
    let line = server.wait_for(": the guest trapped");
    assert!(line.contains(" \"GET /trap-before-head\" ["), "{line}");
    let mut connection = server.connect();
    connection.get("/trap-after-head").send().unwrap();
    let mut response = connection.head().unwrap();
    assert!(connection.body(&mut response).is_err(), "it looks whole");
    // Each request has an instance of its own: of the application and of its middleware.
    for _ in 0..3 {
        assert_eq!(get(server.address, "/counter").text(), "1\n");
    }
}

#[test]
fn middleware_that_fits_nothing_is_refused_before_anything_is_served() {
    let folder = Folder::new("unfit");
    let text = written(&folder, "text.wasm", "what is this?");
    let native = folder.file("native.cwasm");
    let mut compile = wasmserve();
    compile.args(["compile", &hello(), "-o", &native]);
    assert!(finished(compile).status.success());
    let no_http = root().join("guests/behaviours/no-http.wat");
    let no_http = no_http.to_str().unwrap();
    let (gate, third) = (guest("gate"), guest("middleware"));
    for (application, middleware, said) in [
        (
            hello(),
            no_http.to_owned(),
            "it imports no wasi:http handler",
        ),
        (
            hello(),
            guest("greeting"),
            "it imports no wasi:http handler",
        ),
        (
            hello(),
            third.clone(),
            &format!("it is of WASI 0.3, and `{}` behind it of WASI 0.2", hello()),
        ),
        (
            guest("service"),
            gate.clone(),
            &format!(
                "it is of WASI 0.2, and `{}` behind it of WASI 0.3",
                guest("service")
            ),
        ),
        (hello(), text, "it is no WebAssembly"),
        (hello(), native.clone(), "it is native code"),
        (hello(), "/not/there.wasm".to_owned(), "cannot be read"),
    ] {
        let output = behind(
            &application,
            &[&gate_unless(&application, &gate), &middleware],
        );
        let output = output.finished();
        let printed = String::from_utf8_lossy(&output.stderr).into_owned();
        let last = printed.lines().last().unwrap_or_default();
        assert_eq!(output.status.code(), Some(3), "{printed}");
        assert!(
            last.contains(&format!("middleware `{middleware}`: ")),
            "{last}"
        );
        assert!(last.contains(said), "{last}");
        assert!(!printed.contains("Started server process"), "{printed}");
    }
    let behind_native = behind(&native, &[&gate])
        .arg("--allow-precompiled")
        .finished();
    let printed = String::from_utf8_lossy(&behind_native.stderr).into_owned();
    assert!(printed.contains("nothing can be put"), "{printed}");
    let alone = finished({
        let mut alone = wasmserve();
        alone.args([&gate, "--port", "0"]);
        alone
    });
    let printed = String::from_utf8_lossy(&alone.stderr).into_owned();
    assert!(printed.contains("--middleware"), "{printed}");
}

/// What stands in front of the middleware in question: that which fits the application.
fn gate_unless(application: &str, gate: &str) -> String {
    match application.ends_with("service.wasm") {
        true => guest("middleware"),
        false => gate.to_owned(),
    }
}

#[test]
fn a_reload_takes_new_middleware_and_keeps_the_old_where_it_does_not_fit() {
    let folder = Folder::new("reload");
    let path = written(&folder, "middleware.wat", &middleware(PASSES));
    let server = behind(&hello(), &[&path]).arg("--reload").start();
    assert_eq!(status(&server, None), 200);
    written(&folder, "middleware.wat", "(component)");
    let line = server.wait_for("The reload failed, and the old version goes on serving");
    assert!(line.contains("it imports no wasi:http handler"), "{line}");
    assert_eq!(status(&server, None), 200);
    written(&folder, "middleware.wat", &middleware(TRAPS));
    eventually("the new middleware is in front", || {
        status(&server, None) == 500
    });
    written(&folder, "middleware.wat", &middleware(PASSES));
    server.signal(Signal::SIGHUP);
    eventually("the old middleware is in front again", || {
        status(&server, None) == 200
    });
}

#[test]
fn compiled_code_is_found_again_only_for_the_same_middleware() {
    let folder = Folder::new("cached");
    let name = format!(";; {}\n", folder.path().display());
    let text = |code: &str| name.clone() + &middleware(code);
    let path = written(&folder, "middleware.wat", &text(PASSES));
    let cache = folder.file("cache");
    let serve = || {
        behind(&hello(), &[&path])
            .option("--cache-dir", &cache)
            .start()
    };
    serve().stop();
    let server = serve();
    assert!(server.printed().contains("Found the compiled code"));
    assert_eq!(status(&server, None), 200);
    server.stop();
    written(&folder, "middleware.wat", &text(TRAPS));
    let server = serve();
    assert!(!server.printed().contains("Found the compiled code"));
    assert_eq!(status(&server, None), 500);
    server.stop();
    let server = Server::component(hello())
        .option("--cache-dir", &cache)
        .start();
    assert!(!server.printed().contains("Found the compiled code"));
    assert_eq!(status(&server, None), 200);
}

#[test]
fn websockets_do_not_pass_middleware_that_does_not_see_them() {
    let application = guest("behaviours-websocket");
    let server = behind(&application, &[&guest("gate")]).start();
    server.wait_for("gets no WebSockets");
    let (status, _) = websocket::refused(&server, "/echo");
    assert_eq!(status, 401);
}

#[test]
fn middleware_is_named_in_the_file_and_by_the_variable_too() {
    let folder = Folder::new("named");
    let file = written(
        &folder,
        "wasmserve.toml",
        &format!(
            "component = {:?}\nmiddleware = [{:?}, {:?}]\n[env]\nTOKEN = \"open sesame\"\n",
            hello(),
            guest("gate"),
            guest("gate")
        ),
    );
    let server = Server::configured().option("--config-file", file).start();
    assert_eq!(status(&server, None), 401);
    assert_eq!(status(&server, Some(TOKEN)), 200);
    let server = Server::component(hello())
        .env("WASMSERVE_MIDDLEWARE", guest("gate"))
        .start();
    assert_eq!(status(&server, Some(TOKEN)), 401, "there is no token");
}

#[test]
fn other_commands_take_middleware_too() {
    let gate = guest("gate");
    for command in ["inspect", "check"] {
        let mut describe = wasmserve();
        describe.args([command, &guest("greeting"), "--middleware", &gate]);
        let output = finished(describe);
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{text}");
        for said in [
            &format!("behind the middleware {gate}"),
            "served as WASI 0.2",
            "each request has an instance that is put back as it was when it was made",
        ] {
            assert!(text.contains(said), "no `{said}` in:\n{text}");
        }
        assert!(
            !text.contains("  wasi:http/incoming-handler@0.2.10  "),
            "{text}"
        );
    }
    let folder = Folder::new("compiled");
    let code = folder.file("code.cwasm");
    let mut compile = wasmserve();
    compile.args(["compile", &hello(), "--middleware", &gate, "-o", &code]);
    assert!(finished(compile).status.success());
    let server = behind(&code, &[]).arg("--allow-precompiled").start();
    assert_eq!(status(&server, None), 401);
    assert_eq!(status(&server, Some(TOKEN)), 200);
}
