//! Files that are served beside the guest.

use crate::harness::{Response, Server, finished, get, guest, wasmserve};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

/// A directory to serve, and beside it what must not be.
struct Site(PathBuf);

impl Site {
    fn new(name: &str) -> Site {
        let root = PathBuf::from(env!("CARGO_TARGET_TMPDIR"))
            .join(format!("{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&root);
        let dist = root.join("dist");
        fs::create_dir_all(dist.join("sub")).unwrap();
        fs::write(root.join("secret.txt"), "secret").unwrap();
        fs::write(dist.join("app.js"), "let a = 1;\n").unwrap();
        fs::write(dist.join("app.js.br"), "compressed before").unwrap();
        fs::write(dist.join("index.html"), "<p>home</p>").unwrap();
        fs::write(dist.join("sub/index.html"), "<p>sub</p>").unwrap();
        fs::write(dist.join(".hidden"), "secret").unwrap();
        fs::write(dist.join("ten.bin"), "0123456789").unwrap();
        symlink("../secret.txt", dist.join("out.txt")).unwrap();
        symlink("app.js", dist.join("in.js")).unwrap();
        Site(root)
    }

    fn serve(&self, prefix: &str) -> Server {
        let directory = format!("{prefix}={}", self.0.join("dist").display());
        Server::component(guest("behaviours"))
            .option("--static", &directory)
            .start()
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn ask(server: &Server, method: &str, path: &str, fields: &str) -> Response {
    let mut connection = server.connect();
    connection
        .write(format!(
            "{method} {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{fields}\r\n"
        ))
        .unwrap();
    if method == "HEAD" {
        return connection.head().unwrap();
    }
    connection.response().unwrap()
}

#[test]
fn files_are_served_and_the_rest_is_the_guests() {
    let site = Site::new("served");
    let server = site.serve("/assets");
    let answer = get(server.address, "/assets/app.js");
    assert_eq!(answer.text(), "let a = 1;\n");
    assert!(
        answer
            .header("content-type")
            .unwrap()
            .contains("javascript")
    );
    assert_eq!(answer.header("content-length"), Some("11"));
    assert_eq!(get(server.address, "/assets/in.js").text(), "let a = 1;\n");
    assert_eq!(get(server.address, "/assets/").text(), "<p>home</p>");
    let moved = get(server.address, "/assets/sub?a=b");
    assert_eq!(
        (moved.status, moved.header("location")),
        (301, Some("/assets/sub/?a=b"))
    );
    for path in ["/assets/missing.js", "/assetsapp.js", "/app.js"] {
        assert_eq!(get(server.address, path).text(), "ok\n", "{path}");
    }
    let posted = ask(&server, "POST", "/assets/app.js", "Content-Length: 0\r\n");
    assert_eq!(posted.text(), "ok\n");
    let head = ask(&server, "HEAD", "/assets/app.js", "");
    assert_eq!(
        (head.status, head.header("content-length")),
        (200, Some("11"))
    );
    server.wait_for("\"GET /assets/app.js HTTP/1.1\" 200 OK");
}

#[test]
fn what_the_client_has_is_not_sent_again_and_parts_are() {
    let site = Site::new("conditional");
    let server = site.serve("/");
    let whole = get(server.address, "/ten.bin");
    let tag = whole.header("etag").unwrap();
    let known = ask(
        &server,
        "GET",
        "/ten.bin",
        &format!("If-None-Match: \"x\", {tag}\r\n"),
    );
    assert_eq!((known.status, known.text().as_str()), (304, ""));
    let since = whole.header("last-modified").unwrap();
    let known = ask(
        &server,
        "GET",
        "/ten.bin",
        &format!("If-Modified-Since: {since}\r\n"),
    );
    assert_eq!(
        (known.status, known.header("vary")),
        (304, Some("accept-encoding"))
    );
    let part = ask(&server, "GET", "/ten.bin", "Range: bytes=2-4\r\n");
    assert_eq!((part.status, part.text().as_str()), (206, "234"));
    assert_eq!(part.header("content-range"), Some("bytes 2-4/10"));
    let beyond = ask(&server, "GET", "/ten.bin", "Range: bytes=20-\r\n");
    assert_eq!(beyond.status, 416);
    assert_eq!(beyond.header("content-range"), Some("bytes */10"));
    let many = format!("Range: bytes={}\r\n", ["0-"; 3000].join(","));
    let once = ask(&server, "GET", "/ten.bin", &many);
    assert_eq!((once.status, once.text().as_str()), (206, "0123456789"));
    let two = ask(&server, "GET", "/ten.bin", "Range: bytes=0-1,8-\r\n");
    assert!(
        two.text().contains("bytes 8-9/10\r\n") && two.text().contains("\r\n\r\n89\r\n"),
        "{}",
        two.text()
    );
}

#[test]
fn conditions_are_kept_whatever_the_times_say() {
    let site = Site::new("conditions");
    let server = site.serve("/");
    let file = site.0.join("dist/ten.bin");
    let time = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(315_532_800);
    let set_back = || fs::File::open(&file).unwrap().set_modified(time).unwrap();
    set_back();
    let whole = get(server.address, "/ten.bin");
    let (tag, since) = (
        whole.header("etag").unwrap(),
        whole.header("last-modified").unwrap(),
    );
    assert!(!tag.starts_with("W/"), "{tag}");
    let status = |fields: &str| ask(&server, "GET", "/ten.bin", fields).status;
    assert_eq!(status(&format!("If-Match: {tag}\r\n")), 200);
    assert_eq!(status("If-Match: \"other\"\r\n"), 412);
    assert_eq!(
        status("If-Unmodified-Since: Mon, 31 Dec 1979 23:59:59 GMT\r\n"),
        412
    );
    assert_eq!(
        status(&format!("Range: bytes=0-1\r\nIf-Range: {tag}\r\n")),
        206
    );
    assert_eq!(
        status(&format!("Range: bytes=0-1\r\nIf-Range: W/{tag}\r\n")),
        200
    );
    // A deploy that changes a byte, and sets the time back.
    fs::write(&file, "0123456780").unwrap();
    set_back();
    let conditions = format!("If-None-Match: {tag}\r\nIf-Modified-Since: {since}\r\n");
    assert_eq!(status(&conditions), 200);
    assert_eq!(
        status(&format!("Range: bytes=0-1\r\nIf-Range: {tag}\r\n")),
        200
    );
}

#[test]
fn a_directorys_redirect_can_be_followed_from_outside() {
    let site = Site::new("redirects");
    fs::create_dir_all(site.0.join("dist/d \u{e9}")).unwrap();
    let directory = format!("/assets={}", site.0.join("dist").display());
    let server = Server::component(guest("behaviours"))
        .option("--static", &directory)
        .arg("--root-path=/api")
        .start();
    for (asked, location) in [
        ("/api/assets/sub", "/api/assets/sub/"),
        ("/assets/sub?a=b", "/api/assets/sub/?a=b"),
        ("/api/assets/d%20%C3%A9", "/api/assets/d%20%C3%A9/"),
        ("/api/assets//sub", "/api/assets//sub/"),
    ] {
        let moved = get(server.address, asked);
        assert_eq!(
            (moved.status, moved.header("location")),
            (301, Some(location))
        );
    }
}

#[test]
fn files_are_compressed_like_answers() {
    let site = Site::new("compress");
    fs::write(site.0.join("dist/long.txt"), "words ".repeat(5000)).unwrap();
    let directory = format!("/={}", site.0.join("dist").display());
    let server = Server::component(guest("behaviours"))
        .option("--static", &directory)
        .arg("--compress")
        .start();
    let accepts = "Accept-Encoding: gzip\r\n";
    let plain = get(server.address, "/long.txt");
    let packed = ask(&server, "GET", "/long.txt", accepts);
    assert_eq!(packed.header("content-encoding"), Some("gzip"));
    assert!(packed.body.len() * 10 < plain.body.len());
    let tag = packed.header("etag").unwrap();
    assert_eq!(tag, format!("W/{}", plain.header("etag").unwrap()));
    let known = format!("{accepts}If-None-Match: {tag}\r\n");
    assert_eq!(ask(&server, "GET", "/long.txt", &known).status, 304);
    let head = ask(&server, "HEAD", "/long.txt", accepts);
    assert_eq!(head.header("content-encoding"), Some("gzip"));
    assert_eq!(head.header("content-length"), None);
    let part = ask(
        &server,
        "GET",
        "/long.txt",
        &format!("{accepts}Range: bytes=0-4\r\n"),
    );
    assert_eq!((part.status, part.text().as_str()), (206, "words"));
    assert_eq!(part.header("content-encoding"), None);
}

#[test]
fn a_sibling_that_was_compressed_before_is_taken() {
    let site = Site::new("compressed");
    let server = site.serve("/");
    let answer = ask(&server, "GET", "/app.js", "Accept-Encoding: gzip, br\r\n");
    assert_eq!(answer.text(), "compressed before");
    assert_eq!(answer.header("content-encoding"), Some("br"));
    assert_eq!(answer.header("vary"), Some("accept-encoding"));
    assert!(
        answer
            .header("content-type")
            .unwrap()
            .contains("javascript")
    );
    // The client says which one it would rather have.
    fs::write(site.0.join("dist/app.js.gz"), "compressed otherwise").unwrap();
    for (accepted, encoding) in [
        ("br;q=0.1, gzip", Some("gzip")),
        ("br, gzip;q=0.9", Some("br")),
        ("gzip;q=0, br;q=0.5, zstd", Some("br")),
        ("br;q=0, *", Some("gzip")),
        ("identity, br;q=0.5", None),
        ("zstd", None),
    ] {
        let fields = format!("Accept-Encoding: {accepted}\r\n");
        let answer = ask(&server, "GET", "/app.js", &fields);
        assert_eq!(answer.header("content-encoding"), encoding, "{accepted}");
    }
}

/// As Starlette's StaticFiles and uvicorn have it.
#[test]
fn texts_are_said_to_be_in_utf_8() {
    let site = Site::new("charset");
    for name in ["a.css", "a.txt", "a.svg"] {
        fs::write(site.0.join("dist").join(name), "x").unwrap();
    }
    let server = site.serve("/");
    for (path, kind) in [
        ("/", "text/html; charset=utf-8"),
        ("/app.js", "text/javascript; charset=utf-8"),
        ("/a.css", "text/css; charset=utf-8"),
        ("/a.txt", "text/plain; charset=utf-8"),
        ("/a.svg", "image/svg+xml"),
        ("/ten.bin", "application/octet-stream"),
    ] {
        let answer = ask(&server, "GET", path, "");
        assert_eq!(answer.header("content-type"), Some(kind), "{path}");
    }
}

#[test]
fn nothing_leads_out_of_the_directory() {
    let site = Site::new("escapes");
    let server = site.serve("/assets");
    for path in [
        "/assets/../secret.txt",
        "/assets/%2e%2e/secret.txt",
        "/assets/..%2fsecret.txt",
        "/assets/%252e%252e/secret.txt",
        "/assets/..%5csecret.txt",
        "/assets/sub/../../secret.txt",
        "/assets/out.txt",
        "/assets/app.js%00.txt",
        "/assets/.hidden",
        "/assets//etc/passwd",
    ] {
        let answer = get(server.address, path);
        assert_eq!(answer.text(), "ok\n", "{path}");
    }
}

#[test]
fn a_directory_that_is_not_there_is_a_mistake() {
    let mut command = wasmserve();
    command.args([&guest("behaviours"), "--static", "/assets=/nowhere/at/all"]);
    let output = finished(command);
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        said.contains("option --static") && said.contains("`/nowhere/at/all`"),
        "{said}"
    );
}
