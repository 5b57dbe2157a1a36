//! Requests for the FastAPI sample, some for each thing that it has. Left out is what depends on the version of
//! Python (what is wrong with `{"a":1,}`, how deep a list may be), and TRACE, which the server itself refuses.

use super::ask::{Ask, ask, form, get, json, parts};
use std::net::SocketAddr;

/// All of them; the applications ask `upstream` in turn.
pub fn all(upstream: SocketAddr) -> Vec<Ask> {
    let groups = [
        paths(),
        items(),
        models(),
        headers_and_cookies(),
        forms(),
        dependencies(),
        responses(),
        files(),
        streams(),
        tasks(upstream),
        documents(),
    ];
    groups.concat()
}

fn paths() -> Vec<Ask> {
    let targets = [
        "/",
        "/?",
        "/?q=1",
        "/plain",
        "/nowhere",
        "/items",
        "/items/1",
        "/items/1/",
        "/items/%31",
        "/items/0",
        "/items/1000001",
        "/items/abc",
        "/items/1.0",
        "/items/-1",
        "/items/99999999999999999999999999",
        "/items/1?q=tea&colour=green&wide=yes",
        "/items/1?wide=maybe&colour=blue",
        "/items/1?q=a&q=b",
        "/items/1?q=",
        "/items/1?q=a%20b+c",
        "/items/1?q=%C3%BC%F0%9F%8E%89",
        "/items/1?q=%FF",
        "/items/1?q=0123456789012345678901234567890",
        "/files/a/b/c.txt?x=1&y=",
        "/files/%C3%BC%20x",
        "/files/a%2Fb",
        "/files/",
        "/v1/ping",
        "/v1/ping/",
        "/sub/hello",
        "/sub/nowhere",
        "/filters",
        "/filters?limit=5&order=desc&tags=a&tags=b",
        "/filters?limit=0&order=up",
        "/filters?more=1",
    ];
    let mut asks: Vec<Ask> = targets.into_iter().map(get).collect();
    for method in ["HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"] {
        asks.push(ask(method, "/"));
    }
    for method in ["HEAD", "OPTIONS", "GET", "POST", "PATCH"] {
        asks.push(ask(method, "/items/7"));
    }
    for (method, path) in [
        ("HEAD", "/nowhere"),
        ("HEAD", "/docs"),
        ("HEAD", "/static/note.txt"),
        ("POST", "/static/note.txt"),
        ("DELETE", "/items/5"),
        ("DELETE", "/items/abc"),
        ("BREW", "/"),
    ] {
        asks.push(ask(method, path));
    }
    asks
}

fn items() -> Vec<Ask> {
    let bodies = [
        r#"{"name":"tea","price":"2.50","colour":"green","tags":[{"name":"hot","weight":2}],"made":"2024-02-29"}"#,
        r#"{"name":"tea","price":2.5}"#,
        r#"{"name":"  tea  ","price":1}"#,
        r#"{"name":"Zażółć 你好 🎉","price":"0.01"}"#,
        "{\"name\":\"\\u00fc\\ud83c\\udf89\",\"price\":1e2}",
        r#"{"name":"   ","price":"1"}"#,
        r#"{"name":"","price":"-1"}"#,
        r#"{"name":"a","price":"1.234"}"#,
        r#"{"name":"a","price":"123456789.1"}"#,
        r#"{"name":"a","price":"dear"}"#,
        r#"{"name":"a","price":NaN}"#,
        r#"{"name":1,"price":true}"#,
        r#"{"name":"a","price":1,"extra":1}"#,
        r#"{"price":1}"#,
        r#"{}"#,
        r#"[]"#,
        r#"null"#,
        r#""text""#,
        r#"{"name":"a","price":1"#,
        r#"{"name":"a","name":"b","price":1}"#,
        r#"{"name":"a","price":1,"colour":"blue"}"#,
        r#"{"name":"a","price":1,"made":"2023-02-29"}"#,
        r#"{"name":"a","price":1,"made":"yesterday"}"#,
        r#"{"name":"a","price":1,"tags":[{"name":""},{"weight":11},7]}"#,
        r#"{"name":"a","price":1,"tags":"none"}"#,
        r#"{"name":"a","price":1,"tags":[{"name":"1"},{"name":"2"},{"name":"3"},{"name":"4"},{"name":"5"},{"name":"6"}]}"#,
        "",
        "\u{feff}{}",
    ];
    let mut asks: Vec<Ask> = bodies.iter().map(|body| json("/items", body)).collect();
    let good = r#"{"name":"tea","price":"2.50"}"#;
    asks.extend([
        ask("POST", "/items"),
        ask("POST", "/items").with("text/plain", good),
        ask("POST", "/items").with("application/json; charset=utf-8", good),
        ask("POST", "/items").with("application/vnd.api+json", good),
        ask("POST", "/items").with("application/json", b"{\"name\":\"\xff\"}"),
        ask("PUT", "/items/5").with("application/json", good),
        ask("PUT", "/items/404").with("application/json", good),
        ask("PUT", "/items/abc").with("application/json", "{}"),
        // An answer that has all of it in it.
        json(
            "/items",
            format!(r#"{{"name":"{}","price":1}}"#, "long ".repeat(200_000)),
        ),
        json("/items", "[".repeat(100) + &"]".repeat(100)),
    ]);
    asks
}

fn models() -> Vec<Ask> {
    let pets = [
        r#"{"kind":"cat"}"#,
        r#"{"kind":"cat","lives":10}"#,
        r#"{"kind":"dog","good":"no"}"#,
        r#"{"kind":"dog","good":"perhaps"}"#,
        r#"{"kind":"bird"}"#,
        r#"{"lives":9}"#,
        r#"{"kind":null}"#,
    ];
    let spans = [
        r#"{"begin":"2024-01-01T00:00:00Z","end":"2024-01-02T00:00:00+02:00"}"#,
        r#"{"begin":0,"end":1700000000.5}"#,
        r#"{"begin":"2024-01-02T00:00:00","end":"2024-01-01T00:00:00"}"#,
        r#"{"begin":"2024-01-02T00:00:00Z","end":"2024-01-01T00:00:00"}"#,
        r#"{"begin":"2024-13-01","end":"25:00"}"#,
    ];
    let pets = pets.iter().map(|body| json("/pets", body));
    let spans = spans.iter().map(|body| json("/spans", body));
    pets.chain(spans).collect()
}

fn headers_and_cookies() -> Vec<Ask> {
    vec![
        get("/headers"),
        get("/headers")
            .header("User-Agent", "a client")
            .header("X-Token", "one")
            .header("X-Token", "two")
            .header("Strange_Header", "kept"),
        get("/headers")
            .header("X-Token", "a,b")
            .header("User-Agent", ""),
        get("/headers").header("user-agent", "Gr\u{fc}n"),
        get("/cookies"),
        get("/cookies").header("Cookie", "session=abc; theme=dark"),
        get("/cookies").header("Cookie", "session=\"a b\"; session=second"),
        get("/cookies").header("Cookie", "nothing"),
        ask("POST", "/cookies"),
        ask("DELETE", "/cookies"),
        get("/").header("Origin", "https://example.com"),
        get("/").header("Origin", "https://elsewhere.example"),
        ask("OPTIONS", "/items")
            .header("Origin", "https://example.com")
            .header("Access-Control-Request-Method", "POST")
            .header("Access-Control-Request-Headers", "X-Token"),
        ask("OPTIONS", "/items")
            .header("Origin", "https://elsewhere.example")
            .header("Access-Control-Request-Method", "POST"),
        get("/whoami"),
        get("/state"),
        get("/state").header("X-Name", "me"),
    ]
}

fn forms() -> Vec<Ask> {
    let text = "; filename=\"a.txt\"\r\nContent-Type: text/plain";
    let binary = "; filename=\"\u{fc}.bin\"\r\nContent-Type: application/octet-stream";
    let large = vec![7; 2_000_000];
    vec![
        form("/form", "name=Ada&age=36"),
        form("/form", "name=A%C3%BCd+a"),
        form("/form", "name=A&age=-1"),
        form("/form", "age=old"),
        form("/form", ""),
        json("/form", r#"{"name":"Ada"}"#),
        parts("/form", &[("name", "", b"Ada"), ("age", "", b"36")]),
        parts(
            "/uploads",
            &[("files", text, b"hello"), ("note", "", "grün".as_bytes())],
        ),
        parts(
            "/uploads",
            &[("files", text, b"hello"), ("files", binary, &large)],
        ),
        parts("/uploads", &[("files", text, b"")]),
        parts("/uploads", &[("files", "", b"not a file")]),
        parts("/uploads", &[("note", "", b"no files")]),
        parts("/file", &[("file", binary, &[0, 255, 13, 10])]),
        ask("POST", "/uploads").with("multipart/form-data; boundary=limit", "not what it says"),
        ask("POST", "/uploads").with("multipart/form-data", "--limit--"),
        ask("POST", "/uploads").with("text/plain", "no form"),
    ]
}

fn dependencies() -> Vec<Ask> {
    vec![
        get("/dependencies"),
        get("/dependencies?skip=5&limit=50&q=green%20tea"),
        get("/dependencies?skip=x&limit=500"),
        get("/dependencies/raise"),
        get("/secure/basic"),
        get("/secure/basic").header("Authorization", "Basic YWRhOnNlY3JldA=="),
        get("/secure/basic").header("Authorization", "Basic YWRhOndyb25n"),
        get("/secure/basic").header("Authorization", "Basic !"),
        get("/secure/basic").header("Authorization", "Bearer x"),
        get("/secure/key"),
        get("/secure/key").header("X-Api-Key", "key"),
        get("/secure/key").header("X-Api-Key", "other"),
    ]
}

fn responses() -> Vec<Ask> {
    let targets = [
        "/html",
        "/redirect",
        "/unicode",
        "/big?kib=64",
        "/big?kib=4096",
        "/big?kib=0",
        "/empty",
        "/teapot",
        "/crash",
    ];
    targets.into_iter().map(get).collect()
}

fn files() -> Vec<Ask> {
    vec![
        get("/note"),
        get("/note").header("Range", "bytes=0-3"),
        get("/note").header("Range", "bytes=-4"),
        get("/note").header("Range", "bytes=0-1,3-4"),
        get("/note").header("Range", "bytes=9999-"),
        get("/note").header("Range", "lines=1"),
        get("/static/note.txt"),
        get("/static/note.txt").header("If-Modified-Since", "Fri, 01 Jan 2100 00:00:00 GMT"),
        get("/static/note.txt").header("If-None-Match", "\"another\""),
        get("/static/missing.txt"),
        get("/static/"),
        get("/static"),
        get("/static/%2e%2e/main.py"),
        get("/static/..%2fmain.py"),
    ]
}

fn streams() -> Vec<Ask> {
    vec![
        get("/events?n=3&ms=1"),
        get("/events?n=0"),
        get("/events?n=51"),
        get("/lines"),
        get("/lines?n=1000"),
        ask("POST", "/count").with("application/octet-stream", vec![0; 300_000]),
        ask("POST", "/count"),
        ask("POST", "/first").with("text/plain", "one"),
        ask("POST", "/first"),
        ask("POST", "/echo").with("text/plain", "back again"),
        ask("POST", "/echo"),
    ]
}

fn tasks(upstream: SocketAddr) -> Vec<Ask> {
    vec![
        get("/gather"),
        get("/timeout"),
        get("/groups"),
        get("/queue"),
        get("/thread"),
        get("/thread").header("X-Name", "me"),
        get("/threads"),
        ask("POST", "/background/one"),
        get(format!("/outbound?url=http://{upstream}/a")),
        get("/outbound?url=http://127.0.0.1:1/"),
        get("/outbound?url=nonsense"),
        get("/outbound?url=ftp://127.0.0.1/"),
        get("/outbound?url=http://"),
        get("/outbound?url=http://[/"),
        get("/outbound"),
    ]
}

fn documents() -> Vec<Ask> {
    let targets = [
        "/docs",
        "/docs/oauth2-redirect",
        "/redoc",
        "/openapi.json",
        "/sub/docs",
        "/sub/openapi.json",
    ];
    targets.into_iter().map(get).collect()
}
