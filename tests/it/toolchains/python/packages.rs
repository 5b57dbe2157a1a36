//! Packages with a native part as applications use them: the clients of OpenAI and of Anthropic, jsonschema,
//! argon2-cffi, and FastAPI's tutorial on passwords and tokens. Guards against a package that can be imported, and
//! answers otherwise than under uvicorn.

use super::ask::{Answer, Ask, ask, form, get, json};
use super::{REUSE, built, differences, trials, uvicorn_of};
use crate::harness::{After, Server, Upstream};
use std::io::Write;
use std::net::SocketAddr;

pub const NATIVE: &str = "guests/python/native";
const SECURITY: &str = "guests/python/security";

fn chunk(delta: &str, finished: &str) -> String {
    format!(
        r#"{{"id":"c","object":"chat.completion.chunk","created":1,"model":"gpt","choices":[{{"index":0,"delta":{delta},"finish_reason":{finished}}}]}}"#
    )
}

fn said(text: &str) -> String {
    chunk(
        &format!(r#"{{"role":"assistant","content":"{text}"}}"#),
        "null",
    )
}

fn finished() -> Vec<String> {
    vec![chunk("{}", r#""stop""#), "[DONE]".into()]
}

/// The events of a message of Anthropic's, with text and with the input of a tool, in pieces.
const MESSAGE: [&str; 11] = [
    r#"{"type":"message_start","message":{"id":"m","type":"message","role":"assistant","model":"claude","content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":1,"output_tokens":1}}}"#,
    r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#,
    r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hel"}}"#,
    r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"lo ü"}}"#,
    r#"{"type":"content_block_stop","index":0}"#,
    r#"{"type":"content_block_start","index":1,"content_block":{"type":"tool_use","id":"t","name":"pet","input":{}}}"#,
    r#"{"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta","partial_json":"{\"name\": \"Re"}}"#,
    r#"{"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta","partial_json":"x\", \"ages\": [7, 0.5]}"}}"#,
    r#"{"type":"content_block_stop","index":1}"#,
    r#"{"type":"message_delta","delta":{"stop_reason":"tool_use","stop_sequence":null},"usage":{"output_tokens":9}}"#,
    r#"{"type":"message_stop"}"#,
];

/// What an API answers at this path.
fn answered(path: &str) -> (u16, &'static str, String) {
    let events = |all: Vec<String>| {
        let line = |event: &String| {
            // Anthropic's have a name.
            let name = event.strip_prefix(r#"{"type":""#);
            let name = name.map(|rest| format!("event: {}\n", rest.split('"').next().unwrap()));
            format!("{}data: {event}\n\n", name.unwrap_or_default())
        };
        let text = all.iter().map(line).collect::<String>();
        (200, "text/event-stream", text)
    };
    let whole = |text: &str| (200, "application/json", text.to_owned());
    match path {
        "/ok/chat/completions" => whole(
            r#"{"id":"1","object":"chat.completion","created":1,"model":"gpt","choices":[{"index":0,"finish_reason":"stop","message":{"role":"assistant","content":"Hello ü"}}],"usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3}}"#,
        ),
        "/stream/chat/completions" => {
            events([vec![said("Hel"), said("lo ü")], finished()].concat())
        }
        "/parsed/chat/completions" => {
            let pieces = [r#"{\"name\": \"Re"#, r#"x\", \"age\": 7}"#].map(said);
            events([pieces.to_vec(), finished()].concat())
        }
        "/ok/v1/messages" => whole(
            r#"{"id":"m","type":"message","role":"assistant","model":"claude","content":[{"type":"text","text":"Hello ü"}],"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":1,"output_tokens":2}}"#,
        ),
        "/stream/v1/messages" => events(MESSAGE.map(String::from).to_vec()),
        _ => (
            401,
            "application/json",
            r#"{"error":{"message":"no","type":"authentication_error"}}"#.into(),
        ),
    }
}

/// An API like those of OpenAI and of Anthropic.
fn api() -> Upstream {
    Upstream::start(|seen, stream| {
        let path = seen.head.split(' ').nth(1).unwrap();
        let (status, kind, body) = answered(path);
        let length = body.len();
        let head = format!(
            "HTTP/1.1 {status} Said\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\r\n"
        );
        let _ = stream.write_all((head + &body).as_bytes());
        After::Keep
    })
}

fn asks(api: SocketAddr) -> Vec<Ask> {
    let mut asks: Vec<Ask> = [
        "/openai?url=http://API/ok",
        "/openai?url=http://API/elsewhere",
        "/openai?url=http://127.0.0.1:1/",
        "/openai/parsed?url=http://API/parsed",
        "/openai/stream?url=http://API/stream",
        "/anthropic?url=http://API/ok",
        "/anthropic?url=http://API/elsewhere",
        "/anthropic/stream?url=http://API/stream",
    ]
    .map(|path| get(path.replace("API", &api.to_string())))
    .into();
    for text in [
        r#"{"a": [1, 2.5, "x"#,
        r#"{"a": 12345678901234567890123456789, "b": 1e400, "c": "\ud83c\udf89ü"}"#,
        "[1,",
        "NaN",
        "\"\\ud800\"",
    ] {
        for partial in ["off", "on", "trailing-strings"] {
            let path = format!("/jiter?partial={partial}");
            asks.push(ask("POST", path).with("text/plain", text));
        }
    }
    let schemas = [
        r#"{"name":"a","children":[{"name":""},{"name":"b","x":1}]}"#,
        r#"{"name":"a","children":[{"name":"b"},{"name":"b"}]}"#,
        r#"{"children":7}"#,
        r#"{"name":"a"}"#,
        "[]",
    ];
    asks.extend(schemas.map(|body| json("/schema", body)));
    asks.push(get("/regex"));
    for how in [
        "",
        "?kind=I",
        "?kind=D",
        "?lanes=4",
        "?lanes=4&memory=16",
        "?memory=70000",
    ] {
        for secret in [r#""grün""#, r#""""#] {
            asks.push(json(&format!("/argon2{how}"), secret));
        }
    }
    asks
}

pub fn answers(asks: Vec<Ask>, server: &Server) -> Vec<(Ask, Answer)> {
    let asked = |ask: Ask| {
        let answer = ask.of(server.address);
        (ask, answer)
    };
    asks.into_iter().map(asked).collect()
}

#[test]
fn clients_of_apis_schemas_argon2_and_regex_answer_as_they_do_under_uvicorn() {
    let api = api();
    let native = uvicorn_of(NATIVE);
    let expected = answers(asks(api.address), &native);
    let allowed = format!("http://{}", api.address);
    let elsewhere = "http://127.0.0.1:1";
    for reuse in REUSE {
        let more = ["--allow-http", &allowed, "--allow-http", elsewhere];
        let options = [&["--no-request-id", "--reuse", reuse], &more[..]].concat();
        let server = trials::serve(&built(NATIVE), &options);
        let found = differences(&server, &expected);
        assert!(found.is_empty(), "--reuse {reuse}:\n{}", found.join("\n"));
        for (from, to) in [(&native, &server), (&server, &native)] {
            let own = get("/argon2/own?secret=abc").of(from.address).text();
            let (_, rest) = own.split_once(r#""hashed":""#).unwrap();
            let hashed = rest.split('"').next().unwrap();
            for (secret, verdict) in [
                ("abc", "true"),
                (
                    "abd",
                    "\"VerifyMismatchError: The password does not match the supplied hash\"",
                ),
            ] {
                let body = format!(r#"{{"hashed":"{hashed}","secret":"{secret}"}}"#);
                let answer = json("/argon2/verify", body).of(to.address);
                assert_eq!(answer.text(), verdict, "{hashed}");
            }
        }
    }
}

/// The token that is given for the password of the tutorial.
fn token(server: &Server) -> String {
    let given = form("/token", "username=johndoe&password=secret").of(server.address);
    let text = given.text();
    let (_, rest) = text.split_once(r#""access_token":""#).expect(&text);
    rest.split('"').next().unwrap().to_owned()
}

#[test]
fn fastapis_tutorial_on_passwords_and_tokens_answers_as_under_uvicorn() {
    let native = uvicorn_of(SECURITY);
    let mut asks = vec![
        form("/token", "username=johndoe&password=wrong"),
        form("/token", "username=nobody&password=secret"),
        form("/token", "username=johndoe"),
        form(
            "/token",
            "grant_type=other&username=johndoe&password=secret",
        ),
        json("/token", r#"{"username":"johndoe","password":"secret"}"#),
        get("/users/me/"),
        get("/users/me"),
        get("/users/me/").header("Authorization", "Bearer nonsense"),
        get("/users/me/").header("Authorization", "Basic YTpi"),
        get("/openapi.json"),
    ];
    for path in ["/users/me/", "/users/me/items/"] {
        let bearer = format!("Bearer {}", token(&native));
        asks.push(get(path).header("Authorization", &bearer));
    }
    let expected = answers(asks, &native);
    for reuse in REUSE {
        let options = ["--no-request-id", "--reuse", reuse];
        let server = trials::serve(&built(SECURITY), &options);
        let found = differences(&server, &expected);
        assert!(found.is_empty(), "--reuse {reuse}:\n{}", found.join("\n"));
        let bearer = format!("Bearer {}", token(&server));
        let mine = get("/users/me/").header("Authorization", &bearer);
        assert_eq!(mine.of(native.address), mine.of(server.address));
        assert!(mine.of(native.address).text().contains("John Doe"));
    }
}
